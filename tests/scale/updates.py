"""CPU for each value that arrives while nobody subscribes to anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from asyncua import Server

from address_space.model import LiveTable, SystemClock
from address_space.nodes.projection import Projection
from server.engine import GROUP_LIMIT, Engine
from tests.scale.measure import Figure, own_cpu_per
from tests.scale.plants import VARIABLES, plant_of, readings
from tests.scale.size import Size
from tests.scale.stock_child import build, fresh
from tests.scale.table import Row

NAME = "update"
UNITS = {Size.FULL: 10_000, Size.QUICK: 5_000, Size.TINY: 1_000}
ROUNDS = {Size.FULL: 7, Size.QUICK: 3, Size.TINY: 3}
STOCK_OBJECTS = 10
STOCK_ROUNDS = 20
GOAL_US = 1.0


def run(size: Size, step: Callable[[str], None]) -> list[Row]:
    """Apply readings one by one and in the groups that the engine's queue makes; write values one by one to asyncua."""
    clock = SystemClock()
    plant = plant_of(UNITS[size])
    live = LiveTable(plant, clock.now_ns())
    engine = Engine(plant, live, Projection(live), None, clock)
    sets = [readings(plant, UNITS[size], clock.now_ns(), seed) for seed in (1, 2)]

    def applied(group: int) -> Callable[[], int]:
        turn = 0

        def work() -> int:
            nonlocal turn
            turn += 1
            batches = sets[turn % 2]
            for first in range(0, len(batches), group):
                engine.apply(batches[first : first + group])
            return len(batches) * VARIABLES

        return work

    step("updates, engine")
    single = own_cpu_per(applied(1), ROUNDS[size])
    grouped = own_cpu_per(applied(GROUP_LIMIT), ROUNDS[size])
    step("updates, stock asyncua")
    stock = asyncio.run(_stock(ROUNDS[size]))
    return [
        Row(
            NAME,
            f"Update, one reading of {VARIABLES} values at a time",
            "µs",
            single,
            stock,
            note="CPU a value; stock: write_attribute_value, DataValue included",
        ),
        Row(NAME, f"Update, groups of {GROUP_LIMIT} readings", "µs", grouped, stock, goal=GOAL_US),
    ]


async def _stock(rounds: int) -> Figure:
    server = Server()
    await server.init()
    ids = await build(server, STOCK_OBJECTS)
    figures = []
    for number in range(rounds):
        before = time.process_time()
        for turn in range(STOCK_ROUNDS):
            for node in ids:
                await server.write_attribute_value(node, fresh(float(number * STOCK_ROUNDS + turn)))
        figures.append((time.process_time() - before) / (STOCK_ROUNDS * len(ids)) * 1e6)
    return Figure.of(figures)

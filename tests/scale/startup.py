"""Start-up time and resident memory of a whole hub, cold, at several plant sizes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.scale.measure import Child, Figure
from tests.scale.plants import VARIABLES, PlantFiles
from tests.scale.size import Size
from tests.scale.table import Row

NAME = "startup"
METERS = {Size.FULL: (2_000, 20_000, 100_000), Size.QUICK: (2_000, 10_000), Size.TINY: (50, 500)}
ROUNDS = {Size.FULL: 3, Size.QUICK: 1, Size.TINY: 1}
STOCK_OBJECTS = {Size.FULL: 100, Size.QUICK: 20, Size.TINY: 5}
SETTLE_S = 2.0
"""Until memory is looked at: pollers run by then."""
MILLION = 1_000_000
GOAL_METERS = 100_000
START_GOAL_S = 15.0
RSS_GOAL_MB = 500.0
BYTES_GOAL = 100.0
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a hub."""

    seconds: float
    rss: int
    phases: dict[str, float]


def run(size: Size, step: Callable[[str], None]) -> list[Row]:
    """Start hubs of growing size with and without history, and a stock server of a small model."""
    step("stock asyncua, start")
    stock = _stock(STOCK_OBJECTS[size])
    rows: list[Row] = []
    smallest: float | None = None
    for meters in METERS[size]:
        rounds = ROUNDS[size] if meters < GOAL_METERS else min(2, ROUNDS[size])
        bare = size is Size.FULL
        rows += _rows(meters, rounds, smallest, stock, step, METERS[size][0], bare=bare)
        smallest = smallest if smallest is not None else rows[1].ours.value * _MB
    return rows


def million(step: Callable[[str], None]) -> list[Row]:
    """One start with a million metering points."""
    small = _start(2_000, history=True)
    return _rows(MILLION, 1, float(small.rss), None, step, 2_000, bare=True)


def _rows(
    meters: int,
    rounds: int,
    smallest: float | None,
    stock: dict[str, Any] | None,
    step: Callable[[str], None],
    smallest_meters: int,
    *,
    bare: bool,
) -> list[Row]:
    step(f"hub, {meters:,} metering points")
    with_history = _starts(meters, rounds, history=True)
    without: Start | None = None
    if bare:
        step(f"hub, {meters:,} metering points, no history")
        without = _start(meters, history=False)
    seconds = Figure.of([start.seconds for start in with_history])
    rss = Figure.of([start.rss / _MB for start in with_history])
    best = min(with_history, key=lambda start: start.seconds)
    phases = ", ".join(f"{name} {spent:.2f}" for name, spent in best.phases.items())
    at_goal = meters == GOAL_METERS
    size = f"{meters:,} × {VARIABLES}"
    rows = [
        Row(
            NAME,
            f"Start until clients can connect, {size}",
            "s",
            seconds,
            goal=START_GOAL_S if at_goal else None,
            note=f"seconds: {phases}" + ("" if without is None else f"; without history {without.seconds:.1f} s"),
        ),
        Row(
            NAME,
            f"Resident memory, {size}",
            "MB",
            rss,
            goal=RSS_GOAL_MB if at_goal else None,
            note="" if without is None else f"without history {without.rss / _MB:,.0f} MB",
        ),
    ]
    if smallest is not None:
        grown = [(start.rss - smallest) / ((meters - smallest_meters) * VARIABLES) for start in with_history]
        rows.append(
            Row(
                NAME,
                f"Memory a variable, {size}",
                "B",
                Figure.of(grown),
                None if stock is None else Figure.once(stock["model_bytes"] / stock["variables"]),
                goal=BYTES_GOAL if at_goal else None,
                note=f"growth over {smallest_meters:,} metering points"
                + ("" if stock is None else f"; stock at {stock['variables']:,} variables with two properties each"),
            )
        )
    elif stock is not None:
        rows.append(
            Row(
                NAME,
                "Build 1,000 variables",
                "s",
                Figure.once((sum(best.phases.values()) - best.phases["import"]) / (meters * VARIABLES) * 1000),
                Figure.once(stock["built_s"] / stock["variables"] * 1000),
                note=f"ours: all after the imports at {size}, files and standard nodes included; "
                f"stock: nodes alone at {stock['variables']:,} variables",
            )
        )
    return rows


def _starts(meters: int, rounds: int, *, history: bool) -> Sequence[Start]:
    return [_start(meters, history=history) for _ in range(rounds)]


def _start(meters: int, *, history: bool) -> Start:
    """One start; the channels lead to a port where nothing answers."""
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        plant = PlantFiles(meters, free_port(), (free_port(),), history=history)
        with Child("hub_child", config=str(plant.write(Path(folder) / "plant"))) as hub:
            time.sleep(SETTLE_S)
            return Start(hub.ready_s, hub.rss_bytes, hub.ready["phases"])


def _stock(objects: int) -> dict[str, Any]:
    with Child("stock_child", port=free_port(), objects=objects) as server:
        return {**server.ready, "variables": objects * VARIABLES}

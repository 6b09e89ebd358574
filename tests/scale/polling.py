"""Hub CPU for each polled value: pollers, driver, decoding, engine and history over simulated meters on loopback."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port
from tests.scale.measure import Child, Figure
from tests.scale.plants import VARIABLES, PlantFiles
from tests.scale.size import Size
from tests.scale.table import Better, Row

NAME = "poll"
METERS = {Size.FULL: (100, 1_000), Size.QUICK: (100,), Size.TINY: (20,)}
STOCK_METERS = {Size.FULL: 100, Size.QUICK: 50, Size.TINY: 10}
METERS_A_CHANNEL = 100
POLL_S = 0.05
WARM_READS = 3
"""So often every meter was read before anything is measured; a simulated meter's first answer is its slowest."""
WARM_S = 60.0
SETTLE_S = 1.0
ROUNDS = {Size.FULL: 5, Size.QUICK: 3, Size.TINY: 1}
ROUND_S = {Size.FULL: 2.5, Size.QUICK: 1.0, Size.TINY: 1.0}


@dataclass(frozen=True, slots=True)
class Polled:
    """Values a CPU-second, exchanges a second of wall time, and share of a processor that was used."""

    values: Figure
    exchanges: float
    busy: float


def run(size: Size, step: Callable[[str], None]) -> list[Row]:
    """Poll with periods too short to be kept; the way without a hub polls the smallest plant as fast as it can."""
    stock_meters = STOCK_METERS[size]
    step(f"polling, pymodbus and stock asyncua, {stock_meters:,} meters")
    stock = _stock(stock_meters, size)
    rows = []
    for meters in METERS[size]:
        step(f"polling, hub, {meters:,} meters")
        ours = _hub(meters, size)
        rows.append(
            Row(
                NAME,
                f"Polled values a CPU-second, {meters:,} meters",
                "/s",
                ours.values,
                stock.values,
                better=Better.MORE,
                note=f"{1e6 / ours.values.value:.1f} µs a value with history; {ours.exchanges:,.0f} exchanges/s at "
                f"{ours.busy:.0%} of a core; pymodbus + stock: {stock_meters:,} meters, no history, "
                f"{stock.exchanges:,.0f} exchanges/s at {stock.busy:.0%}",
            )
        )
    return rows


def _hub(meters: int, size: Size) -> Polled:
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        plant = _plant(meters)
        config = str(plant.write(Path(folder) / "plant"))
        with Child("meters_child", config=config), Child("hub_child", config=config) as hub:
            return _measure(hub, meters, size)


def _stock(meters: int, size: Size) -> Polled:
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        plant = _plant(meters)
        config = str(plant.write(Path(folder) / "plant"))
        with (
            Child("meters_child", config=config),
            Child(
                "stock_poll_child",
                port=plant.port,
                meters=meters,
                meter_ports=plant.meter_ports,
                meters_a_channel=METERS_A_CHANNEL,
            ) as server,
        ):
            return _measure(server, meters, size)


def _plant(meters: int) -> PlantFiles:
    ports = [free_port() for _ in range(-(-meters // METERS_A_CHANNEL))]
    return PlantFiles(meters, free_port(), ports, meters_a_channel=METERS_A_CHANNEL, poll_s=POLL_S)


def _measure(server: Child, meters: int, size: Size) -> Polled:
    deadline = time.perf_counter() + WARM_S
    while server("counters")["requests"] < WARM_READS * meters:
        if time.perf_counter() > deadline:
            raise RuntimeError(f"{meters:,} meters were not read {WARM_READS} times within {WARM_S:.0f} s")
        time.sleep(SETTLE_S)
    time.sleep(SETTLE_S)
    rates, exchanges, busy = [], [], []
    for _ in range(ROUNDS[size]):
        before, cpu, began = server("counters"), server.cpu_s, time.perf_counter()
        time.sleep(ROUND_S[size])
        after, spent, wall = server("counters"), server.cpu_s - cpu, time.perf_counter() - began
        values = after["applied"] - before["applied"]
        if values < VARIABLES:
            raise RuntimeError("nothing was polled")
        rates.append(values / spent)
        exchanges.append((after["requests"] - before["requests"]) / wall)
        busy.append(spent / wall)
    return Polled(Figure.of(rates), Figure.of(exchanges).value, Figure.of(busy).value)

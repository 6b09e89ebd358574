"""Rollups: what computing them costs, what they weigh, and how fast a month of hours is read."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from address_space.model import NS, ManualClock, Plant, Quantity
from historian.api import HistoryWriter, Readings
from historian.calendar import Days, Width
from historian.rollups import Ratings, RollupOptions, Rollups
from historian.schema import Measurement, field_of, measurement_of
from historian.sqlite import SqliteStore
from tests.scale.measure import Figure
from tests.scale.plants import VARIABLES, plant_of
from tests.scale.size import Size
from tests.scale.table import Row

NAME = "rollups"
GOAL_MONTH_S = 1.0
METERS = {Size.FULL: 1_000, Size.QUICK: 300, Size.TINY: 20}
MONTH_DAYS = {Size.FULL: 30, Size.QUICK: 30, Size.TINY: 2}
COST_HOURS = {Size.FULL: 24, Size.QUICK: 12, Size.TINY: 2}
HOUR_MS, QUARTER_MS, DAY_MS = 3_600_000, 900_000, 86_400_000
GRACE_MS = 200_000
READS = 3
MIDNIGHT_MS = 1_799_971_200_000
REGISTER = Quantity.ACTIVE_ENERGY_IMPORT


def run(size: Size, step: Callable[[str], None]) -> list[Row]:
    """Hours of meters read each quarter hour, then a month of hours of all of them."""
    step("rollups, computing")
    taps, computing, values = asyncio.run(_cost(size))
    step("rollups, reading a month")
    read, weight = asyncio.run(_month(size))
    meters, days = METERS[size], MONTH_DAYS[size]
    return [
        Row(
            NAME, "CPU a recorded value, computing hours", "µs", computing, note=f"{values:,} values, read each quarter"
        ),
        Row(NAME, "CPU a recorded value, noting what waits", "µs", taps, note=f"{VARIABLES} values a reading"),
        Row(
            NAME,
            f"{days} days of hourly consumption of {meters:,} meters",
            "s",
            read,
            goal=GOAL_MONTH_S,
            note="wall time, one register of each",
        ),
        Row(NAME, "Bytes a meter and year, hours and days", "B", weight, note=f"{VARIABLES} variables"),
    ]


async def _cost(size: Size) -> tuple[Figure, Figure, int]:
    """Microseconds of CPU a value: of the tap alone, and of computing hours."""
    meters, slots = METERS[size], COST_HOURS[size] * 4
    plant, clock = plant_of(meters), ManualClock(MIDNIGHT_MS * NS // 1000)
    made = _Readings(plant)
    values = meters * slots * VARIABLES
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        async with SqliteStore(Path(folder), clock) as store, _rollups(folder, clock, store, plant) as rollups:
            writer = rollups.tap(_Nowhere(store))
            ids = await writer.series([unit.id for unit in plant.units])
            began = time.process_time()
            for slot in range(slots):
                await writer.write(made.at(MIDNIGHT_MS + slot * QUARTER_MS, ids))
                clock.jump(QUARTER_MS / 1000)
            taps = time.process_time() - began
            rewritten = _Readings(plant)
            for slot in range(slots):
                await store.write(rewritten.at(MIDNIGHT_MS + slot * QUARTER_MS, ids))
            began = time.process_time()
            for hour in range(1, slots // 4 + 1):
                clock.jump((MIDNIGHT_MS + hour * HOUR_MS + GRACE_MS) / 1000 - clock.now_ns() / NS)
                await rollups.catch_up()
            computing = time.process_time() - began
    return Figure.once(taps / values * 1e6), Figure.once(computing / values * 1e6), values


async def _month(size: Size) -> tuple[Figure, Figure]:
    """Seconds to read a month of hours, and bytes a meter and year."""
    meters, days = METERS[size], MONTH_DAYS[size]
    plant, clock = plant_of(meters), ManualClock(MIDNIGHT_MS * NS // 1000)
    made = _Readings(plant)
    uids = [unit.id for unit in plant.units]
    end_ms = MIDNIGHT_MS + days * DAY_MS
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        async with SqliteStore(Path(folder), clock) as store, _rollups(folder, clock, store, plant) as rollups:
            writer = rollups.tap(store)
            ids = await writer.series(uids)
            for hour in range(days * 24 + 1):
                time_ms = MIDNIGHT_MS + hour * HOUR_MS
                await writer.write(made.at(time_ms, ids))
                if hour % 24 == 0:
                    clock.jump((time_ms + GRACE_MS) / 1000 - clock.now_ns() / NS)
                    await rollups.catch_up()
            figures = []
            for _ in range(READS):
                began = time.perf_counter()
                found = await rollups.buckets_of_many(uids, REGISTER, MIDNIGHT_MS, end_ms, Width.HOUR)
                figures.append(time.perf_counter() - began)
                missing = sum(int(np.isnan(buckets.delta).sum()) for buckets in found)
                if missing or len(found) != meters:
                    raise RuntimeError(f"{missing:,} hours of {len(found):,} meters are missing")
        used = _used_bytes(Path(folder) / "rollups.db")
    return Figure.of(figures), Figure.once(used / meters / days * 365)


def _rollups(folder: str, clock: ManualClock, store: SqliteStore, plant: Plant) -> Rollups:
    return Rollups(Path(folder), clock, store, Days(ZoneInfo("Europe/Berlin")), Ratings(plant), RollupOptions())


class _Nowhere:
    """Numbers of a store, and nothing written."""

    def __init__(self, store: HistoryWriter) -> None:
        self.series = store.series

    async def write(self, readings: object) -> None:
        """Nothing."""


class _Readings:
    """Readings as meters make them: registers that grow by whole Wh, gauges with one decimal."""

    def __init__(self, plant: Plant) -> None:
        quantities = plant.blocks[0].template.quantities[:VARIABLES]
        self._fields = {
            kind: tuple(field_of(quantity) for quantity in quantities if measurement_of(quantity) is kind)
            for kind in (Measurement.ENERGY, Measurement.INST)
        }
        self._random = np.random.default_rng(11)
        self._level = {
            kind: self._random.integers(1_000, 9_000, (len(plant.units), len(fields))).astype(np.float64)
            for kind, fields in self._fields.items()
        }

    def at(self, time_ms: int, ids: np.ndarray) -> list[Readings]:
        """One reading of every meter."""
        found = []
        for kind, fields in self._fields.items():
            level = self._level[kind]
            if kind is Measurement.ENERGY:
                level += self._random.integers(50, 900, level.shape)
            else:
                level += self._random.integers(-20, 21, level.shape)
            values = level.copy() if kind is Measurement.ENERGY else level / 10.0
            status = np.zeros(level.shape, np.uint32)
            found.append(Readings(kind, fields, ids, np.full(len(ids), time_ms), values, status))
        return found


def _used_bytes(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    connection.close()
    return int((pages - free) * size)

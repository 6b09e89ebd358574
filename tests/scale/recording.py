"""The embedded history: recording rate, reading rate and bytes a value, against asyncua's own SQLite history."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from asyncua import ua
from asyncua.server.history_sql import HistorySQLite
from asyncua.ua.ua_binary import variant_to_binary

from address_space.model import NS, Batch, ManualClock, Plant, Quantity
from historian.recorder import Recorder
from historian.schema import field_of
from historian.sqlite import SqliteStore
from tests.scale.measure import Figure
from tests.scale.plants import VARIABLES, plant_of, readings
from tests.scale.size import Size
from tests.scale.stock_child import fresh
from tests.scale.table import Better, Row

NAME = "history"
GOAL_VALUES_S = 1_000_000.0
GOAL_YEAR_US = 50_000.0
UNITS = 1_000
SLOTS = {Size.FULL: 40, Size.QUICK: 15, Size.TINY: 5}
ROUNDS = {Size.FULL: 3, Size.QUICK: 2, Size.TINY: 1}
STOCK_WRITES = {Size.FULL: 300, Size.QUICK: 100, Size.TINY: 20}
YEAR = {Size.FULL: 35_040, Size.QUICK: 35_040, Size.TINY: 2_000}
"""Slots of a year at a quarter of an hour."""
KEPT_UNITS = {Size.FULL: 100, Size.QUICK: 50, Size.TINY: 5}
KEPT_DAYS = 3
SLOT_S = 900
READS = 3
MIDNIGHT_NS = 1_799_971_200 * NS
REGISTER = Quantity.ACTIVE_ENERGY_IMPORT


@dataclass(frozen=True, slots=True)
class Stock:
    """asyncua's history: wall time figures, and bytes a value in its file."""

    written: Figure
    read: Figure
    size: float


def run(size: Size, step: Callable[[str], None]) -> list[Row]:
    """Record readings of 20 values, read a year of one register back, weigh hot and packed days."""
    step("history, stock asyncua")
    stock = asyncio.run(_stock(size))
    step("history, recording")
    wall, busy = _recording(size)
    step("history, reading a year")
    hot_read, packed_read = asyncio.run(_reading(size))
    step("history, packing")
    hot, packed = asyncio.run(_weighing(size))
    year = YEAR[size]
    return [
        Row(
            NAME,
            "Recorded values a second",
            "/s",
            wall,
            stock.written,
            GOAL_VALUES_S,
            Better.MORE,
            f"wall time, readings of {VARIABLES} values; {busy.value:.2f} µs of CPU a value; "
            f"stock: {STOCK_WRITES[size]} single values",
        ),
        Row(
            NAME,
            f"History read, {year:,} values of one register, packed days",
            "µs",
            packed_read,
            stock.read,
            GOAL_YEAR_US / YEAR[Size.FULL],
            note=f"wall time a value; {hot_read.value:.2f} µs from days that are not packed",
        ),
        Row(
            NAME, "Bytes a value, hot day", "B", hot, Figure.once(stock.size), note="counters and gauges, 20 a reading"
        ),
        Row(NAME, "Bytes a value, packed day", "B", packed, Figure.once(stock.size)),
    ]


def _recording(size: Size) -> tuple[Figure, Figure]:
    rates, costs = [], []
    for number in range(ROUNDS[size]):
        rate, cost = asyncio.run(_record(size, number))
        rates.append(rate)
        costs.append(cost)
    return Figure.of(rates), Figure.of(costs)


async def _record(size: Size, number: int) -> tuple[float, float]:
    """Values a second of wall time, and microseconds of CPU a value, from the first offer to the last commit."""
    plant, clock = plant_of(UNITS), ManualClock(MIDNIGHT_NS)
    first = readings(plant, UNITS, MIDNIGHT_NS, number)
    slots = [_at(first, slot) for slot in range(SLOTS[size])]
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        async with SqliteStore(Path(folder), clock) as store, Recorder(store, plant, clock) as recorder:
            began, cpu = time.perf_counter(), time.process_time()
            for batches in slots:
                for batch in batches:
                    recorder.offer(batch)
                await asyncio.sleep(0)
            await recorder.flush()
            wall, spent = time.perf_counter() - began, time.process_time() - cpu
            counters = recorder.counters
    values = SLOTS[size] * UNITS * VARIABLES
    if counters.committed != values:
        raise RuntimeError(f"{counters.committed:,} of {values:,} values were recorded")
    return values / wall, spent / values * 1e6


def _at(batches: list[Batch], slot: int) -> list[Batch]:
    at_ns = MIDNIGHT_NS + slot * SLOT_S * NS
    return [replace(batch, source_ns=at_ns, received_ns=at_ns, slot_ns=at_ns) for batch in batches]


async def _reading(size: Size) -> tuple[Figure, Figure]:
    """Microseconds a value of reading one register over the whole period, from hot days and from packed ones."""
    plant, clock = plant_of(1), ManualClock(MIDNIGHT_NS)
    slots = YEAR[size]
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        async with SqliteStore(Path(folder), clock) as store:
            await _fill(store, plant, clock, 1, slots)
            hot = await _read(store, slots)
            clock.jump(slots * SLOT_S + 40 * 86_400)
            await store.maintain()
            return hot, await _read(store, slots)


async def _read(store: SqliteStore, slots: int) -> Figure:
    start_ms, end_ms = MIDNIGHT_NS // 1_000_000, (MIDNIGHT_NS + slots * SLOT_S * NS) // 1_000_000
    figures = []
    for _ in range(READS):
        began = time.perf_counter()
        series = await store.read_raw(plant_of(1).units[0].id, REGISTER, start_ms, end_ms, slots)
        figures.append((time.perf_counter() - began) / slots * 1e6)
        if len(series.values) != slots:
            raise RuntimeError(f"{len(series.values):,} of {slots:,} values were read back")
    return Figure.of(figures)


async def _weighing(size: Size) -> tuple[Figure, Figure]:
    """Bytes in use for each value, before and after packing."""
    units, slots = KEPT_UNITS[size], KEPT_DAYS * 86_400 // SLOT_S
    plant, clock = plant_of(units), ManualClock(MIDNIGHT_NS)
    values = units * slots * VARIABLES
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        async with SqliteStore(Path(folder), clock) as store:
            await _fill(store, plant, clock, units, slots)
            hot = _used_bytes(Path(folder)) / values
            clock.jump(60 * 86_400)
            await store.maintain()
            packed = _used_bytes(Path(folder)) / values
    return Figure.once(hot), Figure.once(packed)


async def _fill(store: SqliteStore, plant: Plant, clock: ManualClock, units: int, slots: int) -> None:
    """Readings as meters make them: registers that grow by whole Wh, gauges with three digits that matter."""
    random = np.random.default_rng(7)
    template = plant.blocks[0].template
    counters = np.array([field_of(quantity).startswith("ActiveEnergy") for quantity in template.quantities[:VARIABLES]])
    blank = readings(plant, units, MIDNIGHT_NS, 1)
    level = random.uniform(100.0, 900.0, (units, VARIABLES))
    async with Recorder(store, plant, clock) as recorder:
        for slot in range(slots):
            level[:, ~counters] = np.clip(level[:, ~counters] + random.normal(0.0, 5.0, (units, 18)), 1.0, 999.0)
            level[:, counters] = np.round(level[:, counters] + random.integers(50, 900, (units, 2)))
            shown = np.round(level, 1)
            for batch, row in zip(_at(blank, slot), shown, strict=True):
                recorder.offer(replace(batch, values=row.copy()))
            if slot % 100 == 0:
                await recorder.flush()
        await recorder.flush()


def _used_bytes(folder: Path) -> int:
    used = 0
    for file in folder.glob("hist-*.db"):
        with sqlite3.connect(file) as connection:
            pages, free, page = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            used += (pages - free) * page
        connection.close()
    return used


async def _stock(size: Size) -> Stock:
    """Writing goes through asyncua; its table is then filled directly, so that reading does not wait for that."""
    node = ua.NodeId(1, 2)  # its tables cannot be named for string ids
    begin = datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)  # sqlite3 misreads aware times of whole seconds
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        file = Path(folder) / "history.db"
        storage = HistorySQLite(str(file))
        await storage.init()
        try:
            written, read = await _stock_use(storage, node, begin, size)
        finally:
            await storage.stop()
        return Stock(written, read, file.stat().st_size / YEAR[size])


async def _stock_use(storage: HistorySQLite, node: ua.NodeId, begin: datetime, size: Size) -> tuple[Figure, Figure]:
    """Values written a second, and microseconds a value read."""
    await storage.new_historized_node(node, None)
    began = time.perf_counter()
    for number in range(STOCK_WRITES[size]):
        await storage.save_node_value(node, fresh(float(number)))
    written = STOCK_WRITES[size] / (time.perf_counter() - began)
    table = storage._get_table_name(node)
    await storage._db.execute(f'DELETE FROM "{table}"')  # noqa: S608
    await storage._db.executemany(
        f"INSERT INTO \"{table}\" VALUES (NULL, ?, ?, 0, ?, 'Double', ?)",  # noqa: S608
        [_stock_row(begin + timedelta(seconds=SLOT_S * slot), slot) for slot in range(YEAR[size])],
    )
    await storage._db.commit()
    figures = []
    for _ in range(READS):
        began = time.perf_counter()
        await _stock_read(storage, node, begin, YEAR[size])
        figures.append((time.perf_counter() - began) / YEAR[size] * 1e6)
    return Figure.once(written), Figure.of(figures)


def _stock_row(at: datetime, value: float) -> tuple[datetime, datetime, str, bytes]:
    return at, at, str(value), variant_to_binary(ua.Variant(float(value), ua.VariantType.Double))


async def _stock_read(storage: HistorySQLite, node: ua.NodeId, begin: datetime, count: int) -> None:
    start: datetime | None = begin
    end = begin + timedelta(seconds=SLOT_S * count)
    read = 0
    while start is not None:
        values, onward = await storage.read_node_history(node, start, end, 0)
        read += len(values)
        start = onward.replace(tzinfo=UTC) if onward is not None else None
    if read < count:
        raise RuntimeError(f"{read:,} of {count:,} values were read back from asyncua's history")

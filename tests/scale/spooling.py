"""The way to InfluxDB on this machine: readings to line protocol, and line protocol to the disk and from it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from influxdb_client import Point

from address_space.model import ManualClock, NodeUid
from address_space.model.quantity import Kind, Quantity
from historian.api import Readings
from historian.influx import LineWriter, Tags
from historian.influx.lines import PARCEL_LINES, lines_of, tag_set
from historian.schema import QUALITY_FIELD, Measurement, field_of
from historian.spool import Parcel, Spool, Verdict
from tests.scale.measure import Figure
from tests.scale.size import Size
from tests.scale.table import Better, Row

NAME = "spool"
GOAL_FORMATTED = 50_000.0
GOAL_SPOOLED = 200_000.0
FIELDS = 20
COUNTERS = 9
ROUNDS = {Size.FULL: 5, Size.QUICK: 3, Size.TINY: 2}
PARCELS = {Size.FULL: 120, Size.QUICK: 40, Size.TINY: 4}
APPENDS_AT_ONCE = 4
START_MS = 1_800_000_000_000


def run(size: Size, step: Callable[[str], None]) -> list[Row]:
    """Format wide lines, spool them, take them out again, and both together as the recorder does."""
    step("spool, line protocol")
    readings = wide_readings(PARCEL_LINES)
    tags = [tag_set({"point": f"m{unit:05}", "kind": "electricity", "site": "s1"}) for unit in range(PARCEL_LINES)]
    formatted = [_rate(lambda: len(lines_of(readings, tags))) for _ in range(ROUNDS[size])]
    pointed = _rate(lambda: _as_points(readings, 500))
    body = "\n".join(lines_of(readings, tags)).encode()
    step("spool, disk")
    spooled, drained, stored = zip(
        *(asyncio.run(_spool(body, PARCELS[size])) for _ in range(ROUNDS[size])), strict=True
    )
    step("spool, both")
    both = [asyncio.run(_write(readings, PARCELS[size] // APPENDS_AT_ONCE)) for _ in range(ROUNDS[size])]
    wide = f"{FIELDS} fields, {len(body) / PARCEL_LINES:.0f} bytes a line"
    return [
        Row(
            NAME,
            "Readings to wide lines a second",
            "/s",
            Figure.of(formatted),
            goal=GOAL_FORMATTED,
            better=Better.MORE,
            note=f"{wide}; influxdb-client's Point: {pointed:,.0f}",
        ),
        Row(
            NAME,
            "Lines into the spool a second",
            "/s",
            Figure.of(spooled),
            goal=GOAL_SPOOLED,
            better=Better.MORE,
            note=f"on the disk (FULL) when counted, {PARCEL_LINES:,} a parcel; {stored[0]:.0f} bytes a line",
        ),
        Row(NAME, "Lines out of the spool a second", "/s", Figure.of(drained), better=Better.MORE),
        Row(
            NAME, "Readings accepted a second", "/s", Figure.of(both), better=Better.MORE, note="formatted and spooled"
        ),
    ]


def wide_readings(rows: int) -> Readings:
    """Readings of registers and of gauges with one decimal, of as many units as there are rows."""
    random = np.random.default_rng(1)
    counters = [quantity for quantity in Quantity if quantity.kind is Kind.COUNTER][:COUNTERS]
    gauges = [quantity for quantity in Quantity if quantity.kind is Kind.GAUGE][: FIELDS - COUNTERS]
    values = np.concatenate(
        [
            random.integers(0, 10**9, (rows, len(counters))).astype(np.float64),
            np.round(random.random((rows, len(gauges))) * 400, 1),
        ],
        axis=1,
    )
    fields = tuple(field_of(quantity) for quantity in (*counters, *gauges))
    status = np.zeros((rows, FIELDS), np.uint32)
    return Readings(Measurement.INST, fields, np.arange(rows), np.full(rows, START_MS), values, status)


def _rate(work: Callable[[], int]) -> float:
    began = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - began)


def _as_points(readings: Readings, rows: int) -> int:
    """The same by the client's own means."""
    for row in range(rows):
        point = (
            Point(readings.measurement.value).tag("point", f"m{row:05}").tag("kind", "electricity").tag("site", "s1")
        )
        for field, value in zip(readings.fields, readings.values[row].tolist(), strict=True):
            point.field(field, value)
        point.field(QUALITY_FIELD, 0).time(START_MS, "ms")
        point.to_line_protocol()
    return rows


async def _spool(body: bytes, parcels: int) -> tuple[float, float, float]:
    """Lines a second in and out, and bytes a line on the disk."""
    parcel = Parcel("influx", Measurement.INST, body, PARCEL_LINES, START_MS, START_MS)
    lines = parcels * PARCEL_LINES
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        async with Spool(Path(folder), ManualClock()) as spool:
            began = time.perf_counter()
            for _ in range(parcels // APPENDS_AT_ONCE):
                await asyncio.gather(*(spool.append([parcel]) for _ in range(APPENDS_AT_ONCE)))
            into = lines / (time.perf_counter() - began)
            state = await spool.state()
            if state.lines != lines:
                raise RuntimeError(f"{state.lines:,} of {lines:,} lines lie in the spool")
            began = time.perf_counter()
            while waiting := await spool.oldest("influx", 8):
                await spool.settle(Verdict(done=[one.id for one in waiting]))
            return into, lines / (time.perf_counter() - began), state.bytes / lines


async def _write(readings: Readings, times: int) -> float:
    """Readings a second from arrays to the disk."""
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        async with Spool(Path(folder), ManualClock()) as spool:
            writer = LineWriter(spool, ["influx"], lambda _: Tags("electricity", "s1"))
            await writer.series([NodeUid(f"m{unit:05}") for unit in range(PARCEL_LINES)])
            began = time.perf_counter()
            for _ in range(times):
                await writer.write([readings])
            return times * PARCEL_LINES / (time.perf_counter() - began)

"""Rollups of readings that only InfluxDB keeps, and what is written of them there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from address_space.model import NS, ManualClock, NodeUid, Plant, Quantity
from historian.api import Readings
from historian.calendar import Days, Width
from historian.forwarder import Forwarder
from historian.influx import InfluxQl, InfluxReader, InfluxServer, InfluxSink, LineWriter, ServerOptions, Tags
from historian.influx.query import quoted
from historian.rollups import Ratings, RollupLines, RollupOptions, Rollups
from historian.schema import Measurement
from historian.spool import Spool
from historian.sqlite import SqliteStore

IMPORT, EXPORT, VOLTAGE = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_ENERGY_EXPORT, Quantity.VOLTAGE
UNITS = [NodeUid(f"m{number}") for number in range(7)]
MIDNIGHT_MS = 1806188400_000
"""2027-03-27T23:00Z: the day of 23 hours in Berlin."""
QUARTER_MS, HOUR_MS = 900_000, 3_600_000
HOURS = 25
RESET_AT = 50


def readings(slot: int, ids: np.ndarray) -> list[Readings]:
    count = len(ids)
    time_ms = np.full(count, MIDNIGHT_MS + slot * QUARTER_MS)
    register = 777.0 * slot + np.arange(count) * 13.0
    if slot >= RESET_AT:
        register = register - 777.0 * RESET_AT
    energy = np.stack([register, np.full(count, 5000.0 + slot)], axis=1)
    volts = np.round(230.0 + np.sin(slot + np.arange(count)), 1)[:, None]
    bad = np.zeros((count, 2), np.uint32)
    if slot == 20:
        energy[3], bad[3] = np.nan, 0x80310000
    fields = (IMPORT.path, EXPORT.path)
    return [
        Readings(Measurement.ENERGY, fields, ids, time_ms, energy, bad),
        Readings(Measurement.INST, (VOLTAGE.path,), ids, time_ms, volts, np.zeros((count, 1), np.uint32)),
    ]


@pytest.fixture
def database(influxd) -> ServerOptions:
    made = ServerOptions(influxd.url, "rollups")
    InfluxQl(InfluxServer(made), "rollups").ask(f"CREATE DATABASE {quoted('rollups')}")
    return made


async def test_both_stores_give_the_same_rollups_and_influxdb_gets_lines_of_them(
    database: ServerOptions, tmp_path: Path
) -> None:
    clock = ManualClock(MIDNIGHT_MS * NS // 1000)
    days, ratings = Days(ZoneInfo("Europe/Berlin")), Ratings(Plant([], []))
    sink, reader = InfluxSink("influx", database), InfluxReader(database)
    store = SqliteStore(tmp_path / "embedded", clock)
    async with Spool(tmp_path / "spool", clock) as spool, store:
        writer = LineWriter(spool, ["influx"], lambda _uid: Tags("electricity", "north"))
        forwarder = Forwarder(spool, sink, clock)

        async def unread() -> int:
            return await spool.oldest_ms((Measurement.ENERGY, Measurement.INST))

        far = Rollups(tmp_path / "far", clock, reader, days, ratings, lines=RollupLines(writer), unread=unread)
        near = Rollups(tmp_path / "near", clock, store, days, ratings, RollupOptions())
        async with far, near:
            for rollups, behind in ((far, writer), (near, store)):
                tapped = rollups.tap(behind)
                ids = await tapped.series(UNITS)
                for slot in range(HOURS * 4 + 1):
                    await tapped.write(readings(slot, ids))
            clock.jump(HOURS * HOUR_MS / 1000 + 200)
            await far.catch_up()
            assert not await far.settled(UNITS, MIDNIGHT_MS, MIDNIGHT_MS + HOUR_MS), "nothing can be read back yet"
            for _ in range(2):
                await forwarder.drain()
                await far.catch_up()
            await near.catch_up()
            await forwarder.drain()
            await _same(far, near)
    await reader.close()
    await sink.close()
    (hours,) = InfluxQl(InfluxServer(database), "rollups").ask("SELECT * FROM energy_1h WHERE point = 'm2'")
    assert hours.column("time") == [MIDNIGHT_MS + hour * HOUR_MS for hour in range(HOURS)]
    assert hours.column("ActiveEnergyImportDelta")[:3] == [3.108, 3.108, 3.108]
    assert hours.column("ActiveEnergyImport")[:2] == [0.026, 3.134]
    (whole,) = InfluxQl(InfluxServer(database), "rollups").ask("SELECT * FROM energy_1d WHERE point = 'm2'")
    assert whole.column("time")[0] == MIDNIGHT_MS
    assert whole.column("ActiveEnergyExportDelta")[0] == 23 * 4 / 1000


async def _same(far: Rollups, near: Rollups) -> None:
    end_ms = MIDNIGHT_MS + HOURS * HOUR_MS
    figures: Sequence[str] = ("first", "last", "low", "high", "mean", "delta", "count")
    for quantity in (IMPORT, EXPORT, VOLTAGE):
        for width in (Width.HOUR, Width.DAY):
            theirs = await far.buckets_of_many(UNITS, quantity, MIDNIGHT_MS, end_ms, width)
            ours = await near.buckets_of_many(UNITS, quantity, MIDNIGHT_MS, end_ms, width)
            for one, other in zip(theirs, ours, strict=True):
                for name in figures:
                    found, wanted = getattr(one, name), getattr(other, name)
                    assert np.array_equal(found, wanted, equal_nan=True), (quantity, width, name)
    found = await near.buckets(UNITS[0], IMPORT, MIDNIGHT_MS, end_ms, Width.HOUR)
    assert found.delta[0] == 3.108

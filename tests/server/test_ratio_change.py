"""Instrument transformers that are exchanged while the hub runs: what the meter counted is booked, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import numpy as np
from asyncua import Client, ua

from address_space.model import GOOD, Batch, NodeUid, Quantity, SystemClock
from address_space.model.clock import NS, ManualClock
from historian.aggregates import Aggregate
from historian.api import HistoryReader
from historian.calendar import Width
from server.app import Hub
from tests.server.secondary import SECONDARY

ENERGY = Quantity.ACTIVE_ENERGY_IMPORT
M1 = NodeUid("m1")
PATIENCE_S = 240.0
CHANGE = datetime(2026, 11, 1, 14, 20, tzinfo=UTC)
QUARTER_MS, HOUR_MS = 900_000, 3_600_000


class Ahead(SystemClock):
    """The wall clock of a machine that is set while the hub runs."""

    ahead_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns


def plant(site, since: datetime) -> None:
    """One meter, whose current transformers were 30 and are 60."""
    site.write({"a": []}, plant="meters: meters.csv")
    folder = site.folder / "profiles" / "site"
    folder.mkdir(parents=True)
    (folder / "secondary.yaml").write_text(SECONDARY)
    (site.folder / "meters.csv").write_text(
        "id,parent,profile,channel,address,ct,ratio_since,ct_before\n"
        f"m1,f1,site/secondary,a,1,60,{since:%Y-%m-%dT%H:%M:%S},30\n"
    )


async def test_the_hour_of_the_change_books_what_the_meter_counted(site) -> None:
    plant(site, CHANGE)
    start_ms = round(CHANGE.timestamp() * 1000) // HOUR_MS * HOUR_MS - HOUR_MS
    clock = ManualClock(start_ms * NS // 1000)
    hub = Hub(site.draw(), clock)
    history = hub.history
    assert history is not None
    assert history.rollups is not None
    device = hub.pollers[0].target(hub.plant.unit_of[M1])
    handle = device.first_handle
    secondary_wh = 1_000_000.0
    async with history:
        for quarter in range(13):
            slot_ns = (start_ms + quarter * QUARTER_MS) * NS // 1000
            clock.jump((slot_ns - clock.now_ns()) / NS)
            ratio = hub.pollers[0].target(device.unit).ratio
            read = np.array([secondary_wh * ratio[0]])
            good = np.array([GOOD], np.uint32)
            hub.engine.apply([Batch(device.unit, np.array([handle]), read, good, slot_ns, slot_ns, slot_ns)])
            standing = slot_ns <= CHANGE.timestamp() * NS < slot_ns + QUARTER_MS * NS // 1000
            secondary_wh += 0.0 if standing else 100.0  # nothing flows while they are exchanged
        await history.recorder.flush()
        clock.jump(HOUR_MS / 1000)
        await history.rollups.catch_up()
        found = await history.rollups.buckets(M1, ENERGY, start_ms, start_ms + 3 * HOUR_MS, Width.HOUR)
        anomalies = await history.rollups.anomalies()
    assert found.delta.tolist() == [4 * 3.0, 3.0 + 2 * 6.0, 4 * 6.0]
    assert anomalies == []


async def test_a_running_hub_changes_the_ratio_at_its_time_and_tells_no_consumption_of_it(site) -> None:
    since = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    plant(site, since)
    clock = Ahead()
    hub = Hub(site.draw(), clock)
    reader = hub.history.reader if hub.history is not None else None
    assert reader is not None
    change_ms = round(since.timestamp() * 1000)
    stop, ready = asyncio.Event(), asyncio.Event()
    async with site.fleet(), asyncio.TaskGroup() as tasks:
        tasks.create_task(hub.run(stop, ready.set), name="hub")
        try:
            async with asyncio.timeout(PATIENCE_S):
                await ready.wait()
                await stored(reader, 0, 3)
                clock.ahead_ns = 3600 * NS
                await stored(reader, change_ms, 3)
                kept = await reader.read_raw(M1, ENERGY, 0, change_ms + HOUR_MS, 1000)
                booked = await consumption(site, int(kept.time_ms[0]), int(kept.time_ms[-1]))
        finally:
            stop.set()
    old = kept.time_ms < change_ms
    assert old.sum() >= 3
    assert kept.values[~old][0] > 1.9 * kept.values[old][-1] > 0
    counted = np.diff(np.where(old, kept.values * 2, kept.values))
    was = np.where(old[1:], 2.0, 1.0)
    assert abs(booked - float((counted / was).sum())) < 1e-6


async def stored(reader: HistoryReader, since_ms: int, count: int) -> None:
    """Return once so many readings since a time are in the history."""
    while len((await reader.read_raw(M1, ENERGY, since_ms, 1 << 52, count)).time_ms) < count:  # noqa: ASYNC110  # no event
        await asyncio.sleep(0.1)


async def consumption(site, begin_ms: int, end_ms: int) -> float:
    """DeltaBounds of one interval, as a client reads it."""
    begin, end = (datetime.fromtimestamp(at / 1000, UTC) for at in (begin_ms, end_ms))
    details = ua.ReadProcessedDetails(begin, end, float(end_ms - begin_ms), [ua.NodeId(Aggregate.DELTA_BOUNDS.value)])
    node = ua.HistoryReadValueId(ua.NodeId("m1.ActiveEnergyImport", 2), None, ua.QualifiedName(), None)
    asked = ua.HistoryReadParameters(details, ua.TimestampsToReturn.Both, False, [node])
    async with Client(f"opc.tcp://127.0.0.1:{site.port}", timeout=60) as client:
        (result,) = await client.uaclient.history_read(asked)
    (value,) = result.HistoryData.DataValues
    return float(value.Value.Value)

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from address_space.model import (
    NS,
    Batch,
    ManualClock,
    MeteringUnit,
    NodeUid,
    Plant,
    PointSpec,
    Quantity,
    Template,
    UnitHandle,
)
from historian.api import Readings, Row, SeriesIds
from historian.errors import StoreFull
from historian.recorder import Recorder
from historian.sqlite import SqliteStore, StoreOptions

IMPORT, EXPORT, POWER, VOLTAGE = (
    Quantity.ACTIVE_ENERGY_IMPORT,
    Quantity.ACTIVE_ENERGY_EXPORT,
    Quantity.ACTIVE_POWER,
    Quantity.VOLTAGE_L1,
)
T0 = 1_800_000_000
FOREVER = 2**60
METER = Template("meter", [PointSpec(IMPORT), PointSpec(EXPORT), PointSpec(POWER)])


def plant(*units: str, template: Template = METER) -> Plant:
    return Plant([], [MeteringUnit(NodeUid(unit), unit, None, template) for unit in units])


def batch(
    plant: Plant,
    unit: str,
    second: float,
    values: Sequence[float],
    *,
    offsets: Sequence[int] = (0, 1, 2),
    status: int = 0,
) -> Batch:
    handle = plant.unit_of[NodeUid(unit)]
    handles = plant.first_handle(handle) + np.array(offsets, np.int64)
    slot = int((T0 + second) * NS)
    codes = np.full(len(offsets), status, np.uint32)
    return Batch(UnitHandle(handle), handles, np.array(values, float), codes, slot + 5, slot + 6, slot)


async def stored(store: SqliteStore, unit: str, quantity: Quantity) -> list[tuple[float, float]]:
    found = await store.read_raw(NodeUid(unit), quantity, 0, FOREVER, 10_000)
    return [
        (time / 1000 - T0, value) for time, value in zip(found.time_ms.tolist(), found.values.tolist(), strict=True)
    ]


class GatedStore:
    """A real store behind a gate that can be shut."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.error: Exception | None = None
        self.writes = 0

    async def series(self, units: Sequence[NodeUid]) -> SeriesIds:
        return await self.store.series(units)

    async def write(self, readings: Sequence[Readings]) -> None:
        if self.error is not None:
            raise self.error
        self.writes += 1
        await self.store.write(readings)


async def test_readings_are_committed_within_a_second_without_a_flush(tmp_path: Path) -> None:
    clock, site = ManualClock(T0 * NS), plant("a", "b")
    async with SqliteStore(tmp_path, clock) as store, Recorder(store, site, clock) as recorder:
        recorder.offer(batch(site, "a", 0, [1000, 2000, 3000]))
        recorder.offer(batch(site, "b", 0, [5000, 6000, 7000]))
        assert recorder.counters.pending == 6
        await clock.advance(0.9)
        await recorder.flush()
        assert recorder.counters.committed == 6
        assert recorder.counters.lag_s == 0
        assert await stored(store, "a", POWER) == [(0, 3.0)]
        assert await stored(store, "b", IMPORT) == [(0, 5.0)]


async def test_the_interval_alone_commits(tmp_path: Path) -> None:
    clock, site = ManualClock(T0 * NS), plant("a")
    async with SqliteStore(tmp_path, clock) as store:
        gated = GatedStore(store)
        async with Recorder(gated, site, clock) as recorder:
            recorder.offer(batch(site, "a", 0, [1, 2, 3]))
            await clock.advance(0.4)
            assert gated.writes == 0
            assert recorder.counters.lag_s == pytest.approx(0.4)
            await clock.advance(0.2)
            async with asyncio.timeout(60):
                while not recorder.counters.committed:
                    await asyncio.to_thread(lambda: None)
            assert gated.writes == 1


async def test_close_writes_all_that_was_accepted(tmp_path: Path) -> None:
    clock, site = ManualClock(T0 * NS), plant("a")
    async with SqliteStore(tmp_path, clock) as store:
        async with Recorder(store, site, clock, commit_values=100) as recorder:
            for second in range(500):
                recorder.offer(batch(site, "a", second, [second, 0, 0]))
        assert recorder.counters.committed == 1500
        assert len(await stored(store, "a", IMPORT)) == 500
        recorder.offer(batch(site, "a", 999, [1, 1, 1]))
        assert recorder.counters.accepted == 1500


async def test_poll_classes_of_one_slot_meet_in_one_row(tmp_path: Path) -> None:
    clock, site = ManualClock(T0 * NS), plant("a")
    async with SqliteStore(tmp_path, clock) as store, Recorder(store, site, clock) as recorder:
        recorder.offer(batch(site, "a", 0, [1000], offsets=[0]))
        recorder.offer(batch(site, "a", 0, [np.nan, 300], offsets=[1, 2], status=0x80310000))
        recorder.offer(batch(site, "a", 0, [1001], offsets=[0]))
        await recorder.flush()
        assert await stored(store, "a", IMPORT) == [(0, 1.001)]
        found = await store.read_raw(NodeUid("a"), EXPORT, 0, FOREVER, 9)
        assert found.status.tolist() == [0x80310000]
        assert np.isnan(found.values).all()


async def test_what_is_not_to_be_recorded_and_small_moves_are_left_out(tmp_path: Path) -> None:
    template = Template(
        "sparse",
        [
            PointSpec(IMPORT),
            PointSpec(POWER, deadband=0.5, heartbeat_s=60.0),
            PointSpec(VOLTAGE, record=False),
        ],
    )
    clock, site = ManualClock(T0 * NS), plant("a", template=template)
    async with SqliteStore(tmp_path, clock) as store, Recorder(store, site, clock) as recorder:
        for second, watts in ((0, 1000), (10, 1400), (20, 1501), (30, 1100), (40, 1000), (100, 1000), (110, 1000)):
            recorder.offer(batch(site, "a", second, [second, watts, 230]))
        recorder.offer(batch(site, "a", 120, [120, 1000, 230], status=0x40940000))
        await recorder.flush()
        assert len(await stored(store, "a", IMPORT)) == 8
        assert await stored(store, "a", POWER) == [(0, 1.0), (20, 1.501), (40, 1.0), (100, 1.0), (120, 1.0)]
        assert await stored(store, "a", VOLTAGE) == []


async def test_gauges_are_refused_before_counters_when_the_store_stands_still(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, site = ManualClock(T0 * NS), plant("a")
    async with SqliteStore(tmp_path, clock) as store:
        gated = GatedStore(store)
        gated.error = StoreFull("no room", hint="make room")
        with caplog.at_level(logging.WARNING):
            async with Recorder(gated, site, clock, capacity_values=40) as recorder:
                for second in range(20):
                    recorder.offer(batch(site, "a", second, [second, second, second]))
                with pytest.raises(StoreFull, match="make room"):
                    await recorder.flush()
                assert recorder.fault is gated.error
                counters = recorder.counters
                assert (counters.accepted, counters.dropped_inst, counters.dropped_energy) == (40, 10, 10)
                gated.error = None
                await recorder.flush()
                assert recorder.fault is None
                recorder.offer(batch(site, "a", 30, [1, 1, 1]))
                await recorder.flush()
        assert [second for second, _ in await stored(store, "a", IMPORT)] == [*range(15), 30]
        assert [second for second, _ in await stored(store, "a", POWER)] == [*range(10), 30]
        assert caplog.text.count("history buffer full") == 1
        assert "history can be written again" in caplog.text


async def test_a_full_disk_keeps_readings_and_writes_them_when_there_is_room(tmp_path: Path) -> None:
    clock, site = ManualClock(T0 * NS), plant("a")
    async with (
        SqliteStore(tmp_path, clock, StoreOptions(max_file_mb=1)) as store,
        Recorder(store, site, clock) as recorder,
    ):
        values = np.random.default_rng(3).random((40_000, 3))
        for second, row in enumerate(values.tolist()):
            recorder.offer(batch(site, "a", second, row))
        with pytest.raises(StoreFull, match="hist-202701"):
            await recorder.flush()
        assert recorder.counters.pending == 120_000
        await store._write(lambda w: w.month("202701").connection.execute("PRAGMA max_page_count = 1000000").fetchall())
        await recorder.flush()
        assert recorder.counters.committed == 120_000
        assert len((await store.read_raw(NodeUid("a"), POWER, 0, FOREVER, 50_000)).values) == 40_000


async def test_what_the_store_refuses_for_good_does_not_block_the_rest(tmp_path: Path) -> None:
    clock, site = ManualClock(T0 * NS), plant("a")
    async with SqliteStore(tmp_path, clock) as store, Recorder(store, site, clock) as recorder:
        recorder.offer(batch(site, "a", -2 * T0, [1, 1, 1]))
        await recorder.flush()
        assert recorder.counters.lost == 3
        recorder.offer(batch(site, "a", 1, [1, 1, 1]))
        await recorder.flush()
        assert len(await stored(store, "a", IMPORT)) == 1


@pytest.mark.parametrize("lack", [MemoryError(), OSError(24, "Too many open files")])
async def test_what_the_machine_lacks_for_a_while_costs_no_reading(tmp_path: Path, lack: Exception) -> None:
    clock, site = ManualClock(T0 * NS), plant("a")
    async with SqliteStore(tmp_path, clock) as store:
        gated = GatedStore(store)
        async with Recorder(gated, site, clock) as recorder:
            gated.error = lack
            recorder.offer(batch(site, "a", 1, [1, 1, 1]))
            with pytest.raises(StoreFull, match=r"out of memory|too many open files"):
                await recorder.flush()
            gated.error = None
            await recorder.flush()
            assert (recorder.counters.lost, recorder.counters.committed) == (0, 3)
        assert len(await stored(store, "a", IMPORT)) == 1


async def test_a_new_plant_may_be_adopted_while_readings_of_the_old_one_wait(tmp_path: Path) -> None:
    clock, old, new = ManualClock(T0 * NS), plant("b"), plant("a", "b")
    async with SqliteStore(tmp_path, clock) as store, Recorder(store, old, clock) as recorder:
        recorder.offer(batch(old, "b", 0, [1000, 0, 0]))
        await recorder.adopt(new)
        recorder.offer(batch(new, "a", 1, [2000, 0, 0]))
        recorder.offer(batch(new, "b", 1, [3000, 0, 0]))
        await recorder.flush()
        assert await stored(store, "a", IMPORT) == [(1, 2.0)]
        assert await stored(store, "b", IMPORT) == [(0, 1.0), (1, 3.0)]


async def test_plain_rows_go_the_same_way(tmp_path: Path) -> None:
    clock, site = ManualClock(T0 * NS), plant("a")
    async with SqliteStore(tmp_path, clock) as store, Recorder(store, site, clock) as recorder:
        row = Row(
            NodeUid("virtual"),
            T0 * 1000,
            [POWER, IMPORT],
            np.array([1500.0, np.nan]),
            np.array([0, 0x80310000], np.uint32),
        )
        recorder.offer_row(row)
        await recorder.flush()
        assert await stored(store, "virtual", POWER) == [(0, 1.5)]
        assert (await store.read_raw(NodeUid("virtual"), IMPORT, 0, FOREVER, 9)).status.tolist() == [0x80310000]


async def test_two_recorders_of_the_same_slots_leave_one_reading_each(tmp_path: Path) -> None:
    clock, site = ManualClock(T0 * NS), plant("a")
    async with SqliteStore(tmp_path, clock) as store:
        for _ in range(2):
            async with Recorder(store, site, clock) as recorder:
                for second in range(100):
                    recorder.offer(batch(site, "a", second, [second, 0, 0]))
        assert len(await stored(store, "a", IMPORT)) == 100
    file = sqlite3.connect(tmp_path / "hist-202701.db")
    assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()


async def test_a_time_that_no_store_holds_takes_no_other_reading_with_it(tmp_path: Path) -> None:
    clock, site = ManualClock(T0 * NS), plant("a", "b")
    async with SqliteStore(tmp_path, clock) as store, Recorder(store, site, clock) as recorder:
        recorder.offer(batch(site, "a", 1, [1000, 1, 1]))
        recorder.offer(batch(site, "b", -2 * T0, [1, 1, 1]))
        for time_ms in (-1, 10**15):
            recorder.offer_row(Row(NodeUid("far"), time_ms, [POWER], np.array([1.0]), np.zeros(1, np.uint32)))
        recorder.offer(batch(site, "b", 2, [2000, 1, 1]))
        await recorder.flush()
        counters = recorder.counters
        assert (counters.accepted, counters.committed, counters.lost, counters.pending) == (11, 6, 5, 0)
        assert await stored(store, "a", IMPORT) == [(1, 1.0)]
        assert await stored(store, "b", IMPORT) == [(2, 2.0)]


async def test_a_clock_that_was_years_ahead_does_not_silence_the_heartbeat(tmp_path: Path) -> None:
    template = Template("calm", [PointSpec(POWER, deadband=1.0, heartbeat_s=60)])
    clock, site = ManualClock(T0 * NS), plant("a", template=template)
    async with SqliteStore(tmp_path, clock) as store, Recorder(store, site, clock) as recorder:
        for second in (0, 300_000_000, 100, 160):
            recorder.offer(batch(site, "a", second, [5], offsets=[0]))
        await recorder.flush()
        assert [time for time, _ in await stored(store, "a", POWER)] == [0, 100, 160, 300_000_000]

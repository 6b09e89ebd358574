"""The ledger against a plain book of what was read."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from address_space.model.clock import NS, ManualClock
from address_space.model.ids import NodeUid
from address_space.model.quality import Reason
from historian.api import Readings
from historian.calendar import Width
from historian.errors import StoreFull
from historian.gaps import Cause, Expected, Gap, GapLedger, Plan, UnitDay, book, periodic, scheduled
from historian.gaps.file import LedgerFile
from historian.schema import Measurement
from historian.sqlite import SqliteStore

QUARTER_MS = 900_000
ENERGY = Measurement.ENERGY
START_MS = round(datetime(2026, 11, 22, tzinfo=UTC).timestamp()) * 1000
HOUR_MS = 3_600_000
FIELDS = ("ActiveEnergyImport", "ActiveEnergyExport")
QUARTERS = Expected(periodic(ENERGY, QUARTER_MS), FIELDS)
PLAN: Plan = {NodeUid("a"): (QUARTERS,), NodeUid("b"): (QUARTERS,)}
TASHKENT = ZoneInfo("Asia/Tashkent")


def clock_at(time_ms: int) -> ManualClock:
    return ManualClock(time_ms * (NS // 1000))


@asynccontextmanager
async def ledger(folder: Path, clock: ManualClock, plan: Plan = PLAN) -> AsyncIterator[GapLedger]:
    async with GapLedger(folder, clock) as made:
        await made.adopt(plan)
        yield made


async def read(made: GapLedger, unit: str, times: list[int], status: list[tuple[int, int]] | None = None) -> None:
    """Readings of both fields at these times, good unless told otherwise."""
    series = np.repeat(await made.series([NodeUid(unit)]), len(times))
    given = np.array(status if status is not None else [(0, 0)] * len(times), np.uint32)
    values = np.where(given >> 31 == 1, np.nan, 1.0)
    await made.write([Readings(ENERGY, FIELDS, series, np.array(times, np.int64), values, given)])


def slots(first: int, last: int) -> list[int]:
    return [START_MS + number * QUARTER_MS for number in range(first, last)]


async def test_what_was_not_read_is_a_gap_with_its_slots(tmp_path: Path) -> None:
    clock = clock_at(START_MS)
    async with ledger(tmp_path, clock) as made:
        await clock.advance(8 * 3600)
        await read(made, "a", slots(0, 10) + slots(14, 31))
        await read(made, "b", slots(0, 31))
        assert await made.gaps(START_MS, START_MS + 8 * HOUR_MS) == [
            Gap(NodeUid("a"), ENERGY, "900 s", *[slots(10, 14)[place] for place in (0, -1)], 4, Cause.NOT_READ)
        ]


async def test_a_bad_entry_is_a_gap_and_what_the_meter_does_not_have_is_none(tmp_path: Path) -> None:
    clock = clock_at(START_MS)
    timeout, unsupported = Reason.TIMEOUT.status, Reason.NOT_SUPPORTED.status
    async with ledger(tmp_path, clock) as made:
        await clock.advance(3600)
        await read(made, "a", slots(0, 3), [(0, unsupported), (timeout, timeout), (0, timeout)])
        gaps = await made.gaps(START_MS, START_MS + HOUR_MS, [NodeUid("a")])
        assert [(gap.first_ms, gap.last_ms) for gap in gaps] == [tuple(slots(1, 3))]
        await read(made, "a", slots(1, 3))
        assert await made.gaps(START_MS, START_MS + HOUR_MS, [NodeUid("a")]) == []


async def test_a_hub_that_was_down_is_told_as_the_cause_and_the_new_unit_owes_nothing_of_before(tmp_path: Path) -> None:
    clock = clock_at(START_MS)
    async with ledger(tmp_path, clock) as made:
        await clock.advance(3600)
        await read(made, "a", slots(0, 4))
        await read(made, "b", slots(0, 4))
    await clock.advance(3 * 3600)
    plan = {NodeUid("a"): (QUARTERS,), NodeUid("c"): (QUARTERS,)}
    async with ledger(tmp_path, clock, plan) as made:
        await clock.advance(4 * 3600)
        await read(made, "a", slots(16, 32))
        await read(made, "c", slots(16, 32))
        gaps = await made.gaps(START_MS, START_MS + 9 * HOUR_MS)
        assert [(gap.point, gap.missing, gap.cause) for gap in gaps] == [
            (NodeUid("a"), 12, Cause.HUB_DOWN),
            (NodeUid("b"), 11, Cause.HUB_DOWN),
        ]


async def test_a_crash_loses_nothing_that_was_written(tmp_path: Path) -> None:
    clock = clock_at(START_MS)
    crashed = GapLedger(tmp_path, clock)
    await crashed.open()
    await crashed.adopt(PLAN)
    await clock.advance(3600)
    await read(crashed, "a", slots(0, 2))
    again = tmp_path / "again"
    again.mkdir()
    for name in ("gaps.db", "gaps.db-wal"):
        (again / name).write_bytes((tmp_path / name).read_bytes())
    await crashed.close()
    async with ledger(again, clock) as made:
        assert made.crashed
        await clock.advance(3600)
        gaps = await made.gaps(START_MS, START_MS + HOUR_MS, [NodeUid("a")])
        assert [(gap.first_ms, gap.cause) for gap in gaps] == list(
            zip(slots(2, 4), [Cause.NOT_READ, Cause.HUB_DOWN], strict=True)
        )
    async with GapLedger(again, clock, readonly=True) as looked:
        assert await looked.gaps(START_MS, START_MS + HOUR_MS, [NodeUid("a")]) == gaps


@pytest.mark.parametrize(("day", "quarters"), [("2026-03-29", 92), ("2026-10-25", 100), ("2026-11-22", 96)])
async def test_days_have_the_slots_that_pass_in_them(tmp_path: Path, day: str, quarters: int) -> None:
    zone = ZoneInfo("Europe/Berlin")
    begin = datetime.fromisoformat(day).replace(tzinfo=zone)
    begin_ms = round(begin.timestamp()) * 1000
    clock = clock_at(begin_ms - HOUR_MS)
    async with ledger(tmp_path, clock) as made:
        await clock.advance(48 * 3600)
        stored = [begin_ms + number * QUARTER_MS for number in range(0, quarters, 2)]
        await read(made, "a", stored)
        (told,) = await made.completeness(begin_ms, begin_ms + 1, Width.DAY, zone, [NodeUid("a")])
        assert (told.expected, told.stored, told.filled) == (quarters, quarters // 2, 0)
        (total,) = await made.completeness_of_all(begin_ms, begin_ms + 1, Width.DAY, zone)
        assert (total.expected, total.stored, total.share) == (2 * quarters, quarters // 2, 0.25)


async def test_the_last_24_hours_are_counted_while_it_is_kept_up(tmp_path: Path) -> None:
    clock = clock_at(START_MS)
    async with ledger(tmp_path, clock) as made:
        await clock.advance(26 * 3600)
        await read(made, "a", slots(0, 100))
        task = asyncio.ensure_future(made.upkeep())
        while not made.state.expected:  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (made.state.units, made.state.expected, made.state.stored, made.state.trouble) == (2, 2 * 95, 92, "")


async def counted_anew(made: GapLedger) -> None:
    """Return once the last 24 hours were counted."""
    counted = made.state
    task = asyncio.ensure_future(made.upkeep())
    while made.state == counted:  # noqa: ASYNC110  # what is waited for has no event
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("most_slots", [50_000, 7, 1])
async def test_the_last_24_hours_of_a_unit_tell_its_slots_and_its_newest_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_slots: int
) -> None:
    monkeypatch.setattr(book, "MOST_SLOTS", most_slots)
    clock = clock_at(START_MS)
    async with ledger(tmp_path, clock) as made:
        await clock.advance(12 * 3600)
        await read(made, "a", slots(0, 10) + slots(12, 20) + slots(25, 47))
        await made.filling(NodeUid("a"), np.array(slots(12, 14), np.int64))
        await read(made, "b", slots(0, 47))
        assert made.day_of(NodeUid("a")) is None
        await counted_anew(made)
        assert made.day_of(NodeUid("a")) == UnitDay(47, 40, 0, slots(20, 21)[0])
        assert made.day_of(NodeUid("b")) == UnitDay(47, 47, 0, 0)
        assert made.day_of(NodeUid("nobody")) is None
        await made.filling(NodeUid("a"), np.array(slots(20, 25), np.int64))
        await read(made, "a", slots(20, 25))
        await counted_anew(made)
        assert made.day_of(NodeUid("a")) == UnitDay(47, 45, 5, slots(10, 11)[0])


async def test_a_gap_longer_than_a_day_keeps_its_beginning_while_the_hub_watches_it(tmp_path: Path) -> None:
    clock = clock_at(START_MS)
    async with ledger(tmp_path, clock) as made:
        await read(made, "a", slots(0, 8))
        for _ in range(3):
            await clock.advance(12 * 3600)
            await counted_anew(made)
        day = made.day_of(NodeUid("a"))
        assert day is not None
        assert (day.missing, day.last_gap_ms) == (95, slots(8, 9)[0])
    async with ledger(tmp_path, clock) as made:
        await counted_anew(made)
        day = made.day_of(NodeUid("a"))
        assert day is not None
        assert day.last_gap_ms == slots(48, 49)[0]


async def test_a_damaged_file_is_kept_aside_and_the_ledger_begun_anew(tmp_path: Path) -> None:
    clock = clock_at(START_MS)
    async with ledger(tmp_path, clock) as made:
        await clock.advance(3600)
    (tmp_path / "gaps.db").write_bytes(b"not a database at all, whatever it is called" * 100)
    async with ledger(tmp_path, clock) as made:
        await clock.advance(3600)
        assert {gap.first_ms for gap in await made.gaps(START_MS, START_MS + 2 * HOUR_MS)} == set(slots(4, 5))
    assert [name for name in os.listdir(tmp_path) if "damaged" in name]


async def test_what_was_stored_and_not_noted_before_a_crash_is_found_in_the_store(tmp_path: Path) -> None:
    clock = clock_at(START_MS)
    crashed = GapLedger(tmp_path / "crashed", clock)
    await crashed.open()
    await crashed.adopt(PLAN)
    await clock.advance(3600)
    await read(crashed, "a", slots(0, 2))
    shutil.copytree(tmp_path / "crashed", tmp_path / "again")
    await crashed.close()
    async with SqliteStore(tmp_path / "store", clock) as store, ledger(tmp_path / "again", clock) as made:
        for unit, status in (("a", (0, 0)), ("b", (0, Reason.TIMEOUT.status))):
            series = np.repeat(await store.series([NodeUid(unit)]), 3)
            given = np.array([status] * 3, np.uint32)
            values = np.where(given >> 31 == 1, np.nan, 1.0)
            await store.write([Readings(ENERGY, FIELDS, series, np.array(slots(0, 3), np.int64), values, given)])
        assert made.crashed
        await made.reconcile(store, PLAN)
        await clock.advance(3600)
        gaps = await made.gaps(START_MS, START_MS + HOUR_MS - QUARTER_MS)
        assert [(gap.point, gap.first_ms, gap.last_ms) for gap in gaps] == [
            (NodeUid("b"), slots(0, 1)[0], slots(2, 3)[0])
        ]


async def test_a_disk_that_does_not_take_it_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = clock_at(START_MS)

    def full(*_: object) -> None:
        raise StoreFull("history cannot be written")

    async with ledger(tmp_path, clock) as made:
        await clock.advance(3600)
        with monkeypatch.context() as patched:
            patched.setattr(LedgerFile, "note", full)
            await read(made, "a", slots(0, 3))
            assert "cannot be written" in made.state.trouble
            assert await made.gaps(START_MS, START_MS + HOUR_MS, [NodeUid("a")]) == []
        await read(made, "b", slots(0, 3))
        assert made.state.trouble == ""
    async with ledger(tmp_path, clock) as made:
        assert await made.gaps(START_MS, START_MS + HOUR_MS - QUARTER_MS) == []


class EverySixHours:
    def slots_ms(self, start_ms: int, end_ms: int) -> np.ndarray:
        first = -(-start_ms // (6 * HOUR_MS)) * 6 * HOUR_MS
        return np.arange(first, end_ms, 6 * HOUR_MS, dtype=np.int64)


async def test_slots_of_a_schedule_outlive_the_schedule_and_count_only_readings_of_their_own(tmp_path: Path) -> None:
    clock = clock_at(START_MS)
    plan = {NodeUid("a"): (Expected(scheduled(ENERGY, "shift", EverySixHours(), 60_000), FIELDS),)}
    async with ledger(tmp_path, clock, plan) as made:
        await clock.advance(24 * 3600)
        await read(made, "a", [START_MS, START_MS + 6 * HOUR_MS + 1000])
    async with ledger(tmp_path, clock, {}) as made:
        (gap,) = await made.gaps(START_MS, START_MS + 30 * HOUR_MS)
        assert (gap.first_ms, gap.last_ms, gap.missing) == (START_MS + 6 * HOUR_MS, START_MS + 18 * HOUR_MS, 3)


async def test_what_is_filled_or_lacking_is_told_apart(tmp_path: Path) -> None:
    clock = clock_at(START_MS)
    point = NodeUid("a")
    async with ledger(tmp_path, clock) as made:
        await clock.advance(2 * 3600)
        await read(made, "a", slots(0, 2))
        await made.filling(point, np.array(slots(1, 4), np.int64))
        await read(made, "a", slots(2, 4))
        await made.lacking(point, QUARTERS.track, np.array(slots(4, 5), np.int64))
        (told,) = await made.completeness(START_MS, START_MS + 1, Width.DAY, ZoneInfo("UTC"), [point])
        assert (told.expected, told.stored, told.filled) == (7, 4, 2)
        gaps = await made.gaps(START_MS, START_MS + 2 * HOUR_MS, [point])
        assert [(gap.cause, gap.missing) for gap in gaps] == [(Cause.LACKING, 1), (Cause.NOT_READ, 2)]
        ((_, _, missing),) = await made.missing(START_MS, START_MS + 2 * HOUR_MS, [point])
        assert missing.tolist() == slots(5, 7)


async def test_missing_slots_are_counted_by_unit_as_they_were_expected_at_a_time(tmp_path: Path) -> None:
    clock = clock_at(START_MS)
    async with ledger(tmp_path, clock) as made:
        await read(made, "a", slots(0, 4))
        await clock.advance(4 * 3600)
        await read(made, "b", slots(2, 6))
        await made.lacking(NodeUid("b"), QUARTERS.track, np.array(slots(0, 2), np.int64))
        units = [NodeUid("b"), NodeUid("nobody"), NodeUid("a")]
        then_ms = START_MS + 3 * HOUR_MS
        for as_of_ms in (then_ms, clock.now_ns() // 1_000_000):
            counts = await made.missing_counts(START_MS, START_MS + 30 * HOUR_MS, units, as_of_ms)
            for unit, (missing, lacking, _) in zip(units, counts.tolist(), strict=True):
                for again, expected in ((True, missing), (False, missing - lacking)):
                    found = await made.missing(
                        START_MS, START_MS + 30 * HOUR_MS, [unit], again=again, as_of_ms=as_of_ms
                    )
                    assert sum(len(each) for _, _, each in found) == expected
            assert counts[0, 1] == 2
            assert counts[1].tolist() == [0, 0, 0]
            assert (counts[:, 2] >= counts[:, 0]).all()
        later = await made.missing_counts(START_MS, START_MS + 30 * HOUR_MS, units, then_ms)
        assert later[2, 0] < counts[2, 0]


async def test_a_slot_that_is_found_in_the_history_is_missing_no_more(tmp_path: Path) -> None:
    clock = clock_at(START_MS)
    async with ledger(tmp_path, clock) as made:
        await clock.advance(2 * 3600)
        every = np.array(slots(0, 4), np.int64)
        await made.lacking(NodeUid("a"), QUARTERS.track, every)
        await made.stored(NodeUid("a"), QUARTERS.track, every)
        assert await made.gaps(START_MS, START_MS + HOUR_MS, [NodeUid("a")]) == []

"""Slots of schedules: noted once, told for ever, and as the schedules are now for days to come."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from address_space.model.clock import NS, ManualClock
from address_space.model.ids import NodeUid
from drivers.slots import every
from historian.api import Readings
from historian.errors import StoreFull
from historian.gaps import Expected, GapLedger, Plan, SlotSource, book, periodic, scheduled
from historian.gaps.file import LedgerFile
from historian.schema import Measurement

ENERGY = Measurement.ENERGY
FIELDS = ("ActiveEnergyImport",)
UNIT = NodeUid("a")
DAY_S = 86_400
HOUR_MS = 3_600_000
START_MS = round(datetime(2026, 11, 22, tzinfo=UTC).timestamp()) * 1000


@dataclass
class Hours:
    """Every so many hours from one of them on; counts how often it was asked for a day."""

    step: int
    first: int = 0
    asked: list[int] = field(default_factory=list)

    def slots_ms(self, start_ms: int, end_ms: int) -> np.ndarray:
        self.asked.append(start_ms)
        step_ms, first_ms = self.step * HOUR_MS, self.first * HOUR_MS
        begin = -(-(start_ms - first_ms) // step_ms) * step_ms + first_ms
        return np.arange(begin, end_ms, step_ms, dtype=np.int64)


def plan(source: SlotSource, name: str = "shift") -> Plan:
    return {UNIT: (Expected(scheduled(ENERGY, name, source, 60_000), FIELDS),)}


@asynccontextmanager
async def ledger(folder: Path, clock: ManualClock, wanted: Plan, keep_days: int = 0) -> AsyncIterator[GapLedger]:
    async with GapLedger(folder, clock, keep_days=keep_days) as made:
        await made.adopt(wanted)
        yield made


async def read(made: GapLedger, times: list[int]) -> None:
    series = np.repeat(await made.series([UNIT]), len(times))
    ones = np.ones((len(times), 1))
    good = np.zeros((len(times), 1), np.uint32)
    await made.write([Readings(ENERGY, FIELDS, series, np.array(times, np.int64), ones, good)])


async def missing(made: GapLedger, start_ms: int, end_ms: int) -> list[int]:
    return [slot for _, _, slots in await made.missing(start_ms, end_ms, [UNIT]) for slot in slots.tolist()]


async def test_each_day_is_noted_once_however_long_a_hub_runs_and_however_little_is_kept(tmp_path: Path) -> None:
    clock = ManualClock(START_MS * (NS // 1000))
    hours = Hours(6)
    async with ledger(tmp_path, clock, plan(hours)):
        pass
    async with ledger(tmp_path, clock, plan(hours), keep_days=5) as made:
        for _ in range(40):
            await clock.advance(DAY_S)
            for _ in range(3):
                await made._guarded(made._kept_up)  # what its upkeep does each minute
        days = [start_ms for start_ms in hours.asked if start_ms > START_MS + 15 * DAY_S * 1000]
        assert len(days) == len(set(days))


async def test_days_that_a_hub_was_down_before_its_schedules_changed_are_gaps(tmp_path: Path) -> None:
    clock = ManualClock(START_MS * (NS // 1000))
    async with ledger(tmp_path, clock, plan(Hours(6), "old")):
        await clock.advance(3600)
    await clock.advance(3 * DAY_S)
    async with ledger(tmp_path, clock, plan(Hours(8), "new")) as made:
        down_until = clock.now_ns() // (NS // 1000)
        await clock.advance(DAY_S)
        old = [START_MS + 6 * HOUR_MS * nth for nth in range(13)]
        new = [START_MS + 8 * HOUR_MS * nth for nth in range(20)]
        now = down_until + DAY_S * 1000
        expected = sorted(old + [slot for slot in new if down_until <= slot < now - 60_000])
        assert sorted(await missing(made, START_MS, now)) == expected


async def test_a_leap_of_the_clock_by_years_does_not_hold_the_start_up(tmp_path: Path) -> None:
    clock = ManualClock(START_MS * NS // 1000)
    async with ledger(tmp_path, clock, plan(Hours(1))):
        await clock.advance(DAY_S)
    clock.jump(10 * 365 * DAY_S)
    source = Hours(1)
    async with ledger(tmp_path, clock, plan(source)):
        assert len(set(source.asked)) < 100


async def test_days_to_come_follow_the_schedules_as_they_are_now(tmp_path: Path) -> None:
    clock = ManualClock(START_MS * (NS // 1000))
    async with ledger(tmp_path, clock, plan(Hours(6))):
        await clock.advance(3600)
    async with ledger(tmp_path, clock, plan(Hours(6, first=1))) as made:
        await clock.advance(2 * DAY_S)
        tomorrow = START_MS + DAY_S * 1000
        slots = [tomorrow + HOUR_MS * hour for hour in (1, 7, 13, 19)]
        assert await missing(made, tomorrow, tomorrow + DAY_S * 1000) == slots
        await read(made, slots[:2])
        assert await missing(made, tomorrow, tomorrow + DAY_S * 1000) == slots[2:]


async def test_a_day_in_which_something_was_read_already_keeps_its_slots(tmp_path: Path) -> None:
    clock = ManualClock((START_MS + 25 * HOUR_MS) * (NS // 1000))
    tomorrow = START_MS + DAY_S * 1000
    async with ledger(tmp_path, clock, plan(Hours(6))) as made:
        await read(made, [tomorrow])
    back = ManualClock((START_MS + HOUR_MS) * (NS // 1000))  # the clock was ahead by a day
    async with ledger(tmp_path, back, plan(Hours(6, first=1))):
        pass
    async with ledger(tmp_path, clock, plan(Hours(6))) as made:
        await clock.advance(DAY_S)
        first = (await made.gaps(tomorrow, tomorrow + DAY_S * 1000))[0].first_ms
        assert first == tomorrow + 6 * HOUR_MS


async def test_a_journal_that_is_never_written_takes_no_more_memory_than_it_may_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "MOST_PENDING", 50)
    clock = ManualClock(START_MS * (NS // 1000))
    slots = [START_MS + 6 * HOUR_MS * nth for nth in range(1, 400)]
    folder = tmp_path / "ledger"
    async with ledger(folder, clock, plan(Hours(6))) as made:

        def refuse(*_: object, **__: object) -> None:
            raise StoreFull("no room", where="here")

        with monkeypatch.context() as full:
            full.setattr(LedgerFile, "note", refuse)
            full.setattr(LedgerFile, "save", refuse)
            for slot in slots:
                await clock.advance(6 * 3600)
                await read(made, [slot])
            assert made._book.thing is not None
            waiting = made._book.thing._pending
            assert sum(len(entry.rows) for entry in waiting) + len(waiting) <= 60
        await clock.advance(6 * 3600)
        await read(made, [slots[-1] + 6 * HOUR_MS])
        shutil.copytree(folder, tmp_path / "killed")
    async with ledger(tmp_path / "killed", clock, plan(Hours(6))) as made:
        await clock.advance(3600)
        assert await missing(made, START_MS + HOUR_MS, slots[-1] + 7 * HOUR_MS) == []


async def test_runs_of_the_hub_are_forgotten_with_the_days_in_which_they_were(tmp_path: Path) -> None:
    clock = ManualClock(START_MS * (NS // 1000))
    for _ in range(30):
        async with ledger(tmp_path, clock, plan(Hours(6)), keep_days=5) as made:
            await made._guarded(made._kept_up)
            await clock.advance(DAY_S)
    async with ledger(tmp_path, clock, plan(Hours(6)), keep_days=5) as made:
        await made._guarded(made._kept_up)
        assert made._book.thing is not None
        assert len(made._book.thing.runs) <= 8
        assert await made._book.run(lambda known: known.file.runs()) == made._book.thing.runs


async def test_what_is_read_every_few_seconds_hides_no_gap_of_what_is_read_each_minute(tmp_path: Path) -> None:
    clock = ManualClock(START_MS * (NS // 1000))
    often, seldom = ("VoltageL1",), ("CurrentL1",)
    wanted = Expected(periodic(Measurement.INST, 10_000), often), Expected(periodic(Measurement.INST, 60_000), seldom)
    async with ledger(tmp_path, clock, {UNIT: wanted}) as made:
        series = await made.series([UNIT])
        for minute in range(5):
            at, one, good = np.array([START_MS + minute * 60_000]), np.ones((1, 1)), np.zeros((1, 1), np.uint32)
            await made.write([Readings(Measurement.INST, often, series, at, one, good)])
        await clock.advance(600)
        gaps = await made.gaps(START_MS, START_MS + 300_000)
        assert [(gap.track, gap.missing) for gap in gaps] == [("60 s", 5)]


async def test_a_unit_goes_from_one_track_to_another_in_one_commit(tmp_path: Path) -> None:
    clock = ManualClock(START_MS * (NS // 1000))
    said: list[str] = []
    async with ledger(tmp_path, clock, {**plan(Hours(6)), NodeUid("b"): plan(Hours(4), "other")[UNIT]}) as made:
        await clock.advance(3600)
        await made._book.run(lambda known: known.file._db.set_trace_callback(said.append))
        await made.adopt({UNIT: plan(Hours(4), "other")[UNIT], NodeUid("c"): plan(Hours(6))[UNIT]})
        await made._book.run(lambda known: known.file._db.set_trace_callback(None))
    changes = [place for place, text in enumerate(said) if "duty" in text and not text.startswith("SELECT")]
    assert len(changes) == 4
    assert not [text for text in said[changes[0] : changes[-1]] if text.startswith(("COMMIT", "BEGIN"))]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu"])
@pytest.mark.parametrize("minutes", [15, 60, 240])
async def test_nights_when_clocks_change_have_the_slots_that_a_walk_through_every_minute_finds(
    tmp_path: Path, zone: str, minutes: int
) -> None:
    local = ZoneInfo(zone)
    for month, day in ((3, 7), (3, 28), (4, 4), (10, 3), (10, 24), (10, 31)):
        start = datetime(2026, month, day, tzinfo=UTC)
        folder = tmp_path / f"{month}-{day}"
        clock = ManualClock(int(start.timestamp()) * NS)
        async with ledger(folder, clock, plan(_Calendar(every(minutes * 60, local)), zone)) as made:
            await clock.advance(3 * DAY_S)
            first_ms = int(start.timestamp()) * 1000
            found = await missing(made, first_ms, first_ms + 3 * DAY_S * 1000)
        assert found == walked(start, minutes, local, 3 * DAY_S // 60 - 2)


class _Calendar:
    def __init__(self, slots: object) -> None:
        self._slots = slots

    def slots_ms(self, start_ms: int, end_ms: int) -> np.ndarray:
        found, slot_s = [], self._slots.after(start_ms // 1000 - 1)  # type: ignore[attr-defined]
        while slot_s * 1000 < end_ms:
            found.append(slot_s * 1000)
            slot_s = self._slots.after(slot_s)  # type: ignore[attr-defined]
        return np.array(found, np.int64)


def walked(start: datetime, minutes: int, zone: ZoneInfo, count: int) -> list[int]:
    """Minute by minute: up to an hour each local time that divides, and longer ones the first time the hands pass."""
    found: list[int] = []
    passed = (start - timedelta(hours=26)).astimezone(zone).replace(tzinfo=None)
    for nth in range(-26 * 60, count):
        moment = start + timedelta(minutes=nth)
        wall = moment.astimezone(zone).replace(tzinfo=None)
        if minutes <= 60:
            hit = (wall.hour * 60 + wall.minute) % minutes == 0
        else:
            walls = (
                passed + timedelta(minutes=step) for step in range(1, int((wall - passed).total_seconds() // 60) + 1)
            )
            hit = any((each.hour * 60 + each.minute) % minutes == 0 for each in walls)
        passed = max(passed, wall)
        if hit and nth >= 0:
            found.append(round(moment.timestamp()) * 1000)
    return found

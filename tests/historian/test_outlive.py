"""Rollups and the gap ledger outlive leaps of the clock, and hands that take their files away under a running hub."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from address_space.model import NS, ManualClock, NodeUid, Plant, PointSpec, Quantity, Template
from address_space.model.hierarchy import MeteringUnit
from historian.api import Readings
from historian.calendar import Days, Width
from historian.errors import StoreFull
from historian.gaps import Expected, GapLedger, Plan, periodic
from historian.leap import DOUBT_DAYS, LeapGuard
from historian.rollups import Ratings, RollupOptions, Rollups
from historian.schema import Measurement
from historian.sqlite import SqliteStore

IMPORT = Quantity.ACTIVE_ENERGY_IMPORT
HOUR, DAY, HOUR_WH = 3_600_000, 86_400_000, 4000.0
T0 = 20_000 * DAY
M1 = NodeUid("m1")
PLAN: Plan = {M1: (Expected(periodic(Measurement.ENERGY, HOUR), (IMPORT.path,)),)}
KEPT_DAYS = 30
SIDES = ("", "-wal", "-shm")

Taking = Callable[[Path], None]


class Bench:
    """Rollups and ledger over one store, as the hub has them; the clock is set by the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(T0 * (NS // 1000))
        self.guard = LeapGuard(folder)
        self.store = SqliteStore(folder.parent / "readings", self.clock, guard=self.guard)
        plant = Plant([], [MeteringUnit(M1, M1, None, Template("meter", [PointSpec(IMPORT)]))])
        options = RollupOptions(keep_days_hour=KEPT_DAYS)
        days = Days(ZoneInfo("UTC"))
        self.rollups = Rollups(folder, self.clock, self.store, days, Ratings(plant), options, guard=self.guard)
        self.ledger = GapLedger(folder, self.clock, keep_days=KEPT_DAYS, guard=self.guard)
        self.writer = self.rollups.tap(self.store)

    async def put(self, first_hour: int, hours: int) -> None:
        """A reading each hour."""
        numbers = np.arange(first_hour, first_hour + hours)
        values, status = (numbers * HOUR_WH)[:, None], np.zeros((hours, 1), np.uint32)
        for writer in (self.writer, self.ledger):
            series = np.repeat(await writer.series([M1]), hours)
            times = T0 + numbers.astype(np.int64) * HOUR
            await writer.write([Readings(Measurement.ENERGY, (IMPORT.path,), series, times, values, status)])

    async def kept_up(self, time_ms: int) -> None:
        """What goes on at times, at this time of the clock."""
        self.clock.jump((time_ms * (NS // 1000) - self.clock.now_ns()) / NS)
        await self.rollups.catch_up()
        await self.ledger._guarded(self.ledger._kept_up)
        assert self.ledger.state.trouble == ""

    async def hours(self, first_hour: int, hours: int) -> list[float]:
        begin = T0 + first_hour * HOUR
        found = await self.rollups.buckets(M1, IMPORT, begin, begin + hours * HOUR, Width.HOUR)
        return [float(value) for value in found.delta]

    async def missing(self, first_hour: int, hours: int) -> int:
        begin = T0 + first_hour * HOUR
        return sum(
            (gap.last_ms - gap.first_ms) // HOUR + 1 for gap in await self.ledger.gaps(begin, begin + hours * HOUR)
        )


@asynccontextmanager
async def opened(folder: Path, now_ms: int = T0) -> AsyncIterator[Bench]:
    bench = Bench(folder)
    bench.clock.jump((now_ms - T0) / 1000)
    async with bench.store, bench.rollups, bench.ledger:
        await bench.ledger.adopt(PLAN)
        yield bench


async def test_a_clock_that_is_years_ahead_gives_up_nothing_until_it_has_run_on_for_a_week(tmp_path: Path) -> None:
    whole, ahead = [HOUR_WH / 1000] * 48, 500
    async with opened(tmp_path / "history") as bench:
        await bench.put(0, 49)
        await bench.kept_up(T0 + 2 * DAY + HOUR)
        for away in (ahead, -ahead, 2 * ahead, 2 * ahead + 3, 3):
            await bench.kept_up(T0 + away * DAY)
            assert await bench.hours(0, 48) == whole, away
            assert not await bench.missing(0, 48), away
        first = 2 * ahead + 10
        for day in range(first, first + DOUBT_DAYS + 1):
            assert await bench.hours(0, 48) == whole
            assert not await bench.missing(0, 48)
            await bench.kept_up(T0 + day * DAY)
        assert np.isnan(await bench.hours(0, 48)).all()
        assert await bench.missing(0, 48), "what is forgotten counts as missing"


async def test_what_is_too_old_goes_day_by_day(tmp_path: Path) -> None:
    async with opened(tmp_path / "history") as bench:
        await bench.put(0, 49)
        for day in range(2, KEPT_DAYS + 3):
            await bench.kept_up(T0 + day * DAY + HOUR)
        assert np.isnan(await bench.hours(0, 48)).tolist() == [True] * 24 + [False] * 24
        assert (await bench.rollups.buckets(M1, IMPORT, T0, T0 + DAY, Width.DAY)).delta[0] == 24 * HOUR_WH / 1000


def unlinked(folder: Path) -> None:
    for name in ("rollups.db", "gaps.db"):
        for side in SIDES:
            (folder / f"{name}{side}").unlink(missing_ok=True)


def unlinked_without_their_logs(folder: Path) -> None:
    for name in ("rollups.db", "gaps.db"):
        (folder / name).unlink()


def with_the_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def replaced(folder: Path) -> None:
    """By files of something else, as a wrong restore does."""
    for name in ("rollups.db", "gaps.db"):
        other = folder / f"other-{name}"
        with closing(sqlite3.connect(other)) as connection:
            connection.execute("CREATE TABLE unit(n INTEGER PRIMARY KEY, uid TEXT)")
            connection.executemany("INSERT INTO unit VALUES (?, ?)", ((n, "x" * 500) for n in range(1, 500)))
            connection.commit()
        other.replace(folder / name)


@pytest.mark.parametrize("taken", [unlinked, unlinked_without_their_logs, with_the_folder, replaced])
async def test_files_that_are_taken_away_under_the_hub_come_back_with_all_they_held(
    tmp_path: Path, taken: Taking
) -> None:
    folder = tmp_path / "history"
    async with opened(folder) as bench:
        await bench.put(0, 25)
        await bench.kept_up(T0 + DAY + HOUR)
        taken(folder)
        await bench.put(25, 24)
        await bench.kept_up(T0 + 2 * DAY + HOUR)
        assert await bench.hours(0, 48) == [HOUR_WH / 1000] * 48
        assert not await bench.missing(0, 48)
        for name in ("rollups.db", "gaps.db"):
            with closing(sqlite3.connect(folder / name)) as beside:
                assert beside.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            if taken is replaced:
                with closing(sqlite3.connect(folder / f"{name}.damaged-1")) as aside:
                    assert aside.execute("SELECT COUNT(*) FROM unit").fetchone() == (499,)
        await bench.put(49, 24)
        await bench.kept_up(T0 + 3 * DAY + HOUR)
    async with opened(folder, T0 + 3 * DAY + HOUR) as bench:
        assert not bench.ledger.crashed
        assert await bench.hours(0, 72) == [HOUR_WH / 1000] * 72
        assert not await bench.missing(0, 72)


async def test_while_they_cannot_be_written_out_again_what_is_open_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    async with opened(folder) as bench:
        await bench.put(0, 25)
        await bench.kept_up(T0 + DAY + HOUR)
        shutil.rmtree(folder)
        await asyncio.to_thread(folder.write_bytes, b"a file stands where the folder was")
        await bench.put(25, 24)
        assert "history" in bench.ledger.state.trouble
        bench.clock.jump(86_400)
        await bench.rollups.catch_up()
        assert await bench.hours(0, 48) == [HOUR_WH / 1000] * 48
        await asyncio.to_thread(folder.unlink)
        await bench.kept_up(T0 + 2 * DAY + HOUR)
    async with opened(folder, T0 + 2 * DAY + HOUR) as bench:
        assert await bench.hours(0, 48) == [HOUR_WH / 1000] * 48
        assert not await bench.missing(0, 48)


async def test_a_hub_that_stops_leaves_whole_files_without_logs(tmp_path: Path) -> None:
    async with opened(tmp_path / "history") as bench:
        await bench.put(0, 25)
        await bench.kept_up(T0 + DAY + HOUR)
    assert not [name for name in os.listdir(tmp_path / "history") if name.endswith(("-wal", "-shm"))]


@pytest.mark.parametrize("name", ["rollups.db", "gaps.db"])
async def test_of_damaged_files_the_newest_three_are_kept(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "history"
    for number in range(5):
        folder.mkdir(exist_ok=True)
        await asyncio.to_thread((folder / name).write_bytes, f"damage {number} ".encode() * 500)
        async with opened(folder):
            pass
    kept = sorted(each for each in os.listdir(folder) if each.startswith(f"{name}.damaged") and each[-1].isdigit())
    assert kept == [f"{name}.damaged-{number}" for number in (3, 4, 5)]


@pytest.mark.parametrize("name", ["rollups.db", "gaps.db"])
async def test_a_damaged_file_that_cannot_be_put_aside_says_so_in_the_hubs_words(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "history"
    for number in range(1, 4):
        (folder / f"{name}.damaged-{number}").mkdir(parents=True)
    await asyncio.to_thread((folder / name).write_bytes, b"no database at all" * 500)
    with pytest.raises(StoreFull, match="cannot be kept"):
        async with opened(folder):
            pass

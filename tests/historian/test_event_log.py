"""The log of events: order, pages, bounds, and what happens when it cannot write."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import astuple
from functools import partial
from pathlib import Path

import pytest

from address_space.model.clock import ManualClock
from historian.errors import StoreClosed, StoreFull
from historian.events import FILE, EventLog, StoredEvent


def event(time_ns: int, source: str = "m1", body: bytes = b"") -> StoredEvent:
    return StoredEvent(time_ns, source, body or str(time_ns).encode())


async def filled(log: EventLog, *events: StoredEvent) -> None:
    for one in events:
        log.offer(partial(StoredEvent, *astuple(one)))
    await log.flush()


def times(found: list[StoredEvent]) -> list[int]:
    return [one.time_ns for one in found]


async def test_events_come_back_in_the_order_of_time_and_in_pages(tmp_path: Path) -> None:
    async with EventLog(tmp_path, ManualClock()) as log:
        await filled(log, *(event(time) for time in (30, 10, 20, 20, 40)))
        assert times(await log.read(10, 40, 100)) == [10, 20, 20, 30]
        assert times(await log.read(10, 41, 3, newest_first=True)) == [40, 30, 20]
        for backward in (False, True):
            whole = await log.read(0, 100, 100, newest_first=backward)
            paged: list[StoredEvent] = []
            while page := await log.read(0, 100, 2, newest_first=backward, after=paged[-1].place if paged else None):
                paged += page
            assert paged == whole


async def test_events_of_some_sources_alone(tmp_path: Path) -> None:
    async with EventLog(tmp_path, ManualClock()) as log:
        await filled(log, event(1, "a"), event(2, "b"), event(3, "a"), event(9, "c"))
        assert sorted(await log.sources(0, 5)) == ["a", "b"]
        assert times(await log.read(0, 10, 10, sources=["a", "c"])) == [1, 3, 9]
        assert await log.read(0, 10, 10, sources=[]) == []


async def test_what_was_flushed_is_there_after_a_restart(tmp_path: Path) -> None:
    async with EventLog(tmp_path, ManualClock()) as log:
        await filled(log, event(1))
        log.offer(lambda: event(2))
    async with EventLog(tmp_path, ManualClock()) as log:
        assert times(await log.read(0, 10, 10)) == [1, 2]


async def test_the_oldest_give_way_where_there_are_too_many(tmp_path: Path) -> None:
    async with EventLog(tmp_path, ManualClock(), kept=100) as log:
        for first in range(0, 300, 50):
            await filled(log, *(event(time) for time in range(first, first + 50)))
        kept = times(await log.read(0, 1000, 1000))
        assert kept == list(range(200, 300))


async def test_events_wait_while_the_file_is_held_and_are_refused_when_there_is_no_room(tmp_path: Path) -> None:
    async with EventLog(tmp_path, ManualClock(), waiting=3) as log:
        other = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await log._work(lambda: log._file.execute("PRAGMA busy_timeout = 0"))
        for time in range(5):
            log.offer(partial(event, time))
        await log.flush()
        assert log.fault is not None
        assert log.refused == 2
        other.execute("ROLLBACK")
        other.close()
        await log.flush()
        assert log.fault is None
        assert times(await log.read(0, 10, 10)) == [0, 1, 2]


async def test_a_closed_log_says_so(tmp_path: Path) -> None:
    log = EventLog(tmp_path, ManualClock())
    with pytest.raises(StoreClosed):
        await log.read(0, 1, 1)


async def test_a_damaged_log_is_kept_aside_and_events_go_on(tmp_path: Path) -> None:
    spoil(tmp_path / FILE, b"no database at all" * 500)
    async with EventLog(tmp_path, ManualClock()) as log:
        await filled(log, event(1))
        assert times(await log.read(0, 9, 9)) == [1]
    assert content(tmp_path / f"{FILE}.damaged-1").startswith(b"no database")


async def test_a_log_that_is_taken_away_while_it_is_open_is_written_out_again(tmp_path: Path) -> None:
    async with EventLog(tmp_path / "log", ManualClock()) as log:
        await filled(log, event(1))
        shutil.rmtree(tmp_path / "log")
        await filled(log, event(2))
    async with EventLog(tmp_path / "log", ManualClock()) as log:
        assert times(await log.read(0, 9, 9)) == [1, 2]


async def test_a_log_that_is_put_in_the_place_of_an_open_one_takes_nothing_of_it(tmp_path: Path) -> None:
    async with EventLog(tmp_path / "other", ManualClock()) as other:
        await filled(other, event(1), event(2))
    async with EventLog(tmp_path / "log", ManualClock()) as log:
        await filled(log, *(event(number, body=bytes(900)) for number in range(3, 90)))
        (tmp_path / "other" / FILE).replace(tmp_path / "log" / FILE)
        await filled(log, event(9))
        assert times(await log.read(0, 99, 99)) == [1, 2, 9]
    async with EventLog(tmp_path / "log", ManualClock()) as log:
        assert times(await log.read(0, 99, 99)) == [1, 2, 9]


async def test_a_commit_that_fails_leaves_no_transaction_behind(tmp_path: Path) -> None:
    async with EventLog(tmp_path, ManualClock()) as log:
        await filled(log, event(1))
        file = log._file
        assert file is not None
        pages = await log._work(lambda: file.execute("PRAGMA max_page_count = 1").fetchone()[0])
        await filled(log, *(event(number, body=bytes(9000)) for number in range(2, 9)))
        assert isinstance(log.fault, StoreFull)
        await log._work(lambda: file.execute(f"PRAGMA max_page_count = {pages + 1000}").fetchone())
        await log.flush()
        assert log.fault is None
        assert len(await log.read(0, 99, 99)) == 8


def spoil(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def content(path: Path) -> bytes:
    return path.read_bytes()

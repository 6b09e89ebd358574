"""The log of events: order, pages, bounds, and what happens when it cannot write."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from address_space.model.clock import ManualClock
from historian.errors import StoreClosed, StoreFull
from historian.events import FILE, Bookmark, EventLog, StoredEvent


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


async def test_a_flush_that_is_broken_off_while_it_writes_writes_nothing_twice(tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    async with EventLog(tmp_path, ManualClock()) as log:
        write = log._write

        def slowly(*given: Any) -> None:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(10)
            write(*given)

        log._write = slowly  # type: ignore[method-assign]
        log.offer(lambda: event(1))
        log.keep_place(Bookmark("m1", "alarms", b"one"))
        flushing = asyncio.ensure_future(log.flush())
        await begun.wait()
        flushing.cancel()
        loop.call_later(0.05, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await flushing
        log._write = write  # type: ignore[method-assign]
    async with EventLog(tmp_path, ManualClock()) as log:
        assert times(await log.read(0, 9, 9)) == [1]
        assert await log.bookmark("m1", "alarms") == b"one"


def place(body: bytes, log: str = "alarms", source: str = "m1") -> Bookmark:
    return Bookmark(source, log, body)


async def test_a_bookmark_is_where_it_was_put_last_before_and_after_it_is_written(tmp_path: Path) -> None:
    async with EventLog(tmp_path, ManualClock()) as log:
        assert await log.bookmark("m1", "alarms") == b""
        for body in (b"one", b"two"):
            log.keep_place(place(body))
            assert await log.bookmark("m1", "alarms") == body
            await log.flush()
            assert await log.bookmark("m1", "alarms") == body
        log.keep_place(place(b"other", "sags"))
    async with EventLog(tmp_path, ManualClock()) as log:
        assert await log.bookmark("m1", "alarms") == b"two"
        assert await log.bookmark("m1", "sags") == b"other"
        assert await log.bookmark("m2", "sags") == b""


async def test_a_bookmark_is_on_the_disk_with_the_events_before_it_or_not_at_all(tmp_path: Path) -> None:
    async with EventLog(tmp_path, ManualClock()) as log:
        await filled(log, event(1))
        file = log._file
        assert file is not None
        pages = await log._work(lambda: file.execute("PRAGMA max_page_count = 1").fetchone()[0])
        log.offer(lambda: event(2, body=bytes(9000)))
        log.keep_place(place(b"two"))
        await log.flush()
        assert isinstance(log.fault, StoreFull)
        with sqlite3.connect(tmp_path / FILE) as other:
            assert other.execute("SELECT COUNT(*) FROM bookmark").fetchone() == (0,)
        assert await log.bookmark("m1", "alarms") == b"two"
        await log._work(lambda: file.execute(f"PRAGMA max_page_count = {pages + 1000}").fetchone())
        await log.flush()
        assert times(await log.read(0, 99, 99)) == [1, 2]


async def test_bookmarks_that_were_moved_longest_ago_give_way(tmp_path: Path) -> None:
    async with EventLog(tmp_path, ManualClock(), bookmarks=3) as log:
        for source in ("m1", "m2", "m3", "m1", "m4"):
            log.keep_place(place(b"here", source=source))
            await log.flush()
        kept = [source for source in ("m1", "m2", "m3", "m4") if await log.bookmark(source, "alarms")]
        assert kept == ["m1", "m3", "m4"]


async def test_a_log_without_bookmarks_goes_on_with_them(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as before:
        before.executescript(
            """CREATE TABLE event(
            seq INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, source TEXT NOT NULL, body BLOB NOT NULL);
            CREATE INDEX event_time ON event(time_ns, seq);
            INSERT INTO event(time_ns, source, body) VALUES (1, 'm1', x'31');"""
        )
    before.close()
    async with EventLog(tmp_path, ManualClock()) as log:
        assert await log.bookmark("m1", "alarms") == b""
        log.keep_place(place(b"here"))
        await filled(log, event(2))
        assert times(await log.read(0, 9, 9)) == [1, 2]
        assert await log.bookmark("m1", "alarms") == b"here"


async def test_whoever_tells_many_at_once_can_see_whether_there_is_room(tmp_path: Path) -> None:
    async with EventLog(tmp_path, ManualClock(), waiting=3) as log:
        log.offer(lambda: event(1))
        assert log.has_room(2)
        assert not log.has_room(3)


async def test_a_log_whose_bookmarks_are_damaged_is_kept_aside_and_goes_on(tmp_path: Path) -> None:
    async with EventLog(tmp_path, ManualClock()) as log:
        log.keep_place(Bookmark("m1", "alarms", b"here"))
        await filled(log, event(1))
    file = sqlite3.connect(tmp_path / FILE)
    (size,), (root,) = (
        file.execute(query).fetchone()
        for query in ("PRAGMA page_size", "SELECT rootpage FROM sqlite_master WHERE name = 'bookmark'")
    )
    file.close()
    data = content(tmp_path / FILE)
    spoil(tmp_path / FILE, data[: (root - 1) * size] + b"\xee" * size + data[root * size :])
    async with EventLog(tmp_path, ManualClock()) as log:
        assert await log.bookmark("m1", "alarms") == b""
        log.keep_place(Bookmark("m1", "alarms", b"there"))
        await filled(log, event(2))
        assert await log.bookmark("m1", "alarms") == b"there"
    assert (tmp_path / f"{FILE}.damaged-1").exists()


async def test_events_of_more_sources_than_a_statement_takes_values(tmp_path: Path) -> None:
    async with EventLog(tmp_path, ManualClock()) as log:
        await filled(log, event(1))
        (kept,) = await log.read(0, 9, 9)
        assert times(await log.read(0, 9, 9, sources=[kept.source, *(f"m{each}" for each in range(300_000))])) == [1]


def spoil(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def content(path: Path) -> bytes:
    return path.read_bytes()

"""What happened, kept: a bounded log of events in a SQLite file of its own, newest kept, oldest given up.

Offering never waits. What was offered waits in bounded memory and is written within a second, in one transaction that
ends on the disk. Who takes events out of a log elsewhere bookmarks how far it came: the bookmark is on the disk with
what was offered before it, or none of both is.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from address_space.model.clock import Clock
from historian.errors import DamagedHistory, HistoryError, StoreClosed
from historian.sqlite.files import connect, not_let, translated
from historian.sqlite.keeping import DAMAGED_KEPT, Identity, identity, kept_aside, rescued

FILE = "events.db"
KEPT = 200_000
"""So many events are kept, and a hundredth more at times."""
WAITING = 20_000
"""So many events may wait in memory; then the newest are refused and counted."""
BOOKMARKS_KEPT = 500_000
"""So many bookmarks are kept; those that were moved longest ago give way."""
FLUSH_S = 1.0
_CACHE_MB = 4
_MOST_NS = (1 << 63) - 1
_TABLES = """
CREATE TABLE IF NOT EXISTS event(
    seq INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, source TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS event_time ON event(time_ns, seq);
CREATE TABLE IF NOT EXISTS bookmark(
    seq INTEGER PRIMARY KEY, source TEXT NOT NULL, log TEXT NOT NULL, body BLOB NOT NULL, UNIQUE(source, log));
"""
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the log keeps it; `source` is where it happened, `body` is whatever its writer made of it."""

    time_ns: int
    source: str
    body: bytes
    seq: int = 0

    @property
    def place(self) -> Place:
        """Where it stands among the others."""
        return Place(self.time_ns, self.seq)


@dataclass(frozen=True, slots=True)
class Bookmark:
    """How far a log elsewhere was read; `body` is whatever its reader made of it."""

    source: str
    log: str
    body: bytes


class Place(NamedTuple):
    """Order of events: by time, and as they came where they have the same."""

    time_ns: int
    seq: int


class EventLog:
    """Events in `folder`. Use with `async with`; `run` meanwhile."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        kept: int = KEPT,
        waiting: int = WAITING,
        bookmarks: int = BOOKMARKS_KEPT,
    ) -> None:
        self._path = folder / FILE
        self._clock = clock
        self._kept = kept
        self._room = waiting
        self._bookmarks = bookmarks
        self._waiting: deque[StoredEvent | Bookmark] = deque()
        self._thread: ThreadPoolExecutor | None = None
        self._file: sqlite3.Connection | None = None
        self._identity: Identity = None
        self._flushing = asyncio.Lock()
        self.refused = 0
        """Events for which there was no room."""
        self.fault: HistoryError | None = None
        """Why events cannot be written, None while they can."""

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, "event-log")
        try:
            await self._work(self._open)
        except BaseException:
            self._thread.shutdown(wait=False)
            self._thread = None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.flush()
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            await asyncio.get_running_loop().run_in_executor(None, thread.shutdown)

    def offer(self, make: Callable[[], StoredEvent]) -> None:
        """Keep the event that `make` gives, where there is room; it can be read after the next flush."""
        if not self.has_room(1):
            self.refused += 1
            return
        self._waiting.append(make())

    def has_room(self, count: int, share: float = 1.0) -> bool:
        """Whether so many more may wait now, in a share of the room."""
        return len(self._waiting) + count <= share * self._room

    def keep_place(self, bookmark: Bookmark) -> None:
        """Move a bookmark, behind what was offered in the same turn of the event loop: both come on the disk in one
        transaction."""
        self._waiting.append(bookmark)

    async def bookmark(self, source: str, log: str) -> bytes:
        """Where a bookmark was put last, on the disk or not; empty where there is none."""
        for one in reversed(self._waiting):
            if isinstance(one, Bookmark) and (one.source, one.log) == (source, log):
                return one.body
        return await self._work(lambda: self._held(source, log))

    async def run(self) -> None:
        """Write what waits, again and again."""
        while True:
            await self._clock.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits; where that fails it goes on waiting, and `fault` says why."""
        async with self._flushing:
            if not self._waiting:
                return
            batch = list(self._waiting)
            try:
                work = self._begin(lambda: self._append(batch))
                await asyncio.shield(work)
            except asyncio.CancelledError:
                await asyncio.wait([work])  # what is on the disk must not wait to be written again
                self._written(batch, work.exception())
                raise
            except HistoryError as error:
                self._written(batch, error)
            else:
                self._written(batch, None)

    def _written(self, batch: Sequence[StoredEvent | Bookmark], error: BaseException | None) -> None:
        if error is not None:
            if self.fault is None:
                _log.warning("events not written error=%s", error)
            self.fault = error if isinstance(error, HistoryError) else self.fault
            return
        for _ in batch:
            self._waiting.popleft()
        if self.fault is not None:
            _log.info("events written again")
        self.fault = None

    async def sources(self, low_ns: int, high_ns: int) -> list[str]:
        """Where something happened with low <= time < high."""
        query = "SELECT DISTINCT source FROM event WHERE time_ns >= ? AND time_ns < ?"
        rows = await self._ask(query, (_fitting(low_ns), _fitting(high_ns)))
        return [row[0] for row in rows]

    async def read(
        self,
        low_ns: int,
        high_ns: int,
        limit: int,
        *,
        newest_first: bool = False,
        after: Place | None = None,
        sources: Sequence[str] | None = None,
    ) -> list[StoredEvent]:
        """Events with low <= time < high in order, at most `limit`, behind `after` where that is given.

        `sources` restricts them to those places, None takes all.
        """
        query = "SELECT seq, time_ns, source, body FROM event WHERE time_ns >= ? AND time_ns < ?"
        given: list[int | str] = [_fitting(low_ns), _fitting(high_ns)]
        if after is not None:
            query += f" AND (time_ns, seq) {'<' if newest_first else '>'} (?, ?)"
            given += after
        if sources is not None:
            query += " AND source IN (SELECT value FROM json_each(?))"  # there may be more than a statement takes
            given.append(json.dumps(sources))
        query += f" ORDER BY time_ns {'DESC, seq DESC' if newest_first else ', seq'} LIMIT ?"
        rows = await self._ask(query, (*given, limit))
        return [StoredEvent(time_ns, source, body, seq) for seq, time_ns, source, body in rows]

    # inside, on the thread

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_let(error, self._path) from error
        try:
            self._file = self._connected()
        except DamagedHistory as error:
            self._file = self._begun_anew(error)
        self._identity = identity(self._path)

    def _connected(self) -> sqlite3.Connection:
        with translated(str(self._path)):
            file = connect(self._path, cache_mb=_CACHE_MB, synchronous="FULL")
            try:
                file.executescript(_TABLES)
            except BaseException:
                file.close()
                raise
        return file

    def _begun_anew(self, error: HistoryError) -> sqlite3.Connection:
        """A new file; the damaged one is kept aside."""
        aside = kept_aside(self._path, DAMAGED_KEPT)
        _log.error("event log damaged, begun anew kept=%s error=%s", aside, error)
        return self._connected()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _stand(self) -> sqlite3.Connection:
        """The open file; one that was taken away is written out again."""
        assert self._file is not None  # noqa: S101  # _work refuses while it is closed
        if identity(self._path) != self._identity:
            self._file = rescued(self._file, self._path, self._connected)
            self._identity = identity(self._path)
        return self._file

    def _append(self, batch: Sequence[StoredEvent | Bookmark]) -> None:
        try:
            self._write(self._stand(), batch)
        except DamagedHistory as error:
            self._write(self._replaced(error), batch)

    def _held(self, source: str, log: str) -> bytes:
        query = "SELECT body FROM bookmark WHERE source = ? AND log = ?"
        try:
            file = self._stand()
            with translated(str(self._path)):
                row = file.execute(query, (source, log)).fetchone()
        except DamagedHistory as error:
            self._replaced(error)
            return b""
        return bytes(row[0]) if row is not None else b""

    def _replaced(self, error: DamagedHistory) -> sqlite3.Connection:
        """A new file instead of the open one, which is damaged."""
        self._close()
        self._file = self._begun_anew(error)
        self._identity = identity(self._path)
        return self._file

    def _write(self, file: sqlite3.Connection, batch: Sequence[StoredEvent | Bookmark]) -> None:
        rows = [(one.time_ns, one.source, one.body) for one in batch if isinstance(one, StoredEvent)]
        moved = [(one.source, one.log, one.body) for one in batch if isinstance(one, Bookmark)]
        with translated(str(self._path)):
            file.execute("BEGIN IMMEDIATE")
            try:
                file.executemany("INSERT INTO event(time_ns, source, body) VALUES (?, ?, ?)", rows)
                (count,) = file.execute("SELECT COUNT(*) FROM event").fetchone()
                if count > self._kept + self._kept // 100:
                    oldest = "SELECT seq FROM event ORDER BY time_ns, seq LIMIT ?"
                    file.execute(f"DELETE FROM event WHERE seq IN ({oldest})", (count - self._kept,))  # noqa: S608
                if moved:
                    self._move(file, moved)
                file.execute("COMMIT")
            except BaseException:
                if file.in_transaction:
                    file.execute("ROLLBACK")
                raise

    def _move(self, file: sqlite3.Connection, moved: Sequence[tuple[str, str, bytes]]) -> None:
        file.executemany("INSERT OR REPLACE INTO bookmark(source, log, body) VALUES (?, ?, ?)", moved)
        (count,) = file.execute("SELECT COUNT(*) FROM bookmark").fetchone()
        if count > self._bookmarks:
            oldest = "SELECT seq FROM bookmark ORDER BY seq LIMIT ?"
            file.execute(f"DELETE FROM bookmark WHERE seq IN ({oldest})", (count - self._bookmarks,))  # noqa: S608

    async def _ask(self, query: str, given: Sequence[int | str]) -> list[tuple[Any, ...]]:
        def asked() -> list[tuple[Any, ...]]:
            assert self._file is not None  # noqa: S101  # _work refuses while it is closed
            with translated(str(self._path)):
                return self._file.execute(query, given).fetchall()

        return await self._work(asked)

    async def _work(self, work: Callable[[], _Result]) -> _Result:
        return await self._begin(work)

    def _begin(self, work: Callable[[], _Result]) -> asyncio.Future[_Result]:
        if self._thread is None:
            raise StoreClosed("the event log is not open", where=str(self._path))
        return asyncio.get_running_loop().run_in_executor(self._thread, work)


def _fitting(time_ns: int) -> int:
    return max(min(time_ns, _MOST_NS), -_MOST_NS)

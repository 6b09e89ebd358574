"""What happened, kept: a bounded log of events in a SQLite file of its own, newest kept, oldest given up.

Offering never waits. What was offered waits in bounded memory and is written within a second, in one transaction that
ends on the disk.
"""

from __future__ import annotations

import asyncio
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
FLUSH_S = 1.0
_CACHE_MB = 4
_MOST_NS = (1 << 63) - 1
_TABLES = """
CREATE TABLE IF NOT EXISTS event(
    seq INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, source TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS event_time ON event(time_ns, seq);
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


class Place(NamedTuple):
    """Order of events: by time, and as they came where they have the same."""

    time_ns: int
    seq: int


class EventLog:
    """Events in `folder`. Use with `async with`; `run` meanwhile."""

    def __init__(self, folder: Path, clock: Clock, *, kept: int = KEPT, waiting: int = WAITING) -> None:
        self._path = folder / FILE
        self._clock = clock
        self._kept = kept
        self._room = waiting
        self._waiting: deque[StoredEvent] = deque()
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
        if len(self._waiting) >= self._room:
            self.refused += 1
            return
        self._waiting.append(make())

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
                await self._work(lambda: self._append(batch))
            except HistoryError as error:
                if self.fault is None:
                    _log.warning("events not written error=%s", error)
                self.fault = error
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
            query += f" AND source IN ({', '.join('?' * len(sources))})"
            given += sources
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

    def _append(self, batch: Sequence[StoredEvent]) -> None:
        try:
            self._write(self._stand(), batch)
        except DamagedHistory as error:
            self._close()
            self._file = self._begun_anew(error)
            self._identity = identity(self._path)
            self._write(self._file, batch)

    def _write(self, file: sqlite3.Connection, batch: Sequence[StoredEvent]) -> None:
        rows = [(one.time_ns, one.source, one.body) for one in batch]
        with translated(str(self._path)):
            file.execute("BEGIN IMMEDIATE")
            try:
                file.executemany("INSERT INTO event(time_ns, source, body) VALUES (?, ?, ?)", rows)
                (count,) = file.execute("SELECT COUNT(*) FROM event").fetchone()
                if count > self._kept + self._kept // 100:
                    oldest = "SELECT seq FROM event ORDER BY time_ns, seq LIMIT ?"
                    file.execute(f"DELETE FROM event WHERE seq IN ({oldest})", (count - self._kept,))  # noqa: S608
                file.execute("COMMIT")
            except BaseException:
                if file.in_transaction:
                    file.execute("ROLLBACK")
                raise

    async def _ask(self, query: str, given: Sequence[int | str]) -> list[tuple[Any, ...]]:
        def asked() -> list[tuple[Any, ...]]:
            assert self._file is not None  # noqa: S101  # _work refuses while it is closed
            with translated(str(self._path)):
                return self._file.execute(query, given).fetchall()

        return await self._work(asked)

    async def _work(self, work: Callable[[], _Result]) -> _Result:
        if self._thread is None:
            raise StoreClosed("the event log is not open", where=str(self._path))
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _fitting(time_ns: int) -> int:
    return max(min(time_ns, _MOST_NS), -_MOST_NS)

"""The embedded store as the hub sees it: asynchronous outside, one thread that writes and a few that read inside."""

from __future__ import annotations

import asyncio
import logging
import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from address_space.model.clock import Clock
from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity
from historian.api import Latest, Readings, Rows, Sample, Series, SeriesIds
from historian.errors import StoreClosed, StoreFailed
from historian.leap import LeapGuard
from historian.owned import Owned
from historian.schema import Measurement
from historian.sqlite import bulk, latest
from historian.sqlite.catalogue import FILE as CATALOGUE
from historian.sqlite.files import DAY_MS, FIRST_DAY, LAST_DAY, StoreOptions, begins_ms, day_of
from historian.sqlite.hotday import HINT
from historian.sqlite.packing import maintain
from historian.sqlite.reader import Reader
from historian.sqlite.writer import Writer

UPKEEP_S = 3600.0
_NS_PER_MS = 1_000_000
_BEGIN_MS = FIRST_DAY * DAY_MS
_END_MS = (LAST_DAY + 1) * DAY_MS
_MOST_DAMAGES = 1000
_END = object()

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class SqliteStore:
    """History in a folder of SQLite files: `HistoryReader` and `HistoryWriter`. Use with `async with`.

    Every call raises HistoryError where the store cannot do it; damaged parts are skipped, logged once and
    listed in `damage`. With `read_only` nothing is written and another process may write meanwhile.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        options: StoreOptions | None = None,
        *,
        guard: LeapGuard | None = None,
        read_only: bool = False,
    ) -> None:
        self.folder = folder
        self._read_only = read_only
        self.options = options if options is not None else StoreOptions()
        self.damage: dict[str, str] = {}
        """What is wrong, by place."""
        self._clock = clock
        self._writer: Owned[Writer] = Owned("history-writer", "the history store is not open", str(folder))
        self._reading: ThreadPoolExecutor | None = None
        self._readers: queue.SimpleQueue[Reader] = queue.SimpleQueue()
        self._upkeep = asyncio.Lock()
        self._guard = guard if guard is not None else LeapGuard(folder)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Open or make the files (with `read_only` they must be there); raises HistoryError."""
        if self._read_only and not await asyncio.to_thread((self.folder / CATALOGUE).is_file):
            raise StoreFailed("there is no history", where=str(self.folder), hint="check data_dir in hub.toml")
        if not self._read_only:
            await self._writer.open(lambda: Writer(self.folder, self.options, self._report))
        self._reading = ThreadPoolExecutor(self.options.readers, "history-reader")
        for _ in range(self.options.readers):
            self._readers.put(Reader(self.folder, self._report))

    async def close(self) -> None:
        """Finish what was asked for and release the files; a second call does nothing."""
        reading, self._reading = self._reading, None
        if reading is None:
            return
        await asyncio.get_running_loop().run_in_executor(None, reading.shutdown)
        while not self._readers.empty():
            self._readers.get().close()
        await self._writer.close(Writer.close)

    # writing

    async def series(self, units: Sequence[NodeUid]) -> SeriesIds:
        """Numbers of units, given out on first sight and never reused."""
        return await self._write(lambda writer: writer.series(units))

    async def write(self, readings: Sequence[Readings]) -> None:
        """Store all or raise HistoryError; the same slot again overwrites the fields given and keeps the others."""
        await self._write(lambda writer: writer.write(readings))

    async def maintain(self) -> None:
        """Drop what is older than is kept and pack what is old, in short steps between which writes go on."""
        today = day_of(self._clock.now_ns() // _NS_PER_MS)
        async with self._upkeep:
            kept_by = await asyncio.to_thread(self._guard.day, today)
            steps = await self._write(lambda writer: maintain(writer, today, kept_by))
            more = True
            while more:
                more = await self._write(lambda _: next(steps, _END) is not _END)

    async def upkeep(self) -> None:
        """Maintain now and every hour, until cancelled."""
        while True:
            try:
                await self.maintain()
            except StoreClosed:
                raise
            except Exception:  # noqa: BLE001 - the border of the task: upkeep comes again in an hour
                _log.exception("history upkeep failed folder=%s", self.folder)
            await self._clock.sleep(UPKEEP_S)

    # reading

    async def read_raw(
        self, point: NodeUid, quantity: Quantity, start_ms: int, end_ms: int, limit: int, *, newest_first: bool = False
    ) -> Series:
        """Stored values with start_ms <= time < end_ms, at most `limit`."""
        start_ms, end_ms = max(start_ms, _BEGIN_MS), min(end_ms, _END_MS)
        return await self._read(
            lambda reader: reader.read(point, quantity, start_ms, end_ms, limit, newest_first=newest_first)
        )

    async def value_before(self, point: NodeUid, quantity: Quantity, time_ms: int) -> Sample | None:
        """The newest stored value at or before a time."""
        return _first(await self.read_raw(point, quantity, _BEGIN_MS, time_ms + 1, 1, newest_first=True))

    async def value_after(self, point: NodeUid, quantity: Quantity, time_ms: int) -> Sample | None:
        """The oldest stored value at or after a time."""
        return _first(await self.read_raw(point, quantity, time_ms, _END_MS, 1))

    async def bounds(self, point: NodeUid, quantity: Quantity) -> tuple[int, int] | None:
        """First and last stored time in ms, or None where nothing is stored."""
        first = await self.value_after(point, quantity, _BEGIN_MS)
        last = await self.value_before(point, quantity, _END_MS)
        return (first.time_ms, last.time_ms) if first is not None and last is not None else None

    async def latest(self, units: Sequence[NodeUid], quantities: Sequence[Quantity]) -> Latest:
        """The newest value that each unit has of each quantity; a status without a value does not count."""
        return await self._read(lambda reader: latest.latest(reader, units, quantities))

    async def read_rows(
        self, units: Sequence[NodeUid], measurement: Measurement, start_ms: int, end_ms: int
    ) -> list[Rows]:
        """All that is stored of one measurement of many units with start_ms <= time < end_ms."""
        start_ms, end_ms = max(start_ms, _BEGIN_MS), min(end_ms, _END_MS)
        return await self._read(lambda reader: bulk.read_rows(reader, units, measurement, start_ms, end_ms))

    async def kept(self) -> Mapping[NodeUid, tuple[Quantity, ...]]:
        """As `HistoryIndex.kept`."""
        return await self._read(Reader.kept)

    async def begins(self) -> int | None:
        """A time at or before the first stored reading, None where nothing is stored."""
        return await self._read(lambda reader: begins_ms(reader.folder))

    # threads

    async def _write(self, work: Callable[[Writer], _Result]) -> _Result:
        if self._read_only and self._reading is not None:
            raise StoreClosed("the history store is open for reading only", where=str(self.folder))
        return await self._writer.run(work)

    async def _read(self, work: Callable[[Reader], _Result]) -> _Result:
        if self._reading is None:
            raise StoreClosed("the history store is not open", where=str(self.folder))
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._with_reader, work)

    def _with_reader(self, work: Callable[[Reader], _Result]) -> _Result:
        reader = self._readers.get()
        try:
            return work(reader)
        finally:
            self._readers.put(reader)

    def _report(self, place: str, what: str) -> None:
        if place not in self.damage and len(self.damage) < _MOST_DAMAGES:
            self.damage[place] = what
            _log.error("damaged history skipped place=%s what=%s hint=%s", place, what, HINT)


def _first(series: Series) -> Sample | None:
    if not len(series.time_ms):
        return None
    return Sample(int(series.time_ms[0]), float(series.values[0]), int(series.status[0]))

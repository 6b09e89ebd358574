"""The gap ledger: what was expected against what was stored, per unit, poll class and slot.

It stands behind a store as one more `HistoryWriter` and sees everything that was committed. What it knows is on the
disk with each commit; a fault of its own file never holds the history up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from address_space.model.clock import Clock
from address_space.model.ids import NodeUid
from address_space.model.quality import Reason
from address_space.model.quantity import Quantity, by_path
from historian.api import HistoryReader, Readings, SeriesIds
from historian.calendar import Width, edges
from historian.errors import DamagedHistory, HistoryError, WrongFormat
from historian.gaps import counting
from historian.gaps.book import Book
from historian.gaps.day import Day
from historian.gaps.file import FILE
from historian.gaps.report import Code, Completeness, Gap, LedgerState, Mark, UnitDay
from historian.gaps.tracks import Plan, Times, Track
from historian.leap import LeapGuard
from historian.owned import Owned
from historian.sqlite.keeping import DAMAGED_KEPT, kept_aside

SAVE_S = 60.0
COUNT_PAUSE = 100
"""Between two counts of all slots lies so many times as long as one takes."""
MOST_GAPS = 10_000
LATEST_UNITS = 500
_DAY_S = 86_400
_NS_PER_MS = 1_000_000

_log = logging.getLogger(__name__)


class GapLedger:
    """Use with `async with`. `adopt` says what is expected; `readonly` looks at the file of a hub that may be running.

    keep_days  how long it is kept; 0 for ever
    guard      by which day that is counted, None for one of its own
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        keep_days: int = 0,
        guard: LeapGuard | None = None,
        readonly: bool = False,
    ) -> None:
        self.path = folder / FILE
        self._clock = clock
        self._keep_days = keep_days
        self._guard = guard if guard is not None else LeapGuard(folder)
        self._readonly = readonly
        self._book: Owned[Book] = Owned("gap-ledger", "the gap ledger is not open")
        self._state = LedgerState()
        self._day = Day()
        self._trouble = ""
        self.crashed = False
        """Whether the hub was not stopped in order the last time: `reconcile` then looks for what was not noted."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Open or make the file; raises HistoryError."""
        await self._book.open(self._opened)

    def _opened(self) -> Book:
        try:
            book = Book(self.path, readonly=self._readonly)
        except WrongFormat:
            raise
        except DamagedHistory as error:
            if self._readonly:
                raise
            aside = kept_aside(self.path, DAMAGED_KEPT)
            _log.error("gap ledger damaged, begun anew kept_as=%s error=%s", aside.name, error)
            book = Book(self.path)
        if not self._readonly:
            self.crashed = not book.begin(self._now_ms())
        return book

    async def close(self) -> None:
        """Save and release the file; a second call does nothing."""
        if self._book.thing is not None and not self._readonly:
            await self._guarded(lambda book: book.save(self._now_ms(), ended=True))
        await self._book.close(lambda book: book.file.close())

    # what is expected and what comes

    async def adopt(self, plan: Plan) -> None:
        """Expect this from now on: units that are not in it are no longer expected. Raises HistoryError."""
        now_ms = self._now_ms()
        await self._book.run(lambda book: book.adopt(plan, now_ms))

    async def series(self, units: Sequence[NodeUid]) -> SeriesIds:
        """The ledger's numbers of units."""
        return await self._book.run(lambda book: book.series(units))

    async def write(self, readings: Sequence[Readings]) -> None:
        """These were stored."""

        def noted(book: Book) -> None:
            book.note(readings)
            book.journal(self._now_ms())

        await self._guarded(noted)

    async def filling(self, point: NodeUid, time_ms: Times) -> None:
        """Readings of a unit at these times that are about to be stored come from elsewhere than polling; slots that
        have a good reading already stay as they are."""

        def noted(book: Book) -> None:
            units = np.repeat(book.series([point]), len(time_ms))
            for track in book.tracks_of(int(units[0]) if len(units) else 0):
                book.set(Mark.FILLED, track, units, time_ms)
            book.journal(self._now_ms())

        await self._guarded(noted)

    async def lacking(self, point: NodeUid, track: Track, time_ms: Times) -> None:
        """The memory of a unit's meter has nothing for these slots."""
        await self._mark(Mark.LACKING, point, track, time_ms)

    async def upkeep(self) -> None:
        """Save now and then, and forget what is older than is kept; runs until cancelled."""
        count_at_ns = 0
        while True:
            if self._clock.monotonic_ns() >= count_at_ns:
                began_ns = self._clock.monotonic_ns()
                await self._guarded(self._count)
                now_ns = self._clock.monotonic_ns()
                count_at_ns = now_ns + COUNT_PAUSE * (now_ns - began_ns)
            await self._clock.sleep(SAVE_S)
            await self._guarded(self._kept_up)

    def _kept_up(self, book: Book) -> None:
        now_ms = self._now_ms()
        book.note_days(now_ms)
        book.save(now_ms)
        if self._keep_days:
            book.forget(self._guard.day(now_ms // 1000 // _DAY_S) - self._keep_days)

    def _count(self, book: Book) -> None:
        """Count the last 24 hours."""
        now_ms = self._now_ms()
        borders = np.array([now_ms - _DAY_S * 1000, now_ms], np.int64)
        total = np.zeros(3, np.int64)
        day = Day(book.numbers_end, int(borders[0]), now_ms)
        for part in book.parts(None, int(borders[0]), now_ms, now_ms):
            counted = counting.counted(part, borders)[:, 0]
            day.add(part, counted)
            total += counted.sum(axis=0)
        self._day = day.after(self._day)
        expected, stored, filled = total.tolist()
        self._state = LedgerState(book.units, book.memory_bytes, expected, stored, filled)

    async def reconcile(self, store: HistoryReader, plan: Plan) -> None:
        """After a crash: note the newest reading of each unit, which may have been stored and not noted."""
        for expected, group in groupby(sorted(plan.items(), key=lambda item: id(item[1])), lambda item: item[1]):
            units = [uid for uid, _ in group]
            for first in range(0, len(units), LATEST_UNITS):
                part = units[first : first + LATEST_UNITS]
                for each in expected:
                    await self._reconcile(store, part, each.track, each.fields)

    async def _reconcile(
        self, store: HistoryReader, units: Sequence[NodeUid], track: Track, fields: Sequence[str]
    ) -> None:
        quantities = [quantity for quantity in map(by_path, fields) if quantity is not None]
        latest = await store.latest(units, quantities)
        newest = latest.time_ms.max(axis=1, initial=0)
        of_newest = (latest.time_ms == newest[:, None]) & (latest.status >> 31 == 0)
        there = (newest > 0) & (of_newest | (latest.time_ms == 0)).all(axis=1)
        rows = np.flatnonzero(there)
        points = [units[row] for row in rows.tolist()]
        known = await self._book.run(lambda book: book.stored(track, book.series(points), newest[rows]))
        for point, row in ((units[row], row) for row in rows[~known].tolist()):
            never = [quantity for place, quantity in enumerate(quantities) if not latest.time_ms[row, place]]
            if all([await _lacks(store, point, quantity, int(newest[row])) for quantity in never]):
                await self.stored(point, track, newest[row : row + 1])

    async def stored(self, point: NodeUid, track: Track, time_ms: Times) -> None:
        """Slots of a unit that turn out to be in the history, though nobody noted it."""
        await self._mark(Mark.STORED, point, track, time_ms)

    async def _mark(self, mark: Mark, point: NodeUid, track: Track, time_ms: Times) -> None:
        def noted(book: Book) -> None:
            units = np.repeat(book.series([point]), len(time_ms))
            book.set(mark, book.track_number(track), units, time_ms)
            book.journal(self._now_ms())

        await self._guarded(noted)

    # what is missing

    async def gaps(
        self, start_ms: int, end_ms: int, points: Sequence[NodeUid] | None = None, *, limit: int = MOST_GAPS
    ) -> list[Gap]:
        """Missing slots with start_ms <= slot < end_ms of these units, or of all that were ever expected.

        By track, unit and time; slots count from when a reading of them can no longer come. At most `limit`.
        """
        now_ms = self._now_ms()

        def found(book: Book) -> list[Gap]:
            gaps: list[Gap] = []
            for part in book.parts(points, start_ms, end_ms, now_ms):
                counting.join(gaps, counting.gaps_of(part, limit - len(gaps) + 1), part)
                if len(gaps) > limit:
                    break
            return gaps[:limit]

        return await self._book.run(found)

    async def missing(
        self, start_ms: int, end_ms: int, points: Sequence[NodeUid], *, again: bool = False, as_of_ms: int | None = None
    ) -> list[tuple[NodeUid, Track, Times]]:
        """Slots of units that are missing and not known to be lacking in the meter's memory; `again`: those too.

        as_of_ms  only slots that were expected by then; None is now
        """
        now_ms = self._now_ms() if as_of_ms is None else as_of_ms

        def found(book: Book) -> list[tuple[NodeUid, Track, Times]]:
            every: list[tuple[NodeUid, Track, Times]] = []
            for part in book.parts(points, start_ms, end_ms, now_ms):
                wanted = (part.codes >= Code.NOT_READ) & (again | (part.codes != Code.LACKING))
                rows = np.flatnonzero(wanted.any(axis=1)).tolist()
                every += [(part.points[row], part.track, part.slots[wanted[row]]) for row in rows]
            return every

        return await self._book.run(found)

    async def missing_counts(
        self, start_ms: int, end_ms: int, points: Sequence[NodeUid], as_of_ms: int
    ) -> NDArray[np.int64]:
        """Slots of each unit that are missing, how many of them were given up as lacking in its memory, and how many
        were expected by then: shape (points, 3)."""
        rows = {point: row for row, point in enumerate(points)}
        counts = np.zeros((len(points), 3), np.int64)

        def found(book: Book) -> None:
            for part in book.parts(points, start_ms, end_ms, as_of_ms):
                counts[[rows[point] for point in part.points]] += counting.missing(part)

        await self._book.run(found)
        return counts

    async def completeness(
        self,
        start_ms: int,
        end_ms: int,
        width: Width,
        zone: ZoneInfo,
        points: Sequence[NodeUid] | None = None,
    ) -> list[Completeness]:
        """Per unit and bucket of local time (day or month) that touches the range, by unit and time."""
        totals: dict[tuple[NodeUid, int], list[int]] = {}
        borders = edges(start_ms, end_ms, width, zone)

        def found(book: Book) -> None:
            for part in book.parts(points, int(borders[0]), int(borders[-1]), self._now_ms()):
                for row, counted in zip(part.points, counting.counted(part, borders), strict=True):
                    for bucket, numbers in enumerate(counted.tolist()):
                        if numbers[0]:
                            total = totals.setdefault((row, bucket), [0, 0, 0])
                            total[:] = [one + other for one, other in zip(total, numbers, strict=True)]

        if len(borders):
            await self._book.run(found)
        return [
            Completeness(point, int(borders[bucket]), int(borders[bucket + 1]), *numbers)
            for (point, bucket), numbers in sorted(totals.items())
        ]

    async def completeness_of_all(
        self,
        start_ms: int,
        end_ms: int,
        width: Width,
        zone: ZoneInfo,
        points: Sequence[NodeUid] | None = None,
    ) -> list[Completeness]:
        """As `completeness`, of all units (or of these) together; `point` is None."""
        borders = edges(start_ms, end_ms, width, zone)
        total = np.zeros((max(len(borders) - 1, 0), 3), np.int64)

        def found(book: Book) -> None:
            for part in book.parts(points, int(borders[0]), int(borders[-1]), self._now_ms()):
                total[:] += counting.counted(part, borders).sum(axis=0)

        if len(borders):
            await self._book.run(found)
        return [
            Completeness(None, int(borders[bucket]), int(borders[bucket + 1]), *numbers)
            for bucket, numbers in enumerate(total.tolist())
        ]

    @property
    def state(self) -> LedgerState:
        """How it does; counted about once a minute, less often where counting takes long."""
        return replace(self._state, trouble=self._trouble)

    def day_of(self, point: NodeUid) -> UnitDay | None:
        """The last 24 hours of a unit as of that count; None before it, and for units that it did not know."""
        book = self._book.thing
        return self._day.of(book.number(point)) if book is not None else None

    def knows(self, point: NodeUid) -> bool:
        """Whether anything of a unit was ever expected."""
        book = self._book.thing
        return book is not None and book.number(point) >= 0

    async def points(self) -> list[NodeUid]:
        """All units of which anything was ever expected."""
        return await self._book.run(lambda book: book.points())

    # its thread

    def _now_ms(self) -> int:
        return self._clock.now_ns() // _NS_PER_MS

    async def _guarded(self, work: Callable[[Book], None]) -> None:
        """Do what must not hold up anybody: a fault is told once and shown in `state`."""
        try:
            await self._book.run(work)
        except HistoryError as error:
            if not self._trouble:
                _log.error("gap ledger cannot be written, kept in memory error=%s", error)
            self._trouble = str(error)
        else:
            if self._trouble:
                _log.warning("gap ledger can be written again")
            self._trouble = ""


async def _lacks(store: HistoryReader, point: NodeUid, quantity: Quantity, time_ms: int) -> bool:
    """Whether the meter said that it does not have this."""
    found = await store.read_raw(point, quantity, time_ms, time_ms + 1, 1)
    return bool(len(found.status)) and int(found.status[0]) == Reason.NOT_SUPPORTED.status

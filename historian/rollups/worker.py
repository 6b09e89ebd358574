"""What computes rollups of a running hub, whenever readings come for them.

A reading opens the hours it touches. An hour is computed once it has ended and a grace time has passed, from the stored
readings of either store, many units at a time, between rests. `settled_ms` is a line behind which nothing waits but
what is marked in the file: a hub that was killed computes again what lies ahead of it, and what is marked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

import numpy as np

from address_space.model.clock import Clock
from address_space.model.ids import NodeUid
from historian.api import RowReader
from historian.calendar import DAY_MS, LAST_MS, Days, Width
from historian.counters import ANOMALIES, HOUR_MS, Move
from historian.errors import HistoryError, StoreClosed
from historian.leap import LeapGuard
from historian.names import Names
from historian.rollups.figures import SHAPES, Figure
from historian.rollups.file import RollupFile
from historian.rollups.limits import Changes, Ratings
from historian.rollups.lines import RollupLines
from historian.rollups.marks import ALL_HOURS, Arrivals, Marks, Numbers, closed_hours, merged
from historian.rollups.opening import Opening
from historian.rollups.options import NEWS_MS, RollupOptions
from historian.rollups.retention import Retention
from historian.rollups.rezone import CLOSED_DAY, KEPT_DAY, SETTLED, ZONE, rezone
from historian.rollups.threads import FileThreads
from historian.rollups.unrest import UnrestTable
from historian.rollups.waiting import WaitingHours
from historian.rollups.work import Job, Work, Written
from historian.schema import Measurement

IDLE_S = 10.0
_AHEAD_MS = HOUR_MS
_AT_ONCE = 2000
"""More readings than these are looked at in a thread."""
_NS_PER_MS = 1_000_000
_BACK_MS = 2 * HOUR_MS
_log = logging.getLogger(__name__)


class Worker:
    """Computes what is due; `Opener` of the tap."""

    def __init__(
        self,
        files: FileThreads,
        clock: Clock,
        reader: RowReader,
        days: Days,
        ratings: Ratings,
        options: RollupOptions,
        lines: RollupLines | None,
        changes: Changes,
        unread: Callable[[], Awaitable[int]] | None,
        guard: LeapGuard,
    ) -> None:
        self.options = options
        self.settled_ms = 0
        """All hours that ended before are computed, but what waits in the file."""
        self.closed_day = 0
        """Days before are put together."""
        self.computed = 0
        self.busy_ns = 0
        self.damaged = 0
        self.trouble = ""
        self.found = dict.fromkeys(ANOMALIES, 0)
        """What registers did, since the start."""
        self.anomalies_changed = True
        """Since somebody last took note of it."""
        self._files = files
        self._clock = clock
        self._reader = reader
        self._days = days
        self._lines = lines
        self._unread = unread
        self._retention = Retention(options, guard)
        self._marks = Marks(days)
        self.names = Names()
        self._work = Work(reader, files.write, days, ratings, changes, options, self._put_together_before)
        self._closing = (0, -1)
        """Which measurement of the day that is being closed, and after which unit."""
        self._sweep_day = 0
        self._sweep_from_ms = 0
        self._sweep_until_ms = 0
        self._openings: set[Opening] = set()
        self._unsaved: list[tuple[int, int, int]] = []
        self._step = asyncio.Lock()
        self._fresh = np.zeros(0, np.bool_)
        """By number, units of which there is no reading before those that wait."""
        self._unrest_ms = np.zeros(0, np.int64)
        """By number, until when a unit's registers are not calm."""
        self._rebuilt = False
        """Whether there were readings before there were rollups."""

    @property
    def open_units(self) -> int:
        """Units of which hours wait to be computed for the first time."""
        return self._marks.open_units()

    @property
    def unsaved(self) -> int:
        """Unit-days that wait and could not be marked in the file."""
        return len(self._unsaved)

    @property
    def late(self) -> bool:
        """Whether readings of settled hours are on their way to the store."""
        return bool(self._unsaved) or any(opening.late for opening in self._openings)

    # what arrives

    async def resume(self) -> None:
        """Take up where the file says; the first one begins with the first stored reading."""
        now_ms = self._now_ms()
        await self._files.write(lambda file: WaitingHours(file).undo())
        if await self._files.write(lambda file: file.note(ZONE)) != self._days.zone.key:
            first_ms = await self._reader.begins()
            await self._files.write(lambda file: rezone(file, self._days, first_ms, now_ms))
        kept = await self._files.write(lambda file: file.note(KEPT_DAY))
        self._work.kept_day = kept if isinstance(kept, int) else 0
        settled = await self._files.write(lambda file: file.note(SETTLED))
        if not isinstance(settled, int):
            begins = await self._reader.begins()
            self._rebuilt = begins is not None
            settled = min(begins, now_ms) if begins is not None else now_ms
            settled = max(settled, self._days.start(self._work.kept_day))
            nothing_yet = begins is None
        else:
            nothing_yet = False
        closed_day = await self._files.write(lambda file: file.note(CLOSED_DAY))
        self.settled_ms = settled
        self._sweep_from_ms = settled - _BACK_MS
        self._sweep_until_ms = now_ms + _AHEAD_MS
        first_day = self._days.number(self._sweep_from_ms)
        self._sweep_day = first_day if not nothing_yet else self._days.number(self._sweep_until_ms) + 1
        self.closed_day = closed_day if isinstance(closed_day, int) else first_day
        await self._files.write(lambda file: file.remember(CLOSED_DAY, self.closed_day))
        units = await self._files.write(RollupFile.known_units)
        self._know(units.values(), units.keys(), self._sweep_until_ms)
        until = await self._files.write(lambda file: UnrestTable(file).until())
        self._unrest_ms[list(until)] = list(until.values())

    async def numbers(self, units: Sequence[NodeUid]) -> Numbers:
        """Numbers of units, given out on first sight."""
        found = await self._files.write(lambda file: file.units(units))
        new = found[self.names.numbers(units) < 0]
        if len(new) or len(units) >= len(self.names):  # a whole plant gives its own texts instead of the file's
            self._know(units, found.tolist(), self._sweep_until_ms if self._rebuilt else 0)
            await self._files.write(RollupFile.let_go)
        if not self._rebuilt:
            self._fresh[new] = True
        return found

    async def opening(self, arrivals: Arrivals) -> Opening:
        """Readings are about to be stored: those of hours that are settled are marked in the file before."""
        known = (arrivals.time_ms >= 0) & (arrivals.time_ms < LAST_MS)
        late = (arrivals.time_ms < self.settled_ms) | (arrivals.time_ms > self._now_ms() + _AHEAD_MS)
        opening = Opening(self.arrived, arrivals.chosen(known & ~late), late=bool((known & late).any()))
        self._openings.add(opening)
        try:
            if len(opening.arrivals.unit) > _AT_ONCE:
                opening.touched = await asyncio.to_thread(self._marks.touched, opening.arrivals)
            else:
                opening.touched = self._marks.touched(opening.arrivals)
            if opening.late:
                await self._mark_late(arrivals.chosen(known & late))
        except BaseException:
            self._openings.discard(opening)
            raise
        return opening

    def arrived(self, opening: Opening, *, stored: bool) -> None:
        """Readings are stored, or are not."""
        self._openings.discard(opening)
        if stored and opening.touched is not None and len(opening.arrivals.unit):
            self._marks.add(opening.touched)
            self._marks.arrived(opening.arrivals)

    async def _mark_late(self, arrivals: Arrivals) -> None:
        def mark(file: RollupFile) -> None:
            WaitingHours(file).mark(marks())

        def marks() -> list[tuple[int, int, int]]:
            return merged(self._marks.touched(arrivals, late=True))

        try:
            await self._files.write(mark)
        except HistoryError as error:  # recording goes on; what is not on the disk is lost with the process
            self._unsaved += marks()
            self._in_trouble(error)

    # computing

    async def run(self) -> None:
        """Compute what is due, for ever."""
        while True:
            try:
                busy = await self.step()
                if self.trouble:
                    _log.warning("rollups are computed again")
                self.trouble = ""
            except StoreClosed:
                raise
            except Exception as error:  # noqa: BLE001 - the border of the task: what failed waits and is tried again
                busy = False
                self._in_trouble(error)
            await self._clock.sleep(self.options.pause_s if busy else IDLE_S)

    async def step(self) -> bool:
        """Compute some of what is due; whether there is more to do."""
        async with self._step:
            if self._unsaved:
                unsaved, self._unsaved = self._unsaved, []
                try:
                    await self._files.write(lambda file: WaitingHours(file).mark(unsaved))
                except HistoryError:
                    self._unsaved += unsaved
                    raise
            await self._heal()
            closed_ms = self._now_ms() - round(self.options.grace_s * 1000)
            unread_ms = await self._unread() if self._unread is not None else 0
            if unread_ms:
                closed_ms = min(closed_ms, unread_ms)
            if await self._live(closed_ms) or await self._late(closed_ms):
                return True
            return await self._advance(closed_ms)

    async def _live(self, closed_ms: int) -> bool:
        due = self._marks.due(closed_ms)
        if due is None:
            return await self._sweep()
        day, hours = due
        units, taken = self._marks.take(day, hours, self.options.units_a_step)
        try:
            await self._compute(day, units, taken)
        except BaseException:
            self._marks.add_all(day, units, taken)
            raise
        return True

    async def _late(self, closed_ms: int) -> bool:
        if any(opening.late for opening in self._openings):
            return False
        today = self._days.number(closed_ms)
        before = today + 1 if closed_ms >= self.settled_ms else today  # behind the line, today is not whole either
        marks = await self._files.write(lambda file: WaitingHours(file).take(self.options.units_a_step, before))
        if not marks:
            return False
        day, hours = marks[0].day, marks[0].hours
        units = np.array([mark.unit for mark in marks], np.int64)
        try:
            open_hours = hours & ~closed_hours(self._days, day, closed_ms)
            if open_hours:
                self._marks.add_all(day, units, open_hours)
            if hours & ~open_hours:
                await self._compute(day, units, hours & ~open_hours, late=True)
        except BaseException:
            await self._files.write(lambda file: WaitingHours(file).undo())
            raise
        await self._files.write(lambda file: WaitingHours(file).done())
        return True

    async def _compute(self, day: int, units: Numbers, hours: int, *, late: bool = False) -> None:
        if day < self._work.kept_day:
            return
        began = self._clock.monotonic_ns()
        first, last = (hours & -hours).bit_length() - 1, hours.bit_length() - 1
        uids = [self.names[unit] for unit in units.tolist()]
        edges_ms = self._days.edges(day, Width.HOUR).tolist()
        begin_ms, end_ms = edges_ms[min(first, len(edges_ms) - 1)], edges_ms[min(last + 1, len(edges_ms) - 1)]
        behind = self._marks.behind(units, end_ms) | late | (end_ms < self.settled_ms - _BACK_MS)
        uneasy = ~behind & (self._unrest_ms[units] >= begin_ms)
        fresh = self._fresh[units] & ~behind
        job = Job(day, first, last, units, uids, behind, fresh, uneasy, self._now_ms() - NEWS_MS)
        self._marks.computed(units, end_ms)
        written, odd = await self._work.run(job)
        for unit, until_ms in odd.until_ms.items():
            self._unrest_ms[unit] = until_ms
        for part in written:
            read = (part.figures.of(Figure.COUNT) > 0).any(axis=(1, 2))
            self._fresh[part.units[read]] = False
        self.anomalies_changed |= odd.changed
        for uid, jump in odd.new:
            self.found[Move(jump.move)] += 1
            if jump.move != Move.ROLLOVER.value:
                _log.warning(
                    "register did not go on point=%s field=%s move=%s time_ms=%d before=%r value=%r",
                    uid, jump.field, jump.move, jump.time_ms, jump.before, jump.value,
                )  # fmt: skip
        await self._write_lines(written)
        await self._heal()
        self.computed += len(units) * hours.bit_count()
        self.busy_ns += self._clock.monotonic_ns() - began

    async def _write_lines(self, written: Sequence[Written]) -> None:
        if self._lines is not None and written:
            await self._lines.write(written, self.names)

    async def _heal(self) -> None:
        """Have rows that were found damaged computed again, whole."""
        marks: list[tuple[int, int, int]] = []
        damaged = self._files.take_damaged()
        for width, period, unit in damaged:
            _log.error("damaged rollup is made again width=%s period=%d unit=%d", width.value, period, unit)
            if width is Width.DAY:
                await self._files.write(partial(self._work.close_month, month=period, unit=unit))
            else:
                marks.append((period, unit, ALL_HOURS))
        self.damaged += len(damaged)
        if marks:
            await self._files.write(lambda file: WaitingHours(file).mark(marks))

    async def _sweep(self) -> bool:
        """Open the next day of those that a start finds unsettled; whether there was one."""
        if self._sweep_day > self._days.number(self._sweep_until_ms):
            return False
        day, self._sweep_day = self._sweep_day, self._sweep_day + 1
        await self._settle(self._days.start(day))
        hours = closed_hours(self._days, day, self._sweep_until_ms)
        if self._days.start(day) < self._sweep_from_ms:
            hours &= ~closed_hours(self._days, day, self._sweep_from_ms)
        if hours and self.names:
            self._marks.add_all(day, np.array(list(self.names), np.int64), hours)
        return True

    async def _advance(self, closed_ms: int) -> bool:
        """Nothing is due: draw the line further, close days, drop what is old."""
        line = min([closed_ms, *(opening.oldest_ms for opening in self._openings)])
        start = self._days.start(self._days.number(line))
        line = start + (line - start) // HOUR_MS * HOUR_MS
        await self._settle(line)
        if self._days.start(self.closed_day + 1) > self.settled_ms:
            await self._files.write(self._drop_old)
            return False
        await self._close_units(self.closed_day)
        return True

    async def _settle(self, line: int) -> None:
        line = min([line, *(opening.oldest_ms for opening in self._openings)])
        if line > self.settled_ms:
            await self._files.write(lambda file: file.remember(SETTLED, line))
            self.settled_ms = line
            self._marks.forget(self._days.number(line))

    async def _close_units(self, day: int) -> None:
        """Put the day together for the next units that have hours of it, or end it where there are none."""
        place, after = self._closing
        measurement = (Measurement.ENERGY, Measurement.INST)[place]
        written: list[Written] = []

        def close(file: RollupFile) -> int:
            units = file.units_of(Width.HOUR, measurement, day, after, self.options.units_a_step)
            if not len(units):
                return -1
            with file.transaction():
                hours = len(self._days.edges(day, Width.HOUR)) - 1
                rows = file.rows(Width.HOUR, day, SHAPES[measurement], units, hours)
                self._work.close_day(file, day, rows, written)
            return int(units[-1])

        last = await self._files.write(close)
        await self._write_lines(written)
        self._closing = (place, last) if last >= 0 else (place + 1, -1)
        if self._closing[0] == len(SHAPES):
            await self._files.write(lambda file: file.remember(CLOSED_DAY, day + 1))
            self.closed_day, self._closing = day + 1, (0, -1)

    # inside

    def _put_together_before(self) -> int:
        """Days before are put together again with their hours; so is one that is closed for some units already."""
        return self.closed_day + (self._closing != (0, -1))

    def _drop_old(self, file: RollupFile) -> None:
        self._retention.drop_old(file, self.closed_day, self._now_ms() // DAY_MS)

    def _know(self, uids: Iterable[str], numbers: Iterable[int], read_ms: int) -> None:
        self.names.add(uids, numbers)
        new = self.names.end - len(self._fresh)
        self._fresh = np.append(self._fresh, np.zeros(new, np.bool_))
        self._unrest_ms = np.append(self._unrest_ms, np.zeros(new, np.int64))
        self._marks.grow(self.names.end, read_ms)

    def _now_ms(self) -> int:
        return self._clock.now_ns() // _NS_PER_MS

    def _in_trouble(self, error: BaseException) -> None:
        if not self.trouble:
            _log.error("rollups cannot be computed error=%r", error)
        self.trouble = str(error) or repr(error)
        self.anomalies_changed = True  # some may have been found before it went wrong

"""Finding the records of a time in a log.

No record is taken for that of another time: one with a time stamp is known by it, and around the others pointer and
clock are read before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from address_space.model.quality import Reason
from drivers.errors import BadFrame, DeviceRefused
from drivers.modbus.log_period import MS_NS
from drivers.modbus.log_reader import GUESSES, MOST_TURNS, REFUSED, Found, Known, LogReader, Page
from drivers.modbus.logs import Ask, Log
from drivers.modbus.plan import Read
from drivers.modbus.steps import ClockRegisters

TRIES: Final = 3
"""How often a search begins anew because the log went on meanwhile."""
BESIDE_MS: Final = 3_600_000
"""How near to the end of a period a meter whose clock cannot be read is not asked, at most."""
CLOCK_OFF_MS: Final = 300_000
"""How far off a meter's clock may be for its undated records to be those of the hub's days."""

Steps = Generator[Ask, bytes | None, Page]


@dataclass(slots=True)
class _Bounds:
    """What is known of ages: `newer` is the oldest record known to be wanted (-1: none), `older` the newest one known
    to be too old or missing. `guessed` where the latter is only seen by empty records."""

    newer: int
    older: int
    guessed: bool = False

    @property
    def met(self) -> bool:
        return self.older - self.newer <= 1

    def within(self, age: int) -> int:
        return min(max(age, self.newer + 1), self.older - 1)


class Search:
    """One search for the first records of [start_ms, end_ms). `now_ms` tells the time, `clock` is the device's."""

    def __init__(
        self,
        log: Log,
        known: Known,
        span: tuple[int, int],
        zone: tzinfo,
        now_ms: Callable[[], int],
        clock: ClockRegisters | None,
        where: str,
    ) -> None:
        self._log = log
        self._known = known
        self._start_ms, self._end_ms = span
        self._zone = clock.zone or zone if clock is not None else zone
        self._now_ms = now_ms
        self._clock = clock
        self._where = where
        self._fresh = False
        self._last: Sequence[Found] = ()
        self._reader = LogReader(log, known, span[1], zone, now_ms, where)

    def steps(self) -> Steps:
        """The search. Raises BadFrame where the log contradicts itself, DeviceRefused where it cannot be read now."""
        for _ in range(TRIES):
            page = yield from self._undated() if self._log.stamp is None else self._dated()
            if page is not None:
                return page
            self._known.forget()
        if self._log.stamp is not None:
            return self._as_it_lies()
        raise BadFrame(
            f"the log {self._log.name} changes while it is read",
            where=self._where,
            hint="compare count and newest of the log with the manual",
        )

    # records with a time stamp

    def _dated(self) -> Generator[Ask, bytes | None, Page | None]:
        known = self._known
        self._fresh = known.newest is None
        if known.newest is None:
            told = yield from self._reader.find_newest()
            if told is not None:
                return told
        depth = known.held
        bounds = _Bounds(-1, depth)
        behind = self._log.slots(0, depth)
        age = self._guess(bounds)
        for turn in range(MOST_TURNS):
            if bounds.older == 0 and not bounds.guessed:
                return (yield from self._nothing())
            found = yield from self._reader.read(age)
            if found is None:
                return REFUSED
            self._last = found
            self._narrow(bounds, found, depth)
            if bounds.newer >= bounds.older:
                return None
            if not bounds.met:
                age = self._guess(bounds) if turn < GUESSES else (bounds.newer + bounds.older) // 2
            elif bounds.guessed and bounds.older + behind // 2 < depth - 1:
                age = min(bounds.older + behind, depth - 1)  # are there records behind what is empty or broken?
                behind *= 2
            elif bounds.newer < 0:
                return (yield from self._nothing())
            elif (wanted := [each for each in found if each.age <= bounds.newer]) and wanted[0].age == bounds.newer:
                return (yield from self._told(wanted))
            else:
                age = bounds.newer
        return None

    def _as_it_lies(self) -> Page:
        """What was read last, of a log that is in no order: its clock was set back. Each record has its time still."""
        late = [each for each in self._last if each.time_ms is not None and each.time_ms >= self._start_ms]
        records = sorted((each.time_ms or 0, each.data) for each in late if each.certain)
        return Page(records, max((each.time_ms or 0 for each in late), default=self._start_ms) + 1)

    def _narrow(self, bounds: _Bounds, found: Sequence[Found], depth: int) -> None:
        """Learn from records that were read, oldest first."""
        good = [each for each in found if each.time_ms is not None]
        if not good:
            if found[-1].age < bounds.older:
                bounds.older, bounds.guessed = found[-1].age, True
            return
        late = [each for each in good if (each.time_ms or 0) >= self._start_ms]
        early = [each for each in good if (each.time_ms or 0) < self._start_ms]
        if late and late[0].age > bounds.older and bounds.guessed:
            bounds.older, bounds.guessed = depth, False  # what seemed to be the end was a record that is broken
        if early and early[-1].age <= bounds.older:
            bounds.older, bounds.guessed = early[-1].age, False
        if late:
            bounds.newer = max(bounds.newer, late[0].age)
            if late[0].time_ms == self._start_ms:
                bounds.older, bounds.guessed = min(bounds.older, late[0].age + 1), False
            elif late[0] is not found[0] and not early:
                bounds.older, bounds.guessed = min(bounds.older, late[0].age + 1), True

    def _guess(self, bounds: _Bounds) -> int:
        """Where the first record wanted is, going by a record whose time is known."""
        if self._known.anchor is None or self._known.newest is None:
            return bounds.within(0)
        slot, time_ms = self._known.anchor
        age, period_ms = self._reader.age(slot), self._log.period.mean_ms
        is_there = self._now_ms() - time_ms < (self._log.count - 1) * period_ms
        if not self._log.moves and is_there and time_ms < self._start_ms:
            bounds.older = min(bounds.older, age)
        return bounds.within(age - -(-(self._start_ms - time_ms) // period_ms))

    def _told(self, wanted: Sequence[Found]) -> Generator[Ask, bytes | None, Page]:
        last_ms = max(each.time_ms or 0 for each in wanted)
        records = [(each.time_ms, each.data) for each in wanted if each.time_ms is not None and each.certain]
        told_ms = last_ms + 1
        if wanted[-1].age == 0:
            ends = last_ms + self._log.period.mean_ms >= self._end_ms
            if ends or (yield from self._is_newest()):
                told_ms = self._end_ms
        return Page(records, told_ms)

    def _nothing(self) -> Generator[Ask, bytes | None, Page | None]:
        """All records are older than what is wanted, unless one was made since the newest was looked for."""
        return Page((), self._end_ms) if (yield from self._is_newest()) else None

    def _is_newest(self) -> Generator[Ask, bytes | None, bool]:
        """Whether what was the newest record still is."""
        before = self._known.newest
        if self._fresh or self._log.moves:
            return True
        self._fresh = True
        told = yield from self._reader.find_newest()
        return told is None and self._known.newest == before

    # records without one

    def _undated(self) -> Generator[Ask, bytes | None, Page | None]:
        log, known, period = self._log, self._known, self._log.period
        state = yield from self._state()
        if isinstance(state, Page):
            return state
        newest, ended_ms = state
        known.newest = newest
        first_ms = period.ceil(self._start_ms, self._zone)
        if first_ms >= self._end_ms or first_ms > ended_ms:
            return Page((), self._end_ms)
        age = period.steps(first_ms, ended_ms, self._zone)
        if age >= known.held:
            oldest_ms = period.add(ended_ms, 1 - known.held, self._zone)
            return Page((), max(min(oldest_ms, self._end_ms), self._start_ms + 1))
        found = yield from self._reader.read(age)
        if found is None or not (known.answered or (yield from self._has_any())):
            return REFUSED
        after = yield from self._state()
        if isinstance(after, Page) or after != state:
            return None
        times = [period.add(ended_ms, -each.age, self._zone) for each in found]
        records = [(at, each.data) for at, each in zip(times, found, strict=True) if log.is_sound(each.data)]
        return Page(records, self._end_ms if found[-1].age == 0 else times[-1] + 1)

    def _state(self) -> Generator[Ask, bytes | None, tuple[int, int] | Page]:
        """Where the newest record is, and the end of the last period by the device's clock."""
        told = yield from self._reader.find_newest()
        if told is not None:
            return told
        now_ms = self._now_ms()
        if self._clock is not None:
            clock = self._clock
            words = yield Read(clock.fc, clock.address, clock.format.size)
            shown_ns = clock.decode(words, self._zone) if words is not None else None
            if shown_ns is None or abs(shown_ns // MS_NS - now_ms) > CLOCK_OFF_MS:
                raise self._not_now("its clock is not set, or off by minutes", "set the device's clock")
            return self._known.newest or 0, self._log.period.floor(shown_ns // MS_NS, self._zone)
        if near_end(self._log, now_ms, self._zone):
            raise self._not_now("a period ends about now", "name its clock in the profile")
        return self._known.newest or 0, self._log.period.floor(now_ms, self._zone)

    def _has_any(self) -> Generator[Ask, bytes | None, bool]:
        """Whether the device has the newest record at least."""
        yield from self._reader.read(0)
        return self._known.answered

    def _not_now(self, why: str, hint: str) -> DeviceRefused:
        what = f"the records of the log {self._log.name} cannot be dated: {why}"
        return DeviceRefused(what, code=0, reason=Reason.DEVICE_ERROR, retryable=True, where=self._where, hint=hint)


def near_end(log: Log, now_ms: int, zone: tzinfo) -> bool:
    """Whether a period ends so soon, or has just ended, that a device whose clock is a little off counts otherwise."""
    beside_ms = min(log.period.mean_ms // 4, BESIDE_MS)
    return log.period.floor(now_ms - beside_ms, zone) != log.period.floor(now_ms + beside_ms, zone)

"""Which hours of which units wait to be computed: bits of local hours, a word for each unit and day."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from historian.calendar import Days, Instants
from historian.counters import HOUR_MS

Numbers = NDArray[np.int64]
_Number = TypeVar("_Number", np.int64, np.uint32)
ALL_HOURS = (1 << 26) - 1
"""A local day has 26 hours at most."""


class Touched(NamedTuple):
    """Hours of unit-days, shape (n,) each; `hours` are bits."""

    day: Numbers
    unit: Numbers
    hours: Numbers


class Arrivals(NamedTuple):
    """Readings of units, shape (n,) each.

    source  number of the set of registers that it carries, `NO_REGISTERS` where it has none
    usable  whether any of them says what it shows; `whole`: whether all of them do
    """

    unit: Numbers
    time_ms: Instants
    source: Numbers
    usable: NDArray[np.bool_]
    whole: NDArray[np.bool_]

    def chosen(self, which: NDArray[np.bool_]) -> Arrivals:
        """Some of them."""
        return Arrivals(
            self.unit[which], self.time_ms[which], self.source[which], self.usable[which], self.whole[which]
        )


NO_REGISTERS = -1
MOST_SOURCES = 64
"""Readings of further sets of registers are not remembered, and open more hours than they need."""


class Marks:
    """Marks in memory, of the few days that readings arrive for as they are made."""

    def __init__(self, days: Days) -> None:
        self._days = days
        self._words: dict[int, NDArray[np.uint32]] = {}
        self._read_ms = np.zeros(0, np.int64)
        """By unit: nothing was read of its registers later."""
        self._whole_ms: dict[int, Instants] = {}
        """By source and unit, a reading of which all registers were usable, and that nothing was written over."""
        self._computed_ms = np.zeros(0, np.int64)
        """By unit: no hours that ended later were computed, but such as wait."""
        self.units = 0
        """Numbers of units are below this."""

    def grow(self, units: int, read_ms: int = 0) -> None:
        """There are more units, of which nothing was read later than `read_ms`."""
        if units > self.units:
            before = len(self._read_ms)
            self.units = max(units, self.units * 5 // 4)
            self._read_ms, self._computed_ms = (
                _grown(values, self.units) for values in (self._read_ms, self._computed_ms)
            )
            self._read_ms[before:] = read_ms
            self._whole_ms = {source: _grown(values, self.units) for source, values in self._whole_ms.items()}
            self._words = {day: _grown(words, self.units) for day, words in self._words.items()}

    def touched(self, arrivals: Arrivals, *, late: bool = False) -> Touched:
        """Hours whose figures depend on readings: their own, and those next to them whose consumption they share.

        A failed reading is one too where a good one may have stood in its place.
        `late`: there may be newer ones in the store, though none arrived.
        """
        unit, time_ms = arrivals.unit, arrivals.time_ms
        registers = arrivals.source != NO_REGISTERS
        day = self._days.numbers(time_ms)
        start = self._days.starts(day)
        hour = (time_ms - start) // HOUR_MS
        begin = start + hour * HOUR_MS
        if late:
            first = behind = np.flatnonzero(registers)
        else:
            inside = self._read_ms[unit] >= time_ms
            shares = registers & (arrivals.usable | inside)
            first = np.flatnonzero(shares & ~self._follows(arrivals, begin))
            behind = np.flatnonzero(shares & inside)
        before_ms = begin[first] - 1
        before = self._days.numbers(before_ms)
        next_ms = np.minimum(begin[behind] + HOUR_MS, self._days.starts(day[behind] + 1))
        if late:  # as many as doubts.TAIL_MS
            further_ms = np.minimum(next_ms + HOUR_MS, self._days.starts(self._days.numbers(next_ms) + 1))
            next_ms, behind = np.concatenate([next_ms, further_ms]), np.concatenate([behind, behind])
        after = self._days.numbers(next_ms)
        return Touched(
            np.concatenate([day, before, after]),
            np.concatenate([unit, unit[first], unit[behind]]),
            np.concatenate(
                [
                    _bit(hour),
                    _bit((before_ms - self._days.starts(before)) // HOUR_MS),
                    _bit((next_ms - self._days.starts(after)) // HOUR_MS),
                ]
            ),
        )

    def add(self, touched: Touched) -> None:
        """These wait."""
        for day in np.unique(touched.day).tolist():
            at = touched.day == day
            np.bitwise_or.at(self._of(day), touched.unit[at], touched.hours[at].astype(np.uint32))

    def add_all(self, day: int, units: Numbers, hours: int) -> None:
        """The same hours of many units wait."""
        self._of(day)[units] |= np.uint32(hours)

    def arrived(self, arrivals: Arrivals) -> None:
        """Readings are stored."""
        arrivals = arrivals.chosen(arrivals.source != NO_REGISTERS)
        for source in np.unique(arrivals.source[arrivals.source < MOST_SOURCES]).tolist():
            of_source = arrivals.chosen(arrivals.whole & (arrivals.source == source))
            if source not in self._whole_ms:
                self._whole_ms[source] = np.zeros(self.units, np.int64)
            np.maximum.at(self._whole_ms[source], of_source.unit, of_source.time_ms)
        if not arrivals.whole.all():
            failed = arrivals.chosen(~arrivals.whole)
            for whole_ms in self._whole_ms.values():
                whole_ms[failed.unit[whole_ms[failed.unit] == failed.time_ms]] = 0
        np.maximum.at(self._read_ms, arrivals.unit, arrivals.time_ms)

    def computed(self, units: Numbers, end_ms: int) -> None:
        """Hours of units that end at a time were computed."""
        self._computed_ms[units] = np.maximum(self._computed_ms[units], end_ms)

    def behind(self, units: Numbers, end_ms: int) -> NDArray[np.bool_]:
        """Of which units hours may be computed that end later."""
        found: NDArray[np.bool_] = self._computed_ms[units] > end_ms
        return found

    def _follows(self, arrivals: Arrivals, begin_ms: Instants) -> NDArray[np.bool_]:
        """Which readings have one of the same registers before them in their hour."""
        found = np.zeros(len(arrivals.unit), np.bool_)
        for source, whole_ms in self._whole_ms.items():
            at = np.flatnonzero(arrivals.source == source)
            before_ms = whole_ms[arrivals.unit[at]]
            found[at] = (before_ms >= begin_ms[at]) & (before_ms < arrivals.time_ms[at])
        return found

    def due(self, closed_ms: int) -> tuple[int, int] | None:
        """The first day, and which of its hours, that wait and ended by `closed_ms`."""
        for day in sorted(self._words):
            hours = closed_hours(self._days, day, closed_ms)
            if hours and (self._words[day] & np.uint32(hours)).any():
                return day, hours
        return None

    def take(self, day: int, hours: int, most: int) -> tuple[Numbers, int]:
        """Units of a day that wait for the same hours among these, and which; they wait no longer."""
        words = self._words[day]
        waiting = words & np.uint32(hours)
        units = np.flatnonzero(waiting)
        same = units[waiting[units] == waiting[units[0]]][:most]
        taken = int(waiting[units[0]])
        words[same] &= np.uint32(~taken & 0xFFFFFFFF)
        return same.astype(np.int64), taken

    def open_units(self) -> int:
        """How many units wait for anything."""
        found = np.zeros(self.units, np.bool_)
        for words in self._words.values():
            found |= words > 0
        return int(found.sum())

    def forget(self, before_day: int) -> None:
        """Give up the room of days for which nothing waits."""
        for day in [day for day in self._words if day < before_day and not self._words[day].any()]:
            del self._words[day]

    def _of(self, day: int) -> NDArray[np.uint32]:
        words = self._words.get(day)
        if words is None:
            words = self._words[day] = np.zeros(self.units, np.uint32)
        return words


def closed_hours(days: Days, day: int, closed_ms: int) -> int:
    """Bits of the hours of a day that ended by a time."""
    start, end = days.start(day), days.start(day + 1)
    if closed_ms >= end:
        return ALL_HOURS
    return (1 << max((closed_ms - start) // HOUR_MS, 0)) - 1


def merged(touched: Touched) -> list[tuple[int, int, int]]:
    """Day, unit and hours, once for each unit-day."""
    order = np.lexsort((touched.unit, touched.day))
    day, unit, hours = touched.day[order], touched.unit[order], touched.hours[order]
    begins = np.flatnonzero(np.append(True, (day[1:] != day[:-1]) | (unit[1:] != unit[:-1])))
    whole = np.bitwise_or.reduceat(hours, begins)
    return list(zip(day[begins].tolist(), unit[begins].tolist(), whole.tolist(), strict=True))


def _bit(hour: Numbers) -> Numbers:
    found: Numbers = np.left_shift(np.int64(1), hour)
    return found


def _grown(values: NDArray[_Number], size: int) -> NDArray[_Number]:
    return np.concatenate([values, np.zeros(size - len(values), values.dtype)])

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


class Marks:
    """Marks in memory, of the few days that readings arrive for as they are made."""

    def __init__(self, days: Days) -> None:
        self._days = days
        self._words: dict[int, NDArray[np.uint32]] = {}
        self._newest_ms = np.zeros(0, np.int64)
        self.units = 0
        """Numbers of units are below this."""

    def grow(self, units: int) -> None:
        """There are more units."""
        if units > self.units:
            self.units = max(units, self.units * 5 // 4)
            self._newest_ms = _grown(self._newest_ms, self.units)
            self._words = {day: _grown(words, self.units) for day, words in self._words.items()}

    def touched(
        self, unit: Numbers, time_ms: Instants, counts: NDArray[np.bool_] | None = None, *, late: bool = False
    ) -> Touched:
        """Hours whose figures depend on readings: their own, and those next to them whose consumption they share.

        `counts`: which readings say what a register shows, None for all; the others share nothing.
        `late`: there may be newer ones in the store, though none arrived.
        """
        shares = np.True_ if counts is None else counts
        day = self._days.numbers(time_ms)
        start = self._days.starts(day)
        hour = (time_ms - start) // HOUR_MS
        newest = self._newest_ms[unit]
        begin = start + hour * HOUR_MS
        follows = (newest >= begin) & (newest < time_ms)
        first = np.flatnonzero(~follows & shares)
        behind = np.flatnonzero(((newest > time_ms) | late) & shares)
        before_ms = begin[first] - 1
        before = self._days.numbers(before_ms)
        next_ms = np.minimum(begin[behind] + HOUR_MS, self._days.starts(day[behind] + 1))
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

    def arrived(self, unit: Numbers, time_ms: Instants) -> None:
        """Readings of registers are stored."""
        np.maximum.at(self._newest_ms, unit, time_ms)

    def newest_ms(self, units: Numbers) -> Instants:
        """Time of the newest reading of units' registers, 0 where none arrived yet."""
        found: Instants = self._newest_ms[units]
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

"""Buckets of time in a site's zone: quarters of an hour, hours, days and months, with days of 23 and 25 hours right."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import Enum
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

MINUTE_MS = 60_000
DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1).toordinal()
_FIRST_DAY = -3650
_LAST_DAY = date(2200, 1, 1).toordinal() - _EPOCH
LAST_MS = (_LAST_DAY - 2) * DAY_MS
"""`Days` knows no later day."""
Instants = NDArray[np.int64]


class Width(Enum):
    """How long a bucket is; the value is its name in storage, frozen."""

    QUARTER = "15m"
    HOUR = "1h"
    DAY = "1d"
    MONTH = "1mo"

    @property
    def minutes(self) -> int:
        """Minutes of a bucket within a day; 0 for days and months."""
        return {Width.QUARTER: 15, Width.HOUR: 60}.get(self, 0)


def day_start(day: date, zone: ZoneInfo) -> int:
    """When a local day begins, in ms: its midnight, or the first moment after it where there is no midnight."""
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    return round(local.astimezone(UTC).timestamp() * 1000)


def local_day(time_ms: int, zone: ZoneInfo) -> date:
    """The local day of an instant."""
    return datetime.fromtimestamp(time_ms / 1000, zone).date()


class Days:
    """Local days by number (days since 1970), many instants at a time. May be used from any thread."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._known: tuple[int, Instants] = (0, np.empty(0, np.int64))
        """First day that is known, and when each day from it on begins; replaced as a whole."""

    def numbers(self, time_ms: Instants) -> NDArray[np.int64]:
        """The local day of each instant."""
        if not len(time_ms):
            return np.empty(0, np.int64)
        low, high = int(time_ms.min()), int(time_ms.max())
        first, starts = self._cover(low // DAY_MS - 2, high // DAY_MS + 3)
        return np.searchsorted(starts, time_ms, "right") - 1 + first

    def starts(self, numbers: NDArray[np.int64]) -> Instants:
        """When each day begins."""
        if not len(numbers):
            return np.empty(0, np.int64)
        first, starts = self._cover(int(numbers.min()), int(numbers.max()) + 1)
        found: Instants = starts[numbers - first]
        return found

    def number(self, time_ms: int) -> int:
        """The local day of one instant."""
        return int(self.numbers(np.array([time_ms], np.int64))[0])

    def start(self, number: int) -> int:
        """When one day begins."""
        return int(self.starts(np.array([number], np.int64))[0])

    def edges(self, number: int, width: Width) -> Instants:
        """Edges of the buckets of one day, `width` within it or the day itself; one that a zone left out has none."""
        begin, end = self.start(number), self.start(number + 1)
        step = width.minutes * MINUTE_MS or max(end - begin, 1)
        return np.append(np.arange(begin, end, step, dtype=np.int64), end)

    def _cover(self, first: int, last: int) -> tuple[int, Instants]:
        """Know the beginnings of days `first` … `last`."""
        first, last = max(first, _FIRST_DAY), min(last, _LAST_DAY)
        known_first, known = self._known
        if len(known) and known_first <= first and last < known_first + len(known):
            return self._known
        if len(known):
            first, last = min(first, known_first), max(last, known_first + len(known) - 1)
        days = [date.fromordinal(_EPOCH + number) for number in range(first, last + 1)]
        covered = (first, np.array([day_start(day, self.zone) for day in days], np.int64))
        self._known = covered
        return covered


def edges(start_ms: int, end_ms: int, width: Width, zone: ZoneInfo) -> Instants:
    """Edges of all buckets that touch [start_ms, end_ms), ascending: one more than there are buckets.

    Within a day buckets are counted from its beginning in elapsed time, so that a day of 25 hours has 25; the last one
    before midnight is shorter where the day's length is no multiple of it.
    """
    if end_ms <= start_ms:
        return np.empty(0, np.int64)
    first, last = local_day(start_ms, zone), local_day(end_ms - 1, zone)
    if width is Width.MONTH:
        return np.array(_months(first, last, zone), np.int64)
    days = [first + timedelta(days=number) for number in range((last - first).days + 2)]
    starts = sorted({day_start(day, zone) for day in days})  # a day that a zone left out is none
    if width is Width.DAY:
        return np.array(starts, np.int64)
    step = width.minutes * MINUTE_MS
    parts = [np.arange(begin, end, step, dtype=np.int64) for begin, end in pairwise(starts)]
    every = np.append(np.concatenate(parts), starts[-1])
    low = int(np.searchsorted(every, start_ms, "right")) - 1
    high = int(np.searchsorted(every, end_ms, "left"))
    return every[low : high + 1]


def _months(first: date, last: date, zone: ZoneInfo) -> list[int]:
    month = first.replace(day=1)
    found = [day_start(month, zone)]
    while month <= last:
        month = (month.replace(day=28) + timedelta(days=4)).replace(day=1)
        found.append(day_start(month, zone))
    return found

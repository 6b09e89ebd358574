"""The time between two records of a log: seconds, or days and months of the calendar in the meter's time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

from address_space.model.clock import NS, from_datetime, to_datetime

MS_NS: Final = NS // 1000
DAY_MS: Final = 86_400_000
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600}
_MEAN_MONTH_MS: Final = 30 * DAY_MS + 36_000_000
_MONTHS: Final = 12


@dataclass(frozen=True, slots=True)
class Period:
    """`count` of "s", "min", "h", "d" or "mo". Times are UTC in milliseconds."""

    count: int
    unit: str

    @classmethod
    def of(cls, text: str) -> Period:
        """From a number and its unit, as `PERIOD` of the profile's schema has it."""
        count = re.match(r"\d+", text)
        return cls(int(count.group()), text[count.end() :]) if count is not None else cls(1, text)

    @property
    def is_calendar(self) -> bool:
        """Whether its length changes: days of 23 hours, months."""
        return self.unit not in _SECONDS

    @property
    def mean_ms(self) -> int:
        """Its length, of days and months that of a usual one."""
        if self.is_calendar:
            return self.count * (DAY_MS if self.unit == "d" else _MEAN_MONTH_MS)
        return self.count * _SECONDS[self.unit] * 1000

    @property
    def longest_ms(self) -> int:
        """Its length at most."""
        return self.count * 31 * DAY_MS if self.unit == "mo" else self.mean_ms

    def add(self, time_ms: int, steps: int, zone: tzinfo) -> int:
        """The time so many periods later; earlier where `steps` is negative. The wall clock of days stays."""
        if not self.is_calendar:
            return time_ms + steps * self.mean_ms
        local = _local(time_ms, zone)
        if self.unit == "d":
            return _instant_ms(local + timedelta(days=steps * self.count), zone)
        months = local.year * _MONTHS + local.month - 1 + steps * self.count
        first = local.replace(year=months // _MONTHS, month=months % _MONTHS + 1, day=1)
        moved = first + timedelta(days=local.day - 1)
        return _instant_ms(moved if moved.month == first.month else moved.replace(day=1) - timedelta(days=1), zone)

    def floor(self, time_ms: int, zone: tzinfo) -> int:
        """The last end of a period at or before a time: on whole multiples since midnight, at midnight, on the first of
        a month."""
        local = _local(time_ms, zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        if self.unit == "d":
            back = midnight.toordinal() % self.count
            return _instant_ms(midnight - timedelta(days=back), zone)
        if self.unit == "mo":
            months = (midnight.year * _MONTHS + midnight.month - 1) // self.count * self.count
            return _instant_ms(midnight.replace(year=months // _MONTHS, month=months % _MONTHS + 1, day=1), zone)
        offset = to_datetime(time_ms * MS_NS).astimezone(zone).utcoffset() or timedelta()
        ahead_ms = offset // timedelta(milliseconds=1)
        return (time_ms + ahead_ms) // self.mean_ms * self.mean_ms - ahead_ms

    def ceil(self, time_ms: int, zone: tzinfo) -> int:
        """The first end of a period at or after a time."""
        floor = self.floor(time_ms, zone)
        return floor if floor == time_ms else self.add(floor, 1, zone)

    def steps(self, first_ms: int, last_ms: int, zone: tzinfo) -> int:
        """How many periods lie from one end of a period to another."""
        if not self.is_calendar:
            return round((last_ms - first_ms) / self.mean_ms)
        first, last = _local(first_ms, zone), _local(last_ms, zone)
        if self.unit == "d":
            return (last.toordinal() - first.toordinal()) // self.count
        return ((last.year - first.year) * _MONTHS + last.month - first.month) // self.count

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"


def _local(time_ms: int, zone: tzinfo) -> datetime:
    return to_datetime(time_ms * MS_NS).astimezone(zone).replace(tzinfo=None)


def _instant_ms(local: datetime, zone: tzinfo) -> int:
    return from_datetime(local.replace(tzinfo=zone)) // MS_NS

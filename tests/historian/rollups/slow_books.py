"""The archives of one register and one gauge, worked out reading by reading in plain Python: nothing of the hub's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
STEP = 15 * MINUTE
"""No zone changes at other times since 1970, but by seconds in one country."""

Instants = list[int]
Usable = list[tuple[int, float]]


def moment(time_ms: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(time_ms // 1000, UTC).astimezone(zone)


def date_of(time_ms: int, zone: ZoneInfo) -> tuple[int, ...]:
    local = moment(time_ms, zone)
    return (local.year, local.month, local.day)


def month_of(time_ms: int, zone: ZoneInfo) -> tuple[int, ...]:
    local = moment(time_ms, zone)
    return (local.year, local.month)


def borders(start_ms: int, end_ms: int, zone: ZoneInfo, label: Callable[[int, ZoneInfo], tuple[int, ...]]) -> Instants:
    """When the calendar turns over: looked for at every quarter of an hour of some more than the time."""
    begin = start_ms // DAY * DAY - 40 * DAY
    found, before = [], label(begin, zone)
    for time_ms in range(begin, end_ms + 40 * DAY, STEP):
        now = label(time_ms, zone)
        if now > before:
            found.append(time_ms)
            before = now
    first = max(place for place, at in enumerate(found) if at <= start_ms)
    last = min(place for place, at in enumerate(found) if at >= end_ms)
    return found[first : last + 1]


def hours(days: Instants) -> Instants:
    """Hours are counted from the beginning of each day; the last is shorter where the day has no whole number."""
    return [at for begin, end in pairwise(days) for at in range(begin, end, HOUR)] + days[-1:]


@dataclass
class Bucket:
    """What one hour, day or month should say."""

    count: int = 0
    first: float | None = None
    last: float | None = None
    low: float | None = None
    high: float | None = None
    total: Fraction = Fraction(0)
    delta: int | None = None
    """Base units, None where no two readings cover any of it."""
    guessed: bool = False
    """Whether an edge of an hour of it lies between two readings between which the register moved."""
    covered_ms: int = 0


def summed(readings: Usable, edges: Instants) -> list[Bucket]:
    """What was read in each bucket."""
    found = [Bucket() for _ in pairwise(edges)]
    for time_ms, value in readings:
        for bucket, (begin, end) in zip(found, pairwise(edges), strict=True):
            if begin <= time_ms < end:
                bucket.count += 1
                bucket.first = value if bucket.first is None else bucket.first
                bucket.last = value
                bucket.low = value if bucket.low is None else min(bucket.low, value)
                bucket.high = value if bucket.high is None else max(bucket.high, value)
                bucket.total += Fraction(value)
    return found


def counted(readings: Usable, edges: Instants, every_hour: Instants) -> list[Bucket]:
    """The same of a register, and what it went on by: shared out at the edges of hours in whole base units."""
    found = summed(readings, edges)
    for (begin, low), (end, high) in pairwise(readings):
        cuts = [begin, *(at for at in every_hour if begin < at < end), end]
        shown = [low + _half_even(Fraction(high - low) * (at - begin) / (end - begin)) for at in cuts]
        for (lower, before), (upper, after) in pairwise(zip(cuts, shown, strict=True)):
            for bucket, (start, stop) in zip(found, pairwise(edges), strict=True):
                if start <= lower and upper <= stop:
                    bucket.delta = (bucket.delta or 0) + round(after - before)
                    bucket.covered_ms += upper - lower
                    bucket.guessed |= len(cuts) > 2 and high > low
    return found


def between(readings: Usable, begin_ms: int, end_ms: int) -> Fraction | None:
    """What the register went on by from one time to the other, not rounded; None where readings do not reach as far."""
    at = {time_ms: _at(readings, time_ms) for time_ms in (begin_ms, end_ms)}
    low, high = at[begin_ms], at[end_ms]
    return None if low is None or high is None else high - low


def _at(readings: Usable, time_ms: int) -> Fraction | None:
    for (begin, low), (end, high) in pairwise(readings):
        if begin <= time_ms <= end:
            return Fraction(low) + Fraction(high - low) * (time_ms - begin) / (end - begin)
    return None


def _half_even(amount: Fraction) -> int:
    return round(amount)


def usable(stored: Mapping[int, tuple[float, int]]) -> Usable:
    """Readings that count, in order of time, of those that are stored by their time."""
    return [(time_ms, value) for time_ms, (value, status) in sorted(stored.items()) if status < 0x80000000]

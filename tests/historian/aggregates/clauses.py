"""Aggregates as the clauses of OPC 10000-13 1.05 say them: slow, one interval at a time, to measure ours by."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from historian.aggregates import Aggregate, Configuration

NO_DATA, BAD, SUB_NORMAL = 0x809B0000, 0x80000000, 0x40A40000
CALCULATED, INTERPOLATED, PARTIAL, SEVERAL = 0x401, 0x402, 0x404, 0x410
GOOD_ONE, DOUBTFUL_ONE, BAD_ONE = range(3)

Result = tuple[int, float | None, int]
"""Milliseconds, value, status."""


@dataclass(frozen=True)
class Point:
    """A stored value, or a bound: `value` is None where there is none."""

    at: int
    value: float | None
    status: int
    made: bool = False

    @property
    def severity(self) -> int:
        return BAD_ONE if self.value is None else min(self.status >> 30, BAD_ONE)


@dataclass(frozen=True)
class Asked:
    rows: list[Point]
    stepped: bool
    settings: Configuration

    def non_bad(self, point: Point) -> bool:
        """3.1.7: the flag decides what uncertain values are."""
        limit = GOOD_ONE if self.settings.treat_uncertain_as_bad else DOUBTFUL_ONE
        return point.severity <= limit

    def there(self, point: Point) -> bool:
        """Whether there is a value to go on with, be it an uncertain bound."""
        return point.value is not None and (point.made or self.non_bad(point))

    def simple(self, at: int) -> Point:
        """3.1.9."""
        here = [row for row in self.rows if row.at == at]
        if here:
            return here[0] if self.non_bad(here[0]) else Point(at, None, NO_DATA)
        before = [row for row in self.rows if row.at < at]
        after = [row for row in self.rows if row.at > at]
        if not before or not after or not self.non_bad(before[-1]):
            return Point(at, None, NO_DATA)
        first, last = before[-1], after[0]
        doubtful = first.severity != GOOD_ONE
        if self.stepped:
            return Point(at, first.value, SUB_NORMAL if doubtful else 0, made=True)
        if not self.non_bad(last):
            return Point(at, first.value, SUB_NORMAL, made=True)
        doubtful |= last.severity != GOOD_ONE
        return Point(at, on_line(first, last, at), SUB_NORMAL if doubtful else 0, made=True)

    def interpolated(self, at: int, *, stepped: bool) -> Point:
        """3.1.8."""
        here = [row for row in self.rows if row.at == at and self.non_bad(row)]
        if here:
            return here[0]
        before = [row for row in self.rows if row.at < at and self.non_bad(row)]
        after = [row for row in self.rows if row.at > at and self.non_bad(row)]
        if not before:
            return Point(at, None, NO_DATA)
        first = before[-1]
        if stepped:
            skipped = any(first.at < row.at <= at for row in self.rows)
            beyond = not any(row.at > first.at for row in self.rows)
            doubtful = skipped or beyond or first.severity != GOOD_ONE
            return Point(at, first.value, SUB_NORMAL if doubtful else 0, made=True)
        if not after:
            if self.settings.sloped_extrapolation and len(before) > 1:
                return Point(at, on_line(before[-2], first, at), SUB_NORMAL, made=True)
            return Point(at, first.value, SUB_NORMAL, made=True)
        last = after[0]
        skipped = any(first.at < row.at < last.at for row in self.rows)
        doubtful = skipped or first.severity != GOOD_ONE or last.severity != GOOD_ONE
        return Point(at, on_line(first, last, at), SUB_NORMAL if doubtful else 0, made=True)


def on_line(first: Point, last: Point, at: int) -> float:
    assert first.value is not None
    assert last.value is not None
    return (at - first.at) * (last.value - first.value) / (last.at - first.at) + first.value


@dataclass(frozen=True)
class Span:
    """One interval, from low to high; as time flows it starts at `start`."""

    asked: Asked
    low: int
    high: int
    backward: bool
    short: bool

    @property
    def start(self) -> int:
        return self.high if self.backward else self.low

    @property
    def inside(self) -> list[Point]:
        """5.4.2.2: the start is part of an interval, the end is not."""
        if self.backward:
            return [row for row in self.asked.rows if self.low < row.at <= self.high]
        return [row for row in self.asked.rows if self.low <= row.at < self.high]

    @property
    def good(self) -> list[Point]:
        return [row for row in self.inside if row.severity == GOOD_ONE]

    @property
    def outside_of_data(self) -> bool:
        first, last = self.asked.rows[0].at, self.asked.rows[-1].at
        if self.backward:
            return self.high < first or self.low >= last
        return self.high <= first or self.low > last

    @property
    def partial(self) -> bool:
        """5.3.3.2."""
        rows = self.asked.rows
        begins = self.low < rows[0].at and rows[0] in self.inside
        ends = self.high > rows[-1].at and rows[-1] in self.inside
        return self.short or begins or ends


def by_values(span: Span) -> int:
    """5.4.3.2.1 by counts."""
    limits, every = span.asked.settings, span.inside
    bad = [row for row in every if not span.asked.non_bad(row)]
    if not every:
        return CALCULATED
    return judged(limits, len(span.good) / len(every) * 100, len(bad) / len(every) * 100, BAD)


def judged(limits: Configuration, good: float, bad: float, spoilt: int) -> int:
    both_say_the_same = limits.percent_good == 100 - limits.percent_bad
    if bad > 0 and bad >= limits.percent_bad and not both_say_the_same:
        return spoilt
    return CALCULATED if good >= limits.percent_good else SUB_NORMAL | CALCULATED


def with_simple_bounds(span: Span) -> list[tuple[Point, Point, int]]:
    """Regions: what begins and what ends each, and how long it is; the end of all data lasts a millisecond."""
    asked = span.asked
    points = [asked.simple(span.low), *(row for row in asked.rows if span.low < row.at < span.high)]
    points.append(asked.simple(span.high))
    found = []
    for first, last in itertools.pairwise(points):
        at_the_end = asked.there(first) and not asked.there(last) and last.at > asked.rows[-1].at
        found.append((first, last, min(last.at - first.at, 1) if at_the_end else last.at - first.at))
    return found


def interpolative(span: Span) -> Result:
    bound = span.asked.interpolated(span.start, stepped=span.asked.stepped)
    return span.start, bound.value, bound.status | (INTERPOLATED if bound.made else 0)


def average(span: Span) -> Result:
    good = [row.value for row in span.good if row.value is not None]
    return (span.start, sum(good) / len(good), by_values(span)) if good else (span.start, None, NO_DATA)


def along_the_line(span: Span) -> tuple[float, float, int]:
    """5.4.3.6: area and time known, in seconds, always sloped and past bad values."""
    asked = span.asked
    points = [asked.interpolated(edge, stepped=False) for edge in (span.low, span.high)]
    between = [row for row in asked.rows if span.low < row.at < span.high]
    points[1:1] = [row for row in between if asked.non_bad(row)]
    doubtful = any(point.severity != GOOD_ONE for point in points) or any(not asked.non_bad(row) for row in between)
    area = known = 0.0
    for first, last in itertools.pairwise(points):
        if first.value is not None and last.value is not None:
            area += (first.value + last.value) / 2 * (last.at - first.at) / 1000
            known += (last.at - first.at) / 1000
    return area, known, (SUB_NORMAL if doubtful else 0) | CALCULATED


def time_average(span: Span) -> Result:
    area, known, status = along_the_line(span)
    return (span.start, area / known, status) if known else (span.start, None, NO_DATA)


def total(span: Span) -> Result:
    area, known, status = along_the_line(span)
    return (span.start, area, status) if known else (span.start, None, NO_DATA)


def time_average_2(span: Span) -> Result:
    asked = span.asked
    area = known = good = bad = whole = 0.0
    for first, last, duration in with_simple_bounds(span):
        whole += duration
        if not asked.there(first):
            bad += duration
            continue
        assert first.value is not None
        ends_well = asked.stepped or asked.there(last)
        end = first.value if asked.stepped or last.value is None or not ends_well else last.value
        area += (first.value + end) / 2 * duration
        known += duration
        certain = first.severity == GOOD_ONE and (asked.stepped or last.severity == GOOD_ONE)
        if certain or not asked.settings.treat_uncertain_as_bad:
            good += duration
        else:
            bad += duration
    if not known:
        return span.start, None, NO_DATA
    return span.start, area / known, judged(asked.settings, good / whole * 100, bad / whole * 100, BAD | CALCULATED)


def extreme(span: Span, *, greatest: bool, actual_time: bool) -> Result:
    if not span.good:
        return span.start, None, NO_DATA
    sign = 1 if greatest else -1

    def height(row: Point) -> float:
        assert row.value is not None
        return sign * row.value

    found = max(span.good, key=height)
    status = SUB_NORMAL if doubtful_beside(span, height(found), sign) else 0
    same = [row for row in span.good if row.value == found.value]
    if not actual_time and (status or same[0].at != span.start):
        status |= CALCULATED
    if len(same) > 1:
        status |= SEVERAL
    return same[0].at if actual_time else span.start, found.value, status


def doubtful_beside(span: Span, furthest: float, sign: int) -> bool:
    """5.4.3.10: bad values, or an uncertain one further out than all good ones."""
    for row in span.inside:
        if not span.asked.non_bad(row):
            return True
        if row.severity == DOUBTFUL_ONE and row.value is not None and sign * row.value > furthest:
            return True
    return False


def ranged(span: Span) -> Result:
    good = [row.value for row in span.good if row.value is not None]
    if not good:
        return span.start, None, NO_DATA
    doubtful = doubtful_beside(span, max(good), 1) or doubtful_beside(span, -min(good), -1)
    return span.start, max(good) - min(good), (SUB_NORMAL if doubtful else 0) | CALCULATED


def counted(span: Span) -> Result:
    return span.start, float(len(span.good)), by_values(span)


def raw_at_an_end(span: Span, place: int) -> Result:
    if not span.inside:
        return span.start, None, NO_DATA
    row = span.inside[place]
    return row.at, row.value, row.status


def delta(span: Span) -> Result:
    if not span.good:
        return span.start, None, NO_DATA
    first, last = span.good[0], span.good[-1]
    assert first.value is not None
    assert last.value is not None
    skipped = first is not span.inside[0] or last is not span.inside[-1]
    return span.start, last.value - first.value, (SUB_NORMAL if skipped else 0) | CALCULATED


def bound_of(span: Span, *, end: bool) -> Result:
    bound = span.asked.simple(span.low if end is span.backward else span.high)
    if bound.value is None:
        return span.start, None, NO_DATA
    bits = CALCULATED if end else INTERPOLATED if bound.made else 0
    return span.start, bound.value, bound.status | bits


def delta_bounds(span: Span) -> Result:
    """As time flows backward the amount is that of the same interval forward (5.4.2.2)."""
    low, high = span.asked.simple(span.low), span.asked.simple(span.high)
    if low.value is None or high.value is None:
        return span.start, None, NO_DATA
    doubtful = low.severity != GOOD_ONE or high.severity != GOOD_ONE
    return span.start, high.value - low.value, (SUB_NORMAL if doubtful else 0) | CALCULATED


def duration(span: Span, *, bad: bool, percent: bool) -> Result:
    """5.4.3.31, 5.4.3.32: what begins a region tells what it is, and the flag what an uncertain one is."""
    parts = with_simple_bounds(span)
    hit = [part[2] for part in parts if (not span.asked.non_bad(part[0]) if bad else part[0].severity == GOOD_ONE)]
    whole = sum(part[2] for part in parts)
    return span.start, sum(hit) / whole * 100 if percent else float(sum(hit)), CALCULATED


def worst_quality(span: Span) -> Result:
    if not span.inside:
        return span.start, None, NO_DATA
    severities = [min(row.status >> 30, BAD_ONE) for row in span.inside]
    worst = max(severities)
    first = span.inside[severities.index(worst)]
    several = worst != GOOD_ONE and severities.count(worst) > 1
    return span.start, float(first.status & 0xFFFF0000), CALCULATED | (SEVERAL if several else 0)


CLAUSES = {
    Aggregate.INTERPOLATIVE: interpolative,
    Aggregate.AVERAGE: average,
    Aggregate.TIME_AVERAGE: time_average,
    Aggregate.TOTAL: total,
    Aggregate.TIME_AVERAGE_2: time_average_2,
    Aggregate.MINIMUM: lambda span: extreme(span, greatest=False, actual_time=False),
    Aggregate.MAXIMUM: lambda span: extreme(span, greatest=True, actual_time=False),
    Aggregate.MINIMUM_ACTUAL_TIME: lambda span: extreme(span, greatest=False, actual_time=True),
    Aggregate.MAXIMUM_ACTUAL_TIME: lambda span: extreme(span, greatest=True, actual_time=True),
    Aggregate.RANGE: ranged,
    Aggregate.COUNT: counted,
    Aggregate.START: lambda span: raw_at_an_end(span, 0),
    Aggregate.END: lambda span: raw_at_an_end(span, -1),
    Aggregate.DELTA: delta,
    Aggregate.START_BOUND: lambda span: bound_of(span, end=False),
    Aggregate.END_BOUND: lambda span: bound_of(span, end=True),
    Aggregate.DELTA_BOUNDS: delta_bounds,
    Aggregate.DURATION_GOOD: lambda span: duration(span, bad=False, percent=False),
    Aggregate.PERCENT_GOOD: lambda span: duration(span, bad=False, percent=True),
    Aggregate.PERCENT_BAD: lambda span: duration(span, bad=True, percent=True),
    Aggregate.WORST_QUALITY: worst_quality,
}
NEVER_PARTIAL = (Aggregate.INTERPOLATIVE, Aggregate.AVERAGE)


def expected(aggregate: Aggregate, span: Span) -> Result:
    if span.outside_of_data and aggregate is not Aggregate.INTERPOLATIVE:
        return span.start, None, NO_DATA
    at, value, status = CLAUSES[aggregate](span)
    if span.partial and not span.outside_of_data and aggregate not in NEVER_PARTIAL:
        status |= PARTIAL
    return at, None if status >= BAD else value, status


def spans_of(asked: Asked, start: int, end: int, width: int) -> list[Span]:
    """Table 12, as time flows."""
    sign, whole = (1, end - start) if end > start else (-1, start - end)
    width = width or whole
    found = []
    for done in range(0, whole, width):
        edges = (start + sign * done, start + sign * min(done + width, whole))
        found.append(Span(asked, min(edges), max(edges), sign < 0, done + width > whole))
    return found

"""One aggregate over all intervals of a read (OPC 10000-13 5.4.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from address_space.model.value import Instants, Statuses, Values
from historian.aggregates import bounds as bounding
from historian.aggregates.bounds import UNCERTAIN, Bounds
from historian.aggregates.consumption import Counting, Progress
from historian.aggregates.intervals import Intervals
from historian.aggregates.kinds import Aggregate, Configuration
from historian.aggregates.raw import BAD_NO_DATA, Mask, Raw
from historian.aggregates.regions import BadValues, Regions, regions
from historian.aggregates.segments import Extreme, Segments, extremes

BAD = 0x80000000
CALCULATED, INTERPOLATED, PARTIAL, MULTIPLE = 0x401, 0x402, 0x404, 0x410
"""Aggregate bits (5.3.3), each with the info type that they need."""
_NS_PER_MS = 1_000_000
_WHOLE = 100
"""Percent."""


@dataclass(frozen=True, slots=True, eq=False)
class Processed:
    """One value for each interval, in rising order of intervals; NaN where there is none."""

    time_ns: Instants
    values: Values
    status: Statuses

    def reversed(self) -> Processed:
        """The other way round."""
        return Processed(self.time_ns[::-1], self.values[::-1], self.status[::-1])


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    raw: Raw
    spans: Intervals
    stepped: bool
    configuration: Configuration
    counting: Counting | None

    def simple(self) -> Bounds:
        return bounding.simple(self.raw, self.spans.edges_ns, stepped=self.stepped)

    def none(self) -> tuple[Values, Statuses]:
        count = len(self.spans)
        return np.full(count, np.nan), np.full(count, BAD_NO_DATA, np.uint32)


def calculate(
    aggregate: Aggregate,
    raw: Raw,
    spans: Intervals,
    configuration: Configuration,
    *,
    stepped: bool,
    counting: Counting | None = None,
) -> Processed:
    """The aggregate of each interval; with `counting`, Delta and DeltaBounds are what the register has counted."""
    case = _Case(raw, spans, stepped, configuration, counting)
    times = spans.start_ns
    if not len(raw):
        return Processed(times, *case.none())
    made = _MADE[aggregate](case)
    values, status = made.values, made.status.astype(np.uint32)
    if made.time_ns is not None:
        times = made.time_ns
    first, last = int(raw.time_ns[0]), int(raw.time_ns[-1])
    lost = spans.beyond(first, last)
    if aggregate is not Aggregate.INTERPOLATIVE:
        status = np.where(lost, np.uint32(BAD_NO_DATA), status)
        times = np.where(lost, spans.start_ns, times)
    if aggregate not in _NEVER_PARTIAL:
        status = np.where(spans.partial(first, last) & ~lost, status | np.uint32(PARTIAL), status)
    return Processed(times, np.where(status >= BAD, np.nan, values), status.astype(np.uint32))


def value_at(
    raw: Raw, at_ns: Instants, configuration: Configuration, *, stepped: bool, simple: bool
) -> tuple[Values, Statuses]:
    """Values at single times, found or made from simple or interpolated bounds (OPC 10000-11 6.5.5)."""
    if not len(raw):
        return np.full(len(at_ns), np.nan), np.full(len(at_ns), BAD_NO_DATA, np.uint32)
    if simple:
        found = bounding.simple(raw, at_ns, stepped=stepped)
    else:
        found = bounding.interpolated(
            raw, at_ns, stepped=stepped, sloped_extrapolation=configuration.sloped_extrapolation
        )
    place = np.maximum(np.searchsorted(raw.time_ns, at_ns, "right") - 1, 0)
    stored = raw.time_ns[place] == at_ns
    status = np.where(found.made, found.status | np.uint32(INTERPOLATED), found.status)
    return np.where(stored, raw.values[place], found.values), np.where(stored, raw.status[place], status)


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    values: Values
    status: Statuses | NDArray[np.int64]
    time_ns: Instants | None = None


def _interpolative(case: _Case) -> _Made:
    found = bounding.interpolated(
        case.raw,
        case.spans.start_ns,
        stepped=case.stepped,
        sloped_extrapolation=case.configuration.sloped_extrapolation,
    )
    return _Made(found.values, np.where(found.made, found.status | INTERPOLATED, found.status))


def _average(case: _Case) -> _Made:
    every, good = Segments.of(case.raw, case.spans, None), Segments.of(case.raw, case.spans, case.raw.good)
    values, _ = case.none()
    some = good.count > 0
    totals = good.reduced(np.add)
    lowest, highest = good.reduced(np.minimum), good.reduced(np.maximum)
    values[some] = np.clip(totals / good.count[some], lowest, highest)
    status = _by_values(case, every, good)
    return _Made(values, np.where(some, status, BAD_NO_DATA))


def _by_values(case: _Case, every: Segments, good: Segments) -> NDArray[np.int64]:
    """Status by the share of values (5.4.3.2.1)."""
    bad = every.counted(~case.raw.usable)
    return _status_of(case.configuration, good.count, bad, every.count, BAD)


def _status_of(
    configuration: Configuration,
    good: NDArray[np.generic],
    bad: NDArray[np.generic],
    total: NDArray[np.generic],
    spoilt: int,
) -> NDArray[np.int64]:
    """`spoilt` where there is too much bad, which is not asked where both percentages say the same (4.2.1.2)."""
    whole = np.maximum(total.astype(np.float64), 1e-9)
    enough = (total == 0) | (good / whole * 100 >= configuration.percent_good)
    status = np.where(enough, CALCULATED, UNCERTAIN | CALCULATED)
    if configuration.percent_good + configuration.percent_bad != _WHOLE:
        too_bad = (bad > np.zeros_like(bad)) & (bad / whole * _WHOLE >= configuration.percent_bad)
        status = np.where(too_bad, spoilt, status)
    return status.astype(np.int64)


def _count(case: _Case) -> _Made:
    every, good = Segments.of(case.raw, case.spans, None), Segments.of(case.raw, case.spans, case.raw.good)
    return _Made(good.count.astype(np.float64), _by_values(case, every, good))


def _line_regions(case: _Case) -> Regions:
    """TimeAverage and Total go along a sloped line whatever the variable is (5.4.3.6)."""
    edges = bounding.interpolated(
        case.raw,
        case.spans.edges_ns,
        stepped=False,
        sloped_extrapolation=case.configuration.sloped_extrapolation,
    )
    return regions(case.raw, case.spans, edges, BadValues.SKIPPED, stepped=False)


def _area(case: _Case, parts: Regions) -> tuple[Values, Values]:
    """Area and known time of each interval, in seconds; NaN where nothing is known."""
    count = len(case.spans)
    seconds = parts.total(parts.duration_ns, ~parts.bad, count) / 1e9
    return np.where(seconds > 0, parts.total(parts.area, None, count), np.nan), np.where(seconds > 0, seconds, 1.0)


def _line_status(case: _Case, parts: Regions, area: Values) -> NDArray[np.int64]:
    doubtful = parts.total((~parts.good).astype(np.float64), None, len(case.spans)) > 0
    status = np.where(doubtful, UNCERTAIN | CALCULATED, CALCULATED)
    return np.where(np.isnan(area), BAD_NO_DATA, status)


def _time_average(case: _Case) -> _Made:
    parts = _line_regions(case)
    area, seconds = _area(case, parts)
    return _Made(area / seconds, _line_status(case, parts, area))


def _total(case: _Case) -> _Made:
    parts = _line_regions(case)
    area, _ = _area(case, parts)
    return _Made(area, _line_status(case, parts, area))


def _time_average_2(case: _Case) -> _Made:
    parts = regions(case.raw, case.spans, case.simple(), BadValues.KEPT, stepped=case.stepped)
    count = len(case.spans)
    area, seconds = _area(case, parts)
    counts_as_bad = _counts_as_bad(case, parts)
    good, bad = (parts.total(parts.duration_ns, which, count) for which in (~counts_as_bad, counts_as_bad))
    whole = parts.total(parts.duration_ns, None, count)
    status = _status_of(case.configuration, good, bad, whole, BAD | CALCULATED)
    return _Made(area / seconds, np.where(np.isnan(area), BAD_NO_DATA, status))


def _counts_as_bad(case: _Case, parts: Regions) -> Mask:
    """An uncertain region counts as good unless uncertain is to count as bad (5.4.3.2.1)."""
    return ~parts.good if case.configuration.treat_uncertain_as_bad else parts.bad


def _extreme(which: Extreme, *, actual_time: bool) -> Callable[[_Case], _Made]:
    def made(case: _Case) -> _Made:
        found = extremes(case.raw, case.spans, which)
        doubtful = _doubtful(case, found.values, which)
        bits = np.where(found.multiple, MULTIPLE, 0)
        if not actual_time:
            bits |= np.where(doubtful | (found.time_ns != case.spans.start_ns), CALCULATED, 0)
        status = np.where(np.isnan(found.values), BAD_NO_DATA, np.where(doubtful, UNCERTAIN, 0) | bits)
        times = np.where(np.isnan(found.values), case.spans.start_ns, found.time_ns)
        return _Made(found.values, status, times if actual_time else None)

    return made


def _doubtful(case: _Case, found: Values, which: Extreme) -> Mask:
    """Whether an interval has a value that is not usable, or an uncertain one beyond the good ones (5.4.3.10)."""
    raw = case.raw
    doubtful: Mask = Segments.of(raw, case.spans, None).counted(~raw.usable) > 0
    uncertain = raw.usable & ~raw.good
    if uncertain.any():
        furthest = extremes(raw, case.spans, which, uncertain).values
        doubtful |= furthest < found if which is Extreme.LOW else furthest > found
    return doubtful


def _range(case: _Case) -> _Made:
    ends = {which: extremes(case.raw, case.spans, which).values for which in Extreme}
    doubtful = np.logical_or.reduce([_doubtful(case, found, which) for which, found in ends.items()])
    status = np.where(doubtful, UNCERTAIN, 0) | CALCULATED
    low, high = ends[Extreme.LOW], ends[Extreme.HIGH]
    return _Made(high - low, np.where(np.isnan(low), BAD_NO_DATA, status))


def _end_of_raw(*, last: bool) -> Callable[[_Case], _Made]:
    def made(case: _Case) -> _Made:
        every = Segments.of(case.raw, case.spans, None)
        some = every.count > 0
        values, status = case.none()
        times = case.spans.start_ns.copy()
        place = (every.ends - 1 if last else every.begins)[some]
        values[some], status[some], times[some] = (
            case.raw.values[place],
            case.raw.status[place],
            case.raw.time_ns[place],
        )
        return _Made(values, status, times)

    return made


def _delta(case: _Case) -> _Made:
    which = case.raw.good if case.counting is None else case.raw.usable
    every, chosen = Segments.of(case.raw, case.spans, None), Segments.of(case.raw, case.spans, which)
    some = chosen.count > 0
    values, status = case.none()
    low, high = chosen.begins[some], chosen.ends[some] - 1
    times, numbers = chosen.time_ns, chosen.values
    certain = (times[low] == case.raw.time_ns[every.begins[some]]) & (
        times[high] == case.raw.time_ns[every.ends[some] - 1]
    )
    if case.counting is None:
        values[some] = numbers[high] - numbers[low]
    else:
        values[some], counted = Progress(case.raw, case.counting).between(times[low], times[high])
        certain &= counted & case.raw.good[which][low] & case.raw.good[which][high]
    status[some] = np.where(certain, CALCULATED, UNCERTAIN | CALCULATED)
    return _Made(values, status)


def _delta_bounds(case: _Case) -> _Made:
    if case.counting is not None:
        counted = Progress(case.raw, case.counting).over(case.spans)
        status = np.where(counted.certain & counted.whole, CALCULATED, UNCERTAIN | CALCULATED)
        status = np.where(counted.whole, status, status | PARTIAL)
        return _Made(counted.amount, np.where(np.isnan(counted.amount), BAD_NO_DATA, status))
    edges = case.simple()
    usable, good = (mask[:-1] & mask[1:] for mask in (edges.usable, edges.good))
    status = np.where(good, CALCULATED, UNCERTAIN | CALCULATED)
    return _Made(np.diff(edges.values), np.where(usable, status, BAD_NO_DATA))


def _bound(*, end: bool) -> Callable[[_Case], _Made]:
    def made(case: _Case) -> _Made:
        edges = case.simple()
        pick = slice(1, None) if end is not case.spans.reverse else slice(None, -1)
        status = edges.status[pick].astype(np.int64)
        bits = CALCULATED if end else np.where(edges.made[pick], INTERPOLATED, 0)
        return _Made(edges.values[pick], np.where(edges.usable[pick], status | bits, BAD_NO_DATA))

    return made


def _duration(*, bad: bool, percent: bool) -> Callable[[_Case], _Made]:
    def made(case: _Case) -> _Made:
        parts = regions(case.raw, case.spans, case.simple(), BadValues.KEPT, stepped=True)
        count = len(case.spans)
        chosen = _counts_as_bad(case, parts) if bad else parts.good
        values = parts.total(parts.duration_ns, chosen, count) / _NS_PER_MS
        if percent:
            values = values / (parts.total(parts.duration_ns, None, count) / _NS_PER_MS) * 100
        return _Made(values, np.full(count, CALCULATED))

    return made


def _worst_quality(case: _Case) -> _Made:
    every = Segments.of(case.raw, case.spans, None)
    values, status = case.none()
    some = every.count > 0
    severity = np.minimum(case.raw.status >> np.uint32(30), 2).astype(np.int64)
    worst = every.reduced(np.maximum, severity)
    place = every.first_where(severity, worst)
    values[some] = (case.raw.status[place] & np.uint32(0xFFFF0000)).astype(np.float64)
    several = every.counted(severity == every.spread(worst))[some] > 1
    status[some] = np.where(several & (worst > 0), CALCULATED | MULTIPLE, CALCULATED)
    return _Made(values, status)


_NEVER_PARTIAL = (Aggregate.INTERPOLATIVE, Aggregate.AVERAGE)
_MADE: dict[Aggregate, Callable[[_Case], _Made]] = {
    Aggregate.INTERPOLATIVE: _interpolative,
    Aggregate.AVERAGE: _average,
    Aggregate.TIME_AVERAGE: _time_average,
    Aggregate.TOTAL: _total,
    Aggregate.MINIMUM: _extreme(Extreme.LOW, actual_time=False),
    Aggregate.MAXIMUM: _extreme(Extreme.HIGH, actual_time=False),
    Aggregate.MINIMUM_ACTUAL_TIME: _extreme(Extreme.LOW, actual_time=True),
    Aggregate.MAXIMUM_ACTUAL_TIME: _extreme(Extreme.HIGH, actual_time=True),
    Aggregate.RANGE: _range,
    Aggregate.COUNT: _count,
    Aggregate.START: _end_of_raw(last=False),
    Aggregate.END: _end_of_raw(last=True),
    Aggregate.DELTA: _delta,
    Aggregate.DURATION_GOOD: _duration(bad=False, percent=False),
    Aggregate.PERCENT_GOOD: _duration(bad=False, percent=True),
    Aggregate.PERCENT_BAD: _duration(bad=True, percent=True),
    Aggregate.WORST_QUALITY: _worst_quality,
    Aggregate.TIME_AVERAGE_2: _time_average_2,
    Aggregate.START_BOUND: _bound(end=False),
    Aggregate.END_BOUND: _bound(end=True),
    Aggregate.DELTA_BOUNDS: _delta_bounds,
}

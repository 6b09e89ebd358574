"""Every aggregate against what the clauses of OPC 10000-13 say, over random histories and requests."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from historian.aggregates import Aggregate, Configuration, Raw, calculate, intervals, value_at
from tests.historian.aggregates.clauses import BAD, INTERPOLATED, NO_DATA, Asked, Point, expected, spans_of

MS = 1_000_000
BASE_NS = 1_800_000_000_000 * MS
_STATUSES = st.sampled_from([0, 0, 0, 0, 0x00960000, 0x40000000, 0x40900000, 0x80310000, 0x80000000, NO_DATA])
_VALUES = st.one_of(st.integers(-20, 20).map(float), st.floats(-1e6, 1e6, allow_subnormal=False))
_ROWS = st.dictionaries(st.integers(0, 60), st.tuples(_VALUES, _STATUSES), min_size=1, max_size=25)
_SETTINGS = st.builds(
    Configuration,
    treat_uncertain_as_bad=st.booleans(),
    percent_bad=st.sampled_from([0, 30, 50, 70, 100]),
    percent_good=st.sampled_from([0, 30, 50, 70, 100]),
    sloped_extrapolation=st.booleans(),
).filter(lambda one: one.consistent)


def _stored(rows: dict[int, tuple[float, int]]) -> list[Point]:
    return [Point(at, None if status >= BAD else value, status) for at, (value, status) in sorted(rows.items())]


def _raw(points: list[Point], configuration: Configuration) -> Raw:
    times = BASE_NS + np.array([point.at for point in points], np.int64) * MS
    values = np.array([np.nan if point.value is None else point.value for point in points])
    return Raw(times, values, np.array([point.status for point in points], np.uint32), configuration)


@settings(max_examples=400, deadline=None)
@given(
    _ROWS, _SETTINGS, st.booleans(), st.integers(-10, 70), st.integers(-10, 70), st.sampled_from([0, 1, 4, 7, 20, 99])
)
def test_every_aggregate_is_what_the_clauses_say(
    rows: dict[int, tuple[float, int]], limits: Configuration, stepped: bool, start: int, end: int, width: int
) -> None:
    points = _stored(rows)
    there = [point for point in points if point.status != NO_DATA]
    if start == end or not there:
        return
    cut, more = intervals(BASE_NS + start * MS, BASE_NS + end * MS, width * MS, 1000)
    assert not more
    asked = Asked(there, stepped, limits)
    for aggregate in Aggregate:
        found = calculate(aggregate, _raw(points, limits), cut, limits, stepped=stepped)
        if cut.reverse:
            found = found.reversed()
        wanted = [expected(aggregate, span) for span in spans_of(asked, start, end, width)]
        told = list(zip(((found.time_ns - BASE_NS) // MS).tolist(), found.status.tolist(), strict=True))
        assert told == [(at, status) for at, _, status in wanted], aggregate
        values = [np.nan if value is None else value for _, value, _ in wanted]
        np.testing.assert_allclose(found.values, values, rtol=1e-9, atol=1e-6, err_msg=str(aggregate))


@settings(max_examples=200, deadline=None)
@given(_ROWS, st.booleans(), st.booleans(), st.lists(st.integers(-10, 70), min_size=1, max_size=20))
def test_values_at_times_are_those_stored_or_the_bounds_of_the_clauses(
    rows: dict[int, tuple[float, int]], stepped: bool, simple: bool, at: list[int]
) -> None:
    limits, points = Configuration(), _stored(rows)
    there = [point for point in points if point.status != NO_DATA]
    if not there:
        return
    asked = Asked(there, stepped, limits)
    moments = BASE_NS + np.array(at, np.int64) * MS
    values, codes = value_at(_raw(points, limits), moments, limits, stepped=stepped, simple=simple)
    for place, moment in enumerate(at):
        here = [row for row in there if row.at == moment]
        bound = here[0] if here else asked.simple(moment) if simple else asked.interpolated(moment, stepped=stepped)
        assert codes[place] == bound.status | (INTERPOLATED if bound.made else 0)
        np.testing.assert_allclose(values[place], np.nan if bound.value is None else bound.value, rtol=1e-9, atol=1e-6)

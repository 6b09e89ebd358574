"""What holds of aggregates whatever was stored."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from historian.aggregates import Aggregate, Configuration, Counting, Intervals, Raw, calculate, intervals
from historian.counters import Limits

S = 1_000_000_000
BASE_NS = 1_800_000_000 * S
_NO_DATA = 0x809B0000
_STATUSES = st.sampled_from([0, 0, 0, 0, 0x40900000, 0x80310000, 0x80000000])
_ROWS = st.dictionaries(
    st.integers(0, 200), st.tuples(st.floats(-1e6, 1e6, allow_subnormal=False), _STATUSES), min_size=1, max_size=40
)
_CONFIGURATIONS = st.builds(
    Configuration,
    treat_uncertain_as_bad=st.booleans(),
    percent_bad=st.sampled_from([50, 100]),
    percent_good=st.sampled_from([50, 100]),
    sloped_extrapolation=st.booleans(),
)
_SPANS = st.tuples(st.integers(-20, 220), st.integers(1, 200), st.sampled_from([0, 1, 3, 7, 16, 50, 300]))


def _raw(rows: dict[int, tuple[float, int]], configuration: Configuration) -> Raw:
    times = sorted(rows)
    values = np.array([rows[time][0] if rows[time][1] < 0x80000000 else np.nan for time in times])
    status = np.array([rows[time][1] for time in times], np.uint32)
    return Raw(BASE_NS + np.array(times, np.int64) * S, values, status, configuration)


def _intervals(span: tuple[int, int, int], *, reverse: bool = False) -> Intervals:
    start, length, width = span
    ends = (BASE_NS + start * S, BASE_NS + (start + length) * S)
    found, more = intervals(*(ends[::-1] if reverse else ends), width * S, 10_000)
    assert not more
    return found


@settings(max_examples=150, deadline=None)
@given(_ROWS, _CONFIGURATIONS, _SPANS, st.booleans(), st.sampled_from(Aggregate), st.booleans())
def test_every_aggregate_has_one_answer_an_interval_and_a_value_unless_it_is_bad(
    rows: dict, configuration: Configuration, span: tuple, stepped: bool, aggregate: Aggregate, reverse: bool
) -> None:
    spans = _intervals(span, reverse=reverse)
    found = calculate(aggregate, _raw(rows, configuration), spans, configuration, stepped=stepped)
    assert len(found.values) == len(found.status) == len(found.time_ns) == len(spans)
    assert (np.isnan(found.values) == (found.status >= 0x80000000)).all()
    inside = (found.time_ns >= spans.low_ns) & (found.time_ns <= spans.high_ns)
    assert inside.all()


@settings(max_examples=150, deadline=None)
@given(_ROWS, _CONFIGURATIONS, _SPANS)
def test_averages_lie_between_the_extremes(rows: dict, configuration: Configuration, span: tuple) -> None:
    raw, spans = _raw(rows, configuration), _intervals(span)
    average, low, high, ranged = (
        calculate(one, raw, spans, configuration, stepped=False).values
        for one in (Aggregate.AVERAGE, Aggregate.MINIMUM, Aggregate.MAXIMUM, Aggregate.RANGE)
    )
    there = ~np.isnan(average)
    assert ((low <= average) & (average <= high))[there].all()
    assert (ranged[~np.isnan(low)] == (high - low)[~np.isnan(low)]).all()


@settings(max_examples=150, deadline=None)
@given(_ROWS, _CONFIGURATIONS, _SPANS, st.booleans())
def test_good_and_bad_time_are_never_more_than_all_of_it(
    rows: dict, configuration: Configuration, span: tuple, stepped: bool
) -> None:
    raw, spans = _raw(rows, configuration), _intervals(span)
    good, bad, duration = (
        calculate(one, raw, spans, configuration, stepped=stepped).values
        for one in (Aggregate.PERCENT_GOOD, Aggregate.PERCENT_BAD, Aggregate.DURATION_GOOD)
    )
    there = ~np.isnan(good)
    assert (good[there] + bad[there] <= 100 + 1e-9).all()
    assert (duration[there] <= np.diff(spans.edges_ns)[there] / 1e6 + 1e-6).all()


@settings(max_examples=100, deadline=None)
@given(_ROWS, _CONFIGURATIONS, _SPANS, st.booleans())
def test_time_backward_gives_the_same_bounds_and_areas(
    rows: dict, configuration: Configuration, span: tuple, stepped: bool
) -> None:
    start, length, width = span
    length = length - length % width if width else length
    if not length:
        return
    raw = _raw(rows, configuration)
    onward, back = (_intervals((start, length, width), reverse=reverse) for reverse in (False, True))
    assert (onward.edges_ns == back.edges_ns).all()
    for aggregate in (Aggregate.TIME_AVERAGE, Aggregate.TOTAL, Aggregate.DELTA_BOUNDS):
        one, other = (calculate(aggregate, raw, spans, configuration, stepped=stepped) for spans in (onward, back))
        both = ~np.isnan(one.values) & ~np.isnan(other.values)
        np.testing.assert_allclose(one.values[both], other.values[both])
        differing = np.flatnonzero(np.isnan(one.values) != np.isnan(other.values))
        edges = set(raw.time_ns[[0, -1]].tolist())
        assert all({int(onward.low_ns[at]), int(onward.high_ns[at])} & edges for at in differing)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5000)), min_size=2, max_size=30),
    st.lists(st.integers(-50, 1000), min_size=2, max_size=8, unique=True),
    st.lists(st.integers(0, 29), max_size=4),
)
def test_consumption_of_parts_is_the_consumption_of_the_whole(
    steps: list[tuple[int, int]], cuts: list[int], failed: list[int]
) -> None:
    times = np.cumsum([step[0] for step in steps]).astype(np.int64)
    register = 999_000 + np.cumsum([step[1] for step in steps])
    shown = (register % 1_000_000) / 1000
    status = np.zeros(len(times), np.uint32)
    status[[place for place in failed if place < len(times)]] = 0x80310000
    raw = Raw(BASE_NS + times * S, shown, status, Configuration())
    counting = Counting(Limits(rollover=1_000_000), per_unit=1000)
    edges = BASE_NS + np.array(sorted(cuts), np.int64) * S
    parts = calculate(Aggregate.DELTA_BOUNDS, raw, Intervals(edges), Configuration(), stepped=True, counting=counting)
    whole = calculate(
        Aggregate.DELTA_BOUNDS, raw, Intervals(edges[[0, -1]]), Configuration(), stepped=True, counting=counting
    )
    np.testing.assert_allclose(np.nansum(parts.values), np.nan_to_num(whole.values[0]), atol=1e-6)
    assert (parts.values[~np.isnan(parts.values)] >= 0).all()


@settings(max_examples=60, deadline=None)
@given(_ROWS, _SPANS)
def test_totals_of_parts_are_the_total_of_the_whole(rows: dict, span: tuple) -> None:
    configuration = Configuration()
    good = {time: (value, 0) for time, (value, _) in rows.items()}
    raw, spans = _raw(good, configuration), _intervals(span)
    parts = calculate(Aggregate.TOTAL, raw, spans, configuration, stepped=False)
    inside = ~np.isnan(parts.values)
    whole = calculate(Aggregate.TOTAL, raw, Intervals(spans.edges_ns[[0, -1]]), configuration, stepped=False)
    if inside.all() and not np.isnan(whole.values[0]):
        np.testing.assert_allclose(parts.values.sum(), whole.values[0], rtol=1e-9, atol=1e-3)

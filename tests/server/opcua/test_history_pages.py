"""Pages of stored values, of aggregates and of values at times, against all that is stored at once."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from asyncua import ua
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity
from historian.aggregates import Aggregate, Configuration, Intervals, Raw, calculate, value_at
from historian.api import Series
from server.opcua.history_at_time import AtTimeAsk
from server.opcua.history_processed import ProcessedAsk
from server.opcua.history_raw import RawAsk, raw_ask
from server.opcua.history_source import Source
from server.opcua.history_variable import Variable

_NS = 1_000_000
_BASE_MS = 1_800_000_000_000
_STATUSES = st.sampled_from([0, 0, 0, 0x40900000, 0x40900000, 0x80310000, 0x80000000])
_ROWS = st.dictionaries(st.integers(0, 60), st.tuples(st.integers(-50, 50), _STATUSES), min_size=1, max_size=30)
_SETTINGS = st.builds(
    Configuration,
    treat_uncertain_as_bad=st.booleans(),
    percent_bad=st.sampled_from([50, 100]),
    percent_good=st.sampled_from([50, 100]),
    sloped_extrapolation=st.booleans(),
)
Rows = dict[int, tuple[int, int]]


class _Stored:
    """A store with the values of one variable, which gives no more than it is asked for."""

    def __init__(self, rows: Rows) -> None:
        times = sorted(rows)
        self.time_ms = np.array(times, np.int64) + _BASE_MS
        self.status = np.array([rows[at][1] for at in times], np.uint32)
        self.values = np.where(self.status >> 30 >= 2, np.nan, np.array([rows[at][0] for at in times], np.float64))

    def raw(self, configuration: Configuration) -> Raw:
        return Raw(self.time_ms * _NS, self.values, self.status, configuration)

    async def read_raw(
        self, point: NodeUid, quantity: Quantity, start_ms: int, end_ms: int, limit: int, *, newest_first: bool = False
    ) -> Series:
        inside = np.flatnonzero((self.time_ms >= start_ms) & (self.time_ms < end_ms))
        part = (inside[::-1] if newest_first else inside)[:limit]
        return Series(self.time_ms[part], self.values[part], self.status[part], len(inside) > limit)


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What it returns: nothing here ever waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("something waited")


def _variable(*, stepped: bool) -> Variable:
    return Variable(NodeUid("m"), Quantity.ACTIVE_POWER, stepped)


def _edges(start: int, end: int, width: int) -> Intervals:
    low, high = min(start, end), max(start, end)
    whole = high - low
    width = width or whole
    steps = [*range(0, whole, width), whole]
    edges = [end + (whole - step) if end < start else start + step for step in steps]
    cut = (0 if end < start else len(steps) - 2) if whole % width else -1
    return Intervals((np.array(sorted(edges), np.int64) + _BASE_MS) * _NS, reverse=end < start, cut=cut)


@settings(max_examples=300, deadline=None)
@given(
    _ROWS,
    _SETTINGS,
    st.tuples(st.booleans(), st.integers(-10, 70), st.integers(-10, 70), st.sampled_from([0, 1, 5, 9])),
    st.integers(1, 9),
    st.sampled_from(Aggregate),
)
def test_pages_of_intervals_are_what_all_values_give(
    rows: Rows, limits: Configuration, asked: tuple[bool, int, int, int], most: int, aggregate: Aggregate
) -> None:
    stepped, start, end, width = asked
    if start == end:
        return
    stored = _Stored(rows)
    times = ((at + _BASE_MS) * _NS for at in (start, end))
    ask: object | None = ProcessedAsk(_variable(stepped=stepped), aggregate, limits, *times, width * _NS)
    found = []
    while ask is not None:
        assert isinstance(ask, ProcessedAsk)
        page = _run(ask.page(Source(stored), most))  # type: ignore[arg-type]
        assert len(page.values) <= most
        found += zip(page.time_ns.tolist(), page.codes.tolist(), page.values.tolist(), strict=True)
        ask = page.following
    spans = _edges(start, end, width)
    whole = calculate(aggregate, stored.raw(limits), spans, limits, stepped=stepped)
    whole = whole.reversed() if spans.reverse else whole
    assert [one[:2] for one in found] == list(zip(whole.time_ns.tolist(), whole.status.tolist(), strict=True))
    np.testing.assert_allclose([one[2] for one in found], whole.values, rtol=1e-9, atol=1e-9)


@settings(max_examples=150, deadline=None)
@given(_ROWS, st.booleans(), st.booleans(), st.lists(st.integers(-10, 70), min_size=1, max_size=12), st.integers(1, 5))
def test_pages_of_times_are_what_all_values_give(
    rows: Rows, stepped: bool, simple: bool, at: list[int], most: int
) -> None:
    stored = _Stored(rows)
    moments = (np.array(at, np.int64) + _BASE_MS) * _NS
    ask: object | None = AtTimeAsk(_variable(stepped=stepped), tuple(moments.tolist()), simple)
    found = []
    while ask is not None:
        assert isinstance(ask, AtTimeAsk)
        page = _run(ask.page(Source(stored), most))  # type: ignore[arg-type]
        found += zip(page.time_ns.tolist(), page.codes.tolist(), page.values.tolist(), strict=True)
        ask = page.following
    limits = Configuration()
    values, codes = value_at(stored.raw(limits), moments, limits, stepped=stepped, simple=simple)
    assert [one[:2] for one in found] == list(zip(moments.tolist(), codes.tolist(), strict=True))
    np.testing.assert_allclose([one[2] for one in found], values, rtol=1e-9, atol=1e-9)


def _wanted(rows: Rows, start: int | None, end: int | None, most: int, *, bounds: bool) -> list[tuple[int, bool]]:
    """Times, and whether they are bounds that are not found, in half milliseconds as 4.6 and 6.5.3.2 say."""
    backward = start is None or (end is not None and end < start)
    sign = -1 if backward else 1
    begin, stop = (end, None) if start is None else (start, end)
    assert begin is not None
    flowing = sorted((2 * at for at in rows), reverse=backward)
    inside = [at for at in flowing if sign * at >= sign * begin]
    if stop is not None:
        inside = [at for at in inside if at == begin or sign * at < sign * stop]
    found = [(at, False) for at in inside]
    if bounds:
        if begin not in inside:
            before = [at for at in flowing if sign * at < sign * begin]
            found.insert(0, (before[-1], False) if before else (begin, True))
        edge = stop if stop is not None else None
        if edge is None:
            found.append((found[-1][0] + sign * 2000, True))
        else:
            behind = [at for at in flowing if (sign * at > sign * edge if begin == edge else sign * at >= sign * edge)]
            found.append((behind[0], False) if behind else (edge, True))
    return found[:most] if most and stop is None else found


@settings(max_examples=300, deadline=None)
@given(
    _ROWS,
    st.tuples(st.none() | st.integers(-10, 130), st.none() | st.integers(-10, 130), st.integers(0, 12), st.booleans()),
    st.integers(1, 9),
)
def test_pages_of_stored_values_are_the_interval_with_its_bounds(
    rows: Rows, asked: tuple[int | None, int | None, int, bool], most: int
) -> None:
    start, end, number, bounds = asked
    epoch = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=_BASE_MS)
    moments = [None if at is None else epoch + timedelta(microseconds=500 * at) for at in (start, end)]
    null = ua.get_win_epoch()
    details = ua.ReadRawModifiedDetails(False, moments[0] or null, moments[1] or null, number, bounds)
    ask: object | None = raw_ask(_variable(stepped=False), details)
    if (start is None) + (end is None) + (number == 0) > 1:
        assert ask == ua.StatusCodes.BadHistoryOperationInvalid
        return
    found = []
    while ask is not None:
        assert isinstance(ask, RawAsk)
        page = _run(ask.page(Source(_Stored(rows)), most))  # type: ignore[arg-type]
        assert len(page.values) <= min(most, number or most)
        half_ms = ((page.time_ns - _BASE_MS * _NS) // (_NS // 2)).tolist()
        found += zip(half_ms, (page.codes == ua.StatusCodes.BadBoundNotFound).tolist(), strict=True)
        ask = page.following
    assert found == _wanted(rows, start, end, number, bounds=bounds)

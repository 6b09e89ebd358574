"""Figures of many units at once say what the plain functions say of one."""

from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from historian.api import Rows, Series
from historian.buckets import consumption
from historian.buckets import summarised as plainly
from historian.calendar import Days, Width, edges
from historian.counters import Limits, advances
from historian.errors import DamagedHistory
from historian.rollups import codec
from historian.rollups.booking import Bounds, book
from historian.rollups.figures import COUNTER, GAUGE, Figure, Figures, Shape, composed, empty, summarised, usable
from historian.shares import shared

BAD = 0x80310000
HOUR = 3_600_000
T0 = 1_798_761_600_000
EDGES = np.arange(T0, T0 + 7 * HOUR, HOUR, dtype=np.int64)
reading = st.tuples(
    st.integers(-2 * 60, 8 * 60),
    st.one_of(st.integers(0, 10**6).map(float), st.just(float("nan"))),
    st.sampled_from([0, 0, 0, BAD, 0x40910000]),
)
SHAPES = st.sampled_from([COUNTER, GAUGE])
ZONES = st.sampled_from(["Europe/Berlin", "Asia/Tashkent", "Australia/Lord_Howe"])
units = st.lists(st.lists(reading, max_size=25, unique_by=lambda found: found[0]).map(sorted), min_size=1, max_size=3)


def rows_of(given_units: list[list[tuple[int, float, int]]]) -> Rows:
    flat = [
        (unit, T0 + minute * 60_000, value, status)
        for unit, found in enumerate(given_units)
        for minute, value, status in found
    ]
    return Rows(
        ("ActiveEnergyImport",),
        np.array([row[0] for row in flat], np.int64),
        np.array([row[1] for row in flat], np.int64),
        np.array([[row[2]] for row in flat], float).reshape(len(flat), 1),
        np.array([[row[3]] for row in flat], np.uint32).reshape(len(flat), 1),
        np.ones((len(flat), 1), np.bool_),
    )


@given(units)
@settings(max_examples=150, deadline=None)
def test_many_units_are_summarised_as_one_is(given_units: list[list[tuple[int, float, int]]]) -> None:
    rows = rows_of(given_units)
    gauges = summarised(GAUGE, rows, len(given_units), EDGES)
    counters = summarised(COUNTER, rows, len(given_units), EDGES)
    for unit in range(len(given_units)):
        at = rows.unit == unit
        plain = plainly(Series(rows.time_ms[at], rows.values[at, 0], rows.status[at, 0]), EDGES)
        count = gauges.of(Figure.COUNT)[unit, 0]
        assert np.array_equal(count, plain.count)
        assert np.array_equal(gauges.of(Figure.LOW)[unit, 0], plain.low, equal_nan=True)
        assert np.array_equal(gauges.of(Figure.HIGH)[unit, 0], plain.high, equal_nan=True)
        assert np.array_equal(counters.of(Figure.FIRST)[unit, 0], plain.first, equal_nan=True)
        assert np.array_equal(counters.of(Figure.LAST)[unit, 0], plain.last, equal_nan=True)
        assert np.array_equal(gauges.of(Figure.QUALITY)[unit, 0], plain.quality)
        mean = gauges.of(Figure.TOTAL)[unit, 0] / np.maximum(count, 1)
        assert np.allclose(mean, plain.mean, equal_nan=True)


@given(units)
@settings(max_examples=150, deadline=None)
def test_registers_that_only_go_on_are_booked_as_reading_by_reading(
    given_units: list[list[tuple[int, float, int]]],
) -> None:
    rows = rows_of(given_units)
    rows.values[:] = np.cumsum(np.nan_to_num(rows.values), axis=0) + np.where(np.isnan(rows.values), np.nan, 0)
    figures = summarised(COUNTER, rows, len(given_units), EDGES)
    bounds = Bounds(np.zeros((len(given_units), 1)), np.zeros((len(given_units), 1)))
    counts = usable(rows)
    odd = book(figures, rows, counts, bounds, EDGES)
    assert not odd.any()
    for unit in range(len(given_units)):
        at = (rows.unit == unit) & counts[:, 0]
        amounts, _ = consumption(advances(rows.time_ms[at], rows.values[at, 0], Limits()), EDGES)
        assert np.array_equal(figures.of(Figure.DELTA)[unit, 0], amounts, equal_nan=True)


@given(
    st.lists(st.tuples(st.integers(0, 10**7), st.integers(1, 10**7), st.integers(0, 10**9)), max_size=20),
    st.lists(st.integers(0, 2 * 10**7), min_size=2, max_size=30, unique=True).map(sorted),
)
def test_shares_are_whole_and_sum_up_to_the_amount(spans: list[tuple[int, int, int]], cuts: list[int]) -> None:
    start = np.array([begin for begin, _, _ in spans], np.int64)
    end = start + np.array([length for _, length, _ in spans], np.int64)
    amount = np.array([amount for _, _, amount in spans], np.float64)
    edges_ms = np.array([-1, *cuts, 10**9], np.int64)
    edges_ms = np.unique(edges_ms)
    parts = shared(start, end, amount, edges_ms)
    assert (parts.amount == np.rint(parts.amount)).all()
    assert (parts.amount >= 0).all()
    sums = np.bincount(parts.span, parts.amount, len(spans)) if len(spans) else np.empty(0)
    assert np.array_equal(sums, amount)


@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(1, 26), st.sampled_from([COUNTER, GAUGE]), st.integers(0, 2**32)
)
@settings(max_examples=100, deadline=None)
def test_what_is_packed_comes_back_bit_for_bit(count: int, fields: int, buckets: int, shape: Shape, seed: int) -> None:
    figures = _random(count, fields, buckets, shape, seed)
    packed = codec.encode(figures)
    again = codec.decode(shape, figures.fields, packed, buckets)
    assert np.array_equal(again.data, figures.data, equal_nan=True)
    for field in range(fields):
        one = codec.decode_field(shape, fields, packed, buckets, field)
        assert np.array_equal(one.data[:, 0], figures.data[:, field], equal_nan=True)


@given(st.binary(max_size=200))
def test_any_other_bytes_are_called_damaged(junk: bytes) -> None:
    try:
        codec.decode(COUNTER, ("a",), [junk], 24)
    except DamagedHistory:
        return
    raise AssertionError("nothing was noticed")


@given(st.integers(1, 3), st.integers(2, 26), SHAPES, st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_a_day_put_together_in_two_steps_is_the_day_put_together_in_one(
    count: int, buckets: int, shape: Shape, seed: int
) -> None:
    figures = _random(count, 2, buckets, shape, seed)
    half = composed(figures, np.array([0, buckets // 2]))
    whole = composed(figures, np.zeros(1, np.int64))
    twice = composed(half, np.zeros(1, np.int64))
    assert np.allclose(twice.data, whole.data, equal_nan=True)


@given(st.lists(st.integers(0, 4 * 10**9), min_size=1, max_size=20), ZONES)
@settings(max_examples=60, deadline=None)
def test_days_by_number_are_the_days_of_the_calendar(seconds: list[int], name: str) -> None:
    zone = ZoneInfo(name)
    days = Days(zone)
    times = np.array(seconds, np.int64) * 1000
    for time, number in zip(times.tolist(), days.numbers(times).tolist(), strict=True):
        plain = edges(time, time + 1, Width.DAY, zone)
        assert days.edges(number, Width.DAY).tolist() == plain[:2].tolist()
        hours = days.edges(number, Width.HOUR)
        assert np.isin(edges(time, time + 1, Width.HOUR, zone)[:2], hours).all()


def _random(count: int, fields: int, buckets: int, shape: Shape, seed: int) -> Figures:
    random = np.random.default_rng(seed)
    figures = empty(shape, tuple(f"f{field}" for field in range(fields)), count, buckets)
    counts = random.integers(0, 3, (count, fields, buckets))
    figures.of(Figure.COUNT)[...] = counts
    figures.of(Figure.QUALITY)[...] = random.integers(0, 255, counts.shape)
    for figure in (Figure.FIRST, Figure.LAST, Figure.LOW, Figure.HIGH, Figure.TOTAL):
        if figure in shape.figures:
            values = random.choice([random.integers(0, 10**9), 0.1, 1 / 3, -5.5], counts.shape) * random.random()
            figures.of(figure)[...] = np.where(counts > 0, np.round(values, 6), np.nan)
    if Figure.DELTA in shape.figures:
        delta = random.integers(0, 10**6, counts.shape).astype(np.float64)
        figures.of(Figure.DELTA)[...] = np.where(random.random(counts.shape) < 0.3, np.nan, delta)
    return figures

"""Archives of hours, days and months, and HistoryRead of them, against a slow book kept by hand."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model import NodeUid, Quantity
from historian.aggregates import Aggregate, Configuration, Counting, Intervals, Raw, calculate
from historian.buckets import Buckets
from historian.calendar import Width
from historian.counters import Limits
from historian.rollups import RollupOptions
from historian.schema import QualityFlag
from server.opcua.history_rollups import RolledUp
from server.opcua.history_variable import Variable
from tests.historian.rollups import slow_books
from tests.historian.rollups.conftest import Bench
from tests.historian.rollups.slow_books import DAY, MINUTE, Bucket

IMPORT, VOLTAGE = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.VOLTAGE
M1 = NodeUid("m1")
SLOT = 5 * MINUTE
LENGTH = 4 * DAY // SLOT
MOST_A_SLOT = 4000
"""Wh; less than the rating of 50 kW lets through."""
BAD, UNCERTAIN = 0x80310000, 0x40940000
TURNS = [
    ("Australia/Lord_Howe", (2027, 4, 3)),
    ("Australia/Lord_Howe", (2026, 10, 2)),
    ("Asia/Kathmandu", (2027, 1, 30)),
    ("Asia/Kathmandu", (1985, 12, 30)),
    ("Asia/Tashkent", (2027, 2, 27)),
    ("Asia/Tashkent", (1991, 3, 29)),
    ("America/Santiago", (2027, 4, 2)),
    ("America/Santiago", (2026, 9, 4)),
    ("Pacific/Apia", (2011, 12, 28)),
]
"""Zones, and a local day shortly before they turn their clocks or a month ends."""

reading = st.tuples(
    st.integers(0, LENGTH - 1), st.sampled_from([0, 0, 0, 0, UNCERTAIN, BAD, BAD]), st.integers(2000, 2500)
)
batch = st.one_of(
    st.lists(reading, min_size=1, max_size=12),
    st.tuples(st.integers(0, LENGTH - 300), st.sampled_from([3, 6, 12]), st.integers(5, 300)).map(
        lambda run: [(slot, 0, 2300 + slot % 40) for slot in range(run[0], run[0] + run[2], run[1])]
    ),
)
history = st.tuples(st.sampled_from(TURNS), st.lists(batch, min_size=1, max_size=6), st.integers(0, 2**32 - 1))


async def compared(
    turn: tuple[str, tuple[int, int, int]], batches: list[list[tuple[int, int, int]]], seed: int
) -> None:
    """Batches come one after the other, early ones of late slots too; then every archive says what the book says."""
    zone = ZoneInfo(turn[0])
    start = round(datetime(*turn[1], 11, tzinfo=zone).timestamp()) // 300 * 300_000
    end = start + LENGTH * SLOT
    random = np.random.default_rng(seed)
    steps = random.integers(0, MOST_A_SLOT, LENGTH) * (random.random(LENGTH) < 0.6)
    register = [float(value) for value in 5_000_000 + np.cumsum(steps)]
    counters: dict[int, tuple[float, int]] = {}
    gauges: dict[int, tuple[float, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), turn[0], RollupOptions(keep_days_hour=0))
        await bench.open(start)
        try:
            for place, given_readings in enumerate(batches):
                for slot, status, volts in given_readings:
                    at, failed = start + slot * SLOT, status == BAD
                    for quantity, value, told in (
                        (IMPORT, register[slot], counters),
                        (VOLTAGE, volts / 10, gauges),
                    ):
                        told[at] = (value, status)
                        await bench.put(M1, quantity, [at], [np.nan if failed else value], status)
                await bench.settle(start + (place + 1) * LENGTH * SLOT // len(batches) + place * 7 * MINUTE)
            await bench.settle(end + 40 * DAY)
            await _same(bench, zone, start, end, counters, gauges)
        finally:
            await bench.close()


async def _same(
    bench: Bench,
    zone: ZoneInfo,
    start: int,
    end: int,
    counters: dict[int, tuple[float, int]],
    gauges: dict[int, tuple[float, int]],
) -> None:
    days = slow_books.borders(start - DAY, end + DAY, zone, slow_books.date_of)
    every_hour = slow_books.hours(days)
    months = slow_books.borders(start - DAY, end + DAY, zone, slow_books.month_of)
    energy, volts = slow_books.usable(counters), slow_books.usable(gauges)
    for width, edges in ((Width.HOUR, every_hour), (Width.DAY, days), (Width.MONTH, months)):
        span = (edges[0], edges[-1], width)
        told = await bench.rollups.buckets(M1, IMPORT, *span)
        assert told.start_ms.tolist() == edges[:-1], width
        _same_counts(told, slow_books.counted(energy, edges, every_hour), edges, width)
        _same_gauge(await bench.rollups.buckets(M1, VOLTAGE, *span), slow_books.summed(volts, edges))
    for edges in (days, months):
        await _same_processed(bench, energy, edges)


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else float(value) for value in values]


def _same_counts(told: Buckets, wanted: list[Bucket], edges: list[int], width: Width) -> None:
    assert told.count.tolist() == [bucket.count for bucket in wanted]
    np.testing.assert_array_equal(told.first * 1000, _numbers([bucket.first for bucket in wanted]))
    np.testing.assert_array_equal(told.last * 1000, _numbers([bucket.last for bucket in wanted]))
    np.testing.assert_array_equal(np.rint(told.delta * 1000), _numbers([bucket.delta for bucket in wanted]))
    guessed = (told.quality & int(QualityFlag.ESTIMATED)) > 0
    if width is Width.HOUR:
        assert guessed.tolist() == [bucket.guessed for bucket in wanted]
    missing = (told.quality & int(QualityFlag.MISSING)) > 0
    for place, bucket in enumerate(wanted):
        assert missing[place] or bucket.covered_ms == edges[place + 1] - edges[place]
        assert guessed[place] or not bucket.guessed


def _same_gauge(told: Buckets, wanted: list[Bucket]) -> None:
    assert told.count.tolist() == [bucket.count for bucket in wanted]
    np.testing.assert_array_equal(told.last, _numbers([bucket.last for bucket in wanted]))
    np.testing.assert_array_equal(told.low, _numbers([bucket.low for bucket in wanted]))
    np.testing.assert_array_equal(told.high, _numbers([bucket.high for bucket in wanted]))
    means = [float(bucket.total / bucket.count) if bucket.count else float("nan") for bucket in wanted]
    np.testing.assert_allclose(told.mean, means, rtol=0, atol=1e-6)


async def _same_processed(bench: Bench, energy: slow_books.Usable, edges: list[int]) -> None:
    """DeltaBounds of each bucket: from the rollups where these answer, and from the readings in any case."""
    counting = Counting(Limits(rollover=1_000_000_000.0, per_hour=50_000.0), (), 1000.0)
    variable = Variable(M1, IMPORT, stepped=True, counting=counting)
    stored = await bench.store.read_raw(M1, IMPORT, 0, edges[-1] + DAY, 100_000)
    raw = Raw(stored.time_ms * 1_000_000, stored.values, stored.status, Configuration())
    kept = RolledUp(bench.rollups, bench.rollups.widths)
    for begin, end in pairwise(edges):
        spans = Intervals(np.array([begin, end], np.int64) * 1_000_000, reverse=False)
        plainly = calculate(Aggregate.DELTA_BOUNDS, raw, spans, Configuration(), stepped=True, counting=counting)
        wanted = slow_books.between(energy, begin, end)
        if wanted is not None:
            assert plainly.values[0] == pytest.approx(float(wanted / 1000), abs=1e-9)
        found = await kept.processed(Aggregate.DELTA_BOUNDS, variable, spans)
        if found is not None:
            assert wanted is not None
            assert Fraction(round(float(found.values[0]) * 1000)) == wanted


@settings(max_examples=12, deadline=None)
@given(history)
def test_archives_are_what_a_book_kept_by_hand_says(
    given_history: tuple[tuple[str, tuple[int, int, int]], list[list[tuple[int, int, int]]], int],
) -> None:
    turn, batches, seed = given_history
    good = {slot for part in batches for slot, status, _ in part if status != BAD}
    failing = [[one for one in part if one[1] != BAD or one[0] not in good] for part in batches]
    asyncio.run(compared(turn, failing, seed))


@pytest.mark.parametrize("turn", TURNS, ids=[f"{zone}-{day[0]}-{day[1]}" for zone, day in TURNS])
async def test_days_around_a_turn_of_the_clock_are_what_the_book_says(turn: tuple[str, tuple[int, int, int]]) -> None:
    every_quarter = [(slot, 0, 2300 + slot % 40) for slot in range(0, LENGTH, 12)]
    outage = [one for one in every_quarter if not 300 < one[0] < 420]
    await compared(turn, [outage, every_quarter[30:34], [(350, BAD, 0), (353, UNCERTAIN, 2100)]], 7)


@pytest.mark.parametrize("late", [[213, 231], [204, 216], [228, 213], [290, 310], [276]])
async def test_readings_that_come_late_into_a_gap_change_the_hours_on_both_sides_of_it(late: list[int]) -> None:
    """Also where the hour beside them is empty, and the one beyond it is not computed with them."""
    gap = [[(183, 0, 2300)], [(330, 0, 2300)], [(slot, 0, 2300) for slot in late]]
    for edge in (252, 324):
        gap[1] = [(edge, 0, 2300)]
        await compared(("Asia/Tashkent", (2027, 2, 27)), gap, 11)


async def test_a_good_reading_that_a_failed_one_takes_the_place_of_is_booked_no_more() -> None:
    for slots, undone in (([183, 230, 302], 230), ([183, 230, 259, 302], 302), ([183, 230, 302], 183)):
        batches = [[(slot, 0, 2300)] for slot in slots]
        await compared(("Asia/Kathmandu", (2027, 1, 30)), [*batches, [(undone, BAD, 0)]], 5)

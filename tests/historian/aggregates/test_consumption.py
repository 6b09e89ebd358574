"""Delta and DeltaBounds of registers: what was counted, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from historian.aggregates import Aggregate, Configuration, Counting, Intervals, Processed, Raw, calculate
from historian.counters import Limits, RatioChange

S = 1_000_000_000
BASE_NS = 1_800_000_000 * S
CERTAIN, DOUBTFUL = 0x401, 0x40A40401
PARTIAL = 0x404
NO_DATA = 0x809B0000
NAN = float("nan")


def read(
    aggregate: Aggregate, rows: Sequence[tuple[float, float]], edges: Sequence[int], counting: Counting
) -> Processed:
    times = np.array([row[0] for row in rows], np.int64)
    values = np.array([row[1] for row in rows])
    status = np.where(np.isnan(values), 0x80310000, 0).astype(np.uint32)
    raw = Raw(BASE_NS + times * S, values, status, Configuration())
    spans = Intervals(BASE_NS + np.array(edges, np.int64) * S)
    return calculate(aggregate, raw, spans, Configuration(), stepped=True, counting=counting)


def bounds(
    rows: Sequence[tuple[float, float]], edges: Sequence[int], counting: Counting | None = None
) -> list[tuple[float, int]]:
    found = read(Aggregate.DELTA_BOUNDS, rows, edges, counting or Counting(Limits(rollover=1000.0)))
    return [(round(value, 9), code) for value, code in zip(found.values.tolist(), found.status.tolist(), strict=True)]


def test_readings_at_the_edges_make_it_exact() -> None:
    assert bounds([(0, 10), (5, 12), (10, 15), (20, 15.5)], [0, 10, 20]) == [(5, CERTAIN), (0.5, CERTAIN)]


def test_where_a_reading_at_an_edge_is_missing_the_amount_is_shared_out_by_time_and_doubtful() -> None:
    assert bounds([(0, 10), (20, 30)], [0, 5, 20]) == [(5, DOUBTFUL), (15, DOUBTFUL)]
    assert bounds([(0, 10), (10, NAN), (20, 30)], [0, 10, 20]) == [(10, DOUBTFUL), (10, DOUBTFUL)]


def test_what_did_not_move_needs_no_reading_at_the_edge() -> None:
    assert bounds([(0, 10), (20, 10)], [0, 5, 20]) == [(0, CERTAIN), (0, CERTAIN)]


def test_a_roll_over_is_counting() -> None:
    assert bounds([(0, 990), (10, 5)], [0, 10]) == [(15, CERTAIN)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0, 500), (10, 510), (20, 3), (30, 8), (40, 13)], 20),
        ([(0, 500), (10, 510), (20, 0), (30, 520), (40, 530)], 30),
        ([(0, 500), (10, 510), (20, 900), (30, 905), (40, 910)], 410),
    ],
    ids=["reset", "glitch to zero", "a spike that nothing forbids"],
)
def test_resets_and_glitches_are_never_negative(rows: list[tuple[float, float]], expected: float) -> None:
    ((amount, code),) = bounds(rows, [0, 40])
    assert amount == expected
    assert (code == CERTAIN) is (rows[2][1] == 900)


def test_a_spike_beyond_the_rating_is_not_booked() -> None:
    counting = Counting(Limits(rollover=1000.0, per_hour=3600.0))
    ((amount, code),) = bounds([(0, 500), (10, 510), (20, 900), (30, 520), (40, 530)], [0, 40], counting)
    assert (amount, code) == (30, DOUBTFUL)


def test_a_change_of_ratio_is_no_consumption() -> None:
    counting = Counting(Limits(), [RatioChange((BASE_NS + 15 * S) // 1_000_000, 2.0)])
    assert bounds([(0, 100), (10, 110), (20, 240), (30, 260)], [0, 10, 30], counting) == [(10, CERTAIN), (40, CERTAIN)]


def test_intervals_that_reach_beyond_the_readings_are_partial_and_others_have_no_data() -> None:
    found = bounds([(10, 10), (20, 20)], [-10, 0, 15, 30, 40])
    assert found[0][1] == found[3][1] == NO_DATA
    assert found[1:3] == [(5, DOUBTFUL | PARTIAL), (5, DOUBTFUL | PARTIAL)]


def test_sums_are_of_whole_base_units() -> None:
    rows = [(10 * step, step * 0.1) for step in range(100)]
    ((amount, _),) = bounds(rows, [0, 30], Counting(Limits(), per_unit=1000))
    assert amount == 0.3
    found = read(Aggregate.DELTA_BOUNDS, rows, [0, 30], Counting(Limits(), per_unit=1000))
    assert found.values[0] == 0.3


def test_delta_is_what_was_counted_between_the_first_and_the_last_reading() -> None:
    rows = [(1, 990), (5, 2), (9, 7), (12, 10)]
    found = read(Aggregate.DELTA, rows, [0, 10, 20], Counting(Limits(rollover=1000.0)))
    assert found.values.tolist() == [17, 0]
    assert found.status.tolist() == [CERTAIN | 0x4, CERTAIN | 0x4]


def test_delta_between_readings_that_are_in_doubt_is_in_doubt() -> None:
    times, values = BASE_NS + np.array([1, 5, 9], np.int64) * S, np.array([10.0, 12.0, 17.0])
    spans = Intervals(BASE_NS + np.array([0, 10], np.int64) * S)
    for doubtful, code in ((0, DOUBTFUL), (1, CERTAIN), (2, DOUBTFUL)):
        status = np.zeros(3, np.uint32)
        status[doubtful] = 0x40910000
        raw = Raw(times, values, status, Configuration())
        found = calculate(Aggregate.DELTA, raw, spans, Configuration(), stepped=True, counting=Counting(Limits()))
        assert found.values.tolist() == [7]
        assert found.status.tolist() == [code | PARTIAL]

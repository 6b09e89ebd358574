"""Buckets against the plain definition of each figure."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from address_space.model.quality import Reason
from historian.api import Series
from historian.buckets import consumption, summarised
from historian.counters import HOUR_MS, Limits, Move, advances
from historian.schema import QualityFlag

EDGES = np.arange(0, 6 * HOUR_MS, HOUR_MS, dtype=np.int64)
STATUS = st.sampled_from([0, 0, 0, Reason.HELD.status, Reason.TIMEOUT.status])
READINGS = st.lists(
    st.tuples(st.integers(-HOUR_MS, 6 * HOUR_MS), st.floats(-1e6, 1e6) | st.just(math.nan), STATUS),
    max_size=60,
    unique_by=lambda reading: reading[0],
)


def series(readings: list[tuple[int, float, int]]) -> Series:
    ordered = sorted(readings)
    return Series(
        np.array([one[0] for one in ordered], np.int64),
        np.array([one[1] for one in ordered], np.float64),
        np.array([one[2] for one in ordered], np.uint32),
    )


@given(READINGS)
def test_each_bucket_says_what_its_readings_say(readings: list[tuple[int, float, int]]) -> None:
    found = summarised(series(readings), EDGES)
    for bucket in range(5):
        begin, end = EDGES[bucket], EDGES[bucket + 1]
        mine = [one for one in sorted(readings) if begin <= one[0] < end]
        values = [value for _, value, status in mine if not math.isnan(value) and not status & 0x80000000]
        assert found.count[bucket] == len(values)
        if not values:
            assert math.isnan(found.mean[bucket])
            assert found.quality[bucket] & QualityFlag.MISSING
            continue
        figures = (found.first[bucket], found.last[bucket], found.low[bucket], found.high[bucket])
        assert figures == (values[0], values[-1], min(values), max(values))
        assert math.isclose(found.mean[bucket], math.fsum(values) / len(values), rel_tol=1e-9, abs_tol=1e-6)
        assert bool(found.quality[bucket] & QualityFlag.BAD) == any(status & 0x80000000 for _, _, status in mine)


@given(st.lists(st.tuples(st.integers(1, HOUR_MS), st.integers(0, 5000)), min_size=1, max_size=60))
def test_consumption_of_all_buckets_is_what_the_register_went_on_by(steps: list[tuple[int, int]]) -> None:
    times, values = [0], [100.0]
    for span, step in steps:
        times.append(times[-1] + span)
        values.append(values[-1] + step)
    edges = np.arange(0, times[-1] + HOUR_MS, HOUR_MS, dtype=np.int64)
    amounts, _ = consumption(advances(times, values, Limits()), edges)
    assert math.isclose(np.nansum(amounts), values[-1] - values[0], abs_tol=1e-6)


def test_readings_at_the_edges_make_exact_buckets_and_others_are_estimated() -> None:
    exact, flags = consumption(advances([0, HOUR_MS, 2 * HOUR_MS], [5, 7, 12], Limits()), EDGES)
    assert exact[:2].tolist() == [2.0, 5.0]
    assert not flags.any()
    assert np.isnan(exact[2:]).all()
    half = HOUR_MS // 2
    shared, flags = consumption(advances([half, 3 * half], [5, 7], Limits()), EDGES)
    assert shared[:2].tolist() == [1.0, 1.0]
    assert flags[:2].tolist() == [int(QualityFlag.ESTIMATED)] * 2


def test_a_roll_over_and_a_jump_show_in_the_quality() -> None:
    limits = Limits(rollover=1000, per_hour=10)
    found = advances([0, HOUR_MS, 2 * HOUR_MS, 3 * HOUR_MS], [998, 3, 500, 505], limits)
    assert [advance.move for advance in found] == [Move.ROLLOVER, Move.REPLACED, Move.NORMAL]
    amounts, flags = consumption(found, EDGES)
    assert amounts[:3].tolist() == [5.0, 0.0, 5.0]
    assert flags[:3].tolist() == [int(QualityFlag.ROLLOVER), int(QualityFlag.SUSPECT), 0]

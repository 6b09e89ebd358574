"""Register differences: whatever a register does, only what it counted is booked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from historian.counters import HOUR_MS, Advance, Counter, Limits, Move, RatioChange, advances

RATED = Limits(rollover=1000.0, per_hour=10.0, resolution=0.001)
UNRATED = Limits(rollover=1000.0)


def hourly(values: list[float], limits: Limits = RATED) -> list[Advance]:
    return advances([hour * HOUR_MS for hour in range(len(values))], values, limits)


def booked(values: list[float], limits: Limits = RATED) -> float:
    return round(sum(advance.amount for advance in hourly(values, limits)), 6)


def moves(values: list[float], limits: Limits = RATED) -> list[str]:
    return [advance.move.value for advance in hourly(values, limits) if advance.move is not Move.NORMAL]


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=50))
def test_a_sound_register_books_exactly_what_it_has_gone_on_by(steps: list[int]) -> None:
    values = [500.0]
    for step in steps:
        values.append(values[-1] + step / 1000)
    assert booked(values) == pytest.approx(values[-1] - values[0])
    assert moves(values) == []


@pytest.mark.parametrize("limits", [RATED, UNRATED])
def test_a_register_that_passes_its_end_goes_on(limits: Limits) -> None:
    assert booked([994, 998, 3, 7], limits) == 13
    assert moves([994, 998, 3, 7], limits) == ["rollover"]


@pytest.mark.parametrize("glitch", [0.0, 1e6, 400.0, 550.0, -3.0])
def test_a_single_wrong_reading_is_never_booked(glitch: float) -> None:
    assert booked([500, 502, glitch, 506, 508]) == 8
    assert moves([500, 502, glitch, 506, 508]) == ["glitch"]


def test_two_different_wrong_readings_in_a_row_are_both_glitches() -> None:
    assert booked([500, 502, 0, 900, 508, 509]) == 9
    assert moves([500, 502, 0, 900, 508, 509]) == ["glitch", "glitch"]


def test_a_reset_books_what_it_counted_since() -> None:
    assert booked([500, 502, 3, 5, 6]) == 2 + 3 + 2 + 1
    assert moves([500, 502, 3, 5, 6]) == ["reset"]


def test_a_replaced_meter_books_nothing_for_the_jump() -> None:
    assert booked([500, 502, 120, 121, 123]) == 2 + 1 + 2
    assert booked([500, 502, 800, 801]) == 2 + 1
    assert moves([500, 502, 120, 121, 123]) == moves([500, 502, 800, 801]) == ["replaced"]


def test_a_register_that_shows_zero_for_a_while_and_comes_back_lost_nothing() -> None:
    assert booked([500, 502, 0, 0, 0, 510, 512]) == 12


def test_without_a_rating_a_step_up_is_believed_and_a_step_back_is_a_jump() -> None:
    assert booked([500, 900], UNRATED) == 400
    assert moves([500, 300, 301], UNRATED) == ["reset"]
    assert booked([500, 300, 301], UNRATED) == 1


def test_rounding_back_and_forth_is_no_glitch() -> None:
    assert booked([500.0, 500.001, 500.0, 500.001, 500.002]) == 0.002
    assert moves([500.0, 500.001, 500.0, 500.001]) == []


def test_new_transformers_from_a_date_on_are_no_jump() -> None:
    change = RatioChange(at_ms=2 * HOUR_MS - 1, factor=2.0)
    found = advances([hour * HOUR_MS for hour in range(4)], [100, 104, 212, 220], RATED, [change])
    assert [advance.amount for advance in found] == [4, 4, 8]
    assert {advance.move for advance in found} == {Move.NORMAL}


def test_before_a_change_of_transformers_the_register_ends_where_it_ended_then() -> None:
    limits = Limits(rollover=2000.0, per_hour=10.0, resolution=0.01)
    changes = [RatioChange(at_ms=3 * HOUR_MS - 1, factor=2.0)]
    values = [995.0, 998.0, 2.0, 10.0, 14.0]
    found = advances([hour * HOUR_MS for hour in range(5)], values, limits, changes)
    assert [(advance.amount, advance.move) for advance in found[:2]] == [(3, Move.NORMAL), (4, Move.ROLLOVER)]
    values = [995.0, 998.0, 999.0, 1999.0, 3.0]
    found = advances([hour * HOUR_MS for hour in range(5)], values, limits, changes)
    assert [(advance.amount, advance.move) for advance in found[-2:]] == [(1, Move.NORMAL), (4, Move.ROLLOVER)]


ANY_VALUE = st.floats(-100, 2000) | st.sampled_from([0.0, 999.0, 1.0, float("nan")])


@given(st.lists(st.tuples(st.integers(1, 5 * HOUR_MS), ANY_VALUE), min_size=1, max_size=40))
def test_no_more_than_the_rating_allows_is_ever_booked(readings: list[tuple[int, float]]) -> None:
    counter, now_ms, total = Counter(RATED), 0, 0.0
    for span_ms, value in readings:
        now_ms += span_ms
        for advance in counter.feed(now_ms, value):
            assert advance.amount >= 0
            assert advance.from_ms < advance.to_ms <= now_ms
            assert advance.amount == 0 or advance.move not in (Move.GLITCH, Move.REPLACED)
            total += advance.amount
    assert total <= RATED.most(now_ms) + 2 * RATED.resolution * len(readings)


@given(st.lists(st.tuples(st.integers(1, HOUR_MS), st.floats(0, 9)), min_size=2, max_size=40), st.booleans())
def test_the_quick_way_books_as_the_careful_one(steps: list[tuple[int, float]], rated: bool) -> None:
    limits = RATED if rated else UNRATED
    times, values = [0], [10.0]
    for span_ms, step in steps:
        times.append(times[-1] + span_ms)
        values.append(values[-1] + step * span_ms / HOUR_MS)
    counter = Counter(limits)
    careful = [advance for at, value in zip(times, values, strict=True) for advance in counter.feed(at, value)]
    assert advances(times, values, limits) == careful

"""Register differences: whatever a register does, only what it counted is booked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from historian.counters import CALM, HOUR_MS, STAYS_BACK, Advance, Counter, Limits, Move, RatioChange, advances, calm

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


def test_a_register_never_goes_on_to_what_it_cannot_show() -> None:
    values = [500.0, 502, 1e6, 506, 508]
    assert booked(values, UNRATED) == booked(values) == 8
    assert moves(values, UNRATED) == ["glitch"]
    assert booked([-5.0, 4, 5, 6]) == 2
    assert booked([500.0, 502, 1500, 1501, 1503], UNRATED) == 2 + 1 + 2
    assert moves([500.0, 900, 1e6], UNRATED) == []


def test_long_after_a_jump_the_old_level_is_a_glitch_like_any_other() -> None:
    values = [500.0, 502, *(float(value) for value in range(3, 203, 4)), 700.0, 203.0, 205.0]
    assert booked(values) == 2 + 3 + 196 + 4 + 2
    assert moves(values) == ["reset", "glitch"]


def test_a_first_reading_that_nothing_followed_is_no_level_to_return_to() -> None:
    assert booked([400.0, 502, 503, 504, 410, 505]) == 3


def test_without_a_rating_a_step_up_is_believed_and_a_step_back_is_a_jump() -> None:
    assert booked([500, 900], UNRATED) == 400
    assert moves([500, 300, 301], UNRATED) == ["reset"]
    assert booked([500, 300, 301], UNRATED) == 1


@pytest.mark.parametrize("glitch", [0.0, 900.0, 504.5, 400.0])
def test_without_a_rating_a_wrong_reading_that_the_next_one_takes_back_is_never_booked(glitch: float) -> None:
    for place in range(1, 5):
        values = [500.0, 501, 502, 503, 504, 505]
        values[place] = glitch if glitch != 504.5 else values[place] + 1.5
        assert booked(values, UNRATED) == 5
        assert moves(values, UNRATED) == ["glitch"]


def test_without_a_rating_a_spike_with_nonsense_behind_it_is_not_booked_either() -> None:
    assert booked([500, 501, 800, 3, 504, 505], UNRATED) == 5
    assert moves([500, 501, 800, 3, 504, 505], UNRATED) == ["glitch", "glitch"]


def test_without_a_rating_a_reset_takes_nothing_back() -> None:
    assert booked([500, 510, 3, 5, 6], UNRATED) == 10 + 2 + 1
    assert moves([500, 510, 3, 5, 6], UNRATED) == ["reset"]


def test_without_a_rating_what_the_last_reading_added_is_told_when_no_more_come() -> None:
    counter = Counter(UNRATED)
    assert counter.feed(0, 500.0) == []
    assert counter.feed(HOUR_MS, 510.0) == []
    assert counter.last == (0, 500.0)
    assert counter.finish() == [Advance(0, HOUR_MS, 10.0, Move.NORMAL)]
    assert counter.last == (HOUR_MS, 510.0)
    assert counter.finish() == []


def test_a_spike_before_new_transformers_is_taken_back_in_their_ratio() -> None:
    times = [hour * HOUR_MS for hour in range(5)]
    found = advances(times, [500.0, 501, 900, 1006, 1008], Limits(), [RatioChange(3 * HOUR_MS, 2.0)])
    assert [advance.amount for advance in found if advance.move is Move.NORMAL] == [1, 4, 2]


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
    assert advances(times, values, limits) == careful + counter.finish()


STEPS = st.tuples(
    st.integers(1, 4), st.floats(0, 1), st.sampled_from(["", "", "", "zero", "spike", "back", "nan", "reset"])
)


@given(st.lists(STEPS, min_size=8, max_size=40), st.sampled_from([50_000.0, 600_000.0, 999_970.0]), st.booleans())
def test_whatever_is_read_no_more_is_booked_than_the_meter_counted(
    steps: list[tuple[int, float, str]], start: float, changes: bool
) -> None:
    limits = Limits(rollover=2e6 if changes else 1e6, per_hour=40.0, resolution=0.01)
    quarter, ratio, shown, counted, calm, now_ms = HOUR_MS // 4, 1.0, start, 0.0, 4, 0
    counter = Counter(limits, [RatioChange(HOUR_MS * 2, 2.0)] if changes else [])
    total = 0.0
    for quarters, share, what in steps:
        now_ms += quarters * quarter
        ratio = 2.0 if changes and now_ms >= HOUR_MS * 2 else 1.0
        step = share * 10.0 * quarters
        happens = calm <= 0 and 3000 < shown < 990_000
        if what == "reset" and happens:
            shown, calm = 0.0, 3
        shown, counted, calm = (shown + step) % 1e6, counted + step * ratio, calm - 1
        value = shown * ratio
        if what in ("zero", "spike", "back") and happens:
            value, calm = {"zero": 0.0, "spike": value + 9000, "back": value - 2500}[what], 1
        for advance in counter.feed(now_ms, float("nan") if what == "nan" and calm <= 0 else value):
            assert advance.amount >= 0
            total += advance.amount
    # what a change of ratio falls into is counted in part before it
    assert total <= counted + 0.02 * len(steps) + (40.0 if changes else 0.0)


STRANGE = st.integers(0, 1010) | st.sampled_from([0, 500, 501, 502, 503, 999])
WHOLE = {limits: Limits(1000.0, per_hour, 1.0) for limits, per_hour in (("rated", 10.0), ("unrated", 0.0))}


@given(
    st.lists(STRANGE, max_size=12),
    st.lists(st.integers(0, 9), min_size=CALM - 1, max_size=CALM - 1),
    st.lists(STRANGE, max_size=12),
    st.sampled_from(sorted(WHOLE)),
    st.booleans(),
)
@example([501], [0] * (CALM - 1), [501, 502], "rated", False)
@example([501, 0], [0] * (CALM - 1), [501, 503], "rated", False)
@example([100, 101, 500, 502], [0] * (CALM - 1), [103, 104], "rated", False)
def test_once_a_register_is_calm_nothing_before_has_a_say(
    before: list[int], steps: list[int], behind: list[int], which: str, changes: bool
) -> None:
    limits = Limits(2000.0 if changes else 1000.0, WHOLE[which].per_hour, 1.0)
    calm_run = [500 + sum(steps[:place]) for place in range(CALM)]
    ratio = [RatioChange(at_ms=HOUR_MS * (len(before) + CALM + 3) - 1, factor=2.0)] if changes else []
    values = np.array([*before, *calm_run, *behind], np.float64)
    times = np.arange(len(values)) * HOUR_MS
    assert calm(times, values, limits, ratio)[len(before) + CALM - 1]
    since = len(before)
    settled_ms = int(times[since + CALM - 2])

    def told(first: int) -> list[Advance]:
        found = advances(times[first:], values[first:], limits, ratio)
        return [advance for advance in found if advance.from_ms >= settled_ms]

    assert told(0) == told(since)


def test_a_register_that_stays_back_is_taken_at_its_word() -> None:
    limits = WHOLE["rated"]
    assert booked([500, 499, 500, 501], limits) == 1
    assert booked([500, *[499] * STAYS_BACK, 500, 501], limits) == 2

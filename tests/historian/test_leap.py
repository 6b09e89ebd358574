"""A clock that leaps years forward gives nothing up; one that goes on from there is believed in the end."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from historian.leap import DOUBT_DAYS, FILE, LEAP_DAYS, LeapGuard

TODAY = 20_000


def test_a_day_that_follows_the_last_is_believed(tmp_path: Path) -> None:
    guard = LeapGuard(tmp_path)
    assert [guard.day(TODAY + number) for number in range(100)] == list(range(TODAY, TODAY + 100))


def test_a_leap_is_not_believed_and_one_back_is(tmp_path: Path) -> None:
    guard = LeapGuard(tmp_path)
    guard.day(TODAY)
    assert guard.day(TODAY + 3650) == TODAY
    assert guard.day(TODAY + 1) == TODAY + 1
    assert guard.day(TODAY - 500) == TODAY - 500
    assert guard.day(TODAY) == TODAY - 500, "forward again, and too far"


def test_a_hub_that_was_away_for_months_goes_on_after_days_of_doubt(tmp_path: Path) -> None:
    LeapGuard(tmp_path).day(TODAY)
    back = TODAY + 100
    found = [LeapGuard(tmp_path).day(back + number) for number in range(DOUBT_DAYS + 1)]
    assert found == [TODAY] * DOUBT_DAYS + [back + DOUBT_DAYS], "also over restarts"


def test_a_clock_that_leaps_again_and_again_is_never_believed(tmp_path: Path) -> None:
    guard = LeapGuard(tmp_path)
    guard.day(TODAY)
    assert {guard.day(TODAY + 1000 * number) for number in range(1, 50)} == {TODAY}


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=60))
def test_what_is_believed_was_the_clocks_word_once_and_never_lies_ahead_of_it_without_doubt(days: list[int]) -> None:
    guard = LeapGuard(Path("/nowhere"))
    told: set[int] = set()
    for day in days:
        told.add(day)
        believed = guard.day(day)
        assert believed in told
        assert believed <= day, "what is kept by it is at least what the clock would keep"


def test_a_spoilt_file_is_as_none(tmp_path: Path) -> None:
    for text in ("", "[]", '{"believed": "x"}', "\x00" * 40, '{"believed": 1e400}'):
        (tmp_path / FILE).write_text(text)
        assert LeapGuard(tmp_path).day(TODAY) == TODAY


def test_a_weekend_without_power_is_no_leap(tmp_path: Path) -> None:
    LeapGuard(tmp_path).day(TODAY)
    assert LeapGuard(tmp_path).day(TODAY + LEAP_DAYS) == TODAY + LEAP_DAYS

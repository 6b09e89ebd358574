"""Bits of slots against sets of numbers."""

from __future__ import annotations

import zlib
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from historian.calendar import day_start
from historian.gaps.sheet import PAGE, Sheet, runs
from historian.gaps.tracks import DAY_MS, periodic, placed
from historian.schema import Measurement

Marks = st.lists(st.tuples(st.integers(0, 3 * PAGE), st.integers(0, 99)), max_size=60)


def numbers(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


@settings(max_examples=60, deadline=None)
@given(Marks, Marks)
def test_a_sheet_holds_exactly_what_was_set_and_its_pages_bring_it_back(first, second) -> None:
    sheet = Sheet(100)
    for marks in (first, second):
        sheet.set(numbers([row for row, _ in marks]), numbers([slot for _, slot in marks]))
    every = set(first) | set(second)
    assert sheet.dirty == {row // PAGE for row, _ in every}
    again = Sheet(100)
    for page in sheet.dirty:
        again.load(page, sheet.page(page))
    rows = numbers(sorted({row for row, _ in every} | {0, 5 * PAGE}))
    for each in (sheet, again):
        at, slot = np.nonzero(each.grid(rows))
        assert set(zip(rows[at].tolist(), slot.tolist(), strict=True)) == every


def test_a_broken_page_is_refused() -> None:
    sheet = Sheet(100)
    sheet.set(numbers([0]), numbers([7]))
    with pytest.raises(ValueError, match="no multiple"):
        Sheet(8 * 7).load(0, sheet.page(0))
    with pytest.raises(zlib.error):
        Sheet(100).load(0, sheet.page(0)[:-3])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), min_size=7, max_size=7), max_size=6))
def test_runs_are_the_codes_again(codes) -> None:
    grid = np.array(codes, np.uint8).reshape(len(codes), 7)
    again = np.zeros_like(grid)
    last: tuple[int, int, int] | None = None
    for row, first, end in zip(*(each.tolist() for each in runs(grid)), strict=True):
        code = grid[row, first]
        assert (grid[row, first:end] == code).all()
        assert last != (row, first, code)
        last = (row, end, code)
        again[row, first:end] = code
    assert (again == grid).all()


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["Europe/Berlin", "Asia/Tashkent", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"]),
    st.integers(0, 800),
    st.sampled_from([60_000, 300_000, 420_000, 900_000, 3_600_000, 86_400_000, 100_000_000]),
)
def test_slots_of_local_days_are_all_slots_once(name, number, period_ms) -> None:
    zone = ZoneInfo(name)
    day = date(2026, 1, 1) + timedelta(days=number)
    begin, end = day_start(day, zone), day_start(day + timedelta(days=1), zone)
    track = periodic(Measurement.ENERGY, period_ms)
    every = np.concatenate([track.slots(each) for each in range(begin // DAY_MS, end // DAY_MS + 1)])
    inside = every[(every >= begin) & (every < end)]
    assert inside.tolist() == list(range(-(-begin // period_ms) * period_ms, end, period_ms))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 40 * 365 * DAY_MS), min_size=1, max_size=20), st.integers(1, 200_000))
def test_a_reading_belongs_to_the_slot_in_which_it_lies(times, period_s) -> None:
    track = periodic(Measurement.INST, period_s * 1000)
    days, at = placed(track, numbers(times), {})
    for time, day, number in zip(times, days.tolist(), at.tolist(), strict=True):
        slot = int(track.slots(day)[number])
        assert slot <= time < slot + track.period_ms


@pytest.mark.parametrize(
    ("asked_ms", "judged_ms"), [(1000, 60_000), (7000, 63_000), (60_000, 60_000), (90_000, 90_000)]
)
def test_classes_that_are_read_faster_are_judged_by_the_minute(asked_ms, judged_ms) -> None:
    assert periodic(Measurement.INST, asked_ms).period_ms == judged_ms

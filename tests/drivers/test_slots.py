"""Slots of the calendar: cron expressions and aligned intervals, on ordinary days and on those of 23 and 25 hours."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model.clock import NS
from drivers.errors import ScheduleError
from drivers.slots import END_S, Late, Schedule, Slots, cron, every, every_months

BERLIN = ZoneInfo("Europe/Berlin")  # 2027: 28 March 02:00 -> 03:00, 31 October 03:00 -> 02:00
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # clocks change by half an hour
BEIRUT = ZoneInfo("Asia/Beirut")  # spring leaves out the hour after midnight
TASHKENT = ZoneInfo("Asia/Tashkent")
KOLKATA = ZoneInfo("Asia/Kolkata")


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp())


def between(slots: Slots, first: str, end: str, zone: ZoneInfo = BERLIN) -> list[str]:
    """Local times of the slots from `first` up to `end`, which is left out."""
    found, slot = [], slots.after(at(first, zone) - 1)
    while slot < at(end, zone):
        found.append(datetime.fromtimestamp(slot, zone).strftime("%d %H:%M%z")[:-2])
        slot = slots.after(slot)
    return found


@pytest.mark.parametrize(
    ("expression", "first", "expected"),
    [
        ("*/15 * * * *", "2027-06-01T10:07", ["01 10:15", "01 10:30", "01 10:45"]),
        ("30 2 * * *", "2027-06-01T10:07", ["02 02:30", "03 02:30", "04 02:30"]),
        ("0 0 L * *", "2028-02-01", ["29 00:00", "31 00:00", "30 00:00"]),
        ("0 6 * * mon-fri", "2027-06-04T07:00", ["07 06:00", "08 06:00", "09 06:00"]),
        ("0 6 * jan,Jul 1", "2027-02-01", ["05 06:00", "12 06:00", "19 06:00"]),
        ("5,10-12 8-9/1 1 * *", "2027-06-01", ["01 08:05", "01 08:10", "01 08:11"]),
        ("@monthly", "2027-06-02", ["01 00:00", "01 00:00", "01 00:00"]),
        ("0 12 1 * sun", "2027-06-02", ["06 12:00", "13 12:00", "20 12:00"]),
    ],
)
def test_cron_expressions_mean_what_cron_means(expression, first, expected):
    slots, moment, found = cron(expression, TASHKENT), at(first, TASHKENT), []
    for _ in expected:
        moment = slots.after(moment)
        found.append(datetime.fromtimestamp(moment, TASHKENT).strftime("%d %H:%M"))
    assert found == expected


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "* * * * * *", "60 * * * *", "0 24 * * *", "0 0 0 * *", "0 0 1 13 *", "0 0 * * 8", "*/0 * * * *",
     "0 0 30 2 *", "x * * * *", "5-1 * * * *", "0 0 1 foo *", "@fortnightly", "0 0 31 4,6 *"],
)  # fmt: skip
def test_what_is_no_cron_expression_or_never_comes_is_refused(expression):
    with pytest.raises(ScheduleError) as caught:
        cron(expression, BERLIN)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("minutes", "spring", "autumn"),
    [(15, 92, 100), (30, 46, 50), (60, 23, 25), (120, 12, 12), (360, 4, 4), (1440, 1, 1)],
)
def test_no_slot_is_lost_or_doubled_where_clocks_change(minutes, spring, autumn):
    slots = every(minutes * 60, BERLIN)
    for first, end, expected in (
        ("2027-03-27", "2027-03-28", 1440 // minutes),
        ("2027-03-28", "2027-03-29", spring),
        ("2027-10-31", "2027-11-01", autumn),
    ):
        found = between(slots, first, end)
        assert len(found) == expected
        assert len(set(found)) == expected


def test_long_intervals_keep_to_the_hands_of_the_clock():
    assert between(every(6 * 3600, BERLIN), "2027-10-31", "2027-11-01") == [
        "31 00:00+02", "31 06:00+01", "31 12:00+01", "31 18:00+01",
    ]  # fmt: skip
    assert between(every(2 * 3600, BERLIN), "2027-03-28", "2027-03-28T06:00") == [
        "28 00:00+01", "28 03:00+02", "28 04:00+02",
    ]  # fmt: skip


def test_a_day_that_begins_at_one_in_the_morning_has_its_slot_then():
    assert between(every(86_400, BEIRUT), "2027-03-27", "2027-03-30", BEIRUT) == [
        "27 00:00+02", "28 01:00+03", "29 00:00+03",
    ]  # fmt: skip


def test_hours_stay_hours_where_clocks_change_by_half_an_hour():
    # 3 October 2027: 02:00 -> 02:30; 4 April 2027: 02:00 -> 01:30
    spring = between(every(3600, LORD_HOWE), "2027-10-03T01:00", "2027-10-03T05:00", LORD_HOWE)
    autumn = between(every(3600, LORD_HOWE), "2027-04-04T00:00", "2027-04-04T04:00", LORD_HOWE)
    assert [text[3:8] for text in spring] == ["01:00", "03:00", "04:00"]
    assert [text[3:8] for text in autumn] == ["00:00", "01:00", "02:00", "03:00"]


def test_intervals_are_aligned_to_local_time_where_the_zone_is_half_an_hour_off():
    assert between(every(3600, KOLKATA), "2027-01-01T00:10", "2027-01-01T03:00", KOLKATA) == [
        "01 01:00+05", "01 02:00+05",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("hour", "expected"), [("30 2", "28 03:00+02"), ("0 2", "28 03:00+02"), ("0 3", "28 03:00+02")]
)
def test_a_daily_slot_in_the_hour_that_spring_leaves_out_comes_right_after_it(hour, expected):
    assert between(cron(f"{hour} * * *", BERLIN), "2027-03-28", "2027-03-29") == [expected]


def test_two_slots_that_spring_pushes_together_are_one():
    assert between(cron("0 2,3 * * *", BERLIN), "2027-03-28", "2027-03-29") == ["28 03:00+02"]


def test_a_daily_slot_in_the_hour_that_autumn_has_twice_comes_once_whenever_one_asks():
    slots = cron("30 2 * * *", BERLIN)
    assert between(slots, "2027-10-31", "2027-11-01") == ["31 02:30+02"]
    for minute in (0, 15, 29, 30, 45):
        fresh = cron("30 2 * * *", BERLIN)
        again = at(f"2027-10-31T02:{minute:02d}", fold=1)
        assert fresh.after(again) == at("2027-11-01T02:30")
        assert fresh.latest(again) == at("2027-10-31T02:30")


def test_quarters_by_cron_follow_the_time_that_passes():
    assert len(between(cron("*/15 * * * *", BERLIN), "2027-10-31", "2027-11-01")) == 100
    assert len(between(cron("*/15 * * * *", BERLIN), "2027-03-28", "2027-03-29")) == 92


@pytest.mark.parametrize(("months", "expected"), [(1, 12), (3, 4), (6, 2), (12, 1)])
def test_months_quarters_and_years_begin_at_local_midnight(months, expected):
    found = between(every_months(months, BERLIN), "2027-01-01", "2028-01-01")
    assert len(found) == expected
    assert all(text.startswith("01 00:00") for text in found)


@pytest.mark.parametrize("seconds", [0, -60, 7, 420, 5400 + 1, 100_000, 172_800])
def test_intervals_that_do_not_divide_a_day_are_refused(seconds):
    with pytest.raises(ScheduleError, match="do not divide a day"):
        every(seconds, BERLIN)


def test_months_that_do_not_divide_a_year_are_refused():
    with pytest.raises(ScheduleError, match="do not divide a year"):
        every_months(5, BERLIN)


_SLOTS = st.sampled_from(
    [
        (lambda zone: every(900, zone)), (lambda zone: every(3600, zone)), (lambda zone: every(7200, zone)),
        (lambda zone: every(86_400, zone)), (lambda zone: every_months(1, zone)),
        (lambda zone: cron("*/20 * * * *", zone)), (lambda zone: cron("30 2 * * *", zone)),
        (lambda zone: cron("15 */3 * * mon-fri", zone)), (lambda zone: cron("0 0 L * *", zone)),
        (lambda zone: cron("0 1-3 * * *", zone)),
    ]
)  # fmt: skip
_ZONES = st.sampled_from([BERLIN, LORD_HOWE, BEIRUT, TASHKENT, KOLKATA])
_MOMENTS = st.one_of(
    st.integers(at("2026-01-01"), at("2030-01-01")),
    st.integers(at("2027-03-27T22:00"), at("2027-03-28T08:00")),
    st.integers(at("2027-10-30T22:00"), at("2027-10-31T08:00")),
)


@settings(max_examples=150, deadline=None)
@given(make=_SLOTS, zone=_ZONES, moment=_MOMENTS)
def test_the_slot_before_and_the_slot_after_a_moment_are_neighbours(make, zone, moment):
    slots, fresh = make(zone), make(zone)
    before, after = slots.latest(moment), slots.after(moment)
    assert before is not None
    assert before <= moment < after < END_S
    assert fresh.after(before) == after
    assert fresh.latest(after - 1) == before
    assert fresh.after(before - 1) == before
    assert slots.count(before, after) == 1


def test_counting_slots_of_years_takes_no_time():
    slots = every(60, BERLIN)
    first = at("2020-01-01")
    assert slots.count(first, at("2030-01-01")) == pytest.approx((at("2030-01-01") - first) / 60, rel=0.01)
    assert slots.count(first, first + 600) == 10


def test_a_schedule_reads_after_its_slot_and_the_reading_belongs_to_the_slot():
    schedule = Schedule("half-hour", every(1800, BERLIN), 30 * NS, Late.CATCH_UP, 600 * NS)
    slot_ns = at("2027-06-01T12:00") * NS
    assert schedule.next_due_ns(slot_ns - NS) == slot_ns + 30 * NS
    assert schedule.next_due_ns(slot_ns + 29 * NS) == slot_ns + 30 * NS
    assert schedule.running_ns(slot_ns + 29 * NS) == slot_ns - 1800 * NS
    assert schedule.running_ns(slot_ns + 30 * NS) == slot_ns
    assert schedule.in_time(slot_ns, slot_ns + 630 * NS)
    assert not schedule.in_time(slot_ns, slot_ns + 631 * NS)


def test_asking_in_any_order_gives_the_same_slots():
    slots = cron("0 7-18 * * mon-fri", BERLIN)
    moments = [at("2027-06-01") + hours * 3600 for hours in range(0, 400, 7)]
    forward = [slots.after(moment) for moment in moments]
    assert [slots.after(moment) for moment in reversed(moments)] == forward[::-1]
    assert all(a <= b for a, b in pairwise(forward))
    assert all(timedelta(seconds=b - a).days < 4 for a, b in pairwise(forward))

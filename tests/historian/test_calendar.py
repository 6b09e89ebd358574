"""Buckets of local time, checked against the calendar's own arithmetic."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from historian.calendar import Days, Width, day_start, edges, local_day

BERLIN, SAMARKAND, KATHMANDU = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Samarkand"), ZoneInfo("Asia/Kathmandu")
LORD_HOWE, CAIRO = ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Africa/Cairo")
HOUR_MS = 3_600_000


def ms(text: str, zone: ZoneInfo) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (BERLIN, date(2026, 3, 29), 23),
        (BERLIN, date(2026, 10, 25), 25),
        (BERLIN, date(2026, 6, 1), 24),
        (SAMARKAND, date(2026, 3, 29), 24),
        (KATHMANDU, date(2026, 3, 29), 24),
        (CAIRO, date(2026, 4, 24), 23),
    ],
)
def test_a_day_has_as_many_hours_as_it_has(zone: ZoneInfo, day: date, hours: int) -> None:
    begin, end = day_start(day, zone), day_start(day + timedelta(days=1), zone)
    assert end - begin == hours * HOUR_MS
    found = edges(begin, end, Width.HOUR, zone)
    assert len(found) == hours + 1
    assert (found[0], found[-1]) == (begin, end)
    assert len(edges(begin, end, Width.QUARTER, zone)) == 4 * hours + 1


def test_a_day_whose_length_is_no_whole_hours_ends_with_a_short_one() -> None:
    begin, end = day_start(date(2026, 4, 5), LORD_HOWE), day_start(date(2026, 4, 6), LORD_HOWE)
    assert end - begin == 24.5 * HOUR_MS
    found = edges(begin, end, Width.HOUR, LORD_HOWE)
    assert (found[1:] - found[:-1]).tolist() == [HOUR_MS] * 24 + [HOUR_MS // 2]


def test_months_begin_at_local_midnight() -> None:
    found = edges(ms("2026-02-10T12:00", BERLIN), ms("2026-05-01T00:00", BERLIN), Width.MONTH, BERLIN)
    assert found.tolist() == [ms(f"2026-0{month}-01T00:00", BERLIN) for month in (2, 3, 4, 5)]


@given(
    st.integers(1_420_070_400, 2_051_222_400),
    st.timedeltas(timedelta(minutes=1), timedelta(days=40)),
    st.sampled_from(list(Width)),
    st.sampled_from([BERLIN, SAMARKAND, KATHMANDU, LORD_HOWE, CAIRO]),
)
def test_buckets_cover_the_time_without_gap_and_touch_it(
    begin_s: int, span: timedelta, width: Width, zone: ZoneInfo
) -> None:
    start = begin_s * 1000
    end = start + round(span.total_seconds() * 1000)
    found = edges(start, end, width, zone)
    assert (found[1:] > found[:-1]).all()
    assert found[0] <= start < found[1]
    assert found[-2] < end <= found[-1]
    if width is Width.DAY:
        assert [local_day(int(edge), zone) for edge in found] == [
            local_day(start, zone) + timedelta(days=number) for number in range(len(found))
        ]


def test_an_empty_time_has_no_buckets() -> None:
    assert not len(edges(1000, 1000, Width.DAY, BERLIN))


def test_a_day_that_a_zone_left_out_has_no_buckets() -> None:
    apia = ZoneInfo("Pacific/Apia")
    left_out = date(2011, 12, 30).toordinal() - date(1970, 1, 1).toordinal()
    days = Days(apia)
    for width in (Width.DAY, Width.HOUR, Width.QUARTER):
        assert len(days.edges(left_out, width)) == 1
        assert len(days.edges(left_out + 1, width)) > 1
    begin, end = days.start(left_out - 1), days.start(left_out + 2)
    for width in (Width.DAY, Width.HOUR, Width.MONTH):
        assert (np.diff(edges(begin, end, width, apia)) > 0).all()
    assert len(edges(begin, end, Width.DAY, apia)) == 3

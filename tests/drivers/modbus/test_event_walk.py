"""Reading a log of events: from the newest record back to those that are known, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from drivers.errors import BadFrame
from drivers.modbus.logs import AHEAD_MS
from tests.drivers.modbus.event_rig import COUNT, START_MS, WAYS, Meter, codes, table_of
from tests.drivers.modbus.log_rig import profile_of

RINGS = [way for way in WAYS if way != "no ring"]


def first_mark(meter: Meter, code: int) -> bytes:
    return next(event.mark for event in meter.walk().events if event.code == code)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("made", [0, 1, 3, COUNT - 1, COUNT, COUNT + 7, 3 * COUNT + 2])
@pytest.mark.parametrize("refuses", [False, True])
def test_every_kind_of_log_is_read_from_its_newest_record_to_its_end(way: str, made: int, refuses: bool) -> None:
    meter = Meter(table_of(way), refuses=refuses)
    meter.add(*range(1, made + 1))
    page = meter.walk()
    newest, oldest = (min(made, COUNT), 1) if way == "no ring" else (made, max(made - COUNT, 0) + 1)
    expected = list(range(newest, oldest - 1, -1))
    assert codes(page) == expected
    assert [event.time_ms for event in page.events] == [START_MS + (code - 1) * 60_000 for code in expected]
    assert all(event.value == pytest.approx(event.code) for event in page.events)
    assert not page.met
    assert page.full == (made >= COUNT)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("new", [0, 1, 5, 12])
def test_no_more_is_read_than_up_to_a_known_record(way: str, new: int) -> None:
    meter = Meter(table_of(way))
    meter.add(*range(1, 8))
    marks = [event.mark for event in meter.walk().events]
    meter.add(*range(8, 8 + new), after_s=420)
    meter.asked.clear()
    page = meter.walk(marks)
    assert page.met
    assert codes(page) == list(range(7 + new, 6, -1))
    one_by_one = 12 if "search" in WAYS[way] else 2
    assert len(meter.asked) <= one_by_one + new + 1


@pytest.mark.parametrize(
    ("way", "number"),
    [("next", 3), ("newest, from 1", 4), ("total", 24), ("search", 3), ("first", None), ("records of a file", 3)],
)
def test_a_record_has_the_number_that_the_meter_counts(way: str, number: int | None) -> None:
    meter = Meter(table_of(way))
    meter.add(*range(1, COUNT + 5))
    assert meter.walk().events[0].number == number


def overwriting(meter: Meter, codes: range) -> Iterator[None]:
    for code in codes:
        meter.add(code, after_s=code * 60)
        yield


@pytest.mark.parametrize("way", [way for way in RINGS if way != "first"])
def test_a_ring_that_goes_on_while_it_is_read_loses_nothing_and_tells_nothing_twice(way: str) -> None:
    meter = Meter(table_of(way))
    meter.add(*range(1, COUNT + 1))
    first = meter.walk(during=overwriting(meter, range(COUNT + 1, COUNT + 4)))
    second = meter.walk([event.mark for event in first.events])
    told = [*codes(first), *(event.code for event in second.events if event.mark not in {e.mark for e in first.events})]
    assert len(set(told)) == len(told)
    assert set(told) >= set(range(4, COUNT + 4))


def test_a_ring_that_goes_round_for_the_first_time_while_it_is_read_loses_nothing() -> None:
    meter = Meter(table_of("total"))
    meter.add(*range(1, COUNT))

    def recording() -> Iterator[None]:
        meter.add(COUNT, COUNT + 1, after_s=60 * COUNT)
        yield

    assert set(codes(meter.walk((), recording()))) == set(range(2, COUNT + 2))


def test_records_that_move_on_while_they_are_read_are_read_again() -> None:
    meter = Meter(table_of("first"))
    meter.add(*range(1, COUNT + 1))
    page = meter.walk(during=overwriting(meter, range(COUNT + 1, COUNT + 3)))
    assert codes(page) == list(range(COUNT + 2, 2, -1))


def test_records_that_never_stand_still_are_said() -> None:
    meter = Meter(table_of("first"))
    meter.add(*range(1, COUNT + 1))
    with pytest.raises(BadFrame, match="changes while it is read"):
        meter.walk(during=overwriting(meter, range(COUNT + 1, COUNT + 100)))


@pytest.mark.parametrize("way", RINGS)
def test_a_broken_record_is_left_out_and_the_others_are_read(way: str) -> None:
    meter = Meter(table_of(way))
    meter.add(*range(1, 11))
    meter.journal.spoil(3, b"\x12\x34" * 5)
    assert codes(meter.walk()) == [10, 9, 8, 6, 5, 4, 3, 2, 1]


def test_a_record_that_is_just_being_written_is_told_once_it_is_whole() -> None:
    meter = Meter(table_of("next"))
    meter.add(1, 2)
    marks = [event.mark for event in meter.walk().events]
    meter.add(3, after_s=120)
    whole = meter.journal.record(2)
    meter.journal.spoil(0, whole[:4] + b"\xff" * 6)
    assert codes(meter.walk(marks)) == [2]
    meter.journal.spoil(0, whole)
    assert codes(meter.walk(marks)) == [3, 2]


def test_records_of_the_second_of_a_known_one_are_all_told() -> None:
    meter = Meter(table_of("next"))
    meter.add(1, 2, 3)
    marks = [first_mark(meter, 3)]
    meter.add(4, 3, after_s=120, step_s=0)
    assert codes(meter.walk(marks)) == [3, 4, 3]


def test_the_future_is_not_told_and_hides_nothing() -> None:
    meter = Meter(table_of("next"))
    meter.add(1, 2)
    now_ms = START_MS + 3_600_000
    meter.journal.add(3, now_ms + AHEAD_MS + 60_000, 1)
    meter.journal.add(4, now_ms, 1)
    page = meter.walk(now_ms=now_ms)
    assert (codes(page), page.ahead) == ([4, 2, 1], 1)
    assert codes(meter.walk(now_ms=now_ms + 120_000)) == [4, 3, 2, 1]


def test_events_before_and_after_a_clock_was_set_back_are_told() -> None:
    meter = Meter(table_of("next"))
    meter.add(1, 2, after_s=7200)
    marks = [event.mark for event in meter.walk().events]
    meter.add(3, 4)
    assert codes(meter.walk(marks)) == [4, 3, 2]


def test_what_an_hour_shows_twice_is_taken_for_the_first() -> None:
    (table,) = (
        profile_of(
            "{}",
            section="""\
  event_logs:
    log:
      at: 0x1000
      words: 5
      count: 9
      newest: first
      time: {at: 0, format: [year2 month, day hour, minute second]}
      code: {at: 3, type: uint16}
""",
        )
        .makes[0]
        .event_logs
    )
    zone = ZoneInfo("Europe/Berlin")
    first = datetime(2026, 10, 25, 2, 30, tzinfo=zone)
    record = bytes((26, 10, 25, 2, 30, 0, 0, 5, 0, 0))
    event = table.event(record, zone)
    assert event is not None
    assert event.time_ms == round(first.timestamp()) * 1000


def test_a_device_that_refuses_its_log_has_none() -> None:
    assert Meter(table_of("file: 4\nwords: 5\nnewest: search"), refuses=True).walk().refused
    meter = Meter(table_of("several at once"), refuses=True)
    meter.add(1)
    assert codes(meter.walk()) == [1]
    meter.journal.clear()
    page = meter.walk()
    assert (page.refused, codes(page)) == (False, [])


def test_a_pointer_beyond_the_log_is_said() -> None:
    meter = Meter(table_of("next"))
    meter.add(1)
    meter.shelf = type(meter.shelf)(table_of("next", count=200), meter.journal)
    for _ in range(60):
        meter.add(2)
    with pytest.raises(BadFrame, match="its pointer tells 61"):
        meter.walk()

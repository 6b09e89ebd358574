"""Exactly once: whatever a meter records between two looks, and whenever the place is read again."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.event_archive import LogEvent
from server.event_places import LATEST, MOST_ALIKE, NEWEST, News, in_parts, known_marks, news_of, place_after
from tests.drivers.modbus.event_rig import COUNT, START_MS, WAYS, Meter, table_of

ROWS = st.lists(st.tuples(st.integers(1, 3), st.sampled_from([0, 0, 1, 60])), max_size=COUNT - 1)
"""Numbers of events, and how many seconds each is later than the one before."""


def event(mark: int, time_ms: int = 0) -> LogEvent:
    return LogEvent(time_ms, mark, None, mark.to_bytes(8, "big"))


@settings(max_examples=120, deadline=None)
@given(way=st.sampled_from([way for way in WAYS if way != "no ring"]), looks=st.lists(ROWS, max_size=6))
def test_every_event_is_told_once_however_they_fall(way: str, looks: list[list[tuple[int, int]]]) -> None:
    meter, place, second = Meter(table_of(way)), b"", 0
    made: list[tuple[int, int]] = []
    told: list[tuple[int, int]] = []
    ids: set[tuple[bytes, int]] = set()
    for rows in looks:
        for code, later in rows:
            second += max(later, "search" in WAYS[way])  # the times of what is searched go up
            meter.add(code, after_s=second)
            made.append((START_MS + second * 1000, code))
        known = known_marks(place)
        page = meter.walk(known)
        for part, after in in_parts(page.events, known, 3):
            told += [(each.event.time_ms, each.event.code) for each in part]
            ids |= {(each.event.mark, each.before) for each in part}
            place = after
        second += 1  # what was not there yet is of a later second, or else the ring may have passed over its equal
    assert told == made
    assert len(ids) == len(made)


@settings(max_examples=60, deadline=None)
@given(
    way=st.sampled_from([way for way in WAYS if way not in ("no ring", "first")]),
    begun=st.integers(1, 3 * COUNT),
    meanwhile=st.lists(st.integers(0, 2), max_size=12),
)
def test_what_is_recorded_while_the_log_is_read_is_told_once(way: str, begun: int, meanwhile: list[int]) -> None:
    meter, place, told, made = Meter(table_of(way)), b"", [], begun
    meter.add(*range(1, begun + 1))

    def recording() -> Iterator[None]:
        nonlocal made
        for count in meanwhile:
            meter.add(*range(made + 1, made + count + 1), after_s=60 * made)
            made += count
            yield

    during = recording()
    for _ in range(len(meanwhile) + 2):
        known = known_marks(place)
        for part, after in in_parts(meter.walk(known, during).events, known, 100):
            told += [each.event.code for each in part]
            place = after
    assert len(set(told)) == len(told)
    assert set(told) >= set(range(max(made - COUNT, 0) + 1, made + 1))


def test_telling_that_was_broken_off_goes_on_where_it_was() -> None:
    meter = Meter(table_of("total"))
    meter.add(*range(1, 11))
    parts = list(in_parts(meter.walk().events, {}, 4))
    assert [[each.event.code for each in part] for part, _ in parts] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    for done in (0, 1):
        known = known_marks(parts[done][1])
        rest = [each.event.code for part, _ in in_parts(meter.walk(known).events, known, 100) for each in part]
        assert rest == list(range(4 * done + 5, 11))


def test_of_equal_records_as_many_are_new_as_there_are_more() -> None:
    known = {event(1).mark: 2}
    found = news_of([event(1), event(2), event(1), event(1)], known)
    assert found == [News(event(1), 2), News(event(2), 0), None, None]


def test_a_place_is_bounded_and_keeps_all_of_the_newest_second() -> None:
    old = known_marks(place_after([event(mark, mark) for mark in range(1000, 0, -1)], {}))
    assert len(old) == NEWEST
    assert list(old) == [event(mark).mark for mark in range(1000, 1000 - NEWEST, -1)]
    alike = known_marks(place_after([event(mark, 7) for mark in range(100)], old))
    assert len(alike) == 100 + LATEST
    assert set(alike) >= {event(mark).mark for mark in range(100)}
    assert len(known_marks(place_after([event(mark, 7) for mark in range(9999)], {}))) == MOST_ALIKE


def test_a_place_of_another_making_knows_nothing_and_breaks_nothing() -> None:
    assert known_marks(b"") == {}
    assert known_marks(b"123") == {}


def test_a_clock_that_stands_still_has_nothing_told_twice() -> None:
    records = [event(mark, 7) for mark in range(3 * MOST_ALIKE, 0, -1)]
    place = b""
    for part, after in in_parts(records, {}, 100):
        known = known_marks(after)
        place, rest = after, [one.event.time_ms and one.event.code for one in news_of(records, known) if one]
        assert rest == list(range(3 * MOST_ALIKE, part[-1].event.code, -1))
    more = [event(mark, 7) for mark in range(3 * MOST_ALIKE + 5, 3 * MOST_ALIKE, -1)]
    assert [one.event for one in news_of([*more, *records], known_marks(place)) if one] == more

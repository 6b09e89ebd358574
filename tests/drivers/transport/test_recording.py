"""The marks of a trace put together to exchanges."""

from __future__ import annotations

from drivers.transport import Event, Mark
from drivers.transport.recording import Exchange, exchanges


def mark(time: int, event: Event, data: bytes = b"", text: str = "") -> Mark:
    return Mark(time, event, data, text)


def test_what_arrives_until_the_next_request_belongs_to_the_one_before() -> None:
    opened, first, second = (
        mark(0, Event.OPENED, text="here"),
        mark(10, Event.SENT, b"a"),
        mark(90, Event.SENT, b"b"),
    )
    marks = [opened, first, mark(15, Event.RECEIVED, b"1"), mark(18, Event.RECEIVED, b"2"), second]
    early, one, two = exchanges(marks)
    assert early is opened
    assert isinstance(one, Exchange)
    assert isinstance(two, Exchange)
    assert (one.request, one.answer, [piece.after_ns for piece in one.pieces]) == (b"a", b"12", [5, 8])
    assert not one.last
    assert (two.request, two.answer, two.last) == (b"b", b"", True)


def test_a_lost_line_belongs_to_the_request_and_else_stands_alone() -> None:
    lost = mark(30, Event.LOST, text="reset")
    (one,) = exchanges([mark(10, Event.SENT, b"a"), lost])
    assert isinstance(one, Exchange)
    assert (one.lost, one.lost_ns) == ("reset", 20)
    assert list(exchanges([lost])) == [lost]


def test_a_hole_leaves_open_what_came_of_a_request() -> None:
    one, hole = exchanges([mark(1, Event.SENT, b"a"), mark(2, Event.MISSED, text="7")])
    assert isinstance(one, Exchange)
    assert one.last
    assert isinstance(hole, Mark)


def test_bytes_that_nobody_asked_for_are_told_as_they_are() -> None:
    stray = mark(1, Event.DISCARDED, b"zz")
    late = mark(5, Event.DISCARDED, b"yy")
    alone, one = exchanges([stray, mark(3, Event.SENT, b"a"), late])
    assert alone is stray
    assert isinstance(one, Exchange)
    assert one.answer == b"yy"

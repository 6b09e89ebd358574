"""Communication sessions of a line: what each exchanged, and that only the last are kept."""

from __future__ import annotations

from address_space.model.clock import NS
from address_space.model.quality import Reason
from drivers.health import Tally
from drivers.sessions import KEPT, Sessions

START_NS = 1_767_225_600 * NS


def test_a_session_has_its_own_counts_of_what_the_line_counts_in_all() -> None:
    tally = Tally(requests=5)
    tally.began(START_NS)
    tally.requests += 4
    tally.bad(Reason.TIMEOUT, "no answer")
    assert tally.session_lines() == ("from=2026-01-01T00:00:00+00:00 to=now requests=4 errors=1",)
    ended = tally.ended(START_NS + 90 * NS, "the connection was lost")
    assert ended is not None
    assert (ended.lasted_s, ended.requests, ended.errors) == (90.0, 4, 1)
    assert tally.session_lines() == (
        "from=2026-01-01T00:00:00+00:00 to=2026-01-01T00:01:30+00:00 requests=4 errors=1 ended=the connection was lost",
    )


def test_a_line_that_is_not_open_ends_nothing() -> None:
    assert Sessions().end(START_NS, 1, 0, "closed") is None


def test_only_the_last_sessions_are_remembered() -> None:
    sessions = Sessions()
    for number in range(KEPT + 20):
        sessions.begin(START_NS + number * NS, number, 0)
        sessions.end(START_NS + number * NS + 1, number + 1, 0, "lost")
    told = sessions.told(0, 0)
    assert len(told) == KEPT
    assert told[0].began_ns == START_NS + 20 * NS
    assert {session.requests for session in told} == {1}

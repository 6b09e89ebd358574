"""The communication sessions of a line: from its opening to its loss, what was exchanged, and why it ended."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from address_space.model.clock import NS, to_datetime

KEPT = 100
"""Sessions of a line that are remembered; the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session; times are UTC nanoseconds, `ended_ns` 0 and `ended` empty while it lasts."""

    began_ns: int
    ended_ns: int = 0
    requests: int = 0
    errors: int = 0
    ended: str = ""

    @property
    def lasted_s(self) -> float:
        """How long it lasted; 0 while it does."""
        return (self.ended_ns - self.began_ns) / NS if self.ended_ns else 0.0

    def __str__(self) -> str:
        """One line for a person and a log: `from=… to=… requests=… errors=… ended=…`."""
        until = _moment(self.ended_ns) if self.ended_ns else "now"
        told = f"from={_moment(self.began_ns)} to={until} requests={self.requests} errors={self.errors}"
        return f"{told} ended={self.ended}" if self.ended else told


class Sessions:
    """The last sessions of one line, oldest first; totals of requests and errors are the line's own counts."""

    def __init__(self) -> None:
        self._past: deque[Session] = deque(maxlen=KEPT)
        self._lines: deque[str] = deque(maxlen=KEPT)
        self._current: Session | None = None
        self._at_begin = (0, 0)

    def begin(self, now_ns: int, requests: int, errors: int) -> None:
        """The line was opened."""
        if self._current is not None:
            self.end(now_ns, requests, errors, "opened anew")
        self._current = Session(now_ns)
        self._at_begin = (requests, errors)

    def end(self, now_ns: int, requests: int, errors: int, why: str) -> Session | None:
        """The line was lost or closed; gives the session that ended, None where there was none."""
        if self._current is None:
            return None
        ended = replace(self._so_far(self._current, requests, errors), ended_ns=now_ns, ended=why)
        self._past.append(ended)
        self._lines.append(str(ended))
        self._current = None
        return ended

    def told(self, requests: int, errors: int) -> tuple[Session, ...]:
        """All that are remembered, the one that lasts at the end."""
        past = tuple(self._past)
        return past if self._current is None else (*past, self._so_far(self._current, requests, errors))

    def lines(self, requests: int, errors: int) -> tuple[str, ...]:
        """As `told`, one line each; those of the past were written when they ended."""
        past = tuple(self._lines)
        return past if self._current is None else (*past, str(self._so_far(self._current, requests, errors)))

    def _so_far(self, session: Session, requests: int, errors: int) -> Session:
        before, errors_before = self._at_begin
        return replace(session, requests=requests - before, errors=errors - errors_before)


def _moment(time_ns: int) -> str:
    return to_datetime(time_ns).isoformat(timespec="seconds")

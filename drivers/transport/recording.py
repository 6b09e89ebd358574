"""What a trace holds, exchange by exchange: what was sent, and what came until the next was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from drivers.transport.trace import Event, Mark

_HEARD = frozenset({Event.RECEIVED, Event.DISCARDED})


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that arrived so long after the request was sent."""

    after_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and everything that came of it.

    lost       why the line was lost then; empty where it was not
    lost_ns    how long after the request that was noticed
    last       whether the recording ends here, or has a hole: more may have come
    """

    at_ns: int
    request: bytes
    pieces: tuple[Piece, ...] = ()
    lost: str = ""
    lost_ns: int = 0
    last: bool = False

    @property
    def answer(self) -> bytes:
        """Everything that arrived, put together."""
        return b"".join(piece.data for piece in self.pieces)


def exchanges(marks: Iterable[Mark]) -> Iterator[Exchange | Mark]:
    """The exchanges of a trace in order; what belongs to none (opening, holes, unasked bytes) as it was noted."""
    sent: Mark | None = None
    pieces: list[Piece] = []
    for mark in marks:
        if sent is not None and mark.event in _HEARD:
            pieces.append(Piece(mark.time_ns - sent.time_ns, mark.data))
            continue
        if sent is not None:
            yield _exchange(sent, pieces, mark)
        noted_with_it = sent is not None and mark.event is Event.LOST
        sent, pieces = (mark, []) if mark.event is Event.SENT else (None, [])
        if mark.event is not Event.SENT and not noted_with_it:
            yield mark
    if sent is not None:
        yield Exchange(sent.time_ns, sent.data, tuple(pieces), last=True)


def _exchange(sent: Mark, pieces: list[Piece], until: Mark) -> Exchange:
    lost = until.event is Event.LOST
    return Exchange(
        sent.time_ns,
        sent.data,
        tuple(pieces),
        lost=(until.text or "the line was lost") if lost else "",
        lost_ns=until.time_ns - sent.time_ns if lost else 0,
        last=until.event is Event.MISSED,
    )

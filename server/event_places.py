"""What of a meter's log of events is new, and the place up to which it was told: marks of its newest records.

Of records that are equal as many are new as there are more of them than were told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from struct import Struct
from typing import NamedTuple

from drivers.event_archive import LogEvent

NEWEST = 32
"""Records whose marks are kept, the newest of the log first."""
MOST_ALIKE = 256
"""So many at most where that many are of one second."""
LATEST = 16
"""Marks beside them, of the latest by their times: what was written over the oldest ones while these were read."""
_MARK = Struct(">8sH")
_MOST = 0xFFFF


class News(NamedTuple):
    """A record that nobody was told of, and how many equal ones were made before it."""

    event: LogEvent
    before: int


def known_marks(place: bytes) -> dict[bytes, int]:
    """How often records with which marks were told, newest first; a place that is none knows nothing."""
    whole = len(place) // _MARK.size * _MARK.size
    return dict(_MARK.iter_unpack(place[:whole]))


def news_of(events: Sequence[LogEvent], known: Mapping[bytes, int]) -> list[News | None]:
    """For each record of a walk, newest first, what is new of it; None where it was told before."""
    met: Counter[bytes] = Counter()
    found: list[News | None] = []
    for event in reversed(events):
        before = met[event.mark]
        met[event.mark] += 1
        found.append(News(event, before) if before >= known.get(event.mark, 0) else None)
    found.reverse()
    if len(known) >= MOST_ALIKE:  # perhaps not all of a second are in the place: what lies behind those was told too
        behind = max((at for at, event in enumerate(events) if event.mark in known), default=len(events)) + 1
        found[behind:] = [None] * (len(events) - behind)
    return found


def place_after(events: Sequence[LogEvent], known: Mapping[bytes, int]) -> bytes:
    """The place once all records of a walk, newest first, are told."""
    counts = Counter(event.mark for event in events)
    alike = sum(1 for event in events if event.time_ms == events[0].time_ms)
    most = max(NEWEST, min(alike, MOST_ALIKE))
    newest = [*dict.fromkeys(event.mark for event in events)][:most]
    latest = [event.mark for event in sorted(events, key=lambda each: -each.time_ms)[:LATEST]]
    kept = [*dict.fromkeys([*newest, *latest, *known])][: most + LATEST]
    return b"".join(_MARK.pack(mark, min(max(counts[mark], known.get(mark, 0)), _MOST)) for mark in kept)


def in_parts(events: Sequence[LogEvent], known: Mapping[bytes, int], most: int) -> Iterator[tuple[list[News], bytes]]:
    """What is new, oldest first, in parts of `most` at most, each with the place once it is told."""
    news = news_of(events, known)
    for end in range(len(events), 0, -most):
        first = max(end - most, 0)
        part = [one for one in reversed(news[first:end]) if one is not None]
        if part:
            yield part, place_after(events[first:], known)

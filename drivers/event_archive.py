"""The driver contract's optional part for meters that record events: what happened while nobody looked.

As with `drivers.archive`, asking is in pieces of one exchange each, and reading what came is pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from address_space.model.quantity import Names
from address_space.model.units import Unit
from drivers.api import Device, Request

NORMAL_SEVERITY = 300


@dataclass(frozen=True, slots=True)
class EventCode:
    """What a number in a meter's records means. `active` is whether it begins (True) or is over, None where the number
    does not say."""

    text: Names
    severity: int = NORMAL_SEVERITY
    active: bool | None = None


@dataclass(frozen=True, slots=True)
class EventBook:
    """One log of events in a meter's memory.

    codes    what numbers mean; others may stand in it too
    unit     unit of the values, None where they have none
    every_s  how often new ones are looked for
    endless  whether old records give way to new ones
    """

    name: str
    key: Any
    codes: Mapping[int, EventCode]
    unit: Unit | None
    every_s: float
    endless: bool = True


class LogEvent(NamedTuple):
    """One event that a meter recorded, at the moment its own clock gave it.

    mark    what tells it from others of the log: the same for equal records, whenever they are read
    number  which record of the log it is, None where records move
    """

    time_ms: int
    code: int
    value: float | None
    mark: bytes
    number: int | None = None


@dataclass(frozen=True, slots=True)
class RecalledEvents:
    """What was found in a log from its newest record back to those that are known, newest first, the latter included.

    again  the search goes on: nothing is told yet, and the same `recall_events` goes on
    met    whether a known record was found
    full   whether the search came to the last place of a log that has no empty one
    ahead  records that are dated in the future, which are left out
    """

    events: Sequence[LogEvent] = ()
    again: bool = False
    met: bool = False
    full: bool = False
    ahead: int = 0


@runtime_checkable
class EventArchive(Protocol):
    """A driver some of whose devices record events."""

    def may_record_events(self, device: Device) -> bool:
        """Whether such a device may have logs of events, whatever make it turns out to be."""

    def event_books(self, device: Device) -> Sequence[EventBook]:
        """The logs of events that such a device may have."""

    def recall_events(self, device: Device, book: EventBook, known: Collection[bytes]) -> Request:
        """One exchange that goes on looking for what is not among the known marks, for `Driver.request`."""

    def recalled_events(self, device: Device, request: Request, answer: Any) -> RecalledEvents:
        """Pure: what came of a `recall_events`."""

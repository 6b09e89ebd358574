"""What a meter recorded of events: the event logs of its profile, a request of one frame at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from address_space.model.clock import Clock
from address_space.model.ids import UnitHandle
from drivers.api import Device, Request
from drivers.event_archive import EventBook, RecalledEvents
from drivers.modbus.archive import sizes
from drivers.modbus.event_logs import EventTable
from drivers.modbus.event_walk import EventPage, EventWalk, WalkSteps
from drivers.modbus.layout import Make
from drivers.modbus.log_period import MS_NS
from drivers.modbus.log_reader import Known


@dataclass(frozen=True, slots=True)
class EventRecall:
    """What one request goes on looking for: the records of a log back to the known ones."""

    unit: UnitHandle
    make: Make
    table: EventTable
    marks: Collection[bytes] = field(compare=False)


def event_books(make: Make) -> Sequence[EventBook]:
    """The logs of events of a meter of this make."""
    return [
        EventBook(
            table.name,
            table,
            table.codes,
            table.detail.unit if table.detail is not None else None,
            table.every_s,
            table.endless,
        )
        for table in make.event_logs
    ]


def recall_events(make: Make, device: Device, book: EventBook, known: Collection[bytes]) -> Request:
    """The next request of a walk through a log."""
    table: EventTable = book.key
    sent, received = sizes(table.shelf.ask(0, table.slots(0, table.count)))
    return Request(EventRecall(device.unit, make, table, known), f"event log {table.name}", sent, received)


def recalled_events(page: EventPage | None) -> RecalledEvents:
    """What came of the last request."""
    if page is None:
        return RecalledEvents(again=True)
    return RecalledEvents(page.events, met=page.met, full=page.full, ahead=page.ahead)


def walk(device: Device, key: EventRecall, known: Known, clock: Clock) -> WalkSteps:
    """The walk that a request goes on with."""
    return EventWalk(key.table, known, key.marks, device.zone, lambda: clock.now_ns() // MS_NS, device.name).steps()

"""Events that meters recorded themselves: each is told once, with the meter's own time, in every language."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from asyncua import ua

from address_space.model.clock import Clock
from address_space.model.ids import NodeUid
from address_space.model.quantity import LOCALES, Names
from address_space.nodes import TypeModel
from address_space.nodes.nodeids import plant_id
from address_space.nodes.standard import eu_information
from drivers.event_archive import NORMAL_SEVERITY, EventBook, EventCode, LogEvent
from historian.events import Bookmark, EventLog
from server.opcua.event import Event
from server.opcua.messages import Message, Messages

NEWS_MS = 31 * 86_400_000
"""What is older is kept and no news any more."""
SHARE = 0.5
"""Of the room in which events wait for the disk; the rest is for those that cannot wait in a meter meanwhile."""
LOST_SEVERITY = 500
_FRAMES: Mapping[bool | None, str] = {None: "meter-event", True: "meter-event-begins", False: "meter-event-ends"}
_ID_BYTES = 16
_NS_PER_MS = 1_000_000


class MeterLogEvents:
    """Tells what meters recorded to clients, and keeps it with the place up to which the meter's log was read.

    `post` tells and keeps an event, `file` only keeps it.
    """

    def __init__(
        self,
        model: TypeModel,
        post: Callable[[Event], bytes],
        file: Callable[[Event], None],
        log: EventLog,
        clock: Clock,
    ) -> None:
        self._type = model.node_id("MeterLogEventType")
        self._post = post
        self._file = file
        self._log = log
        self._clock = clock
        self._messages = Messages()

    async def place(self, point: NodeUid, book: EventBook) -> bytes:
        """Up to where the log of a unit was read; empty where it never was. Raises HistoryError."""
        return await self._log.bookmark(point, book.name)

    async def tell(
        self, point: NodeUid, book: EventBook, events: Sequence[tuple[LogEvent, int]], place: bytes, *, lost: bool
    ) -> bool:
        """Tell new events, each with how many equal ones came before it, and note the place with them.

        Where some were `lost` before that is an event too. False where there is no room for all of them now: then
        nothing was told. What the disk does not take now waits in memory, with the place.
        """
        if not self._log.has_room(len(events) + 1, SHARE):
            return False
        if lost:
            self._post(self._loss(point, book, place))
        oldest_ms = self._clock.now_ns() // _NS_PER_MS - NEWS_MS
        for event, before in events:
            made = self.event(point, book, event, before)
            if event.time_ms >= oldest_ms:
                self._post(made)
            else:
                self._file(made)
        self._log.keep_place(Bookmark(point, book.name, place))
        await self._log.flush()
        return True

    def event(self, point: NodeUid, book: EventBook, event: LogEvent, before: int) -> Event:
        """The event of a record; the same one has the same EventId whenever it is told."""
        code = book.codes.get(event.code) or EventCode(self._unknown(event.code), NORMAL_SEVERITY)
        unit = book.unit if event.value is not None else None
        fields: dict[str, Any] = {
            "3:Log": book.name,
            "3:Code": event.code,
            "3:Active": code.active,
            "3:Value": event.value,
            "EngineeringUnits": ua.Variant(eu_information(unit)) if unit is not None else None,
            "3:Record": event.number,
        }
        detail = "" if event.value is None else f", {event.value:.12g}{f' {unit.symbol}' if unit is not None else ''}"
        return Event(
            self._type,
            plant_id(point),
            Message(_FRAMES[code.active], {"text": code.text, "detail": detail, "log": book.name}),
            code.severity,
            fields,
            time_ns=event.time_ms * _NS_PER_MS or 1,  # 0 would be now
            event_id=_id(point, book, event.mark.hex(), str(before)),
        )

    def _loss(self, point: NodeUid, book: EventBook, place: bytes) -> Event:
        message = Message("meter-events-lost", {"log": book.name})
        event_id = _id(point, book, "lost", place.hex())
        return Event(self._type, plant_id(point), message, LOST_SEVERITY, {"3:Log": book.name}, event_id=event_id)

    def _unknown(self, code: int) -> Names:
        message = Message("meter-event-unknown", {"code": f"0x{code:04X}"})
        return Names(*(self._messages.text(message, locale) for locale in LOCALES))


def _id(*parts: object) -> bytes:
    words = "|".join(part.name if isinstance(part, EventBook) else str(part) for part in parts)
    return sha256(words.encode()).digest()[:_ID_BYTES]

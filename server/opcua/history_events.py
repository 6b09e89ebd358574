"""The history of events (OPC 10000-11 6.5.2): what is kept of them, and HistoryRead of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from asyncua import ua

from historian.events import EventLog, Place, StoredEvent
from server.opcua import event_record
from server.opcua.event import View
from server.opcua.event_filter import EventFilter
from server.opcua.event_items import Viewer
from server.opcua.filters import Refused
from server.opcua.history_moments import moment_ns

if TYPE_CHECKING:
    from server.opcua.event import Event
    from server.opcua.events import EventHub

_EVER_NS = 1 << 62
_AT_ONCE = 500
_MOST_LOOKED_AT = 20_000
"""Events that one page looks at, whether its filter takes them or not."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class EventPage:
    """Selected fields of events, each an array of Variants, and what is left to be told."""

    events: list[bytes]
    following: object | None = None


class EventHistory:
    """Keeps what is posted at the hub of events, and finds it again."""

    def __init__(self, log: EventLog, hub: EventHub) -> None:
        self._log = log
        self.hub = hub
        hub.keep = self._keep

    def _keep(self, event: Event, received_ns: int) -> None:
        def made() -> StoredEvent:
            body = event_record.written(event, received_ns)
            return StoredEvent(event.time_ns or received_ns, event.source.to_string(), body)

        self._log.offer(made)

    async def sources(self, notifier: ua.NodeId, low_ns: int, high_ns: int) -> list[str] | None:
        """Where something happened that is seen at a notifier; None is everywhere."""
        if notifier == ua.NodeId(ua.ObjectIds.Server):
            return None
        found = await self._log.sources(low_ns, high_ns)
        return [one for one in found if notifier in self.hub.seen_at(ua.NodeId.from_string(one))]

    async def read(
        self, ask: EventAsk, sources: list[str] | None, after: Place | None, limit: int
    ) -> list[StoredEvent]:
        """The next events of an interval."""
        return await self._log.read(
            ask.low_ns, ask.high_ns, limit, newest_first=ask.reverse, after=after, sources=sources
        )


@dataclass(frozen=True, slots=True, eq=False)
class EventAsk:
    """What is still to be told of the events seen at a notifier, at most `left` of them (None: all)."""

    notifier: ua.NodeId
    viewer: Viewer
    filter: EventFilter
    low_ns: int
    high_ns: int
    reverse: bool
    left: int | None
    after: Place | None = None

    async def page(self, history: EventHistory, most: int) -> EventPage:
        """At most `most` events that the filter takes and the user may see."""
        room = most if self.left is None else min(most, self.left)
        sources = await history.sources(self.notifier, self.low_ns, self.high_ns)
        told: list[bytes] = []
        after, looked_at = self.after, 0
        while sources is None or sources:
            batch = await history.read(self, sources, after, min(_AT_ONCE, room - len(told) + 1))
            for stored in batch:
                if len(told) == room or looked_at == _MOST_LOOKED_AT:
                    return EventPage(told, self._rest(after, len(told)))
                looked_at += 1
                after = stored.place
                fields = self._told(history, stored)
                if fields is not None:
                    told.append(fields)
            if not batch:
                break
        return EventPage(told)

    def _rest(self, after: Place | None, told: int) -> EventAsk | None:
        closed = abs(self.low_ns) < _EVER_NS and abs(self.high_ns) < _EVER_NS
        left = self.left if self.left is None or closed else self.left - told
        return None if left == 0 else replace(self, after=after, left=left)

    def _told(self, history: EventHistory, stored: StoredEvent) -> bytes | None:
        try:
            event, received_ns = event_record.read(stored.body)
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("stored event cannot be read seq=%d error=%s", stored.seq, error)
            return None
        if not history.hub.shows(event, self.viewer.user):
            return None
        occurrence = history.hub.remembered(event, received_ns)
        if not self.filter.where.accepts(View(occurrence, self.viewer.locale)):
            return None
        return occurrence.written(self.filter, self.viewer.locale)


def event_ask(history: EventHistory, notifier: ua.NodeId, viewer: Viewer, details: Any) -> EventAsk | int:
    """Events in the order asked for, start included and end not; or the status that refuses them."""
    try:
        history.hub.check_notifier(notifier, viewer)
        wanted, _ = history.hub.filters.understand(details.Filter)
    except Refused as refused:
        code = int(refused.code)
        unsupported = int(ua.StatusCodes.BadHistoryOperationUnsupported)
        return unsupported if code in (ua.StatusCodes.BadNotSupported, ua.StatusCodes.BadAttributeIdInvalid) else code
    start, end = moment_ns(details.StartTime), moment_ns(details.EndTime)
    most = int(details.NumValuesPerNode) or None
    if (start is None) + (end is None) + (most is None) > 1:
        return int(ua.StatusCodes.BadHistoryOperationInvalid)
    low, high, reverse = _span(start, end)
    return EventAsk(notifier, viewer, wanted, low, high, reverse, most)


def _span(start: int | None, end: int | None) -> tuple[int, int, bool]:
    """Times from low to high - 1, and whether they come backward."""
    if start is None:
        return -_EVER_NS, _EVER_NS if end is None else end + 1, True
    if end is None:
        return start, _EVER_NS, False
    if end < start:
        return end + 1, start + 1, True
    return start, max(end, start + 1), False

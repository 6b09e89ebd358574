"""One subscription: what waits, what was sent and not acknowledged, and its counters (Part 4 5.14.1)."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

from address_space.model.clock import EPOCH_1601_TICKS
from address_space.nodes.monitored import MonitoredItems
from server.opcua.diagnostics import Tally
from server.opcua.event_items import Viewer
from server.opcua.node_items import NodeItems
from server.opcua.triggering import Links

if TYPE_CHECKING:
    from collections.abc import Callable

    from address_space.nodes import VirtualAddressSpace
    from server.opcua.events import EventHub
    from server.opcua.options import Limits
    from server.opcua.session import HubSession

_I32 = Struct("<i")
_EXTENSION = Struct("<BBHBi")
_MESSAGE = Struct("<Iqi")
_FOUR_BYTE = 1
_LAST_SEQUENCE = 0xFFFF_FFFF
_MS = 1_000_000


@dataclass(slots=True)
class Pace:
    """Revised parameters of a subscription."""

    interval_ms: float
    lifetime: int
    keep_alive: int
    max_notifications: int
    priority: int

    @property
    def interval_ns(self) -> int:
        """Publishing interval in nanoseconds."""
        return round(self.interval_ms * _MS)


class HubSubscription:
    """A client's subscription. asyncua's `MonitoredItemService` serves the real nodes in it, columns the points."""

    def __init__(
        self,
        subscription_id: int,
        session: HubSession,
        pace: Pace,
        points: MonitoredItems,
        aspace: VirtualAddressSpace,
        limits: Limits,
        now_ns: Callable[[], int],
        events: EventHub,
    ) -> None:
        self.id = subscription_id
        self.session: HubSession | None = session
        self.client = session.client
        self.pace = pace
        self.points = points
        self.limits = limits
        self.publishing = True
        self.late = False
        self.now_ns = now_ns
        """Monotonic time."""
        self.due_ns = now_ns() + pace.interval_ns
        self.late_since_ns = 0
        """When something first waited to be sent since the last message."""
        self.links = Links()
        self.tally = Tally()
        self.data = ua.CreateSubscriptionResult(subscription_id, pace.interval_ms, pace.lifetime, pace.keep_alive)
        self.max_queue_size = limits.item_queue
        self.monitored_item_srv = NodeItems(self, aspace)
        self.events = events.items(self._viewer)
        self.quiet = 0
        """Cycles without a notification, towards the keep-alive."""
        self.orphaned = 0
        """Cycles without a publish request, towards the end of the lifetime."""
        self._started = False
        self._sequence = 1
        self._retained: OrderedDict[int, bytes] = OrderedDict()
        self._retained_bytes = 0
        self._status_changes: deque[int] = deque()

    @property
    def session_id(self) -> Any:
        """Id of the owning session, as asyncua asks for it; null where there is none."""
        return self.session.session_id if self.session is not None else ua.NodeId()

    @property
    def item_count(self) -> int:
        """Monitored items, on points, on nodes and of events."""
        return len(self.points) + len(self.monitored_item_srv) + len(self.events)

    @property
    def disabled_count(self) -> int:
        """Items that are disabled."""
        return self.points.disabled_count + self.monitored_item_srv.disabled_count + self.events.disabled_count

    @property
    def next_sequence(self) -> int:
        """Number that the next message with notifications will have."""
        return self._sequence

    def __contains__(self, item: int) -> bool:
        return item in self.points or item in self.monitored_item_srv or item in self.events

    @property
    def available(self) -> list[int]:
        """Sequence numbers that can be republished."""
        return list(self._retained)

    def tick(self, now_ns: int) -> None:
        """One publishing cycle: decide whether something is to be sent; then `late` is set."""
        self.due_ns += self.pace.interval_ns
        if self.due_ns <= now_ns:
            self.due_ns = now_ns + self.pace.interval_ns
        self.points.collect(now_ns)
        self.monitored_item_srv.collect(now_ns)
        if self.links:
            self._trigger()
        if self._has_notifications():
            self._be_late(now_ns)
        else:
            self.quiet += 1
            if not self._started or self.quiet >= self.pace.keep_alive:
                self._be_late(now_ns)
        if self.session is None or not self.session.publishes:
            self.orphaned += 1
            self.tally.late += self.late

    @property
    def expired(self) -> bool:
        """Whether nobody asked for notifications for the whole lifetime."""
        return self.orphaned > self.pace.lifetime

    def alive(self) -> None:
        """A client still cares for this subscription."""
        self.orphaned = 0

    def say(self, status: int) -> None:
        """Queue a StatusChangeNotification."""
        self._status_changes.append(status)

    def message(self, now_ns: int) -> tuple[bytes, bool]:
        """The next NotificationMessage, written, and whether more notifications wait. A keep-alive where none do."""
        self.orphaned = self.quiet = 0
        self._started = True
        self.tally.publishes += 1
        data = self._notifications()
        sequence = self._sequence
        ticks = now_ns // 100 + EPOCH_1601_TICKS
        written = _MESSAGE.pack(sequence, ticks, len(data)) + b"".join(data)
        if data:
            self._sequence = sequence + 1 if sequence < _LAST_SEQUENCE else 1
            self._retain(sequence, written)
        more = self._has_notifications()
        self.late = more
        self.late_since_ns = self.now_ns()
        return written, more

    def status_message(self, status: int, now_ns: int) -> bytes:
        """The last NotificationMessage to a session that the subscription leaves; the sequence is not used up."""
        change = struct_to_binary(ua.StatusChangeNotification(ua.StatusCode(status)))
        data = _extension(ua.ObjectIds.StatusChangeNotification_Encoding_DefaultBinary, change)
        return _MESSAGE.pack(self._sequence, now_ns // 100 + EPOCH_1601_TICKS, 1) + data

    def acknowledge(self, sequence: int) -> bool:
        """Forget a message that arrived; False where it is unknown."""
        written = self._retained.pop(sequence, None)
        if written is None:
            return False
        self._retained_bytes -= len(written)
        return True

    def republish(self, sequence: int) -> bytes | None:
        """A message that was sent and not acknowledged."""
        found = self._retained.get(sequence)
        self.tally.republish_requests += 1
        self.tally.republished += found is not None
        return found

    def watch_links(self) -> None:
        """The triggering links changed."""
        sources = self.links.sources()
        self.points.watch_for(sources)
        self.monitored_item_srv.watch_for(sources)
        self.events.watch_for(sources)

    def close(self) -> None:
        """Stop monitoring."""
        self.points.clear()
        self.monitored_item_srv.delete_all_monitored_items()
        self.events.clear()

    # asyncua's monitored item service calls these

    async def enqueue_datachange_event(self, mid: int, eventdata: Any, maxsize: int) -> None:
        """A change of a real node."""
        self.monitored_item_srv.queue_change(mid, eventdata, maxsize)

    async def enqueue_statuschange(self, code: Any) -> None:
        """A change of the subscription's own status."""
        self.say(int(code.value))

    def _be_late(self, now_ns: int) -> None:
        if not self.late:
            self.late, self.late_since_ns = True, now_ns

    def _trigger(self) -> None:
        fired = [*self.points.take_fired(), *self.monitored_item_srv.take_fired(), *self.events.take_fired()]
        linked = self.links.triggered(fired)
        if linked:
            self.points.release(linked)
            self.monitored_item_srv.release(linked)
            self.events.release(linked)

    def _viewer(self) -> Viewer | None:
        session = self.session
        return None if session is None else Viewer(session.user, session.locale)

    def _has_notifications(self) -> bool:
        if self._status_changes:
            return True
        waiting = self.monitored_item_srv.waiting > 0 or self.points.waiting > 0 or self.events.waiting > 0
        return self.publishing and waiting

    def _notifications(self) -> list[bytes]:
        data: list[bytes] = []
        if self.publishing:
            limit = self.limits.notifications_per_publish
            if self.pace.max_notifications:
                limit = min(limit, self.pace.max_notifications)
            events = self.events.take(limit)
            if events:
                listed = b"".join((_I32.pack(len(events)), *events))
                data.append(_extension(ua.ObjectIds.EventNotificationList_Encoding_DefaultBinary, listed))
            changes = self.monitored_item_srv.take_changes(limit - len(events))
            values, count = self.points.take(limit - len(events) - len(changes))
            self.tally.events += len(events)
            self.tally.changes += len(changes) + count
            if changes or count:
                body = b"".join(
                    (
                        _I32.pack(len(changes) + count),
                        *(struct_to_binary(change) for change in changes),
                        values,
                        _I32.pack(0),
                    )
                )
                data.append(_extension(ua.ObjectIds.DataChangeNotification_Encoding_DefaultBinary, body))
        if self._status_changes and not data:
            change = ua.StatusChangeNotification(ua.StatusCode(self._status_changes.popleft()))
            data.append(
                _extension(ua.ObjectIds.StatusChangeNotification_Encoding_DefaultBinary, struct_to_binary(change))
            )
        return data

    def _retain(self, sequence: int, written: bytes) -> None:
        self._retained[sequence] = written
        self._retained_bytes += len(written)
        while len(self._retained) > self.limits.retained_messages or (
            self._retained_bytes > self.limits.retained_bytes and len(self._retained) > 1
        ):
            _, dropped = self._retained.popitem(last=False)
            self._retained_bytes -= len(dropped)
            self.tally.discarded += 1


def _extension(type_id: int, body: bytes) -> bytes:
    return _EXTENSION.pack(_FOUR_BYTE, 0, type_id, 1, len(body)) + body

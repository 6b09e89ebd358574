"""Monitored items on EventNotifier, those of one subscription (Part 4 5.13, 7.22.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Any

from asyncua import ua

from address_space.nodes.monitored_rows import Mode
from server.opcua.event import View
from server.opcua.event_filter import EventFilter, FilterRefused
from server.opcua.event_queue import EventQueue
from server.opcua.filters import Refused

if TYPE_CHECKING:
    from asyncua.crypto.permission_rules import User

    from server.opcua.event import Occurrence
    from server.opcua.events import EventHub

_HANDLE = Struct("<I")


@dataclass(slots=True)
class _Item:
    node: ua.NodeId
    client_handle: int
    mode: Mode
    filter: EventFilter
    queue: EventQueue
    released: bool = False
    """Triggered: reports what it holds although it only samples."""

    @property
    def reports(self) -> bool:
        """Whether there is something to send."""
        return bool(len(self.queue)) and (self.mode is Mode.REPORTING or self.released)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who receives the events of a subscription, and in which language."""

    user: User
    locale: str


class EventItems:
    """Event items by id. `viewer` tells whose they are, None while the subscription waits for a new session."""

    def __init__(self, hub: EventHub, viewer: Callable[[], Viewer | None]) -> None:
        self._hub = hub
        self._viewer = viewer
        self._last: Viewer | None = None
        self._items: dict[int, _Item] = {}
        self._sources: frozenset[int] = frozenset()
        self._fired: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: int) -> bool:
        return item in self._items

    @property
    def waiting(self) -> int:
        """How many items have something to report."""
        return sum(1 for item in self._items.values() if item.reports)

    @property
    def disabled_count(self) -> int:
        """Items that are disabled."""
        return sum(1 for item in self._items.values() if item.mode is Mode.DISABLED)

    def create(self, asked: Any) -> ua.MonitoredItemCreateResult:
        """One item of CreateMonitoredItems."""
        wanted, parameters = asked.ItemToMonitor, asked.RequestedParameters
        try:
            mode = _mode(asked.MonitoringMode)
            self._hub.check_notifier(wanted.NodeId, self._present())
            made, result = self._hub.filters.understand(parameters.Filter)
            item_id = self._hub.join(wanted.NodeId, self)
        except Refused as refused:
            told = refused.result if isinstance(refused, FilterRefused) else None
            return _created(refused.code, told)
        size = self._hub.queue_size(parameters.QueueSize)
        queue = EventQueue(size, discard_oldest=parameters.DiscardOldest)
        self._items[item_id] = _Item(wanted.NodeId, parameters.ClientHandle, mode, made, queue)
        answer = _created(ua.StatusCodes.Good, result)
        # events are not sampled: their interval is 0 (Part 4 5.13.1.2)
        answer.MonitoredItemId, answer.RevisedSamplingInterval, answer.RevisedQueueSize = item_id, 0.0, size
        return answer

    def modify(self, item_id: int, asked: Any) -> ua.MonitoredItemModifyResult:
        """One item of ModifyMonitoredItems, which must be here."""
        item = self._items[item_id]
        try:
            made, result = self._hub.filters.understand(asked.Filter)
        except FilterRefused as refused:
            return ua.MonitoredItemModifyResult(ua.StatusCode(refused.code), 0.0, 0, _result(refused.result))
        item.filter, item.client_handle = made, asked.ClientHandle
        size = self._hub.queue_size(asked.QueueSize)
        item.queue.resize(size, discard_oldest=asked.DiscardOldest, overflow=lambda: self._overflow(item))
        return ua.MonitoredItemModifyResult(ua.StatusCode(), 0.0, size, _result(result))

    def set_mode(self, mode: Mode, item_id: int) -> bool:
        """Report, only queue, or neither, when what is queued is lost (Part 4 5.13.4); False where it is not here."""
        item = self._items.get(item_id)
        if item is None:
            return False
        item.mode = mode
        if mode is Mode.DISABLED:
            item.queue.clear()
        return True

    def delete(self, item_id: int) -> bool:
        """Forget an item; False where it is not here."""
        item = self._items.pop(item_id, None)
        if item is not None:
            self._hub.leave(item.node, item_id)
        return item is not None

    def clear(self) -> None:
        """Forget all items."""
        for item_id in list(self._items):
            self.delete(item_id)

    def offer(self, item_id: int, occurrence: Occurrence) -> None:
        """An event came by the node of an item: queue it where the user may see it and the filter lets it pass."""
        item = self._items[item_id]
        viewer = self._present()
        if item.mode is Mode.DISABLED or viewer is None or not self._hub.shows(occurrence.event, viewer.user):
            return
        if item.filter.where.accepts(View(occurrence, viewer.locale)):
            item.queue.put(occurrence.written(item.filter, viewer.locale), lambda: self._overflow(item))
            if item_id in self._sources:
                self._fired[item_id] = None

    def take(self, most: int) -> list[bytes]:
        """Up to `most` EventFieldLists, written, oldest first for each item."""
        taken: list[bytes] = []
        for item in self._items.values():
            if item.reports:
                handle = _HANDLE.pack(item.client_handle)
                taken += [handle + fields for fields in item.queue.take(most - len(taken))]
                item.released = item.released and len(item.queue) > 0
        return taken

    def watch_for(self, sources: Iterable[int]) -> None:
        """Remember from now on which of these items got something (Part 4 5.13.1.6)."""
        self._sources = frozenset(sources)

    def take_fired(self) -> list[int]:
        """Watched items that got something since asked last."""
        fired = list(self._fired)
        self._fired.clear()
        return fired

    def release(self, items: Iterable[int]) -> None:
        """Report what these items hold: they were triggered."""
        for item_id in items:
            item = self._items.get(item_id)
            if item is not None and item.mode is not Mode.DISABLED:
                item.released = len(item.queue) > 0

    def _present(self) -> Viewer | None:
        self._last = self._viewer() or self._last
        return self._last

    def _overflow(self, item: _Item) -> bytes:
        viewer = self._present()
        return self._hub.overflow().written(item.filter, viewer.locale if viewer is not None else "")


def _mode(asked: Any) -> Mode:
    try:
        return Mode(asked)
    except ValueError as unknown:
        raise Refused(ua.StatusCodes.BadMonitoringModeInvalid) from unknown


def _created(code: int, told: Any) -> ua.MonitoredItemCreateResult:
    return ua.MonitoredItemCreateResult(ua.StatusCode(code), FilterResult=_result(told))


def _result(told: Any) -> Any:
    """What stands for a filter result: an empty extension object where there is nothing to tell."""
    return ua.ExtensionObject() if told is None else told

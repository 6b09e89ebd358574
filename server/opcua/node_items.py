"""Monitored items on real nodes: asyncua's service, with what it leaves out put right.

asyncua compares a deadband with the last sample instead of the last report, lets Sampling items report, ignores
TimestampsToReturn, IndexRange and sampling intervals, and fails with an internal error on an unknown item id
(Part 4 5.13).
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.server.monitored_item_service import MonitoredItemData, MonitoredItemService

from address_space.nodes.monitored_rows import OVERFLOW, Mode, Trigger
from address_space.nodes.wire import Timestamps
from server.opcua.filters import NO_DEADBAND
from server.opcua.ranges import sliced

if TYPE_CHECKING:
    from collections.abc import Iterable

    from address_space.nodes import VirtualAddressSpace

_logger = logging.getLogger(__name__)
_MS = 1_000_000
_PLANT = 2
_FIRST_ITEM = 112
_OWN_SAMPLING_NS = 1_000 * _MS
"""How often virtual nodes of the hub itself are looked at; nobody tells of their changes."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One item as asked for and revised; `deadband` is absolute, negative where there is none."""

    client_handle: int
    trigger: Trigger = Trigger.STATUS_VALUE
    deadband: float = NO_DEADBAND
    sampling_ms: float = 0.0
    queue_size: int = 1
    discard_oldest: bool = True
    timestamps: Timestamps = Timestamps.BOTH


@dataclass(slots=True)
class _Change:
    """A data change item; `held` is a sample that came too early for its sampling interval."""

    spec: NodeSpec
    node: ua.NodeId
    attribute: Any
    index_range: str
    locale: str
    reported: Any = None
    held: Any = None
    due_ns: int = 0


class NodeItems(MonitoredItemService):  # type: ignore[misc]
    """The items of one subscription that are not on plant points."""

    aspace: VirtualAddressSpace

    def __init__(self, isub: Any, aspace: VirtualAddressSpace) -> None:
        # Not asyncua's own __init__: it names a logger after each subscription, and loggers live for ever.
        self.logger = _logger
        self.isub = isub
        self.aspace = aspace
        self._monitored_items: dict[int, Any] = {}
        self._monitored_events: dict[ua.NodeId, list[int]] = {}
        self._monitored_datachange: dict[int, int] = {}
        self._monitored_item_counter = _FIRST_ITEM - 1
        self._specs: dict[int, NodeSpec] = {}
        self._data: dict[int, _Change] = {}
        self._sampled: dict[int, None] = {}
        self._changes: dict[int, list[Any]] = {}
        self._sources: set[int] = set()
        self._fired: dict[int, None] = {}
        self._released: set[int] = set()
        self._now_ns = 0

    def __len__(self) -> int:
        return len(self._monitored_items)

    def __contains__(self, item: int) -> bool:
        return item in self._monitored_items

    @property
    def disabled_count(self) -> int:
        """Items that are disabled."""
        return sum(1 for item in self._monitored_items.values() if item.mode == ua.MonitoringMode.Disabled)

    @property
    def waiting(self) -> int:
        """Whether anything of a reporting item waits; as a count of items."""
        return sum(1 for mid in self._changes if self._reports(mid))

    # items

    def create_change(
        self, wanted: Any, mode: Mode, spec: NodeSpec, locale: str, *, sampled: bool = False
    ) -> ua.MonitoredItemCreateResult:
        """Monitor an attribute, `wanted` a ReadValueId; `sampled` where nobody tells of its changes."""
        status, handle = self.aspace.add_datachange_callback(
            wanted.NodeId, wanted.AttributeId, self.datachange_callback
        )
        if not status.is_good():
            return ua.MonitoredItemCreateResult(status)
        self._monitored_item_counter += 1
        mid = self._monitored_item_counter
        item = MonitoredItemData()
        item.mode, item.read_value_id, item.callback_handle = ua.MonitoringMode(mode), wanted, handle
        item.monitored_item_id, item.client_handle, item.queue_size = mid, spec.client_handle, spec.queue_size
        self._monitored_items[mid] = item
        self._monitored_datachange[handle] = mid
        self._data[mid] = _Change(spec, wanted.NodeId, wanted.AttributeId, wanted.IndexRange or "", locale)
        self._specs[mid] = spec
        if sampled:
            self._sampled[mid] = None
        if mode is not Mode.DISABLED:
            self._sample(mid)
        return ua.MonitoredItemCreateResult(ua.StatusCode(), mid, spec.sampling_ms, spec.queue_size)

    def watched(self, item: int) -> Any:
        """The ReadValueId of an item, None where there is no such item."""
        held = self._monitored_items.get(item)
        return None if held is None else held.read_value_id

    def change(self, mid: int, spec: NodeSpec) -> None:
        """Give an item new parameters."""
        item = self._monitored_items[mid]
        item.client_handle, item.queue_size = spec.client_handle, spec.queue_size
        self._specs[mid] = spec
        self._data[mid].spec = spec
        queue = self._changes.get(mid, [])
        while len(queue) > spec.queue_size:
            self._shorten(queue, spec)

    def set_mode(self, mode: Mode, mid: int) -> bool:
        """Change the monitoring mode; False where there is no such item."""
        item = self._monitored_items.get(mid)
        if item is None:
            return False
        before, item.mode = item.mode, ua.MonitoringMode(mode)
        data = self._data.get(mid)
        if mode is Mode.DISABLED:
            self._forget_queue(mid)
            if data is not None:
                data.reported = data.held = None
        elif before == ua.MonitoringMode.Disabled and data is not None:
            data.due_ns = 0
            self._sample(mid)
        return True

    def restart(self) -> None:
        """Queue the present value of every enabled item that has nothing queued."""
        for mid, data in self._data.items():
            if self._monitored_items[mid].mode != ua.MonitoringMode.Disabled and mid not in self._changes:
                data.reported = None
                self._sample(mid)

    def collect(self, now_ns: int) -> None:
        """Look at what waits for its sampling interval."""
        self._now_ns = now_ns
        for mid, data in self._data.items() if self._data else ():
            if data.due_ns > now_ns:
                continue
            if mid in self._sampled:
                data.due_ns = now_ns + max(round(data.spec.sampling_ms * _MS), _OWN_SAMPLING_NS)
                if self._monitored_items[mid].mode != ua.MonitoringMode.Disabled:
                    self._judge(mid, data, self._present(data))
            elif data.held is not None:
                value, data.held = data.held, None
                self._judge(mid, data, value)

    # triggering

    def watch_for(self, sources: Iterable[int]) -> None:
        """Exactly these items trigger others from now on; ids of other tables are passed over."""
        self._sources = {item for item in sources if item in self._monitored_items}
        for item in [item for item in self._fired if item not in self._sources]:
            del self._fired[item]

    def take_fired(self) -> list[int]:
        """Triggering items that sampled something to report since this was asked last."""
        found = list(self._fired)
        self._fired.clear()
        return found

    def release(self, ids: Iterable[int]) -> None:
        """Report what sampling items hold, once, because another item triggered them."""
        for mid in ids:
            item = self._monitored_items.get(mid)
            if item is None or item.mode != ua.MonitoringMode.Sampling:
                continue
            if mid in self._changes:
                self._released.add(mid)

    # queues

    def queue_change(self, mid: int, change: Any, size: int) -> None:
        """Keep a change until it is published."""
        spec = self._specs.get(mid)
        change.Value = _with_times(change.Value, Timestamps.BOTH if spec is None else spec.timestamps)
        self._keep(self._changes, mid, change, size)

    def take_changes(self, limit: int) -> list[Any]:
        """Up to `limit` MonitoredItemNotifications, oldest first for each item."""
        return self._take(self._changes, limit)

    async def datachange_callback(self, handle: int, value: Any, error: Any = None) -> None:
        """A node changed."""
        mid = self._monitored_datachange.get(handle)
        if error or mid is None or self._monitored_items[mid].mode == ua.MonitoringMode.Disabled:
            return
        data = self._data[mid]
        if data.index_range:
            value = sliced(value, data.index_range)
        if data.due_ns > self.isub.now_ns():
            data.held = value
        else:
            self._judge(mid, data, value)

    def _delete_monitored_items(self, mid: int) -> Any:
        self._forget_queue(mid)
        for held in (self._specs, self._data, self._sampled, self._fired):
            held.pop(mid, None)
        self._sources.discard(mid)
        return super()._delete_monitored_items(mid)

    # private

    def _sample(self, mid: int) -> None:
        data = self._data[mid]
        self._judge(mid, data, self._present(data))

    def _present(self, data: _Change) -> Any:
        value = self.aspace.read_attribute_value(data.node, data.attribute, data.locale)
        return sliced(value, data.index_range) if data.index_range else value

    def _judge(self, mid: int, data: _Change, value: Any) -> None:
        """Queue a sample if it passes the filter against what was reported last."""
        if data.reported is not None and not _passes(data.spec, data.reported, value):
            return
        data.reported = value
        if data.spec.sampling_ms > 0 and mid not in self._sampled:
            data.due_ns = self.isub.now_ns() + round(data.spec.sampling_ms * _MS)
        self.queue_change(mid, ua.MonitoredItemNotification(data.spec.client_handle, value), data.spec.queue_size)

    def _keep(self, queues: dict[int, list[Any]], mid: int, entry: Any, size: int) -> None:
        if mid in self._sources:
            self._fired[mid] = None
        queue = queues.setdefault(mid, [])
        queue.append(entry)
        if len(queue) > max(size, 1):
            self._shorten(queue, self._specs.get(mid))

    @staticmethod
    def _shorten(queue: list[Any], spec: NodeSpec | None) -> None:
        """Let one entry of a queue give way and mark where (Part 4 5.13.1.5)."""
        newest = spec is not None and not spec.discard_oldest
        del queue[-2 if newest else 0]
        marked = queue[-1 if newest else 0]
        if hasattr(marked, "Value") and (spec is None or spec.queue_size > 1):
            marked.Value = _overflowed(marked.Value)

    def _forget_queue(self, mid: int) -> None:
        self._changes.pop(mid, None)
        self._released.discard(mid)

    def _reports(self, mid: int) -> bool:
        item = self._monitored_items.get(mid)
        return item is not None and (item.mode == ua.MonitoringMode.Reporting or mid in self._released)

    def _take(self, queues: dict[int, list[Any]], limit: int) -> list[Any]:
        taken: list[Any] = []
        for mid in list(queues):
            if len(taken) >= limit:
                break
            if not self._reports(mid):
                continue
            queue = queues[mid]
            room = limit - len(taken)
            taken += queue[:room]
            if len(queue) > room:
                queues[mid] = queue[room:]
            else:
                del queues[mid]
                self._released.discard(mid)
        return taken


def _passes(spec: NodeSpec, old: Any, new: Any) -> bool:
    if _code(old) != _code(new):
        return True
    if spec.trigger is Trigger.STATUS:
        return False
    if spec.trigger is Trigger.STATUS_VALUE_TIMESTAMP and old.SourceTimestamp != new.SourceTimestamp:
        return True
    before, now = _held(old), _held(new)
    if spec.deadband < 0:
        return bool(before != now)
    try:
        if isinstance(now, list):
            return len(now) != len(before) or any(abs(a - b) > spec.deadband for a, b in zip(now, before, strict=True))
        return bool(abs(now - before) > spec.deadband)
    except TypeError:
        return bool(before != now)


def _code(value: Any) -> int:
    return 0 if value.StatusCode is None else int(value.StatusCode.value)


def _held(value: Any) -> Any:
    return None if value.Value is None else value.Value.Value


def _with_times(value: Any, wanted: Timestamps) -> Any:
    return dataclasses.replace(
        value,
        SourceTimestamp=value.SourceTimestamp if wanted.source else None,
        ServerTimestamp=(value.ServerTimestamp or value.SourceTimestamp) if wanted.server else None,
        SourcePicoseconds=None,
        ServerPicoseconds=None,
    )


def _overflowed(value: Any) -> Any:
    code = value.StatusCode.value if value.StatusCode is not None else 0
    return dataclasses.replace(value, StatusCode=ua.StatusCode(code | OVERFLOW))

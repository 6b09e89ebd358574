"""Monitored items on real nodes: asyncua's service, with what it leaves out put right.

asyncua compares a deadband with the last sample instead of the last report, lets Sampling items report, ignores
TimestampsToReturn, and fails with an internal error on an unknown item id (Part 4 5.13).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.server.monitored_item_service import MonitoredItemService

from address_space.nodes.monitored_rows import OVERFLOW
from address_space.nodes.wire import Timestamps

if TYPE_CHECKING:
    from asyncua.server.address_space import AddressSpace


class NodeItems(MonitoredItemService):  # type: ignore[misc]
    """The items of one subscription that are not on plant points."""

    def __init__(self, isub: Any, aspace: AddressSpace) -> None:
        super().__init__(isub, aspace)
        self.timestamps: dict[int, Timestamps] = {}
        self._discard_newest: set[int] = set()
        self._changes: dict[int, list[Any]] = {}
        self._events: dict[int, list[Any]] = {}

    def __len__(self) -> int:
        return len(self._monitored_items)

    def __contains__(self, item: int) -> bool:
        return item in self._monitored_items

    @property
    def waiting(self) -> int:
        """Whether anything of a reporting item waits; as a count of items."""
        return sum(1 for queue in (self._changes, self._events) for mid in queue if self._reports(mid))

    def keep_newest(self, item: int, *, discard_oldest: bool) -> None:
        """Which end of a full queue gives way."""
        if discard_oldest:
            self._discard_newest.discard(item)
        else:
            self._discard_newest.add(item)

    def queue_change(self, mid: int, change: Any, size: int) -> None:
        """Keep a change until it is published."""
        change.Value = _with_times(change.Value, self.timestamps.get(mid, Timestamps.BOTH))
        queue = self._changes.setdefault(mid, [])
        queue.append(change)
        limit = max(size, 1)
        if len(queue) <= limit:
            return
        if mid in self._discard_newest:
            del queue[-2]
            at = -1
        else:
            del queue[0]
            at = 0
        if limit > 1:
            queue[at].Value = _overflowed(queue[at].Value)

    def queue_event(self, mid: int, event: Any, size: int) -> None:
        """Keep an event until it is published."""
        queue = self._events.setdefault(mid, [])
        queue.append(event)
        if len(queue) > max(size, 1):
            del queue[0]

    def take_changes(self, limit: int) -> list[Any]:
        """Up to `limit` MonitoredItemNotifications, oldest first for each item."""
        return self._take(self._changes, limit)

    def take_events(self, limit: int) -> list[Any]:
        """Up to `limit` EventFieldLists."""
        return self._take(self._events, limit)

    async def datachange_callback(self, handle: int, value: Any, error: Any = None) -> None:
        """A node changed: report against what was reported last."""
        if error:
            return
        mid = self._monitored_datachange[handle]
        item = self._monitored_items[mid]
        if item.mode == ua.MonitoringMode.Disabled:
            return
        values = item.mvalue
        values.old_dvalue, values.current_dvalue = values.current_dvalue, value
        trigger = item.filter.Trigger if hasattr(item.filter, "Trigger") else ua.DataChangeTrigger.StatusValue
        passed = self._is_data_changed(values, trigger)
        if passed and hasattr(item.filter, "DeadbandType"):
            passed = self._is_deadband_exceeded(values, item.filter)
        if not passed:
            values.current_dvalue = values.old_dvalue
            return
        self.queue_change(mid, ua.MonitoredItemNotification(item.client_handle, value), item.queue_size)

    def restart(self) -> None:
        """Queue the present value of every enabled item again."""
        for mid, item in self._monitored_items.items():
            if (
                item.mode != ua.MonitoringMode.Disabled
                and item.callback_handle is not None
                and mid not in self._changes
            ):
                value = self.aspace.read_attribute_value(item.read_value_id.NodeId, item.read_value_id.AttributeId)
                self.queue_change(mid, ua.MonitoredItemNotification(item.client_handle, value), item.queue_size)

    def _is_deadband_exceeded(self, values: Any, flt: Any) -> bool:
        old, current = values.get_old_datavalue(), values.get_current_datavalue()
        if flt.DeadbandType == ua.DeadbandType.None_ or old is None or old.StatusCode != current.StatusCode:
            return True
        try:
            return bool(abs(current.Value.Value - old.Value.Value) > flt.DeadbandValue)
        except TypeError:
            return True

    async def _set_monitoring_mode(self, mode: Any, mid: int) -> Any:
        item = self._monitored_items.get(mid)
        if item is not None and mode == ua.MonitoringMode.Disabled:
            self._changes.pop(mid, None)
            self._events.pop(mid, None)
            item.mvalue.current_dvalue = None
        return await super()._set_monitoring_mode(mode, mid)

    def _modify_monitored_item(self, params: Any) -> Any:
        item = self._monitored_items.get(params.MonitoredItemId)
        if item is None:
            return ua.MonitoredItemModifyResult(ua.StatusCode(ua.StatusCodes.BadMonitoredItemIdInvalid))
        asked = params.RequestedParameters
        item.client_handle = asked.ClientHandle
        item.queue_size = self._revise_queue_size(asked.QueueSize)
        if asked.Filter is not None and not isinstance(asked.Filter, ua.ExtensionObject):
            item.filter = asked.Filter
        self.keep_newest(params.MonitoredItemId, discard_oldest=asked.DiscardOldest)
        result = ua.MonitoredItemModifyResult()
        result.RevisedSamplingInterval = max(asked.SamplingInterval, 0.0)
        result.RevisedQueueSize = item.queue_size
        return result

    def _revise_queue_size(self, requested: int) -> int:
        return min(max(int(requested), 1), int(self.isub.max_queue_size))

    def _delete_monitored_items(self, mid: int) -> Any:
        for held in (self._changes, self._events, self.timestamps):
            held.pop(mid, None)
        self._discard_newest.discard(mid)
        return super()._delete_monitored_items(mid)

    def _reports(self, mid: int) -> bool:
        item = self._monitored_items.get(mid)
        return item is not None and item.mode == ua.MonitoringMode.Reporting

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
        return taken


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

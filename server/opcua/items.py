"""The MonitoredItem service set (Part 4 5.13): points go to columns, real nodes to asyncua's service."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from asyncua import ua

from address_space.model.errors import HubError
from address_space.model.quantity import DataType
from address_space.nodes.fast import PLANT_NAMESPACE, Resolve
from address_space.nodes.monitored_rows import ItemSpec, Mode, Trigger
from address_space.nodes.wire import Timestamps
from server.opcua.access import Right, SessionPolicy
from server.opcua.request import fault

if TYPE_CHECKING:
    from address_space.model.plant import Plant
    from server.opcua.options import Limits
    from server.opcua.reading import ReadService
    from server.opcua.session import HubSession
    from server.opcua.subscription import HubSubscription
    from server.opcua.subscriptions import HubSubscriptionService

FIRST_POINT_ITEM = 0x4000_0000
"""Ids of items on points begin here; asyncua numbers those on nodes from below."""
_NS_PER_MS = 1_000_000
_PER_POLL = 1.5
_NO_DEADBAND = -1.0
_MAX_PERCENT = 100.0


class Refused(HubError):
    """One item cannot be had; carries the status code."""

    def __init__(self, code: int) -> None:
        super().__init__(hex(code))
        self.code = code


class ItemService:
    """Creates, changes and deletes monitored items."""

    def __init__(
        self,
        plant: Plant,
        resolve: Resolve,
        subscriptions: HubSubscriptionService,
        reads: ReadService,
        policy: SessionPolicy,
        limits: Limits,
    ) -> None:
        self._plant = plant
        self._resolve = resolve
        self._subscriptions = subscriptions
        self._reads = reads
        self._policy = policy
        self._limits = limits
        self._ids = itertools.count(FIRST_POINT_ITEM)

    async def create(self, session: HubSession, asked: Any) -> list[ua.MonitoredItemCreateResult]:
        """CreateMonitoredItems."""
        subscription = self._subscriptions.owned(session, asked.SubscriptionId)
        self._bounded(asked.ItemsToCreate)
        if not self._policy.may(session.user, Right.LOOK):
            raise fault(ua.StatusCodes.BadUserAccessDenied)
        timestamps = _timestamps(asked.TimestampsToReturn)
        room = self._limits.items - self._subscriptions.item_count
        room = min(room, self._limits.items_per_subscription - subscription.item_count)
        results: list[ua.MonitoredItemCreateResult] = []
        specs: list[ItemSpec] = []
        for item in asked.ItemsToCreate:
            if room <= 0:
                results.append(_refused(ua.StatusCodes.BadTooManyMonitoredItems))
                continue
            try:
                handle = self._handle(session, item.ItemToMonitor)
                if handle is None:
                    result = await self._create_on_node(subscription, item, timestamps)
                else:
                    spec, result = self._on_point(subscription, next(self._ids), handle, item, timestamps)
                    specs.append(spec)
                room -= 1
            except Refused as refused:
                result = _refused(refused.code)
            results.append(result)
        subscription.points.add(specs)
        return results

    def modify(self, session: HubSession, asked: Any) -> list[ua.MonitoredItemModifyResult]:
        """ModifyMonitoredItems."""
        subscription = self._subscriptions.owned(session, asked.SubscriptionId)
        self._bounded(asked.ItemsToModify)
        timestamps = _timestamps(asked.TimestampsToReturn)
        results = []
        for item in asked.ItemsToModify:
            handle = subscription.points.spec_handle(item.MonitoredItemId)
            if handle is None:
                results += subscription.monitored_item_srv.modify_monitored_items(
                    ua.ModifyMonitoredItemsParameters(asked.SubscriptionId, asked.TimestampsToReturn, [item])
                )
                continue
            try:
                spec, made = self._revised(
                    subscription, item.MonitoredItemId, handle, Mode.REPORTING, item.RequestedParameters, timestamps
                )
            except Refused as refused:
                results.append(ua.MonitoredItemModifyResult(ua.StatusCode(refused.code)))
                continue
            subscription.points.modify(spec)
            results.append(
                ua.MonitoredItemModifyResult(ua.StatusCode(), made.RevisedSamplingInterval, made.RevisedQueueSize)
            )
        return results

    async def set_mode(self, session: HubSession, asked: Any) -> list[ua.StatusCode]:
        """SetMonitoringMode."""
        subscription = self._subscriptions.owned(session, asked.SubscriptionId)
        self._bounded(asked.MonitoredItemIds)
        try:
            mode = Mode(asked.MonitoringMode)
        except ValueError as unknown:
            raise fault(ua.StatusCodes.BadMonitoringModeInvalid) from unknown
        done = subscription.points.set_mode(mode, asked.MonitoredItemIds)
        results = []
        for item, was_point in zip(asked.MonitoredItemIds, done, strict=True):
            if was_point:
                results.append(ua.StatusCode())
            else:
                results += await subscription.monitored_item_srv.set_monitoring_mode(ua.MonitoringMode(mode), [item])
        return results

    def delete(self, session: HubSession, asked: Any) -> list[ua.StatusCode]:
        """DeleteMonitoredItems."""
        subscription = self._subscriptions.owned(session, asked.SubscriptionId)
        self._bounded(asked.MonitoredItemIds)
        done = subscription.points.remove(asked.MonitoredItemIds)
        return [
            ua.StatusCode() if was_point else subscription.monitored_item_srv.delete_monitored_items([item])[0]
            for item, was_point in zip(asked.MonitoredItemIds, done, strict=True)
        ]

    def _bounded(self, operations: list[Any]) -> None:
        if not operations:
            raise fault(ua.StatusCodes.BadNothingToDo)
        if len(operations) > self._limits.items_per_call:
            raise fault(ua.StatusCodes.BadTooManyOperations)

    def _handle(self, session: HubSession, item: Any) -> int | None:
        """Handle where the item is the value of a point, None where it is anything else."""
        node = item.NodeId
        if node.NamespaceIndex != PLANT_NAMESPACE or node.NodeIdType != ua.NodeIdType.String:
            return None
        if item.AttributeId != ua.AttributeIds.Value:
            return None
        handle = self._resolve(node.Identifier)
        if handle < 0:
            return None
        if not self._policy.sees(session.user, [handle]):
            raise Refused(ua.StatusCodes.BadNodeIdUnknown)
        if item.IndexRange:
            raise Refused(ua.StatusCodes.BadIndexRangeNoData)
        return handle

    async def _create_on_node(
        self, subscription: HubSubscription, item: Any, timestamps: Timestamps
    ) -> ua.MonitoredItemCreateResult:
        service = subscription.monitored_item_srv
        monitored = item.ItemToMonitor
        if monitored.AttributeId == ua.AttributeIds.Value and not self._reads.readable(monitored.NodeId):
            raise Refused(ua.StatusCodes.BadNotReadable)
        if monitored.AttributeId == ua.AttributeIds.EventNotifier:
            if not hasattr(item.RequestedParameters.Filter, "WhereClause"):
                raise Refused(ua.StatusCodes.BadEventFilterInvalid)
        elif monitored.AttributeId != ua.AttributeIds.Value and hasattr(
            item.RequestedParameters.Filter, "DeadbandType"
        ):
            raise Refused(ua.StatusCodes.BadFilterNotAllowed)
        results = await service.create_monitored_items(
            ua.CreateMonitoredItemsParameters(subscription.id, ua.TimestampsToReturn(timestamps), [item])
        )
        result = results[0]
        if result.StatusCode.is_good():
            service.timestamps[result.MonitoredItemId] = timestamps
            service.keep_newest(result.MonitoredItemId, discard_oldest=item.RequestedParameters.DiscardOldest)
            result.RevisedSamplingInterval = max(item.RequestedParameters.SamplingInterval, 0.0)
        return result

    def _on_point(
        self, subscription: HubSubscription, item_id: int, handle: int, item: Any, timestamps: Timestamps
    ) -> tuple[ItemSpec, ua.MonitoredItemCreateResult]:
        try:
            mode = Mode(item.MonitoringMode)
        except ValueError as unknown:
            raise Refused(ua.StatusCodes.BadMonitoringModeInvalid) from unknown
        return self._revised(subscription, item_id, handle, mode, item.RequestedParameters, timestamps)

    def _revised(
        self,
        subscription: HubSubscription,
        item_id: int,
        handle: int,
        mode: Mode,
        asked: Any,
        timestamps: Timestamps,
    ) -> tuple[ItemSpec, ua.MonitoredItemCreateResult]:
        unit, offset = self._plant.locate(handle)  # type: ignore[arg-type]
        template = self._plant.units[unit].template
        data_type = template.quantities[offset].value.data_type
        trigger, deadband = Trigger.STATUS_VALUE, _NO_DEADBAND
        if asked.Filter is not None and not _is_null(asked.Filter):
            span = None
            if offset < template.measured:
                low, high = float(template.eu_low[offset]), float(template.eu_high[offset])
                span = high - low if high - low < float("inf") else None
            trigger, deadband = _filter(asked.Filter, data_type, span)
        measured = template.measured > 0
        poll_ns = (
            int(template.poll_ns[offset] if offset < template.measured else template.poll_ns.min()) if measured else 0
        )
        wanted_ms = asked.SamplingInterval if asked.SamplingInterval >= 0 else subscription.pace.interval_ms
        revised_ms = max(wanted_ms, poll_ns / _NS_PER_MS)
        sampling_ns = round(revised_ms * _NS_PER_MS)
        is_text = data_type in (DataType.STRING, DataType.LOCALIZED_TEXT)
        size = 1 if is_text else min(max(asked.QueueSize, 1), self._limits.item_queue)
        spec = ItemSpec(
            item_id,
            handle,
            asked.ClientHandle,
            mode,
            trigger,
            deadband,
            sampling_ns if sampling_ns > poll_ns * _PER_POLL else 0,
            size,
            asked.DiscardOldest,
            timestamps,
        )
        return spec, ua.MonitoredItemCreateResult(ua.StatusCode(), item_id, revised_ms, size)


def _filter(asked: Any, data_type: DataType, span: float | None) -> tuple[Trigger, float]:
    """Trigger and absolute deadband of a DataChangeFilter (Part 8 6.2)."""
    if not hasattr(asked, "DeadbandType"):
        raise Refused(ua.StatusCodes.BadMonitoredItemFilterUnsupported)
    try:
        trigger = Trigger(asked.Trigger)
    except ValueError as unknown:
        raise Refused(ua.StatusCodes.BadMonitoredItemFilterInvalid) from unknown
    if asked.DeadbandType == ua.DeadbandType.None_:
        return trigger, _NO_DEADBAND
    if data_type in (DataType.STRING, DataType.LOCALIZED_TEXT, DataType.BOOLEAN, DataType.DATETIME):
        raise Refused(ua.StatusCodes.BadFilterNotAllowed)
    value = asked.DeadbandValue
    if value != value or value < 0:
        raise Refused(ua.StatusCodes.BadDeadbandFilterInvalid)
    if asked.DeadbandType == ua.DeadbandType.Absolute:
        return trigger, value
    if asked.DeadbandType != ua.DeadbandType.Percent or value > _MAX_PERCENT:
        raise Refused(ua.StatusCodes.BadDeadbandFilterInvalid)
    if span is None:
        raise Refused(ua.StatusCodes.BadMonitoredItemFilterUnsupported)
    return trigger, value / _MAX_PERCENT * span


def _is_null(asked: Any) -> bool:
    return isinstance(asked, ua.ExtensionObject) and asked.TypeId.Identifier in (0, None)


def _timestamps(asked: Any) -> Timestamps:
    try:
        return Timestamps(int(asked))
    except ValueError as unknown:
        raise fault(ua.StatusCodes.BadTimestampsToReturnInvalid) from unknown


def _refused(code: int) -> ua.MonitoredItemCreateResult:
    return ua.MonitoredItemCreateResult(ua.StatusCode(code))

"""The MonitoredItem service set (Part 4 5.13): points go to columns, real nodes to asyncua's service."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from asyncua import ua

from address_space.model.quantity import DataType
from address_space.nodes.fast import PLANT_NAMESPACE, Resolve
from address_space.nodes.monitored_rows import ItemSpec, Mode
from address_space.nodes.wire import Timestamps
from server.opcua.access import Right, SessionPolicy
from server.opcua.filters import Refused, change_filter, is_null
from server.opcua.node_items import NodeSpec
from server.opcua.ranges import well_formed
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
_LONGEST_MS = 86_400_000.0
_TEXTS = (DataType.STRING, DataType.LOCALIZED_TEXT)
_NO_NUMBERS = (*_TEXTS, DataType.BOOLEAN, DataType.DATETIME)


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

    def create(self, session: HubSession, asked: Any) -> list[ua.MonitoredItemCreateResult]:
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
                mode = _mode(item.MonitoringMode)
                handle = self._handle(session, item.ItemToMonitor)
                if handle is None:
                    result = self._on_node(session, subscription, item, mode, timestamps)
                else:
                    wanted = item.RequestedParameters
                    spec, result = self._revised(subscription, next(self._ids), handle, mode, wanted, timestamps)
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
            try:
                results.append(self._modify(subscription, item.MonitoredItemId, item.RequestedParameters, timestamps))
            except Refused as refused:
                results.append(ua.MonitoredItemModifyResult(ua.StatusCode(refused.code)))
        return results

    def set_triggering(self, session: HubSession, asked: Any) -> tuple[list[int], list[int]]:
        """SetTriggering: status codes of the links added and of those removed."""
        subscription = self._subscriptions.owned(session, asked.SubscriptionId)
        to_add, to_remove = asked.LinksToAdd or [], asked.LinksToRemove or []
        self._bounded([*to_add, *to_remove])
        source = asked.TriggeringItemId
        if source not in subscription:
            raise fault(ua.StatusCodes.BadMonitoredItemIdInvalid)
        links = subscription.links
        removed = links.remove(source, to_remove)
        added = links.add(source, to_add, subscription.__contains__)
        subscription.watch_links()
        return [_known(there) for there in added], [_known(there) for there in removed]

    def set_mode(self, session: HubSession, asked: Any) -> list[ua.StatusCode]:
        """SetMonitoringMode."""
        subscription = self._subscriptions.owned(session, asked.SubscriptionId)
        self._bounded(asked.MonitoredItemIds)
        try:
            mode = Mode(asked.MonitoringMode)
        except ValueError as unknown:
            raise fault(ua.StatusCodes.BadMonitoringModeInvalid) from unknown
        done = subscription.points.set_mode(mode, asked.MonitoredItemIds)
        nodes, events = subscription.monitored_item_srv, subscription.events
        return [
            ua.StatusCode(_known(was_point or nodes.set_mode(mode, item) or events.set_mode(mode, item)))
            for item, was_point in zip(asked.MonitoredItemIds, done, strict=True)
        ]

    def delete(self, session: HubSession, asked: Any) -> list[ua.StatusCode]:
        """DeleteMonitoredItems."""
        subscription = self._subscriptions.owned(session, asked.SubscriptionId)
        self._bounded(asked.MonitoredItemIds)
        done = subscription.points.remove(asked.MonitoredItemIds)
        results = [
            ua.StatusCode()
            if was_point or subscription.events.delete(item)
            else subscription.monitored_item_srv.delete_monitored_items([item])[0]
            for item, was_point in zip(asked.MonitoredItemIds, done, strict=True)
        ]
        if subscription.links:
            subscription.links.forget(asked.MonitoredItemIds)
            subscription.watch_links()
        return results

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
            if not well_formed(item.IndexRange):
                raise Refused(ua.StatusCodes.BadIndexRangeInvalid)
            if self._type_of(handle) in _TEXTS:
                return None
            raise Refused(ua.StatusCodes.BadIndexRangeNoData)
        self._check_encoding(item)
        return handle

    def _type_of(self, handle: int) -> DataType:
        unit, offset = self._plant.locate(handle)  # type: ignore[arg-type]
        return self._plant.units[unit].template.quantities[offset].value.data_type

    def _check_encoding(self, item: Any) -> None:
        code = self._reads.wrong_encoding(item)
        if code:
            raise Refused(code)

    def _on_node(
        self, session: HubSession, subscription: HubSubscription, item: Any, mode: Mode, timestamps: Timestamps
    ) -> ua.MonitoredItemCreateResult:
        service = subscription.monitored_item_srv
        wanted = item.ItemToMonitor
        self._check_encoding(wanted)
        if wanted.IndexRange and (not well_formed(wanted.IndexRange) or wanted.AttributeId != ua.AttributeIds.Value):
            raise Refused(ua.StatusCodes.BadIndexRangeInvalid)
        if wanted.AttributeId == ua.AttributeIds.EventNotifier:
            return subscription.events.create(item)
        spec = self._node_spec(subscription, wanted, item.RequestedParameters, timestamps)
        if wanted.AttributeId == ua.AttributeIds.Value and not self._reads.readable(wanted.NodeId):
            raise Refused(ua.StatusCodes.BadNotReadable)
        return service.create_change(wanted, mode, spec, session.locale, sampled=self._reads.is_untold(wanted))

    def _node_spec(self, subscription: HubSubscription, wanted: Any, asked: Any, timestamps: Timestamps) -> NodeSpec:
        """Parameters of an item on a node, revised: 0 is by exception, below 0 the publishing interval."""
        sampling = asked.SamplingInterval
        sampling = subscription.pace.interval_ms if sampling < 0 else min(sampling, _LONGEST_MS)
        sampling = max(sampling if sampling == sampling else 0.0, self._reads.least_sampling_ms(wanted))
        size = min(max(asked.QueueSize, 1), self._limits.item_queue)
        numeric, span = False, None
        if not is_null(asked.Filter):
            if wanted.AttributeId != ua.AttributeIds.Value:
                raise Refused(ua.StatusCodes.BadFilterNotAllowed)
            numeric, span = self._reads.is_numeric(wanted.NodeId), self._reads.span_of(wanted.NodeId)
        trigger, deadband = change_filter(asked.Filter, numeric=numeric, span=span)
        return NodeSpec(asked.ClientHandle, trigger, deadband, sampling, size, asked.DiscardOldest, timestamps)

    def _modify(
        self, subscription: HubSubscription, item: int, asked: Any, timestamps: Timestamps
    ) -> ua.MonitoredItemModifyResult:
        handle = subscription.points.spec_handle(item)
        if handle is not None:
            spec, made = self._revised(subscription, item, handle, Mode.REPORTING, asked, timestamps)
            subscription.points.modify(spec)
            return ua.MonitoredItemModifyResult(ua.StatusCode(), made.RevisedSamplingInterval, made.RevisedQueueSize)
        if item in subscription.events:
            return subscription.events.modify(item, asked)
        wanted = subscription.monitored_item_srv.watched(item)
        if wanted is None:
            raise Refused(ua.StatusCodes.BadMonitoredItemIdInvalid)
        node_spec = self._node_spec(subscription, wanted, asked, timestamps)
        subscription.monitored_item_srv.change(item, node_spec)
        return ua.MonitoredItemModifyResult(ua.StatusCode(), node_spec.sampling_ms, node_spec.queue_size)

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
        span = None
        if offset < template.measured:
            width = float(template.eu_high[offset]) - float(template.eu_low[offset])
            span = width if width < float("inf") else None
        trigger, deadband = change_filter(asked.Filter, numeric=data_type not in _NO_NUMBERS, span=span)
        measured = template.measured > 0
        poll_ns = (
            int(template.poll_ns[offset] if offset < template.measured else template.poll_ns.min()) if measured else 0
        )
        wanted_ms = asked.SamplingInterval if asked.SamplingInterval >= 0 else subscription.pace.interval_ms
        wanted_ms = min(wanted_ms, _LONGEST_MS)
        revised_ms = max(wanted_ms, poll_ns / _NS_PER_MS)
        sampling_ns = round(revised_ms * _NS_PER_MS)
        size = 1 if data_type in _TEXTS else min(max(asked.QueueSize, 1), self._limits.item_queue)
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


def _mode(asked: Any) -> Mode:
    try:
        return Mode(asked)
    except ValueError as unknown:
        raise Refused(ua.StatusCodes.BadMonitoringModeInvalid) from unknown


def _known(there: bool) -> int:  # noqa: FBT001
    return 0 if there else int(ua.StatusCodes.BadMonitoredItemIdInvalid)


def _timestamps(asked: Any) -> Timestamps:
    try:
        return Timestamps(int(asked))
    except ValueError as unknown:
        raise fault(ua.StatusCodes.BadTimestampsToReturnInvalid) from unknown


def _refused(code: int) -> ua.MonitoredItemCreateResult:
    return ua.MonitoredItemCreateResult(ua.StatusCode(code))

"""Events of the hub: whoever has something to tell posts it here, and every subscriber above its source gets it."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asyncua import ua

from address_space.model.clock import Clock, to_datetime
from address_space.model.ids import NodeUid
from address_space.nodes.nodeids import ROOT, SYSTEM, plant_id, split
from address_space.nodes.standard import SERVER, SUBSCRIBE_TO_EVENTS, standard
from server.opcua.access import SessionPolicy
from server.opcua.event import Event, Occurrence
from server.opcua.event_filter import Filters
from server.opcua.event_items import EventItems, Viewer
from server.opcua.event_types import EventTypes
from server.opcua.filters import Refused
from server.opcua.messages import Message, Messages
from server.opcua.model_changes import MOST_CHANGES, Change, Verb, bounded
from server.opcua.notifiers import Notifiers

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncua.crypto.permission_rules import User

    from address_space.nodes import VirtualAddressSpace
    from server.opcua.options import Limits

FIRST_EVENT_ITEM = 0x2000_0000
"""Ids of event items begin here; those on nodes are numbered below, those on points above."""
_ID_BYTES = 16
_OVERFLOW_SEVERITY = 500
_CHANGE_SEVERITY = 200
_A = ua.AttributeIds


class EventHub:
    """Event sources on one side, event items on the other."""

    def __init__(self, aspace: VirtualAddressSpace, policy: SessionPolicy, limits: Limits, clock: Clock) -> None:
        self._aspace = aspace
        self._policy = policy
        self._limits = limits
        self._clock = clock
        self._types = EventTypes(aspace)
        self._messages = Messages()
        self._notifiers = Notifiers(aspace)
        self._ids = itertools.count(FIRST_EVENT_ITEM)
        self._items: dict[ua.NodeId, dict[int, EventItems]] = {}
        self._count = 0
        self.filters = Filters(self._types)
        self.keep: Callable[[Event, int], None] | None = None
        """Told of every event and when it was received, for those who keep them."""

    # for those who have something to tell

    async def emit(self, event: Event) -> bytes:
        """Post an event and let others run; for sources that tell of many things in a row."""
        event_id = self.post(event)
        await self._clock.sleep(0)
        return event_id

    def post(self, event: Event) -> bytes:
        """Queue an event for every item at its source and above; returns its EventId, unique for good."""
        event_id = event.event_id or secrets.token_bytes(_ID_BYTES)
        if self.keep is not None:
            self.keep(self._complete(event, event_id), self._clock.now_ns())
        if not self._items:
            return event_id
        occurrence: Occurrence | None = None
        for notifier in self._notifiers.chain(event.source):
            for item, owner in list(self._items.get(notifier, {}).items()):
                occurrence = occurrence or self._occurrence(event, event_id)
                owner.offer(item, occurrence)
        return event_id

    def file(self, event: Event) -> None:
        """Keep an event without telling it to subscribers: one that is no news any more."""
        if self.keep is not None:
            self.keep(self._complete(event, event.event_id or secrets.token_bytes(_ID_BYTES)), self._clock.now_ns())

    async def model_changed(self, changes: Iterable[Change]) -> None:
        """Nodes came, went or got other references: raise the NodeVersion of each, and tell it in one event.

        Beyond a thousand changes the event names the parents of what changed (Part 3 9.32.2).
        """
        told = bounded(changes, self._parent_of)
        if not told:
            return
        await self._raise_versions(change.uid for change in told)
        structures = [
            ua.ModelChangeStructureDataType(plant_id(change.uid), self._type_of(change), int(change.verb))
            for change in told
        ]
        message = Message("model-changed", {"count": len(structures)})
        self._tell_server(ua.ObjectIds.GeneralModelChangeEventType, message, {"Changes": structures})

    async def semantics_changed(self, changed: Iterable[str]) -> None:
        """Units, ranges or other meanings of these nodes of the plant changed (Part 3 9.33)."""
        identifiers = list(dict.fromkeys(changed))
        if not identifiers:
            return
        if len(identifiers) > MOST_CHANGES:
            identifiers = list(dict.fromkeys(split(identifier)[0] for identifier in identifiers))
        if len(identifiers) > MOST_CHANGES:
            self.plant_changed()
            return
        structures = []
        for identifier in identifiers:
            place = self._aspace.resolve(identifier)
            definition = place.member.type_definition if place is not None else ua.NodeId()
            structures.append(ua.SemanticChangeStructureDataType(plant_id(identifier), definition))
        message = Message("semantics-changed", {"count": len(structures)})
        self._tell_server(ua.ObjectIds.SemanticChangeEventType, message, {"Changes": structures})

    def plant_changed(self) -> None:
        """So much changed that it is not told one by one (Part 3 9.32.1, BaseModelChangeEvent)."""
        self._tell_server(ua.ObjectIds.BaseModelChangeEventType, Message("plant-changed"), {})

    def configuration_changed(self, version: str, *, added: int, removed: int, changed: int) -> bytes:
        """A new configuration is in force."""
        counts = {"added": added, "removed": removed, "changed": changed}
        fields = {f"3:{name.title()}": count for name, count in counts.items()} | {"3:ConfigVersion": version}
        message = Message("configuration-changed", counts | {"version": version})
        event_type = self._aspace.model.node_id("ConfigurationChangedEventType")
        return self.post(Event(event_type, plant_id(SYSTEM), message, _CHANGE_SEVERITY, fields))

    # for event items

    def items(self, viewer: Callable[[], Viewer | None]) -> EventItems:
        """The event items of a new subscription."""
        return EventItems(self, viewer)

    def join(self, node: ua.NodeId, owner: EventItems) -> int:
        """Give an item at `node` its id; raises Refused where there are too many."""
        if self._count >= self._limits.event_items:
            raise Refused(ua.StatusCodes.BadTooManyMonitoredItems)
        item = next(self._ids)
        self._items.setdefault(node, {})[item] = owner
        self._count += 1
        return item

    def leave(self, node: ua.NodeId, item: int) -> None:
        """An item is gone."""
        held = self._items[node]
        del held[item]
        if not held:
            del self._items[node]
        self._count -= 1

    def check_notifier(self, node: ua.NodeId, viewer: Viewer | None) -> None:
        """Raise Refused where a node has no events to subscribe to, or is not there for the user."""
        if viewer is not None and not self._sees(node, viewer.user):
            raise Refused(ua.StatusCodes.BadNodeIdUnknown)
        told = self._aspace.read_attribute_value(node, _A.EventNotifier)
        if not told.StatusCode.is_good():
            raise Refused(told.StatusCode.value)
        if told.Value is None or not int(told.Value.Value or 0) & SUBSCRIBE_TO_EVENTS:
            raise Refused(ua.StatusCodes.BadNotSupported)

    def queue_size(self, requested: int) -> int:
        """Revised size of a queue: 0 asks for the default and the largest number for the most (Part 4 7.21)."""
        limits = self._limits
        if requested == 0:
            return limits.event_queue
        return min(max(requested, limits.event_queue_least), limits.event_queue)

    def shows(self, event: Event, user: User) -> bool:
        """Whether a user may see an event: has the right for it, and sees the unit that it comes from."""
        return self._policy.may(user, event.right) and self._sees(event.source, user)

    def seen_at(self, source: ua.NodeId) -> tuple[ua.NodeId, ...]:
        """Every object at which events of a source are to be had."""
        return self._notifiers.chain(source)

    def remembered(self, event: Event, received_ns: int) -> Occurrence:
        """A complete event, to be delivered now or again."""
        return Occurrence(event, received_ns, self._types, self._messages)

    def overflow(self) -> Occurrence:
        """An EventQueueOverflowEvent (Part 5 6.4.34)."""
        event_type = standard(ua.ObjectIds.EventQueueOverflowEventType)
        event = Event(event_type, SERVER, Message("queue-overflow"), _OVERFLOW_SEVERITY)
        return self._occurrence(event, secrets.token_bytes(_ID_BYTES))

    # inside

    def _occurrence(self, event: Event, event_id: bytes) -> Occurrence:
        return self.remembered(self._complete(event, event_id), self._clock.now_ns())

    def _complete(self, event: Event, event_id: bytes) -> Event:
        return replace(event, event_id=event_id, source_name=event.source_name or self._name_of(event.source))

    def _sees(self, node: ua.NodeId, user: User) -> bool:
        unit = self._aspace.plant.unit_of.get(self._aspace.owner_of(node))  # type: ignore[call-overload]
        return unit is None or self._policy.sees(user, [self._aspace.plant.first_handle(unit)])

    def _name_of(self, source: ua.NodeId) -> str:
        told = self._aspace.read_attribute_value(source, _A.DisplayName).Value
        text = told.Value.Text if told is not None and told.Value is not None else None
        return text or str(source.Identifier)

    def _tell_server(self, event_type: int, message: Message, fields: dict[str, Any]) -> None:
        self.post(Event(standard(event_type), SERVER, message, _CHANGE_SEVERITY, fields))

    def _parent_of(self, uid: str) -> str:
        node = self._aspace.plant.find(NodeUid(uid))
        return (node.parent or ROOT) if node is not None else ROOT

    def _type_of(self, change: Change) -> ua.NodeId:
        place = None if change.verb & Verb.NODE_DELETED else self._aspace.resolve(change.uid)
        return ua.NodeId() if place is None else place.member.type_definition

    async def _raise_versions(self, uids: Iterable[str]) -> None:
        versions = self._aspace.facts.node_versions
        for uid in uids:
            versions[uid] = versions.get(uid, 1) + 1
            version = plant_id(f"{uid}.NodeVersion")
            callbacks = self._aspace.watchers.get((version.Identifier, int(_A.Value)), {})
            if callbacks:
                value = self._aspace.read_attribute_value(version, _A.Value)
                now = to_datetime(self._clock.now_ns())
                value.SourceTimestamp = value.ServerTimestamp = now
                for handle, callback in list(callbacks.items()):
                    await callback(handle, value)

"""One event: what happened where, and how its fields look to a subscriber (Part 5 6.4)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct
from typing import Any

from asyncua import ua
from asyncua.ua.ua_binary import variant_to_binary

from address_space.model.clock import NS, to_datetime
from address_space.model.quantity import Names
from address_space.nodes.attributes import in_locale
from server.opcua.access import Right
from server.opcua.event_filter import EventFilter, cut
from server.opcua.event_types import EventTypes
from server.opcua.messages import Message, Messages
from server.opcua.where import Selection

_T = ua.VariantType
_NULL = ua.Variant()
_COUNT = Struct("<i")
_NOBODY = ua.NodeId()
NORMAL_SEVERITY = 300


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell. `fields` are by browse path: `Comment`, `AckedState/Id`, `3:ConfigVersion`.

    Values are plain; they travel in the type that the event type declares. `Message` and `Names` appear in each
    subscriber's language. An empty `event_id`, `source_name` or `time_ns` is filled in. `condition` is the ConditionId;
    `right` is what a client's user needs to receive the event.
    """

    type: ua.NodeId
    source: ua.NodeId
    message: Message | Names | str
    severity: int = NORMAL_SEVERITY
    fields: Mapping[str, Any] = field(default_factory=dict)
    source_name: str = ""
    time_ns: int = 0
    event_id: bytes = b""
    condition: ua.NodeId = _NOBODY
    right: Right = Right.LOOK


class Occurrence:
    """An event that is being delivered; its id and the name of its source are filled in."""

    def __init__(self, event: Event, received_ns: int, types: EventTypes, messages: Messages) -> None:
        self.event = event
        self._lineage = types.lineage(event.type)
        self._declared = types.fields(event.type)
        self._messages = messages
        self._fields = _base(event, received_ns) | dict(event.fields)
        self._written: dict[tuple[bytes, str], bytes] = {}

    def written(self, wanted: EventFilter, locale: str) -> bytes:
        """The selected fields as an array of Variants; subscribers that ask alike share it."""
        key = (wanted.signature, locale)
        found = self._written.get(key)
        if found is None:
            view = View(self, locale)
            values = [_NULL if one is None else view.value(one) for one in wanted.selections]
            found = b"".join((_COUNT.pack(len(values)), *(variant_to_binary(one) for one in values)))
            self._written[key] = found
        return found

    def is_a(self, event_type: ua.NodeId) -> bool:
        """Whether the event is of this type or one derived from it."""
        return event_type in self._lineage

    def field(self, path: str, locale: str) -> ua.Variant:
        """The field at a browse path, a null Variant where the event has none such."""
        given = self._fields.get(path)
        if given is None or isinstance(given, ua.Variant):
            return given if given is not None else _NULL
        if isinstance(given, Message):
            return ua.Variant(ua.LocalizedText(self._messages.text(given, locale), locale), _T.LocalizedText)
        if isinstance(given, IntEnum):
            given = int(given)
        kind = self._declared.get(path, _T.Null)
        if kind is _T.Null:
            return _NULL
        return in_locale(tuple(given) if isinstance(given, list) else given, kind, locale)


class View:
    """An event as one language's subscribers see it."""

    def __init__(self, occurrence: Occurrence, locale: str) -> None:
        self._occurrence = occurrence
        self._locale = locale

    def is_a(self, event_type: ua.NodeId) -> bool:
        """Whether the event is of this type or one derived from it."""
        return self._occurrence.is_a(event_type)

    def value(self, selection: Selection) -> ua.Variant:
        """A field of the event, null where it has none such."""
        occurrence = self._occurrence
        if not selection.type.is_null() and not occurrence.is_a(selection.type):
            return _NULL
        if selection.attribute == ua.AttributeIds.NodeId:
            condition = occurrence.event.condition
            has = not selection.path and not condition.is_null()
            return ua.Variant(condition, _T.NodeId) if has else _NULL
        return cut(occurrence.field(selection.path, self._locale), selection.index_range)


def _base(event: Event, received_ns: int) -> dict[str, Any]:
    happened_ns = event.time_ns or received_ns
    return {
        "EventId": event.event_id,
        "EventType": event.type,
        "SourceNode": event.source,
        "SourceName": event.source_name,
        "Time": to_datetime(happened_ns),
        "ReceiveTime": to_datetime(received_ns),
        "LocalTime": _local_time(happened_ns),
        "Message": event.message,
        "Severity": min(max(event.severity, 1), 1000),
    }


def _local_time(happened_ns: int) -> ua.TimeZoneDataType:
    local = time.localtime(happened_ns // NS)
    return ua.TimeZoneDataType(local.tm_gmtoff // 60, local.tm_isdst > 0)

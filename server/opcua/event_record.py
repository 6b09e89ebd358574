"""Events as bytes and back, so that they still speak every language when they are read again."""

from __future__ import annotations

import base64
import json
from enum import IntEnum
from typing import Any

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import variant_from_binary, variant_to_binary

from address_space.model.quantity import Names
from server.opcua.access import Right
from server.opcua.event import Event
from server.opcua.messages import Message

_PLAIN = (str, int, float, bool, type(None))


def written(event: Event, received_ns: int) -> bytes:
    """A complete event, with its id and the name of its source."""
    told = {
        "type": event.type.to_string(),
        "source": event.source.to_string(),
        "name": event.source_name,
        "severity": event.severity,
        "time": event.time_ns,
        "received": received_ns,
        "id": event.event_id.hex(),
        "message": _written(event.message),
        "fields": {path: _written(value) for path, value in event.fields.items()},
        "right": event.right.name,
    }
    if not event.condition.is_null():
        told["condition"] = event.condition.to_string()
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def read(body: bytes) -> tuple[Event, int]:
    """The event and when it was received; raises ValueError or KeyError where the bytes are none of `written`."""
    told = json.loads(body)
    node = ua.NodeId.from_string
    event = Event(
        node(told["type"]),
        node(told["source"]),
        _read(told["message"]),
        told["severity"],
        {path: _read(value) for path, value in told["fields"].items()},
        told["name"],
        told["time"],
        bytes.fromhex(told["id"]),
        node(told["condition"]) if "condition" in told else ua.NodeId(),
        Right[told["right"]],
    )
    return event, told["received"]


def _written(value: Any) -> Any:
    if isinstance(value, Message):
        return {"key": value.key, "values": {name: _written(one) for name, one in value.values.items()}}
    if isinstance(value, Names):
        return {"names": list(value)}
    if isinstance(value, IntEnum):
        return int(value)
    if isinstance(value, _PLAIN):
        return value
    variant = value if isinstance(value, ua.Variant) else ua.Variant(value)
    return {"variant": base64.b64encode(variant_to_binary(variant)).decode()}


def _read(told: Any) -> Any:
    if not isinstance(told, dict):
        return told
    if "key" in told:
        return Message(told["key"], {name: _read(one) for name, one in told["values"].items()})
    if "names" in told:
        return Names(*told["names"])
    return variant_from_binary(Buffer(base64.b64decode(told["variant"])))

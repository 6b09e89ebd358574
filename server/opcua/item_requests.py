"""Requests for monitored items as they were sent: a mode or filter that does not exist is the item's fault alone.

asyncua makes enumerations while it decodes and takes a number that none has for broken bytes, so that one wrong item
would refuse all the others with it (Part 4 5.13.2.4, 5.13.3.4: these are results of operations).
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Any

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import extensionobject_from_binary, struct_from_binary

from server.opcua.request import Request, fault

_HEAD = Struct("<IiI")
"""SubscriptionId, TimestampsToReturn, and how many items follow."""
_I32, _U32 = Struct("<i"), Struct("<I")
_BEFORE_FILTER = Struct("<Id")
_BEHIND_FILTER = Struct("<I?")
_NO_ITEMS = 0xFFFF_FFFF


class WrongFilter:
    """Stands for a filter that names something that does not exist."""


@dataclass(slots=True)
class Parameters:
    """MonitoringParameters (Part 4 7.21)."""

    ClientHandle: int  # the names are the specification's, as asyncua has them
    SamplingInterval: float
    Filter: Any
    QueueSize: int
    DiscardOldest: bool


@dataclass(slots=True)
class Item:
    """One item to create or to modify; `MonitoringMode` is the number that was sent."""

    ItemToMonitor: Any
    MonitoringMode: int
    MonitoredItemId: int
    RequestedParameters: Parameters


@dataclass(slots=True)
class Asked:
    """CreateMonitoredItems or ModifyMonitoredItems."""

    SubscriptionId: int
    TimestampsToReturn: int
    items: list[Item]

    @property
    def ItemsToCreate(self) -> list[Item]:  # noqa: N802
        """The items of a CreateMonitoredItemsRequest."""
        return self.items

    @property
    def ItemsToModify(self) -> list[Item]:  # noqa: N802
        """The items of a ModifyMonitoredItemsRequest."""
        return self.items


def to_create(request: Request) -> Asked:
    """Parameters of a CreateMonitoredItemsRequest; raises BadDecodingError, or what refuses all items."""
    return request.decoded(lambda data: _asked(data, _created))


def to_modify(request: Request) -> Asked:
    """Parameters of a ModifyMonitoredItemsRequest; raises BadDecodingError, or what refuses all items."""
    return request.decoded(lambda data: _asked(data, _modified))


def _asked(data: Buffer, item: Any) -> Asked:
    subscription, timestamps, count = _HEAD.unpack(data.read(_HEAD.size))
    if not 0 <= timestamps < len(ua.TimestampsToReturn) - 1:
        raise fault(ua.StatusCodes.BadTimestampsToReturnInvalid)
    return Asked(subscription, timestamps, [item(data) for _ in range(0 if count == _NO_ITEMS else count)])


def _created(data: Buffer) -> Item:
    node = struct_from_binary(ua.ReadValueId, data)
    (mode,) = _I32.unpack(data.read(_I32.size))
    return Item(node, mode, 0, _parameters(data))


def _modified(data: Buffer) -> Item:
    (number,) = _U32.unpack(data.read(_U32.size))
    return Item(None, 0, number, _parameters(data))


def _parameters(data: Buffer) -> Parameters:
    handle, sampling = _BEFORE_FILTER.unpack(data.read(_BEFORE_FILTER.size))
    asked = _filter(data)
    size, discard = _BEHIND_FILTER.unpack(data.read(_BEHIND_FILTER.size))
    return Parameters(handle, sampling, asked, size, discard)


def _filter(data: Buffer) -> Any:
    try:
        # the body is copied and skipped before it is decoded
        return extensionobject_from_binary(data)
    except ValueError:
        return WrongFilter()

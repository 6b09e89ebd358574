"""Every service of the server and how it is answered: one table, no chain of comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Any

from asyncua import ua

from server.opcua import item_requests
from server.opcua.access import SessionPolicy
from server.opcua.admission import activate_session, close_session, create_session
from server.opcua.processor import HubProcessor, Service
from server.opcua.request import Request, fault

if TYPE_CHECKING:
    from server.opcua.browsing import BrowseService
    from server.opcua.history import HistoryService
    from server.opcua.internal import HubInternalServer
    from server.opcua.items import ItemService
    from server.opcua.methods import CallService
    from server.opcua.reading import ReadService
    from server.opcua.writing import WriteService

_U32 = Struct("<I")
_I32 = Struct("<i")
_ACK = Struct("<II")
_LAST_MODE = int(ua.MonitoringMode.Reporting)
_NO_DIAGNOSTICS = _I32.pack(0)
_READ_AS_BYTES = ("Read", "Browse", "Publish", "CloseSession")
AT_ONCE = frozenset(
    getattr(ua.ObjectIds, f"{name}Request_Encoding_DefaultBinary") for name in ("Read", "Publish", "Republish")
)
"""Requests that are answered, or kept, without waiting for anything."""
_ANY_SERVICE = 1_000
"""Entries of a list in a request that the specification gives no limit of its own."""
_OPERATIONS = {
    "Write": "nodes_per_write",
    "BrowseNext": "nodes_per_browse",
    "Call": "nodes_per_call",
    "HistoryRead": "nodes_per_history_read",
    "HistoryUpdate": "nodes_per_history_read",
    "TranslateBrowsePathsToNodeIds": "nodes_per_translate",
    "RegisterNodes": "nodes_per_register",
    "UnregisterNodes": "nodes_per_register",
    "CreateMonitoredItems": "items_per_call",
    "ModifyMonitoredItems": "items_per_call",
    "SetMonitoringMode": "items_per_call",
    "DeleteMonitoredItems": "items_per_call",
    "SetTriggering": "items_per_call",
}
"""The limit of each service's operations."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The service sets behind the table."""

    iserver: HubInternalServer
    policy: SessionPolicy
    reads: ReadService
    writes: WriteService
    browses: BrowseService
    items: ItemService
    calls: CallService
    history: HistoryService


def service_table(parts: Parts) -> dict[int, Service]:
    """Services by the encoding id of their request. What is not here answers BadServiceUnsupported."""
    table: dict[int, Service] = {}
    for name, service in (_sessions(parts) | _looking(parts) | _subscribing(parts) | _changing(parts)).items():
        response = getattr(ua.ObjectIds, f"{name}Response_Encoding_DefaultBinary")
        request = getattr(ua.ObjectIds, f"{name}Request_Encoding_DefaultBinary")
        parameters = None if name in _READ_AS_BYTES else getattr(ua, f"{name}Parameters")
        most = getattr(parts.iserver.limits, _OPERATIONS.get(name, ""), _ANY_SERVICE)
        table[request] = Service(service.handler, response, service.sessionless, parameters, most)
    return table


def _sessions(parts: Parts) -> dict[str, Service]:
    async def endpoints(processor: HubProcessor, request: Request) -> Any:
        asked = request.decode(ua.GetEndpointsParameters)
        response = ua.GetEndpointsResponse()
        response.Endpoints = await parts.iserver.get_endpoints(asked, sockname=processor.sockname)
        return response

    def servers(processor: HubProcessor, request: Request) -> Any:
        asked = request.decode(ua.FindServersParameters)
        response = ua.FindServersResponse()
        response.Servers = parts.iserver.find_servers(asked, sockname=processor.sockname)
        return response

    def cancel(_: HubProcessor, request: Request) -> bytes:
        asked = request.decode(ua.CancelParameters)
        return _U32.pack(parts.iserver.subscription_service.cancel(request.owner, asked.RequestHandle))

    return {
        "GetEndpoints": Service(endpoints, sessionless=True),
        "FindServers": Service(servers, sessionless=True),
        "CreateSession": Service(create_session, sessionless=True),
        "ActivateSession": Service(activate_session, sessionless=True),
        "CloseSession": Service(close_session, sessionless=True),
        "Cancel": Service(cancel),
    }


def _looking(parts: Parts) -> dict[str, Service]:
    def read(_: HubProcessor, request: Request) -> bytes:
        return parts.reads.read(request)

    async def history(_: HubProcessor, request: Request) -> bytes:
        return await parts.history.read(request)

    def history_update(_: HubProcessor, request: Request) -> bytes:
        return parts.history.update(request)

    async def browse(_: HubProcessor, request: Request) -> bytes:
        return await parts.browses.browse(request)

    async def browse_next(_: HubProcessor, request: Request) -> bytes:
        return await parts.browses.browse_next(request.owner, request.decode(ua.BrowseNextParameters))

    async def translate(_: HubProcessor, request: Request) -> Any:
        response = ua.TranslateBrowsePathsToNodeIdsResponse()
        asked = request.decode(ua.TranslateBrowsePathsToNodeIdsParameters)
        response.Results = await parts.browses.translate(request.owner, asked)
        return response

    def register(_: HubProcessor, request: Request) -> Any:
        response = ua.RegisterNodesResponse()
        asked = request.decode(ua.RegisterNodesParameters)
        response.Parameters.RegisteredNodeIds = parts.browses.register(request.owner, asked)
        return response

    def unregister(_: HubProcessor, request: Request) -> bytes:
        if not request.decode(ua.UnregisterNodesParameters).NodesToUnregister:
            raise fault(ua.StatusCodes.BadNothingToDo)
        return b""

    return {
        "Read": Service(read),
        "HistoryRead": Service(history),
        "HistoryUpdate": Service(history_update),
        "Browse": Service(browse),
        "BrowseNext": Service(browse_next),
        "TranslateBrowsePathsToNodeIds": Service(translate),
        "RegisterNodes": Service(register),
        "UnregisterNodes": Service(unregister),
    }


def _subscribing(parts: Parts) -> dict[str, Service]:
    subscriptions = parts.iserver.subscription_service

    def create(_: HubProcessor, request: Request) -> Any:
        response = ua.CreateSubscriptionResponse()
        response.Parameters = subscriptions.create(request.owner, request.decode(ua.CreateSubscriptionParameters))
        return response

    def modify(_: HubProcessor, request: Request) -> Any:
        response = ua.ModifySubscriptionResponse()
        response.Parameters = subscriptions.modify(request.owner, request.decode(ua.ModifySubscriptionParameters))
        return response

    def publishing(_: HubProcessor, request: Request) -> bytes:
        asked = request.decode(ua.SetPublishingModeParameters)
        ids = _some(asked.SubscriptionIds)
        return _statuses(subscriptions.set_publishing(request.owner, ids, enabled=asked.PublishingEnabled))

    def transfer(_: HubProcessor, request: Request) -> Any:
        asked = request.decode(ua.TransferSubscriptionsParameters)
        response = ua.TransferSubscriptionsResponse()
        ids = _some(asked.SubscriptionIds)
        response.Parameters.Results = subscriptions.transfer(request.owner, ids, initial=asked.SendInitialValues)
        return response

    def delete(_: HubProcessor, request: Request) -> bytes:
        asked = request.decode(ua.DeleteSubscriptionsParameters)
        return _statuses(subscriptions.delete(request.owner, _some(asked.SubscriptionIds)))

    def publish(_: HubProcessor, request: Request) -> None:
        subscriptions.publisher.accept(request, _acknowledgements(request))

    def republish(_: HubProcessor, request: Request) -> bytes:
        asked = request.decode(ua.RepublishParameters)
        return subscriptions.republish_message(request.owner, asked.SubscriptionId, asked.RetransmitSequenceNumber)

    def create_items(_: HubProcessor, request: Request) -> Any:
        response = ua.CreateMonitoredItemsResponse()
        response.Results = parts.items.create(request.owner, item_requests.to_create(request))
        return response

    def modify_items(_: HubProcessor, request: Request) -> Any:
        response = ua.ModifyMonitoredItemsResponse()
        response.Results = parts.items.modify(request.owner, item_requests.to_modify(request))
        return response

    def set_mode(_: HubProcessor, request: Request) -> bytes:
        # asyncua takes a mode that does not exist for broken bytes
        place = request.offset + _U32.size
        mode = request.body[place : place + _I32.size]
        if mode and not 0 <= _I32.unpack(mode)[0] <= _LAST_MODE:
            raise fault(ua.StatusCodes.BadMonitoringModeInvalid)
        asked = request.decode(ua.SetMonitoringModeParameters)
        return _statuses(parts.items.set_mode(request.owner, asked))

    def trigger(_: HubProcessor, request: Request) -> bytes:
        added, removed = parts.items.set_triggering(request.owner, request.decode(ua.SetTriggeringParameters))
        return b"".join(_codes(codes) + _NO_DIAGNOSTICS for codes in (added, removed))

    def delete_items(_: HubProcessor, request: Request) -> bytes:
        return _statuses(parts.items.delete(request.owner, request.decode(ua.DeleteMonitoredItemsParameters)))

    return {
        "CreateSubscription": Service(create),
        "ModifySubscription": Service(modify),
        "SetPublishingMode": Service(publishing),
        "TransferSubscriptions": Service(transfer),
        "DeleteSubscriptions": Service(delete),
        "Publish": Service(publish),
        "Republish": Service(republish),
        "CreateMonitoredItems": Service(create_items),
        "ModifyMonitoredItems": Service(modify_items),
        "SetMonitoringMode": Service(set_mode),
        "SetTriggering": Service(trigger),
        "DeleteMonitoredItems": Service(delete_items),
    }


def _changing(parts: Parts) -> dict[str, Service]:
    async def write(_: HubProcessor, request: Request) -> bytes:
        return _statuses(await parts.writes.write(request.owner, request.decode(ua.WriteParameters).NodesToWrite))

    def call(processor: HubProcessor, request: Request) -> None:
        parts.calls.serve(processor, request)

    return {"Write": Service(write), "Call": Service(call)}


def _acknowledgements(request: Request) -> list[tuple[int, int]]:
    body, offset = request.body, request.offset
    if len(body) < offset + _I32.size:
        raise fault(ua.StatusCodes.BadDecodingError)
    (count,) = _I32.unpack_from(body, offset)
    first = offset + _I32.size
    if len(body) < first + max(count, 0) * _ACK.size:
        raise fault(ua.StatusCodes.BadDecodingError)
    return [_ACK.unpack_from(body, first + index * _ACK.size) for index in range(count)]


def _statuses(results: list[ua.StatusCode]) -> bytes:
    return _codes([one.value for one in results]) + _NO_DIAGNOSTICS


def _codes(codes: list[int]) -> bytes:
    return b"".join((_I32.pack(len(codes)), *(_U32.pack(code) for code in codes)))


def _some(ids: list[int]) -> list[int]:
    if not ids:
        raise fault(ua.StatusCodes.BadNothingToDo)
    return ids


def _bounded(operations: list[Any], most: int) -> None:
    if not operations:
        raise fault(ua.StatusCodes.BadNothingToDo)
    if len(operations) > most:
        raise fault(ua.StatusCodes.BadTooManyOperations)

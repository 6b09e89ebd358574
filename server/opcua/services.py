"""Every service of the server and how it is answered: one table, no chain of comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Any

from asyncua import ua

from server.opcua.access import Right, SessionPolicy
from server.opcua.admission import activate_session, close_session, create_session
from server.opcua.processor import HubProcessor, Service
from server.opcua.request import Request, fault

if TYPE_CHECKING:
    from server.opcua.browsing import BrowseService
    from server.opcua.history import HistoryService
    from server.opcua.internal import HubInternalServer
    from server.opcua.items import ItemService
    from server.opcua.reading import ReadService

_U32 = Struct("<I")
_I32 = Struct("<i")
_ACK = Struct("<II")
_NO_DIAGNOSTICS = _I32.pack(0)


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The service sets behind the table."""

    iserver: HubInternalServer
    policy: SessionPolicy
    reads: ReadService
    browses: BrowseService
    items: ItemService
    history: HistoryService


def service_table(parts: Parts) -> dict[int, Service]:
    """Services by the encoding id of their request. What is not here answers BadServiceUnsupported."""
    table: dict[int, Service] = {}
    for name, service in (_sessions(parts) | _looking(parts) | _subscribing(parts) | _changing(parts)).items():
        response = getattr(ua.ObjectIds, f"{name}Response_Encoding_DefaultBinary")
        request = getattr(ua.ObjectIds, f"{name}Request_Encoding_DefaultBinary")
        table[request] = Service(service.handler, response, service.sessionless)
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

    return {
        "GetEndpoints": Service(endpoints, sessionless=True),
        "FindServers": Service(servers, sessionless=True),
        "CreateSession": Service(create_session, sessionless=True),
        "ActivateSession": Service(activate_session, sessionless=True),
        "CloseSession": Service(close_session, sessionless=True),
    }


def _looking(parts: Parts) -> dict[str, Service]:
    def read(_: HubProcessor, request: Request) -> bytes:
        return parts.reads.read(request)

    async def history(_: HubProcessor, request: Request) -> bytes:
        return await parts.history.read(request)

    async def browse(_: HubProcessor, request: Request) -> Any:
        response = ua.BrowseResponse()
        response.Results = await parts.browses.browse(request.owner, request.decode(ua.BrowseParameters))
        return response

    async def browse_next(_: HubProcessor, request: Request) -> Any:
        response = ua.BrowseNextResponse()
        asked = request.decode(ua.BrowseNextParameters)
        response.Parameters.Results = await parts.browses.browse_next(request.owner, asked)
        return response

    def translate(_: HubProcessor, request: Request) -> Any:
        response = ua.TranslateBrowsePathsToNodeIdsResponse()
        asked = request.decode(ua.TranslateBrowsePathsToNodeIdsParameters)
        response.Results = parts.browses.translate(request.owner, asked)
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

    async def create_items(_: HubProcessor, request: Request) -> Any:
        response = ua.CreateMonitoredItemsResponse()
        response.Results = await parts.items.create(request.owner, request.decode(ua.CreateMonitoredItemsParameters))
        return response

    def modify_items(_: HubProcessor, request: Request) -> Any:
        response = ua.ModifyMonitoredItemsResponse()
        response.Results = parts.items.modify(request.owner, request.decode(ua.ModifyMonitoredItemsParameters))
        return response

    async def set_mode(_: HubProcessor, request: Request) -> bytes:
        asked = request.decode(ua.SetMonitoringModeParameters)
        return _statuses(await parts.items.set_mode(request.owner, asked))

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
        "DeleteMonitoredItems": Service(delete_items),
    }


def _changing(parts: Parts) -> dict[str, Service]:
    limits = parts.iserver.limits

    async def write(_: HubProcessor, request: Request) -> bytes:
        asked = request.decode(ua.WriteParameters)
        _bounded(asked.NodesToWrite, limits.nodes_per_write)
        if not parts.policy.may(request.owner.user, Right.CONTROL):
            denied = ua.StatusCode(ua.StatusCodes.BadUserAccessDenied)
            return _statuses([denied] * len(asked.NodesToWrite))
        return _statuses(await request.owner.write(asked))

    async def call(_: HubProcessor, request: Request) -> Any:
        asked = request.decode(ua.CallParameters)
        _bounded(asked.MethodsToCall, limits.nodes_per_call)
        response = ua.CallResponse()
        if parts.policy.may(request.owner.user, Right.CONTROL):
            response.Results = await request.owner.call(asked.MethodsToCall)
        else:
            denied = ua.StatusCode(ua.StatusCodes.BadUserAccessDenied)
            response.Results = [ua.CallMethodResult(denied) for _ in asked.MethodsToCall]
        return response

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
    return b"".join((_I32.pack(len(results)), *(_U32.pack(one.value) for one in results), _NO_DIAGNOSTICS))


def _some(ids: list[int]) -> list[int]:
    if not ids:
        raise fault(ua.StatusCodes.BadNothingToDo)
    return ids


def _bounded(operations: list[Any], most: int) -> None:
    if not operations:
        raise fault(ua.StatusCodes.BadNothingToDo)
    if len(operations) > most:
        raise fault(ua.StatusCodes.BadTooManyOperations)

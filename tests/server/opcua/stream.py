"""A subscription driven request by request, so that a test decides when it asks."""

from __future__ import annotations

import asyncio
from typing import Any

from asyncua import Client, ua


def created(interval: float = 100, keep_alive: int = 5, lifetime: int = 100, most: int = 0, priority: int = 0) -> Any:
    """Parameters of a subscription."""
    return ua.CreateSubscriptionParameters(interval, lifetime, keep_alive, most, True, priority)


class Stream:
    """A subscription driven request by request, so that a test decides when it asks."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.id = 0
        self.created: Any = None

    async def create(self, **wanted: Any) -> Stream:
        request = ua.CreateSubscriptionRequest()
        request.Parameters = created(**wanted)
        self.created = (await self.send(request, ua.CreateSubscriptionResponse)).Parameters
        self.id = self.created.SubscriptionId
        return self

    async def send(self, request: Any, answer: type[Any]) -> Any:
        data = await self.client.uaclient.protocol.send_request(request)
        return ua.ua_binary.struct_from_binary(answer, data)

    async def publish(self, *acks: tuple[int, int], patience_s: float = 60) -> Any:
        request = ua.PublishRequest()
        request.Parameters.SubscriptionAcknowledgements = [ua.SubscriptionAcknowledgement(*ack) for ack in acks]
        response = await asyncio.wait_for(self.send(request, ua.PublishResponse), patience_s)
        return response.Parameters

    async def values(self) -> list[Any]:
        """Values of the next message that has any."""
        while True:
            message = (await self.publish()).NotificationMessage
            if message.NotificationData:
                return [one.Value.Value.Value for one in message.NotificationData[0].MonitoredItems]

    async def notified(self) -> list[tuple[int, Any]]:
        """Client handles and values of the next message that has any."""
        while True:
            message = (await self.publish()).NotificationMessage
            if message.NotificationData:
                return [(one.ClientHandle, one.Value) for one in message.NotificationData[0].MonitoredItems]

    async def mode(self, mode: int, *items: int) -> list[int]:
        """SetMonitoringMode."""
        request = ua.SetMonitoringModeRequest()
        request.Parameters = ua.SetMonitoringModeParameters(self.id, mode, list(items))
        return [one.value for one in (await self.send(request, ua.SetMonitoringModeResponse)).Parameters.Results]

    async def monitor(self, *nodes: ua.NodeId, attribute: int = ua.AttributeIds.Value, **wanted: Any) -> list[Any]:
        request = ua.CreateMonitoredItemsRequest()
        request.Parameters.SubscriptionId = self.id
        request.Parameters.TimestampsToReturn = wanted.get("stamps", ua.TimestampsToReturn.Both)
        request.Parameters.ItemsToCreate = [
            ua.MonitoredItemCreateRequest(
                ua.ReadValueId(node, attribute, wanted.get("part")),
                wanted.get("mode", ua.MonitoringMode.Reporting),
                parameters(handle, wanted),
            )
            for handle, node in enumerate(nodes, 1)
        ]
        return (await self.send(request, ua.CreateMonitoredItemsResponse)).Results  # type: ignore[no-any-return]


def parameters(handle: int, wanted: dict[str, Any]) -> Any:
    """Parameters of an item."""
    asked = ua.MonitoringParameters(handle, wanted.get("sampling", 0.0))
    asked.QueueSize = wanted.get("queue", 1)
    asked.DiscardOldest = wanted.get("oldest", True)
    if "filter" in wanted:
        asked.Filter = wanted["filter"]
    return asked


def deadband(kind: int, value: float) -> Any:
    """A filter with a deadband."""
    return ua.DataChangeFilter(ua.DataChangeTrigger.StatusValue, kind, value)

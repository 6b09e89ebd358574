"""The command line's own OPC UA client: what `joulehub read` asks a hub, any client could ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from asyncua import Client, ua
from asyncua.ua.uaerrors import UaError

from address_space.model import HubError
from address_space.model.quantity import by_path

PLANT_NAMESPACE = 2
CONNECT_S = 5.0
FOLLOW_MS = 500.0
PENDING_CHANGES = 10_000


class HubUnreachable(HubError):
    """No hub answers at the endpoint, or it refused the connection."""


class NoSuchPoint(HubError):
    """The hub has no unit or point with this id."""


@dataclass(frozen=True, slots=True)
class ReadValue:
    """One variable as the hub showed it; `status` is the name of the OPC UA status code."""

    id: str
    name: str
    unit: str
    decimals: int
    value: Any
    status: str
    source_time: datetime | None
    server_time: datetime | None


class HubClient:
    """A session with a hub. Raises HubUnreachable where there is none to be had."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = Client(url, timeout=CONNECT_S)

    async def __aenter__(self) -> HubClient:
        try:
            await self._client.connect()
        except (OSError, TimeoutError, UaError) as error:
            raise HubUnreachable(
                f"no hub answers at {self._url}: {error or type(error).__name__}",
                hint="start it with `joulehub run` or `joulehub demo`, or name its endpoint with --url",
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.disconnect()

    async def read(self, identifier: str) -> list[ReadValue]:
        """A point, or every variable of a unit; raises NoSuchPoint."""
        ids = await self._variables(identifier)
        labels = [await self._label(point) for point in ids]
        answers = await self._client.uaclient.read_attributes([_node(point) for point in ids], ua.AttributeIds.Value)
        return [_shown(label, answer) for label, answer in zip(labels, answers, strict=True)]

    @asynccontextmanager
    async def changes(self, ids: Sequence[str]) -> AsyncIterator[AsyncIterator[ReadValue]]:
        """Changes of these points from now on, beginning with their present values."""
        labels = {point: await self._label(point) for point in ids}
        queue: asyncio.Queue[ReadValue] = asyncio.Queue(PENDING_CHANGES)

        class Handler:
            def datachange_notification(self, node: Any, _value: Any, data: Any) -> None:
                if not queue.full():
                    queue.put_nowait(_shown(labels[node.nodeid.Identifier], data.monitored_item.Value))

        async def drain() -> AsyncIterator[ReadValue]:
            while True:
                yield await queue.get()

        subscription = await self._client.create_subscription(FOLLOW_MS, Handler())
        await subscription.subscribe_data_change([self._client.get_node(_node(point)) for point in ids])
        try:
            yield drain()
        finally:
            await subscription.delete()

    async def _variables(self, identifier: str) -> list[str]:
        node = self._client.get_node(_node(identifier))
        try:
            node_class = await node.read_node_class()
        except UaError as error:
            raise NoSuchPoint(
                f"the hub at {self._url} has nothing with the id {identifier!r}",
                hint="ids are those of the plant's files; `joulehub check` says how many there are",
            ) from error
        if node_class is ua.NodeClass.Variable:
            return [identifier]
        children = await node.get_children(nodeclassmask=ua.NodeClass.Variable, refs=ua.ObjectIds.HasComponent)
        found = [child.nodeid.Identifier for child in children]
        for child in await node.get_children(nodeclassmask=ua.NodeClass.Object):
            if str(child.nodeid.Identifier).endswith(".Communication"):
                found += [point.nodeid.Identifier for point in await child.get_variables()]
        return [str(point) for point in found]

    async def _label(self, point: str) -> ReadValue:
        quantity = by_path(point.partition(".")[2])
        unit = quantity.unit.symbol if quantity is not None and quantity.unit is not None else ""
        name = quantity.value.names.en if quantity is not None else point.rpartition(".")[2]
        decimals = quantity.value.decimals if quantity is not None else 3
        return ReadValue(point, name, unit, decimals, None, "", None, None)


def _node(identifier: str) -> ua.NodeId:
    return ua.NodeId(identifier, PLANT_NAMESPACE)


def _shown(label: ReadValue, answer: ua.DataValue) -> ReadValue:
    value = answer.Value.Value if answer.Value is not None else None
    if isinstance(value, ua.LocalizedText):
        value = value.Text
    return replace(
        label,
        value=value,
        status=answer.StatusCode.name if answer.StatusCode is not None else "Good",
        source_time=answer.SourceTimestamp,
        server_time=answer.ServerTimestamp,
    )

"""The command line's own OPC UA client: what `joulehub read` asks a hub, any client could ask."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import Any
from urllib.parse import urlparse

from asyncua import Client, ua
from asyncua.ua.uaerrors import UaError

from address_space.model import HubError, Medium, MeterState, Protocol
from address_space.model.quantity import by_path

PLANT_NAMESPACE = 2
CONNECT_S = 5.0
FOLLOW_MS = 500.0
PENDING_CHANGES = 10_000
SESSION_MS = 60_000
"""How long the hub keeps the session of a command that vanished."""
STATES: Mapping[str, type[IntEnum]] = {"Quality": MeterState, "Medium": Medium, "Communication.Protocol": Protocol}
"""Enumerations by the path of the variables that show them."""
_LOST = "the connection to the hub was lost"


def status_name(status: int) -> str:
    """Name of an OPC UA status code; one without a name is its number in hexadecimal."""
    found = ua.status_codes.code_to_name_doc.get(status & 0xFFFF_0000)
    return str(found[0]) if found is not None else f"0x{status:08X}"


def status_of(name: str) -> int | None:
    """The OPC UA status code with this name (or number in hexadecimal), None where there is none."""
    if name.startswith("0x"):
        try:
            number = int(name, 16)
        except ValueError:
            return None
        return number if number <= 0xFFFF_FFFF else None
    found = getattr(ua.StatusCodes, name, None)
    return int(found) if isinstance(found, int) else None


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
        self._client: Client | None = None

    async def __aenter__(self) -> HubClient:
        try:
            address = urlparse(self._url)
            port = address.port
        except ValueError:
            port = None
        if port is None or address.scheme != "opc.tcp" or not address.hostname:
            raise HubUnreachable(f"{self._url!r} is no endpoint", hint="write it as opc.tcp://127.0.0.1:4840")
        self._client = Client(self._url, timeout=CONNECT_S)
        self._client.session_timeout = SESSION_MS
        self._client.name = self._client.description = "joulehub read"
        try:
            await self._client.connect()
        except (OSError, TimeoutError, UaError) as error:
            raise HubUnreachable(
                f"no hub answers at {self._url}: {_why(error)}",
                hint="start it with `joulehub run` or `joulehub demo`, or name its endpoint with --url",
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError, TimeoutError, UaError):
                await client.disconnect()

    async def read(self, identifier: str) -> list[ReadValue]:
        """A point, or every variable of a unit; raises NoSuchPoint or HubUnreachable."""
        asked = ua.ReadParameters(TimestampsToReturn=ua.TimestampsToReturn.Both)
        try:
            ids = await self._variables(identifier)
            asked.NodesToRead = [
                ua.ReadValueId(NodeId=_node(point), AttributeId=ua.AttributeIds.Value) for point in ids
            ]
            answers = await self._connected.uaclient.read(asked)
        except (OSError, TimeoutError, UaError) as error:
            raise HubUnreachable(f"{_LOST}: {_why(error)}", where=self._url, hint="try again") from error
        return [_shown(_label(point), answer) for point, answer in zip(ids, answers, strict=True)]

    @asynccontextmanager
    async def changes(self, ids: Sequence[str]) -> AsyncIterator[AsyncIterator[ReadValue]]:
        """Changes of these points from now on, beginning with their present values.

        Ends with HubUnreachable where the connection is lost; a reader that is too slow misses changes.
        """
        labels = {point: _label(point) for point in ids}
        queue: asyncio.Queue[ReadValue | None] = asyncio.Queue(PENDING_CHANGES)

        class Handler:
            def datachange_notification(self, node: Any, _value: Any, data: Any) -> None:
                if not queue.full():
                    queue.put_nowait(_shown(labels[node.nodeid.Identifier], data.monitored_item.Value))

        async def lose(_: Exception) -> None:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

        async def drain() -> AsyncIterator[ReadValue]:
            while True:
                change = await queue.get()
                if change is None:
                    raise HubUnreachable(_LOST, where=self._url, hint="start the command again once the hub is back")
                yield change

        client = self._connected
        client.connection_lost_callback = lose
        subscription = await client.create_subscription(FOLLOW_MS, Handler())
        try:
            await subscription.subscribe_data_change([client.get_node(_node(point)) for point in ids])
            yield drain()
        finally:
            with suppress(OSError, TimeoutError, UaError):
                await subscription.delete()

    @property
    def _connected(self) -> Client:
        if self._client is None:
            raise HubUnreachable("there is no session", where=self._url, hint="use `async with`")
        return self._client

    async def _variables(self, identifier: str) -> list[str]:
        """Ids of the variables to read; raises NoSuchPoint."""
        node = self._connected.get_node(_node(identifier))
        try:
            node_class = await node.read_node_class()
        except UaError as error:
            raise NoSuchPoint(
                f"the hub at {self._url} has nothing with the id {identifier!r}",
                hint="give the id of a metering unit of the plant's files (m0042), or of one of its points "
                "(m0042.ActiveEnergyImport)",
            ) from error
        if node_class is ua.NodeClass.Variable:
            return [identifier]
        children = await node.get_children(nodeclassmask=ua.NodeClass.Variable, refs=ua.ObjectIds.HasComponent)
        found = [child.nodeid.Identifier for child in children]
        for child in await node.get_children(nodeclassmask=ua.NodeClass.Object):
            if str(child.nodeid.Identifier).endswith(".Communication"):
                found += [point.nodeid.Identifier for point in await child.get_variables()]
        if not found:
            raise NoSuchPoint(
                f"{identifier!r} has no values of its own",
                hint="give the id of a metering unit, or of one of its points",
            )
        return [str(point) for point in found]


def _label(point: str) -> ReadValue:
    path = point.partition(".")[2]
    quantity = by_path(path)
    unit = quantity.unit.symbol if quantity is not None and quantity.unit is not None else ""
    name = quantity.value.names.en if quantity is not None else path.rpartition(".")[2]
    decimals = quantity.value.decimals if quantity is not None else 3
    return ReadValue(point, name, unit, decimals, None, "", None, None)


def _why(error: Exception) -> str:
    """The error in a few words."""
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, OSError):
        return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else error.strerror or str(error)
    return type(error).__name__


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

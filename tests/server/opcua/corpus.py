"""What real sessions said to the hub, chunk by chunk, for fuzzing: `tests/golden/opcua/hostile/*.hex`.

A file is one session of a client without security. Its first line is the authentication token as it was on the wire,
each further line one chunk, in hexadecimal. `python -m tests.server.opcua.corpus` records the files anew.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncua import Client, ua
from asyncua.ua.ua_binary import nodeid_to_binary

FOLDER = Path(__file__).parents[2] / "golden" / "opcua" / "hostile"
BODY_AT = 24


@dataclass(frozen=True, slots=True)
class Recording:
    """One session."""

    name: str
    token: bytes
    chunks: tuple[bytes, ...]

    def bodies(self, token: bytes) -> list[bytes]:
        """Requests of the session itself, with another session's token in them."""
        return [
            one[BODY_AT:].replace(self.token, token)
            for one in self.chunks
            if one.startswith(b"MSGF") and self.token in one
        ]


def recordings() -> list[Recording]:
    """All that are kept."""
    found = []
    for path in sorted(FOLDER.glob("*.hex")):
        token, *chunks = (bytes.fromhex(line) for line in path.read_text().split())
        found.append(Recording(path.stem, token, tuple(chunks)))
    return found


async def _record(name: str, url: str, script: Callable[[Client], Awaitable[Any]]) -> None:
    client = Client(url, timeout=60)
    said: list[bytes] = []
    connect = client.connect_socket

    async def listened() -> None:
        await connect()
        transport = client.uaclient.protocol.transport
        write = transport.write

        def heard(data: bytes) -> None:
            said.append(bytes(data))
            write(data)

        client.uaclient.protocol.transport = type(
            "Heard",
            (),
            {"write": staticmethod(heard), "__getattr__": lambda _, attribute: getattr(transport, attribute)},
        )()

    client.connect_socket = listened
    async with client:
        token = nodeid_to_binary(client.uaclient.protocol.authentication_token)
        await script(client)
    lines = [token.hex(), *(one.hex() for one in said)]
    (FOLDER / f"{name}.hex").write_text("\n".join(lines) + "\n")


async def _look(client: Client) -> None:
    root = client.get_node(ua.NodeId("root", 2))
    await root.get_children()
    await client.nodes.objects.get_referenced_nodes()
    node = client.get_node(ua.NodeId("m00.ActivePower", 2))
    await node.read_data_value(raise_on_bad_status=False)
    await node.read_attributes([ua.AttributeIds.DisplayName, ua.AttributeIds.AccessLevel, ua.AttributeIds.Value])
    await client.nodes.objects.get_child("0:Server")
    await client.register_nodes([node])
    await client.unregister_nodes([node])


async def _change(client: Client) -> None:
    values = (
        ua.Variant(1.5),
        ua.Variant([1, 2, 3], ua.VariantType.Int32),
        ua.Variant([["a", "b"], ["c", "d"]], ua.VariantType.String, Dimensions=[2, 2], is_array=True),
        ua.Variant(ua.LocalizedText("text", "en")),
        ua.Variant([ua.Variant(1), ua.Variant("two")], ua.VariantType.Variant),
        ua.Variant(ua.Argument("x", ua.NodeId(11))),
        ua.Variant(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        ua.Variant(b"bytes"),
        ua.Variant(ua.QualifiedName("q", 2)),
    )
    asked = [
        ua.WriteValue(ua.NodeId("m00.ActivePower", 2), ua.AttributeIds.Value, None, ua.DataValue(value))
        for value in values
    ]
    await client.uaclient.write(ua.WriteParameters(asked))
    method = ua.CallMethodRequest(ua.NodeId("m00", 2), ua.NodeId("m00.ReadNow", 2), list(values))
    await client.uaclient.call([method])


async def _follow(client: Client) -> None:
    class Handler:
        def datachange_notification(self, *_: Any) -> None:
            """Nothing."""

        def event_notification(self, *_: Any) -> None:
            """Nothing."""

    subscription = await client.create_subscription(100, Handler())
    nodes = [client.get_node(ua.NodeId(f"m{number:02d}.ActivePower", 2)) for number in range(3)]
    handles = await subscription.subscribe_data_change([*nodes, client.get_node(ua.NodeId(2258))])
    await subscription.deadband_monitor(nodes[0], 1.0)
    await subscription.subscribe_events()
    await subscription.modify_monitored_item(handles[0], 500, new_queuesize=5)
    await asyncio.sleep(0.5)
    await subscription.unsubscribe(handles)
    await subscription.delete()


async def _remember(client: Client) -> None:
    start, end = (dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in (1, 2))
    details = ua.ReadRawModifiedDetails(False, start, end, 100, True)
    node = ua.HistoryReadValueId(ua.NodeId("m00.ActivePower", 2))
    await client.uaclient.history_read(
        ua.HistoryReadParameters(details, ua.TimestampsToReturn.Both, False, [node, node])
    )
    events = ua.ReadEventDetails(10, start, end, ua.EventFilter())
    await client.uaclient.history_read(ua.HistoryReadParameters(events, ua.TimestampsToReturn.Both, False, [node]))


SCRIPTS = {"looking": _look, "changing": _change, "following": _follow, "remembering": _remember}


async def _main() -> None:
    from tests.server.opcua.conftest import Hub

    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        hub = Hub(Path(folder))
        await hub.server.start()
        for number in range(3):
            hub.read(f"m{number:02d}.ActivePower", 1.0)
        for name, script in SCRIPTS.items():
            await _record(name, hub.url, script)
        await hub.server.stop()


if __name__ == "__main__":
    asyncio.run(_main())

"""A server of stock asyncua in a process of its own: objects of 20 Doubles with EURange and EngineeringUnits each."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from datetime import UTC, datetime
from typing import Any

from asyncua import Server, ua

from tests.scale.commands import arguments, obey, say
from tests.scale.measure import rss_bytes
from tests.scale.plants import FIRST_NUMBER, NUMBERED, VARIABLES, node_id, unit_id


async def build(server: Server, objects: int, *, variables: int = VARIABLES) -> list[ua.NodeId]:
    """Add the model in one flat folder; returns the ids of the variables, in the order of `plants.node_id`."""
    namespace = await server.register_namespace("urn:bench")
    folder = await server.nodes.objects.add_folder(
        ua.NodeId("folder", namespace), ua.QualifiedName("Folder", namespace)
    )
    ids = []
    if variables:
        for number in range(NUMBERED):
            name = ua.QualifiedName(f"N{number}", namespace)
            await server.nodes.objects.add_variable(ua.NodeId(FIRST_NUMBER + number, namespace), name, 0.5)
    for number in range(objects):
        name = unit_id(number)
        parent = await folder.add_object(ua.NodeId(name, namespace), ua.QualifiedName(name, namespace))
        for column in range(variables):
            text = node_id(number * VARIABLES + column)
            node = await parent.add_variable(
                ua.NodeId(text, namespace), ua.QualifiedName(text.partition(".")[2], namespace), 0.5
            )
            await node.add_property(ua.NodeId(f"{text}.EURange", namespace), "0:EURange", ua.Range(0.0, 1e6))
            await node.add_property(
                ua.NodeId(f"{text}.EngineeringUnits", namespace), "0:EngineeringUnits", ua.EUInformation("urn:u", 1)
            )
            ids.append(node.nodeid)
    return ids


class Updates:
    """New values of the first variables, written one by one at a fixed pace."""

    def __init__(self, server: Server, ids: list[ua.NodeId]) -> None:
        self._server = server
        self._ids = ids
        self._task: asyncio.Task[None] | None = None
        self.values = 0

    def pace(self, every_s: float, units: int) -> None:
        """Write all variables of `units` objects every so many seconds; 0 stops."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if every_s:
            self._task = asyncio.get_running_loop().create_task(self._run(every_s, units), name="updates")

    async def _run(self, every_s: float, units: int) -> None:
        due = time.perf_counter()
        while True:
            for node in self._ids[: units * VARIABLES]:
                self.values += 1
                await self._server.write_attribute_value(node, fresh(float(self.values)))
            due = max(due + every_s, time.perf_counter())
            await asyncio.sleep(due - time.perf_counter())


def fresh(value: float) -> ua.DataValue:
    """A Good Double of now."""
    now = datetime.now(UTC)
    return ua.DataValue(ua.Variant(value, ua.VariantType.Double), ua.StatusCode(0), now, now)


async def main() -> None:
    """Serve the model asked for."""
    given = arguments()
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{given['port']}")
    secure = ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity, secure])
    if "certificate" in given:
        await server.set_application_uri(given["application_uri"])
        await server.load_certificate(given["certificate"])
        await server.load_private_key(given["key"])
    gc.collect()
    empty = rss_bytes(os.getpid())
    began = time.perf_counter()
    ids = await build(server, given["objects"], variables=given.get("variables", VARIABLES))
    built_s = time.perf_counter() - began
    gc.collect()
    full = rss_bytes(os.getpid())
    updates = Updates(server, ids)

    def counters() -> dict[str, Any]:
        return {"updated": updates.values}

    async with server:
        say({"url": f"opc.tcp://127.0.0.1:{given['port']}", "built_s": built_s, "model_bytes": full - empty})
        await obey({"pace": updates.pace, "counters": counters})
        updates.pace(0, 0)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main())

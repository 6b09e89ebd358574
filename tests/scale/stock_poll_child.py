"""What one writes without a hub: pymodbus in a loop a gateway, each value written to a node of stock asyncua."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from asyncua import Server, ua
from pymodbus.client import AsyncModbusTcpClient

from tests.scale.commands import arguments, obey, say
from tests.scale.plants import VARIABLES
from tests.scale.stock_child import build, fresh

_WORDS = 2 * VARIABLES


class Loop:
    """Reads the meters of all gateways as fast as they answer."""

    def __init__(self, server: Server, ids: list[ua.NodeId], ports: list[int], meters_a_channel: int) -> None:
        self._server = server
        self._ids = ids
        self._ports = ports
        self._meters = meters_a_channel
        self.values = 0
        self.requests = 0

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for channel, port in enumerate(self._ports):
                tasks.create_task(self._gateway(channel, port), name=f"gateway-{channel}")

    async def _gateway(self, channel: int, port: int) -> None:
        client = AsyncModbusTcpClient("127.0.0.1", port=port)
        await client.connect()
        meters = len(self._ids) // VARIABLES
        while True:
            for number in range(channel * self._meters, min((channel + 1) * self._meters, meters)):
                answer = await client.read_input_registers(0, count=_WORDS, device_id=number % self._meters + 1)
                self.requests += 1
                if answer.isError():
                    continue
                values: Any = client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32)
                first = number * VARIABLES
                for node, value in zip(self._ids[first : first + VARIABLES], values, strict=True):
                    await self._server.write_attribute_value(node, fresh(value))
                self.values += VARIABLES


async def main() -> None:
    """Serve and poll."""
    given = arguments()
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{given['port']}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    ids = await build(server, given["meters"])
    loop = Loop(server, ids, given["meter_ports"], given["meters_a_channel"])
    async with server:
        polling = asyncio.create_task(loop.run(), name="polling")
        say({})
        await obey({"counters": lambda: {"applied": loop.values, "requests": loop.requests}})
        polling.cancel()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main())

"""Gateways that dial in to a hub, each with its Modbus RTU meters, in a process of their own."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from drivers.codec import crc16_modbus
from server.cli.loop import run_loop
from tests.scale.commands import arguments, obey, say

REQUEST = 8
HEARTBEAT = b"HEARTBEAT"
DIAL_AT_ONCE = 50
AT_ONCE_S = 0.02


class Gateway(asyncio.Protocol):
    """One gateway; all of its meters hold the same values."""

    def __init__(self, name: str, answers: dict[bytes, bytes]) -> None:
        self._name = name
        self._answers = answers
        self._pending = b""
        self.transport: Any = None
        self.answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Tell who it is."""
        self.transport = transport
        self.transport.write(self._name.encode())

    def data_received(self, data: bytes) -> None:
        """Answer each request."""
        self._pending += data
        while len(self._pending) >= REQUEST:
            request, self._pending = self._pending[:REQUEST], self._pending[REQUEST:]
            self.transport.write(self._answer(request))
            self.answered += 1

    def _answer(self, request: bytes) -> bytes:
        key = request[:6]
        answer = self._answers.get(key)
        if answer is None:
            (words,) = struct.unpack(">H", request[4:6])
            values = b"".join(struct.pack(">f", 1.5 * number) for number in range(words // 2))
            body = bytes((request[0], request[1], len(values))) + values
            answer = self._answers[key] = body + crc16_modbus(body)
        return answer


class Gateways:
    """All of them; they dial in when told to, a few at a time, and send heartbeats."""

    def __init__(self, port: int, count: int, heartbeat_s: float) -> None:
        answers: dict[bytes, bytes] = {}
        self._port = port
        self._all = [Gateway(name_of(number), answers) for number in range(count)]
        self._heartbeat_s = heartbeat_s
        self._task: asyncio.Task[None] | None = None

    def dial(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="gateways")

    def answered(self) -> dict[str, int]:
        """Requests answered so far."""
        return {"answered": sum(gateway.answered for gateway in self._all)}

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        for number, gateway in enumerate(self._all):
            await loop.create_connection(lambda gateway=gateway: gateway, "127.0.0.1", self._port)
            if number % DIAL_AT_ONCE == 0:
                await asyncio.sleep(AT_ONCE_S)
        while True:
            for gateway in self._all:
                await asyncio.sleep(self._heartbeat_s / len(self._all))
                gateway.transport.write(HEARTBEAT)


def name_of(number: int) -> str:
    """What the gateway of channel `number` calls itself."""
    return f"gateway{number:05d}"


async def play(gateways: Gateways) -> None:
    """Play until the parent ends."""
    say({})
    await obey({"dial": gateways.dial, "answered": gateways.answered})


if __name__ == "__main__":
    given = arguments()
    run_loop(play(Gateways(given["port"], given["gateways"], given["heartbeat_s"])))

"""A UDP port that leads to a simulated bus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from drivers.errors import ChannelDown
from drivers.simulators.listening import end
from drivers.simulators.ports import Bus
from drivers.transport import Arrivals


class UdpPort:
    """A UDP port of the bus, for any number of peers; each is answered from there. A port of 0 is chosen once."""

    def __init__(self, bus: Bus, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self.bus = bus
        self._socket: asyncio.DatagramTransport | None = None
        self._peers: dict[Any, tuple[_Peer, asyncio.Task[None]]] = {}

    @property
    def place(self) -> str:
        """Where it listens, in words."""
        return f"UDP port {self.port}"

    @property
    def running(self) -> bool:
        """Whether the port is open."""
        return self._socket is not None

    async def start(self) -> None:
        """Open the port; nothing happens where it is open. Raises OSError where it cannot be had."""
        if self._socket is None:
            loop = asyncio.get_running_loop()
            made, _ = await loop.create_datagram_endpoint(
                lambda: _Inbox(self._arrived), local_addr=(self.host, self.port)
            )
            self._socket = made
            self.port = self._socket.get_extra_info("sockname")[1]

    async def stop(self) -> None:
        """Close the port."""
        opened, self._socket = self._socket, None
        if opened is None:
            return
        opened.close()
        peers, self._peers = self._peers, {}
        await end(task for _, task in peers.values())

    def _arrived(self, data: bytes, address: Any) -> None:
        if self._socket is None:
            return
        if address not in self._peers:
            peer = _Peer(self._socket, address)
            name = f"simulated bus {self.bus.name} at UDP port {self.port}"
            task = asyncio.get_running_loop().create_task(self.bus.serve(peer), name=name)
            self._peers[address] = peer, task
        self._peers[address][0].arrivals.feed(data)


class _Inbox(asyncio.DatagramProtocol):
    """Hands on what comes to a UDP port."""

    def __init__(self, arrived: Callable[[bytes, Any], None]) -> None:
        self._arrived = arrived

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._arrived(data, addr)


class _Peer:
    """Who sends to a UDP port, as the far end of a link."""

    def __init__(self, socket: asyncio.DatagramTransport, address: Any) -> None:
        self.arrivals = Arrivals()
        self._socket = socket
        self._address = address

    def send(self, data: bytes) -> None:
        if self._socket.is_closing():
            raise ChannelDown("the plug was pulled")
        self._socket.sendto(data, self._address)

    async def receive(self, limit_s: float) -> bytes:
        return await self.arrivals.receive(limit_s)

    def close(self) -> None:
        """Datagrams have no connection to part from."""

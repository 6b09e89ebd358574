"""Datagrams to and from one peer, as meters on NB-IoT and some gateways speak."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from drivers.transport.host import HostLink
from drivers.transport.link import Arrivals

_DATAGRAM = socket.SOCK_DGRAM
_ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}


class UdpLink(HostLink):
    """`Link` over UDP; each `send` is one datagram. The system drops datagrams of anybody else."""

    def __init__(
        self, channel: str, host: str, port: int, local_port: int | None = None, open_timeout_s: float = 3.0
    ) -> None:
        super().__init__(channel, f"udp {host}:{port}", "check the address, the network and the device's port")
        self._host = host
        self._port = port
        self._local_port = local_port
        self._open_timeout_s = open_timeout_s
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def connected(self) -> bool:
        """Whether datagrams can be sent; whether anybody hears them only an answer tells."""
        return self._transport is not None and not self._arrivals.lost

    async def open(self) -> None:
        """Find the peer's address and a port; raises ChannelDown."""
        self.close()
        self._arrivals = arrivals = Arrivals()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._open_timeout_s):
                found = await loop.getaddrinfo(self._host, self._port, type=_DATAGRAM)
                family, address = found[0][0], found[0][4]
                local = None if self._local_port is None else (_ANY[family], self._local_port)
                transport, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self, arrivals), local_addr=local, remote_addr=(str(address[0]), self._port)
                )
        except (TimeoutError, OSError) as error:
            raise self.down(f"cannot open a port for datagrams: {error or 'no address in time'}") from error
        self._transport = transport

    def close(self) -> None:
        """Give the port back."""
        transport, self._transport = self._transport, None
        self._arrivals.lose(self.down("the port was closed"))
        if transport is not None:
            transport.abort()

    def send(self, data: bytes) -> None:
        """Send one datagram; raises ChannelDown."""
        if self._transport is None or self._arrivals.lost:
            raise self.down("not open")
        try:
            self._transport.sendto(data)
        except (OSError, RuntimeError) as error:
            raise self.down(f"cannot send: {error}") from error


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, link: UdpLink, arrivals: Arrivals) -> None:
        self._link = link
        self._arrivals = arrivals

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:  # noqa: ARG002 - there is one peer
        if data:
            self._arrivals.feed(data)

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, ConnectionRefusedError):
            self._arrivals.lose(self._link.down("nothing listens there"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as the contract has it
        self._arrivals.lose(self._link.down("the port was lost"))

"""A TCP connection to a meter, a gateway or a serial device server."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from drivers.transport.host import HostLink
from drivers.transport.link import Arrivals


class TcpLink(HostLink):
    """`Link` to a listening peer."""

    def __init__(self, channel: str, host: str, port: int, connect_timeout_s: float) -> None:
        super().__init__(channel, f"{host}:{port}", "check the address, the network and that the port is open")
        self._host = host
        self._port = port
        self._connect_timeout_s = connect_timeout_s
        self._connection: _Connection | None = None

    @property
    def connected(self) -> bool:
        """Whether the connection stands as far as is known."""
        return self._connection is not None and self._connection.standing

    async def open(self) -> None:
        """Connect; raises ChannelDown."""
        self.close()
        self._arrivals = arrivals = Arrivals()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self, arrivals), self._host, self._port
                )
        except (TimeoutError, OSError) as error:
            raise self.down("cannot connect") from error
        self._connection = connection

    def close(self) -> None:
        """Drop the connection."""
        connection, self._connection = self._connection, None
        self._arrivals.lose(self.down("the connection was closed"))
        if connection is not None:
            connection.drop()

    def send(self, data: bytes) -> None:
        """Send; raises ChannelDown."""
        if self._connection is None or not self._connection.standing:
            raise self.down("not connected")
        try:
            self._connection.send(data)
        except (OSError, RuntimeError) as error:  # uvloop refuses a write on a closing transport with RuntimeError
            raise self.down("the connection was lost") from error


class _Connection(asyncio.Protocol):
    def __init__(self, link: TcpLink, arrivals: Arrivals) -> None:
        self._link = link
        self._arrivals = arrivals
        self._transport: asyncio.Transport | None = None

    @property
    def standing(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        plug = transport.get_extra_info("socket")
        if plug is not None:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        self._arrivals.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        error = self._link.down("the connection was lost")
        error.__cause__ = exc
        self._arrivals.lose(error)

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()

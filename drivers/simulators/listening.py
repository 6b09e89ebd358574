"""A listening TCP port that can be put in and pulled, whoever answers there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable


class ListeningPort:
    """A TCP port for any number of clients, to be started and stopped at will; the first start chooses a port of 0.

    meet  what speaks with a client that has come
    part  cuts every connection, and ends what is being done for it
    """

    def __init__(
        self, host: str, port: int, meet: Callable[[], asyncio.Protocol], part: Callable[[], Awaitable[None]]
    ) -> None:
        self.host = host
        self.port = port
        self._meet = meet
        self._part = part
        self._server: asyncio.Server | None = None

    @property
    def place(self) -> str:
        """Where it listens, in words."""
        return f"port {self.port}"

    @property
    def running(self) -> bool:
        """Whether the port is open."""
        return self._server is not None

    async def start(self) -> None:
        """Open the port; nothing happens where it is open. Raises OSError where it cannot be had."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._meet, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and cut every connection, as when the plug is pulled."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        await self._part()
        await server.wait_closed()


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel the tasks and wait until they have ended, whatever they end with."""
    ending = tuple(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)

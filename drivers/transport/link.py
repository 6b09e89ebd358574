"""The contract of a line, and the buffer between whoever receives bytes and the one exchange that waits for them."""

from __future__ import annotations

import asyncio
from typing import Protocol

from drivers.errors import ChannelDown
from drivers.transport.options import SerialSettings

MOST_BUFFERED = 64 * 1024
"""Bytes kept that nobody asked for; a device that babbles on loses the oldest."""


class Link(Protocol):
    """One line of bytes. One exchange at a time uses it: the channel sees to that.

    A link is made closed; `open` may be called again after a loss, and then nothing of the time before is left.
    """

    @property
    def name(self) -> str:
        """Where it leads, for a person: "10.0.0.5:502", "/dev/ttyUSB0 9600 8E1"."""

    @property
    def connected(self) -> bool:
        """Whether bytes can be sent now, as far as is known."""

    @property
    def character_s(self) -> float:
        """How long one character takes on the wire; 0 where the line has no speed of its own."""

    async def open(self) -> None:
        """Connect, dropping an earlier connection; raises ChannelDown."""

    def close(self) -> None:
        """Release the line; never raises."""

    def send(self, data: bytes) -> None:
        """Send all of it without waiting; raises ChannelDown."""

    async def receive(self, limit_s: float) -> bytes:
        """What has arrived, at least one byte; empty after `limit_s` without any. Raises ChannelDown once the line
        is lost and everything that had arrived was taken."""

    def discard(self) -> bytes:
        """Take what has arrived and was not received, without waiting."""

    def tune(self, settings: SerialSettings) -> None:
        """Speed and format from the next byte on, where the line has them; else nothing. Raises ChannelDown."""


class Arrivals:
    """Bytes that arrived, and at most one waiting for more. Links fill it, from the event loop's thread."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._lost: ChannelDown | None = None
        self._waiting: asyncio.Future[None] | None = None

    @property
    def lost(self) -> bool:
        """Whether the line is known to be lost."""
        return self._lost is not None

    def feed(self, data: bytes) -> None:
        """Bytes have arrived."""
        self._data += data
        if len(self._data) > MOST_BUFFERED:
            del self._data[:-MOST_BUFFERED]
        self._wake()

    def lose(self, error: ChannelDown) -> None:
        """The line is lost; the first reason counts."""
        if self._lost is None:
            self._lost = error
        self._wake()

    def restart(self) -> None:
        """A new connection: forget everything of the one before."""
        self._data.clear()
        self._lost = None

    def take(self) -> bytes:
        """Everything that has arrived."""
        data = bytes(self._data)
        self._data.clear()
        return data

    async def receive(self, limit_s: float) -> bytes:
        """As `Link.receive`."""
        if not self._data and self._lost is None and limit_s > 0:
            await self._wait(limit_s)
        if self._data:
            return self.take()
        if self._lost is not None:
            raise self._lost
        return b""

    async def _wait(self, limit_s: float) -> None:
        loop = asyncio.get_running_loop()
        waiting = self._waiting = loop.create_future()
        timer = loop.call_later(limit_s, self._wake)
        try:
            await waiting
        finally:
            timer.cancel()
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Hearing:
    """The hearing half of a `Link`, from whatever puts bytes into `_arrivals`."""

    def __init__(self) -> None:
        self._arrivals = Arrivals()

    async def receive(self, limit_s: float) -> bytes:
        """As `Link.receive`."""
        return await self._arrivals.receive(limit_s)

    def discard(self) -> bytes:
        """As `Link.discard`."""
        return self._arrivals.take()

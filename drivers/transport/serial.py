"""A serial port of this machine, or one that pySerial reaches by URL (RFC 2217, raw sockets)."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future as ThreadFuture
from typing import Any, Protocol

from drivers.errors import ChannelDown
from drivers.transport.link import Arrivals, Hearing
from drivers.transport.options import SerialSettings
from drivers.transport.port import Rs485, close_port, down, is_url, open_port
from drivers.transport.pumps import FilePump, ThreadPump

WRITE_S = 5.0
"""How long a port reached by URL may refuse to take bytes."""


class Pump(Protocol):
    """Moves bytes between an open port and the event loop."""

    def send(self, data: bytes) -> None:
        """Send without waiting; raises OSError where the port is known to be lost."""

    def tune(self, settings: SerialSettings) -> None:
        """Change speed and format; raises OSError or ValueError."""

    def close(self) -> ThreadFuture[None] | None:
        """Stop and release the port; what is returned is done once it is released, None where it is already."""


class SerialLink(Hearing):
    """`Link` over a serial port. The port is this hub's alone; a port that was pulled is found again by its name."""

    def __init__(
        self,
        channel: str,
        device: str,
        settings: SerialSettings,
        rs485: Rs485 | None = None,
        open_timeout_s: float = 3.0,
    ) -> None:
        super().__init__()
        self._channel = channel
        self._device = device
        self._settings = settings
        self._rs485 = rs485 or Rs485()
        self._open_timeout_s = open_timeout_s
        self._pump: Pump | None = None
        self._releasing: ThreadFuture[None] | None = None

    @property
    def name(self) -> str:
        """Port, speed and format."""
        return f"{self._device} {self._settings}"

    @property
    def connected(self) -> bool:
        """Whether the port is open and nothing says that it is lost."""
        return self._pump is not None and not self._arrivals.lost

    @property
    def character_s(self) -> float:
        """By speed and format."""
        return self._settings.character_s

    async def open(self) -> None:
        """Open the port; raises ChannelDown."""
        self.close()
        self._arrivals = arrivals = Arrivals()
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(None, self._open_port, self._releasing)
        try:
            async with asyncio.timeout(self._open_timeout_s):
                port = await asyncio.shield(opening)
        except TimeoutError as error:
            opening.add_done_callback(_abandon)
            raise self._down(error, f"the port did not open within {self._open_timeout_s:g} s") from error
        except asyncio.CancelledError:
            opening.add_done_callback(_abandon)
            raise
        except ChannelDown as error:
            raise self._placed(error) from error

        def lose(error: BaseException) -> None:
            arrivals.lose(self._down(error, "the port was lost"))

        try:
            if is_url(self._device):
                self._pump = ThreadPump(port, loop, arrivals.feed, lose)
            else:
                self._pump = FilePump(port, loop, arrivals.feed, lose, self._settings, self._rs485)
        except OSError as error:
            close_port(port)
            raise self._down(error, "the port was lost") from error

    def close(self) -> None:
        """Release the port."""
        pump, self._pump = self._pump, None
        self._arrivals.lose(ChannelDown("the port was closed", where=f"{self._channel} ({self._device})"))
        if pump is not None:
            self._releasing = pump.close()

    def send(self, data: bytes) -> None:
        """Send; raises ChannelDown."""
        if self._pump is None or self._arrivals.lost:
            raise ChannelDown("the port is not open", where=f"{self._channel} ({self._device})")
        try:
            self._pump.send(data)
        except OSError as error:
            raise self._lost(error) from error

    def tune(self, settings: SerialSettings) -> None:
        """Change speed and format, also of an open port; raises ChannelDown."""
        self._settings = settings
        if self._pump is None:
            return
        try:
            self._pump.tune(settings)
        except (OSError, ValueError) as error:
            raise self._lost(error) from error

    def _open_port(self, before: ThreadFuture[None] | None) -> Any:
        if before is not None:
            before.result(self._open_timeout_s)
        return open_port(self._device, self._settings, self._rs485, read_timeout_s=0.0, write_s=WRITE_S)

    def _lost(self, error: BaseException) -> ChannelDown:
        trouble = self._down(error, "the port was lost")
        self._arrivals.lose(trouble)
        return trouble

    def _down(self, error: BaseException, what: str) -> ChannelDown:
        return self._placed(down(self._device, error, what))

    def _placed(self, error: ChannelDown) -> ChannelDown:
        return ChannelDown(error.what, where=f"{self._channel} ({self._device})", hint=error.hint)


def _abandon(opening: asyncio.Future[Any]) -> None:
    """Close a port that opened after nobody waited for it any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()

"""A link whose bytes are written down on the way."""

from __future__ import annotations

from address_space.model.clock import Clock
from drivers.errors import ChannelDown
from drivers.transport.link import Link
from drivers.transport.options import SerialSettings
from drivers.transport.over import LinkOver
from drivers.transport.trace import ChannelTrace, Event, Mark


class TracedLink(LinkOver):
    """`Link` over another; notes what goes through it."""

    def __init__(self, link: Link, trace: ChannelTrace, clock: Clock) -> None:
        super().__init__(link)
        self._trace = trace
        self._clock = clock
        self._open = False

    async def open(self) -> None:
        """Open the line; raises ChannelDown."""
        self._open = False
        try:
            await self._link.open()
        except ChannelDown as error:
            self._note(Event.LOST, text=str(error))
            raise
        self._open = True
        self._note(Event.OPENED, text=self._link.name)

    def close(self) -> None:
        """Close the line."""
        self._link.close()
        if self._open:
            self._open = False
            self._note(Event.CLOSED)

    def send(self, data: bytes) -> None:
        """Send; raises ChannelDown."""
        try:
            self._link.send(data)
        except ChannelDown as error:
            self._lost(error)
            raise
        self._note(Event.SENT, data)

    async def receive(self, limit_s: float) -> bytes:
        """As `Link.receive`."""
        try:
            data = await self._link.receive(limit_s)
        except ChannelDown as error:
            self._lost(error)
            raise
        if data:
            self._note(Event.RECEIVED, data)
        return data

    def discard(self) -> bytes:
        """As `Link.discard`."""
        data = self._link.discard()
        if data:
            self._note(Event.DISCARDED, data)
        return data

    def tune(self, settings: SerialSettings) -> None:
        """Tune the line; raises ChannelDown."""
        try:
            self._link.tune(settings)
        except ChannelDown as error:
            self._lost(error)
            raise
        self._note(Event.TUNED, text=str(settings))

    def _lost(self, error: ChannelDown) -> None:
        if self._open:
            self._open = False
            self._note(Event.LOST, text=str(error))

    def _note(self, event: Event, data: bytes = b"", text: str = "") -> None:
        self._trace.note(Mark(self._clock.now_ns(), event, data, text))

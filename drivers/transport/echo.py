"""A line that sends back what the hub sends, as two-wire adapters do that hear themselves."""

from __future__ import annotations

from address_space.model.clock import NS, Clock
from drivers.errors import BadFrame, NoAnswer
from drivers.transport.link import MOST_BUFFERED, Link
from drivers.transport.options import SerialSettings
from drivers.transport.over import LinkOver

SHOWN = 32
"""Bytes of what was sent and heard that an error shows."""


class EchoLink(LinkOver):
    """`Link` over one with an echo: receives what devices say, and nothing of what was sent.

    What stands before the echo is older than the request and dropped. `receive` raises BadFrame where something else
    came back than was sent, NoAnswer where nothing came back.
    """

    def __init__(self, link: Link, channel: str, clock: Clock) -> None:
        super().__init__(link)
        self._channel = channel
        self._clock = clock
        self._sent = b""
        self._heard = b""

    async def open(self) -> None:
        """Open the line; raises ChannelDown."""
        self._sent = self._heard = b""
        await self._link.open()

    def close(self) -> None:
        """Close the line."""
        self._link.close()

    def send(self, data: bytes) -> None:
        """Send, and expect it back."""
        self._link.send(data)
        self._sent += data

    async def receive(self, limit_s: float) -> bytes:
        """As `Link.receive`, behind the echo."""
        until_ns = self._clock.monotonic_ns() + round(limit_s * NS)
        while True:
            data = await self._link.receive(max((until_ns - self._clock.monotonic_ns()) / NS, 0.0))
            if not self._sent:
                return data
            if not data:
                raise self._trouble()
            self._heard = (self._heard + data)[-MOST_BUFFERED:]
            at = self._heard.find(self._sent)
            if at < 0:
                continue
            rest = self._heard[at + len(self._sent) :]
            self._sent = self._heard = b""
            if rest:
                return rest

    def discard(self) -> bytes:
        """As `Link.discard`; an echo that is still owed is owed no more."""
        data = self._heard + self._link.discard()
        self._sent = self._heard = b""
        return data

    def tune(self, settings: SerialSettings) -> None:
        """Tune the line."""
        self._link.tune(settings)

    def _trouble(self) -> BadFrame | NoAnswer:
        sent, heard = self._sent, self._heard
        self._sent = self._heard = b""
        where = f"{self._channel} ({self.name})"
        if not heard:
            return NoAnswer(
                "the line did not echo what was sent, nor did anything answer",
                where=where,
                hint="check the adapter's wiring; where it has no echo, take `echo` out of the channel",
            )
        return BadFrame(
            f"the echo is not what was sent: {_shown(sent)} went out, {_shown(heard)} came back",
            where=where,
            hint="two devices send at once, or the line is disturbed; where the adapter has no echo, take `echo` out "
            "of the channel",
        )


def _shown(data: bytes) -> str:
    return data[:SHOWN].hex(" ").upper() + (" …" if len(data) > SHOWN else "")

"""All lines of a hub: makes each channel's link, and owns what several of them share."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from address_space.model.clock import Clock
from drivers.errors import ProfileError
from drivers.transport.link import Link
from drivers.transport.options import LineOptions
from drivers.transport.tcp import TcpLink


class Lines:
    """Makes links; `async with` opens what they share (ports that devices dial in to) and closes it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def link(self, channel: str, options: LineOptions) -> Link:
        """The line of a channel, closed as yet."""
        if options.transport == "tcp" and options.port is not None:
            return TcpLink(channel, options.host, options.port, options.connect_timeout_ms / 1000)
        raise ProfileError(f"no line of kind {options.transport}", where=channel)

"""What links to a host and a port have in common, whatever carries their bytes."""

from __future__ import annotations

from drivers.errors import ChannelDown
from drivers.transport.link import Hearing
from drivers.transport.options import SerialSettings


class HostLink(Hearing):
    """Name, silence about the line behind the host, and errors that say where; `hint` tells what to look at."""

    def __init__(self, channel: str, name: str, hint: str) -> None:
        super().__init__()
        self._channel = channel
        self._name = name
        self._hint = hint

    @property
    def name(self) -> str:
        """Host and port."""
        return self._name

    @property
    def character_s(self) -> float:
        """Unknown behind a host."""
        return 0.0

    def tune(self, settings: SerialSettings) -> None:
        """What stands there keeps its own serial settings."""

    def down(self, what: str) -> ChannelDown:
        """The error that says so."""
        return ChannelDown(what, where=f"{self._channel} ({self._name})", hint=self._hint)

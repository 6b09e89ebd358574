"""Two links joined in memory: what one sends the other receives. For drivers and simulators without a network."""

from __future__ import annotations

from drivers.errors import ChannelDown
from drivers.transport.link import Arrivals, Hearing
from drivers.transport.options import SerialSettings


class PairLink(Hearing):
    """One end of a pair; both are open from the start, and closing either parts both."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._other: PairLink | None = None
        self._settings: SerialSettings | None = None

    @property
    def name(self) -> str:
        """Name of the end."""
        return self._name

    @property
    def connected(self) -> bool:
        """Whether both ends are open."""
        return not self._arrivals.lost and self._other is not None and not self._other.arrivals.lost

    @property
    def character_s(self) -> float:
        """As it was tuned; 0 before."""
        return self._settings.character_s if self._settings else 0.0

    @property
    def settings(self) -> SerialSettings | None:
        """As it was tuned last."""
        return self._settings

    @property
    def arrivals(self) -> Arrivals:
        """What has arrived at this end."""
        return self._arrivals

    def join(self, other: PairLink) -> None:
        """Send to `other` from now on."""
        self._other = other

    async def open(self) -> None:
        """Open this end anew; raises ChannelDown where it is joined to nothing."""
        if self._other is None:
            raise ChannelDown("joined to nothing", where=self._name)
        self._arrivals.restart()

    def close(self) -> None:
        """Close this end."""
        self._arrivals.lose(ChannelDown("the connection was closed", where=self._name))

    def send(self, data: bytes) -> None:
        """Send to the other end; raises ChannelDown where one of them is closed."""
        if not self.connected or self._other is None:
            raise ChannelDown("not connected", where=self._name)
        self._other.arrivals.feed(data)

    def tune(self, settings: SerialSettings) -> None:
        """Keep the settings, for tests to look at."""
        self._settings = settings


def pair(name: str = "pair") -> tuple[PairLink, PairLink]:
    """Two ends, joined."""
    near, far = PairLink(f"{name}, near end"), PairLink(f"{name}, far end")
    near.join(far)
    far.join(near)
    return near, far

"""What links have in common that stand before another one."""

from __future__ import annotations

from drivers.transport.link import Link


class LinkOver:
    """The line of `link` as it is called and stands; what goes through is the business of whoever stands before it."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def name(self) -> str:
        """That of the line."""
        return self._link.name

    @property
    def connected(self) -> bool:
        """That of the line."""
        return self._link.connected

    @property
    def character_s(self) -> float:
        """That of the line."""
        return self._link.character_s

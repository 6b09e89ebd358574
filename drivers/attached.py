"""What drivers share whose channel is one line of their own."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar

MAX_PLANS = 1024
"""Sets of offsets of one profile whose plans are kept."""

_Key = TypeVar("_Key", bound=Hashable)
_Plan = TypeVar("_Plan")


class Connection(Protocol):
    """What a driver opens and closes: its link, or something that keeps account of one."""

    @property
    def connected(self) -> bool:
        """Whether requests can be sent."""

    async def open(self) -> None:
        """Connect, dropping an earlier connection; raises ChannelDown."""

    def close(self) -> None:
        """Drop the connection."""


class Attached:
    """`open`, `close` and `connected` of a driver are those of its line."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    async def open(self) -> None:
        """Connect; raises ChannelDown."""
        await self._line.open()

    async def close(self) -> None:
        """Release the line."""
        self._line.close()

    @property
    def connected(self) -> bool:
        """Whether requests can be sent now."""
        return self._line.connected


def kept(plans: dict[_Key, _Plan], key: _Key, build: Callable[[], _Plan]) -> _Plan:
    """The plan of this key, built where `plans` of the profile holds none yet: the same object for all its devices."""
    plan = plans.get(key)
    if plan is None:
        if len(plans) >= MAX_PLANS:
            plans.clear()
        plan = plans[key] = build()
    return plan

"""Who may use a line next: two lanes, and the silence that must lie between two exchanges."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import IntEnum

from address_space.model.clock import NS, Clock


class Lane(IntEnum):
    """Who goes first when the line is free."""

    PRIORITY = 0
    """Commands and reads on demand."""
    POLL = 1


class Turns:
    """A lock with two lanes, first come first served in each; the priority lane goes ahead of the other.

    A turn is given only once the silence after the exchange before it is over; who waits that out in the ordinary
    lane still lets the priority lane pass.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: tuple[deque[asyncio.Future[None]], ...] = tuple(deque() for _ in Lane)
        self._held = False
        self._quiet_until_ns = 0

    async def take(self, lane: Lane) -> None:
        """Wait for a turn; `end` must follow."""
        if self._held:
            await self._wait(lane, first=False)
        self._held = True
        while (rest_ns := self._quiet_until_ns - self._clock.monotonic_ns()) > 0:
            try:
                await self._clock.sleep(rest_ns / NS)
            except BaseException:
                self.end()
                raise
            if lane is not Lane.PRIORITY and self._waiting[Lane.PRIORITY]:
                self._pass_on()
                await self._wait(lane, first=True)

    def keep_quiet(self, seconds: float) -> None:
        """Let no turn begin for so long from now."""
        self._quiet_until_ns = self._clock.monotonic_ns() + round(seconds * NS)

    def end(self) -> None:
        """Give the turn back."""
        if not self._pass_on():
            self._held = False

    async def _wait(self, lane: Lane, *, first: bool) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._waiting[lane]
        if first:
            queue.appendleft(place)
        else:
            queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                if place in queue:
                    queue.remove(place)
            else:
                self.end()
            raise

    def _pass_on(self) -> bool:
        for queue in self._waiting:
            while queue:
                place = queue.popleft()
                if not place.done():
                    place.set_result(None)
                    return True
        return False

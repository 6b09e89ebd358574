"""Who may use a line next: four lanes, and the silence that must lie between two exchanges."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import IntEnum

from address_space.model.clock import NS, Clock


class Lane(IntEnum):
    """Who goes first when the line is free."""

    PRIORITY = 0
    """Commands."""
    DEMAND = 1
    """Reads that somebody asked for."""
    POLL = 2
    FILL = 3
    """Reads of what was missed, out of a meter's memory: only while nobody polls."""


FILL_SHARE = 0.2
"""Share of the time that such reads may take, however idle the line is."""
DEMAND_SHARE = 0.5
"""Share of the time that reads on demand may take while there is something to poll."""
LOOK_AGAIN_S = 0.02
LOOK_SELDOM_S = 0.3
_POLLED_LATELY_NS = 2 * round(LOOK_AGAIN_S * NS)


class Turns:
    """A lock with lanes, first come first served in each; a lane goes ahead of all behind it.

    A turn is given only once the silence after the exchange before it is over; who waits that out still lets the lanes
    before it pass. Reads on demand go one at a time, and after each as long as it took is left to polling where there
    is something to poll.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: tuple[deque[asyncio.Future[None]], ...] = tuple(deque() for _ in Lane)
        self._held = False
        self._quiet_until_ns = 0
        self._demand = asyncio.Lock()
        self._demand_after_ns = 0
        self._fill_after_ns = 0
        self._polls = 0
        """How many wait for a turn to poll, or have one."""
        self._polled_ns = -NS
        self._lane = Lane.POLL
        self._began_ns = 0

    async def take(self, lane: Lane) -> None:
        """Wait for a turn; `end` must follow."""
        if lane is Lane.DEMAND:
            await self._demand.acquire()
            try:
                await self._leave_to_polling()
                await self._take(lane)
            except BaseException:
                self._demand.release()
                raise
        elif lane is Lane.POLL:
            self._polls += 1
            try:
                await self._take(lane)
            except BaseException:
                self._polls -= 1
                raise
        elif lane is Lane.FILL:
            await self._stand_back()
            await self._take(lane)
        else:
            await self._take(lane)
        self._lane = lane
        self._began_ns = self._clock.monotonic_ns()

    async def _take(self, lane: Lane) -> None:
        if self._held:
            await self._wait(lane, first=False)
        self._held = True
        while (rest_ns := self._quiet_until_ns - self._clock.monotonic_ns()) > 0:
            try:
                await self._clock.sleep(rest_ns / NS)
            except BaseException:
                self._give_up()
                raise
            if any(self._waiting[:lane]):
                self._pass_on()
                await self._wait(lane, first=True)

    def keep_quiet(self, seconds: float) -> None:
        """Let no turn begin for so long from now."""
        self._quiet_until_ns = self._clock.monotonic_ns() + round(seconds * NS)

    def end(self) -> None:
        """Give the turn back."""
        now_ns = self._clock.monotonic_ns()
        if self._lane is Lane.DEMAND:
            spent_ns = max(now_ns, self._quiet_until_ns) - self._began_ns
            self._demand_after_ns = now_ns + round(spent_ns * (1 / DEMAND_SHARE - 1))
            self._demand.release()
        elif self._lane is Lane.POLL:
            self._polls -= 1
            self._polled_ns = now_ns
        elif self._lane is Lane.FILL:
            spent_ns = max(now_ns, self._quiet_until_ns) - self._began_ns
            self._fill_after_ns = now_ns + round(spent_ns * (1 / FILL_SHARE - 1))
        self._give_up()

    def _give_up(self) -> None:
        if not self._pass_on():
            self._held = False

    async def _leave_to_polling(self) -> None:
        """Wait until polling has had its share, or has nothing to do."""
        while (now_ns := self._clock.monotonic_ns()) < self._demand_after_ns:
            if not self._polls and now_ns - self._polled_ns >= _POLLED_LATELY_NS:
                return
            await self._clock.sleep(min((self._demand_after_ns - now_ns) / NS, LOOK_AGAIN_S))

    async def _stand_back(self) -> None:
        """Wait until nobody has the line or wants it, polling has been over for a while, and the share allows it."""
        pause_s = LOOK_AGAIN_S
        while True:
            now_ns = self._clock.monotonic_ns()
            idle = not self._held and not self._polls and now_ns - self._polled_ns >= _POLLED_LATELY_NS
            if idle and now_ns >= self._fill_after_ns:
                return
            await self._clock.sleep(max((self._fill_after_ns - now_ns) / NS, pause_s))
            pause_s = min(2 * pause_s, LOOK_SELDOM_S)

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
                self._give_up()
            raise

    def _pass_on(self) -> bool:
        for queue in self._waiting:
            while queue:
                place = queue.popleft()
                if not place.done():
                    place.set_result(None)
                    return True
        return False

"""The only reader of the wall clock. Everything else is handed a `Clock`, so a test never sleeps."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime
from typing import Protocol

NS = 1_000_000_000
EPOCH_1601_TICKS = 116_444_736_000_000_000
"""OPC UA DateTime (Part 6 5.2.2.5) of 1970-01-01: 100 ns ticks since 1601-01-01."""


_LOOKS = 5
_SHORT_NS = NS // 10_000


class Clock(Protocol):
    """Wall time, monotonic time and waiting, all in integer nanoseconds or float seconds as the names say."""

    def now_ns(self) -> int:
        """UTC nanoseconds since 1970."""

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never jumps."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock's monotonic time."""


def offset_ns(clock: Clock) -> int:
    """Wall minus monotonic time, so looked at that a pause of this process between the two looks does not show."""
    least, offset = None, 0
    for _ in range(_LOOKS):
        before, wall, after = clock.monotonic_ns(), clock.now_ns(), clock.monotonic_ns()
        if least is None or after - before < least:
            least, offset = after - before, wall - before
        if least < _SHORT_NS:
            break
    return offset


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that stands still until `advance` is called; sleepers wake in the order of their deadlines."""

    def __init__(self, start_ns: int = 1_800_000_000 * NS) -> None:
        self._now_ns = start_ns
        self._elapsed_ns = 0
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_ns(self) -> int:
        return self._elapsed_ns

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_ns + round(seconds * NS), next(self._order), wake))
        await wake

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, waking each sleeper at its own instant and letting it run before the next."""
        end = self._elapsed_ns + round(seconds * NS)
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            deadline, _, wake = heapq.heappop(self._sleepers)
            self._now_ns += deadline - self._elapsed_ns
            self._elapsed_ns = deadline
            if not wake.done():
                wake.set_result(None)
            await _settle()
        self._now_ns += end - self._elapsed_ns
        self._elapsed_ns = end
        await _settle()

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back without monotonic time passing, as an NTP step does."""
        self._now_ns += round(seconds * NS)


def to_datetime(ns: int) -> datetime:
    """Aware UTC datetime of `ns`, truncated to microseconds."""
    return datetime.fromtimestamp(ns // NS, UTC).replace(microsecond=ns % NS // 1000)


def from_datetime(moment: datetime) -> int:
    """Nanoseconds since 1970 of an aware datetime (a naive one is taken as UTC)."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * NS + delta.microseconds * 1000


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)

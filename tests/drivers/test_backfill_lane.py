"""Reads out of meters' memories stand behind everybody else on the line."""

from __future__ import annotations

import asyncio

from address_space.model.clock import NS, ManualClock
from drivers.turns import FILL_SHARE, Lane, Turns

EXCHANGE_S = 0.5


class Line:
    """A line on which every exchange takes half a second; it notes who had it, and when."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.turns = Turns(self.clock)
        self.had: list[tuple[Lane, float]] = []

    async def exchange(self, lane: Lane) -> float:
        """One exchange; returns how long it waited for its turn."""
        asked_ns = self.clock.monotonic_ns()
        await self.turns.take(lane)
        try:
            began_ns = self.clock.monotonic_ns()
            self.had.append((lane, began_ns / NS))
            await self.clock.sleep(EXCHANGE_S)
        finally:
            self.turns.end()
        return (began_ns - asked_ns) / NS

    async def repeat(self, lane: Lane, times: int, pause_s: float = 0.0) -> list[float]:
        waits = []
        for _ in range(times):
            waits.append(await self.exchange(lane))
            await self.clock.sleep(pause_s)
        return waits

    def count(self, lane: Lane) -> int:
        return sum(1 for each, _ in self.had if each is lane)


async def run(line: Line, seconds: float, *work: asyncio.Task[list[float]]) -> None:
    for _ in range(round(seconds / 0.05)):
        await line.clock.advance(0.05)
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)


async def test_while_polling_never_rests_nothing_is_filled() -> None:
    line = Line()
    polling = asyncio.ensure_future(line.repeat(Lane.POLL, 1000))
    filling = asyncio.ensure_future(line.repeat(Lane.FILL, 1000))
    await run(line, 60, polling, filling)
    assert line.count(Lane.POLL) > 100
    assert line.count(Lane.FILL) <= 1


async def test_on_an_idle_line_filling_keeps_to_its_share() -> None:
    line = Line()
    filling = asyncio.ensure_future(line.repeat(Lane.FILL, 1000))
    await run(line, 100, filling)
    spent = line.count(Lane.FILL) * EXCHANGE_S / 100
    assert FILL_SHARE * 0.8 <= spent <= FILL_SHARE * 1.05


async def test_polls_demands_and_commands_wait_for_one_exchange_at_most() -> None:
    line = Line()
    filling = asyncio.ensure_future(line.repeat(Lane.FILL, 1000))
    others = [asyncio.ensure_future(line.repeat(lane, 20, 3.7)) for lane in (Lane.POLL, Lane.PRIORITY, Lane.DEMAND)]
    for _ in range(2000):
        await line.clock.advance(0.05)
    filling.cancel()
    await asyncio.gather(filling, return_exceptions=True)
    assert line.count(Lane.FILL) > 10
    for after, (lane, began) in zip(line.had[1:], line.had, strict=False):
        if lane is Lane.FILL:
            assert after[0] is not Lane.FILL or after[1] - began >= EXCHANGE_S / FILL_SHARE * 0.95
    for task in others:
        assert len(await task) == 20
    poll, command, _ = [max(task.result()) for task in others]
    assert command <= EXCHANGE_S + 0.05
    assert poll <= 3 * EXCHANGE_S + 0.05


async def test_who_gives_up_waiting_leaves_the_line_to_others() -> None:
    line = Line()
    polling = asyncio.ensure_future(line.exchange(Lane.POLL))
    await asyncio.sleep(0)
    filling = asyncio.ensure_future(line.exchange(Lane.FILL))
    await line.clock.advance(0.1)
    filling.cancel()
    await asyncio.gather(filling, return_exceptions=True)
    await line.clock.advance(1.0)
    assert await polling == 0
    again = asyncio.ensure_future(line.exchange(Lane.PRIORITY))
    await line.clock.advance(1.0)
    assert await again == 0

"""What was ordered to be read again, as a running hub sees it: which unit is next on a channel, and what came of it.

The file of orders is looked at every second (one pragma while nothing changed). A fault of it is told once and holds
nothing up but the orders.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from address_space.model import NS, Clock
from address_space.model.ids import NodeUid
from historian.errors import HistoryError
from historian.gaps import GapLedger, Hitch, Order, OrderedUnit, OrdersState, OrderState
from historian.gaps.order_file import Share
from server.backfill_order_book import OrderBook

log = logging.getLogger(__name__)

LOOK_S = 1.0
UNITS_AT_ONCE = 200
WINDOW_MS = 7 * 86_400_000
"""Units and time whose missing slots are looked up together: the ledger's commits pass between two looks."""
RETRY_FIRST_S = 10.0
RETRY_LAST_S = 600.0
"""How long an ordered unit waits after an attempt that failed: it doubles from the one to the other."""
MOST_TRIES = 150
"""Attempts that may fail before a unit is given up: about a day of them."""
_MS = NS // 1000


class Job(NamedTuple):
    """One unit of an order; the least of several is carried out first."""

    number: int
    place: int
    point: NodeUid


class Standing(NamedTuple):
    """The channel that a unit is on, and why it cannot be asked at all (NONE: it can)."""

    channel: str
    hitch: Hitch = Hitch.NONE


class _Queue:
    """Jobs of one channel: those that may be done, and those that wait out a pause."""

    def __init__(self) -> None:
        self.ready: list[Job] = []
        self.paused: list[tuple[int, Job]] = []
        self.rung = asyncio.Event()


class BackfillOrders:
    """Use with `async with`; `run` looks for orders until cancelled.

    settle_s  how old a slot must be when its order is taken up
    """

    def __init__(
        self,
        path: Path,
        ledger: GapLedger,
        clock: Clock,
        standing: Callable[[NodeUid], Standing],
        settle_s: float,
    ) -> None:
        self.state = OrdersState()
        self._ledger = ledger
        self._clock = clock
        self._standing = standing
        self._settle_ms = round(settle_s * 1000)
        self._book = OrderBook(path, clock)
        self._queues: defaultdict[str, _Queue] = defaultdict(_Queue)
        self._open: dict[int, Order] = {}
        self._early = ""
        """Why an order is not taken up yet; empty where none is left."""

    async def __aenter__(self) -> Self:
        await self._book.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._book.close()

    async def run(self) -> None:
        """Take notice of orders that are added or cancelled."""
        while True:
            try:
                if await self._book.run(lambda file: file.changed()) or self._early:
                    await self._refresh()
                trouble = self._early
            except HistoryError as error:
                trouble = str(error)
                self._open.clear()  # all is taken up again where it was, once the file can be used
                for queue in self._queues.values():
                    queue.ready, queue.paused = [], []
                await self._book.let_go()
            if bool(trouble) != bool(self.state.trouble):
                log.warning("backfill orders %s", f"wait error={trouble}" if trouble else "are carried out again")
            self.state = replace(self.state, trouble=trouble)
            await self._clock.sleep(LOOK_S)

    # what is to be done on a channel

    def waits(self, channel: str) -> bool:
        """Whether there is something to do now."""
        queue = self._queues.get(channel)
        if queue is None:
            return False
        now_ns = self._clock.monotonic_ns()
        while queue.paused and queue.paused[0][0] <= now_ns:
            heapq.heappush(queue.ready, heapq.heappop(queue.paused)[1])
        while queue.ready and not self.stands(queue.ready[0]):
            heapq.heappop(queue.ready)
        return bool(queue.ready)

    def take(self, channel: str) -> Job | None:
        """What is to be done first; whoever takes it settles it or pauses it."""
        return heapq.heappop(self._queues[channel].ready) if self.waits(channel) else None

    def pause(self, job: Job, channel: str, seconds: float) -> None:
        """It is to be taken again after so long."""
        queue = self._queues[channel]
        if job not in queue.ready:
            heapq.heappush(queue.paused, (self._clock.monotonic_ns() + round(seconds * NS), job))

    async def rest(self, channel: str, seconds: float) -> None:
        """Return after so long, or as soon as there may be something to do."""
        queue = self._queues[channel]
        if queue.paused:
            seconds = min(seconds, max((queue.paused[0][0] - self._clock.monotonic_ns()) / NS, 0.0))
        async with asyncio.TaskGroup() as tasks:
            sleeper = tasks.create_task(self._clock.sleep(seconds), name=f"backfill-rest-{channel}")
            rung = tasks.create_task(queue.rung.wait(), name=f"backfill-rung-{channel}")
            await asyncio.wait((sleeper, rung), return_when=asyncio.FIRST_COMPLETED)
            sleeper.cancel()
            rung.cancel()
        queue.rung.clear()

    def stands(self, job: Job) -> bool:
        """Whether its order is open: it may be cancelled at any time."""
        return job.number in self._open

    def order(self, job: Job) -> Order | None:
        """Its order, None where that is not open any more."""
        return self._open.get(job.number)

    def end_ms(self, order: Order) -> int:
        """Up to where, not counted, slots are of an order: its own end, or what was settled when it was taken up."""
        return min(order.to_ms, order.begun_ms - self._settle_ms)

    async def counts(self, order: Order, points: Sequence[NodeUid]) -> NDArray[np.int64]:
        """Slots of an order that are missing of each unit, how many of them were given up, and how many were expected:
        shape (points, 3)."""
        end_ms = self.end_ms(order)
        counts = np.zeros((len(points), 3), np.int64)
        for start_ms in range(max(order.from_ms, 0), end_ms, WINDOW_MS):
            stop_ms = min(start_ms + WINDOW_MS, end_ms)
            counts += await self._ledger.missing_counts(start_ms, stop_ms, points, order.begun_ms)
        return counts

    # what came of it; each raises HistoryError

    async def unit(self, job: Job) -> OrderedUnit:
        """How far it is."""
        return await self._book.run(lambda file: file.unit(job.number, job.place))

    async def advance(self, job: Job, next_ms: int, filled: int, lacking: int) -> None:
        """Its slots before `next_ms` are settled."""
        await self._book.run(lambda file: file.advance(job.number, job.place, next_ms, filled, lacking))
        await self._tell()

    async def finish(self, job: Job, filled: int, lacking: int) -> None:
        """It is done."""
        now_ms = self._now_ms()
        ended = await self._book.run(lambda file: file.finish(job.number, job.place, filled, lacking, now_ms))
        await self._settled(job.number, ended=ended)

    async def fail(self, job: Job, hitch: Hitch, detail: str = "") -> None:
        """It is given up."""
        now_ms = self._now_ms()
        log.debug("ordered backfill failed order=%d unit=%s why=%s %s", job.number, job.point, hitch.name, detail)
        ended = await self._book.run(lambda file: file.fail(job.number, job.place, hitch, detail, now_ms))
        await self._settled(job.number, ended=ended)

    async def put_off(self, job: Job, channel: str, hitch: Hitch, detail: str, next_ms: int | None = None) -> None:
        """An attempt failed; there are more after a while, but not for ever. `next_ms`: where the next one begins."""
        tries = await self._book.run(lambda file: file.put_off(job.number, job.place, hitch, detail, next_ms))
        if tries >= MOST_TRIES:
            await self.fail(job, hitch, detail)
            return
        self.pause(job, channel, min(RETRY_FIRST_S * 2.0 ** (tries - 1), RETRY_LAST_S))
        log.debug("ordered backfill put off order=%d unit=%s error=%s", job.number, job.point, detail)

    async def _settled(self, number: int, *, ended: bool) -> None:
        if ended:
            self._open.pop(number, None)
            order = await self._book.run(lambda file: file.order(number))
            log.info(
                "ordered backfill ended order=%d units=%d failed=%d filled=%d lacking=%d",
                number,
                order.units,
                order.failed,
                order.filled,
                order.lacking,
            )
        await self._tell()

    # taking up

    async def _refresh(self) -> None:
        """Begin what is new, and let go of what is not open any more."""
        found = {order.number: order for order in await self._book.run(lambda file: file.open_orders())}
        for number in self._open.keys() - found.keys():
            del self._open[number]
        now_ms = self._now_ms()
        early = {number for number, order in found.items() if not order.begun_ms and order.at_ms > now_ms}
        told = (
            f"order {min(early)} was given at a time that the clock has not reached, it was set back" if early else ""
        )
        for number, order in found.items():
            if number not in self._open and number not in early:
                await self._begin(order)
        self._early = told
        await self._tell()

    async def _begin(self, order: Order) -> None:
        """Take up an order that is new, or go on with one that a hub before this one began."""
        waiting = await self._book.run(lambda file: file.waiting(order.number))
        standings = {place: self._standing(point) for place, point in waiting}
        if order.state is OrderState.WAITING:
            order = replace(order, begun_ms=self._now_ms(), state=OrderState.RUNNING)
            shares = await self._shares(order, waiting, standings)
            log.info("ordered backfill begins order=%d units=%d by=%s", order.number, order.units, order.by)
            if not await self._book.run(lambda file: file.take(order.number, order.begun_ms, shares)):
                return
            idle = {share.place for share in shares if share.hitch is Hitch.NOT_EXPECTED}
            waiting = [(place, point) for place, point in waiting if place not in idle]
        self._open[order.number] = order
        for place, point in waiting:
            channel, hitch = standings[place]
            job = Job(order.number, place, point)
            if not hitch:
                heapq.heappush(self._queues[channel].ready, job)
                self._queues[channel].rung.set()
            elif (await self.unit(job)).is_waiting:
                await self.fail(job, hitch)

    async def _shares(
        self, order: Order, waiting: Sequence[tuple[int, NodeUid]], standings: Mapping[int, Standing]
    ) -> list[Share]:
        """What is missing of each unit, or why nothing is to be done."""
        shares = [Share(place, 0, standings[place].hitch) for place, _ in waiting if standings[place].hitch]
        sound = [(place, point) for place, point in waiting if not standings[place].hitch]
        for first in range(0, len(sound), UNITS_AT_ONCE):
            part = sound[first : first + UNITS_AT_ONCE]
            counts = await self.counts(order, [point for _, point in part])
            for (place, _), (wanted, _, expected) in zip(part, counts.tolist(), strict=True):
                shares.append(Share(place, wanted, Hitch.NONE if expected else Hitch.NOT_EXPECTED))
        return shares

    async def _tell(self) -> None:
        orders, ended_ms = await self._book.run(lambda file: (file.open_orders(), file.last_ended_ms()))
        wanted = sum(order.wanted for order in orders)
        left = wanted - sum(order.filled + order.lacking for order in orders)
        self.state = OrdersState(len(orders), wanted, left, ended_ms, self.state.trouble)

    def _now_ms(self) -> int:
        return self._clock.now_ns() // _MS

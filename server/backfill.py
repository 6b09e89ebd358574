"""Fills gaps of the history from what meters kept themselves while nobody read them.

One worker a channel. What a person ordered goes first; then the oldest gaps, because a meter's memory is a ring. It
asks on the lane behind polling; what it learns goes the ordinary way through the recorder.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from address_space.model import NS, Clock, Plant
from address_space.model.errors import UnknownId
from address_space.model.ids import NodeUid, UnitHandle
from drivers.archive import Archive
from drivers.errors import ChannelDown, DeviceRefused, DriverError, NoAnswer
from drivers.health import DeviceState
from drivers.poller import Poller
from historian.api import HistoryReader, Row
from historian.errors import HistoryError
from historian.gaps import GapLedger, Hitch, Order, OrderedUnit, OrdersState, Plan, Track
from historian.gaps.order_file import FILE
from historian.gaps.tracks import Times
from historian.recorder import Recorder
from server.backfill_orders import WINDOW_MS, BackfillOrders, Job, Standing
from server.meter_memory import MeterMemory

log = logging.getLogger(__name__)

UNITS_AT_ONCE = 200
"""Units whose gaps are looked up together."""
AT_ONCE_MS = 6 * 3_600_000
"""What is asked of one unit before the next one's turn, and recorded together."""
PAUSE_FIRST_S = 60.0
PAUSE_LAST_S = 3600.0
"""How long a meter that did not answer is left alone: it doubles from the one to the other."""
UNPOLLED_S = 1.0
"""How long an order waits for a meter that was not polled yet."""
_MS = NS // 1000
_DAY_MS = 86_400_000
_SOUND = (DeviceState.ONLINE, DeviceState.DEGRADED)


@dataclass(frozen=True, slots=True)
class BackfillOptions:
    """How gaps are filled.

    days      how far back gaps are looked for; 0: only what is ordered is filled
    look_s    time between two looks at the ledger
    settle_s  how old a slot must be before a meter is asked: one whose clock is behind has not made its record yet
    """

    days: int = 62
    look_s: float = 60.0
    settle_s: float = 420.0


@dataclass(frozen=True, slots=True)
class BackfillState:
    """Since the start: exchanges with meters, how many units failed, slots filled and slots given up."""

    asked: int = 0
    failed: int = 0
    filled: int = 0
    lacking: int = 0


class Backfill:
    """`run` until cancelled. `accept` takes readings that were told late, whoever tells them."""

    def __init__(
        self,
        plant: Plant,
        plan: Plan,
        pollers: Sequence[Poller],
        ledger: GapLedger,
        recorder: Recorder,
        reader: HistoryReader,
        clock: Clock,
        options: BackfillOptions | None = None,
    ) -> None:
        self.options = options if options is not None else BackfillOptions()
        self._plant = plant
        self._plan = plan
        self._pollers = {poller.channel.id: poller for poller in pollers}
        self._ledger = ledger
        self._recorder = recorder
        self._clock = clock
        self._memory = MeterMemory(plan, ledger, recorder, reader, clock)
        self._orders = BackfillOrders(ledger.path.with_name(FILE), ledger, clock, self._standing, self.options.settle_s)
        self._state = BackfillState()
        self._pauses: dict[UnitHandle, tuple[float, int]] = {}

    @property
    def state(self) -> BackfillState:
        """What came of it so far."""
        return replace(self._state, asked=self._memory.asked)

    def orders_state(self) -> OrdersState:
        """How it stands with what was ordered."""
        return self._orders.state

    async def run(self) -> None:
        """Look for orders and gaps, and fill them."""
        async with self._orders, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._orders.run(), name="backfill-orders")
            for poller in self._pollers.values():
                if isinstance(poller.channel.driver, Archive):
                    tasks.create_task(self._serve(poller, poller.channel.driver), name=f"backfill-{poller.channel.id}")

    async def accept(self, rows: Sequence[Row]) -> int:
        """Record readings of the past; values that are stored already, and good, stay. Returns how many rows had
        anything new."""
        return await self._memory.accept(rows)

    # one channel

    async def _serve(self, poller: Poller, driver: Archive) -> None:
        channel = poller.channel.id
        units = [unit.id for unit in self._plant.units if unit.channel == channel and unit.id in self._plan]
        while True:
            while job := self._orders.take(channel):
                await self._carry_out(poller, driver, job)
            if not await self._search(poller, driver, units) and not self._orders.waits(channel):
                await self._orders.rest(channel, self.options.look_s)

    async def _search(self, poller: Poller, driver: Archive, units: Sequence[NodeUid]) -> int:
        """Fill the oldest missing hours of each unit until an order comes; returns how many units answered."""
        asked = 0
        for first in range(0, len(units) if self.options.days else 0, UNITS_AT_ONCE):
            try:
                asked += await self._fill_all(poller, driver, units[first : first + UNITS_AT_ONCE])
            except (HistoryError, ChannelDown) as error:
                log.debug("backfill waits channel=%s error=%s", poller.channel.id, error)
            if self._orders.waits(poller.channel.id):
                break
        return asked

    async def _fill_all(self, poller: Poller, driver: Archive, points: Sequence[NodeUid]) -> int:
        """Fill the oldest missing hours of each unit; returns how many units had one and answered."""
        now_ms = self._clock.now_ns() // _MS
        end_ms = now_ms - round(self.options.settle_s * 1000)
        sound = [point for point in points if self._may_ask(poller, driver, self._plant.unit_of[point])]
        if not sound:
            return 0
        missing: defaultdict[NodeUid, list[tuple[Track, Times]]] = defaultdict(list)
        for point, track, slots in await self._ledger.missing(end_ms - self.options.days * _DAY_MS, end_ms, sound):
            missing[point].append((track, slots))
        answered = 0
        for point, tracks in missing.items():
            if self._orders.waits(poller.channel.id):
                break
            unit = self._plant.unit_of[point]
            try:
                await self._fill(poller, driver, point, tracks)
            except (ChannelDown, HistoryError):
                raise
            except DriverError as error:
                log.debug("backfill put off unit=%s error=%s", point, error)
                self._leave_alone(unit)
            except Exception:  # what one meter tells must never take the hub down
                log.exception("backfill failed unit=%s", point)
                self._leave_alone(unit)
            else:
                self._pauses.pop(unit, None)
                answered += 1
        await self._recorder.flush()
        return answered

    async def _fill(
        self, poller: Poller, driver: Archive, point: NodeUid, tracks: Sequence[tuple[Track, Times]]
    ) -> None:
        wants = self._memory.wants(point, tracks, AT_ONCE_MS)
        device = poller.target(self._plant.unit_of[point])
        filled = await self._memory.fill(
            poller, driver, device, point, wants, lambda: not self._orders.waits(poller.channel.id)
        )
        self._count(filled.filled, filled.lacking)

    def _leave_alone(self, unit: UnitHandle) -> None:
        self._state = replace(self._state, failed=self._state.failed + 1)
        pause_s = min(2 * self._pauses.get(unit, (PAUSE_FIRST_S / 2, 0))[0], PAUSE_LAST_S)
        self._pauses[unit] = (pause_s, self._clock.monotonic_ns() + round(pause_s * NS))

    def _count(self, filled: int, lacking: int) -> None:
        state = self._state
        self._state = replace(state, filled=state.filled + filled, lacking=state.lacking + lacking)

    def _may_ask(self, poller: Poller, driver: Archive, unit: UnitHandle) -> bool:
        if self._clock.monotonic_ns() < self._pauses.get(unit, (0.0, 0))[1]:
            return False
        return poller.device(unit).state in _SOUND and bool(driver.books(poller.target(unit)))

    # what was ordered

    def _standing(self, point: NodeUid) -> Standing:
        """Whether a unit can be asked for what it kept."""
        unit = self._plant.unit_of.get(point)
        if unit is None or point not in self._plan:
            return Standing("", Hitch.GONE)
        channel = self._plant.units[unit].channel
        poller = self._pollers.get(channel)
        try:
            device = poller.target(unit) if poller is not None else None
        except UnknownId:
            device = None
        if poller is None or device is None:
            return Standing(channel, Hitch.GONE)
        driver = poller.channel.driver
        has_memory = isinstance(driver, Archive) and bool(driver.books(device))
        return Standing(channel, Hitch.NONE if has_memory else Hitch.NO_MEMORY)

    async def _carry_out(self, poller: Poller, driver: Archive, job: Job) -> None:
        """Ask the meter for everything of an order that is missing, or put the order off."""
        channel = poller.channel.id
        health = poller.device(self._plant.unit_of[job.point])
        try:
            if health.state is DeviceState.UNKNOWN and poller.channel.up:
                self._orders.pause(job, channel, UNPOLLED_S)
                return
            try:
                if health.state is DeviceState.OFFLINE and poller.channel.up:
                    await self._orders.put_off(job, channel, Hitch.SILENT, "")
                else:
                    await self._reread(poller, driver, job)
            except DriverError as error:
                await self._orders.put_off(job, channel, _hitch(error), str(error))
            except HistoryError as error:
                await self._orders.put_off(job, channel, Hitch.HISTORY, str(error))
            except Exception as error:  # an order outlives the hub: it must never take it down again and again
                log.exception("ordered backfill failed order=%d unit=%s", job.number, job.point)
                await self._orders.fail(job, Hitch.FAULT, f"{type(error).__name__}: {error}")
        except HistoryError as error:
            log.debug("ordered backfill waits order=%d unit=%s error=%s", job.number, job.point, error)
            self._orders.pause(job, channel, UNPOLLED_S)

    async def _reread(self, poller: Poller, driver: Archive, job: Job) -> None:
        """From where it was left to the end of the order, some hours at a time."""
        order, unit = self._orders.order(job), await self._orders.unit(job)
        if order is None or not unit.is_waiting:
            return
        device = poller.target(self._plant.unit_of[job.point])
        self._memory.forgive(device, driver.books(device))
        self._pauses.pop(device.unit, None)
        end_ms, answered, refusal = self._orders.end_ms(order), unit.filled > 0, ""
        for start_ms in range(max(unit.next_ms, 0), end_ms, WINDOW_MS):
            stop_ms = min(start_ms + WINDOW_MS, end_ms)
            missing = await self._ledger.missing(start_ms, stop_ms, [job.point], again=True, as_of_ms=order.begun_ms)
            tracks = [(track, slots) for _, track, slots in missing]
            while wants := self._memory.wants(job.point, tracks, AT_ONCE_MS):
                filled = await self._memory.fill(
                    poller, driver, device, job.point, wants, lambda: self._orders.stands(job)
                )
                await self._recorder.flush()
                self._count(filled.filled, filled.lacking)
                if not filled.whole:
                    return
                last_ms = max(int(want.slots[-1]) for want in wants)
                tracks = [(track, slots[slots > last_ms]) for track, slots in tracks]
                await self._orders.advance(job, last_ms + 1, filled.filled, filled.lacking)
                answered, refusal = answered or filled.answered, refusal or filled.refusal
        if refusal and not answered:
            await self._orders.fail(job, Hitch.REFUSED, refusal)
        else:
            await self._conclude(poller, job, order, unit)

    async def _conclude(self, poller: Poller, job: Job, order: Order, unit: OrderedUnit) -> None:
        """Everything was asked for: what came of it is what the ledger says now, however often the hub was killed."""
        missing, lacking, _ = (await self._orders.counts(order, [job.point]))[0].tolist()
        if missing > lacking:
            what = f"{missing - lacking} readings that the meter told are not in the history"
            await self._orders.put_off(job, poller.channel.id, Hitch.HISTORY, what, order.from_ms)
            return
        await self._orders.finish(job, max(unit.wanted - missing, 0), lacking)


def _hitch(error: DriverError) -> Hitch:
    kinds = {ChannelDown: Hitch.LINE_DOWN, DeviceRefused: Hitch.REFUSED, NoAnswer: Hitch.SILENT}
    return next((hitch for kind, hitch in kinds.items() if isinstance(error, kind)), Hitch.GARBLED)

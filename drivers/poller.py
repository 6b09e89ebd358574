"""Polling of one channel: who is asked next, what becomes of the answers, and how much a dead device may cost.

One task serves all devices of a channel. Devices that answer are read at their slots; those that do not move to a
second agenda, are tried after a growing pause, and get no more than a share of the bus while others need it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from address_space.model.clock import NS, Clock, offset_ns
from address_space.model.errors import UnknownId
from address_space.model.ids import UnitHandle
from address_space.model.quality import Reason
from address_space.model.value import Batch
from drivers.api import Device, Exchange, Memory, Sink
from drivers.channel import Channel, Lane
from drivers.errors import ChannelDown, DriverError
from drivers.health import ChannelSnapshot, DeviceHealth, DeviceSnapshot
from drivers.interview import Interview, interview
from drivers.plans import makes_of
from drivers.readings import bad_batch, batch_of
from drivers.schedule import PollClass, PolledDevice, Rota, Timetable
from drivers.sharing import Sharing

__all__ = ["PollClass", "PollPolicy", "PolledDevice", "Poller"]

log = logging.getLogger(__name__)

CLOCK_STEP_NS = NS // 2
"""A larger change of wall against monotonic time between two looks is a step of the wall clock."""
LONGEST_SLEEP_S = 5.0
"""The wall clock is looked at no less often than this."""
BREATHE_EVERY = 16
"""Pollings after which other tasks get the processor even if no driver ever waits."""
FAULT_PAUSE_S = 0.05
FIRST_SHARE = 0.5
"""Share of bus time, while others wait, for devices of which nothing is known yet and that do not answer."""


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """How much patience a device gets.

    retries          further attempts within one polling, only for a device that answered last time
    comm_lost_after  failed pollings in a row that count as loss of communication
    backoff_max_s    longest pause between attempts at a dead device; it doubles from the device's shortest period
    dead_share       share of bus time for dead devices while others wait
    first_scan_s     within how long all devices are read once after a start or a lost line, if the bus can do it
    """

    retries: int = 1
    comm_lost_after: int = 3
    backoff_max_s: float = 60.0
    dead_share: float = 0.25
    first_scan_s: float = 5.0


class Poller:
    """Reads the devices of one channel and delivers to `sink`. `health` and `snapshot` tell how it goes.

    A sink that waits makes the poller wait: slots that pass meanwhile are counted as missed, never queued.
    """

    def __init__(
        self,
        channel: Channel,
        devices: Sequence[PolledDevice],
        sink: Sink,
        clock: Clock,
        policy: PollPolicy | None = None,
        seed: int = 0,
        memory: Memory | None = None,
    ) -> None:
        devices = [polled for polled in devices if polled.classes]
        rows = len(devices)
        self.channel = channel
        self.policy = policy if policy is not None else PollPolicy()
        self.health = DeviceHealth(rows)
        self.faults = 0
        """Errors that no driver should raise; each was survived."""
        self._sink = sink
        self._memory = memory
        self._clock = clock
        self._devices = [polled.device for polled in devices]
        self._makes = makes_of(devices)
        self.units = np.array([device.unit for device in self._devices], np.int64)
        """In the order of the columns of `health`."""
        self._by_unit = np.argsort(self.units)
        self._table = Timetable(devices, channel.id, seed)
        self._rota = Rota(rows, round(channel.line.timeout_s * NS))
        self._whole = np.ones(rows, np.bool_)
        """Whether the next polling reads all classes: the first one, and those that may end a failure."""
        self._lead = np.zeros(rows, np.uint8)
        """Which request is asked first: one that the device is known to answer."""
        self._offset_ns = 0
        self._current: int | None = None
        self._asked: Sharing[int, Exchange] = Sharing()
        """Devices that are being read on demand."""
        self._faulty: set[int] = set()
        self._unmarked: deque[tuple[int, str]] = deque()

    async def run(self) -> None:
        """Open the channel and poll until cancelled; then the channel is closed."""
        async with self.channel:
            self._offset_ns = offset_ns(self._clock)
            await self._begin()
            self._poll_all_soon()
            while True:
                try:
                    await self._work()
                except Exception as error:  # noqa: BLE001 - the border of the task
                    self._survive(error)
                    await self._clock.sleep(FAULT_PAUSE_S)

    async def _begin(self) -> None:
        """Schedules begin; slots that were read before the hub was started are not read again."""
        late = self._table.begin(self._clock.now_ns())
        if self._memory is None or not late:
            return
        asked = [(self._devices[row].unit, self._makes[row].classes[column].offsets) for row, column in late]
        for place, last_ns in zip(late, await self._memory.last_slots_ns(asked), strict=True):
            self._table.remember(*place, last_ns)

    async def read_now(self, unit: UnitHandle) -> Exchange:
        """Read everything of `unit` ahead of all polling, deliver it, and say how that went. Raises UnknownId.

        Whoever asks while the same unit is being read for another gets that reading.
        """
        row = self._row(unit)
        return await self._asked.run(row, lambda: self._read_now(row))

    async def _read_now(self, row: int) -> Exchange:
        slot_ns = self._slot_ns(row)
        try:
            talk = await self._ask(row, self._makes[row].every, Lane.DEMAND)
        except ChannelDown as error:
            outcome = self._outcome(row, Reason.NOT_CONNECTED, str(error))
            if self.health.cut_off(row, self._clock.now_ns()):
                await self._sink.report(self._outcome(row, Reason.NOT_CONNECTED, str(error)))
            return outcome
        if talk.heard and self._whole[row]:
            self._table.settle(row, self._clock.now_ns())
        return await self._conclude(row, self._makes[row].every, talk, slot_ns)

    def target(self, unit: UnitHandle) -> Device:
        """The device of a unit as it is now, for commands; raises UnknownId."""
        return self._devices[self._row(unit)].at(self._clock.now_ns())

    def device(self, unit: UnitHandle) -> DeviceSnapshot:
        """Statistics of one device; raises UnknownId."""
        return self.health.snapshot(self._row(unit), unit)

    def troubled(self, limit: int) -> list[DeviceSnapshot]:
        """Up to `limit` devices that are offline or degraded, longest failing first."""
        return [self.health.snapshot(row, self._devices[row].unit) for row in self.health.troubled(limit)]

    def snapshot(self) -> ChannelSnapshot:
        """Statistics of the channel and its devices."""
        tally = self.channel.tally
        return ChannelSnapshot(
            channel=self.channel.id,
            up=self.channel.up,
            error=tally.error,
            devices=self.health.count(),
            requests=tally.requests,
            errors=dict(tally.errors),
            utilisation=tally.utilisation(self._clock.monotonic_ns()),
            round_trip_ms=tally.smooth_round_trip_ms,
            last_good_ns=tally.last_good_ns,
            losses=tally.losses,
            slots_missed=int(self.health.slots_missed.sum()),
            faults=self.faults,
            success_rate=tally.success_rate,
            reconnects=max(tally.opened - 1, 0),
            last_error=tally.last_error,
        )

    # who is next

    async def _work(self) -> None:
        done = 0
        while True:
            self._current = None
            while self._unmarked:
                await self._mark_bad(*self._unmarked.popleft())
            self._follow_wall_clock()
            now_ns = self._clock.monotonic_ns()
            row = self._rota.take(now_ns)
            if row is None:
                idle_s = max(self._rota.next_ns(now_ns) - now_ns, 0) / NS
                await self._clock.sleep(min(idle_s, LONGEST_SLEEP_S))
                continue
            self._current = row
            await self._poll(row)
            done += 1
            if done % BREATHE_EVERY == 0:
                await asyncio.sleep(0)

    def _schedule(self, row: int, spent_ns: int) -> None:
        """Put `row` where its last polling says it belongs."""
        now_ns, wall_ns = self._clock.monotonic_ns(), self._clock.now_ns()
        failures = int(self.health.failures[row])
        if not failures:
            self._whole[row] = False
            due_ns = now_ns + self._table.next_ns(row, wall_ns) - wall_ns
            self._rota.put(row, due_ns, suspect=False)
            return
        if self._whole[row] and spent_ns:
            quiet_ns = round(max(self.channel.line.quiet_s, self.channel.line.gap_s) * NS)
            share = FIRST_SHARE if failures == 1 else self.policy.dead_share
            self._rota.charge(spent_ns + quiet_ns, now_ns + quiet_ns, share)
        self._whole[row] = True
        pause_s = min(self._table.shortest_s(row) * 2.0 ** min(failures - 1, 32), self.policy.backoff_max_s)
        self._rota.put(row, now_ns + round(pause_s * NS), suspect=True)

    def _poll_all_soon(self) -> None:
        """Read every device once within a few seconds, evenly spread."""
        now_ns = self._clock.monotonic_ns()
        self._whole[:] = True
        for row in range(len(self._devices)):
            window_s = min(self._table.shortest_s(row), self.policy.first_scan_s)
            due_ns = now_ns + round(float(self._table.rank[row]) * window_s * NS)
            self._rota.put(row, due_ns, suspect=True)

    def _follow_wall_clock(self) -> None:
        """After a step of the wall clock all wait for the slots of the new time."""
        before_ns, self._offset_ns = self._offset_ns, offset_ns(self._clock)
        step_ns = self._offset_ns - before_ns
        if abs(step_ns) < CLOCK_STEP_NS:
            return
        log.info("wall clock stepped channel=%s by_s=%.1f", self.channel.id, step_ns / NS)
        due_ns = self._table.align(self._clock.now_ns())
        for row in np.flatnonzero(~self._whole).tolist():
            self._rota.put(row, int(due_ns[row]) - self._offset_ns, suspect=False)

    # one polling

    async def _poll(self, row: int) -> None:
        now_ns, start_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        due = self._table.take_all(row, now_ns) if self._whole[row] else self._table.take(row, now_ns)
        if due.missed:
            self.health.slots_missed[row] += due.missed
        if not due.classes:
            self._schedule(row, 0)
            return
        try:
            talk = await self._ask(row, due.classes, Lane.POLL)
        except ChannelDown as error:
            if not await self._reopened():
                self.health.slots_missed[row] += self._table.give_back(row, due)
                await self._ride_out(str(error))
                return
            self.health.error(row, error.reason)
            talk = Interview(errors=[error])  # the line is well: whatever broke it came with this device
        if due.scheduled and not talk.heard and talk.errors:
            self.health.slots_missed[row] += self._table.give_back(row, due)
        await self._conclude(row, due.classes, talk, due.slot_ns, start_ns)

    async def _ask(self, row: int, classes: int, lane: Lane) -> Interview:
        device = self._devices[row]
        try:
            plan = self._makes[row].plan(self.channel.driver, device, classes).plan
        except DriverError as error:
            return Interview(errors=[error])
        answered_before = bool(self.health.pollings[row]) and not self.health.failures[row]
        retries = self.policy.retries if answered_before else 0
        talk = await interview(self.channel, device, plan, lane, retries=retries, lead=int(self._lead[row]))
        self.health.asked(row, talk.answered, [failure.reason for failure in talk.errors])
        if talk.lead_silent:
            self._lead[row] = (int(self._lead[row]) + 1) % len(plan.requests)
        return talk

    async def _conclude(
        self, row: int, classes: int, talk: Interview, slot_ns: int, start_ns: int | None = None
    ) -> Exchange:
        """Deliver what was learnt, report how it went, and schedule what follows. `start_ns` is when a polling began;
        what was read on demand is not put to the account of dead devices."""
        spent_ns = 0 if start_ns is None else self._clock.monotonic_ns() - start_ns
        now_ns = self._clock.now_ns()
        batch: Batch | None = None
        trouble: DriverError | None = talk.errors[0] if talk.errors else None
        if talk.heard or trouble is None:
            try:
                batch = self._batch(row, classes, talk, slot_ns, now_ns)
            except DriverError as error:
                trouble = error
        was_lost = bool(self.health.lost[row])
        if batch is None and trouble is not None:
            self.health.failed(row, trouble.reason, self.policy.comm_lost_after)
            outcome = self._outcome(row, trouble.reason, str(trouble))
        elif talk.answered or trouble is None:
            round_trip_ms = talk.round_trip_ns / max(talk.answered, 1) / 1e6
            self.health.answered(row, now_ns, round_trip_ms)
            outcome = self._outcome(row, Reason.FRESH, "", round_trip_ms)
        else:
            self.health.answered(row, now_ns, float(self.health.round_trip_ms[row]), trouble.reason)
            outcome = self._outcome(row, trouble.reason, str(trouble))
        self._schedule(row, spent_ns)
        self._tell_change(row, was_lost, outcome)
        if batch is not None:
            await self._sink.deliver(batch)
        await self._sink.report(outcome)
        return outcome

    def _batch(self, row: int, classes: int, talk: Interview, slot_ns: int, now_ns: int) -> Batch:
        device, driver = self._devices[row].at(slot_ns), self.channel.driver
        planned = self._makes[row].plan(driver, device, classes)
        return batch_of(driver, device, planned, talk.answers, slot_ns, now_ns)

    def _outcome(self, row: int, reason: Reason, error: str, round_trip_ms: float | None = None) -> Exchange:
        health = self.health
        return Exchange(
            self._devices[row].unit,
            self._clock.now_ns(),
            float(health.round_trip_ms[row]) if round_trip_ms is None else round_trip_ms,
            reason,
            error,
            int(health.failures[row]),
            float(health.success_rate[row]),
            bool(health.lost[row]),
        )

    # what goes wrong

    async def _reopened(self) -> bool:
        try:
            await self.channel.connect()
        except ChannelDown:
            return False
        return True

    async def _ride_out(self, why: str) -> None:
        """The line is down: tell that of every device, once, and poll all when it is back."""
        await self._cut_off_all(self.channel.tally.error or why)
        while not await self._reopened():
            await self._clock.sleep(max(self.channel.retry_in_s, FAULT_PAUSE_S))
        self.health.slots_missed += self._table.resume(self._clock.now_ns())
        self._poll_all_soon()

    async def _cut_off_all(self, why: str) -> None:
        for row in range(len(self._devices)):
            if self.health.cut_off(row, self._clock.now_ns()):
                await self._sink.report(self._outcome(row, Reason.NOT_CONNECTED, why))
                if row % BREATHE_EVERY == 0:
                    await asyncio.sleep(0)

    def _survive(self, error: Exception) -> None:
        """Count and log what should not happen, and have the device's values marked bad."""
        self.faults += 1
        row = self._current
        if row is None:
            log.error("polling failed channel=%s", self.channel.id, exc_info=error)
            return
        if row not in self._faulty:
            self._faulty.add(row)
            device = self._devices[row].name
            log.error("polling failed channel=%s device=%s", self.channel.id, device, exc_info=error)
        self.health.failed(row, Reason.BAD_FRAME, self.policy.comm_lost_after)
        self._schedule(row, 0)
        self._unmarked.append((row, f"{type(error).__name__}: {error}"))

    async def _mark_bad(self, row: int, why: str) -> None:
        device, make = self._devices[row], self._makes[row]
        batch = bad_batch(device, make, Reason.BAD_FRAME, self._slot_ns(row), self._clock.now_ns())
        await self._sink.deliver(batch)
        await self._sink.report(self._outcome(row, Reason.BAD_FRAME, why))

    def _tell_change(self, row: int, was_lost: bool, outcome: Exchange) -> None:  # noqa: FBT001
        device = self._devices[row].name
        if row in self._faulty and not outcome.error:
            self._faulty.discard(row)
            log.info("polling works again channel=%s device=%s", self.channel.id, device)
        if outcome.lost == was_lost:
            return
        told = (self.channel.id, device, self.health.turned(row, outcome.at_ns))
        if outcome.lost:
            log.warning("device lost channel=%s device=%s after_s=%.0f error=%s", *told, outcome.error)
        else:
            log.info("device is back channel=%s device=%s lost_s=%.0f", *told)

    def _slot_ns(self, row: int) -> int:
        """The slot of a reading that no slot asked for."""
        grid_ns = self._table.grid_ns(row)
        return self._clock.now_ns() // grid_ns * grid_ns

    def _row(self, unit: UnitHandle) -> int:
        place = int(np.searchsorted(self.units, unit, sorter=self._by_unit))
        if place < len(self._by_unit):
            row = int(self._by_unit[place])
            if self._devices[row].unit == unit:
                return row
        raise UnknownId(f"unit {unit} is not polled on the channel {self.channel.id!r}")

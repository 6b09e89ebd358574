"""Polling by schedules: what is read at a slot, what is caught up, what is dropped, and on-demand reads beside it."""

from __future__ import annotations

import asyncio
from datetime import UTC
from itertools import pairwise

import pytest

from address_space.model.clock import NS
from address_space.model.quality import Reason
from drivers.api import Line
from drivers.channel import Channel
from drivers.poller import PollClass, PolledDevice, Poller
from drivers.slots import Late, Schedule, cron, every

LINE = Line(gap_s=0.0, timeout_s=1.0, quiet_s=0.2)
QUARTER_S = 900


def quarters(late: Late = Late.CATCH_UP, *, within_s: float = 600, offset_s: float = 30) -> PollClass:
    schedule = Schedule("quarters", every(QUARTER_S, UTC), round(offset_s * NS), late, round(within_s * NS))
    return PollClass(schedule.period_s, (10, 11), schedule)


@pytest.fixture
def poller(driver, sink, clock, device):
    def build(count=1, classes=(), *, line=LINE):
        classes = classes or (quarters(),)
        channel = Channel("bus", driver, line, clock)
        return Poller(channel, [PolledDevice(device(n), classes) for n in range(count)], sink, clock, seed=7)

    return build


def slots_of(sink, unit=0):
    """Slots of readings that belong to one, in quarters since the hour the clock begins with."""
    start_ns = 1_800_000_000 * NS
    return [
        (batch.slot_ns - start_ns) / NS / QUARTER_S
        for batch in sink.read(unit)
        if batch.slot_ns % (QUARTER_S * NS) == 0 and 10 in batch.handles % 100
    ]


async def test_a_scheduled_class_is_read_at_its_offset_and_stamped_with_its_slot(poller, sink, clock, running):
    await clock.advance(100)
    async with running(poller(3).run()):
        await clock.advance(4 * QUARTER_S)
    for unit in range(3):
        assert slots_of(sink, unit)[-4:] == [1, 2, 3, 4]
        for batch in sink.read(unit)[-4:]:
            assert 30 * NS <= batch.received_ns - batch.slot_ns < 31 * NS


async def test_a_scheduled_class_and_a_period_never_share_a_reading_and_none_is_lost(poller, sink, clock, running):
    async with running(poller(5, (PollClass(10, (0, 1)), quarters(offset_s=0))).run()):
        await clock.advance(3600)
    for unit in range(5):
        own = [batch.slot_ns for batch in sink.read(unit) if 0 in batch.handles % 100]
        assert len(own) in (360, 361)
        assert all(later - earlier == 10 * NS for earlier, later in pairwise(own))
        alone = [batch for batch in sink.read(unit) if (batch.handles % 100).tolist() == [10, 11]]
        assert {batch.slot_ns % (QUARTER_S * NS) for batch in alone} == {0}
        assert len(alone) >= 4


async def test_after_a_start_everything_is_read_once_and_that_reading_carries_its_own_time(
    poller, sink, clock, running
):
    await clock.advance(QUARTER_S / 2 + 200)  # too late for the slot that runs
    start_ns = clock.now_ns()
    async with running(poller().run()):
        await clock.advance(10)
    (batch,) = sink.batches
    assert 0 <= batch.slot_ns - start_ns < 6 * NS


@pytest.mark.parametrize(("late_s", "caught"), [(60, True), (600, True), (620, True), (640, False)])
async def test_a_hub_that_starts_late_catches_up_the_slot_that_runs_if_it_is_in_time(
    poller, sink, clock, running, late_s, caught
):
    await clock.advance(2 * QUARTER_S + late_s)
    under_test = poller()
    async with running(under_test.run()):
        await clock.advance(6)
    assert (slots_of(sink) == [2]) is caught
    assert len(sink.batches) == 1


async def test_what_is_dropped_is_not_read_after_a_late_start(poller, sink, clock, running):
    await clock.advance(QUARTER_S + 60)
    async with running(poller(classes=(quarters(Late.DROP),)).run()):
        await clock.advance(QUARTER_S)
    assert slots_of(sink) == [2]


async def test_a_slot_during_which_the_device_was_silent_is_read_late(poller, driver, sink, clock, running):
    under_test = poller()
    async with running(under_test.run()):
        await clock.advance(60)
        driver.devices["0"].dead = True
        await clock.advance(QUARTER_S)
        driver.devices["0"].dead = False
        await clock.advance(120)
    assert slots_of(sink)[-1] == 1
    assert under_test.device(0).slots_missed == 0
    assert sink.read(0)[-1].received_ns - sink.read(0)[-1].slot_ns > 60 * NS


async def test_a_slot_that_comes_back_too_late_is_missed_and_counted(poller, driver, sink, clock, running):
    under_test = poller(classes=(quarters(within_s=120),))
    async with running(under_test.run()):
        await clock.advance(60)
        driver.devices["0"].dead = True
        await clock.advance(2 * QUARTER_S)  # the slots 1 and 2, and 2 minutes less 30 seconds
        await clock.advance(240)
        driver.devices["0"].dead = False
        await clock.advance(QUARTER_S)
    assert [slot for slot in slots_of(sink) if slot >= 1] == [3]
    assert under_test.device(0).slots_missed == 2


async def test_with_drop_a_slot_that_was_asked_for_in_vain_is_missed(poller, driver, sink, clock, running):
    under_test = poller(classes=(quarters(Late.DROP),))
    async with running(under_test.run()):
        await clock.advance(60)
        driver.devices["0"].dead = True
        await clock.advance(QUARTER_S)
        driver.devices["0"].dead = False
        await clock.advance(QUARTER_S)
    assert [slot for slot in slots_of(sink) if slot >= 1] == [2]
    assert under_test.device(0).slots_missed == 1


@pytest.mark.parametrize(("late", "read", "missed"), [(Late.CATCH_UP, [3, 4], 2), (Late.DROP, [4], 3)])
async def test_slots_while_the_line_was_down(poller, driver, sink, clock, running, late, read, missed):
    under_test = poller(2, classes=(quarters(late),))
    async with running(under_test.run()):
        await clock.advance(60)
        driver.cut()
        await clock.advance(3 * QUARTER_S)
        driver.openable = True
        await clock.advance(QUARTER_S)
    for unit in range(2):
        assert [slot for slot in slots_of(sink, unit) if slot >= 1] == read
        assert under_test.device(unit).slots_missed == missed


async def test_a_bus_too_slow_for_a_schedule_reads_late_and_skips_what_it_cannot(poller, driver, sink, clock, running):
    fast = PollClass(60, (10,), Schedule("minutes", every(60, UTC), 0, Late.CATCH_UP, 60 * NS))
    for n in range(100):
        driver.devices[str(n)].latency_s = 0.9  # ninety seconds of work every sixty
    under_test = poller(100, (fast,))
    async with running(under_test.run()):
        await clock.advance(1800)
    counts = [len(sink.read(unit)) for unit in range(100)]
    assert sum(counts) >= 1800 / 0.9 * 0.95
    assert max(counts) - min(counts) <= 3
    for unit in range(100):
        slots = [batch.slot_ns for batch in sink.read(unit)][1:]
        assert len(set(slots)) == len(slots)


@pytest.mark.parametrize("step_s", [-7.0, 7.0])
async def test_a_small_step_of_the_wall_clock_doubles_no_slot(poller, sink, clock, running, step_s):
    async with running(poller().run()):
        await clock.advance(QUARTER_S + 33)
        clock.jump(step_s)
        await clock.advance(3 * QUARTER_S)
    assert [slot for slot in slots_of(sink) if slot >= 1] in ([1, 2, 3, 4], [1, 2, 3])


async def test_a_large_step_back_does_not_stop_the_schedule(poller, sink, clock, running):
    async with running(poller().run()):
        await clock.advance(QUARTER_S + 33)
        clock.jump(-86_400)
        del sink.batches[:]
        await clock.advance(3 * QUARTER_S)
    assert len(sink.batches) == 3


async def test_a_monthly_schedule_costs_nothing_in_between(poller, driver, sink, clock, running):
    monthly = Schedule("billing", cron("0 0 1 * *", UTC), 0, Late.DROP, 3600 * NS)
    async with running(poller(3, (PollClass(monthly.period_s, (10,), monthly),)).run()):
        await clock.advance(6)
        asked = len(driver.sent)
        await clock.advance(6 * 3600)
    assert asked == len(driver.sent) == 3


# on demand


async def test_two_who_ask_for_the_same_device_share_one_reading(poller, driver, sink, clock, running, begun):
    driver.devices["0"].latency_s = 0.5
    under_test = poller(2)
    async with running(under_test.run()):
        await clock.advance(20)
        before = driver.count("0")
        asked = [await begun(under_test.read_now(0)) for _ in range(5)]
        await clock.advance(2)
        assert driver.count("0") == before + 1
        assert {one.result().reason for one in asked} == {Reason.FRESH}
        await begun(under_test.read_now(0))
        await clock.advance(2)
    assert driver.count("0") == before + 2


async def test_who_waits_for_anothers_reading_still_gets_one_where_that_is_given_up(
    poller, driver, clock, running, begun
):
    driver.devices["0"].latency_s = 0.5
    under_test = poller(2)
    async with running(under_test.run()):
        await clock.advance(20)
        first, second = [await begun(under_test.read_now(0)) for _ in range(2)]
        first.cancel()
        await clock.advance(3)
        assert first.cancelled()
        assert second.result().reason is Reason.FRESH


async def test_reads_on_demand_without_end_leave_polling_its_half(poller, driver, sink, clock, running, begun):
    for n in range(20):
        driver.devices[str(n)].latency_s = 0.1
    under_test = poller(20, (PollClass(4, (0,)),))  # polling alone takes half of the time

    async def insist(unit: int) -> None:
        while True:
            await under_test.read_now(unit)

    async with running(under_test.run()):
        await clock.advance(10)
        del sink.batches[:]
        del driver.sent[:]
        callers = [await begun(insist(unit)) for unit in range(20)]
        await clock.advance(100)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    slots = {(batch.unit, batch.slot_ns) for batch in sink.batches}
    assert len(slots) >= 0.8 * 20 * 25
    assert len(driver.sent) >= 900


async def test_reads_on_demand_of_dead_devices_leave_polling_its_half(poller, driver, sink, clock, running, begun):
    for n in range(10, 20):
        driver.devices[str(n)].dead = True
    under_test = poller(20, (PollClass(1, (0,)),))
    for n in range(10):
        driver.devices[str(n)].latency_s = 0.1

    async def insist(unit: int) -> None:
        while True:
            await under_test.read_now(unit)

    async with running(under_test.run()):
        await clock.advance(30)
        del sink.batches[:]
        callers = [await begun(insist(unit)) for unit in range(10, 20)]
        await clock.advance(100)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    assert min(len(sink.read(unit)) for unit in range(10)) >= 20


async def test_a_read_on_demand_is_not_held_up_where_nothing_is_to_be_polled(poller, driver, clock, running, begun):
    driver.devices["0"].latency_s = 0.5
    under_test = poller(1)
    async with running(under_test.run()):
        await clock.advance(20)
        for _ in range(3):
            asked = await begun(under_test.read_now(0))
            await clock.advance(0.55)
            assert asked.done()


# what was read before a restart


class Remembers:
    """A memory that says of every unit that its last slot was this one."""

    def __init__(self, last_ns: int) -> None:
        self.last_ns = last_ns
        self.asked: list[tuple[int, list[int]]] = []

    async def last_slots_ns(self, asked):
        self.asked += [(unit, list(offsets)) for unit, offsets in asked]
        return [self.last_ns] * len(asked)


@pytest.mark.parametrize(("last", "read"), [(0, [2]), (1, [2]), (2, [])])
async def test_a_slot_that_was_read_before_the_hub_was_started_is_not_read_again(
    driver, sink, clock, device, running, last, read
):
    memory = Remembers(clock.now_ns() + last * QUARTER_S * NS)
    await clock.advance(2 * QUARTER_S + 100)
    channel = Channel("bus", driver, LINE, clock)
    under_test = Poller(channel, [PolledDevice(device(0), (quarters(),))], sink, clock, seed=7, memory=memory)
    async with running(under_test.run()):
        await clock.advance(6)
        assert slots_of(sink) == read
        await clock.advance(QUARTER_S)
    assert slots_of(sink) == [*read, 3]
    assert memory.asked == [(0, [10, 11])]

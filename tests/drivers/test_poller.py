"""Who is asked when, what comes of it, and what a dead device may cost."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from address_space.model.clock import NS
from address_space.model.errors import UnknownId
from address_space.model.quality import GOOD, Reason
from drivers.api import EarlierRatio, Line, Reading, WriteRequest
from drivers.channel import BACKOFF_LAST_S, Channel
from drivers.errors import ProfileError
from drivers.health import DeviceState
from drivers.poller import PollClass, PolledDevice, Poller, PollPolicy

LINE = Line(gap_s=0.0, timeout_s=1.0, quiet_s=0.2)
FAST = (PollClass(10, (0, 1, 2)),)
TWO = (PollClass(10, (0, 1, 2)), PollClass(60, (10, 11)))
FOUR_BLOCKS = (PollClass(10, (0, 10, 20, 30)),)


@pytest.fixture
def poller(driver, sink, clock, device):
    """Build a poller: `poller(5)` has five devices m0-m4."""

    def build(count=1, classes=FAST, *, first=0, on=None, line=LINE, policy=None, seed=7):
        used = on if on is not None else driver
        channel = Channel(f"bus{first}", used, line, clock)
        devices = [PolledDevice(device(first + n), classes) for n in range(count)]
        return Poller(channel, devices, sink, clock, policy, seed)

    return build


# slots


async def test_every_slot_of_every_device_is_read_once(poller, sink, clock, running):
    async with running(poller(20).run()):
        await clock.advance(605)
    for unit in range(20):
        slots = [batch.slot_ns for batch in sink.read(unit)]
        assert len(slots) >= 60
        assert all(later - earlier == 10 * NS for earlier, later in pairwise(slots))


async def test_slots_are_aligned_to_the_wall_clock_and_contain_the_reading(poller, sink, clock, running):
    clock.jump(3.7)
    async with running(poller(5).run()):
        await clock.advance(300)
    for batch in sink.batches:
        assert batch.slot_ns % (10 * NS) == 0
        assert 0 <= batch.received_ns - batch.slot_ns < 11 * NS


async def test_the_first_scan_of_all_devices_is_done_within_seconds_and_without_a_burst(
    poller, driver, sink, clock, running
):
    async with running(poller(50, (PollClass(900, (0, 1)),)).run()):
        await clock.advance(5.5)
    assert {batch.unit for batch in sink.batches} == set(range(50))
    starts = sorted(sent.start_ns for sent in driver.sent)
    assert min(b - a for a, b in pairwise(starts)) > 0.09 * NS


async def test_regular_readings_are_spread_over_the_period(poller, driver, clock, running):
    async with running(poller(50, (PollClass(100, (0, 1)),)).run()):
        await clock.advance(205)
        del driver.sent[:]
        await clock.advance(100)
    by_tenth = Counter(int(sent.start_ns / NS % 100 // 10) for sent in driver.sent)
    assert len(driver.sent) == 50
    assert set(by_tenth.values()) <= {4, 5, 6}


async def test_single_devices_on_many_channels_do_not_start_together(poller, new_driver, clock, running):
    drivers = [new_driver() for _ in range(20)]
    pollers = [poller(1, first=n, on=one) for n, one in enumerate(drivers)]
    async with running(pollers[0].run()), running(pollers[1].run()), running(pollers[2].run()):
        await clock.advance(10)
    assert len({drivers[n].sent[0].start_ns for n in range(3)}) == 3


async def test_the_same_seed_gives_the_same_order_and_another_seed_another(poller, new_driver, clock, running):
    orders = []
    for seed in (1, 1, 2):
        fresh, start_ns = new_driver(), clock.monotonic_ns()
        async with running(poller(10, on=fresh, seed=seed).run()):
            await clock.advance(30)
        orders.append([(sent.address, sent.start_ns - start_ns) for sent in fresh.sent][:10])
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


async def test_classes_that_fall_due_together_are_read_in_one_polling(poller, driver, sink, clock, running):
    async with running(poller(4, TWO).run()):
        await clock.advance(3600)
    batches = sink.read(0)
    both = [batch for batch in batches if len(batch.handles) == 5]
    assert len(both) in (60, 61)
    assert all(len(batch.handles) in (3, 5) for batch in batches)
    assert len({batch.slot_ns for batch in batches}) == len(batches)
    assert driver.plans == 2


async def test_no_slot_is_lost_over_a_day(poller, sink, clock, running):
    async with running(poller(1, (PollClass(300, (0,)),)).run()):
        await clock.advance(86_400)
    slots = [batch.slot_ns // NS for batch in sink.read(0)]
    assert len(slots) == 288
    assert all(later - earlier == 300 for earlier, later in pairwise(slots))


async def test_a_bus_that_cannot_keep_up_skips_slots_counts_them_and_treats_all_alike(
    poller, driver, sink, clock, running
):
    for n in range(20):
        driver.devices[str(n)].latency_s = 1.0  # twenty seconds of work every ten
    under_test = poller(20)
    async with running(under_test.run()):
        await clock.advance(1000)
    counts = [len(sink.read(unit)) for unit in range(20)]
    assert max(counts) - min(counts) <= 2
    assert 48 <= min(counts) <= 51
    assert under_test.snapshot().slots_missed == pytest.approx(20 * 50, rel=0.1)
    for unit in range(20):
        slots = [batch.slot_ns for batch in sink.read(unit)]
        assert len(set(slots)) == len(slots)


async def test_a_slow_device_does_not_starve_the_others(poller, driver, sink, clock, running):
    driver.devices["0"].latency_s = 0.9
    async with running(poller(10).run()):
        await clock.advance(600)
    assert min(len(sink.read(unit)) for unit in range(10)) >= 59


@pytest.mark.parametrize("step_s", [-3600, 3600, -7.5, 7.5])
async def test_a_step_of_the_wall_clock_neither_stops_nor_floods_the_polling(poller, sink, clock, running, step_s):
    async with running(poller(5).run()):
        await clock.advance(60)
        clock.jump(step_s)
        del sink.batches[:]
        await clock.advance(300)
    for unit in range(5):
        assert 29 <= len(sink.read(unit)) <= 31
        assert all(0 <= batch.received_ns - batch.slot_ns < 20 * NS for batch in sink.read(unit)[2:])


@pytest.mark.parametrize("step_s", [-7.5, -0.6, 0.6, 7.5])
async def test_a_small_step_of_the_wall_clock_reads_no_slot_twice_and_leaves_none_out(
    poller, sink, clock, running, step_s
):
    async with running(poller(20).run()):
        await clock.advance(63)
        clock.jump(step_s)
        await clock.advance(120)
    for unit in range(20):
        slots = [batch.slot_ns for batch in sink.read(unit)][1:]
        assert slots == list(range(slots[0], slots[-1] + 1, slots[1] - slots[0]))


# what is delivered


async def test_a_batch_carries_handles_values_status_and_times(poller, sink, clock, running):
    async with running(poller(3, TWO).run()):
        await clock.advance(10)
    batch = sink.read(2)[0]
    assert batch.handles.tolist() == [200, 201, 202, 210, 211]
    assert batch.values.tolist() == [0, 1, 2, 10, 11]
    assert batch.all_good
    assert batch.source_ns == batch.received_ns


async def test_a_devices_own_time_is_taken_only_near_the_hubs(poller, driver, sink, clock, running):
    driver.devices["0"].device_time_ns = clock.now_ns() + 2 * NS
    driver.devices["1"].device_time_ns = clock.now_ns() - 60 * NS
    async with running(poller(2).run()):
        await clock.advance(5)
    assert sink.read(0)[0].source_ns == clock.now_ns() - 5 * NS + 2 * NS
    assert sink.read(1)[0].source_ns == sink.read(1)[0].received_ns


async def test_a_request_that_fails_spoils_only_its_own_values(poller, driver, sink, clock, running):
    driver.devices["0"].mute = {1}
    async with running(poller(1, FOUR_BLOCKS).run()):
        await clock.advance(60)
    for batch in sink.read(0):
        assert batch.status.tolist() == [GOOD, Reason.TIMEOUT.status, GOOD, GOOD]
        assert np.isnan(batch.values[1])
    assert {report.error for report in sink.of(0)} == {""}


async def test_a_device_that_never_answers_its_first_request_is_still_read(poller, driver, sink, clock, running):
    driver.devices["0"].mute = {0}
    async with running(poller(1, FOUR_BLOCKS).run()):
        await clock.advance(300)
    assert [batch.status.tolist()[1:] for batch in sink.read(0)[-5:]] == [[GOOD] * 3] * 5
    assert not sink.of(0)[-1].lost


async def test_a_device_that_refuses_is_there_and_its_values_say_why(poller, driver, sink, clock, running):
    driver.devices["0"].refuses = True
    async with running(poller().run()):
        await clock.advance(100)
    assert {report.reason for report in sink.of(0)} == {Reason.NOT_SUPPORTED}
    assert not any(report.lost for report in sink.of(0))
    assert set(sink.read(0)[0].status.tolist()) == {Reason.NOT_SUPPORTED.status}


async def test_a_gateway_that_speaks_for_a_dead_device_does_not_bring_it_to_life(poller, driver, sink, clock, running):
    driver.devices["0"].unreached = True
    async with running(poller(1, FOUR_BLOCKS).run()):
        await clock.advance(100)
    assert (sink.of(0)[-1].reason, sink.of(0)[-1].lost) == (Reason.TIMEOUT, True)
    assert sink.batches == []
    assert driver.count("0") == len(sink.of(0))


async def test_one_broken_answer_is_asked_again_at_once(poller, driver, sink, clock, running):
    under_test = poller()
    async with running(under_test.run()):
        await clock.advance(15)
        driver.devices["0"].spoil = 1
        await clock.advance(60)
    assert {report.error for report in sink.of(0)} == {""}
    assert under_test.device(0).errors[Reason.BAD_FRAME] == 1


async def test_a_plan_that_cannot_be_made_is_reported_and_costs_the_bus_nothing(poller, driver, sink, clock, running):
    def refuse(device, offsets):
        raise ProfileError("block 7 overlaps itself")

    driver.plan = refuse
    async with running(poller().run()):
        await clock.advance(100)
    assert sink.of(0)[-1].reason is Reason.MISCONFIGURED
    assert sink.of(0)[-1].lost
    assert driver.sent == []


# dead devices


async def test_loss_is_declared_after_three_failed_pollings_and_the_first_answer_heals_everything(
    poller, driver, sink, clock, running
):
    async with running(poller(1, TWO).run()):
        await clock.advance(100)
        driver.devices["0"].dead = True
        del sink.reports[:], sink.batches[:]
        await clock.advance(200)
        failures = [(report.consecutive_failures, report.lost) for report in sink.of(0)][:4]
        assert failures == [(1, False), (2, False), (3, True), (4, True)]
        assert sink.batches == []
        driver.devices["0"].dead = False
        del sink.reports[:]
        await clock.advance(60)
    healed = sink.of(0)[0]
    assert (healed.reason, healed.error, healed.lost, healed.consecutive_failures) == (Reason.FRESH, "", False, 0)
    assert len(sink.read(0)[0].handles) == 5


async def test_attempts_at_a_dead_device_back_off_from_its_period_to_the_limit(poller, driver, clock, running):
    driver.devices["0"].dead = True
    async with running(poller().run()):
        await clock.advance(600)
    pauses = [round(later - earlier) for earlier, later in pairwise(driver.times("0"))]
    assert pauses[:5] == [11, 21, 41, 61, 61]
    assert set(pauses[5:]) == {61}


@pytest.mark.parametrize("blocks", [(PollClass(10, (0,)),), FOUR_BLOCKS])
async def test_a_dead_device_costs_at_most_one_timeout_per_pause(poller, driver, sink, clock, running, blocks):
    under_test = poller(10, blocks)
    async with running(under_test.run()):
        await clock.advance(60)
        driver.devices["3"].dead = True
        before = driver.count("3")
        await clock.advance(3 * 3600)
    dying = 2  # the polling that found it dead tried twice, because it was healthy before
    assert driver.count("3") - before <= dying + 5 + 3 * 60
    assert min(len(sink.read(unit)) for unit in range(10) if unit != 3) >= 3 * 360


async def test_a_dead_meter_never_delays_its_neighbours_on_other_channels(poller, new_driver, sink, clock, running):
    dead, healthy = new_driver(), new_driver()
    for n in range(5):
        dead.devices[str(n)].hangs = True
    async with running(poller(5, on=dead).run()), running(poller(5, first=5, on=healthy).run()):
        await clock.advance(3600)
    for unit in range(5, 10):
        readings = sink.read(unit)
        assert len(readings) >= 360
        phases = {(batch.received_ns - batch.slot_ns) // (NS // 1000) for batch in readings[1:]}
        assert max(phases) - min(phases) <= 1


async def test_many_dead_devices_leave_the_bus_to_those_that_answer(poller, driver, sink, clock, running):
    for n in range(80):
        driver.devices[str(n)].dead = True
    under_test = poller(100, policy=PollPolicy(backoff_max_s=30))
    async with running(under_test.run()):
        await clock.advance(1800)
    counts = [len(sink.read(unit)) for unit in range(80, 100)]
    assert min(counts) >= 160
    assert all(driver.count(str(n)) >= 3 for n in range(80))
    assert under_test.snapshot().devices[DeviceState.OFFLINE] == 80
    assert under_test.snapshot().devices[DeviceState.ONLINE] == 20
    assert {snapshot.unit for snapshot in under_test.troubled(100)} == set(range(80))
    assert len(under_test.troubled(3)) == 3


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(kinds=st.lists(st.sampled_from(["well", "well", "slow", "dead", "hangs"]), min_size=2, max_size=12))
async def test_whatever_is_dead_the_rest_is_read_and_the_dead_cost_one_timeout_per_pause(
    new_driver, device, clock, running, new_sink, kinds
):
    driver, sink = new_driver(), new_sink()
    for number, kind in enumerate(kinds):
        behaviour = driver.devices[str(number)]
        behaviour.latency_s = 0.4 if kind == "slow" else 0.02
        behaviour.dead, behaviour.hangs = kind == "dead", kind == "hangs"
    devices = [PolledDevice(device(number), TWO) for number in range(len(kinds))]
    under_test = Poller(Channel("bus", driver, LINE, clock), devices, sink, clock, PollPolicy(backoff_max_s=40))
    async with running(under_test.run()):
        await clock.advance(1200)
    for number, kind in enumerate(kinds):
        if kind in ("dead", "hangs"):
            assert 5 <= driver.count(str(number)) <= 3 + 1200 / 40
            assert under_test.health.state(number) is DeviceState.OFFLINE
        else:
            slots = [batch.slot_ns for batch in sink.read(number)]
            assert len(slots) >= 114  # the first scan may stand behind eleven that hang
            assert len(set(slots)) == len(slots)
    assert driver.most_in_flight == 1


# the line


async def test_a_lost_line_is_told_once_of_every_device_and_read_again_when_it_is_back(
    poller, driver, sink, clock, running
):
    async with running(poller(30).run()):
        await clock.advance(60)
        driver.cut()
        sent = len(driver.sent)
        del sink.reports[:], sink.batches[:]
        await clock.advance(3600)
        assert len(sink.reports) == 30
        assert {(report.reason, report.lost) for report in sink.reports} == {(Reason.NOT_CONNECTED, True)}
        assert len(driver.sent) == sent
        driver.openable = True
        await clock.advance(36)
    assert {report.unit for report in sink.reports[30:]} == set(range(30))
    assert {(report.reason, report.lost) for report in sink.reports[30:]} == {(Reason.FRESH, False)}
    assert {batch.unit for batch in sink.batches} == set(range(30))


async def test_a_line_that_opens_and_breaks_over_and_over_is_told_once(poller, driver, sink, clock, running):
    for n in range(5):
        driver.devices[str(n)].drops_line = True
    async with running(poller(5).run()):
        await clock.advance(3600)
    assert len(sink.reports) == 5
    assert len(driver.opens) < 3600 / BACKOFF_LAST_S + 20


async def test_a_line_that_was_never_there_is_told_at_once(poller, driver, sink, clock, running):
    driver.openable = False
    async with running(poller(100).run()):
        await clock.advance(6)
    assert len(sink.reports) == 100
    assert {report.reason for report in sink.reports} == {Reason.NOT_CONNECTED}


async def test_a_device_that_makes_the_peer_hang_up_does_not_take_the_line_from_the_others(
    poller, driver, sink, clock, running
):
    driver.devices["0"].drops_line = True
    async with running(poller(5).run()):
        await clock.advance(600)
    assert min(len(sink.read(unit)) for unit in range(1, 5)) >= 58
    assert sink.of(0)[-1].lost
    assert not any(report.error for report in sink.reports if report.unit != 0)


# reading on demand and commands


async def test_reading_on_demand_goes_ahead_between_the_requests_of_a_running_plan(
    poller, driver, sink, clock, running, begun
):
    for n in range(3):
        driver.devices[str(n)].latency_s = 0.5
    under_test = poller(3, FOUR_BLOCKS)
    async with running(under_test.run()):
        await clock.advance(11)
        while not driver.in_flight:
            await clock.advance(0.1)
        asked_at = len(driver.sent)
        asked = await begun(under_test.read_now(1))
        command = await begun(under_test.channel.write(under_test._devices[0], WriteRequest("switch", 1)))
        await clock.advance(6)
    assert asked.result().reason is Reason.FRESH
    assert command.result().acknowledged
    after = [(sent.address, sent.key) for sent in driver.sent[asked_at + 1 :]]
    assert after[:2] == [("0", "switch"), ("1", 0)]
    assert driver.most_in_flight == 1


async def test_reading_on_demand_heals_a_dead_device_at_once(poller, driver, sink, clock, running, begun):
    driver.devices["0"].dead = True
    under_test = poller(2)
    async with running(under_test.run()):
        await clock.advance(600)
        driver.devices["0"].dead = False
        asked = await begun(under_test.read_now(0))
        await clock.advance(0.5)
        assert asked.result().reason is Reason.FRESH
        assert not sink.of(0)[-1].lost
        assert under_test.device(0).slots_missed == 0
        before = len(sink.read(0))
        await clock.advance(60)
        assert len(sink.read(0)) - before in (5, 6)
        assert under_test.device(0).slots_missed == 0


async def test_reading_on_demand_on_a_lost_line_says_so(poller, driver, sink, clock, running):
    driver.openable = False
    under_test = poller(2)
    async with running(under_test.run()):
        await clock.advance(10)
        assert (await under_test.read_now(1)).reason is Reason.NOT_CONNECTED
        with pytest.raises(UnknownId):
            await under_test.read_now(77)


# robustness


async def test_a_sink_that_waits_makes_the_poller_wait_and_slots_are_skipped(poller, driver, sink, clock, running):
    under_test = poller(3)
    async with running(under_test.run()):
        await clock.advance(20)
        sink.gate.clear()
        sent = len(driver.sent)
        await clock.advance(100)
        assert len(driver.sent) - sent <= 1
        sink.gate.set()
        del sink.batches[:]
        await clock.advance(60)
    assert under_test.snapshot().slots_missed >= 25
    for unit in range(3):
        assert len(sink.read(unit)) in (6, 7, 8)


async def test_a_driver_that_breaks_its_contract_costs_only_its_device(poller, driver, sink, clock, running, caplog):
    driver.devices["1"].bug = KeyError("oops")
    under_test = poller(3)
    with caplog.at_level(logging.ERROR):
        async with running(under_test.run()) as task:
            await clock.advance(600)
            assert not task.done()
            assert under_test.faults >= 5
            assert len(caplog.records) == 1
            driver.devices["1"].bug = None
            await clock.advance(120)
    assert {int(code) for code in sink.read(1)[0].status} == {Reason.BAD_FRAME.status}
    assert sink.read(1)[-1].all_good
    assert min(len(sink.read(unit)) for unit in (0, 2)) >= 70


async def test_a_sink_that_fails_does_not_end_the_polling(poller, sink, clock, running):
    async with running(poller(3).run()) as task:
        sink.broken = RuntimeError("disk full")
        await clock.advance(60)
        assert not task.done()
        sink.broken = None
        await clock.advance(120)
    assert {batch.unit for batch in sink.batches} == {0, 1, 2}
    assert sink.read(0)[-1].all_good


@pytest.mark.parametrize("hang", ["request", "open", "sink"])
async def test_stopping_is_prompt_wherever_the_poller_stands(poller, driver, sink, clock, hang):
    driver.devices["0"].hangs = hang == "request"
    driver.opening_hangs = hang == "open"
    if hang == "sink":
        sink.gate.clear()
    task = asyncio.ensure_future(poller().run())
    await clock.advance(9.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not driver.connected
    assert driver.in_flight == 0


async def test_a_poller_without_devices_waits_quietly(poller, clock, running):
    async with running(poller(0).run()) as task:
        await clock.advance(60)
        assert not task.done()


async def test_logging_tells_of_a_lost_device_once_and_of_its_return(poller, driver, clock, running, caplog):
    with caplog.at_level(logging.INFO):
        async with running(poller(2).run()):
            await clock.advance(30)
            driver.devices["0"].dead = True
            await clock.advance(600)
            driver.devices["0"].dead = False
            await clock.advance(120)
    phrases = [record.getMessage().split(" channel=")[0] for record in caplog.records]
    assert phrases == ["line opened", "device lost", "device is back"]


# instrument transformers


async def test_readings_are_multiplied_by_the_ratio_of_their_slot_and_the_new_one_holds_without_a_restart(
    driver, sink, clock, device, running
):
    change_ns = clock.now_ns() // (60 * NS) * 60 * NS + 300 * NS
    driver.decode = lambda device, plan, _answers: Reading(
        np.full(len(plan.offsets), device.ratio[0]), np.full(len(plan.offsets), GOOD, np.uint32)
    )
    changed = replace(device(0), ratio=(60.0, 1.0), earlier=EarlierRatio(change_ns, (30.0, 1.0)))
    poller = Poller(Channel("bus", driver, LINE, clock), [PolledDevice(changed, FAST)], sink, clock)
    async with running(poller.run()):
        await clock.advance(120)
        assert poller.target(changed.unit).ratio == (30.0, 1.0)
        await clock.advance(480)
        assert poller.target(changed.unit).ratio == (60.0, 1.0)
    told = {batch.slot_ns: float(batch.values[0]) for batch in sink.batches}
    assert {told[slot] for slot in told if slot < change_ns} == {30.0}
    assert {told[slot] for slot in told if slot >= change_ns} == {60.0}
    assert told[change_ns] == 60.0

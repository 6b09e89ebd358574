"""One exchange at a time, in order, with gaps, deadlines and a line that comes back."""

from __future__ import annotations

import asyncio

import pytest

from address_space.model.clock import NS
from drivers.api import Line, Request, WriteRequest
from drivers.channel import BACKOFF_LAST_S, Channel, Lane
from drivers.errors import BadFrame, ChannelDown, DeviceRefused, NoAnswer

LINE = Line(gap_s=0.05, timeout_s=1.0, quiet_s=0.2)
ASK = Request(0, "block 0")


@pytest.fixture
async def channel(driver, clock):
    async with Channel("bus", driver, LINE, clock) as channel:
        yield channel


async def test_one_exchange_at_a_time_however_many_ask(channel, driver, device, clock, begun):
    asked = [await begun(channel.exchange(device(n), ASK)) for n in range(10)]
    await clock.advance(5)
    assert all(task.done() for task in asked)
    assert driver.most_in_flight == 1
    assert [sent.address for sent in driver.sent] == [str(n) for n in range(10)]


async def test_the_gap_lies_between_the_end_of_one_exchange_and_the_start_of_the_next(
    channel, driver, device, clock, begun
):
    for n in range(5):
        await begun(channel.exchange(device(n), ASK))
    await clock.advance(5)
    silences = [later.start_ns - earlier.end_ns for earlier, later in zip(driver.sent, driver.sent[1:], strict=False)]
    assert silences == [round(LINE.gap_s * NS)] * 4


async def test_after_silence_or_a_broken_answer_the_line_rests_longer(channel, driver, device, clock, begun):
    driver.devices["0"].dead = True
    driver.devices["1"].spoil = 1
    asked = [await begun(channel.exchange(device(n), ASK)) for n in range(3)]
    await clock.advance(5)
    silences = [later.start_ns - earlier.end_ns for earlier, later in zip(driver.sent, driver.sent[1:], strict=False)]
    assert silences == [round(LINE.quiet_s * NS)] * 2
    assert isinstance(asked[0].exception(), NoAnswer)
    assert isinstance(asked[1].exception(), BadFrame)


async def test_the_priority_lane_goes_ahead_of_all_that_wait(channel, driver, device, clock, begun):
    for n in range(5):
        await begun(channel.exchange(device(n), ASK))
    await begun(channel.exchange(device(90), ASK, Lane.PRIORITY))
    await begun(channel.write(device(91), WriteRequest("switch", 1)))
    await clock.advance(5)
    assert [sent.address for sent in driver.sent] == ["0", "90", "91", "1", "2", "3", "4"]


async def test_a_command_overtakes_a_poll_that_waits_out_the_gap(channel, driver, device, clock, begun):
    await begun(channel.exchange(device(0), ASK))
    await clock.advance(0.02)
    await begun(channel.exchange(device(1), ASK))
    await begun(channel.exchange(device(2), ASK))
    await begun(channel.write(device(90), WriteRequest("switch", 1)))
    await clock.advance(5)
    assert [sent.address for sent in driver.sent] == ["0", "90", "1", "2"]


async def test_a_driver_that_hangs_is_ended_at_the_deadline_and_the_next_gets_its_turn(
    channel, driver, device, clock, begun
):
    driver.devices["0"].hangs = True
    hung = await begun(channel.exchange(device(0), ASK))
    after = await begun(channel.exchange(device(1), ASK))
    await clock.advance(channel.deadline_s - 0.01)
    assert not hung.done()
    await clock.advance(1)
    assert isinstance(hung.exception(), NoAnswer)
    assert after.done()
    assert after.exception() is None
    assert channel.tally.overruns == 1


async def test_a_deadline_leaves_no_trace_of_cancellation_in_the_task(channel, driver, device, clock, begun):
    driver.devices["0"].hangs = True

    async def twice():
        with pytest.raises(NoAnswer):
            await channel.exchange(device(0), ASK)
        assert asyncio.current_task().cancelling() == 0
        return await channel.exchange(device(1), ASK)

    task = await begun(twice())
    await clock.advance(5)
    assert task.exception() is None


@pytest.mark.parametrize("when", ["waiting", "in the gap", "in flight"])
async def test_a_cancelled_request_gives_its_turn_away(channel, driver, device, clock, begun, when):
    driver.devices["0"].latency_s = 0.5
    first = await begun(channel.exchange(device(0), ASK))
    second = await begun(channel.exchange(device(1), ASK))
    third = await begun(channel.exchange(device(2), ASK))
    if when == "in the gap":
        await clock.advance(0.51)
    victim = first if when == "in flight" else second
    victim.cancel()
    await clock.advance(5)
    assert victim.cancelled()
    assert third.exception() is None
    assert [sent.address for sent in driver.sent][-1] == "2"
    assert driver.most_in_flight == 1


async def test_a_turn_given_to_a_request_that_is_cancelled_in_the_same_instant_is_not_lost(
    driver, device, clock, begun
):
    async with Channel("bus", driver, Line(gap_s=0, timeout_s=1, quiet_s=0), clock) as channel:
        gate = asyncio.Event()

        async def slow(device, request):
            await gate.wait()
            return 1

        driver.request = slow
        await begun(channel.exchange(device(0), ASK))
        second = await begun(channel.exchange(device(1), ASK))
        third = await begun(channel.exchange(device(2), ASK))
        gate.set()
        for _ in range(4):
            await asyncio.sleep(0)
            second.cancel()
        await clock.advance(1)
        assert third.done()
        assert not third.cancelled()


async def test_the_line_opens_on_demand_and_closes_with_the_channel(driver, device, clock, begun):
    async with Channel("bus", driver, LINE, clock) as channel:
        assert driver.opens == []
        asked = await begun(channel.exchange(device(0), ASK))
        await clock.advance(1)
        assert asked.exception() is None
        assert channel.up
    assert not driver.connected


async def test_while_the_line_is_down_requests_fail_at_once(channel, driver, device, clock, begun):
    driver.openable = False
    for n in range(20):
        with pytest.raises(ChannelDown):
            await channel.exchange(device(n), ASK)
    assert clock.monotonic_ns() == 0
    assert len(driver.opens) == 1


async def test_requests_that_waited_for_an_opening_that_failed_fail_with_it(channel, driver, device, clock, begun):
    driver.opening_hangs = True
    asked = [await begun(channel.exchange(device(n), ASK)) for n in range(3)]
    await clock.advance(11)
    assert [type(task.exception()) for task in asked] == [ChannelDown] * 3
    assert len(driver.opens) == 1


async def test_the_pause_between_attempts_to_open_doubles_up_to_its_limit(channel, driver, clock):
    driver.openable = False
    for _ in range(1500):
        with pytest.raises(ChannelDown):
            await channel.connect()
        await clock.advance(0.1)
    pauses = [round((b - a) / NS, 1) for a, b in zip(driver.opens, driver.opens[1:], strict=False)]
    assert pauses[:6] == [0.5, 1, 2, 4, 8, 10]
    assert set(pauses[6:]) == {BACKOFF_LAST_S}


async def test_a_line_that_worked_and_was_closed_by_the_peer_is_opened_again_without_a_failure(
    channel, driver, device, clock, begun
):
    await begun(channel.exchange(device(0), ASK))
    await clock.advance(60)
    await driver.close()
    asked = await begun(channel.exchange(device(0), ASK))
    await clock.advance(1)
    assert asked.exception() is None
    assert channel.tally.losses == 1


async def test_a_peer_that_accepts_and_hangs_up_is_not_hammered(channel, driver, device, clock, begun):
    driver.devices["0"].drops_line = True
    for _ in range(600):
        with pytest.raises(ChannelDown):
            await channel.exchange(device(0), ASK)
        await clock.advance(0.1)
    assert len(driver.opens) <= 4 + 60 / BACKOFF_LAST_S


async def test_a_line_on_which_nothing_answers_any_more_is_opened_anew(channel, driver, device, clock, begun):
    driver.devices["0"].dead = True
    for _ in range(120):
        asked = await begun(channel.exchange(device(0), ASK))
        await clock.advance(2)
        assert isinstance(asked.exception(), NoAnswer)
    assert 2 <= len(driver.opens) <= 5


@pytest.mark.parametrize(("trouble", "acknowledged"), [("dead", None), ("hangs", None), ("refuses", False)])
async def test_a_write_without_answer_is_unknown_and_a_refused_one_is_not(
    channel, driver, device, clock, begun, trouble, acknowledged
):
    setattr(driver.devices["0"], trouble, True)
    written = await begun(channel.write(device(0), WriteRequest("switch", 1)))
    await clock.advance(5)
    assert written.result().acknowledged is acknowledged
    assert driver.count("0") == 1


async def test_a_write_on_a_line_that_is_down_raises_because_nothing_was_sent(channel, driver, device):
    driver.openable = False
    with pytest.raises(ChannelDown):
        await channel.write(device(0), WriteRequest("switch", 1))


async def test_probing_tells_who_is_there(channel, driver, device, clock, begun):
    probe = await begun(channel.probe(device(7)))
    await clock.advance(1)
    assert probe.result() == "meter 7"


async def test_counters_tell_what_happened(channel, driver, device, clock, begun):
    driver.devices["1"].dead = True
    driver.devices["2"].refuses = True
    for n in range(3):
        await begun(channel.exchange(device(n), ASK))
    await clock.advance(3)
    assert channel.tally.requests == 3
    assert {reason.name: count for reason, count in channel.tally.errors.items()} == {"TIMEOUT": 1, "NOT_SUPPORTED": 1}
    assert channel.tally.busy_ns == round((0.01 + 1.0 + 0.01) * NS)
    assert channel.tally.utilisation(clock.monotonic_ns()) == pytest.approx(1.02 / 3, rel=0.01)
    assert channel.tally.last_good_ns == clock.now_ns() - 3 * NS + round(0.01 * NS)


async def test_before_and_after_its_use_a_channel_asks_nobody_and_says_so(driver, device, clock):
    channel = Channel("bus", driver, LINE, clock)
    with pytest.raises(ChannelDown, match="is not in use"):
        await channel.exchange(device(0), ASK)
    async with channel:
        pass
    with pytest.raises(ChannelDown, match="is not in use"):
        await channel.exchange(device(0), ASK)
    assert channel.tally.requests == 0
    assert not driver.connected


async def test_an_error_inside_the_block_comes_out_as_it_is(driver, device, clock):
    driver.devices["0"].refuses = True
    driver.devices["0"].latency_s = 0
    with pytest.raises(DeviceRefused):
        async with Channel("bus", driver, LINE, clock) as channel:
            await channel.exchange(device(0), ASK)

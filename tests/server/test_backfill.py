"""Gaps of a DL/T 645 meter, exact to the slot, and filled from what the meter kept."""

from __future__ import annotations

import asyncio

import numpy as np

from address_space.model import Quantity
from address_space.model.quality import GOOD
from drivers.simulators.dlt645 import Manners
from drivers.simulators.dlt645_image import Image
from drivers.simulators.faults import Silent
from historian.api import Row
from historian.gaps import Cause
from server.app import Hub
from server.backfill import BackfillOptions
from tests.server.backfill_rig import HOUR_MS, PATIENCE_S, POINT, QUARTER_MS, Market, Rig, doomed, outage, quarters

IMPORT = Quantity.ACTIVE_ENERGY_IMPORT
POLLED = 28
"""Requests with which the meter is read once; its gap of a day takes some hundred more."""
SLIP_S = 5.0
"""What a busy machine may add to an exchange; a backfill that let nobody in would take minutes."""


async def assert_filled(market: Market, rig: Rig, slots: list[int]) -> None:
    """Every slot is in the history with what the meter showed then."""
    await rig.filled()
    kept = await rig.stored()
    assert {slot: kept.get(slot) for slot in slots} == {slot: float(market.counted(slot)) for slot in slots}


async def test_hours_without_the_hub_are_gaps_and_are_filled_from_the_meter(site) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 5)
        slots = quarters(begun + QUARTER_MS, now)
        async with Rig(market.draw(), market.clock, look_s=1e6) as rig:
            await rig.polled()
            gaps = await rig.history.ledger.gaps(begun - HOUR_MS, now + HOUR_MS)
            assert {(gap.first_ms, gap.last_ms, gap.missing, gap.cause) for gap in gaps} == {
                (slots[0], slots[-1], len(slots), Cause.HUB_DOWN)
            }
            assert {gap.measurement.value for gap in gaps} == {"energy", "inst"}
        async with Rig(market.draw(), market.clock) as rig:
            await assert_filled(market, rig, slots)
            voltages = await rig.stored(Quantity.VOLTAGE_L1)
            assert set(slots) <= set(voltages)
            asked = rig.backfill.state.asked
            await asyncio.sleep(0.5)
            assert rig.backfill.state.asked == asked


async def test_a_meter_on_a_line_of_several_protocols_is_asked_as_well(site) -> None:
    async with Market(site, driver="mixed") as market:
        begun, now = await outage(market, 1.5)
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            await assert_filled(market, rig, quarters(begun + QUARTER_MS, now))


async def test_a_meter_that_was_silent_for_hours_is_asked_what_it_kept(site) -> None:
    async with Market(site) as market, Rig(market.draw(), market.clock) as rig:
        begun = await rig.polled()
        market.station.fault_state.set((Silent(),), market.clock.now_ns())
        for _ in range(6):
            market.clock.shift(0.5)
            await rig.poller.read_now(rig.unit)
        await rig.history.recorder.flush()
        slots = quarters(begun + QUARTER_MS, begun + 10 * QUARTER_MS)
        gaps = await rig.history.ledger.gaps(begun, slots[-1] + 1)
        assert {(gap.first_ms, gap.last_ms, gap.cause) for gap in gaps} == {(slots[0], slots[-1], Cause.NOT_READ)}
        assert rig.backfill.state.filled == 0
        market.station.fault_state.set((), market.clock.now_ns())
        await rig.poller.read_now(rig.unit)
        await assert_filled(market, rig, slots)


async def test_a_line_that_is_cut_in_the_middle_is_taken_up_again_where_it_was(site) -> None:
    async with Market(site, turnaround_s=0.02) as market:
        begun, now = await outage(market, 12)
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            await rig.until(lambda: rig.backfill.state.asked >= 4)
            await market.line.stop()
            await rig.until(lambda: rig.channel.tally.losses)
            assert await rig.missing() > len(quarters(begun, now))
            await market.line.start()
            await assert_filled(market, rig, quarters(begun + QUARTER_MS, now))


async def test_what_the_meter_does_not_have_is_given_up_and_stays_a_gap(site, monkeypatch) -> None:
    absent = frozenset({*range(0x05040001, 0x050400FF), *range(0x05060001, 0x050600FF)})
    monkeypatch.setattr(Image, "records", lambda *_: b"")
    async with Market(site, Manners(absent=absent)) as market:
        begun, now = await outage(market, 3)
        slots = quarters(begun + QUARTER_MS, now - QUARTER_MS)
        for _ in range(2):
            async with Rig(market.draw(), market.clock) as rig:
                await rig.polled()
                await rig.filled()
                gaps = await rig.history.ledger.gaps(begun, now - QUARTER_MS)
                assert {gap.cause for gap in gaps} == {Cause.LACKING}
                assert {gap.missing for gap in gaps} == {len(slots)}
                again = await rig.history.ledger.missing(begun, now, [POINT], again=True)
                assert sum(len(found) for _, _, found in again) >= 2 * len(slots)
        assert rig.backfill.state.asked == 0


async def test_a_good_value_is_never_written_over_and_late_ones_are_taken_from_anybody(site) -> None:
    async with Market(site) as market, Rig(market.draw(), market.clock, look_s=1e6) as rig:
        begun = await rig.polled()
        (known,) = (value for time, value in (await rig.stored()).items() if time == begun)
        late = begun - QUARTER_MS
        rows = [
            Row(POINT, time, [IMPORT], np.array([7.0]), np.array([GOOD], np.uint32)) for time in (begun, late, late)
        ]
        assert await rig.backfill.accept(rows[:2]) == 1
        await rig.history.recorder.flush()
        assert await rig.backfill.accept(rows) == 0
        kept = await rig.stored()
        assert (kept[begun], kept[late]) == (known, 7.0)


async def test_nobody_waits_for_the_backfill_longer_than_one_exchange(site) -> None:
    turnaround_s = 0.15
    async with Market(site, turnaround_s=turnaround_s) as market:
        await outage(market, 30 * 24)
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            await rig.until(lambda: rig.backfill.state.asked >= 2)
            device = rig.poller.target(rig.unit)
            request = rig.channel.driver.plan(device, (0,)).requests[0]
            for _ in range(5):
                asked, before = rig.backfill.state.asked, market.bus.requests
                began_ns = rig.clock.monotonic_ns()
                await rig.channel.exchange(device, request)
                assert rig.clock.monotonic_ns() - began_ns < (2 * turnaround_s + SLIP_S) * 1e9
                assert rig.backfill.state.asked <= asked + 1
                assert market.bus.requests - before <= 2
                await asyncio.sleep(0.37)
            await rig.until(lambda: rig.backfill.state.asked > 4)


async def test_a_hub_that_is_killed_while_it_fills_ends_with_everything_once(site) -> None:
    async with Market(site, turnaround_s=0.01) as market:
        begun, now = await outage(market, 24)
        for nth in range(3):
            wanted = market.bus.requests + POLLED + 6 + 5 * nth
            async with doomed(market), asyncio.timeout(PATIENCE_S):
                while market.bus.requests < wanted:  # noqa: ASYNC110  # another process asks
                    await asyncio.sleep(0.005)
        async with Rig(market.draw(), market.clock) as rig:
            assert rig.history.ledger.crashed
            await rig.polled()
            assert await rig.missing()
            await assert_filled(market, rig, quarters(begun + QUARTER_MS, now))
            kept = await rig.reader.read_raw(POINT, IMPORT, 0, 2**45, 100_000)
            assert len(kept.time_ms) == len(set(kept.time_ms.tolist()))


async def test_the_whole_hub_fills_its_gaps(site) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 4)
        hub = Hub(market.draw(), market.clock)
        assert hub.backfill is not None
        assert hub.history is not None
        assert hub.history.reader is not None
        hub.backfill.options = BackfillOptions(look_s=0.1, settle_s=10.0)
        stop, ready = asyncio.Event(), asyncio.Event()
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            tasks.create_task(hub.run(stop, ready.set))
            await ready.wait()
            while await hub.history.ledger.gaps(begun, now):  # noqa: ASYNC110  # no event
                await asyncio.sleep(0.05)
            kept = await hub.history.reader.read_raw(POINT, IMPORT, begun, now + 1, 1000)
            stop.set()
        assert kept.time_ms.tolist() == quarters(begun, now + 1)
        assert np.diff(kept.values).min() >= 0


async def test_a_hub_that_was_away_for_minutes_has_no_gap(site) -> None:
    async with Market(site) as market:
        begun, _ = await outage(market, 0.1)
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            market.clock.shift(1)
            gaps = await rig.history.ledger.gaps(begun, begun + 1)
            assert gaps == []

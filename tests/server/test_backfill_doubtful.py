"""What a meter tells that cannot be: nothing of it comes into the history."""

from __future__ import annotations

import numpy as np
import pytest

from address_space.model import Quantity
from address_space.model.quality import GOOD
from drivers.archive import Archived
from drivers.channel import Lane
from drivers.codec import sum8
from drivers.dlt645.formats import MINUTE
from drivers.simulators.dlt645 import Dlt645Station, Manners
from drivers.simulators.dlt645_image import Image
from drivers.simulators.faults import Silent
from historian.gaps import Cause, Hitch, Wish, periodic
from historian.gaps.order_file import OrderFile
from historian.schema import Measurement
from server import backfill_orders
from server.meter_memory import Want
from tests.server.backfill_rig import HOUR_MS, POINT, QUARTER_MS, Market, Rig

IMPORT, EXPORT = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_ENERGY_EXPORT
FROZEN = frozenset({*range(0x05040001, 0x050400FF), *range(0x05060001, 0x050600FF)})


async def away(market: Market, hours: float) -> tuple[int, int]:
    """A hub that read the meter once and was then down; the slot it read, and the one of now."""
    async with Rig(market.draw(), market.clock, look_s=1e6) as rig:
        begun = await rig.polled()
    market.clock.shift(hours)
    return begun, market.clock.now_ms() // QUARTER_MS * QUARTER_MS


@pytest.mark.parametrize("late_h", [-10, 10])
async def test_registers_that_do_not_fit_between_what_is_stored_are_not_booked(site, monkeypatch, late_h: int) -> None:
    honest = Image._record

    def of_another_time(self: Image, of_class: int, at: int) -> bytes:
        told = bytearray(honest(self, of_class, at + late_h * 3600))
        told[3:8] = MINUTE.encode(self.local(at))
        told[-2] = sum8(bytes(told[:-2]))
        return bytes(told)

    async with Market(site, Manners(absent=FROZEN)) as market:
        begun, now = await away(market, 5)
        with monkeypatch.context() as lying:
            lying.setattr(Image, "_record", of_another_time)
            async with Rig(market.draw(), market.clock) as rig:
                await rig.polled()
                await rig.filled()
                gaps = await rig.history.ledger.gaps(begun + QUARTER_MS, now - QUARTER_MS)
                assert {gap.cause for gap in gaps if gap.measurement is Measurement.ENERGY} == {Cause.LACKING}
                assert not set(range(begun + QUARTER_MS, now - QUARTER_MS, QUARTER_MS)) & set(await rig.stored())


async def test_registers_of_a_meter_that_was_exchanged_fit_what_is_read_of_it(site) -> None:
    async with Market(site, Manners(absent=FROZEN)) as market:
        begun, now = await away(market, 5)
        slots = list(range(begun + QUARTER_MS, now, QUARTER_MS))
        used = market.counted(begun)
        honest = Image._value

        def from_zero(self: Image, item, second: int):  # type: ignore[no-untyped-def]  # as the image has it
            value = honest(self, item, second)
            return value - (used + 50_000_000) / 1000 if item.quantity is IMPORT and value is not None else value

        with pytest.MonkeyPatch.context() as exchanged:
            exchanged.setattr(Image, "_value", lambda self, item, second: max(from_zero(self, item, second) or 0, 0))
            async with Rig(market.draw(), market.clock) as rig:
                await rig.polled()
                await rig.filled()
                stored = await rig.stored()
                assert {stored[slot] for slot in slots} == {0.0}


async def test_what_a_meter_told_before_it_fell_silent_is_kept(site) -> None:
    async with Market(site, turnaround_s=0.02) as market:
        begun, now = await away(market, 6)
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            await rig.until(lambda: rig.backfill.state.asked >= 5)
            market.station.fault_state.set((Silent(),), market.clock.now_ns())
            await rig.until(lambda: rig.backfill.state.failed > 0)
            await rig.history.recorder.flush()
            slots = set(range(begun + QUARTER_MS, now, QUARTER_MS))
            kept = {slot: value for slot, value in (await rig.stored()).items() if slot in slots}
            assert kept
            assert kept == {slot: float(market.counted(slot)) for slot in kept}
            told = await rig.history.ledger.gaps(begun + QUARTER_MS, now)
            assert {gap.cause for gap in told} == {Cause.HUB_DOWN}


def test_of_two_values_that_a_book_tells_of_one_moment_neither_is_believed_from_then_on() -> None:
    slots = np.arange(0, HOUR_MS, QUARTER_MS)
    want = Want(periodic(Measurement.ENERGY, QUARTER_MS), frozenset({IMPORT, EXPORT}), slots)
    first = Archived(0, IMPORT, 5.0, GOOD)
    want.take([first, Archived(0, EXPORT, 1.0, GOOD), Archived(QUARTER_MS, IMPORT, 7.0, GOOD)], "load")
    want.take([first], "load")
    want.take([Archived(0, IMPORT, 9.0, GOOD)], "freeze")
    assert want.told[0][IMPORT] == first
    want.take([Archived(QUARTER_MS, IMPORT, 8.0, GOOD)], "load")
    want.take([Archived(QUARTER_MS, IMPORT, 7.0, GOOD)], "freeze")
    want.take([Archived(QUARTER_MS, EXPORT, 1.0, GOOD)], "load")
    assert want.told.keys() == {0}
    assert want.told[0].keys() == {IMPORT, EXPORT}


async def test_between_two_frames_of_any_search_whoever_has_priority_is_served(site, monkeypatch) -> None:
    """By the bus's own record: no more than the frame that is under way goes before a command, also among freezes."""
    frames: list[int] = []
    honest = Dlt645Station.answer

    def noted(self: Dlt645Station, request: bytes, now_ns: int) -> bytes | None:
        frames.append(int.from_bytes(bytes((byte - 0x33) & 0xFF for byte in request[-6:-2]), "little"))
        return honest(self, request, now_ns)

    monkeypatch.setattr(Image, "records", lambda *_: None)
    monkeypatch.setattr(Dlt645Station, "answer", noted)
    async with Market(site, turnaround_s=0.02) as market:
        await away(market, 30 * 24)
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            device = rig.poller.target(rig.unit)
            request = rig.channel.driver.plan(device, (0,)).requests[0]
            for _ in range(15):
                asked = rig.backfill.state.asked
                await rig.until(lambda asked=asked: rig.backfill.state.asked > asked)  # type: ignore[misc]
                before = len(frames)
                await rig.channel.exchange(device, request, Lane.PRIORITY)
                behind = frames[before:]
                assert len(behind) - 1 <= 1, [f"{each:08X}" for each in behind]
            assert any(each >> 24 == 0x05 for each in frames)


async def test_a_meter_whose_clock_is_wrong_keeps_its_gaps_until_it_is_set_and_an_order_tells_why(
    site, monkeypatch
) -> None:
    monkeypatch.setattr(backfill_orders, "LOOK_S", 0.05)
    monkeypatch.setattr(backfill_orders, "RETRY_FIRST_S", 0.1)
    async with Market(site, Manners(clock_off_s=3600)) as market:
        begun, now = await away(market, 2)
        slots = list(range(begun + QUARTER_MS, now - QUARTER_MS, QUARTER_MS))
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            await rig.until(lambda: rig.backfill.state.failed > 0)
            with OrderFile(market.orders) as file:
                number = file.add(Wish((POINT,), slots[0], slots[-1] + 1, "anna"), market.clock.now_ms()).number
                await rig.until(lambda: file.unit(number, 0).tries >= 2)
                unit = file.unit(number, 0)
                assert unit.hitch is Hitch.REFUSED
                assert "its clock is off by 60 min" in unit.detail
                assert rig.backfill.state.lacking == 0
                assert not set(slots) & set(await rig.stored())
                market.station.clock_off_s = 0
                await rig.until(lambda: not file.order(number).is_open)
                assert file.unit(number, 0).filled == 2 * len(slots)
            stored = await rig.stored()
            assert {slot: stored[slot] for slot in slots} == {slot: float(market.counted(slot)) for slot in slots}

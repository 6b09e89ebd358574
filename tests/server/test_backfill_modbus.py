"""Gaps of a Modbus meter, filled from the logs that its profile names."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from address_space.model import Quantity
from drivers.errors import DriverError
from drivers.modbus import ModbusPlugin, compile_profile
from drivers.profiles import load_library
from drivers.simulators import Framing, SimulatedBus
from drivers.simulators.image import make_layout
from drivers.simulators.meter import Installation, Meter
from drivers.simulators.stations import ModbusStation
from drivers.simulators.unit import ModbusUnit
from drivers.simulators.wire import MODBUS
from historian.calendar import Width
from historian.gaps import Cause
from server.app import Blueprint
from tests.server.backfill_rig import HOUR_MS, POINT, QUARTER_MS, START_MS, Gateway, Rig, Shifted, outage, quarters

IMPORT = Quantity.ACTIVE_ENERGY_IMPORT
PLANT = """\
name: Market
time_zone: Asia/Tashkent
hierarchy: [{{id: f1, kind: feeder}}]
channels:
  bus1: {{driver: modbus, options: {{host: 127.0.0.1, port: {port}, framer: rtu, timeout_ms: 1000, gap_ms: 0}}}}
metering_units:
  - {{id: m1, parent: f1, profile: test/logger, channel: bus1, address: "17"}}
"""
PROFILE = """\
profile: test/logger
vendor: Test
model: Logger
protocol: modbus
source: [{{document: this test}}]
points:
  ActiveEnergyImport: {{at: 0, type: uint32, unit: Wh}}
  VoltageL1: {{at: 2, type: uint16, scale: 0.1, unit: V}}
modbus:
  max_words: 100
  logs:
    log:
      {log}
      period: {period}
      values:
        ActiveEnergyImport: {{at: 3, type: uint32}}
        VoltageL1: {{at: 5, type: uint16, scale: 0.1}}
"""
LOGS = {
    "file": """file: 4
      words: 7
      count: 2976
      newest: {at: 0x0310, type: uint32, means: total}
      time: {at: 0, format: [year2 month, day hour, minute second], bcd: true}
      checksum: {at: 6, kind: crc16}""",
    "ring": """at: 0x4000
      words: 6
      stride: 8
      count: 3000
      newest: search
      time: {at: 0, format: unix}""",
    "days": """at: 0x6000
      words: 6
      count: 31
      newest: first""",
}
DATED = ("file", "ring")


class Market(Gateway):
    """The site with a meter of Modbus behind its gateway."""

    def __init__(self, site, log: str, *, turnaround_s: float = 0.0) -> None:
        clock = Shifted(START_MS)
        file: Path = site.folder / "profiles" / "test" / "logger.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(PROFILE.format(log=LOGS[log], period="1d" if log == "days" else "15min"), encoding="utf-8")
        compiled = compile_profile(load_library(site.folder / "profiles").get("test/logger"))
        self.unit = ModbusUnit(Meter(Installation("m1")), make_layout(compiled, (1.0, 1.0)))
        self.bus = SimulatedBus(clock, turnaround_s=turnaround_s)
        self.bus.attach(MODBUS[Framing.RTU], ModbusStation(self.unit, 17))
        super().__init__(site, self.bus, clock, PLANT)

    def draw(self) -> Blueprint:
        """The site's blueprint, whose driver goes by the clock of all."""
        blueprint = super().draw()
        (bus,) = blueprint.assembly.buses
        buses = (replace(bus, plugin=ModbusPlugin(self.clock)),)
        return replace(blueprint, assembly=replace(blueprint.assembly, buses=buses))

    def counted(self, time_ms: int) -> float:
        """What the meter's own books say, in watt-hours."""
        value = self.unit.values(time_ms // 1000)[IMPORT.code]
        assert value is not None
        return float(value)


async def assert_filled(market: Market, rig: Rig, slots: list[int]) -> None:
    """Every slot is in the history with what the meter's books say, and the ledger knows that it was filled."""
    await rig.filled()
    kept = await rig.stored()
    assert {slot: kept.get(slot) for slot in slots} == {slot: market.counted(slot) for slot in slots}
    assert set(slots) <= set(await rig.stored(Quantity.VOLTAGE_L1))
    assert await rig.history.ledger.gaps(slots[0], slots[-1] + 1) == []
    days = await rig.history.ledger.completeness(slots[0], slots[-1] + 1, Width.DAY, ZoneInfo("Asia/Tashkent"), [POINT])
    assert sum(day.filled for day in days) == 2 * len(slots)  # energy and voltage


@pytest.mark.parametrize("log", DATED)
async def test_a_bus_that_was_cut_for_hours_is_filled_from_the_meters_log(site, log: str) -> None:
    async with Market(site, log) as market, Rig(market.draw(), market.clock) as rig:
        begun = await rig.polled()
        await market.line.stop()
        for _ in range(10):
            market.clock.shift(0.5)
            with contextlib.suppress(DriverError):
                await rig.poller.read_now(rig.unit)
        slots = quarters(begun + QUARTER_MS, begun + 18 * QUARTER_MS)
        gaps = await rig.history.ledger.gaps(begun, slots[-1] + 1)
        assert {(gap.first_ms, gap.last_ms, gap.cause) for gap in gaps} == {(slots[0], slots[-1], Cause.NOT_READ)}
        assert rig.backfill.state.filled == 0
        await market.line.start()
        await rig.until(lambda: rig.channel.retry_in_s == 0)
        await rig.poller.read_now(rig.unit)
        now = market.clock.now_ms() // QUARTER_MS * QUARTER_MS
        await assert_filled(market, rig, quarters(begun + QUARTER_MS, now))


@pytest.mark.parametrize("log", DATED)
async def test_hours_without_the_hub_are_filled_from_the_meters_log(site, log: str) -> None:
    async with Market(site, log) as market:
        begun, now = await outage(market, 31)
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            await assert_filled(market, rig, quarters(begun + QUARTER_MS, now))


@pytest.mark.parametrize("log", DATED)
async def test_what_the_log_does_not_reach_is_given_up(site, log: str) -> None:
    async with Market(site, log) as market:
        begun, now = await outage(market, 5)
        began = begun + 2 * HOUR_MS
        market.unit.log_keeper.begun_ms = began
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            await rig.filled()
            kept = await rig.stored()
            slots = quarters(began, now)
            assert {slot: kept.get(slot) for slot in slots} == {slot: market.counted(slot) for slot in slots}
            gaps = await rig.history.ledger.gaps(begun, now)
            assert {(gap.first_ms, gap.last_ms, gap.cause) for gap in gaps} == {
                (begun + QUARTER_MS, began - QUARTER_MS, Cause.LACKING)
            }


@pytest.mark.parametrize("log", DATED)
async def test_polling_and_commands_wait_for_one_frame_of_the_log_at_most(site, log: str) -> None:
    turnaround_s = 0.15
    async with Market(site, log, turnaround_s=turnaround_s) as market:
        await outage(market, 20 * 24)
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            await rig.until(lambda: rig.backfill.state.asked >= 2)
            device = rig.poller.target(rig.unit)
            request = rig.channel.driver.plan(device, (0,)).requests[0]
            for pause_s in _pauses():
                before, began_ns = market.bus.requests, rig.clock.monotonic_ns()
                await rig.channel.exchange(device, request)
                assert (
                    rig.clock.monotonic_ns() - began_ns < (2 * turnaround_s + 5.0) * 1e9
                )  # a busy machine has its time
                assert market.bus.requests - before <= 2
                await asyncio.sleep(pause_s)
            await rig.until(lambda: rig.backfill.state.asked > 4)


async def test_midnights_are_filled_from_the_registers_of_the_last_days(site) -> None:
    async with Market(site, "days") as market:
        begun, now = await outage(market, 50)
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            await rig.filled()
            kept = await rig.stored()
            midnights = [slot for slot in quarters(begun, now) if (slot + 5 * HOUR_MS) % (24 * HOUR_MS) == 0]
            assert len(midnights) == 2
            filled = set(kept) - {begun, now}
            assert {slot: kept[slot] for slot in filled} == {slot: market.counted(slot) for slot in midnights}
            missing = sum(gap.missing for gap in await rig.history.ledger.gaps(begun, now - QUARTER_MS))
            assert missing == 2 * (len(quarters(begun + QUARTER_MS, now - QUARTER_MS)) - len(midnights))


def _pauses() -> Iterator[float]:
    return iter(np.linspace(0.3, 0.45, 5).tolist())

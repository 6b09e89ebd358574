"""The driver with simulated meters: whole profiles read, commands carried out, over memory, TCP and a serial port."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import pytest

from address_space.model.clock import SystemClock
from address_space.model.ids import UnitHandle
from address_space.model.quality import GOOD, Reason
from address_space.model.state import CommandState, SwitchState
from drivers.api import Device, Reading
from drivers.channel import Channel
from drivers.commands import CommandResult, execute
from drivers.dlt645 import Options, plugin
from drivers.dlt645.driver import Dlt645Driver
from drivers.errors import ChannelDown
from drivers.interview import interview
from drivers.profiles import load_library
from drivers.simulators.bus import SimulatedBus
from drivers.simulators.dlt645 import Dlt645Station, Manners
from drivers.simulators.dlt645_supply import Purse
from drivers.simulators.faults import (
    Echo,
    ExceptionAnswer,
    HalfFrame,
    LongPreamble,
    NoiseBefore,
    Silent,
    StrayAnswer,
    WrongCheck,
    WrongUnit,
)
from drivers.simulators.meter import Installation
from drivers.simulators.ports import PseudoTerminal, TcpPort
from drivers.simulators.wire import DLT645
from drivers.transport import Lines, SerialSettings, pair
from drivers.turns import Lane

LIBRARY = load_library()
ADDRESS = "202611220017"
NEIGHBOUR = "202611220018"
SINGLE, THREE = "generic/dlt645-2007-single-phase", "generic/dlt645-2007-three-phase"
PREPAID, OLD = "generic/dlt645-2007-prepaid-relay", "generic/dlt645-1997"


class Hasty(SystemClock):
    """For whom a second is soon over."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 50)


@dataclass
class Site:
    """A channel and the station behind it."""

    channel: Channel
    bus: SimulatedBus
    station: Dlt645Station

    def device(self, profile: str, address: str = ADDRESS) -> Device:
        compiled = plugin.compile(LIBRARY.get(profile))
        return Device(UnitHandle(int(address[-2:], 16)), 0, f"meter {address}", compiled, address)

    async def read(self, device: Device, *names: str) -> dict[str, tuple[float, int]]:
        """Value and status by quantity, of all points or of those named."""
        points = device.profile.points
        wanted = tuple(offset for offset, point in enumerate(points) if not names or point.name in names)
        plan = self.channel.driver.plan(device, wanted)
        talk = await interview(self.channel, device, plan, Lane.POLL, retries=1)
        reading: Reading = self.channel.driver.decode(device, plan, talk.answers)
        shown = zip(reading.values.tolist(), reading.status.tolist(), strict=True)
        return {points[offset].name: each for offset, each in zip(wanted, shown, strict=True)}

    async def command(self, device: Device, name: str, **arguments: Any) -> CommandResult:
        actions = plugin.command(device.profile, name, arguments)
        return await execute(self.channel, device, actions, Hasty())


def new_bus(manners: Manners | None = None, *, purse: Purse | None = None, phases: int = 3, **line: Any):
    clock = SystemClock()
    bus = SimulatedBus(clock, **line)
    station = Dlt645Station(Installation("m17", phases=phases), ADDRESS, manners, purse=purse)
    bus.attach(DLT645, station, station.wire_address)
    other = Dlt645Station(Installation("m18", phases=phases), NEIGHBOUR, manners)
    bus.attach(DLT645, other, other.wire_address)
    return bus, station


@contextlib.asynccontextmanager
async def in_memory(manners: Manners | None = None, *, purse: Purse | None = None, phases: int = 3, **options: Any):
    clock = SystemClock()
    bus, station = new_bus(manners, purse=purse, phases=phases)
    near, far = pair()
    given = {"host": "bus", "port": 1, "timeout_ms": 1000, "gap_ms": 0, "time_zone": "Asia/Tashkent", **options}
    chosen = Options.model_validate(given)
    driver = Dlt645Driver("bus", chosen, near, clock)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(bus.serve(far), name="bus")
        async with Channel("bus", driver, plugin.line(chosen), clock) as channel:
            yield Site(channel, bus, station)
        serving.cancel()


@pytest.mark.parametrize(("profile", "version"), [(SINGLE, "2007"), (THREE, "2007"), (PREPAID, "2007"), (OLD, "1997")])
async def test_what_a_profile_reads_is_what_the_meter_measures(profile, version):
    purse = Purse(19_856) if profile == PREPAID else None
    async with in_memory(Manners(version=version), purse=purse) as site:
        shown = await site.read(site.device(profile))
        bad = {name: Reason(status) for name, (_, status) in shown.items() if status != GOOD}
        assert set(bad.values()) <= {Reason.NOT_SUPPORTED}, bad
        assert len(bad) <= len(shown) // 4, bad
        phase = "" if profile in (SINGLE, PREPAID) else "L1"
        assert 190 < shown[f"Voltage{phase}"][0] < 260
        tariffs = sum(shown[f"ActiveEnergyImportT{tariff}"][0] for tariff in range(1, 5))
        assert shown["ActiveEnergyImport"][0] == pytest.approx(tariffs, abs=50)
        if purse is not None:
            assert shown["Prepayment.MeterCredit"] == (purse.money / 100, GOOD)
            assert shown["Switch.State"] == (float(SwitchState.CLOSED), GOOD)


async def test_a_meter_without_blocks_shows_the_same():
    async with in_memory(Manners(has_blocks=False)) as site:
        device = site.device(THREE)
        names = ("VoltageL1", "VoltageL2", "VoltageL3", "ActiveEnergyImport", "ActiveEnergyImportT1")
        first, second = await site.read(device, *names), await site.read(device, *names)
        assert {status for _, status in first.values()} == {status for _, status in second.values()} == {GOOD}


@pytest.mark.parametrize(("profile", "version"), [(THREE, "2007"), (OLD, "1997")])
async def test_long_answers_come_in_several_frames(profile, version):
    names = ("ActiveEnergyImport", *(f"ActiveEnergyImportT{tariff}" for tariff in range(1, 5)))
    async with in_memory(Manners(version=version, most_data=13)) as site:
        shown = await site.read(site.device(profile), *names)
        assert {status for _, status in shown.values()} == {GOOD}
        assert shown["ActiveEnergyImport"][0] == pytest.approx(sum(shown[name][0] for name in names[1:]), abs=50)
        assert site.bus.requests > 1


@pytest.mark.parametrize(
    "fault", [NoiseBefore(12), LongPreamble(13), Echo(), StrayAnswer()], ids=lambda f: type(f).__name__
)
async def test_what_else_is_on_the_line_does_no_harm(fault):
    async with in_memory() as site:
        await site.read(site.device(SINGLE, NEIGHBOUR), "Frequency")
        site.station.fault_state.set((fault,), SystemClock().now_ns())
        shown = await site.read(site.device(SINGLE), "Frequency", "Voltage", "Current", "ActiveEnergyImport")
        assert {status for _, status in shown.values()} == {GOOD}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (WrongCheck(), Reason.BAD_FRAME),
        (HalfFrame(), Reason.BAD_FRAME),
        (WrongUnit(), Reason.TIMEOUT),
        (Silent(), Reason.TIMEOUT),
        (StrayAnswer(alone=True), Reason.TIMEOUT),
        (ExceptionAnswer(1), Reason.DEVICE_ERROR),
        (ExceptionAnswer(2), Reason.NOT_SUPPORTED),
    ],
    ids=lambda each: type(each).__name__ if not isinstance(each, Reason) else each.name,
)
async def test_a_failure_has_its_own_reason_and_no_value(fault, reason):
    async with in_memory() as site:
        await site.read(site.device(SINGLE, NEIGHBOUR), "Frequency")
        site.station.fault_state.set((fault,), SystemClock().now_ns())
        shown = await site.read(site.device(SINGLE), "Frequency")
        assert shown["Frequency"][1] == reason.status


async def test_supply_is_opened_and_closed_and_seen_to_be():
    async with in_memory(purse=Purse(10_000)) as site:
        device = site.device(PREPAID)
        opened = await site.command(device, "open_supply")
        assert (opened.state, opened.shown) == (CommandState.CONFIRMED, "relay open, told to open")
        shown = await site.read(device, "Switch.State", "Switch.Commanded")
        assert [value for value, _ in shown.values()] == [SwitchState.OPEN, SwitchState.OPEN]
        closed = await site.command(device, "close_supply")
        assert (closed.state, closed.shown) == (CommandState.CONFIRMED, "relay closed, told to close")


async def test_permission_to_close_waits_for_the_key_and_is_not_repeated():
    async with in_memory(purse=Purse(10_000)) as site:
        device = site.device(PREPAID)
        site.station.relay.needs_key = True
        await site.command(device, "open_supply")
        requests = site.bus.requests
        permitted = await site.command(device, "permit_close")
        assert permitted.state is CommandState.CONFIRMED
        assert "waits for the key" in permitted.shown
        assert site.bus.requests - requests == 4  # date, time, one 1C, one look
        shown = await site.read(device, "Switch.State", "Switch.Commanded")
        assert [value for value, _ in shown.values()] == [SwitchState.READY_TO_CLOSE, SwitchState.CLOSED]


async def test_a_relay_that_sticks_is_not_taken_for_open():
    async with in_memory(purse=Purse(10_000)) as site:
        site.station.relay.sticks = True
        device = site.device(PREPAID)
        before = plugin.command(device.profile, "open_supply", {})
        short = [action if action.write else _looked_at(action, (0.0, 0.01)) for action in before]
        result = await execute(site.channel, device, short, SystemClock())
        assert result.state is CommandState.UNKNOWN
        assert "told to open" in result.shown


async def test_a_wrong_password_is_a_refusal_and_switches_nothing():
    async with in_memory(Manners(passwords={2: "123456"}), purse=Purse(10_000)) as site:
        result = await site.command(site.device(PREPAID), "open_supply")
        assert result.state is CommandState.REJECTED
        assert "wrong password" in result.detail
        assert not site.station.relay.is_open
        right = await site.command(site.device(PREPAID), "open_supply", password="123456")  # noqa: S106
        assert right.state is CommandState.CONFIRMED


async def test_a_meter_whose_clock_is_years_off_is_switched_all_the_same():
    async with in_memory(Manners(clock_off_s=-5 * 365 * 86_400), purse=Purse(10_000)) as site:
        assert (await site.command(site.device(PREPAID), "open_supply")).state is CommandState.CONFIRMED


async def test_power_is_kept_and_released():
    async with in_memory(purse=Purse(10_000)) as site:
        device = site.device(PREPAID)
        kept = await site.command(device, "keep_power")
        assert (kept.state, "keeps power" in kept.shown) == (CommandState.CONFIRMED, True)
        assert (await site.command(device, "open_supply")).state is CommandState.REJECTED
        assert (await site.command(device, "release_keep_power")).state is CommandState.CONFIRMED
        assert (await site.command(device, "open_supply")).state is CommandState.CONFIRMED


@pytest.mark.parametrize(("profile", "version"), [(SINGLE, "2007"), (OLD, "1997")])
async def test_a_clock_is_set_and_seen_to_be_right(profile, version):
    async with in_memory(Manners(version=version, clock_off_s=4000)) as site:
        now_ns = SystemClock().now_ns()
        result = await site.command(site.device(profile), "set_clock", time=now_ns)
        assert result.state is CommandState.CONFIRMED, result
        assert result.drift_s == pytest.approx(4000, abs=2)
        assert abs(site.station.clock_off_s) <= 1


async def test_a_broadcast_sets_all_clocks_and_one_meter_proves_it():
    async with in_memory(Manners(clock_off_s=60)) as site:
        result = await site.command(site.device(SINGLE), "other_broadcast_clock")
        assert result.state is CommandState.CONFIRMED, result
        assert abs(site.station.clock_off_s) <= 1


async def test_ready_ciphertext_is_handed_over_and_the_answer_shown():
    async with in_memory(Manners(sealed=True), purse=Purse(100)) as site:
        sealed = (5000).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(14)
        result = await site.command(site.device(PREPAID), "other_recharge", ciphertext=sealed.hex())
        assert result.state is CommandState.CONFIRMED
        assert result.shown == "answered FF020107"
        assert site.station.purse.purchases == 1
        again = await site.command(site.device(PREPAID), "other_recharge", ciphertext=sealed.hex())
        assert again.state is CommandState.REJECTED


async def test_any_identifier_can_be_read_raw():
    async with in_memory() as site:
        result = await site.command(site.device(SINGLE), "other_read", di="04000401")
        assert result.state is CommandState.CONFIRMED
        assert result.shown == f"04000401 is {bytes.fromhex(ADDRESS)[::-1].hex().upper()}"


async def test_a_probe_tells_who_is_there():
    async with in_memory() as site:
        told = await site.channel.probe(site.device(SINGLE))
        assert f"address {ADDRESS}" in told
        assert "type SIM645" in told


async def test_behind_a_gateway_a_pulled_plug_heals():
    clock = SystemClock()
    bus, station = new_bus()
    port = TcpPort(bus)
    await port.start()
    options = Options.model_validate({"host": "127.0.0.1", "port": port.port, "timeout_ms": 3000, "gap_ms": 0})
    async with Lines(clock) as lines:
        driver = plugin.create("gw", options, lines)
        async with Channel("gw", driver, plugin.line(options), clock) as channel:
            site = Site(channel, bus, station)
            assert (await site.read(site.device(SINGLE), "Frequency"))["Frequency"][1] == GOOD
            await port.stop()
            with pytest.raises(ChannelDown):
                await site.read(site.device(SINGLE), "Frequency")
            await port.start()
            await clock.sleep(channel.retry_in_s)
            assert (await site.read(site.device(SINGLE), "Frequency"))["Frequency"][1] == GOOD
    await port.stop()


async def test_a_serial_port_is_opened_even_parity_by_default(tmp_path):
    clock = SystemClock()
    settings = SerialSettings(baud=9600)
    bus, station = new_bus(settings=settings)
    port = PseudoTerminal(bus, tmp_path / "tty")
    await port.start()
    options = Options.model_validate({"transport": "serial", "device": str(tmp_path / "tty"), "gap_ms": 0})
    assert (options.parity.value, options.timeout_ms) == ("even", 1500)
    try:
        async with Lines(clock) as lines:
            driver = plugin.create("bus", options, lines)
            async with Channel("bus", driver, plugin.line(options), clock) as channel:
                site = Site(channel, bus, station)
                shown = await site.read(site.device(THREE), "VoltageL1", "VoltageL2", "VoltageL3", "Frequency")
                assert {status for _, status in shown.values()} == {GOOD}
    finally:
        await port.stop()


def _looked_at(action, after_s):
    return type(action)(action.label, confirm=action.confirm, after_s=after_s)

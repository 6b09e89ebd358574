"""Commands of a profile carried out on a simulated meter, through channel, driver and executor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from address_space.model.clock import NS, SystemClock, to_datetime
from address_space.model.ids import UnitHandle
from address_space.model.state import CommandState
from drivers.api import Device
from drivers.channel import Channel
from drivers.commands import CommandResult, execute
from drivers.errors import ProfileError
from drivers.modbus import plugin
from drivers.simulators import ExceptionAnswer, Silent
from drivers.simulators.image import make_layout
from drivers.simulators.meter import Installation, Meter
from drivers.simulators.modbus import ModbusServer
from drivers.simulators.unit import ModbusUnit
from drivers.transport import Lines

PROFILE = """
modbus:
  fc: 3
  base: 40001
  clock: {at: 40101, format: [year, month day, hour minute, second], zone: Asia/Tashkent, tolerance_s: 3}
points:
  VoltageL1: {at: 40001, type: uint16, scale: 0.1, unit: V}
  CurrentL1: {at: 40002, type: uint16, scale: 0.01, unit: A}
commands:
  open_supply:
    steps:
      - write: {at: 40301, fc: 16, argument: {name: password, type: uint32, max: 999999}}
      - write: {at: 40303, fc: 6, values: [0xAA55]}
      - wait_s: 0.01
      - write: {at: 40304, fc: 16, values: [0]}
      - {read_back: {at: 40304, type: uint16, mask: 1, equals: 0}, within_s: 0.2}
      - {write: {at: 40303, fc: 6, values: [0]}, always: true}
  close_supply:
    steps:
      - write: {at: 40304, fc: 16, values: [1]}
      - {effect: "VoltageL1 > 100", within_s: 0.2}
  permit_close:
    steps:
      - write: {at: 40304, fc: 16, values: [2]}
      - {effect: "CurrentL1 > 90000", within_s: 0.2}
  set_output:
    steps:
      - write: {at: 1, base: 1, fc: 5, argument: {type: bool, map: {0: 1, 1: 0}}}
      - {read_back: {at: 1, base: 1, fc: 1, type: bool, equals: 0}, within_s: 0.2}
  set_ct_ratio:
    min_interval_s: 60
    steps:
      - write: {at: 40310, fc: 16, argument: {type: float32, min: 1, max: 5000}}
      - {read_back: {at: 40310, type: float32, argument: value}, within_s: 0.2}
  set_password:
    steps:
      - write: {at: 40312, fc: 16, argument: {name: new_password, type: string, words: 2}}
      - {read_back: {at: 40312, type: string, words: 2, argument: new_password}, within_s: 0.2}
  set_clock:
    steps:
      - read_back: {clock: any}
      - write: {clock: time}
      - read_back: {clock: time}
"""
PASSWORD = 123_456


class Yard:
    """One simulated meter and the channel to it."""

    def __init__(self, channel: Channel, device: Device, unit: ModbusUnit, clock: SystemClock) -> None:
        self.channel = channel
        self.device = device
        self.unit = unit
        self.clock = clock

    async def order(self, name: str, **arguments: Any) -> CommandResult:
        actions = plugin.command(self.device.profile, name, arguments)
        return await execute(self.channel, self.device, actions, self.clock)

    def held(self, address: int) -> int | None:
        return self.unit.written(address - 40001)


@pytest.fixture
async def yard(compiled: Any) -> AsyncIterator[Yard]:
    clock = SystemClock()
    profile = compiled(PROFILE)
    unit = ModbusUnit(Meter(Installation("m1"), 1), make_layout(profile, (1.0, 1.0)))
    server = ModbusServer("127.0.0.1", 0, {1: unit}, clock)
    await server.start()
    options = plugin.options(host="127.0.0.1", port=server.port, timeout_ms=500)
    driver = plugin.create("bus", options, Lines(clock))
    device = Device(UnitHandle(1), 0, "m1", profile, "1")
    async with Channel("bus", driver, plugin.line(options), clock) as channel:
        yield Yard(channel, device, unit, clock)
    await server.stop()


async def test_a_relay_is_unlocked_opened_seen_open_and_locked_again(yard: Yard) -> None:
    result = await yard.order("open_supply", password=PASSWORD)
    assert (result.state, result.shown) == (CommandState.CONFIRMED, "0 in FC3 0x012F uint16")
    assert [yard.held(40301), yard.held(40302)] == list(divmod(PASSWORD, 0x10000))
    assert yard.held(40303) == 0


async def test_a_measured_effect_confirms_a_command_and_its_absence_fails_it(yard: Yard) -> None:
    closed = await yard.order("close_supply")
    assert closed.state is CommandState.CONFIRMED
    assert closed.shown.startswith("VoltageL1 = 2")
    failed = await yard.order("permit_close")
    assert failed.state is CommandState.FAILED
    assert "CurrentL1 = " in failed.detail


async def test_inverted_logic_is_a_map_of_the_argument(yard: Yard) -> None:
    assert (await yard.order("set_output", value=True)).state is CommandState.CONFIRMED
    assert (await yard.order("set_output", value=0)).state is CommandState.FAILED
    with pytest.raises(ProfileError, match="none of 0, 1"):
        await yard.order("set_output", value=7)


async def test_an_argument_is_written_within_its_limits_and_read_back(yard: Yard) -> None:
    assert (await yard.order("set_ct_ratio", value=33.3)).state is CommandState.CONFIRMED
    for value, wrong in ((0.5, "below the lowest that may be written, 1"), (6000, "above the highest"), ("x", "fit")):
        with pytest.raises(ProfileError, match=wrong):
            await yard.order("set_ct_ratio", value=value)
    with pytest.raises(ProfileError, match="needs the argument 'value'"):
        await yard.order("set_ct_ratio")


async def test_a_silent_meter_leaves_the_outcome_unknown_and_a_refusing_one_rejects(yard: Yard) -> None:
    yard.unit.fault_state.set((Silent(),), yard.clock.now_ns())
    silent = await yard.order("close_supply")
    assert silent.state is CommandState.UNKNOWN
    yard.unit.fault_state.set((ExceptionAnswer(3),), yard.clock.now_ns())
    refused = await yard.order("open_supply", password=PASSWORD)
    assert refused.state is CommandState.REJECTED
    assert "exception 3" in refused.detail


async def test_no_secret_is_in_labels_results_or_errors(yard: Yard) -> None:
    actions = plugin.command(yard.device.profile, "open_supply", {"password": PASSWORD})
    assert str(PASSWORD) not in repr(actions)
    assert "q7z9" not in repr(plugin.command(yard.device.profile, "set_password", {"new_password": "q7z9"}))
    result = await yard.order("set_password", new_password="q7z9")  # noqa: S106 - a meter in memory
    assert result.state is CommandState.CONFIRMED
    assert "q7z9" not in repr(result)
    for name, bad in (("open_supply", 7_654_321), ("open_supply", "swordfish"), ("set_password", "swordfish")):
        argument = "password" if name == "open_supply" else "new_password"
        with pytest.raises(ProfileError) as caught:
            await yard.order(name, **{argument: bad})
        assert str(bad) not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
async def test_a_clock_is_set_in_the_zone_the_profile_says(yard: Yard, zone: str) -> None:
    yard.unit.clock_off_ns = -125 * NS
    now = to_datetime(yard.clock.now_ns()).astimezone(ZoneInfo(zone))
    result = await yard.order("set_clock", time=now)
    assert result.state is CommandState.CONFIRMED
    assert result.drift_s == pytest.approx(-125, abs=2)
    assert yard.unit.clock_off_ns / NS == pytest.approx(0, abs=1.5)
    local = datetime.now(ZoneInfo("Asia/Tashkent"))
    just_before = local - timedelta(minutes=1)
    assert yard.held(40103) in [moment.hour << 8 | moment.minute for moment in (local, just_before)]


async def test_another_moment_than_now_can_be_set_as_well(yard: Yard) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    assert (await yard.order("set_clock", time=ahead)).state is CommandState.CONFIRMED
    assert yard.unit.clock_off_ns / NS == pytest.approx(3600, abs=2)
    with pytest.raises(ProfileError, match="no time with its time zone"):
        await yard.order("set_clock", time="now")


def test_a_command_that_a_profile_lacks_is_told_with_those_it_has(compiled: Any) -> None:
    with pytest.raises(ProfileError, match=r"no command 'clear_demand'.*open_supply, close_supply"):
        plugin.command(compiled(PROFILE), "clear_demand", {})

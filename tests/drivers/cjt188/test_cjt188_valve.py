"""Valves: what is sent, when it is looked at, and what is believed; and the other writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from address_space.model.quality import GOOD
from address_space.model.quantity import Quantity
from address_space.model.state import CommandState, ValveState
from drivers.api import Action, Confirmation, Line, WriteRequest
from drivers.channel import Channel
from drivers.cjt188 import plugin
from drivers.cjt188.frame import Decoder, Frame, encode
from drivers.commands import execute
from drivers.errors import ProfileError
from drivers.simulators.cjt188 import Cjt188Station, ClockManner, Kind, Manners
from drivers.simulators.faults import ExceptionAnswer, Silent

VALVE = """\
cjt188: {has_valve: true}
points:
  Volume: {di: 0x901F, field: cumulative, unit: m3}
  Valve.State: {di: 0x901F, valve: true}
commands:
  open_valve: {steps: [{write: {valve: open}}, {read_back: {valve: open}}]}
  close_valve: {steps: [{write: {valve: close}}, {read_back: {valve: closed}}]}
"""


async def carried_out(bench: Any, meter: Any, actions: tuple[Action, ...]) -> tuple[Any, list[Confirmation]]:
    """Write once, then look when the actions say, until the valve has come to rest."""
    write, confirm = actions
    assert write.write is not None
    outcome = await bench.driver.write(meter, write.write)
    looks: list[Confirmation] = []
    passed = 0.0
    for after_s in confirm.after_s:
        await bench.clock.advance(after_s - passed)
        passed = after_s
        looks.append(await bench.driver.confirm(meter, confirm.confirm))
        if not looks[-1].moving:
            break
    return outcome, looks


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("close_valve", "68 10 12 90 78 56 34 12 00 04 04 17 a0 01 99 87 16"),
        ("open_valve", "68 10 12 90 78 56 34 12 00 04 04 17 a0 01 55 43 16"),
    ],
)
async def test_the_command_is_the_standards(bench: Any, compiled: Any, device: Any, name: str, frame: str) -> None:
    bench.attach(Cjt188Station("00123456789012", has_valve=True))
    profile = compiled(VALVE)
    write = plugin.command(profile, name, {})[0].write
    outcome = await bench.driver.write(device(profile, "00123456789012"), write)
    assert outcome.acknowledged is True
    assert bench.sent[0].lstrip(b"\xfe").hex(" ") == frame


async def test_a_valve_is_closed_once_it_is_seen_closed(bench: Any, compiled: Any, device: Any) -> None:
    station = bench.attach(Cjt188Station("1", has_valve=True, motor_s=12))
    profile = compiled(VALVE)
    outcome, looks = await carried_out(bench, device(profile), plugin.command(profile, "close_valve", {}))
    assert outcome.acknowledged is True
    assert [(look.reached, look.moving) for look in looks] == [(False, True), (True, False)]
    assert looks[0].state == "valve open (status 0000), told to close"
    assert station.valve is not None
    assert station.valve.runs == 1


async def test_a_closed_valve_stops_the_flow_and_an_open_one_lets_it_on(bench: Any, compiled: Any, device: Any) -> None:
    station = bench.attach(Cjt188Station("1", has_valve=True, motor_s=10))
    profile = compiled(VALVE)
    meter = device(profile)
    await carried_out(bench, meter, plugin.command(profile, "close_valve", {}))
    shut = station.flow.millilitres(bench.clock.now_ns() // 10**9)
    await bench.clock.advance(7200)
    assert station.flow.millilitres(bench.clock.now_ns() // 10**9) == shut
    assert station.flow.litres_per_hour(bench.clock.now_ns() // 10**9) == 0
    _, looks = await carried_out(bench, meter, plugin.command(profile, "open_valve", {}))
    assert looks[-1].reached
    await bench.clock.advance(7200)
    assert station.flow.millilitres(bench.clock.now_ns() // 10**9) > shut


@pytest.mark.parametrize("shows_motion", [False, True])
async def test_a_valve_on_its_way_shows_in_transit(
    bench: Any, compiled: Any, device: Any, *, shows_motion: bool
) -> None:
    bench.attach(Cjt188Station("1", has_valve=True, motor_s=20, manners=Manners(shows_motion=shows_motion)))
    profile = compiled(VALVE)
    meter = device(profile)
    seen = [(await bench.values(meter))[Quantity.VALVE_STATE]]
    await bench.driver.write(meter, plugin.command(profile, "close_valve", {})[0].write)
    for _ in range(3):
        await bench.clock.advance(8)
        seen.append((await bench.values(meter))[Quantity.VALVE_STATE])
    assert [value for value, _ in seen] == [
        ValveState.OPEN,
        ValveState.IN_TRANSIT,
        ValveState.IN_TRANSIT,
        ValveState.CLOSED,
    ]
    assert {status for _, status in seen} == {GOOD}


async def test_a_valve_stuck_half_way_is_a_failure(bench: Any, compiled: Any, device: Any) -> None:
    station = bench.attach(Cjt188Station("1", has_valve=True, motor_s=10))
    assert station.valve is not None
    station.valve.sticks = True
    profile = compiled(VALVE)
    meter = device(profile)
    _, looks = await carried_out(bench, meter, plugin.command(profile, "close_valve", {}))
    assert [(look.reached, look.moving) for look in looks] == [(False, True), (False, False)]
    assert looks[-1].state == "valve failure (status 0300), told to close"
    assert (await bench.values(meter))[Quantity.VALVE_STATE] == (ValveState.FAILURE, GOOD)


async def test_a_valve_that_is_still_where_it_was_at_the_last_look_has_failed(
    bench: Any, compiled: Any, device: Any
) -> None:
    bench.attach(Cjt188Station("1", has_valve=True, motor_s=1000))
    profile = compiled(VALVE)
    meter = device(profile)
    _, looks = await carried_out(bench, meter, plugin.command(profile, "close_valve", {}))
    assert [(look.reached, look.moving) for look in looks] == [(False, True)] * 3 + [(False, False)]
    assert looks[-1].state == "valve open (status 0000), told to close"
    assert (await bench.values(meter))[Quantity.VALVE_STATE] == (ValveState.OPEN, GOOD)


async def test_a_motor_that_still_runs_at_the_last_look_is_still_moving(bench: Any, compiled: Any, device: Any) -> None:
    bench.attach(Cjt188Station("1", has_valve=True, motor_s=1000, manners=Manners(shows_motion=True)))
    profile = compiled(VALVE)
    _, looks = await carried_out(bench, device(profile), plugin.command(profile, "close_valve", {}))
    assert [(look.reached, look.moving) for look in looks] == [(False, True)] * 4


async def test_the_acknowledgements_own_state_proves_nothing(bench: Any, compiled: Any, device: Any) -> None:
    station = bench.attach(Cjt188Station("1", has_valve=True))
    profile = compiled(VALVE)
    meter = device(profile)
    answer = station.answer

    def boasting(request: bytes, now_ns: int) -> bytes | None:
        if b"\x17\xa0" not in request:
            return answer(request, now_ns)
        return encode(Frame(0x10, station.address, 0x84, bytes.fromhex("17a001") + b"\x01\x00"))

    station.answer = boasting
    outcome, looks = await carried_out(bench, meter, plugin.command(profile, "close_valve", {}))
    assert outcome.acknowledged is True
    assert not any(look.reached for look in looks)


async def test_a_makers_own_control_byte_acknowledges_a_valve(bench: Any, compiled: Any, device: Any) -> None:
    station = bench.attach(Cjt188Station("1", has_valve=True))
    profile = compiled(VALVE)
    station.answer = lambda request, now_ns: encode(
        Frame(0x10, station.address, 0xAA, bytes.fromhex("a01701") + b"\x00\x00")
    )
    outcome = await bench.driver.write(device(profile), plugin.command(profile, "close_valve", {})[0].write)
    assert outcome.acknowledged is True


async def test_a_refused_valve_command_is_told_and_nothing_is_in_transit(
    bench: Any, compiled: Any, device: Any
) -> None:
    station = bench.attach(Cjt188Station("1", has_valve=True))
    profile = compiled(VALVE)
    meter = device(profile)
    station.fault_state.set((ExceptionAnswer(),), bench.clock.now_ns())
    assert station.valve is not None
    outcome = await bench.driver.write(meter, plugin.command(profile, "close_valve", {})[0].write)
    assert outcome.acknowledged is False
    station.fault_state.set((), bench.clock.now_ns())
    assert not bench.driver._moving


async def test_a_valve_command_without_an_answer_is_unknown_and_sent_once(
    bench: Any, compiled: Any, device: Any
) -> None:
    station = bench.attach(Cjt188Station("1", has_valve=True))
    station.fault_state.set((Silent(),), bench.clock.now_ns())
    profile = compiled(VALVE)
    outcome = await bench.driver.write(device(profile), plugin.command(profile, "close_valve", {})[0].write)
    assert outcome.acknowledged is None
    assert len(bench.sent) == 1


async def test_a_meter_without_a_valve_refuses(bench: Any, compiled: Any, device: Any) -> None:
    bench.attach(Cjt188Station("1"))
    profile = compiled(VALVE)
    outcome = await bench.driver.write(device(profile), plugin.command(profile, "close_valve", {})[0].write)
    assert outcome.acknowledged is False


async def test_a_makers_own_codes_are_the_profiles(bench: Any, compiled: Any, device: Any) -> None:
    bench.attach(Cjt188Station("1", has_valve=True))
    text = VALVE.replace(
        "has_valve: true", "has_valve: true, valve: {open_code: 0x66, close_code: 0x77, exercise_code: 0x11}"
    )
    profile = compiled(text)
    for name, code in (("open_valve", 0x66), ("close_valve", 0x77)):
        await bench.driver.write(device(profile), plugin.command(profile, name, {})[0].write)
        assert bench.sent[-1][-3] == code


def test_the_looks_are_those_of_a_slow_motor(compiled: Any) -> None:
    actions = plugin.command(compiled(VALVE), "close_valve", {})
    assert actions[1].after_s == (5.0, 15.0, 30.0, 60.0)
    assert actions[1].write is None


def test_a_command_the_profile_lacks_is_named_with_those_it_has(compiled: Any) -> None:
    with pytest.raises(ProfileError, match="no command 'open_supply'; its commands: close_valve, open_valve"):
        plugin.command(compiled(VALVE), "open_supply", {})


# clock, address, base reading

SETTING = """\
points:
  Volume: {di: 0x901F, field: cumulative, unit: m3}
commands:
  set_clock: {steps: [{write: {clock: set}}, {read_back: {clock: 60, after_s: [1]}}]}
  set_address: {danger: [clears], steps: [{write: {address: set}, answer_proves: true}]}
  other_set_base_reading: {danger: [money], steps: [{write: {base_reading: set}, answer_proves: true}]}
"""


def data_of(request: bytes) -> bytes:
    (frame,) = (each for each in Decoder().feed(request) if isinstance(each, Frame))
    return frame.data


async def test_the_clock_is_set_in_local_time_and_read_back(
    benches: Callable[..., AbstractAsyncContextManager[Any]], compiled: Any, device: Any
) -> None:
    async with benches(time_zone="Asia/Tashkent") as bench:
        station = bench.attach(Cjt188Station("1"))
        station.clock_off_s = -5000.0
        profile = compiled(SETTING)
        meter = device(profile)
        write, look = plugin.command(profile, "set_clock", {"time": "now"})
        before = await bench.driver.confirm(meter, look.confirm)
        assert (before.reached, before.drift_s) == (False, -5000.0)
        assert (await bench.driver.write(meter, write.write)).acknowledged is True
        assert data_of(bench.sent[-1])[3:].hex() == "00001501072620"
        after = await bench.driver.confirm(meter, look.confirm)
        assert (after.reached, after.drift_s) == (True, 0.0)


@pytest.mark.parametrize("time", ["2026-01-31T12:00:00+00:00", "2026-01-31T17:00:00", 1_769_860_800 * 10**9])
async def test_a_time_is_taken_in_any_form(
    benches: Callable[..., AbstractAsyncContextManager[Any]], compiled: Any, device: Any, time: Any
) -> None:
    async with benches(time_zone="Asia/Tashkent") as bench:
        bench.attach(Cjt188Station("1"))
        profile = compiled(SETTING)
        await bench.driver.write(device(profile), plugin.command(profile, "set_clock", {"time": time})[0].write)
        assert data_of(bench.sent[-1])[3:].hex() == "00001731012620"


async def test_without_a_time_nothing_is_sent(bench: Any, compiled: Any, device: Any) -> None:
    profile = compiled(SETTING)
    for time in ("tomorrow", 1.5):
        with pytest.raises(ProfileError, match="is no time"):
            await bench.driver.write(device(profile), plugin.command(profile, "set_clock", {"time": time})[0].write)
    assert bench.sent == []


async def test_a_meter_whose_clock_shows_nothing_is_not_confirmed(
    benches: Callable[..., AbstractAsyncContextManager[Any]], compiled: Any, device: Any
) -> None:
    async with benches(time_zone="Asia/Tashkent") as bench:
        bench.attach(Cjt188Station("1", manners=Manners(clock=ClockManner.ZERO)))
        profile = compiled(SETTING)
        look = plugin.command(profile, "set_clock", {"time": "now"})[1]
        found = await bench.driver.confirm(device(profile), look.confirm)
        assert (found.reached, found.state) == (False, "the meter shows no time")


async def test_a_new_address_is_taken(bench: Any, compiled: Any, device: Any) -> None:
    station = bench.attach(Cjt188Station("1"))
    profile = compiled(SETTING)
    (write,) = plugin.command(profile, "set_address", {"value": "123456"})
    assert write.answer_proves
    assert (await bench.driver.write(device(profile), write.write)).acknowledged is True
    assert station.address == "00000000123456"
    assert bench.sent[-1].lstrip(b"\xfe")[9] == 0x15


async def test_a_base_reading_is_written_exactly(bench: Any, compiled: Any, device: Any) -> None:
    bench.attach(Cjt188Station("1"))
    profile = compiled(SETTING)
    meter = device(profile)
    (write,) = plugin.command(profile, "other_set_base_reading", {"value": "123.45"})
    assert (await bench.driver.write(meter, write.write)).acknowledged is True
    assert data_of(bench.sent[-1])[3:].hex() == "452301002c"
    assert (await bench.values(meter))[Quantity.VOLUME] == (123450.0, GOOD)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("set_address", "12a"),
        ("set_address", "1" * 15),
        ("other_set_base_reading", "1.234"),
        ("other_set_base_reading", -1),
        ("other_set_base_reading", "much"),
        ("other_set_base_reading", 10**6),
    ],
)
async def test_what_cannot_be_written_is_refused_before_anything_is_sent(
    bench: Any, compiled: Any, device: Any, name: str, value: Any
) -> None:
    profile = compiled(SETTING)
    with pytest.raises(ProfileError, match="use "):
        await bench.driver.write(device(profile), plugin.command(profile, name, {"value": value})[0].write)
    assert bench.sent == []


def test_a_missing_argument_is_named(compiled: Any) -> None:
    with pytest.raises(ProfileError, match="set_address needs value"):
        plugin.command(compiled(SETTING), "set_address", {})


async def test_only_what_is_known_is_confirmed(bench: Any, compiled: Any, device: Any) -> None:
    with pytest.raises(ProfileError, match="cannot be read back"):
        await bench.driver.confirm(device(compiled()), "the moon")
    assert WriteRequest("x", "secret").__repr__().find("secret") < 0


async def test_a_heat_meter_counts_its_base_in_kilowatt_hours(bench: Any, compiled: Any, device: Any) -> None:
    bench.attach(Cjt188Station("1", Kind.HEAT))
    heat = compiled(
        "cjt188: {type: 0x20}\n"
        "points:\n  HeatEnergy: {di: 0x901F, field: heat_current, unit: kWh}\n"
        "commands:\n"
        "  other_set_base_reading: {danger: [money], steps: [{write: {base_reading: set}, answer_proves: true}]}\n"
    )
    assert heat.type == Kind.HEAT.value
    (write,) = plugin.command(heat, "other_set_base_reading", {"value": "123.45"})
    assert (await bench.driver.write(device(heat), write.write)).acknowledged is True
    assert data_of(bench.sent[-1])[3:].hex() == "4523010005"


async def test_a_measured_effect_can_confirm_as_well(bench: Any, compiled: Any, device: Any) -> None:
    bench.attach(Cjt188Station("1", Kind.HEAT, has_valve=True, motor_s=3))
    profile = compiled(
        "cjt188: {has_valve: true, type: 0x20}\n"
        "points:\n  VolumeFlow: {di: 0x901F, field: flow, unit: m3/h}\n"
        "commands:\n  close_valve: {steps: [{write: {valve: close}}, {effect: VolumeFlow < 0.001, within_s: 20}]}\n"
    )
    meter = device(profile)
    write, look = plugin.command(profile, "close_valve", {})
    assert look.after_s[-1] == 20
    await bench.driver.write(meter, write.write)
    before = await bench.driver.confirm(meter, look.confirm)
    assert before.reached is False
    assert before.state.startswith("VolumeFlow = ")
    await bench.clock.advance(5)
    assert (await bench.driver.confirm(meter, look.confirm)).state == "VolumeFlow = 0 l/h"


# carried out by the hub


@pytest.mark.parametrize(
    ("motor_s", "sticks", "state", "detail"),
    [
        (12, False, CommandState.CONFIRMED, ""),
        (12, True, CommandState.FAILED, "valve failure (status 0300), told to close"),
        (500, False, CommandState.FAILED, "valve open (status 0000), told to close"),
    ],
)
async def test_the_hub_closes_a_valve_and_says_what_came_of_it(
    bench: Any, compiled: Any, device: Any, *, motor_s: float, sticks: bool, state: CommandState, detail: str
) -> None:
    station = bench.attach(Cjt188Station("1", has_valve=True, motor_s=motor_s))
    assert station.valve is not None
    station.valve.sticks = sticks
    profile = compiled(VALVE)
    async with Channel("bus", bench.driver, Line(0.2, 2.0, 0.5), bench.clock) as channel:
        actions = plugin.command(profile, "close_valve", {})
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(execute(channel, device(profile), actions, bench.clock), name="close")
            for _ in range(200):
                await bench.clock.advance(0.5)
    result = work.result()
    assert result.state is state
    assert detail in result.detail
    assert sum(b"\x17\xa0" in request for request in bench.sent) == 1
    assert station.valve.runs == 1

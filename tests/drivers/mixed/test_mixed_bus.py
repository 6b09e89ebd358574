"""Modbus and CJ/T 188 meters on one wire, each at its own speed: real drivers over a pseudo-terminal."""

from __future__ import annotations

import asyncio
import os
import termios
import tty
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from address_space.model import GOOD, Protocol, Quantity
from address_space.model.clock import ManualClock, SystemClock
from address_space.model.ids import UnitHandle
from config.loader import load_plant
from config.sections import PollingSettings
from drivers.api import Device, DriverPlugin
from drivers.channel import Channel
from drivers.codec import crc16_modbus
from drivers.errors import ChannelDown, NoAnswer, ProfileError
from drivers.mixed import MixedDriver, Options, installed, plugin
from drivers.profiles import load_library
from drivers.profiles.build import build_profile
from drivers.profiles.document import parse_document
from drivers.registry import load_drivers
from drivers.simulators.cjt188 import CJT188, Cjt188Station
from drivers.transport import LineOptions, Lines, Parity
from server.assembly import assemble

HEAD = "vendor: Test\nmodel: Meter\nsource: [{document: this test}]\n"
WATER = """\
profile: test/water
protocol: cjt188
medium: water
points:
  Volume: {di: 0x901F, field: cumulative, unit: m3}
"""
POWER = """\
profile: test/power
protocol: modbus
points:
  ActivePower: {at: 0, fc: 4, type: uint16, unit: W}
"""
SPEEDS = {termios.B2400: 2400, termios.B9600: 9600}


@dataclass
class TwoSpeedWire:
    """A terminal with a water meter that understands 2400 baud and a Modbus meter that understands 9600."""

    path: Path
    water: Cjt188Station = field(default_factory=lambda: Cjt188Station("1"))
    watts: int = 1234
    heard: list[tuple[int, bytes]] = field(default_factory=list)
    dead: set[int] = field(default_factory=set)

    def plug(self) -> None:
        self.far, self.near = os.openpty()
        tty.setraw(self.far)
        os.set_blocking(self.far, False)
        self.path.symlink_to(os.ttyname(self.near))
        asyncio.get_running_loop().add_reader(self.far, self._answer)

    def pull(self) -> None:
        asyncio.get_running_loop().remove_reader(self.far)
        os.close(self.near)
        os.close(self.far)
        self.path.unlink()

    def _answer(self) -> None:
        request = os.read(self.far, 4096)
        baud = SPEEDS[termios.tcgetattr(self.far)[5]]
        self.heard.append((baud, request))
        if baud in self.dead:
            return
        if baud == 2400:
            span = CJT188.cut(request)
            reply = self.water.answer(request[slice(*span)], SystemClock().now_ns()) if span else None
        else:
            body = bytes((request[0], 4, 2)) + self.watts.to_bytes(2, "big")
            reply = body + crc16_modbus(body) if request[1:2] == b"\x04" else None
        if reply:
            os.write(self.far, reply)


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[TwoSpeedWire]:
    made = TwoSpeedWire(tmp_path / "bus")
    made.plug()
    yield made
    made.pull()


def options(wire: TwoSpeedWire, **more: Any) -> Options:
    told = {"protocols": {"modbus": {"baud": 9600, "parity": "none"}}, "baud": 2400, "timeout_ms": 1000, "gap_ms": 5}
    return Options(transport="serial", device=str(wire.path), **(told | more))


def device(text: str, address: str, unit: int) -> Device:
    profile = plugin.compile(build_profile(parse_document(HEAD + text, "meter.yaml")))
    return Device(UnitHandle(unit), 0, f"meter {unit}", profile, address)


WATER_METER = device(WATER, "1", 1)
POWER_METER = device(POWER, "7", 2)


async def read(driver: MixedDriver, meter: Device) -> float:
    plan = driver.plan(meter, (0,))
    answers = {request: await driver.request(meter, request) for request in plan.requests}
    reading = driver.decode(meter, plan, answers)
    assert reading.status.tolist() == [GOOD]
    return float(reading.values[0])


async def test_each_meter_is_asked_in_its_protocol_and_at_its_speed(wire):
    driver = plugin.create("bus", options(wire), Lines(SystemClock()))
    await driver.open()
    for watts in (1234, 777):
        wire.watts = watts
        assert await read(driver, POWER_METER) == watts
        assert await read(driver, WATER_METER) > 1000
    assert [baud for baud, _ in wire.heard] == [9600, 2400, 9600, 2400]
    await driver.close()
    assert not driver.connected


async def test_a_silent_meter_of_one_protocol_leaves_the_others_well(wire):
    driver = plugin.create("bus", options(wire), Lines(SystemClock()))
    await driver.open()
    wire.dead.add(2400)
    with pytest.raises(NoAnswer):
        await read(driver, WATER_METER)
    assert await read(driver, POWER_METER) == 1234
    assert driver.connected
    await driver.close()


async def test_a_pulled_cable_heals_for_all_protocols_through_the_channel(wire):
    told, clock = options(wire), ManualClock()
    driver, line = plugin.create("bus", told, Lines(SystemClock())), plugin.line(told)
    async with Channel("bus", driver, line, clock) as channel:

        async def asked(meter: Device) -> None:
            await clock.advance(channel.retry_in_s + line.gap_s + line.quiet_s)
            await channel.exchange(meter, driver.plan(meter, (0,)).requests[0])

        await asked(WATER_METER)
        await asked(POWER_METER)
        wire.pull()
        with pytest.raises(ChannelDown):
            await asked(WATER_METER)
        wire.plug()
        await asked(POWER_METER)
        await asked(WATER_METER)


async def test_a_driver_that_gives_its_view_up_has_the_whole_line_opened_anew(wire):
    driver = plugin.create("bus", options(wire), Lines(SystemClock()))
    await driver.open()
    await driver._parts["modbus"].driver.close()
    assert not driver.connected
    assert await read(driver, WATER_METER) > 1000
    await driver.close()
    await driver.open()
    assert driver.connected
    assert await read(driver, POWER_METER) == 1234
    await driver.close()


async def test_the_gap_of_a_protocol_counts_from_whoever_spoke_before(wire):
    told = options(wire, protocols={"modbus": {"baud": 9600}, "cjt188": {"gap_ms": 150}})
    driver = plugin.create("bus", told, Lines(SystemClock()))
    await driver.open()
    loop = asyncio.get_running_loop()
    await read(driver, POWER_METER)
    began = loop.time()
    await read(driver, WATER_METER)
    assert loop.time() - began >= 0.15
    await driver.close()


def test_it_speaks_all_that_can_share_a_bus():
    assert plugin.speaks == {protocol for each in installed().values() for protocol in each.speaks}
    assert {"modbus", "cjt188", "dlt645"} <= plugin.speaks
    assert "mixed" not in installed()


def test_what_the_channel_says_holds_for_all_and_what_it_does_not_say_each_driver_knows():
    told = Options(transport="tcp", host="10.0.0.1", port=4001, timeout_ms=700, protocols={"cjt188": {"preamble": 8}})
    cjt188, modbus = told.part("cjt188"), told.part("modbus")
    assert (cjt188.baud, cjt188.parity, cjt188.preamble, cjt188.timeout_ms) == (2400, Parity.EVEN, 8, 700)
    assert (modbus.baud, modbus.parity, modbus.timeout_ms) == (9600, Parity.NONE, 700)
    assert modbus.framing == "rtu"


@pytest.mark.parametrize(
    ("protocols", "said"),
    [
        ({"modbsu": {}}, r"protocols\.modbsu: there is no such driver; there are .*modbus"),
        ({"modbus": {"host": "10.0.0.1"}}, r"protocols\.modbus\.host: where the line is, only the channel"),
        ({"modbus": {"baud": 1}}, r"protocols\.modbus\.baud: Input should be greater"),
        ({"modbus": {"colour": 1}}, r"protocols\.modbus\.colour: Extra inputs"),
    ],
)
def test_mistakes_in_a_protocols_part_name_it(protocols, said):
    with pytest.raises(ValueError, match=said):
        Options(transport="serial", device="/dev/ttyUSB0", protocols=protocols)


def test_what_a_meter_is_the_driver_of_its_protocol_says():
    told = Options(transport="tcp", host="10.0.0.1", port=4001)
    assert plugin.protocol(told, POWER_METER.profile) is Protocol.MODBUS_RTU
    assert plugin.protocol(told, WATER_METER.profile) is Protocol.CJT188
    assert plugin.check_address("300", POWER_METER.profile) == installed()["modbus"].check_address("300", None)
    assert plugin.check_address("300", WATER_METER.profile) == ""
    assert len(plugin.factors(POWER_METER.profile, (60.0, 1.0))) == 1
    with pytest.raises(ProfileError):
        plugin.command(POWER_METER.profile, "open_valve", {})
    assert POWER_METER.profile.name == "test/power"


def test_a_profile_that_no_bus_speaks_is_refused():
    class Profile:
        name, protocol = "x/y", "mqtt"

    with pytest.raises(ProfileError, match="no installed driver for a serial bus speaks mqtt"):
        plugin.compile(Profile())


def test_it_is_installed_and_fits_the_contract():
    found: DriverPlugin = load_drivers()["mixed"]
    assert issubclass(found.options, LineOptions)


def test_a_plant_with_a_mixed_bus_is_assembled(tmp_path: Path):
    (tmp_path / "plant.yaml").write_text(
        "name: P\nhierarchy: [{id: f1, kind: feeder}]\nchannels:\n"
        "  bus: {driver: mixed, options: {transport: serial, device: /dev/ttyUSB0}}\n"
        "metering_units:\n"
        "  - {id: e1, parent: f1, profile: eastron/sdm120, channel: bus, address: 1}\n"
        "  - {id: w1, parent: f1, profile: generic/cjt188-cold-water, channel: bus, address: 12}\n"
    )
    library, drivers = load_library(), load_drivers()
    plant = load_plant(tmp_path, profiles=library.names, drivers=drivers.keys())
    assembly = assemble(plant, library, drivers, PollingSettings())
    (bus,) = assembly.buses
    units = {unit.id: unit for unit in assembly.plant.units}
    assert (units["e1"].protocol, units["w1"].protocol) == (Protocol.MODBUS_RTU, Protocol.CJT188)
    driver = bus.plugin.create("bus", bus.options, Lines(SystemClock()))
    for polled in bus.devices:
        assert driver.plan(polled.device, polled.classes[0].offsets).requests
    assert Quantity.VOLUME in units["w1"].template.quantities

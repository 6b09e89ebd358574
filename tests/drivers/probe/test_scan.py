"""Finding everybody on a bus, and which profiles fit them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from address_space.model.clock import SystemClock
from drivers.cjt188.frame import Frame as WaterFrame
from drivers.dlt645.frame import Frame, encode
from drivers.probe import (
    Asker,
    FoundDevice,
    Framing,
    Unclear,
    candidates,
    fitting,
    read_again,
    read_registers,
    scan_cjt188,
    scan_dlt645,
    scan_modbus,
    walk_cjt188,
    walk_dlt645,
)
from drivers.profiles import load_library
from drivers.registry import load_drivers
from drivers.simulators import Endpoint, Fleet, SimulatedMeter
from drivers.simulators import Framing as Wrapping
from drivers.simulators.bus import SimulatedBus, Station
from drivers.simulators.cjt188 import CJT188, Cjt188Station
from drivers.simulators.dlt645 import Dlt645Station, Manners
from drivers.simulators.meter import Installation
from drivers.simulators.modbus import ModbusServer
from drivers.simulators.ports import TcpPort
from drivers.simulators.wire import DLT645, MODBUS_RTU, Wire
from drivers.transport import TcpLink, pair
from tests.drivers.probe.odd_meter import FIRST, OddMeter, OddStation

TIMEOUT_S = 0.15


def nobody(done: int, total: int) -> None:
    """Nobody looks at the progress."""
    assert 0 <= done <= total


@asynccontextmanager
async def asking(port: int) -> AsyncIterator[Asker]:
    link = TcpLink("probe", "127.0.0.1", port, 2.0)
    await link.open()
    try:
        yield Asker(link, SystemClock(), TIMEOUT_S, 0.0)
    finally:
        link.close()


@asynccontextmanager
async def bus(*stations: tuple[Wire, Station]) -> AsyncIterator[tuple[Asker, SimulatedBus]]:
    line = SimulatedBus(SystemClock())
    for wire, station in stations:
        line.attach(wire, station)
    port = TcpPort(line)
    await port.start()
    try:
        async with asking(port.port) as asker:
            yield asker, line
    finally:
        await port.stop()


async def found_by(scan: AsyncIterator[FoundDevice | Unclear]) -> list[str]:
    return [each.address async for each in scan if isinstance(each, FoundDevice)]


async def test_units_are_found_whether_they_answer_or_refuse() -> None:
    async with bus((MODBUS_RTU, OddStation(3)), (MODBUS_RTU, OddStation(17))) as (asker, _):
        assert await found_by(scan_modbus(asker, Framing.RTU, range(1, 20), nobody)) == ["3", "17"]


async def test_a_gateway_that_finds_nobody_is_no_device() -> None:
    server = ModbusServer("127.0.0.1", 0, {2: OddMeter(), 5: OddMeter()}, SystemClock())
    await server.start()
    async with asking(server.port) as asker:
        assert await found_by(scan_modbus(asker, Framing.TCP, range(1, 8), nobody)) == ["2", "5"]
    await server.stop()


async def test_several_meters_that_answer_all_at_once_are_found_byte_by_byte() -> None:
    numbers = ["202611220017", "202611220018", "000000063217"]
    stations = [(DLT645, Dlt645Station(Installation(number), number)) for number in numbers]
    async with bus(*stations) as (asker, _):
        asker.timeout_s = 0.03
        found = await found_by(scan_dlt645(asker, "2007", [], nobody, several=True))
    assert sorted(found) == sorted(numbers)


async def test_a_single_meter_takes_one_wildcard_and_tells_who_it_is() -> None:
    async with bus((DLT645, Dlt645Station(Installation("m"), "63217".zfill(12)))) as (asker, line):
        found = [each async for each in scan_dlt645(asker, "2007", [], nobody, one=True)]
        assert line.requests < 8
    (device,) = found
    assert isinstance(device, FoundDevice)
    assert device.address == "000000063217"
    assert dict(device.told)["meter number"] == "000000063217"


@pytest.mark.parametrize("several", [True, False])
async def test_a_line_that_hears_itself_is_not_taken_for_several_meters(several: bool) -> None:
    line = SimulatedBus(SystemClock(), echo=True)
    line.attach(DLT645, Dlt645Station(Installation("m"), "63217".zfill(12)))
    port = TcpPort(line)
    await port.start()
    async with asking(port.port) as asker:
        found = [each async for each in scan_dlt645(asker, "2007", [], nobody, one=not several, several=several)]
    await port.stop()
    assert [each.address for each in found if isinstance(each, FoundDevice)] == ["000000063217"]
    assert len(found) == 1
    assert line.requests < 8


async def test_several_meters_where_one_was_said_to_be_are_told() -> None:
    stations = [(DLT645, Dlt645Station(Installation(number), number)) for number in ("1".zfill(12), "2".zfill(12))]
    async with bus(*stations) as (asker, line):
        found = [each async for each in scan_dlt645(asker, "2007", [], nobody, one=True)]
        assert line.requests == 1
    assert all(isinstance(each, Unclear) for each in found)
    assert len(found) == 1


async def test_known_numbers_are_asked_without_wildcards() -> None:
    old = Dlt645Station(Installation("m"), "000000000005", Manners(version="1997"))
    async with bus((DLT645, old), (DLT645, Dlt645Station(Installation("n"), "000000000006"))) as (asker, _):
        assert await found_by(scan_dlt645(asker, "1997", ["4", "5", "6"], nobody)) == ["000000000005"]
        assert await found_by(scan_dlt645(asker, "2007", ["4", "5", "6"], nobody)) == ["000000000006"]


async def test_water_meters_are_found_by_list_or_alone() -> None:
    async with bus((CJT188, Cjt188Station("12")), (CJT188, Cjt188Station("15"))) as (asker, _):
        known = [str(number) for number in range(10, 20)]
        found = await found_by(scan_cjt188(asker, known, nobody, one_meter=False))
    assert [address.lstrip("0") for address in found] == ["12", "15"]
    async with bus((CJT188, Cjt188Station("12"))) as (asker, _):
        (alone,) = [each async for each in scan_cjt188(asker, [], nobody, one_meter=True)]
    assert isinstance(alone, FoundDevice)
    assert dict(alone.told) == {"kind": "cold water"}


@pytest.mark.parametrize(
    ("profile", "first"),
    [("eastron/sdm630", "eastron/sdm630"), ("acrel/adl400", "acrel/adl400"), ("chint/dtsu666", "chint/dtsu666")],
)
async def test_the_profile_of_a_meter_of_the_library_fits_best(profile: str, first: str) -> None:
    library = load_library()
    meter = SimulatedMeter("m", library.get(profile), Endpoint(framing=Wrapping.TCP), "1")
    clock = SystemClock()
    async with Fleet([meter], clock) as fleet:
        (server,) = fleet.servers.values()
        device = FoundDevice("modbus", "1", framing="tcp")
        tried = candidates(device, library, load_drivers())
        link = TcpLink("probe", "127.0.0.1", server.port, 2.0)
        await link.open()
        fits = await fitting(device, tried, link, clock, 0.5, nobody)
        link.close()
    best = [each.profile for each in fits if (each.score, each.answered) == (fits[0].score, fits[0].answered)]
    assert first in best
    assert fits[0].score == 1
    assert len([each for each in fits if each.score > 0.9]) < len(tried) / 3


async def test_profiles_of_the_right_edition_and_kind_are_tried() -> None:
    library, plugins = load_library(), load_drivers()

    def names(device: FoundDevice) -> list[str]:
        return [profile.name for profile, _ in candidates(device, library, plugins)]

    assert names(FoundDevice("dlt645", "1", edition="1997")) == ["generic/dlt645-1997"]
    assert "generic/dlt645-1997" not in names(FoundDevice("dlt645", "1", edition="2007"))
    assert all("gas" in name for name in names(FoundDevice("cjt188", "1", kind=0x30)))


async def test_refused_registers_are_narrowed_down() -> None:
    station = OddStation(1)
    async with bus((MODBUS_RTU, station)) as (asker, _):
        found = await read_registers(asker, Framing.RTU, 1, 3, (FIRST - 5, 40), nobody, most=20)
        again = await read_again(asker, Framing.RTU, 1, 3, found)
    assert set(found.words) == set(station.meter.words())
    assert set(found.refused.values()) == {2}
    assert again.keys() == found.words.keys()
    assert station.meter.writes == 0


async def test_a_silent_device_is_not_asked_for_all_of_its_registers() -> None:
    async with bus() as (asker, _):
        found = await read_registers(asker, Framing.RTU, 1, 3, (0, 1000), nobody)
    assert found.words == {}
    assert asker.asked <= 2
    assert sum(count for _, count in found.silent) == 1000


async def test_a_meter_is_walked_through_all_that_it_answers() -> None:
    async with bus((DLT645, Dlt645Station(Installation("m"), "000000000007"))) as (asker, _):
        rows = {row.di: row async for row in walk_dlt645(asker, "2007", "7", nobody)}
    assert rows["00010000"].value > 0
    assert rows["00010000"].unit == "kWh"
    assert rows["00900200"].refused == "no_such_data"
    async with bus((CJT188, Cjt188Station("12"))) as (asker, _):
        water = {row.di: row async for row in walk_cjt188(asker, "12", nobody)}
    assert water["901F"].value["cumulative"]["unit"] == "m3"


async def test_nothing_but_reads_can_be_asked() -> None:
    async with bus() as (asker, line):
        for pdu in (b"\x05\x00\x01\xff\x00", b"\x06\x00\x00\x00\x01", b"\x10\x00\x00\x00\x01\x02\x00\x01"):
            with pytest.raises(ValueError, match="no read"):
                await asker.modbus(Framing.RTU, 1, pdu)
        for control in (0x03, 0x08, 0x14, 0x15, 0x16, 0x19, 0x1C):
            with pytest.raises(ValueError, match="no read"):
                await asker.dlt645(Frame("000000000001", control))
        for control in (0x04, 0x15, 0x16):
            with pytest.raises(ValueError, match="no read"):
                await asker.cjt188(WaterFrame(0x10, "0" * 14, control, b"\x17\xa0\0"))
        assert line.requests == 0


async def test_a_unit_tells_who_it_is_in_as_many_answers_as_it_needs() -> None:
    near, far = pair()
    objects = {0: b"Acme", 1: b"PM-100", 2: b"1.2"}

    def say(request: bytes) -> bytes:
        unit, pdu = request[6], request[7:]
        if pdu[0] == 3:
            return b"\x83\x02"
        first = pdu[3]
        following = first + 1 if first + 1 in objects else 0
        head = bytes((0x2B, 0x0E, 1, 1, 0xFF if following else 0, following, 1, first, len(objects[first])))
        assert unit == 7
        return head + objects[first]

    async def device() -> None:
        while True:
            request = await far.receive(60.0)
            body = say(request)
            far.send(request[:4] + (len(body) + 1).to_bytes(2, "big") + request[6:7] + body)

    async with asyncio.TaskGroup() as tasks:
        answering = tasks.create_task(device())
        asker = Asker(near, SystemClock(), TIMEOUT_S, 0.0)
        (found,) = [each async for each in scan_modbus(asker, Framing.TCP, [7], nobody)]
        answering.cancel()
    assert isinstance(found, FoundDevice)
    assert dict(found.told) == {"vendor": "Acme", "product": "PM-100", "revision": "1.2"}


async def test_a_late_answer_to_something_else_is_no_answer() -> None:
    near, far = pair()
    asker = Asker(near, SystemClock(), TIMEOUT_S, 0.0)
    asked = Frame("000000000001", 0x11, b"\0\0\1\0")
    for stray in (
        Frame("000000000001", 0x91, b"\0\0\2\0" + bytes(4)),
        Frame("000000000002", 0x91, b"\0\0\1\0" + bytes(4)),
        Frame("000000000001", 0x93, bytes(6)),
        asked,
    ):
        async with asyncio.TaskGroup() as tasks:
            speaking = tasks.create_task(asker.dlt645(asked))
            await far.receive(1.0)
            far.send(encode(stray))
        assert speaking.result().dlt645 == ()

"""Fleets of any protocols at any kind of line, as a client that knows only bytes meets them."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from address_space.model.clock import NS, ManualClock, SystemClock
from address_space.model.errors import DuplicateId, UnknownId
from address_space.model.quantity import Quantity
from drivers.cjt188.frame import Frame as WaterFrame
from drivers.cjt188.frame import encode as encode_cjt188
from drivers.codec import crc16_modbus
from drivers.dlt645.frame import Decoder, Frame, encode
from drivers.profiles import ProfileLibrary
from drivers.simulators import (
    BusEndpoint,
    Datagrams,
    Endpoint,
    Fleet,
    Framing,
    Gateway,
    Modem,
    RelaySticks,
    SimulatedMeter,
    Terminal,
    ValveSticks,
)
from drivers.simulators.cjt188 import Cjt188Station
from drivers.simulators.dlt645 import Dlt645Station

NUMBER = "200100000001"
READ_ENERGY = encode(Frame(NUMBER, 0x11, (0x00010000).to_bytes(4, "little")))
HOME = BusEndpoint(Gateway())


def electricity(library: ProfileLibrary, end: BusEndpoint, id: str = "e1", address: str = NUMBER) -> SimulatedMeter:  # noqa: A002
    return SimulatedMeter(id, library.get("generic/dlt645-2007-prepaid-relay"), end, address)


def water(library: ProfileLibrary, end: BusEndpoint, id: str = "w1") -> SimulatedMeter:  # noqa: A002
    return SimulatedMeter(id, library.get("generic/cjt188-cold-water-valve"), end, "10000000000001")


def pump(library: ProfileLibrary, end: BusEndpoint, id: str = "p1") -> SimulatedMeter:  # noqa: A002
    return SimulatedMeter(id, library.get("eastron/sdm630"), end, "1")


def kwh(answer: bytes) -> float:
    """Energy in an answer of a DL/T 645 meter."""
    (frame,) = [each for each in Decoder().feed(answer) if isinstance(each, Frame)]
    return int(frame.data[:3:-1].hex()) / 100


async def ask(port: int, request: bytes, size: int = 200) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(60):
            return await reader.read(size)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_three_protocols_answer_on_one_bus(library: ProfileLibrary, clock: ManualClock) -> None:
    meters = [electricity(library, HOME), water(library, HOME), pump(library, HOME)]
    async with Fleet(meters, clock) as fleet:
        port = fleet.port(HOME)
        assert kwh(await ask(port, READ_ENERGY)) == pytest.approx(fleet.books.energy_wh("e1") / 1000, abs=0.01)
        body = bytes((1, 4, 0, 0, 0, 2))
        volts = await ask(port, body + crc16_modbus(body))
        assert (volts[0], len(volts)) == (1, 9)
        said = await ask(port, encode_cjt188(WaterFrame(0x10, "10000000000001", 1, bytes((0x1F, 0x90, 0)))))
        counts = int(said[said.index(0x68) + 14 :][:4][::-1].hex())
        assert counts / 100 == pytest.approx(fleet.books.value("w1", Quantity.VOLUME) / 1000, abs=0.011)


async def test_a_terminal_is_a_path_that_comes_and_goes(
    library: ProfileLibrary, clock: ManualClock, tmp_path: Path
) -> None:
    end = BusEndpoint(Terminal(tmp_path / "ports" / "bus"))
    async with Fleet([electricity(library, end)], clock) as fleet:
        for _ in range(2):
            assert fleet.servers[end].running
            line = os.open(tmp_path / "ports" / "bus", os.O_RDWR | os.O_NOCTTY)
            os.write(line, READ_ENERGY)
            heard = b""
            while not [each for each in Decoder().feed(heard) if isinstance(each, Frame)]:
                heard += await asyncio.to_thread(os.read, line, 100)
            assert kwh(heard) > 0
            os.close(line)
            await fleet.stop(end)
            assert not (tmp_path / "ports" / "bus").is_symlink()
            await fleet.start(end)
    assert not (tmp_path / "ports" / "bus").is_symlink()


@pytest.mark.parametrize("kind", ["file", "link to a file", "link to a device"])
async def test_a_terminal_replaces_nothing_that_is_not_its_own(
    library: ProfileLibrary, clock: ManualClock, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "bus"
    if kind == "file":
        path.write_text("precious")
    else:
        path.symlink_to(tmp_path / "precious" if kind == "link to a file" else "/dev/ttyUSB0")
    fleet = Fleet([electricity(library, BusEndpoint(Terminal(path)))], clock)
    with pytest.raises(FileExistsError, match="no link to a pseudo-terminal"):
        await fleet.__aenter__()
    assert path.is_symlink() or path.read_text() == "precious"
    assert not any(plug.running for plug in fleet.servers.values())


async def test_a_link_that_a_killed_simulator_left_is_replaced(
    library: ProfileLibrary, clock: ManualClock, tmp_path: Path
) -> None:
    path = tmp_path / "bus"
    path.symlink_to("/dev/pts/987654")
    async with Fleet([electricity(library, BusEndpoint(Terminal(path)))], clock):
        assert path.readlink() != Path("/dev/pts/987654")


async def test_a_modem_registers_and_answers_whoever_it_called(library: ProfileLibrary) -> None:
    calls: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    hub = await asyncio.start_server(lambda *both: calls.put_nowait(both), "127.0.0.1", 0)
    modem = Modem("127.0.0.1", hub.sockets[0].getsockname()[1], b"REG1;", b"!", heartbeat_s=0.05, redial_s=0.05)
    end = BusEndpoint(modem)
    async with Fleet([electricity(library, end)], SystemClock()) as fleet, asyncio.timeout(60):
        for _ in range(2):
            reader, writer = await calls.get()
            assert await reader.readexactly(6) == b"REG1;!"
            writer.write(READ_ENERGY)
            heard = b""
            while not [each for each in Decoder().feed(heard) if isinstance(each, Frame)]:
                heard += await reader.read(100)
            writer.close()
        await fleet.stop(end)
        assert not fleet.servers[end].running
        await fleet.start(end)
        _, writer = await calls.get()
        writer.close()
    hub.close()
    await hub.wait_closed()


@pytest.mark.parametrize("framing", [Framing.RTU, Framing.TCP])
async def test_datagrams_are_answered_to_where_they_came_from(
    library: ProfileLibrary, clock: ManualClock, framing: Framing
) -> None:
    end = BusEndpoint(Datagrams(), framing=framing)
    body = bytes((1, 4, 0, 0, 0, 2))
    request = body + crc16_modbus(body) if framing is Framing.RTU else bytes.fromhex("fe07 0000 0006") + body
    async with Fleet([pump(library, end)], clock) as fleet:
        port = fleet.port(end)
        for _ in range(2):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
                line.settimeout(5)
                line.sendto(request, ("127.0.0.1", port))
                heard = await asyncio.to_thread(line.recv, 100)
            assert heard[6:7] == b"\x01" if framing is Framing.TCP else heard[:1] == b"\x01"
            await fleet.stop(end)
            await fleet.start(end)
            assert fleet.port(end) == port


def test_an_address_is_given_once_on_a_bus_in_each_protocol(library: ProfileLibrary, clock: ManualClock) -> None:
    short = electricity(library, HOME, "e2", "1")
    Fleet([short, pump(library, HOME), water(library, HOME)], clock)
    with pytest.raises(DuplicateId, match="address 000000000001"):
        Fleet([short, electricity(library, HOME, "e3", "000000000001")], clock)
    with pytest.raises(ValueError, match="no meter's number"):
        Fleet([electricity(library, HOME, "e4", "12345678901234")], clock)
    with pytest.raises(ValueError, match="only Modbus meters"):
        Fleet([SimulatedMeter("e5", library.get("generic/dlt645-1997"), Endpoint(), "1")], clock)


async def test_the_only_meter_on_a_line_answers_to_the_wildcard(library: ProfileLibrary, clock: ManualClock) -> None:
    async with Fleet([electricity(library, HOME, address="AAAAAAAAAAAA")], clock) as fleet:
        request = encode(Frame("AAAAAAAAAAAA", 0x11, (0x00010000).to_bytes(4, "little")))
        assert kwh(await ask(fleet.port(HOME), request)) > 0


def test_a_water_meter_has_no_electricity_behind_it(library: ProfileLibrary, clock: ManualClock) -> None:
    meter = Fleet([water(library, HOME)], clock).meter("w1")
    with pytest.raises(UnknownId, match="no electricity meter"):
        _ = meter.meter
    assert meter.written(1) is None
    meter.clock_off_s = 12.0
    assert meter.clock_off_s == 12.0


def test_what_sticks_is_loose_again_when_the_fault_is_over(library: ProfileLibrary, clock: ManualClock) -> None:
    fleet = Fleet([electricity(library, HOME), water(library, HOME)], clock)
    relay, valve = fleet.meter("e1"), fleet.meter("w1")
    assert isinstance(relay.device, Dlt645Station)
    assert isinstance(valve.device, Cjt188Station)
    assert valve.device.valve is not None
    relay.fault, valve.fault = RelaySticks(), ValveSticks()
    ask_water = encode_cjt188(WaterFrame(0x10, "10000000000001", 1, bytes((0x1F, 0x90, 0))))
    for expected in (True, False):
        relay.device.answer(READ_ENERGY, clock.now_ns())
        valve.device.answer(ask_water, clock.now_ns())
        assert (relay.device.relay.stuck, valve.device.valve.stuck) == (expected, expected)
        relay.fault = valve.fault = None


def test_the_books_of_water_and_heat_only_grow(library: ProfileLibrary, clock: ManualClock) -> None:
    heat = SimulatedMeter("h1", library.get("generic/cjt188-heat"), HOME, "20000000000001")
    fleet = Fleet([heat, water(library, HOME)], clock)
    day = 86_400 * NS
    moments = [clock.now_ns() + step * day for step in range(4)]
    for meter, quantity in (("h1", Quantity.HEAT_ENERGY), ("h1", Quantity.VOLUME), ("w1", Quantity.VOLUME)):
        values = [fleet.books.value(meter, quantity, moment) for moment in moments]
        assert values == sorted(values)
        assert values[-1] > values[0]
    with pytest.raises(UnknownId, match="ActiveEnergyImport"):
        fleet.books.energy_wh("w1")

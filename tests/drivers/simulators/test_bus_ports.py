"""A simulated bus behind real plugs: a TCP port, a pseudo-terminal, a modem that dials."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import serial

from address_space.model.clock import SystemClock
from drivers.dlt645.frame import Decoder, Frame, encode
from drivers.simulators.bus import SimulatedBus
from drivers.simulators.dlt645 import Dlt645Station
from drivers.simulators.meter import Installation
from drivers.simulators.ports import DialOut, PseudoTerminal, TcpPort
from drivers.simulators.wire import DLT645
from drivers.transport import Parity, SerialSettings

METER = "000000000001"
ASK = encode(Frame(METER, 0x11, bytes.fromhex("00000100")))
PATIENCE_S = 60.0


def bus_of(settings: SerialSettings | None = None) -> SimulatedBus:
    bus = SimulatedBus(SystemClock(), settings)
    bus.attach(DLT645, Dlt645Station(Installation("m1"), METER))
    return bus


async def frame_of(reader: asyncio.StreamReader) -> Frame:
    decoder = Decoder()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for each in decoder.feed(await reader.read(100)):
                if isinstance(each, Frame):
                    return each


def asked_on(port: serial.Serial) -> list[Frame]:
    port.write(ASK)
    return [each for each in Decoder().feed(port.read(24)) if isinstance(each, Frame)]


async def test_any_number_of_clients_may_use_a_tcp_port() -> None:
    port = TcpPort(bus_of())
    await port.start()
    await port.start()
    pairs = [await asyncio.open_connection(port.host, port.port) for _ in range(3)]
    for reader, writer in pairs:
        writer.write(ASK)
        assert (await frame_of(reader)).address == METER
    await port.stop()
    for reader, writer in pairs:
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()


async def test_a_tcp_port_that_was_pulled_comes_back_where_it_was() -> None:
    port = TcpPort(bus_of())
    await port.start()
    number = port.port
    await port.stop()
    await port.start()
    assert port.port == number
    reader, writer = await asyncio.open_connection(port.host, number)
    writer.write(ASK)
    assert (await frame_of(reader)).control == 0x91
    writer.close()
    await port.stop()


async def test_a_pseudo_terminal_is_a_serial_port_at_its_path(tmp_path: Path) -> None:
    path = tmp_path / "ttyMETER"
    port = PseudoTerminal(bus_of(SerialSettings(9600, Parity.EVEN)), path)
    await port.start()
    with serial.Serial(str(path), 9600, timeout=PATIENCE_S) as opened:
        assert [frame.address for frame in await asyncio.to_thread(asked_on, opened)] == [METER]
    await port.stop()
    assert not path.is_symlink()
    await port.start()
    with serial.Serial(str(path), 9600, timeout=PATIENCE_S) as opened:
        assert [frame.address for frame in await asyncio.to_thread(asked_on, opened)] == [METER]
    await port.stop()


async def test_with_a_wrong_speed_nobody_answers(tmp_path: Path) -> None:
    path = tmp_path / "ttyMETER"
    bus = bus_of(SerialSettings(2400, Parity.EVEN))
    port = PseudoTerminal(bus, path)
    await port.start()
    with serial.Serial(str(path), 9600, timeout=0.2) as opened:
        assert await asyncio.to_thread(asked_on, opened) == []
    with serial.Serial(str(path), 2400, timeout=PATIENCE_S) as opened:
        assert len(await asyncio.to_thread(asked_on, opened)) == 1
    assert bus.requests == 1
    await port.stop()


async def test_a_modem_tells_who_it_is_beats_and_calls_again() -> None:
    heard: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_server(lambda reader, writer: heard.put_nowait((reader, writer)), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    modem = DialOut(
        bus_of(),
        "127.0.0.1",
        port,
        SystemClock(),
        registration=b"IMEI0001",
        heartbeat=b"\xff\xfe",
        heartbeat_s=0.02,
        redial_s=0.02,
    )
    await modem.start()
    async with asyncio.timeout(PATIENCE_S):
        for call in (1, 2):
            reader, writer = await heard.get()
            assert await reader.readexactly(8) == b"IMEI0001"
            assert await reader.readexactly(2) == b"\xff\xfe"
            writer.write(ASK)
            assert (await frame_of(reader)).address == METER
            assert modem.calls == call
            writer.close()
    await modem.stop()
    server.close()
    await server.wait_closed()


async def test_a_modem_calls_until_somebody_answers() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    modem = DialOut(bus_of(), "127.0.0.1", port, SystemClock(), registration=b"1", redial_s=0.01)
    await modem.start()
    came: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(lambda reader, writer: came.put_nowait(writer), "127.0.0.1", port)
    async with asyncio.timeout(PATIENCE_S):
        (await came.get()).close()
    await modem.stop()
    server.close()
    await server.wait_closed()

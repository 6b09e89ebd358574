import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from address_space.model.clock import ManualClock
from drivers.profiles import ProfileLibrary, load_library
from drivers.simulators import Endpoint, Fleet, Framing, SimulatedMeter
from drivers.simulators.framing import Frame, join

READ_SIX = bytes((4, 0, 0, 0, 6))
"""FC 4, six registers from 0: the three voltages of an SDM630."""


@pytest.fixture(scope="session")
def library() -> ProfileLibrary:
    return load_library()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@dataclass
class Wire:
    """A client that knows only bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    framing: Framing

    def send(self, unit: int, pdu: bytes, transaction: int = 1) -> None:
        self.writer.write(join(self.framing, Frame(transaction, unit, pdu)))

    async def take(self, size: int) -> bytes:
        async with asyncio.timeout(60):
            return await self.reader.readexactly(size)

    async def answer(self) -> Frame:
        """The next Modbus TCP answer."""
        head = await self.take(7)
        assert head[2:4] == b"\0\0"
        return Frame(int.from_bytes(head[:2], "big"), head[6], await self.take(int.from_bytes(head[4:6], "big") - 1))

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(60):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


Connect = Callable[[Fleet, Endpoint], "asyncio.Future[Wire]"]


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., object]]:
    wires: list[Wire] = []

    async def open_wire(fleet: Fleet, endpoint: Endpoint) -> Wire:
        reader, writer = await asyncio.open_connection(endpoint.host, fleet.port(endpoint))
        wires.append(Wire(reader, writer, endpoint.framing))
        return wires[-1]

    yield open_wire
    for wire in wires:
        wire.writer.close()
        try:
            await wire.writer.wait_closed()
        except ConnectionError:
            continue


@pytest.fixture
def pair(library: ProfileLibrary) -> Callable[[Endpoint], list[SimulatedMeter]]:
    """Two SDM630 on one bus: `faulty` at unit 1, `sound` at unit 2."""

    def describe(endpoint: Endpoint) -> list[SimulatedMeter]:
        profile = library.get("eastron/sdm630")
        return [
            SimulatedMeter("faulty", profile, endpoint, "1"),
            SimulatedMeter("sound", profile, endpoint, "2"),
        ]

    return describe

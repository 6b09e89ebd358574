"""A device made of bytes: a TCP server that answers exactly what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from address_space.model.clock import SystemClock
from address_space.model.ids import UnitHandle
from drivers.api import Device
from drivers.codec import crc16_modbus
from drivers.modbus import CompiledProfile, ModbusDriver, Options, compile_profile
from drivers.transport import Lines
from tests.drivers.profile_text import profile_of


def compiled(text: str) -> CompiledProfile:
    """A profile from the part of its file that matters to a test."""
    return compile_profile(profile_of("modbus", text))


def device(profile: CompiledProfile, *, unit: int = 1, ratio: tuple[float, float] = (1.0, 1.0)) -> Device:
    return Device(UnitHandle(unit), 0, f"meter {unit}", profile, str(unit), ratio)


@dataclass
class Asked:
    """One request as it arrived."""

    transaction: int
    unit: int
    pdu: bytes

    @property
    def address(self) -> int:
        return int(struct.unpack(">H", self.pdu[1:3])[0])

    @property
    def count(self) -> int:
        return int(struct.unpack(">H", self.pdu[3:5])[0])


Behaviour = Callable[["ByteDevice", Asked], Awaitable[None]]


@dataclass
class ByteDevice:
    """Registers by address, a behaviour that may be replaced, and a log of what was asked."""

    rtu: bool = False
    registers: dict[int, int] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    behaviour: Behaviour | None = None
    writer: Any = None
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writer = writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                if self.rtu:
                    frame = await reader.readexactly(8)
                    asked = Asked(0, frame[0], frame[1:-2])
                else:
                    head = await reader.readexactly(7)
                    asked = Asked(
                        int.from_bytes(head[:2], "big"),
                        head[6],
                        await reader.readexactly(int.from_bytes(head[4:6], "big") - 1),
                    )
                self.asked.append(asked)
                await (self.behaviour or ByteDevice.answer)(self, asked)
        writer.close()

    async def answer(self, asked: Asked) -> None:
        """As a sound device does: registers it lacks are refused with exception 2."""
        function = asked.pdu[0]
        if function in (5, 6, 15, 16):
            self.send(asked, asked.pdu[:5])
            return
        places = range(asked.address, asked.address + asked.count)
        if any(place not in self.registers for place in places):
            self.send(asked, bytes([function | 0x80, 2]))
            return
        words = b"".join(self.registers[place].to_bytes(2, "big") for place in places)
        self.send(asked, bytes([function, len(words)]) + words)

    def send(self, asked: Asked, pdu: bytes, *, unit: int | None = None, transaction: int | None = None) -> None:
        self.raw(self.frame(asked, pdu, unit=unit, transaction=transaction))

    def frame(self, asked: Asked, pdu: bytes, *, unit: int | None = None, transaction: int | None = None) -> bytes:
        who = asked.unit if unit is None else unit
        if self.rtu:
            body = bytes([who]) + pdu
            return body + crc16_modbus(body)
        number = asked.transaction if transaction is None else transaction
        return struct.pack(">HHHB", number, 0, len(pdu) + 1, who) + pdu

    def raw(self, data: bytes) -> None:
        self.writer.write(data)


@dataclass
class Bench:
    """A byte device and the driver that talks to it."""

    device: ByteDevice
    driver: ModbusDriver

    async def read(self, profile: CompiledProfile, **how: Any) -> Any:
        """One reading of all points; raises what the driver raises."""
        meter = device(profile, **how)
        plan = self.driver.plan(meter, tuple(range(len(profile.points))))
        answers = {request: await self.driver.request(meter, request) for request in plan.requests}
        return self.driver.decode(meter, plan, answers)


@contextlib.asynccontextmanager
async def _bench(*, framer: str) -> AsyncIterator[Bench]:
    meter = ByteDevice(rtu=framer == "rtu")
    server = await asyncio.start_server(meter.serve, "127.0.0.1", 0)
    meter.port = server.sockets[0].getsockname()[1]
    options = Options(host="127.0.0.1", port=meter.port, framer=framer, timeout_ms=500)  # type: ignore[arg-type]
    clock = SystemClock()
    driver = ModbusDriver("bus", options, Lines(clock).link("bus", options), clock)
    await driver.open()
    try:
        yield Bench(meter, driver)
    finally:
        await driver.close()
        server.close()
        if meter.writer is not None:
            meter.writer.close()
        await asyncio.sleep(0)
        await server.wait_closed()


@pytest.fixture
async def tcp() -> AsyncIterator[Bench]:
    async with _bench(framer="tcp") as made:
        yield made


@pytest.fixture
async def rtu() -> AsyncIterator[Bench]:
    async with _bench(framer="rtu") as made:
        yield made


@pytest.fixture(params=["tcp", "rtu"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with _bench(framer=request.param) as made:
        yield made


@pytest.fixture(name="compiled")
def compiled_fixture() -> Callable[[str], CompiledProfile]:
    return compiled


@pytest.fixture
def a_device() -> Callable[..., Device]:
    return device


@pytest.fixture
def golden_folder() -> Path:
    return Path(__file__).parents[2] / "golden" / "modbus"

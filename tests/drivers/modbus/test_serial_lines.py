"""The driver on serial lines in memory: noise, echoes, broadcasts, RTU and ASCII."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from address_space.model.clock import SystemClock
from drivers.api import WriteRequest
from drivers.codec import crc16_modbus
from drivers.errors import BadFrame, NoAnswer, ProfileError
from drivers.modbus import ModbusDriver, Options, Target
from drivers.modbus.framing import framing, read_request
from drivers.modbus.plan import Read
from drivers.simulators.pdu import answer
from drivers.transport import PairLink, SerialSettings, pair

PLAIN = """
modbus: {fc: 3}
points:
  VoltageL1: {at: 0, type: uint16, scale: 0.1, unit: V}
  ActiveEnergyImport: {at: 1, type: uint32, scale: 0.01, unit: kWh}
"""
WORDS = {0: 2301, 1: 0, 2: 12345, 0x57: 0, 0x58: 0}


class Registers:
    """Holding registers as a bank of the simulator."""

    def __init__(self) -> None:
        self.words = dict(WORDS)

    def read_words(self, table: Any, first: int, count: int) -> bytes:
        return b"".join(self.words.get(place, 0).to_bytes(2, "big") for place in range(first, first + count))

    def write_words(self, first: int, words: bytes) -> None:
        for at in range(0, len(words), 2):
            self.words[first + at // 2] = int.from_bytes(words[at : at + 2], "big")

    def read_bits(self, table: Any, first: int, count: int) -> list[bool]:
        return [bool(self.words.get(place)) for place in range(first, first + count)]

    def write_bits(self, first: int, bits: list[bool]) -> None:
        self.words.update({first + at: int(bit) for at, bit in enumerate(bits)})


Dirt = Callable[[bytes, bytes], Sequence[bytes]]
"""(request, answer) → what is sent, piece by piece."""


@dataclass
class Bus:
    """A driver on one end of a line, a meter with address 1 on the other."""

    kind: str
    driver: ModbusDriver
    line: PairLink
    far: PairLink
    registers: Registers = field(default_factory=Registers)
    dirt: Dirt = lambda request, reply: [reply]
    heard: list[bytes] = field(default_factory=list)
    unit: int = 1
    answered_s: list[float] = field(default_factory=list)
    heard_s: list[float] = field(default_factory=list)

    async def serve(self) -> None:
        while True:
            request = await self.far.receive(60.0)
            if not request:
                continue
            self.heard.append(request)
            self.heard_s.append(asyncio.get_running_loop().time())
            body = bytes.fromhex(request[1:-4].decode()) if self.kind == "ascii" else request[:-2]
            reply = answer(self.registers, body[1:])
            if body[0] != self.unit:
                continue
            for piece in self.dirt(request, self.wrap(self.unit, reply)):
                self.far.send(piece)
                await asyncio.sleep(0)
            self.answered_s.append(asyncio.get_running_loop().time())

    def wrap(self, unit: int, pdu: bytes) -> bytes:
        body = bytes((unit,)) + pdu
        if self.kind == "ascii":
            return b":" + (body + bytes((-sum(body) & 0xFF,))).hex().upper().encode() + b"\r\n"
        return body + crc16_modbus(body)


@pytest.fixture(params=["rtu", "ascii"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    near, far = pair()
    options = Options(transport="serial", device="line", framer=request.param, timeout_ms=500)
    made = Bus(request.param, ModbusDriver("bus", options, near, SystemClock()), near, far)
    await made.driver.open()
    serving = asyncio.create_task(made.serve(), name="meter")
    yield made
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


async def read(bus: Bus, profile: Any, meter: Any) -> list[float]:
    plan = bus.driver.plan(meter, (0, 1))
    answers = {request: await bus.driver.request(meter, request) for request in plan.requests}
    values: list[float] = bus.driver.decode(meter, plan, answers).values.tolist()
    return values


DIRT: dict[str, Dirt] = {
    "nothing": lambda request, reply: [reply],
    "noise": lambda request, reply: [b"\x00\xfe\xff", reply],
    "an echo": lambda request, reply: [request, reply],
    "an echo glued to it": lambda request, reply: [request + reply],
    "noise and an echo": lambda request, reply: [b"\x00", request[:3], request[3:], reply],
    "single bytes": lambda request, reply: [reply[at : at + 1] for at in range(len(reply))],
}


@pytest.mark.parametrize("dirt", DIRT)
async def test_values_arrive_through(dirt: str, bus: Bus, compiled: Any, a_device: Any) -> None:
    bus.dirt = DIRT[dirt]
    profile = compiled(PLAIN)
    assert await read(bus, profile, a_device(profile)) == [230.1, 123_450]
    assert await read(bus, profile, a_device(profile)) == [230.1, 123_450]
    assert len(bus.heard) == 2


async def test_an_answer_of_another_unit_in_front_is_passed_over(bus: Bus, compiled: Any, a_device: Any) -> None:
    bus.dirt = lambda request, reply: [bus.wrap(7, bytes((3, 6)) + bytes(6)), reply]
    profile = compiled(PLAIN)
    assert await read(bus, profile, a_device(profile)) == [230.1, 123_450]


async def test_only_an_answer_of_another_unit_is_told_as_such(bus: Bus, compiled: Any, a_device: Any) -> None:
    bus.dirt = lambda request, reply: [bus.wrap(7, bytes((3, 6)) + bytes(6))]
    profile = compiled(PLAIN)
    with pytest.raises(BadFrame, match="unit 7 answered instead of 1"):
        await read(bus, profile, a_device(profile))


async def test_an_echo_and_no_answer_is_told_as_such(bus: Bus, compiled: Any, a_device: Any) -> None:
    bus.dirt = lambda request, reply: [request]
    profile = compiled(PLAIN)
    with pytest.raises(BadFrame, match="the line echoes"):
        await read(bus, profile, a_device(profile))


async def test_on_a_line_that_echoes_an_echo_acknowledges_no_write(bus: Bus, compiled: Any, a_device: Any) -> None:
    profile = compiled(PLAIN)
    meter = a_device(profile)
    bus.dirt = DIRT["an echo"]
    await read(bus, profile, meter)
    assert (await bus.driver.write(meter, WriteRequest(Target(6, 0x57), (1,)))).acknowledged is True
    bus.dirt = lambda request, reply: [request]
    assert (await bus.driver.write(meter, WriteRequest(Target(6, 0x57), (2,)))).acknowledged is None


@pytest.mark.parametrize(("fc", "words"), [(5, (1,)), (6, (1,)), (15, (1, 0, 1)), (16, (1, 1))])
async def test_every_function_that_writes_is_acknowledged(
    fc: int, words: tuple[int, ...], bus: Bus, compiled: Any, a_device: Any
) -> None:
    done = await bus.driver.write(a_device(compiled(PLAIN)), WriteRequest(Target(fc, 0x57), words))
    assert done.acknowledged is True
    assert [bus.registers.words[0x57 + at] for at in range(len(words))] == list(words)


async def test_a_broadcast_is_obeyed_and_nobody_is_waited_for(bus: Bus, compiled: Any, a_device: Any) -> None:
    profile = compiled(PLAIN)
    everybody = a_device(profile, unit=0)
    done = await bus.driver.write(everybody, WriteRequest(Target(16, 0x57), (1, 1)))
    assert (done.acknowledged, done.detail) == (None, "a broadcast: nobody answers it")
    assert await read(bus, profile, a_device(profile)) == [230.1, 123_450]
    assert bus.registers.words[0x58] == 1
    with pytest.raises(ProfileError, match="unit 0 is for broadcasts"):
        await read(bus, profile, everybody)


async def test_a_late_answer_glued_to_the_next_one_is_not_believed(bus: Bus, compiled: Any, a_device: Any) -> None:
    """The request after a missing answer asks for another length, by which both are told apart."""
    profile = compiled(PLAIN)
    held: list[bytes] = []

    def late(request: bytes, reply: bytes) -> Sequence[bytes]:
        if not held:
            held.append(reply)
            return []
        return [held[0] + reply] if len(bus.heard) == 2 else [reply]

    bus.dirt = late
    with pytest.raises(NoAnswer):
        await read(bus, profile, a_device(profile))
    bus.registers.words[0] = 2444
    assert await read(bus, profile, a_device(profile)) == [244.4, 123_450]
    assert len(bus.heard) == 3


async def test_frames_of_rtu_are_three_and_a_half_characters_apart(bus: Bus, compiled: Any, a_device: Any) -> None:
    profile = compiled(PLAIN)
    settings = SerialSettings(1200)
    bus.line.tune(settings)
    for _ in range(2):
        await read(bus, profile, a_device(profile))
    silence_s = bus.heard_s[1] - bus.answered_s[0]
    assert bus.kind != "rtu" or silence_s > 3.0 * settings.character_s


def test_what_a_request_costs_on_the_wire_is_counted(
    bus_less: Callable[[str], ModbusDriver], compiled: Any, a_device: Any
) -> None:
    profile = compiled(PLAIN)
    for kind in ("rtu", "ascii"):
        driver = bus_less(kind)
        (request,) = driver.plan(a_device(profile), (0, 1)).requests
        frames = framing(kind)
        sent = frames.wrap(read_request(Read(3, 0, 3)), 1, 0)
        body = 5 + 6
        assert (request.sent, request.received) == (len(sent), body if kind == "rtu" else 2 * body + 1)


@pytest.fixture
def bus_less() -> Callable[[str], ModbusDriver]:
    def make(kind: str) -> ModbusDriver:
        options = Options(transport="serial", device="line", framer=kind)  # type: ignore[arg-type]
        return ModbusDriver("bus", options, pair()[0], SystemClock())

    return make

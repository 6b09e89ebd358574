"""Stations behind one simulated wire: who answers, what goes wrong, and how long it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from address_space.model.clock import ManualClock
from drivers.codec import crc16_modbus
from drivers.codec.frame68 import Flaw
from drivers.dlt645.frame import ANY, Decoder, Frame, encode
from drivers.simulators import faults
from drivers.simulators.bus import SimulatedBus
from drivers.simulators.faults import FaultState
from drivers.simulators.wire import DLT645, MODBUS_RTU
from drivers.transport import PairLink, Parity, SerialSettings, pair

METER, NEIGHBOUR = "000000000001", "000000000002"
ASK = encode(Frame(METER, 0x11, b"\0\0\1\0"), 4)


class Parrot:
    """Answers a read with its own address as data."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.fault_state = FaultState()
        self.asked = 0

    def answer(self, request: bytes, now_ns: int) -> bytes | None:
        self.asked += 1
        (frame,) = Decoder().feed(request)
        if not isinstance(frame, Frame) or frame.address not in (self.address, ANY):
            return None
        return encode(Frame(self.address, 0x91, frame.data + bytes.fromhex(self.address)), 2)

    def refuse(self, request: bytes, code: int) -> bytes:
        return encode(Frame(self.address, 0xD1, bytes([code])), 2)


class Register:
    """A Modbus unit 7 that answers anything."""

    def __init__(self) -> None:
        self.fault_state = FaultState()

    def answer(self, request: bytes, now_ns: int) -> bytes | None:
        body = b"\x07\x03\x02\x12\x34"
        return body + crc16_modbus(body) if request[0] == 7 else None


ANSWER = encode(Frame(METER, 0x91, b"\0\0\1\0" + bytes.fromhex(METER)), 2)


@asynccontextmanager
async def served(bus: SimulatedBus) -> AsyncIterator[PairLink]:
    near, far = pair("bus")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bus.serve(far), name="bus of a test")
        yield near
        task.cancel()


async def settled() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def bus(clock: ManualClock) -> SimulatedBus:
    return SimulatedBus(clock)


async def said(link: PairLink, request: bytes = ASK) -> bytes:
    link.send(request)
    await settled()
    return link.discard()


async def test_only_the_one_that_is_asked_answers(bus: SimulatedBus) -> None:
    first, second = Parrot(METER), Parrot(NEIGHBOUR)
    bus.attach(DLT645, first)
    bus.attach(DLT645, second)
    async with served(bus) as link:
        assert await said(link) == ANSWER
        assert await said(link, encode(Frame("000000000003", 0x11))) == b""
    assert (bus.requests, first.fault_state.requests, second.fault_state.requests) == (2, 1, 0)


async def test_requests_to_a_known_address_trouble_nobody_else(bus: SimulatedBus) -> None:
    first, second = Parrot(METER), Parrot(NEIGHBOUR)
    bus.attach(DLT645, first, bytes.fromhex(METER)[::-1])
    bus.attach(DLT645, second, bytes.fromhex(NEIGHBOUR)[::-1])
    async with served(bus) as link:
        assert await said(link) == ANSWER
    assert (first.asked, second.asked) == (1, 0)


async def test_a_request_may_come_in_pieces_and_after_noise(bus: SimulatedBus) -> None:
    bus.attach(DLT645, Parrot(METER))
    async with served(bus) as link:
        for piece in (b"\x68\x99\x12", ASK[:9], ASK[9:]):
            link.send(piece)
            await settled()
        assert link.discard() == ANSWER
        assert await said(link, ASK + ASK) == ANSWER + ANSWER


async def test_several_protocols_share_the_wire(bus: SimulatedBus) -> None:
    bus.attach(DLT645, Parrot(METER))
    bus.attach(MODBUS_RTU, Register())
    read = b"\x07\x03\x00\x00\x00\x01"
    async with served(bus) as link:
        told = b"\x07\x03\x02\x12\x34"
        assert await said(link, read + crc16_modbus(read)) == told + crc16_modbus(told)
        assert await said(link) == ANSWER


async def test_several_links_are_served_and_each_hears_its_own(bus: SimulatedBus) -> None:
    bus.attach(DLT645, Parrot(METER))
    async with served(bus) as first, served(bus) as second:
        assert await said(first) == ANSWER
        assert second.discard() == b""
        assert await said(second) == ANSWER


async def test_two_that_answer_at_once_are_not_understood(bus: SimulatedBus) -> None:
    bus.attach(DLT645, Parrot(METER))
    bus.attach(DLT645, Parrot(NEIGHBOUR))
    async with served(bus) as link:
        heard = await said(link, encode(Frame(ANY, 0x13)))
    assert heard
    assert not [each for each in Decoder().feed(heard) if isinstance(each, Frame)]


async def test_a_station_that_was_taken_off_is_silent(bus: SimulatedBus) -> None:
    meter = Parrot(METER)
    bus.attach(DLT645, meter, bytes.fromhex(METER)[::-1])
    async with served(bus) as link:
        bus.detach(meter)
        assert await said(link) == b""


async def test_a_line_that_hears_itself_sends_the_request_back_first(clock: ManualClock) -> None:
    bus = SimulatedBus(clock, echo=True)
    bus.attach(DLT645, Parrot(METER))
    async with served(bus) as link:
        assert await said(link) == ASK.lstrip(b"\xfe") + ANSWER


FRAME = ANSWER.lstrip(b"\xfe")


@pytest.mark.parametrize(
    ("fault", "fits"),
    [
        (faults.Silent(), lambda heard: heard == b""),
        (faults.WrongCheck(), lambda heard: _flaw(heard) == "checksum"),
        (faults.WrongUnit(2), lambda heard: _frame(heard).address == "000000000003"),
        (faults.WrongLength(-1), lambda heard: len(_frame(heard).data) == 8),
        (faults.WrongLength(2), lambda heard: len(_frame(heard).data) == 14),
        (faults.ExceptionAnswer(2), lambda heard: (_frame(heard).control, _frame(heard).data) == (0xD1, b"\x02")),
        (faults.HalfFrame(9), lambda heard: heard == ANSWER[:9]),
        (faults.Garbage(16), lambda heard: len(heard) == 16 and heard != ANSWER[:16]),
        (faults.NoiseBefore(8), lambda heard: heard[8:] == ANSWER and _frame(heard).address == METER),
        (faults.LongPreamble(300), lambda heard: heard == b"\xfe" * 300 + ANSWER),
        (faults.LongPreamble(3, 0x00), lambda heard: heard == bytes(3) + ANSWER),
        (faults.Echo(), lambda heard: heard.endswith(ANSWER) and heard[: len(ASK) - 4] == ASK[4:]),
    ],
    ids=lambda value: type(value).__name__ if not callable(value) else "",
)
async def test_a_fault_shows_on_the_wire(
    bus: SimulatedBus, clock: ManualClock, fault: faults.Fault, fits: Callable[[bytes], bool]
) -> None:
    meter = Parrot(METER)
    meter.fault_state.set((fault,), clock.now_ns())
    bus.attach(DLT645, meter)
    async with served(bus) as link:
        assert fits(await said(link))
        meter.fault_state.set((), clock.now_ns())
        assert await said(link) == ANSWER


async def test_a_slow_answer_does_not_hold_up_the_neighbour(bus: SimulatedBus, clock: ManualClock) -> None:
    slow, quick = Parrot(METER), Parrot(NEIGHBOUR)
    slow.fault_state.set((faults.Slow(3.0),), clock.now_ns())
    bus.attach(DLT645, slow)
    bus.attach(DLT645, quick)
    async with served(bus) as link:
        assert await said(link) == b""
        assert _frame(await said(link, encode(Frame(NEIGHBOUR, 0x11)))).address == NEIGHBOUR
        await clock.advance(3.0)
        assert link.discard() == ANSWER


async def test_a_late_answer_comes_before_the_next_one(bus: SimulatedBus, clock: ManualClock) -> None:
    meter = Parrot(METER)
    meter.fault_state.set((faults.Late(faults.EveryNth(2)),), clock.now_ns())
    bus.attach(DLT645, meter)
    async with served(bus) as link:
        assert [len(await said(link)) // len(ANSWER) for _ in range(3)] == [1, 0, 2]


async def test_a_stray_answer_is_the_last_one_of_another_station(bus: SimulatedBus, clock: ManualClock) -> None:
    meter = Parrot(METER)
    meter.fault_state.set((faults.StrayAnswer(),), clock.now_ns())
    bus.attach(DLT645, meter)
    bus.attach(DLT645, Parrot(NEIGHBOUR))
    async with served(bus) as link:
        theirs = await said(link, encode(Frame(NEIGHBOUR, 0x11)))
        assert await said(link) == theirs + ANSWER
        meter.fault_state.set((faults.StrayAnswer(alone=True),), clock.now_ns())
        assert await said(link) == theirs


async def test_a_babbling_station_goes_on_for_a_while_and_then_stops(bus: SimulatedBus, clock: ManualClock) -> None:
    meter = Parrot(METER)
    meter.fault_state.set((faults.Babbling(lasts_s=1.0, size=16, every_s=0.1),), clock.now_ns())
    bus.attach(DLT645, meter)
    async with served(bus) as link:
        await said(link)
        await clock.advance(5.0)
        assert 10 * 16 <= len(link.discard()) + 16 <= 12 * 16
        meter.fault_state.set((), clock.now_ns())
        assert await said(link) == ANSWER


async def test_a_dropped_connection_ends_in_the_middle_of_the_answer(bus: SimulatedBus, clock: ManualClock) -> None:
    meter = Parrot(METER)
    meter.fault_state.set((faults.Dropped(5),), clock.now_ns())
    bus.attach(DLT645, meter)
    near, far = pair()
    near.send(ASK)
    await bus.serve(far)
    assert near.discard() == ANSWER[:5]
    assert not near.connected


async def test_a_line_takes_the_time_of_its_characters(clock: ManualClock) -> None:
    settings = SerialSettings(2400, Parity.EVEN)
    bus = SimulatedBus(clock, settings, turnaround_s=0.02)
    bus.attach(DLT645, Parrot(METER))
    wire_s = (len(ASK) + len(ANSWER)) * settings.character_s + 0.02
    async with served(bus) as link:
        link.send(ASK)
        await clock.advance(wire_s - 0.001)
        early = link.discard()
        await clock.advance(0.002)
        assert len(early) < len(ANSWER)
        assert early + link.discard() == ANSWER
        link.send(ASK)
        await clock.advance(wire_s + 0.001)
        assert link.discard() == ANSWER


async def test_the_station_of_a_cut_link_is_asked_again_on_the_next_one(bus: SimulatedBus) -> None:
    bus.attach(DLT645, Parrot(METER))
    near, far = pair()
    near.close()
    far.close()
    await bus.serve(far)
    async with served(bus) as link:
        assert await said(link) == ANSWER


def _frame(heard: bytes) -> Frame:
    return next(each for each in Decoder().feed(heard) if isinstance(each, Frame))


def _flaw(heard: bytes) -> str:
    decoder = Decoder()
    return next(each.cause.value for each in decoder.feed(heard) + decoder.flush() if isinstance(each, Flaw))

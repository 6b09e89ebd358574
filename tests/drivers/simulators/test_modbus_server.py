"""Functions, exceptions, writes and noise at the simulated device's port."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model.clock import ManualClock
from drivers.profiles import Command, ProfileLibrary, Step
from drivers.simulators import Endpoint, Fleet, Framing, SimulatedMeter
from drivers.simulators.framing import BrokenStream, Frame, join, take, take_rtu, take_tcp
from drivers.simulators.pdu import Refusal, Refused, Table, answer

VOLTAGES = bytes((4, 0, 0, 0, 6))
TCP = Endpoint()


class Memory:
    """A bank of 100 registers and coils."""

    def __init__(self) -> None:
        self.words = bytearray(200)
        self.bits = [False] * 100

    def read_words(self, table: Table, first: int, count: int) -> bytes:
        self._check(first, count)
        return bytes(self.words[2 * first : 2 * (first + count)])

    def read_bits(self, table: Table, first: int, count: int) -> list[bool]:
        self._check(first, count)
        return self.bits[first : first + count]

    def write_words(self, first: int, words: bytes) -> None:
        self._check(first, len(words) // 2)
        self.words[2 * first : 2 * first + len(words)] = words

    def write_bits(self, first: int, bits: list[bool]) -> None:
        self._check(first, len(bits))
        self.bits[first : first + len(bits)] = bits

    @staticmethod
    def _check(first: int, count: int) -> None:
        if first + count > 100:
            raise Refused(Refusal.ILLEGAL_ADDRESS)


@pytest.mark.parametrize(
    ("write", "echo", "read", "data"),
    [
        ("06 0003 1234", "06 0003 1234", "03 0003 0001", "03 02 1234"),
        ("10 0003 0002 04 1234 5678", "10 0003 0002", "03 0003 0002", "03 04 1234 5678"),
        ("05 0003 FF00", "05 0003 FF00", "01 0002 0003", "01 01 02"),
        ("0F 0013 000A 02 CD01", "0F 0013 000A", "01 0013 000A", "01 02 CD01"),
    ],
)
def test_what_is_written_is_read_back(write: str, echo: str, read: str, data: str) -> None:
    bank = Memory()
    assert answer(bank, bytes.fromhex(write)) == bytes.fromhex(echo)
    assert answer(bank, bytes.fromhex(read)) == bytes.fromhex(data)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("07", 1),
        ("2B 0E 01 00", 1),
        ("03 0060 0005", 2),
        ("03 FFFF 0002", 2),
        ("06 0064 0000", 2),
        ("03 0000 0000", 3),
        ("03 0000 007E", 3),
        ("03 0000", 3),
        ("03 0000 0001 00", 3),
        ("01 0000 07D1", 3),
        ("05 0000 0001", 3),
        ("06 0000", 3),
        ("10 0000 0002 03 123456", 3),
        ("10 0000 0002 04 1234", 3),
        ("0F 0000 0009 01 FF", 3),
        ("10 0000 007C F8" + "00" * 248, 3),
    ],
)
def test_what_cannot_be_done_is_refused(request_: str, code: int) -> None:
    request = bytes.fromhex(request_)
    assert answer(Memory(), request) == bytes((request[0] | 0x80, code))


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=253))
def test_any_request_gets_an_answer_that_fits_a_frame(request: bytes) -> None:
    reply = answer(Memory(), request)
    assert 2 <= len(reply) <= 253
    assert reply[0] & 0x7F == request[0] & 0x7F


requests = st.one_of(
    st.tuples(st.sampled_from([1, 2, 3, 4, 5, 6]), st.binary(min_size=4, max_size=4)).map(
        lambda pair: bytes((pair[0],)) + pair[1]
    ),
    st.tuples(st.sampled_from([15, 16]), st.binary(min_size=4, max_size=4), st.binary(max_size=40)).map(
        lambda row: bytes((row[0],)) + row[1] + bytes((len(row[2]),)) + row[2]
    ),
)


@given(st.lists(st.tuples(st.integers(0, 255), requests), max_size=5), st.sampled_from(Framing), st.data())
def test_frames_survive_any_fragmentation(rows: list[tuple[int, bytes]], framing: Framing, data: st.DataObject) -> None:
    sent = [Frame(number if framing is Framing.TCP else 0, unit, pdu) for number, (unit, pdu) in enumerate(rows)]
    stream = b"".join(join(framing, frame) for frame in sent)
    got: list[Frame] = []
    rest = b""
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        frames, rest = take(framing, rest + stream[:size])
        got += frames
        stream = stream[size:]
    assert (got, rest) == (sent, b"")


@given(st.binary(max_size=600))
def test_noise_never_breaks_the_framing(noise: bytes) -> None:
    _, rest = take_rtu(noise)
    assert len(rest) <= 256
    try:
        _, rest = take_tcp(noise)
    except BrokenStream:
        return
    assert len(rest) <= 260


def test_a_request_is_found_behind_noise() -> None:
    wanted = Frame(0, 9, VOLTAGES)
    noise = bytes((1, 16, 0, 0, 0, 9, 200, 1, 2, 3))
    frames, rest = take_rtu(noise + join(Framing.RTU, wanted))
    assert (frames, rest) == ([wanted], b"")


@pytest.mark.parametrize("framing", Framing)
async def test_noise_at_the_port_harms_nobody(framing: Framing, pair, clock: ManualClock, connect) -> None:
    endpoint = Endpoint(framing=framing)
    dice = random.Random(7)
    size = 21 if framing is Framing.TCP else 17
    async with Fleet(pair(endpoint), clock) as fleet:
        witness = await connect(fleet, endpoint)
        for _ in range(40):
            noisy = await connect(fleet, endpoint)
            noisy.writer.write(dice.randbytes(dice.randrange(1, 3000)))
            noisy.writer.write_eof()
            await noisy.rest()
            witness.send(2, VOLTAGES)
            assert len(await witness.take(size)) == size


async def test_a_stream_that_is_no_modbus_tcp_is_closed(pair, clock: ManualClock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        wire = await connect(fleet, TCP)
        wire.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await wire.rest() == b""


async def test_a_client_that_does_not_read_is_not_read_from(pair, clock: ManualClock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        deaf, witness = await connect(fleet, TCP), await connect(fleet, TCP)
        deaf.writer.transport.pause_reading()
        many = 200_000
        for transaction in range(many):
            deaf.send(1, bytes((4, 0, 0, 0, 80)), transaction & 0xFFFF)
        witness.send(2, VOLTAGES)
        await witness.answer()
        served = fleet.meter("faulty").requests
        for _ in range(20):
            witness.send(2, VOLTAGES)
            await witness.answer()
        assert fleet.meter("faulty").requests < many
        assert served < many
        deaf.writer.transport.abort()


async def _pdu(wire, request: bytes) -> bytes:
    wire.send(1, request)
    return (await wire.answer()).pdu


async def test_registers_that_are_not_there_are_exception_2(pair, clock: ManualClock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        wire = await connect(fleet, TCP)
        assert await _pdu(wire, bytes.fromhex("04 4000 0002")) == bytes((0x84, 2))
        assert await _pdu(wire, bytes.fromhex("03 0000 0002")) == bytes((0x83, 2))
        assert await _pdu(wire, bytes.fromhex("06 0000 0002")) == bytes((0x86, 2))
        assert await _pdu(wire, bytes.fromhex("01 0000 0002")) == bytes((0x81, 2))
        assert await _pdu(wire, bytes.fromhex("11")) == bytes((0x91, 1))


async def test_a_device_gives_no_more_words_than_its_profile_says(
    library: ProfileLibrary, clock: ManualClock, connect
) -> None:
    async with Fleet([SimulatedMeter("m1", library.get("acrel/adl400"), TCP)], clock) as fleet:
        wire = await connect(fleet, TCP)
        assert (await _pdu(wire, bytes.fromhex("03 0000 000C")))[1] == 24
        assert await _pdu(wire, bytes.fromhex("03 0000 000D")) == bytes((0x83, 3))


async def test_forbidden_gaps_are_exception_2(library: ProfileLibrary, clock: ManualClock, connect) -> None:
    profile = library.get("carlo-gavazzi/em24")
    strict = replace(profile, settings={**profile.settings, "gaps": "forbidden"})
    async with Fleet([SimulatedMeter("m1", strict, TCP)], clock) as fleet:
        wire = await connect(fleet, TCP)
        assert (await _pdu(wire, bytes.fromhex("04 0000 0006")))[0] == 4
        assert await _pdu(wire, bytes.fromhex("04 0004 000A")) == bytes((0x84, 2))


async def test_registers_that_a_command_writes_can_be_written_and_read_back(
    library: ProfileLibrary, clock: ManualClock, connect
) -> None:
    profile = library.get("acrel/adl400")
    steps = (Step(write={"at": 0x57, "fc": 16, "values": [1, 1]}), Step(write={"at": 3, "fc": 5, "values": [0xFF00]}))
    switched = replace(profile, commands=(Command("trip", steps),))
    async with Fleet([SimulatedMeter("m1", switched, TCP)], clock) as fleet:
        wire = await connect(fleet, TCP)
        assert await _pdu(wire, bytes.fromhex("03 0057 0002")) == bytes.fromhex("03 04 0000 0000")
        assert await _pdu(wire, bytes.fromhex("10 0057 0002 04 0001 0001")) == bytes.fromhex("10 0057 0002")
        assert await _pdu(wire, bytes.fromhex("03 0057 0002")) == bytes.fromhex("03 04 0001 0001")
        assert await _pdu(wire, bytes.fromhex("05 0003 FF00")) == bytes.fromhex("05 0003 FF00")
        assert await _pdu(wire, bytes.fromhex("01 0003 0001")) == bytes.fromhex("01 01 01")
        wire.send(0, bytes.fromhex("06 0058 0000"))
        await wire.answer()
        assert await _pdu(wire, bytes.fromhex("03 0057 0002")) == bytes.fromhex("03 04 0001 0000")

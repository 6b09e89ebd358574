"""Function code 20: our own requests and judgement of answers, against hostile ones, and against pymodbus."""

from __future__ import annotations

import asyncio
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.datastore import ModbusDeviceContext, ModbusServerContext
from pymodbus.framer import FramerType
from pymodbus.pdu.file_message import FileRecord, ReadFileRecordRequest, ReadFileRecordResponse
from pymodbus.server import ModbusTcpServer

from address_space.model.clock import ManualClock, SystemClock
from drivers.codec import crc16_modbus
from drivers.errors import BadFrame, DeviceRefused, NoAnswer
from drivers.modbus import Options, Read
from drivers.modbus.file_records import MOST_BYTES, FileRead, Group, split_groups, wrong_groups
from drivers.modbus.framing import file_request
from drivers.modbus.guard import Expected, Fit, judge_tcp
from drivers.modbus.logs import most_groups
from drivers.modbus.serial_guard import judge_ascii, judge_rtu, tell_rtu
from drivers.modbus.wire import Wire
from drivers.simulators import Endpoint, Fleet, Framing, SimulatedMeter
from drivers.simulators.framing import Frame, join
from drivers.simulators.pdu import answer
from drivers.transport import Lines
from tests.drivers.modbus.test_log_books import NOW_MS, STAMPS, meter, way_of

ASKED = FileRead((Group(4, 1, 2), Group(3, 9, 2)))
REQUEST = bytes.fromhex("14 0E 06 0004 0001 0002 06 0003 0009 0002")
ANSWER = bytes.fromhex("14 0C 05 06 0DFE 0020 05 06 33CD 0040")
"""The example of the specification (Application Protocol 1.1b3, 6.14)."""
EXPECTED = Expected(unit=1, function=20, data_bytes=ASKED.answer_size, transaction=7, groups=(2, 2))
ONE = FileRead((Group(1, 0, 10),))
STEP = Read(3, 0, 1)

runs = st.lists(st.integers(1, 40), min_size=1, max_size=6).map(tuple)


def rtu(pdu: bytes, unit: int = 1) -> bytes:
    return join(Framing.RTU, Frame(0, unit, pdu))


def told(words: tuple[int, ...], data: bytes) -> bytes:
    """The groups of an answer."""
    body, at = b"", 0
    for count in words:
        body += bytes((1 + 2 * count, 6)) + data[at : at + 2 * count]
        at += 2 * count
    return body


def test_the_request_is_that_of_the_specification() -> None:
    pdu = file_request(ASKED)
    assert bytes((pdu.function_code,)) + pdu.encode() == REQUEST
    assert str(ASKED) == "FC20 file 4 record 1, file 3 record 9 x 2"


@given(runs, st.data())
def test_what_a_device_tells_is_what_is_read(words: tuple[int, ...], data: st.DataObject) -> None:
    body = data.draw(st.binary(min_size=2 * sum(words), max_size=2 * sum(words)))
    answered = told(words, body)
    assert wrong_groups(words, answered) == ""
    assert split_groups(words, answered) == body


@given(runs, st.binary(max_size=260))
def test_any_bytes_at_all_are_judged_as_groups(words: tuple[int, ...], data: bytes) -> None:
    assert wrong_groups(words, data) == "" or len(split_groups(words, data)) >= 0


@pytest.mark.parametrize(
    ("pdu", "what"),
    [
        ("14 0C 05 07 0DFE 0020 05 06 33CD 0040", "record 1 has the reference type 7 instead of 6"),
        ("14 0C 05 06 0DFE 0020 03 06 33CD 0040", "record 2 has 2 bytes where 4 were asked for"),
        ("14 0C 0B 06 0DFE 0020 05 06 33CD 0040", "record 1 has 10 bytes where 4 were asked for"),
        ("14 0C 05 06 0DFE 0020 FF 06 33CD 0040", "record 2 has 254 bytes where 4 were asked for"),
        ("14 06 05 06 0DFE 0020", "6 bytes announced and 6 sent where 12 were asked for"),
        ("14 0C 05 06 0DFE 0020", "12 bytes announced and 6 sent where 12 were asked for"),
        ("03 0C 0000 0000 0000 0000 0000 0000", "function 0x03 answers function 0x14"),
    ],
)
def test_a_wrong_answer_is_told(pdu: str, what: str) -> None:
    frame = bytes.fromhex(pdu)
    verdict = judge_tcp(EXPECTED, struct.pack(">HHHB", 7, 0, len(frame) + 1, 1) + frame)
    assert (verdict.fit, verdict.what) == (Fit.WRONG, what)


def test_an_answer_is_found_on_a_serial_line_behind_an_echo_and_noise() -> None:
    request = rtu(REQUEST)
    expected = Expected(1, 20, ASKED.answer_size, request=request, groups=(2, 2))
    for before in (b"", b"\0\xff", request, rtu(bytes.fromhex("03 02 1234")), rtu(ANSWER, unit=2)):
        verdict = judge_rtu(expected, before + rtu(ANSWER))
        assert (verdict.fit, verdict.pdu) == (Fit.ANSWER, ANSWER)
    for size in range(len(rtu(ANSWER))):
        assert judge_rtu(expected, rtu(ANSWER)[:size]).fit is Fit.PART
    assert judge_rtu(expected, rtu(b"\x94\x02")).pdu == b"\x94\x02"
    ascii_frame = join(Framing.ASCII, Frame(0, 1, ANSWER))
    assert judge_ascii(expected, ascii_frame).pdu == ANSWER


def test_a_wrong_record_on_a_serial_line_is_told() -> None:
    wrong = rtu(ANSWER[:3] + b"\x07" + ANSWER[4:])
    expected = Expected(1, 20, ASKED.answer_size, groups=(2, 2))
    assert judge_rtu(expected, wrong).fit is not Fit.ANSWER
    assert tell_rtu(expected, wrong) == "record 1 has the reference type 7 instead of 6"


@given(st.binary(max_size=300))
def test_no_bytes_at_all_upset_the_judges(data: bytes) -> None:
    expected = Expected(1, 20, ASKED.answer_size, 7, groups=(2, 2))
    for judge in (judge_tcp, judge_rtu, judge_ascii):
        assert judge(expected, data).fit in Fit


@given(st.integers(1, 121))
def test_no_more_records_are_asked_for_than_a_frame_holds(words: int) -> None:
    most = most_groups(words)
    assert most >= 1
    assert FileRead(tuple(Group(1, at, words) for at in range(most))).answer_size <= MOST_BYTES
    assert 7 * most <= MOST_BYTES


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("14", 3),
        ("14 00", 3),
        ("14 06 06 0001 0001 00", 3),
        ("14 07 07 0009 0001 0004", 3),
        ("14 07 06 0009 0001 0000", 3),
        ("14 07 06 0009 0001 0080", 3),
        ("14 07 06 0009 0001 0005", 3),
        ("14 07 06 0008 0001 0004", 2),
        ("14 07 06 0009 FFFF 0004", 2),
    ],
)
async def test_a_simulated_meter_refuses_what_its_files_do_not_have(request_: str, code: int) -> None:
    async with meter(way_of("records of a file", STAMPS["unix"])) as site:
        bank = site.unit.bank(site.clock.now_ns())
        assert answer(bank, bytes.fromhex(request_)) == bytes((0x94, code))
        assert len(answer(bank, bytes.fromhex("14 07 06 0009 0001 0004"))) == 12


# a second opinion


def test_pymodbus_understands_our_answers_and_we_its_requests() -> None:
    decoded = ReadFileRecordResponse()
    decoded.decode(ANSWER[1:])
    assert [record.record_data.hex() for record in decoded.records] == ["0dfe0020", "33cd0040"]
    asked = ReadFileRecordRequest()
    asked.decode(REQUEST[1:])
    assert [(each.file_number, each.record_number) for each in asked.records] == [(4, 1), (3, 9)]


@pytest.mark.parametrize("framing", [Framing.TCP, Framing.RTU])
async def test_a_pymodbus_client_reads_the_simulated_meters_file(framing: Framing) -> None:
    clock = ManualClock(NOW_MS * 1_000_000)
    endpoint = Endpoint(framing=framing)
    fleet = Fleet([SimulatedMeter("m1", way_of("records of a file", STAMPS["unix"]), endpoint, "1")], clock)
    async with fleet:
        client = AsyncModbusTcpClient(
            "127.0.0.1",
            port=fleet.port(endpoint),
            framer=FramerType.RTU if framing is Framing.RTU else FramerType.SOCKET,
        )
        assert await client.connect()
        records = [FileRecord(file_number=9, record_number=number, record_length=8) for number in (1, 2, 500)]
        answered = await client.read_file_record(records, device_id=1)
        client.close()
        assert not answered.isError()
        held = [fleet.meter("m1").device.shelves[0].slot(slot, NOW_MS) for slot in (0, 1, 499)]  # type: ignore[union-attr]
        assert [record.record_data for record in answered.records] == held


async def test_our_driver_reads_the_file_of_a_pymodbus_server() -> None:
    server = ModbusTcpServer(ModbusServerContext(devices={1: ModbusDeviceContext()}), address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        port = server.transport.sockets[0].getsockname()[1]
        async with wire(port) as line:
            assert await line.read_file(1, ONE, STEP) == b"SERVER DUMMY RECORD."
    finally:
        await server.shutdown()


# the line


class wire:  # noqa: N801 - used as a function
    """An open wire to a port of this machine."""

    def __init__(self, port: int, framer: str = "tcp") -> None:
        options = Options(host="127.0.0.1", port=port, framer=framer, timeout_ms=500)  # type: ignore[arg-type]
        clock = SystemClock()
        self.wire = Wire("bus", options, Lines(clock).link("bus", options), clock)

    async def __aenter__(self) -> Wire:
        await self.wire.open()
        return self.wire

    async def __aexit__(self, *error: object) -> None:
        self.wire.close()


class Late:
    """An RTU device whose first answer to a file request comes only after the next request."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._held = b""
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readexactly(3)
                size = 13 if head[1] == 20 else 8
                request = head + await reader.readexactly(size - 3 - (head[1] == 20))
                self.asked.append(request)
                assert crc16_modbus(request[:-2]) == request[-2:]
                words = request[-3] if head[1] != 20 else request[9]
                body = bytes((len(self.asked),)) * (2 * words)
                pdu = bytes((20, 2 + len(body), 1 + len(body), 6)) + body if head[1] == 20 else None
                reply = rtu(pdu or bytes((3, len(body))) + body)
                if len(self.asked) == 1:
                    self._held = reply
                    continue
                writer.write(self._held + reply)
                self._held = b""
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()
            self.ended.set()


async def test_a_late_record_is_never_taken_for_the_next_one() -> None:
    device = Late()
    server = await asyncio.start_server(device.serve, "127.0.0.1", 0)
    async with wire(server.sockets[0].getsockname()[1], "rtu") as line:
        with pytest.raises(NoAnswer):
            await line.read_file(1, FileRead((Group(1, 0, 4),)), STEP)
        assert await line.read_file(1, FileRead((Group(1, 1, 4),)), STEP) == b"\x03" * 8
    assert [request[1] for request in device.asked] == [20, 3, 20]
    await device.ended.wait()
    server.close()
    await server.wait_closed()


async def test_a_refusal_is_told_as_one() -> None:
    async with meter(way_of("records of a file", STAMPS["unix"])) as site:
        port = site.channel.driver._options.port  # type: ignore[attr-defined]
        async with wire(port) as line:
            with pytest.raises(DeviceRefused, match="exception 2"):
                await line.read_file(1, FileRead((Group(77, 0, 4),)), STEP)
            with pytest.raises(BadFrame, match="bytes announced"):
                await line._exchange(file_request(FileRead((Group(9, 1, 4),))), 1, 6, "a record", 0.0, groups=(2,))

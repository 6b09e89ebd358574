"""Requests as bytes, by pymodbus: protocol data units and the three ways to wrap them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pymodbus.framer import FramerAscii, FramerRTU, FramerSocket
from pymodbus.framer.base import FramerBase
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteMultipleCoilsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.file_message import FileRecord, ReadFileRecordRequest
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from drivers.modbus.file_records import FileRead
from drivers.modbus.guard import WRITTEN, Expected, Verdict, judge_tcp, tell_tcp
from drivers.modbus.plan import Read
from drivers.modbus.serial_guard import judge_ascii, judge_rtu, tell_ascii, tell_rtu

_READS: Mapping[int, type[ModbusPDU]] = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}


@dataclass(frozen=True, slots=True)
class Framing:
    """One way to wrap requests.

    tagged  each request carries a number that its answer repeats; without it the line is a serial one
    judge   what a buffer is to the request
    tell    what is wrong with a buffer in which `judge` found no answer until the end
    """

    name: str
    tagged: bool
    framer: FramerBase
    judge: Callable[[Expected, bytes], Verdict]
    tell: Callable[[Expected, bytes], str]

    def wrap(self, pdu: ModbusPDU, unit: int, transaction: int) -> bytes:
        """The request as it goes over the line."""
        pdu.dev_id, pdu.transaction_id = unit, transaction
        return self.framer.buildFrame(pdu)


def framing(name: str) -> Framing:
    """The framing called tcp, rtu or ascii."""
    decoder = DecodePDU(is_server=False)
    if name == "tcp":
        return Framing(name, tagged=True, framer=FramerSocket(decoder), judge=judge_tcp, tell=tell_tcp)
    if name == "rtu":
        return Framing(name, tagged=False, framer=FramerRTU(decoder), judge=judge_rtu, tell=tell_rtu)
    return Framing(name, tagged=False, framer=FramerAscii(decoder), judge=judge_ascii, tell=tell_ascii)


def read_request(read: Read) -> ModbusPDU:
    """A read of registers or bits."""
    return _READS[read.fc](address=read.address, count=read.words)


def file_request(read: FileRead) -> ModbusPDU:
    """A read of records of files."""
    return ReadFileRecordRequest(
        [
            FileRecord(file_number=group.file, record_number=group.number, record_length=2 * group.words)
            for group in read.groups
        ]
    )


def write_request(fc: int, address: int, words: tuple[int, ...]) -> ModbusPDU:
    """A write by function code 5, 6, 15 or 16; bits are words of 0 and 1."""
    bits = [bool(word) for word in words]
    if fc == 5:
        return WriteSingleCoilRequest(address=address, bits=bits[:1])
    if fc == 6:
        return WriteSingleRegisterRequest(address=address, registers=list(words[:1]))
    if fc == 15:
        return WriteMultipleCoilsRequest(address=address, bits=bits)
    return WriteMultipleRegistersRequest(address=address, registers=list(words))


def repeated(request: ModbusPDU) -> bytes:
    """What the answer to a write repeats of it."""
    return bytes((request.function_code,)) + request.encode()[: WRITTEN - 1]

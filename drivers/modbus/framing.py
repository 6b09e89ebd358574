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
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from drivers.modbus.guard import Expected, Verdict, judge_ascii, judge_rtu, judge_tcp
from drivers.modbus.plan import Read

_READS: Mapping[int, type[ModbusPDU]] = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}


@dataclass(frozen=True, slots=True)
class Framing:
    """One way to wrap requests. `tagged`: each carries a number that its answer repeats."""

    name: str
    tagged: bool
    framer: FramerBase
    judge: Callable[[Expected, bytes], Verdict]

    def wrap(self, pdu: ModbusPDU, unit: int, transaction: int) -> bytes:
        """The request as it goes over the line."""
        pdu.dev_id, pdu.transaction_id = unit, transaction
        return self.framer.buildFrame(pdu)


def framing(name: str) -> Framing:
    """The framing called tcp, rtu or ascii."""
    decoder = DecodePDU(is_server=False)
    if name == "tcp":
        return Framing(name, tagged=True, framer=FramerSocket(decoder), judge=judge_tcp)
    if name == "rtu":
        return Framing(name, tagged=False, framer=FramerRTU(decoder), judge=judge_rtu)
    return Framing(name, tagged=False, framer=FramerAscii(decoder), judge=judge_ascii)


def read_request(read: Read) -> ModbusPDU:
    """A read of registers or bits."""
    return _READS[read.fc](address=read.address, count=read.words)


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

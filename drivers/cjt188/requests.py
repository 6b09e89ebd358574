"""What a master says: requests as frames, and what of an answer belongs to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from drivers.cjt188.frame import ANY, ANY_TYPE, Frame
from drivers.cjt188.identifiers import ADDRESS, WRITE_VALVE, DiOrder, di_bytes, is_di
from drivers.codec.frame68 import address_of, matches

READ: Final = 0x01
READ_ADDRESS: Final = 0x03
WRITE: Final = 0x04
READ_KEY: Final = 0x09
WRITE_ADDRESS: Final = 0x15
WRITE_BASE: Final = 0x16
VENDOR_VALVE_ANSWER: Final = 0xAA
"""Control byte with which some makes acknowledge a valve command."""
FUNCTIONS: Final = {
    READ: "read",
    READ_ADDRESS: "read_address",
    WRITE: "write",
    READ_KEY: "read_key_version",
    WRITE_ADDRESS: "write_address",
    WRITE_BASE: "write_base_reading",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: function, identifier, contents behind the serial number."""

    function: int
    di: int
    payload: bytes = b""

    def frame(self, type: int, address: str, ser: int, order: DiOrder = DiOrder.LE) -> Frame:  # noqa: A002
        """As a frame to one meter."""
        return Frame(type, address, self.function, di_bytes(self.di, order) + bytes((ser,)) + self.payload)


def read(di: int) -> Ask:
    """Read an identifier."""
    return Ask(READ, di)


ADDRESS_OF_ANY: Final = Ask(READ_ADDRESS, ADDRESS)


def who_is_there(ser: int = 0, order: DiOrder = DiOrder.LE) -> Frame:
    """Asks the one meter of a line for its address, whatever that is."""
    return ADDRESS_OF_ANY.frame(ANY_TYPE, ANY, ser, order)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that belongs to a request. `payload` is what follows the serial number; of an error, the status."""

    address: str
    ser: int
    error: bool
    payload: bytes


def reply_to(ask: Ask, address: str, frame: Frame) -> Reply | str:
    """The frame as an answer to what `address` was asked, else why it is none; the kind of meter does not count.
    A meter that was given another address may answer under either."""
    if not frame.from_meter:
        return "a request (the line's echo, or another master)"
    renamed = ask.function == WRITE_ADDRESS and frame.address == address_of(ask.payload)
    if not (matches(address, frame.address) or renamed):
        return f"an answer of meter {frame.address}"
    vendor = frame.control == VENDOR_VALVE_ANSWER and ask.di == WRITE_VALVE
    if frame.function != ask.function and not vendor:
        return f"an answer to function {frame.function:02X}"
    if frame.error:
        if not frame.data:
            return "an error without contents"
        return Reply(frame.address, frame.data[0], error=True, payload=frame.data[1:])
    if len(frame.data) < 3:
        if ask.function == READ_ADDRESS:
            return Reply(frame.address, -1, error=False, payload=b"")
        return f"an answer of {len(frame.data)} bytes without an identifier"
    if not is_di(frame.data[:2], ask.di):
        return f"an answer about {frame.data[:2].hex().upper()}"
    return Reply(frame.address, frame.data[2], error=False, payload=frame.data[3:])

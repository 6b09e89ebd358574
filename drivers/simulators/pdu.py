"""What a Modbus device answers: request PDU in, answer PDU out. Pure but for what the bank itself does.

Source: MODBUS Application Protocol Specification V1.1b3, section 6 (functions) and 7 (exceptions).
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final, Protocol, runtime_checkable

from address_space.model.errors import HubError

READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT = 1, 2, 3, 4
WRITE_COIL, WRITE_WORD, WRITE_COILS, WRITE_WORDS = 5, 6, 15, 16
READ_FILE = 20
MAX_FILE_BYTES = 245
_GROUP: Final = Struct(">BHHH")
_REFERENCE = 6
MAX_READ_WORDS, MAX_READ_BITS, MAX_WRITE_WORDS, MAX_WRITE_BITS = 125, 2000, 123, 1968
_TWO: Final = Struct(">HH")


class Table(IntEnum):
    """The four address spaces, numbered by the function that reads them."""

    COILS = READ_COILS
    DISCRETE = READ_DISCRETE
    HOLDING = READ_HOLDING
    INPUT = READ_INPUT


class Refusal(IntEnum):
    """Exception codes of section 7 that a device or a gateway gives."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    TARGET_SILENT = 11


class Refused(HubError):
    """The bank has no such registers or does not take the value."""

    def __init__(self, code: Refusal) -> None:
        super().__init__(code.name)
        self.code = code


class Bank(Protocol):
    """Registers of one unit at one moment."""

    def read_words(self, table: Table, first: int, count: int) -> bytes:
        """Two bytes a register, high byte first. Raises Refused."""

    def read_bits(self, table: Table, first: int, count: int) -> list[bool]:
        """One truth value a bit. Raises Refused."""

    def write_words(self, first: int, words: bytes) -> None:
        """Write holding registers, all or none. Raises Refused."""

    def write_bits(self, first: int, bits: list[bool]) -> None:
        """Write coils, all or none. Raises Refused."""


@runtime_checkable
class Files(Protocol):
    """A bank that has files."""

    def read_file(self, file: int, number: int, words: int) -> bytes:
        """Two bytes a register, high byte first. Raises Refused."""


def answer(bank: Bank, request: bytes) -> bytes:
    """The answer to a request; an exception answer where the request or the bank does not allow it."""
    function = request[0]
    try:
        if function in (READ_HOLDING, READ_INPUT):
            return _read_words(bank, request)
        if function in (READ_COILS, READ_DISCRETE):
            return _read_bits(bank, request)
        if function in (WRITE_COIL, WRITE_WORD):
            return _write_one(bank, request)
        if function in (WRITE_COILS, WRITE_WORDS):
            return _write_many(bank, request)
        if function == READ_FILE and isinstance(bank, Files):
            return _read_file(bank, request)
    except Refused as refused:
        return exception(function, refused.code)
    return exception(function, Refusal.ILLEGAL_FUNCTION)


def exception(function: int, code: int) -> bytes:
    """An exception answer."""
    return bytes((function | 0x80, code))


def _read_words(bank: Bank, request: bytes) -> bytes:
    first, count = _span(request, 5, MAX_READ_WORDS)
    data = bank.read_words(Table(request[0]), first, count)
    return bytes((request[0], len(data))) + data


def _read_bits(bank: Bank, request: bytes) -> bytes:
    first, count = _span(request, 5, MAX_READ_BITS)
    bits = bank.read_bits(Table(request[0]), first, count)
    packed = sum(bit << place for place, bit in enumerate(bits)).to_bytes((count + 7) // 8, "little")
    return bytes((request[0], len(packed))) + packed


def _read_file(bank: Files, request: bytes) -> bytes:
    size = request[1] if len(request) > 1 else 0
    if size != len(request) - 2 or size % _GROUP.size or not _GROUP.size <= size <= MAX_FILE_BYTES:
        raise Refused(Refusal.ILLEGAL_VALUE)
    told = bytearray()
    for reference, file, number, words in _GROUP.iter_unpack(request[2:]):
        if reference != _REFERENCE or not words or len(told) + 2 + 2 * words > MAX_FILE_BYTES:
            raise Refused(Refusal.ILLEGAL_VALUE)
        data = bank.read_file(file, number, words)
        told += bytes((1 + len(data), _REFERENCE)) + data
    return bytes((READ_FILE, len(told))) + told


def _write_one(bank: Bank, request: bytes) -> bytes:
    if len(request) != 5:
        raise Refused(Refusal.ILLEGAL_VALUE)
    first, value = _TWO.unpack_from(request, 1)
    if request[0] == WRITE_WORD:
        bank.write_words(first, request[3:5])
    elif value in (0x0000, 0xFF00):
        bank.write_bits(first, [value != 0])
    else:
        raise Refused(Refusal.ILLEGAL_VALUE)
    return request


def _write_many(bank: Bank, request: bytes) -> bytes:
    words = request[0] == WRITE_WORDS
    first, count = _span(request, 6, MAX_WRITE_WORDS if words else MAX_WRITE_BITS, exact=False)
    data = request[6:]
    if request[5] != len(data) or len(data) != (count * 2 if words else (count + 7) // 8):
        raise Refused(Refusal.ILLEGAL_VALUE)
    if words:
        bank.write_words(first, data)
    else:
        packed = int.from_bytes(data, "little")
        bank.write_bits(first, [bool(packed >> place & 1) for place in range(count)])
    return request[:5]


def _span(request: bytes, length: int, most: int, *, exact: bool = True) -> tuple[int, int]:
    if len(request) < length or (exact and len(request) != length):
        raise Refused(Refusal.ILLEGAL_VALUE)
    first, count = _TWO.unpack_from(request, 1)
    if not 1 <= count <= most:
        raise Refused(Refusal.ILLEGAL_VALUE)
    if first + count > 0x10000:
        raise Refused(Refusal.ILLEGAL_ADDRESS)
    return first, count

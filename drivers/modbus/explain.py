"""A Modbus frame told field by field, and what is wrong with a broken one. Never raises, whatever it is given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from drivers.codec import crc16_modbus
from drivers.explained import Field, dicts_of, hex_digits, lines_of
from drivers.modbus.file_records import GROUP_HEAD, GROUP_REQUEST, READ_FILE, REFERENCE
from drivers.modbus.guard import MAX_LENGTH, MBAP
from drivers.modbus.refusals import EXCEPTION_NAMES

FUNCTIONS = {
    1: "read coils",
    2: "read discrete inputs",
    3: "read holding registers",
    4: "read input registers",
    5: "write single coil",
    6: "write single register",
    15: "write multiple coils",
    16: "write multiple registers",
    20: "read file record",
    43: "read device identification",
}
_READS = frozenset({1, 2, 3, 4})
_LIMIT = {1: 2000, 2: 2000, 3: 125, 4: 125}
MAX_SHOWN = 2000
_ASCII_TEXT = re.compile(r":[0-9A-Fa-f]{6,512}")
_ASCII_FRAME = re.compile(rb":[0-9A-Fa-f]{6,512}\r\n")


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a frame says. `kind` is "tcp", "rtu" or "" where it is neither; `problems` is empty for a sound frame."""

    kind: str
    direction: str
    fields: tuple[Field, ...]
    words: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data; `valid`, `errors` and `protocol` are called alike for every protocol of the hub."""
        return {
            "protocol": f"modbus-{self.kind}" if self.kind else "",
            "direction": self.direction,
            "valid": self.sound,
            "errors": list(self.problems),
            "fields": dicts_of(self.fields),
            "words": list(self.words),
        }

    def lines(self) -> list[str]:
        """The same for a person, a field a line."""
        told = [f"Modbus {self.kind.upper()} {self.direction}".strip()]
        told += lines_of(self.fields)
        told += [f"  wrong: {problem}" for problem in self.problems]
        return told


def explain(text: str) -> Explanation:
    """The frame written as `text` in hexadecimal, with or without blanks, colons, commas, dashes and 0x.

    A frame of Modbus ASCII may stand as it goes over the line (`:010300000002FA`), or in hexadecimal as any other.
    """
    if _ASCII_TEXT.fullmatch(text.strip()):
        return _ascii(text.strip().encode("ascii"))
    try:
        frame = bytes.fromhex(hex_digits(text))
    except ValueError:
        return Explanation("", "", (), problems=("not hexadecimal: an odd number of digits or a foreign character",))
    if len(frame) > MAX_SHOWN:
        return Explanation("", "", (), problems=(f"{len(frame)} bytes are longer than any frame",))
    if _ASCII_FRAME.fullmatch(frame):
        return _ascii(frame.rstrip(b"\r\n"))
    return _tcp(frame) if _looks_like_tcp(frame) else _rtu(frame)


def _looks_like_tcp(frame: bytes) -> bool:
    if len(frame) < MBAP + 1 or frame[2:4] != b"\0\0" or frame[4] > 1 or _crc_fits(frame):
        return False
    return frame[MBAP] & 0x7F in FUNCTIONS or frame[1] & 0x7F not in FUNCTIONS


def _crc_fits(frame: bytes) -> bool:
    return crc16_modbus(frame[:-2]) == frame[-2:]


class _Telling:
    def __init__(self) -> None:
        self.fields: list[Field] = []
        self.problems: list[str] = []
        self.words: tuple[int, ...] = ()
        self.direction = ""

    def add(self, data: bytes, name: str, meaning: object) -> None:
        self.fields.append(Field(data.hex(" "), name, str(meaning)))

    def done(self, kind: str) -> Explanation:
        return Explanation(kind, self.direction, tuple(self.fields), self.words, tuple(self.problems))


def _tcp(frame: bytes) -> Explanation:
    told = _Telling()
    told.add(frame[:2], "transaction", int.from_bytes(frame[:2], "big"))
    told.add(frame[2:4], "protocol", "Modbus")
    length = int.from_bytes(frame[4:6], "big")
    told.add(frame[4:6], "length", f"{length} bytes follow")
    if length != len(frame) - 6:
        told.problems.append(f"the header announces {length} bytes, {len(frame) - 6} follow")
    elif length > MAX_LENGTH:
        told.problems.append(f"a frame announces at most {MAX_LENGTH} bytes")
    told.add(frame[6:7], "unit", frame[6])
    _pdu(told, frame[MBAP:])
    return told.done("tcp")


def _rtu(frame: bytes) -> Explanation:
    told = _Telling()
    if len(frame) < 4:
        told.problems.append(f"{len(frame)} bytes are too few: unit, function and checksum make 4")
        if frame:
            told.add(frame, "bytes", "not explained")
        return told.done("")
    told.add(frame[:1], "unit", "broadcast" if frame[0] == 0 else frame[0])
    if frame[0] > 247:
        told.problems.append(f"unit {frame[0]} is not possible on a serial line (1 to 247)")
    _pdu(told, frame[1:-2])
    right = crc16_modbus(frame[:-2])
    told.add(frame[-2:], "checksum", "right" if _crc_fits(frame) else f"should be {right.hex(' ')}")
    if not _crc_fits(frame):
        told.problems.append(f"the checksum is wrong: it should be {right.hex(' ')}")
    return told.done("rtu")


def _ascii(characters: bytes) -> Explanation:
    """Modbus over Serial Line 1.02, 2.5.2; `characters` begin with the colon and end before CR LF."""
    told = _Telling()
    if len(characters) % 2 == 0:
        told.problems.append("a byte is two digits, here is half a one")
        return told.done("ascii")
    frame = bytes.fromhex(characters[1:].decode("ascii"))
    told.add(frame[:1], "unit", "broadcast" if frame[0] == 0 else frame[0])
    _pdu(told, frame[1:-1])
    right = -sum(frame[:-1]) & 0xFF
    fits = right == frame[-1]
    told.add(frame[-1:], "checksum", "right" if fits else f"should be {right:02x}")
    if not fits:
        told.problems.append(f"the checksum is wrong: it should be {right:02x}")
    return told.done("ascii")


def _pdu(told: _Telling, pdu: bytes) -> None:
    function = pdu[0]
    known = FUNCTIONS.get(function & 0x7F, "unknown function")
    if function & 0x80:
        told.direction = "answer"
        told.add(pdu[:1], "function", f"{function & 0x7F} {known}, refused")
        _refusal(told, pdu[1:])
        return
    told.add(pdu[:1], "function", f"{function} {known}")
    rest = pdu[1:]
    if function in _READS:
        _read(told, function, rest)
    elif function in (5, 6):
        _write_one(told, function, rest)
    elif function in (15, 16):
        _write_many(told, function, rest)
    elif function == READ_FILE:
        _read_file(told, rest)
    else:
        if function not in FUNCTIONS:
            told.problems.append(f"function {function} is not known here")
        if rest:
            told.add(rest, "data", f"{len(rest)} bytes")


def _refusal(told: _Telling, rest: bytes) -> None:
    if len(rest) != 1:
        told.problems.append(f"an exception has one byte of code, here are {len(rest)}")
    if rest:
        told.add(rest[:1], "exception", f"{rest[0]} {EXCEPTION_NAMES.get(rest[0], 'unknown exception')}")
    if len(rest) > 1:
        told.add(rest[1:], "left over", "not explained")


def _read(told: _Telling, function: int, rest: bytes) -> None:
    is_answer = bool(rest) and rest[0] == len(rest) - 1 and not (len(rest) == 4 and rest[0] == 3 and function > 2)
    if len(rest) == 4 and not is_answer:
        told.direction = "request"
        count = int.from_bytes(rest[2:], "big")
        told.add(rest[:2], "address", _address(rest[:2]))
        told.add(rest[2:], "count", count)
        if not 1 <= count <= _LIMIT[function]:
            told.problems.append(f"{count} is not possible: a read asks for 1 to {_LIMIT[function]}")
        return
    told.direction = "answer"
    if not rest:
        told.problems.append("the frame ends after the function")
        return
    told.add(rest[:1], "byte count", rest[0])
    data = rest[1:]
    if rest[0] != len(data):
        told.problems.append(f"{rest[0]} bytes are announced, {len(data)} follow")
    _data(told, data, registers=function in (3, 4))


def _read_file(told: _Telling, rest: bytes) -> None:
    if not rest:
        told.problems.append("the frame ends after the function")
        return
    told.add(rest[:1], "byte count", rest[0])
    data = rest[1:]
    if rest[0] != len(data):
        told.problems.append(f"{rest[0]} bytes are announced, {len(data)} follow")
    is_request = bool(data) and len(data) % GROUP_REQUEST == 0 and set(data[::GROUP_REQUEST]) == {REFERENCE}
    told.direction = "request" if is_request else "answer"
    while data:
        size = GROUP_REQUEST if is_request else 1 + data[0]
        group, data = data[:size], data[size:]
        if is_request:
            file, number, words = (int.from_bytes(group[at : at + 2], "big") for at in (1, 3, 5))
            told.add(group, "record", f"{number} of file {file}, {words} registers")
            continue
        if size < GROUP_HEAD or len(group) < size:
            told.problems.append(f"a record of {size - 1} bytes does not fit the {len(group) - 1} that follow")
            told.add(group + data, "left over", "not explained")
            return
        told.add(group[:GROUP_HEAD], "record", f"{size - GROUP_HEAD} bytes")
        if group[1] != REFERENCE:
            told.problems.append(f"the reference type is {group[1]} instead of {REFERENCE}")
        earlier, told.words = told.words, ()
        _data(told, group[GROUP_HEAD:], registers=True)
        told.words = earlier + told.words


def _data(told: _Telling, data: bytes, *, registers: bool) -> None:
    if not data:
        return
    if not registers:
        told.add(data, "bits", " ".join(f"{byte:08b}"[::-1] for byte in data))
        return
    if len(data) % 2:
        told.problems.append("an odd number of bytes is no registers")
    told.words = tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2))
    for index, word in enumerate(told.words):
        told.add(data[2 * index : 2 * index + 2], f"register +{index}", word)
    if len(data) % 2:
        told.add(data[-1:], "left over", "half a register")


def _write_one(told: _Telling, function: int, rest: bytes) -> None:
    told.direction = "request or its echo"
    if len(rest) != 4:
        told.problems.append(f"a single write has 4 bytes, here are {len(rest)}")
        if rest:
            told.add(rest, "data", "not explained")
        return
    told.add(rest[:2], "address", _address(rest[:2]))
    value = int.from_bytes(rest[2:], "big")
    coil = {0xFF00: "on", 0x0000: "off"}
    if function == 5 and value not in coil:
        told.problems.append("a coil is written with ff 00 or 00 00")
    told.add(rest[2:], "value", coil.get(value, value) if function == 5 else value)


def _write_many(told: _Telling, function: int, rest: bytes) -> None:
    told.direction = "answer" if len(rest) == 4 else "request"
    if len(rest) < 4:
        told.problems.append("the frame ends before address and count")
        if rest:
            told.add(rest, "data", "not explained")
        return
    told.add(rest[:2], "address", _address(rest[:2]))
    told.add(rest[2:4], "count", int.from_bytes(rest[2:4], "big"))
    if len(rest) == 4:
        return
    told.add(rest[4:5], "byte count", rest[4])
    if rest[4] != len(rest) - 5:
        told.problems.append(f"{rest[4]} bytes are announced, {len(rest) - 5} follow")
    count = int.from_bytes(rest[2:4], "big")
    needed = 2 * count if function == 16 else (count + 7) // 8
    if needed != rest[4]:
        told.problems.append(f"{count} values take {needed} bytes, {rest[4]} are announced")
    _data(told, rest[5:], registers=function == 16)


def _address(data: bytes) -> str:
    address = int.from_bytes(data, "big")
    return f"0x{address:04X} ({address}, in a manual that counts from 1: {address + 1})"

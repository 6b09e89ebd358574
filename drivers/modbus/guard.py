"""Is what arrived an answer to what was asked? Checked byte by byte before the protocol library sees it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from drivers.codec import crc16_modbus

MBAP = 7
"""Length of the header: transaction, protocol, length, unit (Modbus Messaging on TCP/IP 1.0b, 3.1.3)."""
MAX_LENGTH = 254


class Fit(Enum):
    """What a buffer is to the request."""

    PART = "part"
    """Not whole yet, or all of it stale."""
    ANSWER = "answer"
    WRONG = "wrong"
    """No answer to it, and the next frame's start is known."""
    LOST = "lost"
    """No answer to it, and where the next frame starts cannot be known."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer must carry. data_bytes is the byte count of a read, None where it is a write's fixed echo."""

    unit: int
    function: int
    data_bytes: int | None
    transaction: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found, and for a person what is wrong with it.

    pdu         the answer's protocol data unit
    unnumbered  a tagged framing's answer came with transaction 0, as some gateways send them
    """

    fit: Fit
    what: str = ""
    pdu: bytes = b""
    unnumbered: bool = False


PART = Verdict(Fit.PART)


def judge_tcp(expected: Expected, buffer: bytes) -> Verdict:
    """Judge a buffer of Modbus TCP. Frames of other transactions are stale and passed over."""
    at = 0
    while len(buffer) - at >= MBAP + 1:
        transaction = int.from_bytes(buffer[at : at + 2], "big")
        protocol = int.from_bytes(buffer[at + 2 : at + 4], "big")
        length = int.from_bytes(buffer[at + 4 : at + 6], "big")
        if protocol or not 3 <= length <= MAX_LENGTH:
            return Verdict(Fit.LOST, f"the header is impossible (protocol {protocol}, length {length})")
        if len(buffer) - at < 6 + length:
            return PART
        if transaction and transaction != expected.transaction:
            at += 6 + length
            continue
        if buffer[at + 6] != expected.unit:
            return Verdict(Fit.WRONG, f"unit {buffer[at + 6]} answered instead of {expected.unit}")
        pdu = buffer[at + 7 : at + 6 + length]
        wrong = _wrong_pdu(expected, pdu)
        return Verdict(Fit.WRONG, wrong) if wrong else Verdict(Fit.ANSWER, pdu=pdu, unnumbered=not transaction)
    return PART


def judge_rtu(expected: Expected, buffer: bytes) -> Verdict:
    """Judge a buffer of serial frames, which begins with the answer."""
    if len(buffer) < 5:
        return PART
    if buffer[0] != expected.unit:
        return Verdict(Fit.LOST, f"unit {buffer[0]} answered instead of {expected.unit}")
    size = _rtu_size(expected, buffer)
    if size is None:
        return Verdict(Fit.LOST, f"function 0x{buffer[1]:02X} answers function 0x{expected.function:02X}")
    if len(buffer) < size:
        return PART
    if crc16_modbus(buffer[: size - 2]) != buffer[size - 2 : size]:
        return Verdict(Fit.LOST, "the checksum is wrong")
    if len(buffer) > size:
        return Verdict(Fit.LOST, f"{len(buffer) - size} bytes follow the answer")
    pdu = buffer[1 : size - 2]
    wrong = _wrong_pdu(expected, pdu)
    return Verdict(Fit.LOST, wrong) if wrong else Verdict(Fit.ANSWER, pdu=pdu)


def judge_ascii(expected: Expected, buffer: bytes) -> Verdict:
    """Judge a buffer of Modbus ASCII: colon, hexadecimal with its sum, CR LF (Serial Line 1.02, 2.5.2)."""
    begin = buffer.rfind(b":", 0, end) if (end := buffer.find(b"\r\n")) >= 0 else -1
    if end < 0:
        return PART
    try:
        frame = bytes.fromhex(buffer[begin + 1 : end].decode("ascii"))
    except (UnicodeDecodeError, ValueError):
        return Verdict(Fit.LOST, "not hexadecimal")
    if begin < 0 or len(frame) < 4:
        return Verdict(Fit.LOST, "no whole frame before the line's end")
    if sum(frame) & 0xFF:
        return Verdict(Fit.LOST, "the checksum is wrong")
    if frame[0] != expected.unit:
        return Verdict(Fit.LOST, f"unit {frame[0]} answered instead of {expected.unit}")
    pdu = frame[1:-1]
    wrong = _wrong_pdu(expected, pdu)
    return Verdict(Fit.LOST, wrong) if wrong else Verdict(Fit.ANSWER, pdu=pdu)


def _rtu_size(expected: Expected, buffer: bytes) -> int | None:
    if buffer[1] == expected.function | 0x80:
        return 5
    if buffer[1] != expected.function:
        return None
    return 8 if expected.data_bytes is None else 5 + buffer[2]


def _wrong_pdu(expected: Expected, pdu: bytes) -> str:
    """What is wrong with a protocol data unit, or nothing."""
    function = pdu[0]
    if function == expected.function | 0x80:
        return "" if len(pdu) == 2 else f"an exception answer of {len(pdu)} bytes"
    if function != expected.function:
        return f"function 0x{function:02X} answers function 0x{expected.function:02X}"
    if expected.data_bytes is None:
        return "" if len(pdu) == 5 else f"an echo of {len(pdu)} bytes instead of 5"
    if pdu[1] != expected.data_bytes or len(pdu) != 2 + expected.data_bytes:
        return f"{pdu[1]} bytes announced and {len(pdu) - 2} sent where {expected.data_bytes} were asked for"
    return ""

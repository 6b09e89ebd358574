"""Is what arrived an answer to what was asked? Checked byte by byte before anything in it is believed.

Modbus TCP and the words that say what is wrong are here; `serial_guard` judges lines whose frames carry no number.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from drivers.modbus.file_records import wrong_groups

MBAP = 7
"""Length of the header: transaction, protocol, length, unit (Modbus Messaging on TCP/IP 1.0b, 3.1.3)."""
MAX_LENGTH = 254
ONLY_DEVICE = (0, 255)
"""Units by which the one device at a TCP port is asked; it may answer with its own (the same, 4.4.1.2)."""
WRITTEN = 5
"""Bytes of a write's request that its answer repeats: function, address, value or count."""


class Fit(Enum):
    """What a buffer is to the request."""

    PART = "part"
    """Not whole yet, or nothing in it is the answer."""
    ANSWER = "answer"
    WRONG = "wrong"
    """No answer to it, and the next frame's start is known."""
    LOST = "lost"
    """No answer to it, and where the next frame starts cannot be known."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer must carry.

    data_bytes  byte count of a read, None where the answer repeats a write
    written     what a write's answer must repeat; empty where that is not known
    request     the frame as it was sent, by which a line that echoes is known
    echoes      whether the line is known to echo, so that the first copy of the request is no answer
    groups      registers of each record of a file that was asked for; empty where it is no such read
    """

    unit: int
    function: int
    data_bytes: int | None
    transaction: int = 0
    written: bytes = b""
    request: bytes = b""
    echoes: bool = False
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found, and for a person what is wrong with it.

    pdu         the answer's protocol data unit
    unnumbered  a tagged framing's answer came with transaction 0, as some gateways send them
    echoed      the request itself came back in front of the answer
    begun       whether the end of the buffer may be the beginning of the answer
    """

    fit: Fit
    what: str = ""
    pdu: bytes = b""
    unnumbered: bool = False
    echoed: bool = False
    begun: bool = True


PART = Verdict(Fit.PART)
STALE = Verdict(Fit.PART, begun=False)
"""Whole frames that are none of the answer, and nothing behind them."""


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
        if buffer[at + 6] != expected.unit and expected.unit not in ONLY_DEVICE:
            return Verdict(Fit.WRONG, f"unit {buffer[at + 6]} answered instead of {expected.unit}")
        pdu = buffer[at + 7 : at + 6 + length]
        wrong = wrong_pdu(expected, pdu)
        return Verdict(Fit.WRONG, wrong) if wrong else Verdict(Fit.ANSWER, pdu=pdu, unnumbered=not transaction)
    return PART if at < len(buffer) else STALE


def tell_tcp(expected: Expected, buffer: bytes) -> str:
    """What is wrong with a buffer in which `judge_tcp` found nothing whole."""
    at = 0
    while len(buffer) - at >= MBAP and len(buffer) - at >= (size := 6 + int.from_bytes(buffer[at + 4 : at + 6], "big")):
        at += size
    if at < len(buffer):
        return f"{len(buffer) - at} bytes arrived and no whole answer"
    return f"only answers to other transactions than {expected.transaction} arrived"


def wrong_pdu(expected: Expected, pdu: bytes) -> str:
    """What is wrong with a protocol data unit, or nothing."""
    function = pdu[0]
    if function == expected.function | 0x80:
        return "" if len(pdu) == 2 else f"an exception answer of {len(pdu)} bytes"
    if function != expected.function:
        return f"function 0x{function:02X} answers function 0x{expected.function:02X}"
    if expected.data_bytes is None:
        if len(pdu) != WRITTEN:
            return f"an acknowledgement of {len(pdu)} bytes instead of {WRITTEN}"
        return "" if expected.written in (b"", pdu) else "it acknowledges another write"
    if pdu[1] != expected.data_bytes or len(pdu) != 2 + expected.data_bytes:
        return f"{pdu[1]} bytes announced and {len(pdu) - 2} sent where {expected.data_bytes} were asked for"
    return wrong_groups(expected.groups, pdu[2:]) if expected.groups else ""

"""Modbus frames as a device sees them: requests out of a byte stream, answers into bytes. Pure.

Sources: MODBUS Messaging on TCP/IP Implementation Guide V1.0b 3.1 (MBAP), MODBUS over Serial Line V1.02 2.5.1 (RTU),
2.5.2 (ASCII).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import Final

from address_space.model.errors import HubError
from drivers.codec import crc16_modbus

MAX_PDU = 253
_MBAP: Final = Struct(">HHHB")
_MAX_RTU = 256
SOUND: Final = bytes(2)
"""Checksum of a frame together with its own."""
_ASCII_END = b"\r\n"
_HEX: Final = re.compile(rb"(?:[0-9A-F]{2})+")
FIXED_REQUESTS: Final = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 7: 4, 8: 8, 11: 4, 12: 4, 17: 4, 22: 10}
"""Function → bytes of the whole RTU request."""
COUNTED_REQUESTS: Final = {15: 6, 16: 6, 20: 2, 23: 10}
"""Function → place of the byte count; that many bytes and the checksum follow it."""


class Framing(Enum):
    """How frames are delimited on a connection."""

    TCP = "tcp"
    RTU = "rtu"
    """Serial frames with checksum through a TCP connection, as transparent gateways send them."""
    ASCII = "ascii"
    """Serial frames in hexadecimal."""


class BrokenStream(HubError):
    """The bytes cannot be Modbus TCP; a device closes such a connection."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One request or answer. `transaction` is 0 in serial frames."""

    transaction: int
    unit: int
    pdu: bytes


def take_tcp(buffer: bytes) -> tuple[list[Frame], bytes]:
    """Complete frames at the head of the stream, and the rest of it. Raises BrokenStream."""
    frames = []
    at = 0
    while len(buffer) - at >= 8:
        transaction, protocol, length, unit = _MBAP.unpack_from(buffer, at)
        if protocol != 0 or not 2 <= length <= MAX_PDU + 1:
            raise BrokenStream(f"no Modbus TCP header: protocol {protocol}, length {length}")
        end = at + 6 + length
        if len(buffer) < end:
            break
        frames.append(Frame(transaction, unit, buffer[at + 7 : end]))
        at = end
    return frames, buffer[at:]


def take_rtu(buffer: bytes) -> tuple[list[Frame], bytes]:
    """Complete requests in the stream, and what may still become one; noise between them is skipped."""
    frames = []
    at = begin = 0
    while at < len(buffer):
        end = _rtu_end(buffer, at)
        if at + 4 <= end <= len(buffer) and crc16_modbus(buffer[at:end]) == SOUND:
            frames.append(Frame(0, buffer[at], buffer[at + 1 : end - 2]))
            at = begin = end
        else:
            at += 1
    return frames, buffer[max(begin, len(buffer) - _MAX_RTU) :]


def take_ascii(buffer: bytes) -> tuple[list[Frame], bytes]:
    """Complete requests in the stream, and what may still become one; noise between them is skipped."""
    frames = []
    rest = buffer
    while (begin := rest.find(b":")) >= 0 and (end := rest.find(_ASCII_END, begin)) >= 0:
        line = rest[rest.rfind(b":", begin, end) + 1 : end]
        rest = rest[end + len(_ASCII_END) :]
        body = bytes.fromhex(line.decode()) if _HEX.fullmatch(line) else b""
        if len(body) >= 3 and sum(body) & 0xFF == 0:
            frames.append(Frame(0, body[0], body[1:-1]))
    return frames, rest[-2 * _MAX_RTU :]


def take(framing: Framing, buffer: bytes) -> tuple[list[Frame], bytes]:
    """Complete requests at the head of a stream, and the rest of it; raises BrokenStream where that is hopeless."""
    if framing is Framing.TCP:
        return take_tcp(buffer)
    return take_rtu(buffer) if framing is Framing.RTU else take_ascii(buffer)


def join(framing: Framing, frame: Frame) -> bytes:
    """The frame as it goes over the connection."""
    if framing is Framing.TCP:
        return _MBAP.pack(frame.transaction, 0, len(frame.pdu) + 1, frame.unit) + frame.pdu
    body = bytes((frame.unit,)) + frame.pdu
    if framing is Framing.ASCII:
        return b":" + (body + bytes((-sum(body) & 0xFF,))).hex().upper().encode() + _ASCII_END
    return body + crc16_modbus(body)


def _rtu_end(buffer: bytes, at: int) -> int:
    if len(buffer) - at < 2:
        return at
    function = buffer[at + 1]
    fixed = FIXED_REQUESTS.get(function)
    if fixed is not None:
        return at + fixed
    count_at = COUNTED_REQUESTS.get(function)
    if count_at is None:
        return min(len(buffer), at + _MAX_RTU)
    return at + count_at + 1 + buffer[at + count_at] + 2 if len(buffer) > at + count_at else at

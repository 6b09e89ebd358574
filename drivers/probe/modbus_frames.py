"""Modbus frames of devices that are not known yet: any unit's answer in a buffer, in all three framings. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from drivers.codec import crc16_modbus

MBAP: Final = 7
_READS: Final = frozenset({1, 2, 3, 4})
_REPEATS: Final = frozenset({5, 6, 15, 16})
IDENTIFICATION: Final = 0x2B
_MEI_HEAD: Final = 7
"""Bytes of an identification's answer before its objects (Application Protocol 1.1b3, 6.21)."""


class Framing(Enum):
    """How requests are wrapped."""

    TCP = "tcp"
    RTU = "rtu"
    ASCII = "ascii"


@dataclass(frozen=True, slots=True)
class Heard:
    """One sound frame: whose it is and its protocol data unit."""

    unit: int
    pdu: bytes
    transaction: int = 0

    @property
    def exception(self) -> int:
        """Code of the exception; 0 where it is none."""
        return self.pdu[1] if self.pdu[0] & 0x80 and len(self.pdu) > 1 else 0


def read_pdu(fc: int, address: int, count: int) -> bytes:
    """A read of registers or bits."""
    return bytes((fc,)) + address.to_bytes(2, "big") + count.to_bytes(2, "big")


def identify_pdu(first_object: int = 0) -> bytes:
    """Basic device identification, as a stream of objects."""
    return bytes((IDENTIFICATION, 0x0E, 0x01, first_object))


def wrapped(framing: Framing, unit: int, pdu: bytes, transaction: int = 1) -> bytes:
    """The request as it goes over the line."""
    body = bytes((unit,)) + pdu
    if framing is Framing.TCP:
        return transaction.to_bytes(2, "big") + b"\0\0" + len(body).to_bytes(2, "big") + body
    if framing is Framing.RTU:
        return body + crc16_modbus(body)
    return b":" + (body + bytes((-sum(body) & 0xFF,))).hex().upper().encode("ascii") + b"\r\n"


def answers(framing: Framing, buffer: bytes, function: int) -> list[Heard]:
    """Every sound frame in `buffer` that answers `function`, whoever sent it."""
    found = {Framing.TCP: _tcp, Framing.RTU: _rtu, Framing.ASCII: _ascii}[framing](buffer)
    return [heard for heard in found if heard.pdu and heard.pdu[0] & 0x7F == function and _fits(heard.pdu)]


def identification(pdu: bytes) -> tuple[dict[int, str], int]:
    """Objects of an identification's answer, and with which object to ask on; 0 where that was all."""
    objects: dict[int, str] = {}
    if len(pdu) < _MEI_HEAD or pdu[0] != IDENTIFICATION:
        return objects, 0
    at = _MEI_HEAD
    for _ in range(pdu[6]):
        if at + 2 > len(pdu) or at + 2 + pdu[at + 1] > len(pdu):
            return objects, 0
        text = pdu[at + 2 : at + 2 + pdu[at + 1]].decode("latin-1")
        objects[pdu[at]] = "".join(char if char.isprintable() else "?" for char in text).strip()
        at += 2 + pdu[at + 1]
    return objects, pdu[5] if pdu[4] == 0xFF else 0


def _fits(pdu: bytes) -> bool:
    """Whether the length is that of an answer."""
    function = pdu[0]
    if function & 0x80:
        return len(pdu) == 2
    if function in _READS:
        return len(pdu) >= 3 and pdu[1] == len(pdu) - 2
    return len(pdu) > 1


def _tcp(buffer: bytes) -> list[Heard]:
    found: list[Heard] = []
    at = 0
    while len(buffer) - at > MBAP:
        length = int.from_bytes(buffer[at + 4 : at + 6], "big")
        if buffer[at + 2 : at + 4] != b"\0\0" or not 3 <= length <= 254:
            at += 1
            continue
        if len(buffer) - at < 6 + length:
            break
        pdu = buffer[at + MBAP : at + 6 + length]
        found.append(Heard(buffer[at + 6], pdu, int.from_bytes(buffer[at : at + 2], "big")))
        at += 6 + length
    return found


def _rtu(buffer: bytes) -> list[Heard]:
    found: list[Heard] = []
    at = 0
    while len(buffer) - at >= 5:
        end = _rtu_end(buffer, at)
        if at < end <= len(buffer) and crc16_modbus(buffer[at : end - 2]) == buffer[end - 2 : end]:
            found.append(Heard(buffer[at], buffer[at + 1 : end - 2]))
            at = end
        else:
            at += 1
    return found


def _rtu_end(buffer: bytes, at: int) -> int:
    """Where the answer at `at` would end; 0 where nothing tells."""
    function = buffer[at + 1]
    if function & 0x80:
        return at + 5
    if function in _READS:
        return at + 5 + buffer[at + 2]
    if function in _REPEATS:
        return at + 8
    if function != IDENTIFICATION or len(buffer) < at + 1 + _MEI_HEAD:
        return 0
    end = at + 1 + _MEI_HEAD
    for _ in range(buffer[end - 1]):
        if len(buffer) < end + 2:
            return 0
        end += 2 + buffer[end + 1]
    return end + 2


def _ascii(buffer: bytes) -> list[Heard]:
    found: list[Heard] = []
    for part in buffer.split(b":")[1:]:
        text, end, _ = part.partition(b"\r\n")
        try:
            body = bytes.fromhex(text.decode("ascii"))
        except (ValueError, UnicodeDecodeError):
            continue
        if end and len(body) > 2 and sum(body) & 0xFF == 0:
            found.append(Heard(body[0], body[1:-1]))
    return found

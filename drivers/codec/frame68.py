"""What frames from 68 to 16 have in common in DL/T 645 and CJ/T 188: addresses, control bytes, bytes that are no frame.

DL/T 645-2007 clause 5 and CJ/T 188-2004 clause 5 differ in the length of the address, in the order of the head and in
the 33H added to data: each protocol cuts its own frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

FILL: Final = b"\xfe\x00\xff"
"""What wakes a receiver or drives an idle line: no noise."""


class Cause(Enum):
    """Why bytes are no frame; CJ/T 188 alone knows impossible types and lengths."""

    NOISE = "noise"
    TYPE = "type"
    LENGTH = "length"
    CHECKSUM = "checksum"
    END = "end"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Flaw:
    """Bytes that are no frame; `offset` counts from the beginning of the stream."""

    cause: Cause
    offset: int
    what: str


class Controlled:
    """What the control byte of a frame says."""

    __slots__ = ()
    control: int

    @property
    def function(self) -> int:
        """What is asked or answered: the low five bits of the control byte."""
        return self.control & 0x1F

    @property
    def from_meter(self) -> bool:
        """Whether a meter sent it."""
        return bool(self.control & 0x80)

    @property
    def error(self) -> bool:
        """Whether it says that the meter refused."""
        return bool(self.control & 0x40)

    @property
    def more(self) -> bool:
        """Whether more data follow, to be asked for (CJ/T 188: since 2018)."""
        return bool(self.control & 0x20)


def address_bytes(address: str, digits: int) -> bytes:
    """The bytes on the wire, low first, of an address of so many digits; raises ValueError where it has others."""
    if len(address) != digits:
        raise ValueError(f"an address has {digits} digits, {address!r} has {len(address)}")
    return bytes.fromhex(address)[::-1]


def address_of(data: bytes) -> str:
    """Digits, most significant first, of bytes from the wire."""
    return data[::-1].hex().upper()


def matches(asked: str, answered: str) -> bool:
    """Whether the meter that calls itself `answered` is one that `asked` speaks to: the same number, or "AA" for bytes
    that may be anything."""
    if asked == answered:
        return True
    if len(asked) != len(answered):
        return False
    return all(asked[at : at + 2] in ("AA", answered[at : at + 2]) for at in range(0, len(asked), 2))

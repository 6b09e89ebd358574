"""Which identifiers one block identifier reads at once, and where each lies in it (annex A of either edition)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

USUAL_TARIFFS: Final = 4
MOST_TARIFFS: Final = 0x3F
MOST_SETTLEMENTS: Final = 12


@dataclass(frozen=True, slots=True)
class Block:
    """A block identifier, the number of a value in it from 0, and how many values it usually has."""

    di: int
    part: int
    usual: int


def block_of(di: int, version: str) -> Block | None:
    """The block that a value can be read with, None where there is none."""
    return _block_2007(di) if version == "2007" else _block_1997(di)


def _block_2007(di: int) -> Block | None:
    group, kind, place, last = di.to_bytes(4, "big")
    match group, kind:
        case (0x00 | 0x01, _) if kind < 0x90 and place <= MOST_TARIFFS and last <= MOST_SETTLEMENTS:
            return Block(di | 0xFF00, place, 1 + USUAL_TARIFFS)
        case 0x02, (0x01 | 0x02 | 0x07 | 0x08 | 0x09 | 0x0C) if 1 <= place <= 3 and last == 0:
            return Block(di | 0xFF00, place - 1, 3)
        case 0x02, (0x03 | 0x04 | 0x05 | 0x06) if place <= 3 and last == 0:
            return Block(di | 0xFF00, place, 4)
        case 0x02, (0x0A | 0x0B) if 1 <= place <= 3 and 1 <= last <= 0x15:
            return Block(di | 0xFF, last - 1, 21)
        case 0x04, 0x00 if place == 0x05 and 1 <= last <= 7:
            return Block(di | 0xFF, last - 1, 7)
    return None


def _block_1997(di: int) -> Block | None:
    high, low = di >> 8, di & 0xFF
    if high in (0x90, 0x91, 0x94, 0x95, 0x98, 0x99) and low >> 4 and low & 0x0F <= USUAL_TARIFFS:
        return Block(di | 0x0F, low & 0x0F, 1 + USUAL_TARIFFS)
    if high == 0xB6:
        if low >> 4 in (0x1, 0x2) and 1 <= low & 0x0F <= 3:
            return Block(di | 0x0F, (low & 0x0F) - 1, 3)
        if low >> 4 in (0x3, 0x4, 0x5) and low & 0x0F <= 3:
            return Block(di | 0x0F, low & 0x0F, 4)
    return None

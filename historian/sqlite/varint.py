"""Whole numbers as zigzag varints (seven bits a byte, low first), many at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from historian.errors import DamagedHistory

_LIMITS = [np.uint64(1) << np.uint64(7 * count) for count in range(1, 10)]
LONGEST = 10


def encode(numbers: NDArray[np.int64]) -> tuple[bytes, NDArray[np.int64]]:
    """The bytes of all numbers in order, and how many bytes each takes."""
    folded = ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)
    lengths = np.ones(folded.shape, np.int64)
    largest = folded.max(initial=np.uint64(0))
    for limit in _LIMITS:
        if largest < limit:
            break
        lengths += folded >= limit
    ends = np.cumsum(lengths)
    starts = ends - lengths
    out = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    for place in range(int(lengths.max(initial=0))):
        longer = np.flatnonzero(lengths > place)
        byte = (folded[longer] >> np.uint64(7 * place)).astype(np.uint8) & 0x7F
        byte[lengths[longer] > place + 1] |= 0x80
        out[starts[longer] + place] = byte
    return out.tobytes(), lengths


def decode(data: bytes, count: int) -> NDArray[np.int64]:
    """Exactly `count` numbers; raises DamagedHistory where the bytes hold any other number of them."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    if len(ends) != count or (count == 0 and len(raw)) or (count and ends[-1] != len(raw) - 1):
        raise DamagedHistory(f"a packed column holds {len(ends)} numbers instead of {count}")
    if not count:
        return np.empty(0, np.int64)
    starts = np.empty(count, np.int64)
    starts[0] = 0
    starts[1:] = ends[:-1] + 1
    lengths = ends - starts + 1
    longest = int(lengths.max())
    if longest > LONGEST:
        raise DamagedHistory(f"a packed number is {longest} bytes long")
    folded = (raw[starts] & 0x7F).astype(np.uint64)
    for place in range(1, longest):
        longer = np.flatnonzero(lengths > place)
        folded[longer] |= (raw[starts[longer] + place] & 0x7F).astype(np.uint64) << np.uint64(7 * place)
    numbers: NDArray[np.int64] = (folded >> np.uint64(1)).view(np.int64) ^ -((folded & np.uint64(1)).view(np.int64))
    return numbers

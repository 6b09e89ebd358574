"""Status of the values of one stored row, in one small blob beside them.

No blob: every number in the row is Good and every NULL was not read. A blob lists what differs, as groups of
`status u32, length u8, columns` (the columns as bits, little-endian): a NULL that stands in it is a value that was
read and has none.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from historian.errors import DamagedHistory

Groups = tuple[tuple[int, int], ...]
"""(status, columns as bits), in the order of status."""

_HEAD = struct.Struct("<IB")


def encode(groups: Sequence[tuple[int, int]]) -> bytes | None:
    """The blob of these groups, None where there are none."""
    parts = [_pack(status, mask) for status, mask in sorted(groups) if mask]
    return b"".join(parts) if parts else None


@lru_cache(maxsize=4096)
def decode(blob: bytes) -> Groups:
    """The groups of a blob; raises DamagedHistory where it is cut."""
    groups: list[tuple[int, int]] = []
    place = 0
    if not isinstance(blob, bytes):
        raise DamagedHistory("the status of a stored row is no status")
    while place < len(blob):
        if place + _HEAD.size > len(blob):
            raise DamagedHistory("the status of a stored row is cut short")
        status, length = _HEAD.unpack_from(blob, place)
        place += _HEAD.size + length
        if place > len(blob):
            raise DamagedHistory("the status of a stored row is cut short")
        groups.append((status, int.from_bytes(blob[place - length : place], "little")))
    return tuple(groups)


def of_rows(
    columns: Sequence[int],
    values: NDArray[np.float64],
    status: NDArray[np.uint32],
    present: NDArray[np.bool_] | None = None,
) -> list[bytes | None]:
    """Blobs of many rows, shape (n, len(columns)) each: listed is what was read and is not Good or has no value.

    present  what was read, all where it is None
    """
    listed = np.isnan(values) | (status != 0)
    if present is not None:
        listed &= present
    blobs: list[bytes | None] = [None] * len(values)
    known: dict[bytes, bytes | None] = {}
    for row in np.flatnonzero(listed.any(axis=1)).tolist():
        key = status[row].tobytes() + listed[row].tobytes()
        if key not in known:
            groups: dict[int, int] = {}
            for place in np.flatnonzero(listed[row]).tolist():
                code = int(status[row, place])
                groups[code] = groups.get(code, 0) | 1 << columns[place]
            known[key] = encode(list(groups.items()))
        blobs[row] = known[key]
    return blobs


def _pack(status: int, mask: int) -> bytes:
    length = (mask.bit_length() + 7) // 8
    return _HEAD.pack(status, length) + mask.to_bytes(length, "little")

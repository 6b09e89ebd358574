"""Status of the values of one stored row, in one small blob beside them.

No blob: every number in the row is Good and every NULL was not read. A blob lists what differs, as groups of
`status u32, length u8, columns` (the columns as bits, little-endian): a NULL that stands in it is a value that was
read and has none.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from historian.errors import DamagedHistory

Groups = tuple[tuple[int, int], ...]
"""(status, columns as bits), in the order of status."""

_BAD = 0x8000_0000
_EVERY = (1 << 2032) - 1
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


def merge(old: bytes | None, new: bytes | None, written: str) -> bytes | None:
    """The blob of a row after columns `written` (bits in hexadecimal) were overwritten with what `new` says."""
    keep = ~int(written, 16)
    try:
        known = decode(old) if old else ()
    except DamagedHistory:
        known = ((_BAD, _EVERY),)  # the values stay, and nobody takes them for good ones
    merged = {status: mask & keep for status, mask in known}
    for status, mask in decode(new) if new else ():
        merged[status] = merged.get(status, 0) | mask
    return encode(list(merged.items()))


def sound(rows: Sequence[tuple[Any, ...]], status: int) -> list[tuple[Any, ...]]:
    """Rows that hold what rows can hold: a status at this place, and nothing but numbers else."""
    return [row for row in rows if _is_sound(row, status)]


def _is_sound(row: tuple[Any, ...], status: int) -> bool:
    try:
        decode(row[status] or b"")
    except DamagedHistory:
        return False
    return all(cell is None or isinstance(cell, int | float) for cell in (*row[:status], *row[status + 1 :]))


def of_rows(columns: Sequence[int], values: NDArray[np.float64], status: NDArray[np.uint32]) -> list[bytes | None]:
    """Blobs of many rows, shape (n, len(columns)) each: listed is what is not Good or has no value."""
    missing = np.isnan(values)
    listed = missing | (status != 0)
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


def of_column(blobs: Sequence[bytes | None], column: int) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Status of one column in many rows, and where it is listed."""
    status = np.zeros(len(blobs), np.uint32)
    listed = np.zeros(len(blobs), np.bool_)
    known: dict[bytes, int | None] = {}
    bit = 1 << column
    for row, blob in enumerate(blobs):
        if blob is None:
            continue
        if blob not in known:
            known[blob] = next((code for code, mask in decode(blob) if mask & bit), None)
        code = known[blob]
        if code is not None:
            status[row] = code
            listed[row] = True
    return status, listed


def _pack(status: int, mask: int) -> bytes:
    length = (mask.bit_length() + 7) // 8
    return _HEAD.pack(status, length) + mask.to_bytes(length, "little")

"""Numbers of one stored row in one small blob: which columns it holds, and a number for each.

    u8 bytes of a mask | mask (bit n: column n) | mask of those that are whole, low byte first
    i32 for each whole column | f64 for each other one, little-endian

Whole are the registers of most meters, in base units. Where a column has no number stands NaN, or the least i32.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from historian.errors import DamagedHistory

_WHOLE, _FLOAT = 4, 8
_NONE = -(2**31)


class Layout(NamedTuple):
    """What the head of a blob says: its columns of whole numbers and its others, in the order in which they stand."""

    whole: tuple[int, ...]
    others: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return _WHOLE * len(self.whole) + _FLOAT * len(self.others)


def encode(columns: Sequence[int], values: NDArray[np.float64]) -> list[bytes]:
    """Blobs of rows that hold the same columns; values are (rows, columns)."""
    nothing = np.isnan(values)
    with np.errstate(invalid="ignore"):
        numbers = values.astype(np.int32)
    same = (numbers.astype(np.float64).view(np.int64) == values.view(np.int64)) & (numbers != _NONE)
    is_whole = (same | nothing).all(axis=0)
    order = sorted(range(len(columns)), key=columns.__getitem__)
    whole, others = [place for place in order if is_whole[place]], [place for place in order if not is_whole[place]]
    head = _head(tuple(columns[place] for place in whole), tuple(columns[place] for place in others))
    numbers[nothing] = _NONE
    parts = np.empty((len(values), len(head) + _WHOLE * len(whole) + _FLOAT * len(others)), np.uint8)
    parts[:, : len(head)] = np.frombuffer(head, np.uint8)
    middle = len(head) + _WHOLE * len(whole)
    parts[:, len(head) : middle] = numbers[:, whole].astype("<i4", order="C").view(np.uint8)
    floats = np.where(nothing[:, others], np.nan, values[:, others])
    parts[:, middle:] = floats.astype("<f8", order="C").view(np.uint8)
    every, size = parts.tobytes(), parts.shape[1]
    return [every[first : first + size] for first in range(0, len(every), size)]


def decode(blobs: Sequence[bytes]) -> NDArray[np.float64]:
    """Numbers of rows, shape (columns, rows), NaN where a row has none; raises DamagedHistory, TypeError."""
    parts = [(layout_of(head), rows, raw) for head, rows, raw in _alike(blobs)]
    width = max((max(layout.whole + layout.others, default=-1) + 1 for layout, _, _ in parts), default=0)
    numbers = np.full((width, len(blobs)), np.nan)
    for layout, rows, raw in parts:
        if raw.shape[1] != layout.size:
            raise DamagedHistory("the numbers of a stored row are not as many as it says")
        middle = _WHOLE * len(layout.whole)
        whole = np.ascontiguousarray(raw[:, :middle]).view("<i4").T
        others = np.ascontiguousarray(raw[:, middle:]).view("<f8").T
        for columns, cells in ((layout.whole, np.where(whole == _NONE, np.nan, whole)), (layout.others, others)):
            if rows is None:
                numbers[list(columns)] = cells
            else:
                numbers[np.ix_(columns, rows)] = cells
    return numbers


def fits(blob: object) -> bool:
    """Whether a blob is as long as it says."""
    if not isinstance(blob, bytes) or len(blob) <= (2 * blob[0] if blob else 0):
        return False
    end = 1 + 2 * blob[0]
    try:
        return len(blob) == end + layout_of(blob[:end]).size
    except DamagedHistory:
        return False


@lru_cache(maxsize=1024)
def layout_of(head: bytes) -> Layout:
    """What the head of a blob says; raises DamagedHistory."""
    middle = 1 + head[0]
    every, whole = int.from_bytes(head[1:middle], "little"), int.from_bytes(head[middle:], "little")
    if whole & ~every:
        raise DamagedHistory("the numbers of a stored row are of columns that it does not have")
    return Layout(_columns(whole), _columns(every & ~whole))


@lru_cache(maxsize=1024)
def _head(whole: tuple[int, ...], others: tuple[int, ...]) -> bytes:
    first, every = sum(1 << column for column in whole), sum(1 << column for column in whole + others)
    length = (every.bit_length() + 7) // 8
    return bytes([length]) + every.to_bytes(length, "little") + first.to_bytes(length, "little")


def _columns(mask: int) -> tuple[int, ...]:
    return tuple(column for column in range(mask.bit_length()) if mask >> column & 1)


def _alike(blobs: Sequence[bytes]) -> list[tuple[bytes, list[int] | None, NDArray[np.uint8]]]:
    """Rows with the same head: the head, which rows (None: all), and the bytes of their numbers."""
    if blobs and len(set(map(len, blobs))) == 1 and blobs[0]:
        raw = np.frombuffer(b"".join(blobs), np.uint8).reshape(len(blobs), -1)
        end = 1 + 2 * int(raw[0, 0])
        if end <= raw.shape[1] and (raw[:, :end] == raw[0, :end]).all():
            return [(blobs[0][:end], None, raw[:, end:])]
    found: dict[tuple[int, bytes], list[int]] = {}
    for row, blob in enumerate(blobs):
        if not blob or len(blob) <= 2 * blob[0]:
            raise DamagedHistory("the numbers of a stored row are cut short")
        found.setdefault((len(blob), blob[: 1 + 2 * blob[0]]), []).append(row)
    parts: list[tuple[bytes, list[int] | None, NDArray[np.uint8]]] = []
    for (size, head), rows in found.items():
        raw = np.frombuffer(b"".join([blobs[row] for row in rows]), np.uint8)
        parts.append((head, rows, raw.reshape(len(rows), size)[:, len(head) :]))
    return parts

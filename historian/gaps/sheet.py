"""Bits of the slots of one day: a row for each unit, a bit for each slot."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

PAGE = 1024
"""Rows that are stored together."""
_BIT = np.array([128, 64, 32, 16, 8, 4, 2, 1], np.uint8)
Rows = NDArray[np.int64]
Grid = NDArray[np.bool_]


class Sheet:
    """`slots` bits for each row; rows come into being as they are set. `dirty` are the pages not stored since."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.dirty: set[int] = set()
        self._width = (slots + 7) // 8
        self._bits = np.zeros((0, self._width), np.uint8)

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self._bits.nbytes

    def set(self, rows: Rows, numbers: Rows) -> None:
        """Set the bit `numbers[i]` of `rows[i]`; the same one may come twice."""
        if not len(rows):
            return
        self._reach(int(rows.max()) + 1)
        flat = self._bits.reshape(-1)
        np.bitwise_or.at(flat, rows * self._width + (numbers >> 3), _BIT[numbers & 7])
        self.dirty.update(np.unique(rows // PAGE).tolist())

    def grid(self, rows: Rows) -> Grid:
        """Bits of these rows, shape (rows, slots)."""
        found = np.zeros((len(rows), self._width), np.uint8)
        known = rows < len(self._bits)
        found[known] = self._bits[rows[known]]
        return np.unpackbits(found, axis=1, count=self.slots).view(np.bool_)

    def page(self, number: int) -> bytes:
        """A page as it is stored."""
        return zlib.compress(self._bits[number * PAGE : (number + 1) * PAGE].tobytes(), 1)

    def load(self, number: int, packed: bytes) -> None:
        """Take a stored page; raises ValueError or zlib.error where it is not what was stored."""
        data = np.frombuffer(zlib.decompress(packed), np.uint8)
        if not self._width or len(data) % self._width:
            raise ValueError(f"{len(data)} bytes are no multiple of {self._width}")
        rows = data.reshape(-1, self._width)
        self._reach(number * PAGE + len(rows))
        self._bits[number * PAGE : number * PAGE + len(rows)] |= rows

    def _reach(self, rows: int) -> None:
        if rows > len(self._bits):
            grown = np.zeros((-(-rows // PAGE) * PAGE, self._width), np.uint8)
            grown[: len(self._bits)] = self._bits
            self._bits = grown


def runs(codes: NDArray[np.uint8]) -> tuple[Rows, Rows, Rows]:
    """Runs of equal codes other than 0, row by row: their row, first column, and column after the last."""
    rows, columns = codes.shape
    if not rows or not columns:
        empty = np.empty(0, np.int64)
        return empty, empty, empty
    begins = np.empty(codes.shape, np.bool_)
    begins[:, 0] = True
    np.not_equal(codes[:, 1:], codes[:, :-1], out=begins[:, 1:])
    starts = np.flatnonzero(begins.reshape(-1))
    ends = np.append(starts[1:], rows * columns)
    there = codes.reshape(-1)[starts] != 0
    starts, ends = starts[there], ends[there]
    row = starts // columns
    return row, starts - row * columns, ends - row * columns

"""Check sums of hot rows, many at a time.

A row is a list of 64-bit words: unit, time, CRC-32 of its status, and the bits of each number. Both halves of each word
are multiplied by a constant of its place; what counts is the upper half of the sum modulo 2^64, on the measurement's
constant. A number that is not there adds nothing, so a row keeps its sum when its table gets more columns. One flipped
bit of a word always shows, any other damage but one time in 2^32 (multilinear hashing: Carter and Wegman 1979,
Lemire and Kaser 2014).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from historian.schema import Measurement

_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFF_FFFF)
_NOTHING = np.uint64(0x7FF8_0000_0000_0000)
"""Bits of NaN, which is no number that can be stored: what is there is never told by a zero."""
_FIRST_COLUMN = 3
"""Words before the numbers: unit, time, status."""
_STEP = 0x9E37_79B9_7F4A_7C15
_ALL = (1 << 64) - 1


def row_sums(
    measurement: Measurement,
    series: NDArray[np.int64],
    time_ms: NDArray[np.int64],
    blobs: Sequence[bytes | None],
    numbers: NDArray[np.float64],
    columns: tuple[int, ...],
) -> NDArray[np.int32]:
    """Sums of n rows; numbers are (columns, n) and NaN where there is none, `columns` their places in the table."""
    words = np.array(numbers, np.float64, order="C").view(np.uint64)
    words[np.isnan(numbers)] = _NOTHING
    words ^= _NOTHING
    low, high = _of_columns(columns)
    total: NDArray[np.uint64] = low @ (words & _LOW) + high @ (words >> _HALF) + _first(measurement)
    places = _constants(0, _FIRST_COLUMN)
    total += _product(series.astype(np.int64).view(np.uint64), places[:, 0])
    total += _product(time_ms.astype(np.int64).view(np.uint64), places[:, 1])
    status = _status(blobs)
    if status is not None:
        total += _product(status, places[:, 2])
    return (total >> _HALF).astype(np.uint32).view(np.int32)


@lru_cache(maxsize=256)
def _of_columns(columns: tuple[int, ...]) -> NDArray[np.uint64]:
    """Constants of these columns for the lower and the upper half of a number, shape (2, columns)."""
    every = _constants(_FIRST_COLUMN, _FIRST_COLUMN + max(columns, default=-1) + 1)
    return every[:, list(columns)]


@lru_cache(maxsize=256)
def _constants(first: int, end: int) -> NDArray[np.uint64]:
    pairs = [(_mixed(2 * place), _mixed(2 * place + 1)) for place in range(first, end)]
    return np.array(pairs, np.uint64).reshape(-1, 2).T.copy()


@lru_cache(maxsize=16)
def _first(measurement: Measurement) -> np.uint64:
    return np.uint64(_mixed(zlib.crc32(measurement.value.encode()) << 32))


def _mixed(number: int) -> int:
    """A constant of 64 bits, as SplitMix64 gives them."""
    word = (number + 1) * _STEP & _ALL
    word = (word ^ word >> 30) * 0xBF58_476D_1CE4_E5B9 & _ALL
    word = (word ^ word >> 27) * 0x94D0_49BB_1331_11EB & _ALL
    return word ^ word >> 31


def _product(words: NDArray[np.uint64], constants: NDArray[np.uint64]) -> NDArray[np.uint64]:
    product: NDArray[np.uint64] = (words & _LOW) * constants[0] + (words >> _HALF) * constants[1]
    return product


def _status(blobs: Sequence[bytes | None]) -> NDArray[np.uint64] | None:
    """CRC-32 of each row's status, 0 where there is none; nothing where no row has any."""
    listed = [row for row, blob in enumerate(blobs) if blob is not None]
    if not listed:
        return None
    status = np.zeros(len(blobs), np.uint64)
    known: dict[bytes, int] = {}
    for row in listed:
        blob = blobs[row]
        if blob is not None:
            if blob not in known:
                known[blob] = zlib.crc32(blob)
            status[row] = known[blob]
    return status

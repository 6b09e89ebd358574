"""Deterministic noise: numbers that look random and depend on nothing but a key and a position."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1


def key_of(*parts: object) -> int:
    """A 64-bit key of the parts, the same in every process."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def fraction(key: int, salt: str) -> float:
    """One number in [0, 1) for the key."""
    return key_of(key, salt) / (1 << 64)


def uniform(key: int, salt: str, low: float, high: float) -> float:
    """One number in [low, high) for the key."""
    return low + (high - low) * fraction(key, salt)


def lattice(key: int, salt: int, positions: Ints) -> Floats:
    """Independent numbers in [-1, 1), one a position, same shape; neighbours are not alike."""
    with np.errstate(over="ignore"):
        mixed = positions.astype(np.uint64) * _GOLDEN + np.uint64((key + salt * 0xD1B54A32D192ED03) & _MASK)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX_1
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
        mixed ^= mixed >> np.uint64(31)
    numbers: Floats = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0
    return numbers


def smooth(key: int, salt: int, positions: Ints, every: int) -> Floats:
    """Numbers in [-1, 1) that move linearly between a new one at each multiple of `every`; positions ascend."""
    cell = positions // every
    x = (positions - cell * every) / every
    first, last = int(cell[0]), int(cell[-1])
    knots = lattice(key, salt, np.arange(first, last + 2, dtype=np.int64))
    left = knots[cell - first]
    return left + (knots[cell - first + 1] - left) * x

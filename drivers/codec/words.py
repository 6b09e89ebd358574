"""Byte orders of values that span 16-bit words: letters name the bytes of the value, A the most significant."""

from __future__ import annotations

from enum import Enum


class Order(Enum):
    """How the bytes of a value follow one another on the wire; beyond 32 bits the same rule goes on."""

    ABCD = "ABCD"
    """Big-endian."""
    CDAB = "CDAB"
    """Least significant word first, each word big-endian."""
    BADC = "BADC"
    """Most significant word first, the bytes of each word swapped."""
    DCBA = "DCBA"
    """Little-endian."""


def wire_positions(words: int, order: Order) -> tuple[int, ...]:
    """For each byte of a big-endian value of `words` words, its position on the wire."""
    word_order = range(words) if order in (Order.ABCD, Order.BADC) else range(words - 1, -1, -1)
    in_word = (0, 1) if order in (Order.ABCD, Order.CDAB) else (1, 0)
    return tuple(2 * word + byte for word in word_order for byte in in_word)


def arrange(data: bytes, order: Order) -> bytes:
    """Wire bytes as a big-endian value, or the other way round: every order is its own inverse."""
    return bytes(data[position] for position in wire_positions(len(data) // 2, order))


def to_words(data: bytes) -> tuple[int, ...]:
    """16-bit words of an even number of bytes."""
    return tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))

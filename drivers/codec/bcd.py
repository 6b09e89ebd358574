"""Digits in disguise: binary coded decimals, and words of four decimal digits each."""

from __future__ import annotations


def from_bcd(raw: int) -> int | None:
    """The number whose decimal digits are the nibbles of `raw`; None where a nibble is no digit."""
    digits = f"{raw:x}"
    return int(digits) if digits.isdecimal() else None


def to_bcd(value: int) -> int:
    """The integer whose hexadecimal digits are the decimal ones of `value`, which must not be negative."""
    return int(str(value), 16)


def from_mod10000(data: bytes) -> int | None:
    """The number written as words of 0 to 9999, most significant first; None where a word is larger."""
    value = 0
    for at in range(0, len(data), 2):
        word = int.from_bytes(data[at : at + 2], "big")
        if word > 9999:
            return None
        value = value * 10_000 + word
    return value


def to_mod10000(value: int, words: int) -> bytes:
    """`value` as `words` words of 0 to 9999; raises `OverflowError` where it does not fit."""
    parts: list[int] = []
    rest = value
    for _ in range(words):
        rest, part = divmod(rest, 10_000)
        parts.append(part)
    if rest:
        raise OverflowError(f"{value} needs more than {words} words")
    return b"".join(part.to_bytes(2, "big") for part in reversed(parts))

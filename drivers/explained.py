"""Frames told field by field: what the explanations of all protocols share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_WIDEST = 24
"""Characters of bytes beside which names stand in a column."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its bytes as they stand for themselves, what it is called, what it says."""

    bytes: str
    name: str
    meaning: str


def dicts_of(fields: Sequence[Field]) -> list[dict[str, str]]:
    """The fields as plain data."""
    return [{"bytes": each.bytes, "name": each.name, "meaning": each.meaning} for each in fields]


def lines_of(fields: Sequence[Field]) -> list[str]:
    """The fields for a person, one a line."""
    width = min(max((len(each.bytes) for each in fields), default=0), _WIDEST)
    return [f"  {each.bytes:<{width}}  {each.name}: {each.meaning}" for each in fields]


def hex_digits(text: str) -> str:
    """Bytes as people write them, without blanks, colons, commas, dashes and 0x."""
    words = text.replace(",", " ").replace(":", " ").replace("-", " ").split()
    return "".join(word.removeprefix("0x").removeprefix("0X") for word in words)

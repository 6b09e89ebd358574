"""Patterns of the filter operator Like (Part 4 7.7.3): `%`, `_`, `\\`, `[a-f]`, `[^0-9]`.

Matched in time proportional to pattern times text, however many `%` a client writes.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.opcua.errors import PatternError

_ESCAPE = "\\"


@dataclass(frozen=True, slots=True)
class _One:
    """One character: inside one of the ranges, or outside all of them."""

    ranges: tuple[tuple[str, str], ...]
    outside: bool = False

    def fits(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self.ranges) is not self.outside


_ANY = None


class Like:
    """A compiled pattern; raises PatternError where it is none."""

    def __init__(self, pattern: str) -> None:
        self._tokens = _tokens(pattern)

    def matches(self, text: str) -> bool:
        """Whether the whole text is as the pattern says; case counts."""
        tokens = self._tokens
        token = position = mark = 0
        star = -1
        while position < len(text):
            wanted = tokens[token] if token < len(tokens) else _END
            if wanted is _ANY:
                star, mark = token, position
                token += 1
            elif wanted.fits(text[position]):
                token += 1
                position += 1
            elif star >= 0:
                mark += 1
                token, position = star + 1, mark
            else:
                return False
        return all(left is _ANY for left in tokens[token:])


_END = _One(())
"""Fits no character."""


def _tokens(pattern: str) -> list[_One | None]:
    found: list[_One | None] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "%":
            if not found or found[-1] is not _ANY:
                found.append(_ANY)
        elif char == "_":
            found.append(_One((), outside=True))
        elif char == "[":
            listed, position = _listed(pattern, position + 1)
            found.append(listed)
        else:
            literal, position = _literal(pattern, position)
            found.append(_One(((literal, literal),)))
        position += 1
    return found


def _literal(pattern: str, position: int) -> tuple[str, int]:
    """The character at `position` and where it ends; behind a backslash every character means itself."""
    if pattern[position] == _ESCAPE and position + 1 < len(pattern):
        position += 1
    return pattern[position], position


def _listed(pattern: str, position: int) -> tuple[_One, int]:
    outside = pattern[position : position + 1] == "^"
    position += outside
    ranges: list[tuple[str, str]] = []
    while position < len(pattern) and pattern[position] != "]":
        low, position = _literal(pattern, position)
        high = low
        if pattern[position + 1 : position + 2] == "-" and pattern[position + 2 : position + 3] not in ("]", ""):
            high, position = _literal(pattern, position + 2)
        ranges.append((low, high))
        position += 1
    if position >= len(pattern) or not ranges:
        raise PatternError(f"the pattern {pattern!r} has a list of characters that is empty or has no end")
    return _One(tuple(ranges), outside=bool(outside)), position

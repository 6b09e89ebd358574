"""What a data identifier stands for: one value, a row of values, or a record of different ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from address_space.model.quantity import Quantity
from drivers.dlt645.formats import Format, Value

SEPARATOR = 0xAA
"""Stands between the parts of a block in some answers of 1997 and in load records."""


@dataclass(frozen=True, slots=True)
class Item:
    """One value.

    quantity  what it is of the hub's quantities, None where the hub has no such one
    stamped   format of the moment that follows the value (when a maximum demand was), None without one
    others    formats that other makes use; the length of the data decides
    """

    di: int
    name: str
    unit: str
    format: Format
    quantity: Quantity | None = None
    title: str = ""
    stamped: Format | None = None
    others: tuple[Format, ...] = ()

    @property
    def size(self) -> int:
        """Bytes it takes, with its moment."""
        return self.format.size + (self.stamped.size if self.stamped else 0)

    def fits(self, data: bytes) -> bool:
        """Whether so many bytes can be this value."""
        return len(data) == self.size or self.size == 0 or any(len(data) == other.size for other in self.others)

    def format_for(self, data: bytes) -> Format:
        """The format that fits the length of the data."""
        if self.size and len(data) != self.size:
            for other in self.others:
                if len(data) == other.size:
                    return other
        return self.format

    def decode(self, data: bytes) -> Value | None:
        """The value; None where the meter has none, or where the data cannot be this value."""
        if not self.fits(data):
            return None
        chosen = self.format_for(data)
        return chosen.decode(data[: chosen.size] if chosen.size else data)

    def moment(self, data: bytes) -> str | None:
        """The moment that goes with the value, as it is shown; None where there is none."""
        if self.stamped is None or len(data) != self.size:
            return None
        shown = self.stamped.decode(data[self.format.size :])
        return None if shown is None else str(shown)


@dataclass(frozen=True, slots=True)
class Block:
    """Several values in one answer, in this order; a meter that has fewer leaves out the last ones.

    named  whether the values differ in kind and are told by their names (a record), or are a row of one kind

    An item of size 0 takes all that is left; it stands last.
    """

    di: int
    name: str
    unit: str
    items: tuple[Item, ...]
    title: str = ""
    named: bool = False
    _sizes: frozenset[int] = field(init=False, repr=False, compare=False, default=frozenset())

    def __post_init__(self) -> None:
        object.__setattr__(self, "_sizes", frozenset(_ends(self.items)))

    @property
    def size(self) -> int:
        """Bytes of the whole block."""
        return sum(item.size for item in self.items)

    def fits(self, data: bytes) -> bool:
        """Whether the data are this block, or its first values, with or without separators."""
        return bool(self.split(data))

    def split(self, data: bytes) -> list[tuple[Item, bytes]]:
        """The values that are there, each with its bytes; empty where the data do not fit."""
        if len(data) in self._sizes or (self.items[-1].size == 0 and len(data) > self.size):
            return list(_cut(self.items, data, gap=0))
        return self._separated(data)

    def _separated(self, data: bytes) -> list[tuple[Item, bytes]]:
        """Values with a separator after each, or between them."""
        parts = list(_cut(self.items, data, gap=1))
        used = sum(len(part) for _, part in parts) + len(parts)
        if not parts or len(data) not in (used, used - 1):
            return []
        at = 0
        for _, part in parts:
            at += len(part) + 1
            if at <= len(data) and data[at - 1] != SEPARATOR:
                return []
        return parts


Entry = Item | Block


def _ends(items: tuple[Item, ...]) -> Iterator[int]:
    end = 0
    for item in items:
        end += item.size
        yield end


def _cut(items: tuple[Item, ...], data: bytes, gap: int) -> Iterator[tuple[Item, bytes]]:
    at = 0
    for item in items:
        part = data[at : at + item.size] if item.size else data[at:]
        if not part or len(part) < item.size:
            return
        yield item, part
        at += item.size + gap

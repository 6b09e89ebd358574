"""A variable whose history is read, and its stored values with what lies next to them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from address_space.model.ids import NodeUid
from address_space.model.quantity import Kind, Quantity
from address_space.model.value import Instants, Statuses, Values
from historian.aggregates import Configuration, Counting, Raw
from historian.api import HistoryReader, Series
from historian.rollups.limits import Changes, Ratings, unchanged
from historian.schema import field_of

FOREVER_MS = 1 << 52
NS_PER_MS = 1_000_000
_NEXT = 2
"""Values beside an interval: two make a line to go on along."""
_FURTHER = 500
"""How many of them are looked at where the next ones are bad."""
EMPTY = Series(np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint32))


@dataclass(frozen=True, slots=True)
class Variable:
    """Of which unit what is read, and how it behaves between its values."""

    uid: NodeUid
    quantity: Quantity
    stepped: bool
    counting: Counting | None = None

    @classmethod
    def of(cls, uid: NodeUid, quantity: Quantity, ratings: Ratings, changes: Changes = unchanged) -> Variable:
        """What is no gauge keeps its value until the next, and counters count within their ratings."""
        counting: Counting | None = None
        if quantity.kind is Kind.COUNTER:
            bounds = ratings.bounds([uid], (field_of(quantity),))
            changed = changes(uid).get(field_of(quantity), ())
            counting = Counting(ratings.limits(bounds, 0, 0), changed, quantity.per_unit)
        return cls(uid, quantity, quantity.kind is not Kind.GAUGE, counting)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Values of one node in the order in which they are told, and what is left to be told.

    kind  built-in type of the values
    """

    status: int
    kind: int
    time_ns: Instants
    values: Values
    codes: Statuses
    following: object | None = None


async def around(
    reader: HistoryReader, variable: Variable, low_ns: int, high_ns: int, most: int, configuration: Configuration
) -> tuple[list[Series], bool]:
    """Stored values from low to high with those next to them on both sides, rising; and whether `most` cut them."""
    low_ms, high_ms = low_ns // NS_PER_MS, -(-high_ns // NS_PER_MS) + 1
    inside = await reader.read_raw(variable.uid, variable.quantity, low_ms, high_ms, most)
    before = await beside(reader, variable, low_ms, configuration, backward=True)
    if inside.more:
        return [before, replace(inside, more=False)], True
    return [before, inside, await beside(reader, variable, high_ms, configuration, backward=False)], False


async def beside(
    reader: HistoryReader, variable: Variable, edge_ms: int, configuration: Configuration, *, backward: bool
) -> Series:
    """The nearest values before an edge, or from it on; further ones too where the nearest are not usable. Rising."""
    low, high = (-FOREVER_MS, edge_ms) if backward else (edge_ms, FOREVER_MS)
    found = EMPTY
    for most in (_NEXT, _FURTHER):
        found = await reader.read_raw(variable.uid, variable.quantity, low, high, most, newest_first=backward)
        usable = raw_of([found], configuration).usable
        if not found.more or int(usable.sum()) >= (_NEXT if backward else 1):
            break
    if not backward:
        return found
    return Series(found.time_ms[::-1], found.values[::-1], found.status[::-1])


def raw_of(parts: list[Series], configuration: Configuration) -> Raw:
    """Consecutive parts as aggregates want them."""
    return Raw(
        np.concatenate([part.time_ms for part in parts]).astype(np.int64) * NS_PER_MS,
        np.concatenate([part.values for part in parts]).astype(np.float64),
        np.concatenate([part.status for part in parts]).astype(np.uint32),
        configuration,
    )

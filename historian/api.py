"""What a history store offers, whatever it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One device reading to be stored: base units, NaN where there is no value; slot-aligned time in ms."""

    point: NodeUid
    slot_ms: int
    quantities: Sequence[Quantity]
    values: NDArray[np.float64]
    status: NDArray[np.uint32]
    texts: Mapping[int, str]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Part of the history of one variable: shape (n,) each, times strictly monotonic in the direction asked for.

    values are in the quantity's shown unit, NaN where there is none; `more` says that the limit cut it.
    """

    time_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    status: NDArray[np.uint32]
    more: bool = False


class HistoryReader(Protocol):
    """Reading side of a store."""

    async def read_raw(
        self, point: NodeUid, quantity: Quantity, start_ms: int, end_ms: int, limit: int, *, newest_first: bool = False
    ) -> Series:
        """Stored values with start_ms <= time < end_ms (both in ms), at most `limit`."""

    async def bounds(self, point: NodeUid, quantity: Quantity) -> tuple[int, int] | None:
        """First and last stored time in ms, or None where nothing is stored."""

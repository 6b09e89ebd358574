"""What a history store offers, whatever it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity
from historian.schema import Measurement

if TYPE_CHECKING:
    from historian.buckets import Buckets
    from historian.calendar import Width

SeriesIds = NDArray[np.int64]
"""Numbers under which a store keeps units, shape (n,); stable for ever, never reused."""

END_MS = 253_402_300_800_000
"""A store holds times from 0 (1970) up to this one (the year 10000), which is not held."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One device reading to be stored: base units, NaN where there is no value; slot-aligned time in ms."""

    point: NodeUid
    slot_ms: int
    quantities: Sequence[Quantity]
    values: NDArray[np.float64]
    status: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """Rows of many units that carry the same fields of one measurement.

    series, time_ms  shape (n,)
    values, status   shape (n, len(fields)); base units, NaN where there is no value
    """

    measurement: Measurement
    fields: tuple[str, ...]
    series: SeriesIds
    time_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    status: NDArray[np.uint32]

    def rows(self, places: NDArray[np.int64]) -> Readings:
        """Only these rows, in this order."""
        return Readings(
            self.measurement,
            self.fields,
            self.series[places],
            self.time_ms[places],
            self.values[places],
            self.status[places],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Part of the history of one variable: shape (n,) each, times strictly monotonic in the direction asked for.

    values are in the quantity's shown unit, NaN where there is none; `more` says that the limit cut it.
    """

    time_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    status: NDArray[np.uint32]
    more: bool = False


class Sample(NamedTuple):
    """One stored value in the shown unit (NaN where there is none)."""

    time_ms: int
    value: float
    status: int


@dataclass(frozen=True, slots=True, eq=False)
class Latest:
    """Newest stored values, shape (units, quantities) each.

    values are in the shown unit, NaN (and time 0) where none was ever stored; `status` is as it was stored.
    """

    values: NDArray[np.float64]
    status: NDArray[np.uint32]
    time_ms: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Stored readings of many units that carry the same fields, ordered by unit and time.

    unit             shape (n,), places of the units among those asked for
    time_ms          shape (n,)
    values, status   shape (n, len(fields)); base units, NaN where there is no value
    present          what is not present was not read at that time
    """

    fields: tuple[str, ...]
    unit: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    status: NDArray[np.uint32]
    present: NDArray[np.bool_]


class HistoryReader(Protocol):
    """Reading side of a store. What a recorder accepted can be read after its next commit, within a second."""

    async def read_raw(
        self, point: NodeUid, quantity: Quantity, start_ms: int, end_ms: int, limit: int, *, newest_first: bool = False
    ) -> Series:
        """Stored values with start_ms <= time < end_ms (both in ms), at most `limit`.

        A caller pages by asking again from the last time plus 1 (newest first: up to the last time).
        """

    async def value_before(self, point: NodeUid, quantity: Quantity, time_ms: int) -> Sample | None:
        """The newest stored value at or before a time."""

    async def value_after(self, point: NodeUid, quantity: Quantity, time_ms: int) -> Sample | None:
        """The oldest stored value at or after a time."""

    async def bounds(self, point: NodeUid, quantity: Quantity) -> tuple[int, int] | None:
        """First and last stored time in ms, or None where nothing is stored."""

    async def latest(self, units: Sequence[NodeUid], quantities: Sequence[Quantity]) -> Latest:
        """The newest value that each unit has of each quantity; a status without a value does not count."""


class RowReader(HistoryReader, Protocol):
    """A store that can also be read many units at once."""

    async def read_rows(
        self, units: Sequence[NodeUid], measurement: Measurement, start_ms: int, end_ms: int
    ) -> list[Rows]:
        """All that is stored of one measurement with start_ms <= time < end_ms."""

    async def begins(self) -> int | None:
        """A time at or before the first stored reading, None where nothing is stored."""


class RollupReader(Protocol):
    """Figures of buckets of local time, kept by the hub beside the readings.

    A bucket holds start <= time < end; values are in the quantity's shown unit. What lies ahead of the readings, or was
    never read, has count 0 and quality MISSING.
    """

    async def buckets(self, point: NodeUid, quantity: Quantity, start_ms: int, end_ms: int, width: Width) -> Buckets:
        """All buckets that touch [start_ms, end_ms)."""

    async def buckets_of_many(
        self, points: Sequence[NodeUid], quantity: Quantity, start_ms: int, end_ms: int, width: Width
    ) -> list[Buckets]:
        """The same of many units."""

    async def settled(self, points: Sequence[NodeUid], start_ms: int, end_ms: int) -> bool:
        """Whether rollups of [start_ms, end_ms) say all that the stored readings do: closed, and nothing waits."""


class HistoryIndex(Protocol):
    """What a store has."""

    async def kept(self) -> Mapping[NodeUid, tuple[Quantity, ...]]:
        """Every unit that the store knows, also such as the plant has no more, and of what it may have values."""


class HistoryWriter(Protocol):
    """Writing side of a store, as a recorder needs it."""

    async def series(self, units: Sequence[NodeUid]) -> SeriesIds:
        """Numbers of units, given out on first sight."""

    async def write(self, readings: Sequence[Readings]) -> None:
        """Store all or raise HistoryError; the same slot again overwrites the fields given and keeps the others."""

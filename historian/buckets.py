"""What a bucket says of one variable, from its stored readings: pure, and in arrays over many buckets at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from historian.api import Series
from historian.calendar import Instants
from historian.counters import Advance, Move
from historian.schema import QualityFlag, quality_flags
from historian.shares import shared

Floats = NDArray[np.float64]
_BAD = 0x80000000


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """One variable over n buckets, shape (n,) each: NaN where a bucket has no usable value.

    first, last  first and last value in the bucket, of a counter its register
    delta        consumption, of counters only
    count        usable readings
    quality      union of the bits of all its readings, `QualityFlag`; MISSING where it has none
    """

    start_ms: Instants
    first: Floats
    last: Floats
    low: Floats
    high: Floats
    mean: Floats
    delta: Floats
    count: NDArray[np.int32]
    quality: NDArray[np.uint16]


def summarised(series: Series, edges_ms: Instants) -> Buckets:
    """Minimum, maximum, mean, first, last, count and quality of readings in time order; `delta` is left NaN."""
    buckets = max(len(edges_ms) - 1, 0)
    place = np.searchsorted(edges_ms, series.time_ms, "right") - 1
    inside = (place >= 0) & (place < buckets)
    usable = inside & ~np.isnan(series.values) & ((series.status & _BAD) == 0)
    where, values = place[usable], series.values[usable]
    count = np.bincount(where, minlength=buckets).astype(np.int32)
    some = count > 0
    begins = np.flatnonzero(np.append(True, where[1:] != where[:-1])) if len(where) else np.empty(0, np.int64)
    low, high, mean, first, last = (np.full(buckets, np.nan) for _ in range(5))
    if len(where):
        low[some] = np.minimum.reduceat(values, begins)
        high[some] = np.maximum.reduceat(values, begins)
        mean[some] = np.add.reduceat(values, begins) / count[some]
        first[some] = values[begins]
        last[some] = values[np.append(begins[1:], len(values)) - 1]
    return Buckets(
        edges_ms[:-1],
        first,
        last,
        low,
        high,
        mean,
        np.full(buckets, np.nan),
        count,
        _quality(series.status[inside], place[inside], some, buckets),
    )


def consumption(advances: Sequence[Advance], edges_ms: Instants) -> tuple[Floats, NDArray[np.uint16]]:
    """Consumption of each bucket, and quality bits for what lies behind it.

    What was booked between two readings on both sides of an edge is shared out by time, and marked ESTIMATED where that
    makes more of it than the edge's own reading would have told. A bucket that no advance reaches has NaN.
    """
    buckets = max(len(edges_ms) - 1, 0)
    flags = np.zeros(buckets, np.uint16)
    if not advances or not buckets:
        return np.full(buckets, np.nan), flags
    amount = np.array([advance.amount for advance in advances], np.float64)
    start = np.array([advance.from_ms for advance in advances], np.int64)
    end = np.array([advance.to_ms for advance in advances], np.int64)
    parts = shared(start, end, amount, edges_ms)
    amounts: Floats = np.bincount(parts.bucket, parts.amount, buckets).astype(np.float64)
    amounts[np.bincount(parts.bucket, minlength=buckets) == 0] = np.nan
    moves = np.array([_flag(advance.move) for advance in advances], np.uint16)
    np.bitwise_or.at(flags, parts.bucket, moves[parts.span])
    guessed = parts.bucket[parts.split & (amount[parts.span] > 0)]
    flags[guessed] |= int(QualityFlag.ESTIMATED)
    return amounts, flags


def _flag(move: Move) -> int:
    if move is Move.ROLLOVER:
        return int(QualityFlag.ROLLOVER)
    return 0 if move is Move.NORMAL else int(QualityFlag.SUSPECT)


def _quality(
    status: NDArray[np.uint32], place: NDArray[np.int64], some: NDArray[np.bool_], buckets: int
) -> NDArray[np.uint16]:
    found = np.where(some, 0, int(QualityFlag.MISSING)).astype(np.uint16)
    for code in np.unique(status[status != 0]).tolist():
        hit = np.bincount(place[status == code], minlength=buckets) > 0
        found[hit] |= int(quality_flags(code))
    return found

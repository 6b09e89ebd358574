"""Which registers cannot be booked from the readings of some hours and those just around them: pure, and in arrays.

What an hour has of a step between two readings depends on both; what the step is depends on readings up to where the
register is calm (`historian.counters.CALM`). So an hour is known from what lies around it where that reaches as far,
and where hours on the other side, which have their share of the same steps, are computed with it or are not yet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from historian.api import Rows
from historian.calendar import Instants
from historian.counters import CALM, HOUR_MS

Marked = NDArray[np.bool_]
TAIL_MS = 2 * HOUR_MS
"""So much behind a late reading is computed again with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Usable readings of registers in some hours and around them, shape (units, fields) each.

    touched        whether anything at all was read in the hours
    before, after  how many lie around them
    first, last    how many lie in the first and in the last hour
    within         how many lie in the hours
    tail           how many lie in the last `TAIL_MS` of the hours
    """

    touched: Marked
    before: NDArray[np.int64]
    first: NDArray[np.int64]
    within: NDArray[np.int64]
    tail: NDArray[np.int64]
    last: NDArray[np.int64]
    after: NDArray[np.int64]

    @property
    def concerned(self) -> Marked:
        """Registers that were read in the hours or around them."""
        return np.asarray(self.touched | (self.before > 0) | (self.after > 0))

    @property
    def failing(self) -> Marked:
        """Registers that were read in the hours, and nothing of them is usable there or behind."""
        return np.asarray(self.touched & (self.within + self.after == 0))


def seen(rows: Rows, counts: Marked, units: int, edges_ms: Instants, ends_ms: tuple[int, int]) -> Seen:
    """Count readings, ordered by unit and time; `ends_ms` is when the first hour ends, and when the last one begins."""
    begin, end = int(edges_ms[0]), int(edges_ms[-1])
    tail = max(begin, end - TAIL_MS)
    cuts = np.unique(np.array([begin, ends_ms[0], tail, ends_ms[1], end], np.int64))
    part = np.searchsorted(cuts, rows.time_ms, "right")
    parts = len(cuts) + 1
    found = np.zeros((units, parts, counts.shape[1]), np.int64)
    read = np.zeros((units, parts, counts.shape[1]), np.bool_)
    if len(rows.unit):
        begins = np.flatnonzero(np.append(True, (rows.unit[1:] != rows.unit[:-1]) | (part[1:] != part[:-1])))
        at = (rows.unit[begins], part[begins])
        found[at] = np.add.reduceat(counts, begins, axis=0, dtype=np.int64)
        read[at] = np.logical_or.reduceat(rows.present, begins, axis=0)

    def between(low_ms: int, high_ms: int) -> NDArray[np.int64]:
        low, high = np.searchsorted(cuts, (low_ms, high_ms)) + 1
        return np.asarray(found[:, low:high].sum(axis=1))

    return Seen(
        np.asarray(read[:, 1:-1].any(axis=1)),
        found[:, 0],
        between(begin, ends_ms[0]),
        between(begin, end),
        between(tail, end),
        between(ends_ms[1], end),
        found[:, -1],
    )


def in_turn(reads: Seen, fresh: Marked) -> Marked:
    """Of units of which no later hour was computed: those that have a step into the hours from before them, of which
    hours before have their share. `fresh` units, shape (units,), have nothing before."""
    nothing_before = (reads.before == 0) & ~fresh[:, None]
    return np.asarray((reads.within + reads.after > 0) & (nothing_before | ((reads.before > 0) & (reads.first == 0))))


def out_of_turn(reads: Seen) -> Marked:
    """Of units of which later hours may be computed: those that are not known on both sides up to where they are calm,
    and those that were read in neither the first nor the last hour, so that hours beyond have their share."""
    calm = (reads.before >= CALM) & (reads.tail >= CALM)
    open_ended = (reads.first == 0) | (reads.last == 0) | (reads.after == 0)
    return np.asarray(reads.touched & (~calm | open_ended))

"""Who sits where on a track, and since when: the row of each unit, and the times in which it was expected."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from historian.gaps.sheet import Grid, Rows
from historian.gaps.tracks import Times


class Seating:
    """Rows of a track: their units, and when they were on duty (row, from, to; ascending). 16 bytes a unit."""

    def __init__(self, units: Rows, duties: Times) -> None:
        self.units: NDArray[np.int32] = units.astype(np.int32)
        self._rows = np.full(int(units.max(initial=-1)) + 1, -1, np.int32)
        self._rows[units] = np.arange(len(units))
        self.put(duties)

    def put(self, duties: Times) -> None:
        """These are the duties. Most began and ended with those of others: each is a row and the number of a span."""
        self._duty_rows = duties[:, 0].astype(np.int32)
        begins, begin = np.unique(duties[:, 1], return_inverse=True)
        ends, end = np.unique(duties[:, 2], return_inverse=True)
        pairs, which = np.unique(begin * len(ends) + end, return_inverse=True)
        self._spans: Times = np.column_stack((begins[pairs // max(len(ends), 1)], ends[pairs % max(len(ends), 1)]))
        self._which = which.astype(np.int32)

    @property
    def begins_ms(self) -> int:
        """When the first duty of all began; far in the future where there was none."""
        return int(self._spans[:, 0].min(initial=np.iinfo(np.int64).max))

    def on_duty(self, end_ms: int) -> Rows:
        """Rows with a duty that ends then, ascending."""
        found: Rows = self._duty_rows[self._spans[self._which, 1] == end_ms].astype(np.int64)
        return found

    def rows_of(self, units: Rows) -> Rows:
        """Row of each unit, -1 where it has none."""
        found = np.full(len(units), -1, np.int64)
        known = units < len(self._rows)
        found[known] = self._rows[units[known]]
        return found

    def expected(self, rows: Rows, slots: Times, now_ms: int, grace_ms: int) -> Grid:
        """Whether each row was on duty at each slot and `grace_ms` longer, as far as that is over now; shape (rows,
        slots)."""
        begins = np.searchsorted(self._duty_rows, rows)
        ends = np.searchsorted(self._duty_rows, rows, "right")
        found = np.zeros((len(rows), len(slots)), np.bool_)
        columns = np.arange(len(slots))
        for nth in range(int((ends - begins).max(initial=0))):
            has = np.flatnonzero(begins + nth < ends)
            duty = self._spans[self._which[begins[has] + nth]]
            low = np.searchsorted(slots, duty[:, 0])
            high = np.searchsorted(slots, np.minimum(duty[:, 1], now_ms) - grace_ms, "right")
            found[has] |= (columns >= low[:, None]) & (columns < high[:, None])
        return found

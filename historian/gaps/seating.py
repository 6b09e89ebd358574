"""Who sits where on a track, and since when: the row of each unit, and the times in which it was expected."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from historian.gaps.sheet import Grid, Rows
from historian.gaps.tracks import Times


@dataclass(slots=True, eq=False)
class Seating:
    """Rows of a track: their units, and when they were on duty (row, from, to; ascending)."""

    units: Rows
    duties: Times
    _rows: Rows = field(init=False)

    def __post_init__(self) -> None:
        self._rows = np.full(int(self.units.max(initial=-1)) + 1, -1, np.int64)
        self._rows[self.units] = np.arange(len(self.units))

    def rows_of(self, units: Rows) -> Rows:
        """Row of each unit, -1 where it has none."""
        found = np.full(len(units), -1, np.int64)
        known = units < len(self._rows)
        found[known] = self._rows[units[known]]
        return found

    def expected(self, rows: Rows, slots: Times, now_ms: int, grace_ms: int) -> Grid:
        """Whether each row was on duty at each slot and `grace_ms` longer, as far as that is over now; shape (rows,
        slots)."""
        begins = np.searchsorted(self.duties[:, 0], rows)
        ends = np.searchsorted(self.duties[:, 0], rows, "right")
        found = np.zeros((len(rows), len(slots)), np.bool_)
        columns = np.arange(len(slots))
        for nth in range(int((ends - begins).max(initial=0))):
            has = np.flatnonzero(begins + nth < ends)
            duty = self.duties[begins[has] + nth]
            low = np.searchsorted(slots, duty[:, 1])
            high = np.searchsorted(slots, np.minimum(duty[:, 2], now_ms) - grace_ms, "right")
            found[has] |= (columns >= low[:, None]) & (columns < high[:, None])
        return found

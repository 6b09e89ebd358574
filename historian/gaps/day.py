"""The last 24 hours of every unit in a few bytes each: what was expected, stored and filled, and when a gap began."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from historian.gaps.book import Part
from historian.gaps.report import Code, UnitDay
from historian.gaps.tracks import Times


class Day:
    """A count of the slots with start_ms <= slot < end_ms, for units with numbers below `numbers`."""

    def __init__(self, numbers: int = 0, start_ms: int = 0, end_ms: int = 0) -> None:
        self.end_ms = end_ms
        self._start_ms = start_ms
        self._counts = np.zeros((numbers, 3), np.uint32)
        self._gap_ms = np.zeros(numbers, np.int64)
        self._begun_before = np.zeros(numbers, np.bool_)
        self._open: NDArray[np.bool_] = np.zeros(0, np.bool_)

    def add(self, part: Part, counted: Times) -> None:
        """Take in a part, in the order of `Book.parts`, and its expected, stored and filled slots: shape (units, 3)."""
        self._counts[part.units] += counted.astype(np.uint32)
        missing = part.codes >= Code.NOT_READ
        rows = np.flatnonzero(missing.any(axis=1))
        begins = missing[rows]
        begins[:, 1:] &= ~missing[rows, :-1]
        if part.before_ms >= 0:
            begins[:, 0] &= ~self._open[rows]
        self._open = missing[:, -1].copy()
        begun = begins.any(axis=1)
        rows, begins = rows[begun], begins[begun]
        columns = begins.shape[1] - 1 - np.argmax(begins[:, ::-1], axis=1)
        units, begun_ms = part.units[rows], part.slots[columns]
        newer = begun_ms > self._gap_ms[units]
        units, begun_ms, columns = units[newer], begun_ms[newer], columns[newer]
        self._gap_ms[units] = begun_ms
        self._begun_before[units] = (columns == 0) & (part.before_ms < 0)

    def after(self, earlier: Self) -> Self:
        """This count, where gaps that reach back to its start begin as the count before it knew."""
        if earlier.end_ms > self._start_ms:
            both = min(len(self._gap_ms), len(earlier._gap_ms))
            known_ms, gap_ms = earlier._gap_ms[:both], self._gap_ms[:both]
            older = self._begun_before[:both] & (known_ms > 0) & (known_ms < gap_ms)
            gap_ms[older] = known_ms[older]
        return self

    def of(self, number: int) -> UnitDay | None:
        """The day of a unit; None where it was not counted."""
        if not 0 <= number < len(self._counts):
            return None
        expected, stored, filled = self._counts[number].tolist()
        return UnitDay(expected, stored, filled, int(self._gap_ms[number]))

"""Values by interval: sums, extremes and counts without a loop over intervals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from address_space.model.value import Instants, Values
from historian.aggregates.intervals import Intervals
from historian.aggregates.raw import Mask, Raw


class Extreme(Enum):
    """Which end of the values."""

    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Chosen values of consecutive intervals: interval k has those at begins[k] to ends[k] - 1."""

    time_ns: Instants
    values: Values
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, raw: Raw, spans: Intervals, which: Mask | None) -> Segments:
        """The values at `which`, all where that is None."""
        times, values = (raw.time_ns, raw.values) if which is None else (raw.time_ns[which], raw.values[which])
        places = spans.places(times)
        return cls(times, values, places[:-1], places[1:])

    @property
    def count(self) -> NDArray[np.int64]:
        """How many each interval has."""
        return self.ends - self.begins

    def reduced(self, how: np.ufunc, of: NDArray[Any] | None = None) -> NDArray[Any]:
        """One result for each interval that has values, in order."""
        source = self.values if of is None else of
        begins = self.begins[self.count > 0]
        if not len(begins):
            return source[:0]
        found: NDArray[Any] = how.reduceat(source[: self.ends[-1]], begins)
        return found

    def counted(self, which: Mask) -> NDArray[np.int64]:
        """How many of each interval are marked."""
        sums = np.concatenate([[0], np.cumsum(which)])
        found: NDArray[np.int64] = sums[self.ends] - sums[self.begins]
        return found

    def spread(self, results: NDArray[Any]) -> NDArray[Any]:
        """Results of `reduced`, one for each value; outside all intervals that of a neighbour."""
        count = self.count
        if not len(results):
            return np.zeros(len(self.time_ns), results.dtype)
        before = np.repeat(results[:1], self.begins[0])
        inside = np.repeat(results, count[count > 0])
        return np.concatenate([before, inside, np.repeat(results[-1:], len(self.time_ns) - self.ends[-1])])

    def first_where(self, of: NDArray[Any], results: NDArray[Any]) -> NDArray[np.int64]:
        """Position of the first value equal to the result, for each interval that has values."""
        equal = np.flatnonzero(of == self.spread(results))
        found: NDArray[np.int64] = equal[np.searchsorted(equal, self.begins[self.count > 0])]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Extremes:
    """The least or greatest value of each interval, when it was first there, and whether more than once."""

    values: Values
    time_ns: Instants
    multiple: Mask


def extremes(raw: Raw, spans: Intervals, which: Extreme, among: Mask | None = None) -> Extremes:
    """NaN and time 0 where an interval has none `among` which to look: the good ones, unless others are wanted."""
    chosen = Segments.of(raw, spans, raw.good if among is None else among)
    some = chosen.count > 0
    values, times = np.full(len(spans), np.nan), np.zeros(len(spans), np.int64)
    multiple = np.zeros(len(spans), np.bool_)
    found = chosen.reduced(np.minimum if which is Extreme.LOW else np.maximum)
    values[some] = found
    times[some] = chosen.time_ns[chosen.first_where(chosen.values, found)]
    multiple[some] = chosen.counted(chosen.values == chosen.spread(found))[some] > 1
    return Extremes(values, times, multiple)

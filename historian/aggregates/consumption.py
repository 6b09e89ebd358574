"""What a register has counted over intervals: Delta and DeltaBounds of counters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from address_space.model.value import Instants, Values
from historian.aggregates.intervals import Intervals
from historian.aggregates.raw import Mask, Raw
from historian.counters import HOUR_MS, MARGIN, Advance, Limits, Move, RatioChange, advances

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Counting:
    """How a variable counts.

    limits, changes  of the register, in base units
    per_unit         base units in the unit of the values: sums are made of whole base units and stay exact
    """

    limits: Limits = field(default_factory=Limits)
    changes: Sequence[RatioChange] = ()
    per_unit: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """One amount for each interval, NaN where nothing is known.

    certain  well read at both edges, and nothing but counting and roll-over between
    whole    known from one edge to the other
    """

    amount: Values
    certain: Mask
    whole: Mask


class Progress:
    """What a register had counted by any time, from what was booked between its readings."""

    def __init__(self, raw: Raw, counting: Counting) -> None:
        usable = raw.usable
        times_ms = raw.time_ns[usable] // _NS_PER_MS
        values = raw.values[usable] * counting.per_unit
        whole = np.rint(values)
        values = np.where(np.abs(values - whole) < 1e-6 * np.maximum(np.abs(whole), 1.0), whole, values)
        self._per_unit = counting.per_unit
        self._knots_ns, self._amounts, jumps = _booked(times_ms, values, counting)
        self._sums = np.concatenate([[0.0], np.cumsum(self._amounts)])
        self._jumps_ns = _times(jumps)
        read_at = np.searchsorted(raw.time_ns, self._knots_ns)
        self._sure = raw.good[read_at]
        """Whether the reading at each knot is good."""

    def over(self, spans: Intervals) -> Counted:
        """What was counted from edge to edge; between readings it is shared out by time."""
        edges = spans.edges_ns
        if not len(self._amounts):
            nothing = np.zeros(len(spans), np.bool_)
            return Counted(np.full(len(spans), np.nan), nothing, nothing)
        sums, read = self._at(edges)
        begin, end = self._knots_ns[0], self._knots_ns[-1]
        whole = (spans.low_ns >= begin) & (spans.high_ns <= end)
        touched = (spans.high_ns > begin) & (spans.low_ns < end)
        amount = np.where(touched, np.diff(sums) / self._per_unit, np.nan)
        return Counted(amount, read[:-1] & read[1:] & ~self._jumped(spans.low_ns, spans.high_ns), whole)

    def between(self, low_ns: Instants, high_ns: Instants) -> tuple[Values, Mask]:
        """What was counted between readings, and whether nothing but counting happened there."""
        if not len(self._amounts):
            return np.zeros(len(low_ns)), np.ones(len(low_ns), np.bool_)
        amount = (self._at(high_ns)[0] - self._at(low_ns)[0]) / self._per_unit
        return amount, ~self._jumped(low_ns, high_ns)

    def _at(self, at_ns: Instants) -> tuple[Values, Mask]:
        """Sum by each time, and whether it needs no sharing out."""
        knots = self._knots_ns
        place = np.clip(np.searchsorted(knots, at_ns, "right") - 1, 0, len(self._amounts) - 1)
        span = knots[place + 1] - knots[place]
        share = np.clip((at_ns - knots[place]) / span, 0.0, 1.0)
        at_reading = ((share == 0.0) & self._sure[place]) | ((share == 1.0) & self._sure[place + 1])
        exact = at_reading | ((self._amounts[place] == 0.0) & self._sure[place] & self._sure[place + 1])
        return self._sums[place] + self._amounts[place] * share, exact

    def _jumped(self, low_ns: Instants, high_ns: Instants) -> Mask:
        begins, ends = self._jumps_ns
        if not len(begins):
            return np.zeros(len(low_ns), np.bool_)
        return np.searchsorted(begins, high_ns, "left") > np.searchsorted(ends, low_ns, "right")


def _booked(times_ms: Instants, values: Values, counting: Counting) -> tuple[Instants, Values, list[Advance]]:
    """Times between which something was booked, the amounts, and what was no counting."""
    steps, limits = np.diff(values), counting.limits
    if not counting.changes and (steps >= 0).all():
        most = limits.per_hour * MARGIN * np.diff(times_ms) / HOUR_MS + 2 * limits.resolution
        if not limits.per_hour or (steps <= most).all():
            return times_ms * _NS_PER_MS, steps, []
    booked = advances(times_ms, values, limits, counting.changes)
    chain = [one for one in booked if one.move is not Move.GLITCH]
    knots = np.array([chain[0].from_ms, *(one.to_ms for one in chain)] if chain else [], np.int64)
    amounts = np.array([one.amount for one in chain], np.float64)
    jumps = [one for one in booked if one.move not in (Move.NORMAL, Move.ROLLOVER)]
    return knots * _NS_PER_MS, amounts, jumps


def _times(jumps: Sequence[Advance]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    begins = np.array([one.from_ms for one in jumps], np.int64) * _NS_PER_MS
    ends = np.array([one.to_ms for one in jumps], np.int64) * _NS_PER_MS
    return np.sort(begins), np.sort(ends)

"""Regions: what lies between two neighbouring values of an interval (OPC 10000-13 5.4.3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from address_space.model.value import Values
from historian.aggregates.bounds import Bounds
from historian.aggregates.intervals import Intervals
from historian.aggregates.raw import Mask, Raw

_SHORTEST_NS = 1_000_000
"""What the last value of all lasts: the resolution of stored time."""


class BadValues(Enum):
    """What becomes of bad values within an interval."""

    KEPT = "kept"
    """They begin regions of their own."""
    SKIPPED = "skipped"
    """The line goes past them, and is uncertain."""


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """All regions of all intervals in time order, shape (m,) each; a region that is neither good nor bad is uncertain.

    interval     which one it lies in
    duration_ns  how long it lasts
    area         its value times its duration, in unit seconds; 0 of a bad one
    """

    interval: NDArray[np.int64]
    duration_ns: Values
    area: Values
    good: Mask
    bad: Mask

    def total(self, of: Values, where: Mask | None, intervals: int) -> Values:
        """Sums by interval."""
        weights = of if where is None else np.where(where, of, 0.0)
        return np.bincount(self.interval, weights=weights, minlength=intervals).astype(np.float64)


def regions(raw: Raw, spans: Intervals, bounds: Bounds, bad_values: BadValues, *, stepped: bool) -> Regions:
    """`bounds` are those of the edges of `spans`."""
    edges = spans.edges_ns
    first, last = np.searchsorted(raw.time_ns, (edges[0], edges[-1]), "right").tolist()
    inner = np.arange(first, last)
    inner = inner[edges[np.searchsorted(edges, raw.time_ns[inner])] != raw.time_ns[inner]]
    if bad_values is BadValues.SKIPPED:
        inner = inner[raw.usable[inner]]
    times = np.concatenate([edges, raw.time_ns[inner]])
    order = np.argsort(times, kind="stable")
    times = times[order]
    values = np.concatenate([bounds.values, raw.values[inner]])[order]
    good = np.concatenate([bounds.good, raw.good[inner]])[order]
    usable = np.concatenate([bounds.usable, raw.usable[inner]])[order]
    begin, end = values[:-1], values[1:]
    bad = ~usable[:-1]
    region_good = good[:-1]
    duration = np.diff(times).astype(np.float64)
    if bad_values is BadValues.SKIPPED:
        region_good = region_good & ~_skips(raw, times)
    else:
        over = usable[:-1] & ~usable[1:] & (times[1:] > raw.time_ns[-1])
        duration[over] = np.minimum(duration[over], _SHORTEST_NS)
    mean = begin
    if not stepped:
        mean = np.where(usable[1:], (begin + end) / 2, begin)
        region_good = region_good & good[1:]
    area = np.where(bad, 0.0, mean * (duration / 1e9))
    interval = np.searchsorted(edges, times[:-1], "right") - 1
    return Regions(interval, duration, area, region_good & ~bad, bad)


def _skips(raw: Raw, times: NDArray[np.int64]) -> Mask:
    """Which regions have a value in them that is not usable."""
    skipped = raw.time_ns[~raw.usable]
    return np.searchsorted(skipped, times[1:], "left") > np.searchsorted(skipped, times[:-1], "right")

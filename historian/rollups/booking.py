"""Consumption of many registers over many buckets at once, and which of them need a closer look.

Registers that only ever go on, and no faster than they can, are booked here; what steps back or leaps is left to
`historian.counters`, reading by reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from historian.api import Rows
from historian.calendar import Instants
from historian.counters import HOUR_MS, MARGIN
from historian.rollups.figures import Figure, Figures
from historian.schema import QualityFlag
from historian.shares import shared


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Limits of the registers of many units, shape (units, fields); 0 where nothing is known."""

    rollover: NDArray[np.float64]
    per_hour: NDArray[np.float64]


def book(
    figures: Figures, rows: Rows, counts: NDArray[np.bool_], bounds: Bounds, edges_ms: Instants
) -> NDArray[np.bool_]:
    """Fill in DELTA and what it adds to QUALITY; which registers, shape (units, fields), have a reading that does not
    simply follow the one before, and could not be booked so.

    `rows` reach over both ends of the edges; `counts` says which of their values are usable.
    """
    units, fields = bounds.rollover.shape
    odd = np.zeros((units, fields), np.bool_)
    widths = np.diff(edges_ms)
    buckets = len(widths)
    delta, quality = figures.of(Figure.DELTA), figures.of(Figure.QUALITY)
    for field in range(fields):
        taken = np.flatnonzero(counts[:, field])
        if not len(taken):
            continue
        unit, time_ms, value = rows.unit[taken], rows.time_ms[taken], rows.values[taken, field]
        joined = np.flatnonzero(unit[1:] == unit[:-1])
        of_unit, start, stop = unit[joined], time_ms[joined], time_ms[joined + 1]
        amount = value[joined + 1] - value[joined]
        per_hour = bounds.per_hour[of_unit, field]
        most = np.where(per_hour > 0, per_hour * MARGIN * (stop - start) / HOUR_MS, np.inf)
        rollover = bounds.rollover[of_unit, field]
        strange = (rollover > 0) & (_out(value[joined], rollover) != _out(value[joined + 1], rollover))
        wrong = (amount < 0) | (amount > most) | strange
        odd[of_unit[wrong], field] = True
        parts = shared(start, stop, amount, edges_ms)
        at = of_unit[parts.span] * buckets + parts.bucket
        sums = np.bincount(at, parts.amount, units * buckets).reshape(units, buckets)
        covered = np.bincount(at, parts.length_ms, units * buckets).reshape(units, buckets)
        split = parts.split & (amount[parts.span] > 0)
        guessed = np.bincount(at, split, units * buckets).reshape(units, buckets) > 0
        delta[:, field, :] = np.where(covered > 0, sums, np.nan)
        marks = np.where(guessed, int(QualityFlag.ESTIMATED), 0)
        marks |= np.where(covered < widths, int(QualityFlag.MISSING), 0)
        old = quality[:, field, :].astype(np.int64)
        # a bucket without a reading of its own, whose consumption is known all the same, is estimated, not missing
        whole = (covered == widths) & guessed & (old == int(QualityFlag.MISSING))
        quality[:, field, :] = np.where(whole, 0, old) | marks
    return odd


def _out(value: NDArray[np.float64], rollover: NDArray[np.float64]) -> NDArray[np.bool_]:
    """What a register cannot show; `Limits.shows` leaves it what it rounds."""
    return (value < 0) | (value > rollover)

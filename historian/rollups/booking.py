"""Consumption of many registers over many buckets at once, and which of them need a closer look.

Registers that only ever go on, and no faster than they can, are booked here; what steps back or leaps is left to
`historian.counters`, reading by reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from historian.api import Rows
from historian.calendar import LAST_MS, Instants
from historian.counters import HOUR_MS, MARGIN
from historian.rollups.figures import Figure, Figures
from historian.schema import QualityFlag
from historian.shares import shared


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Limits of the registers of many units, shape (units, fields); 0 where nothing is known."""

    rollover: NDArray[np.float64]
    per_hour: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Doubts:
    """Registers that could not be booked in one go, shape (units, fields) each.

    odd      a reading does not simply follow the one before
    before   nothing is known of it before the first bucket, though there is a reading in the buckets or behind them;
             or its first reading there came after the unit's first and after the bucket before was computed
    after    nothing is known of it behind the last bucket
    """

    odd: NDArray[np.bool_]
    before: NDArray[np.bool_]
    after: NDArray[np.bool_]


def book(
    figures: Figures, rows: Rows, counts: NDArray[np.bool_], bounds: Bounds, edges_ms: Instants, grace_ms: int = 0
) -> Doubts:
    """Fill in DELTA and what it adds to QUALITY.

    `rows` reach over both ends of the edges; `counts` says which of their values are usable. The buckets before were
    computed `grace_ms` after their end.
    """
    units, fields = bounds.rollover.shape
    shape = (units, fields)
    doubts = Doubts(np.zeros(shape, np.bool_), np.zeros(shape, np.bool_), np.zeros(shape, np.bool_))
    begin, end = int(edges_ms[0]), int(edges_ms[-1])
    widths = np.diff(edges_ms)
    buckets = len(widths)
    any_field: NDArray[np.bool_] = np.asarray(counts.any(axis=1))
    first_ms = _first_ms(rows, any_field, begin, units)
    delta, quality = figures.of(Figure.DELTA), figures.of(Figure.QUALITY)
    for field in range(fields):
        taken = np.flatnonzero(counts[:, field])
        if not len(taken):
            continue
        unit, time_ms, value = rows.unit[taken], rows.time_ms[taken], rows.values[taken, field]
        joined = np.flatnonzero(unit[1:] == unit[:-1])
        firsts = np.append(0, np.flatnonzero(unit[1:] != unit[:-1]) + 1)
        lasts = np.append(firsts[1:], len(unit)) - 1
        doubts.before[unit[firsts], field] = (time_ms[firsts] >= begin) & (time_ms[lasts] >= begin)
        own_ms = _first_ms(rows, counts[:, field], begin, units)
        doubts.before[:, field] |= (own_ms > np.maximum(first_ms, begin + grace_ms)) & (own_ms < LAST_MS)
        doubts.after[unit[lasts], field] = time_ms[lasts] < end
        of_unit, start, stop = unit[joined], time_ms[joined], time_ms[joined + 1]
        amount = value[joined + 1] - value[joined]
        per_hour = bounds.per_hour[of_unit, field]
        most = np.where(per_hour > 0, per_hour * MARGIN * (stop - start) / HOUR_MS, np.inf)
        rollover = bounds.rollover[of_unit, field]
        strange = (rollover > 0) & (_out(value[joined], rollover) != _out(value[joined + 1], rollover))
        wrong = (amount < 0) | (amount > most) | strange
        doubts.odd[of_unit[wrong], field] = True
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
    return doubts


def _first_ms(rows: Rows, chosen: NDArray[np.bool_], begin_ms: int, units: int) -> Instants:
    """Time of each unit's first chosen row from a time on."""
    found = np.full(units, LAST_MS, np.int64)
    at = np.flatnonzero(chosen & (rows.time_ms >= begin_ms))[::-1]
    found[rows.unit[at]] = rows.time_ms[at]
    return found


def _out(value: NDArray[np.float64], rollover: NDArray[np.float64]) -> NDArray[np.bool_]:
    """What a register cannot show; `Limits.shows` leaves it what it rounds."""
    return (value < 0) | (value > rollover)

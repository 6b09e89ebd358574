"""One unit's registers where they did not simply go on: reading by reading, with what lies before and behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from historian.api import Rows, Sample
from historian.buckets import consumption
from historian.calendar import Instants
from historian.counters import Advance, Limits, Move, RatioChange, advances
from historian.rollups.anomalies import Jump
from historian.rollups.booking import Bounds, book
from historian.rollups.figures import COUNTER, Figure, Figures, summarised, usable
from historian.schema import QualityFlag


class Around(NamedTuple):
    """Usable readings outside of what is computed, oldest first, in base units."""

    before: Sequence[Sample]
    after: Sequence[Sample]


def repaired(
    unit: int,
    rows: Rows,
    around: Mapping[str, Around],
    limits: Sequence[Limits],
    changes: Mapping[str, Sequence[RatioChange]],
    edges_ms: Instants,
) -> tuple[Figures, list[Jump]]:
    """Figures of one unit's counters between the edges, and what was odd there; `limits` is in the order of fields."""
    whole = _joined(rows, around)
    bounds = Bounds(np.array([[limit.rollover for limit in limits]]), np.array([[limit.per_hour for limit in limits]]))
    counts = usable(whole)
    odd = book(summarised(COUNTER, whole, 1, edges_ms), whole, counts, bounds, edges_ms)[0]
    if changes:
        odd = odd | True
    told: dict[int, list[Advance]] = {}
    jumps: list[Jump] = []
    present = whole.present.copy()
    for field in np.flatnonzero(odd).tolist():
        changed = changes.get(rows.fields[field], ())
        at = np.flatnonzero(counts[:, field])
        times, values = whole.time_ms[at], whole.values[at, field]
        found = told[field] = advances(times, values, limits[field], changed)
        for advance in found:
            if advance.move is Move.NORMAL:
                continue
            place = int(np.searchsorted(times, advance.to_ms))
            if advance.move is Move.GLITCH:
                present[at[place], field] = False
            if edges_ms[0] <= advance.to_ms < edges_ms[-1]:
                before = float(values[np.searchsorted(times, advance.from_ms)])
                name = rows.fields[field]
                shown, amount = float(values[place]), advance.amount
                jumps.append(Jump(unit, name, advance.to_ms, advance.move.value, before, shown, amount))
    clean = replace(whole, present=present)
    figures = summarised(COUNTER, clean, 1, edges_ms)
    read = figures.of(Figure.QUALITY)[0].astype(np.int64)
    book(figures, clean, usable(clean), bounds, edges_ms)
    for field, found in told.items():
        _override(figures, field, found, read[field], edges_ms)
    return figures, jumps


def _override(
    figures: Figures, field: int, found: Sequence[Advance], read: NDArray[np.int64], edges_ms: Instants
) -> None:
    """Put in what was told of a register; `read` is the quality of what was read in each bucket."""
    real = [advance for advance in found if advance.move is not Move.GLITCH]
    amounts, flags = consumption(real, edges_ms)
    buckets = len(edges_ms) - 1
    whole = _covered(real, edges_ms) == np.diff(edges_ms)
    guessed = (flags & int(QualityFlag.ESTIMATED)) > 0
    quality = np.where(whole & guessed & (read == int(QualityFlag.MISSING)), 0, read)  # as `book` does
    quality |= flags
    quality |= np.where(whole, 0, int(QualityFlag.MISSING))
    for advance in found:
        place = int(np.searchsorted(edges_ms, advance.to_ms, "right")) - 1
        if advance.move is Move.GLITCH and 0 <= place < buckets:
            quality[place] |= int(QualityFlag.SUSPECT)
    figures.of(Figure.DELTA)[0, field] = amounts
    figures.of(Figure.QUALITY)[0, field] = quality


def _covered(found: Sequence[Advance], edges_ms: Instants) -> NDArray[np.int64]:
    covered = np.zeros(len(edges_ms) - 1, np.int64)
    for advance in found:
        lower = np.maximum(edges_ms[:-1], advance.from_ms)
        upper = np.minimum(edges_ms[1:], advance.to_ms)
        covered += np.maximum(upper - lower, 0)
    return covered


def _joined(rows: Rows, around: Mapping[str, Around]) -> Rows:
    """Readings and what lies around them, in order."""
    extra = [
        (sample, place)
        for place, field in enumerate(rows.fields)
        if field in around
        for sample in (*around[field].before, *around[field].after)
    ]
    shape = (len(extra), len(rows.fields))
    values, status, present = np.full(shape, np.nan), np.zeros(shape, np.uint32), np.zeros(shape, np.bool_)
    for row, (sample, place) in enumerate(extra):
        values[row, place], status[row, place], present[row, place] = sample.value, sample.status, True
    time_ms = np.concatenate([rows.time_ms, np.array([sample.time_ms for sample, _ in extra], np.int64)])
    order = np.argsort(time_ms, kind="stable")
    return Rows(
        rows.fields,
        np.zeros(len(order), np.int64),
        time_ms[order],
        np.concatenate([rows.values, values])[order],
        np.concatenate([rows.status, status])[order],
        np.concatenate([rows.present, present])[order],
    )

"""What a part of the ledger's slots tells: its gaps, and how many slots there are of each kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from historian.gaps.book import Part
from historian.gaps.report import Cause, Code, Gap
from historian.gaps.sheet import runs
from historian.gaps.tracks import Times


def gaps_of(part: Part, limit: int) -> list[Gap]:
    """The first gaps of a part, by unit and time."""
    codes = np.where(part.codes >= Code.NOT_READ, part.codes, np.uint8(0))
    rows, firsts, ends = runs(codes)
    rows, firsts, ends = rows[:limit], firsts[:limit], ends[:limit]
    causes = codes[rows, firsts]
    of, name = part.track.measurement, part.track.name
    told = zip(
        rows.tolist(),
        part.slots[firsts].tolist(),
        part.slots[ends - 1].tolist(),
        (ends - firsts).tolist(),
        causes.tolist(),
        strict=True,
    )
    return [
        Gap(part.points[row], of, name, first, last, missing, Cause(cause)) for row, first, last, missing, cause in told
    ]


def join(gaps: list[Gap], found: list[Gap], part: Part) -> None:
    """Append what was found; what goes on from the part before is one gap."""
    ended = {}
    if part.before_ms >= 0:
        key = (part.track.measurement, part.track.name, part.before_ms)
        ended = {gap.point: place for place, gap in enumerate(gaps) if (gap.measurement, gap.track, gap.last_ms) == key}
    for gap in found:
        place = ended.get(gap.point) if gap.first_ms == part.slots[0] else None
        if place is not None and gaps[place].cause is gap.cause:
            missing = gaps[place].missing + gap.missing
            gaps[place] = replace(gaps[place], last_ms=gap.last_ms, missing=missing)
        else:
            gaps.append(gap)


def counted(part: Part, borders: Times) -> Times:
    """Expected, stored and filled slots per unit and bucket: shape (units, buckets, 3)."""
    bucket = np.searchsorted(borders, part.slots, "right") - 1
    totals = np.zeros((len(part.points), len(borders) - 1, 3), np.int64)
    starts = np.searchsorted(bucket, np.unique(bucket))
    stored = (part.codes == Code.POLLED) | (part.codes == Code.FILLED)
    for column, grid in enumerate((part.codes != Code.NOT_EXPECTED, stored, part.codes == Code.FILLED)):
        totals[:, np.unique(bucket), column] = np.add.reduceat(grid, starts, axis=1, dtype=np.int64)
    return totals


def missing(part: Part) -> NDArray[np.int64]:
    """Slots per unit that are missing, how many of them were given up, and how many were expected: shape (units, 3)."""
    grids = part.codes >= Code.NOT_READ, part.codes == Code.LACKING, part.codes != Code.NOT_EXPECTED
    return np.stack([grid.sum(axis=1) for grid in grids], axis=1).astype(np.int64)

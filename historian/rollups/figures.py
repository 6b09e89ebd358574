"""What buckets say of the readings of many units at once: pure, and in arrays over units, fields and buckets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from historian.api import Rows
from historian.calendar import Instants
from historian.schema import Measurement, QualityFlag, quality_flags

Floats = NDArray[np.float64]
_BAD = 0x80000000
_LARGEST = np.iinfo(np.int64).max


class Figure(IntEnum):
    """What is kept of a bucket. TOTAL is the sum of the values, from which the mean comes."""

    FIRST = 0
    LAST = 1
    LOW = 2
    HIGH = 3
    TOTAL = 4
    DELTA = 5
    COUNT = 6
    QUALITY = 7


class Mark(IntFlag):
    """Bits beside `QualityFlag` in the stored quality."""

    COUNTED = 1 << 12
    """There is a consumption."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Which figures are kept of the fields of a measurement."""

    measurement: Measurement
    figures: tuple[Figure, ...]

    def place(self, figure: Figure) -> int:
        """Where a figure stands."""
        return self.figures.index(figure)


COUNTER = Shape(Measurement.ENERGY, (Figure.FIRST, Figure.LAST, Figure.DELTA, Figure.COUNT, Figure.QUALITY))
GAUGE = Shape(
    Measurement.INST,
    (Figure.LOW, Figure.HIGH, Figure.TOTAL, Figure.LAST, Figure.COUNT, Figure.QUALITY),
)
SHAPES = {Measurement.ENERGY: COUNTER, Measurement.INST: GAUGE}


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """Figures of many units: `data` is shape (units, fields, figures of the shape, buckets), base units.

    Where a bucket has no usable reading COUNT is 0 and FIRST … TOTAL are NaN; DELTA is NaN where nothing is known of
    what was consumed.
    """

    shape: Shape
    fields: tuple[str, ...]
    data: Floats

    def of(self, figure: Figure) -> Floats:
        """One figure, shape (units, fields, buckets)."""
        return self.data[:, :, self.shape.place(figure), :]


def empty(shape: Shape, fields: tuple[str, ...], units: int, buckets: int) -> Figures:
    """Figures of buckets without any reading."""
    found = Figures(shape, fields, np.full((units, len(fields), len(shape.figures), buckets), np.nan))
    found.of(Figure.COUNT)[...] = 0
    found.of(Figure.QUALITY)[...] = int(QualityFlag.MISSING)
    return found


def usable(rows: Rows) -> NDArray[np.bool_]:
    """Which values count."""
    found: NDArray[np.bool_] = rows.present & ~np.isnan(rows.values) & ((rows.status & _BAD) == 0)
    return found


def summarised(shape: Shape, rows: Rows, units: int, edges_ms: Instants) -> Figures:
    """All but DELTA, of the readings that lie between the first and the last edge."""
    buckets = len(edges_ms) - 1
    found = empty(shape, rows.fields, units, buckets)
    place = np.searchsorted(edges_ms, rows.time_ms, "right") - 1
    inside = np.flatnonzero((place >= 0) & (place < buckets))
    if not len(inside) or not rows.fields:
        return found
    counts = usable(rows)[inside]
    values = np.where(counts, rows.values[inside], np.nan)
    unit, bucket = rows.unit[inside], place[inside]
    begins = np.flatnonzero(np.append(True, (unit[1:] != unit[:-1]) | (bucket[1:] != bucket[:-1])))
    at = (unit[begins], slice(None), bucket[begins])
    count = np.add.reduceat(counts, begins, axis=0, dtype=np.int64)
    found.of(Figure.COUNT)[at] = count
    if Figure.LOW in shape.figures:
        found.of(Figure.LOW)[at] = np.fmin.reduceat(values, begins, axis=0)
        found.of(Figure.HIGH)[at] = np.fmax.reduceat(values, begins, axis=0)
        total = np.add.reduceat(np.where(counts, values, 0.0), begins, axis=0)
        found.of(Figure.TOTAL)[at] = np.where(count > 0, np.round(total, 6), np.nan)
    row = np.arange(len(inside))[:, None]
    newest = np.maximum.reduceat(np.where(counts, row, -1), begins, axis=0)
    columns = np.arange(len(rows.fields))[None, :]
    found.of(Figure.LAST)[at] = np.where(newest >= 0, values[np.maximum(newest, 0), columns], np.nan)
    if Figure.FIRST in shape.figures:
        oldest = np.minimum.reduceat(np.where(counts, row, _LARGEST), begins, axis=0)
        found.of(Figure.FIRST)[at] = np.where(
            oldest < _LARGEST, values[np.minimum(oldest, len(inside) - 1), columns], np.nan
        )
    flags = _flags(rows.status[inside], rows.present[inside])
    quality = np.bitwise_or.reduceat(flags, begins, axis=0)
    found.of(Figure.QUALITY)[at] = np.where(count > 0, quality, quality | int(QualityFlag.MISSING))
    return found


def composed(figures: Figures, begins: NDArray[np.int64]) -> Figures:
    """Wider buckets, each of the buckets from its begin to the next one's."""
    shape = figures.shape
    units, _, _, buckets = figures.data.shape
    found = empty(shape, figures.fields, units, len(begins))
    if not len(begins) or not buckets:
        return found

    def taken(values: NDArray[np.float64], how: np.ufunc) -> NDArray[np.float64]:
        reduced: NDArray[np.float64] = how.reduceat(values, begins, axis=2)
        return reduced

    count = figures.of(Figure.COUNT)
    some = count > 0
    found.of(Figure.COUNT)[...] = taken(count, np.add)
    known = found.of(Figure.COUNT) > 0
    place = np.arange(buckets, dtype=np.float64)
    newest = taken(np.where(some, place, -1.0), np.maximum).astype(np.int64)
    last = np.take_along_axis(figures.of(Figure.LAST), np.maximum(newest, 0), axis=2)
    found.of(Figure.LAST)[...] = np.where(known, last, np.nan)
    if Figure.FIRST in shape.figures:
        oldest = taken(np.where(some, place, float(buckets)), np.minimum).astype(np.int64)
        first = np.take_along_axis(figures.of(Figure.FIRST), np.minimum(oldest, buckets - 1), axis=2)
        found.of(Figure.FIRST)[...] = np.where(known, first, np.nan)
    if Figure.LOW in shape.figures:
        found.of(Figure.LOW)[...] = taken(figures.of(Figure.LOW), np.fmin)
        found.of(Figure.HIGH)[...] = taken(figures.of(Figure.HIGH), np.fmax)
        total = taken(np.nan_to_num(figures.of(Figure.TOTAL)), np.add)
        found.of(Figure.TOTAL)[...] = np.where(known, np.round(total, 6), np.nan)
    if Figure.DELTA in shape.figures:
        delta = figures.of(Figure.DELTA)
        counted = taken((~np.isnan(delta)).astype(np.float64), np.add) > 0
        found.of(Figure.DELTA)[...] = np.where(counted, taken(np.nan_to_num(delta), np.add), np.nan)
    quality = figures.of(Figure.QUALITY).astype(np.int64)
    found.of(Figure.QUALITY)[...] = np.bitwise_or.reduceat(quality, begins, axis=2)
    return found


def _flags(status: NDArray[np.uint32], present: NDArray[np.bool_]) -> NDArray[np.int64]:
    found = np.zeros(status.shape, np.int64)
    for code in np.unique(status[present & (status != 0)]).tolist():
        found[present & (status == code)] |= int(quality_flags(code))
    return found

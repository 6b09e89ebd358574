"""Buckets of many units read out of the rollups' file, in shown units; wider ones are put together from narrower."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from address_space.model.quantity import Quantity
from historian.buckets import Buckets
from historian.calendar import Days, Instants, Width, edges, local_day
from historian.errors import DamagedHistory
from historian.rollups import codec
from historian.rollups.figures import SHAPES, Figure, Figures, composed, empty
from historian.rollups.file import DAYS_A_MONTH, RollupFile
from historian.schema import field_of, measurement_of

_MONTHS = 12


def read(
    file: RollupFile,
    days: Days,
    units: Sequence[str],
    quantity: Quantity,
    span: tuple[int, int],
    width: Width,
    closed_day: int,
) -> list[Buckets]:
    """Buckets of each unit that touch the span; days from `closed_day` on are put together from hours."""
    edges_ms = edges(*span, width, days.zone)
    figures = _Reading(file, days, units, quantity, closed_day).figures(edges_ms, width)
    return buckets_of(figures, edges_ms, quantity)


class _Reading:
    """One quantity of some units."""

    def __init__(self, file: RollupFile, days: Days, units: Sequence[str], quantity: Quantity, closed_day: int) -> None:
        measurement = measurement_of(quantity)
        self._file = file
        self._days = days
        self._numbers = file.known_numbers(units)
        """Shape (units,), -1 where nothing was ever kept."""
        self._order = np.argsort(self._numbers, kind="stable")
        self._closed_day = closed_day
        self._field = field_of(quantity)
        self.shape = SHAPES[measurement] if measurement is not None else None

    def figures(self, edges_ms: Instants, width: Width) -> Figures | None:
        """Figures between the edges, shape (units, 1, figures, buckets); None where the quantity has no history."""
        if self.shape is None or len(edges_ms) < 2:
            return None
        if width is Width.MONTH:
            of_days = edges(int(edges_ms[0]), int(edges_ms[-1]), Width.DAY, self._days.zone)
            return composed(self._of_days(of_days), np.searchsorted(of_days, edges_ms[:-1]))
        if width is Width.DAY:
            return self._of_days(edges_ms)
        return self._within_days(edges_ms, width)

    def _empty(self, buckets: int) -> Figures:
        assert self.shape is not None  # noqa: S101 - asked only where it is
        return empty(self.shape, (self._field,), len(self._numbers), buckets)

    def _within_days(self, edges_ms: Instants, width: Width) -> Figures:
        found = self._empty(len(edges_ms) - 1)
        numbers = self._days.numbers(edges_ms[:-1])
        for day in np.unique(numbers).tolist():
            at = np.flatnonzero(numbers == day)
            every = self._days.edges(day, width)
            first = int(np.searchsorted(every, edges_ms[at[0]]))
            part = self._rows(width, day, len(every) - 1)
            if part is not None:
                found.data[..., at] = part.data[..., first : first + len(at)]
        return found

    def _of_days(self, edges_ms: Instants) -> Figures:
        found = self._empty(len(edges_ms) - 1)
        numbers = self._days.numbers(edges_ms[:-1])
        months, places = np.array([months_of(self._days, day) for day in numbers.tolist()], np.int64).T
        places = places - 1
        closed = numbers < self._closed_day
        for month in np.unique(months[closed]).tolist():
            at = np.flatnonzero(closed & (months == month))
            part = self._rows(Width.DAY, month, DAYS_A_MONTH)
            if part is not None:
                found.data[..., at] = part.data[..., places[at]]
        for place in np.flatnonzero(~closed).tolist():
            every = self._days.edges(int(numbers[place]), Width.HOUR)
            part = self._rows(Width.HOUR, int(numbers[place]), len(every) - 1)
            if part is not None:
                found.data[..., place] = composed(part, np.zeros(1, np.int64)).data[..., 0]
        return found

    def _rows(self, width: Width, period: int, buckets: int) -> Figures | None:
        """One field of a row of each unit; None where no unit has one."""
        assert self.shape is not None  # noqa: S101 - asked only where it is
        packed = self._file.load(width, self.shape.measurement, period, self._numbers[self._numbers >= 0])
        if not packed:
            return None
        found = self._empty(buckets)
        for group in packed:
            if self._field not in group.fields:
                continue
            try:
                part = codec.decode_field(
                    self.shape, len(group.fields), group.data, buckets, group.fields.index(self._field)
                )
            except DamagedHistory:
                self._file.damaged += [(width, period, unit) for unit in group.units.tolist()]
                continue
            at = self._order[np.searchsorted(self._numbers[self._order], group.units)]
            found.data[at] = part.data
        return found


def buckets_of(figures: Figures | None, edges_ms: Instants, quantity: Quantity) -> list[Buckets]:
    """Figures of one quantity as buckets of each unit, in its shown unit; none where it has no history."""
    if figures is None:
        return []
    units, buckets = figures.data.shape[0], len(edges_ms) - 1
    per_unit = quantity.per_unit

    def of(figure: Figure) -> NDArray[np.float64]:
        if figure not in figures.shape.figures:
            return np.full((units, buckets), np.nan)
        found: NDArray[np.float64] = figures.of(figure)[:, 0, :]
        return found

    count = of(Figure.COUNT).astype(np.int32)
    shown = {figure: of(figure) / per_unit for figure in list(Figure)[: Figure.COUNT]}
    if Figure.LOW not in figures.shape.figures:  # a register only goes on
        shown[Figure.LOW], shown[Figure.HIGH] = shown[Figure.FIRST], shown[Figure.LAST]
    mean = shown[Figure.TOTAL] / np.maximum(count, 1)
    quality = of(Figure.QUALITY).astype(np.uint16)
    return [
        Buckets(
            edges_ms[:-1],
            shown[Figure.FIRST][unit],
            shown[Figure.LAST][unit],
            shown[Figure.LOW][unit],
            shown[Figure.HIGH][unit],
            mean[unit],
            shown[Figure.DELTA][unit],
            count[unit],
            quality[unit],
        )
        for unit in range(units)
    ]


def months_of(days: Days, day: int) -> tuple[int, int]:
    """Month (since year 0) and day of the month of a local day."""
    local = local_day(days.start(day), days.zone)
    return local.year * _MONTHS + local.month - 1, local.day


def days_of_month(days: Days, month: int) -> list[int]:
    """Local days of a month."""
    first = date(month // _MONTHS, month % _MONTHS + 1, 1).toordinal() - date(1970, 1, 1).toordinal()
    return [day for day in range(first, first + DAYS_A_MONTH) if months_of(days, day)[0] == month]


def slices(day_edges: Instants, edges_ms: Instants) -> list[tuple[int, int, int]]:
    """Per day between `day_edges`: its place, and the first and last edge place of its part of `edges_ms`."""
    found: list[tuple[int, int, int]] = []
    for place, (begin, end) in enumerate(pairwise(day_edges.tolist())):
        low, high = np.searchsorted(edges_ms, (begin, end)).tolist()
        high = min(high, len(edges_ms) - 1)
        if low < high:
            found.append((place, low, high))
    return found

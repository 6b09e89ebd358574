"""Buckets computed from stored readings as the hub's rollups are, for when these cannot answer.

Readings come in pages of whole hours, each with those beside it, so that memory is bounded however long the time is.
"""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np

from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity
from historian.api import HistoryReader, Rows, Series
from historian.buckets import Buckets
from historian.calendar import Instants, Width, edges
from historian.counters import Limits, RatioChange
from historian.rollups import beside
from historian.rollups.figures import COUNTER, SHAPES, Figures, Shape, composed, empty, summarised
from historian.rollups.reading import buckets_of
from historian.rollups.repair import Around, repaired
from historian.schema import field_of, measurement_of

PAGE = 50_000
"""Readings that are looked at at once; more where a single hour has more."""
_GROWTH = 4
_ORDER = {width: place for place, width in enumerate(Width)}


class Afresh:
    """Figures of one variable. `limits` and `changes` are in base units, of counters only; `quarters` says whether the
    hub puts hours together from quarters, whose bits these then have.
    """

    def __init__(
        self,
        reader: HistoryReader,
        uid: NodeUid,
        quantity: Quantity,
        zone: ZoneInfo,
        limits: Limits,
        changes: Sequence[RatioChange] = (),
        *,
        quarters: bool = False,
        page: int = PAGE,
    ) -> None:
        self._reader = reader
        self._uid = uid
        self._quantity = quantity
        self._field = field_of(quantity)
        self._register = beside.Register(self._field, limits, changes)
        self._zone = zone
        self._limits = limits
        self._changes = {self._field: changes} if changes else {}
        self._quarters = quarters
        self._page = page

    async def buckets(self, edges_ms: Instants, width: Width) -> Buckets | None:
        """Of the buckets between edges of this width; None where the quantity has no history. Raises HistoryError."""
        measurement = measurement_of(self._quantity)
        shape = SHAPES.get(measurement) if measurement is not None else None
        if shape is None or len(edges_ms) < 2:
            return None
        span = (int(edges_ms[0]), int(edges_ms[-1]))
        finest = Width.QUARTER if self._quarters or width is Width.QUARTER else Width.HOUR
        fine = edges(*span, finest, self._zone)
        figures, begins = await self._fine(shape, fine), fine[:-1]
        for wider in (Width.HOUR, Width.DAY, Width.MONTH):
            if _ORDER[finest] < _ORDER[wider] <= _ORDER[width]:
                of_wider = edges(*span, wider, self._zone)[:-1]
                figures, begins = composed(figures, np.searchsorted(begins, of_wider)), of_wider
        (found,) = buckets_of(figures, edges_ms, self._quantity)
        return found

    async def _fine(self, shape: Shape, edges_ms: Instants) -> Figures:
        found = empty(shape, (self._field,), 1, len(edges_ms) - 1)
        place, page = 0, self._page
        while place < len(edges_ms) - 1:
            series = await self._reader.read_raw(
                self._uid, self._quantity, int(edges_ms[place]), int(edges_ms[-1]), page
            )
            high = len(edges_ms) - 1
            if series.more:
                high = int(np.searchsorted(edges_ms, int(series.time_ms[-1]), "right")) - 1
                if high == place:
                    page *= _GROWTH
                    continue
            part = await self._part(shape, _until(series, int(edges_ms[high])), edges_ms[place : high + 1])
            found.data[..., place:high] = part.data
            place, page = high, self._page
        return found

    async def _part(self, shape: Shape, series: Series, edges_ms: Instants) -> Figures:
        count = len(series.time_ms)
        rows = Rows(
            (self._field,),
            np.zeros(count, np.int64),
            series.time_ms,
            beside.base_values(series.values, self._quantity.per_unit)[:, None],
            series.status[:, None],
            np.ones((count, 1), np.bool_),
        )
        if shape is not COUNTER:
            return summarised(shape, rows, 1, edges_ms)
        register = self._register
        around = Around(
            beside.since_calm(register, await beside.before(self._reader, self._uid, register, int(edges_ms[0]))),
            beside.until_calm(register, await beside.after(self._reader, self._uid, register, int(edges_ms[-1]))),
        )
        figures, _ = repaired(0, rows, {self._field: around}, [self._limits], self._changes, edges_ms)
        return figures


def _until(series: Series, end_ms: int) -> Series:
    end = int(np.searchsorted(series.time_ms, end_ms))
    return Series(series.time_ms[:end], series.values[:end], series.status[:end])

"""What the recorder commits, as the rollups see it: which hours it touches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from historian.api import HistoryWriter, Readings, SeriesIds
from historian.calendar import Instants
from historian.rollups.marks import Numbers
from historian.schema import Measurement

_BAD = np.uint32(0x80000000)


class Opening(Protocol):
    """Readings on their way to the store."""

    def close(self, *, stored: bool) -> None:
        """They are stored, or are not."""


class Opener(Protocol):
    """Who is told of readings before and after they are stored."""

    async def numbers(self, units: Sequence[NodeUid]) -> Numbers:
        """Its numbers of units."""

    async def opening(self, units: Numbers, time_ms: Instants, counts: NDArray[np.bool_]) -> Opening:
        """Readings of units are about to be stored; `counts` says which of them have a register's usable value."""


class Tap:
    """`HistoryWriter` that hands everything on to `writer` and tells the rollups."""

    def __init__(self, writer: HistoryWriter, opener: Opener) -> None:
        self._writer = writer
        self._opener = opener
        self._numbers = np.zeros(0, np.int64)

    async def series(self, units: Sequence[NodeUid]) -> SeriesIds:
        """The writer's numbers of units."""
        ids = await self._writer.series(units)
        if len(ids):
            most = int(ids.max()) + 1
            if most > len(self._numbers):
                self._numbers = np.concatenate([self._numbers, np.zeros(most - len(self._numbers), np.int64)])
            self._numbers[ids] = await self._opener.numbers(units)
        return ids

    async def write(self, readings: Sequence[Readings]) -> None:
        """Store all or raise HistoryError."""
        units = [self._numbers[group.series] for group in readings]
        times = [group.time_ms for group in readings]
        if not units:
            return
        counts = np.concatenate([_counting(group) for group in readings])
        opening = await self._opener.opening(np.concatenate(units), np.concatenate(times), counts)
        stored = False
        try:
            await self._writer.write(readings)
            stored = True
        finally:
            opening.close(stored=stored)


def _counting(group: Readings) -> NDArray[np.bool_]:
    if group.measurement is not Measurement.ENERGY:
        return np.zeros(len(group.time_ms), np.bool_)
    found: NDArray[np.bool_] = (~np.isnan(group.values) & ((group.status & _BAD) == 0)).any(axis=1)
    return found

"""What the recorder commits, as the rollups see it: which hours it touches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from address_space.model.ids import NodeUid
from historian.api import HistoryWriter, Readings, SeriesIds
from historian.rollups.marks import MOST_SOURCES, NO_REGISTERS, Arrivals, Numbers
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

    async def opening(self, arrivals: Arrivals) -> Opening:
        """Readings of units are about to be stored."""


class Tap:
    """`HistoryWriter` that hands everything on to `writer` and tells the rollups."""

    def __init__(self, writer: HistoryWriter, opener: Opener) -> None:
        self._writer = writer
        self._opener = opener
        self._numbers = np.zeros(0, np.int64)
        self._sources: dict[tuple[str, ...], int] = {}

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
        if not readings:
            return
        parts = [self._arrivals(group) for group in readings]
        opening = await self._opener.opening(Arrivals(*map(np.concatenate, zip(*parts, strict=True))))
        stored = False
        try:
            await self._writer.write(readings)
            stored = True
        finally:
            opening.close(stored=stored)

    def _arrivals(self, group: Readings) -> Arrivals:
        units = self._numbers[group.series]
        if group.measurement is not Measurement.ENERGY:
            none = np.zeros(len(units), np.bool_)
            return Arrivals(units, group.time_ms, np.full(len(units), NO_REGISTERS, np.int64), none, none)
        if group.fields not in self._sources and len(self._sources) < MOST_SOURCES:
            self._sources[group.fields] = len(self._sources)
        source = self._sources.get(group.fields, MOST_SOURCES)
        usable = ~np.isnan(group.values) & ((group.status & _BAD) == 0)
        return Arrivals(
            units,
            group.time_ms,
            np.full(len(units), source, np.int64),
            np.asarray(usable.any(axis=1)),
            np.asarray(usable.all(axis=1)),
        )

"""One recorder, several places: every reading goes to the embedded store and to the spool alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from address_space.model.ids import NodeUid
from historian.api import HistoryWriter, Readings, SeriesIds


class Tee:
    """`HistoryWriter` to all of `writers`, in their order: what fails ends the write, and it is asked for again.

    The first should be one to which writing twice costs no room; those behind it are not reached while it fails.
    Numbers of units are the first one's.
    """

    def __init__(self, writers: Sequence[HistoryWriter]) -> None:
        self._first, *self._others = writers
        self._numbers: list[SeriesIds] = [np.zeros(0, np.int64) for _ in self._others]

    async def series(self, units: Sequence[NodeUid]) -> SeriesIds:
        """Numbers of units with the first writer."""
        ids = await self._first.series(units)
        for place, other in enumerate(self._others):
            theirs = await other.series(units)
            known = self._numbers[place]
            if len(ids) and ids.max() >= len(known):
                known = np.concatenate([known, np.full(int(ids.max()) + 1 - len(known), -1, np.int64)])
            known[ids] = theirs
            self._numbers[place] = known
        return ids

    async def write(self, readings: Sequence[Readings]) -> None:
        """Store all everywhere or raise HistoryError."""
        await self._first.write(readings)
        for numbers, other in zip(self._numbers, self._others, strict=True):
            await other.write([replace(group, series=numbers[group.series]) for group in readings])

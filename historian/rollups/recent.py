"""What registers did lately, in memory: arrays over units that have something to tell, nothing for the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from address_space.model.clock import Clock
from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity, by_path
from historian.counters import Move
from historian.rollups.anomalies import AnomalyTable, Found, Jump
from historian.rollups.file import RollupFile
from historian.rollups.options import NEWS_MS, Anomaly, UnitAnomalies
from historian.rollups.threads import FileThreads
from historian.rollups.worker import Worker
from historian.schema import field_of

_AGAIN_MS = 600_000
"""So often what is too old is left out, though nothing came."""
_QUICK_MS, _REST = 100, 30
"""A look that takes longer than so long is followed by so many times its length without one."""
_NS_PER_MS = 1_000_000


class RecentAnomalies:
    """Of each unit, as `refresh` found it last."""

    def __init__(self, files: FileThreads, worker: Worker, clock: Clock) -> None:
        self._files = files
        self._worker = worker
        self._clock = clock
        self._found: Found | None = None
        self._glitching = np.empty(0, np.int64)
        self._at_ms = self._took_ms = 0

    async def refresh(self) -> bool:
        """Take note of what was found since the last time, and say whether there may be such; raises HistoryError."""
        now_ms = self._clock.now_ns() // _NS_PER_MS
        since_ms = now_ms - self._at_ms
        if 0 <= since_ms < (self._took_ms * _REST if self._worker.anomalies_changed else _AGAIN_MS):
            return False
        began = self._clock.monotonic_ns()
        changed, self._worker.anomalies_changed = self._worker.anomalies_changed, False
        try:
            self._found, self._glitching = await self._files.read(lambda file: _look(file, now_ms - NEWS_MS))
        except BaseException:
            self._worker.anomalies_changed = True
            raise
        took_ms = (self._clock.monotonic_ns() - began) // _NS_PER_MS
        self._at_ms, self._took_ms = now_ms, took_ms if took_ms > _QUICK_MS else 0
        return changed

    def of(self, uid: NodeUid) -> UnitAnomalies | None:
        """What a unit's registers did in the last 31 days; None before the first look."""
        if self._found is None:
            return None
        found = self._found.of(self._worker.names.number(uid))
        return UnitAnomalies(found[0], anomaly(uid, found[1])) if found is not None else UnitAnomalies()

    async def glitches(self, uid: NodeUid, quantity: Quantity, span: tuple[int, int]) -> NDArray[np.int64]:
        """When readings of a register in [start, end) were glitches, ascending; raises HistoryError."""
        number = self._worker.names.number(uid)
        place = int(np.searchsorted(self._glitching, number))
        if place == len(self._glitching) or int(self._glitching[place]) != number:
            return np.empty(0, np.int64)
        return await self._files.read(lambda file: AnomalyTable(file).glitches(number, field_of(quantity), span))


def anomaly(uid: NodeUid, jump: Jump) -> Anomaly | None:
    """In the shown unit; None of a quantity that there is no more."""
    quantity = by_path(jump.field)
    if quantity is None:
        return None
    per_unit = quantity.per_unit
    booked = jump.booked / per_unit if jump.booked is not None else None
    return Anomaly(uid, quantity, jump.time_ms, Move(jump.move), jump.before / per_unit, jump.value / per_unit, booked)


def _look(file: RollupFile, since_ms: int) -> tuple[Found, NDArray[np.int64]]:
    table = AnomalyTable(file)
    return table.found_since(since_ms), table.glitching()

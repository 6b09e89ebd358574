"""Stored readings with the judgement that was passed on them: what is stored is never written over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from address_space.model.quantity import Kind, Quantity
from historian.api import HistoryReader, Latest, Sample, Series

GLITCH_STATUS = 0x4093_0000
"""UncertainSensorNotAccurate: of a register's reading that follows nothing and is followed by nothing."""
_SEVERITY = np.uint32(0xC000_0000)


class Judge(Protocol):
    """Who knows which readings were glitches."""

    async def glitches(self, uid: NodeUid, quantity: Quantity, span: tuple[int, int]) -> NDArray[np.int64]:
        """Times of a register's glitches in [start, end), ascending."""


class JudgedReader:
    """`HistoryReader` of another's readings, in which glitches are not Good."""

    def __init__(self, reader: HistoryReader, judge: Judge) -> None:
        self._reader = reader
        self._judge = judge

    async def read_raw(
        self, point: NodeUid, quantity: Quantity, start_ms: int, end_ms: int, limit: int, *, newest_first: bool = False
    ) -> Series:
        """As stored; raises HistoryError."""
        found = await self._reader.read_raw(point, quantity, start_ms, end_ms, limit, newest_first=newest_first)
        if quantity.kind is not Kind.COUNTER or not len(found.time_ms):
            return found
        span = (int(found.time_ms.min()), int(found.time_ms.max()) + 1)
        glitches = await self._judge.glitches(point, quantity, span)
        if not len(glitches):
            return found
        judged = np.isin(found.time_ms, glitches) & ((found.status & _SEVERITY) == 0)
        return replace(found, status=np.where(judged, np.uint32(GLITCH_STATUS), found.status))

    async def value_before(self, point: NodeUid, quantity: Quantity, time_ms: int) -> Sample | None:
        """The newest stored value at or before a time."""
        return await self._judged(point, quantity, await self._reader.value_before(point, quantity, time_ms))

    async def value_after(self, point: NodeUid, quantity: Quantity, time_ms: int) -> Sample | None:
        """The oldest stored value at or after a time."""
        return await self._judged(point, quantity, await self._reader.value_after(point, quantity, time_ms))

    async def bounds(self, point: NodeUid, quantity: Quantity) -> tuple[int, int] | None:
        """First and last stored time in ms, or None where nothing is stored."""
        return await self._reader.bounds(point, quantity)

    async def latest(self, units: Sequence[NodeUid], quantities: Sequence[Quantity]) -> Latest:
        """The newest values, as they were stored: nothing follows them yet that could judge them."""
        return await self._reader.latest(units, quantities)

    async def _judged(self, point: NodeUid, quantity: Quantity, sample: Sample | None) -> Sample | None:
        if sample is None or quantity.kind is not Kind.COUNTER or sample.status & int(_SEVERITY):
            return sample
        glitches = await self._judge.glitches(point, quantity, (sample.time_ms, sample.time_ms + 1))
        return sample._replace(status=GLITCH_STATUS) if len(glitches) else sample

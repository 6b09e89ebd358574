"""History as rows: the values of several quantities of one unit in the order of time, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity
from historian.api import HistoryReader, Series
from server.opcua.client import status_name

CHUNK = 20_000
"""Values of one quantity that are fetched at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Rows in the order of time, shape (n,) each; `which` is the place in `quantities`. Values in shown units."""

    unit: NodeUid
    quantities: tuple[Quantity, ...]
    time_ms: NDArray[np.int64]
    which: NDArray[np.int64]
    values: NDArray[np.float64]
    status: NDArray[np.uint32]


def status_word(code: int) -> str:
    """A status code as files have it: its name where that says all of it, else its number."""
    return status_name(code) if not code & 0xFFFF else f"0x{code:08X}"


class _Cursor:
    """One quantity on its way: what was fetched and not given out yet."""

    def __init__(self, reader: HistoryReader, unit: NodeUid, quantity: Quantity, start_ms: int, end_ms: int) -> None:
        self._reader = reader
        self._unit = unit
        self._quantity = quantity
        self._next_ms = start_ms
        self._end_ms = end_ms
        self._series = Series(np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint32), more=True)
        self._at = 0

    @property
    def more(self) -> bool:
        return self._series.more

    @property
    def last_ms(self) -> int:
        return int(self._series.time_ms[-1])

    async def fill(self, chunk: int) -> None:
        """Fetch on where all was given out."""
        if self._at < len(self._series.time_ms) or not self._series.more:
            return
        self._series = await self._reader.read_raw(self._unit, self._quantity, self._next_ms, self._end_ms, chunk)
        self._at = 0
        if len(self._series.time_ms):
            self._next_ms = self.last_ms + 1

    def take(self, until_ms: int) -> Series:
        """What is there up to a time, which counts."""
        end = int(np.searchsorted(self._series.time_ms, until_ms, "right"))
        part, self._at = slice(self._at, end), end
        return Series(self._series.time_ms[part], self._series.values[part], self._series.status[part])


async def pages(
    reader: HistoryReader,
    unit: NodeUid,
    quantities: Sequence[Quantity],
    start_ms: int,
    end_ms: int,
    chunk: int = CHUNK,
) -> AsyncIterator[Page]:
    """All that is stored in [start_ms, end_ms); memory is bounded by `chunk` values of each quantity."""
    cursors = [_Cursor(reader, unit, quantity, start_ms, end_ms) for quantity in quantities]
    more = True
    while more:
        for cursor in cursors:
            await cursor.fill(chunk)
        horizons = [cursor.last_ms for cursor in cursors if cursor.more]
        more = bool(horizons)
        parts = [cursor.take(min(horizons) if horizons else end_ms) for cursor in cursors]
        time_ms = np.concatenate([part.time_ms for part in parts])
        if not len(time_ms):
            continue
        which = np.repeat(np.arange(len(parts)), [len(part.time_ms) for part in parts])
        order = np.lexsort((which, time_ms))
        values = np.concatenate([part.values for part in parts])
        status = np.concatenate([part.status for part in parts])
        yield Page(unit, tuple(quantities), time_ms[order], which[order], values[order], status[order])

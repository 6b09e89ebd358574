"""Consumption from rollups, where they say the same as the readings."""

from __future__ import annotations

import numpy as np

from historian.aggregates import Aggregate, Intervals, Processed
from historian.api import RollupReader
from historian.calendar import Width
from historian.schema import QualityFlag
from server.opcua.history_variable import NS_PER_MS, Variable

_CALCULATED = 0x401
_MOST_MS = {Width.QUARTER: 900_000, Width.HOUR: 3_600_000, Width.DAY: 25 * 3_600_000, Width.MONTH: 32 * 86_400_000}


class RolledUp:
    """`Rollups` of HistoryRead: DeltaBounds of counters over intervals that are buckets.

    What is uncertain in any way is left to the readings, so that it does not matter which of both answers.
    """

    def __init__(self, rollups: RollupReader, widths: tuple[Width, ...]) -> None:
        self._rollups = rollups
        self._widths = widths

    async def processed(self, aggregate: Aggregate, variable: Variable, spans: Intervals) -> Processed | None:
        """What each bucket has counted; None where the readings must be asked."""
        if aggregate is not Aggregate.DELTA_BOUNDS or variable.counting is None or spans.cut >= 0:
            return None
        edges_ms, rest = np.divmod(spans.edges_ns, NS_PER_MS)
        width = self._width(edges_ms)
        if width is None or rest.any():
            return None
        begin, end, more = int(edges_ms[0]), int(edges_ms[-1]), _MOST_MS[width]
        if not await self._rollups.settled([variable.uid], begin - more, end + more):
            return None
        found = await self._rollups.buckets(variable.uid, variable.quantity, begin - more, end + more, width)
        first = int(np.searchsorted(found.start_ms, begin))
        last = first + len(spans)
        if first == 0 or last >= len(found.start_ms) or (found.start_ms[first : last + 1] != edges_ms).any():
            return None
        inside = slice(first, last)
        marked = found.quality[inside] & ~np.uint16(QualityFlag.ROLLOVER)
        # A reading on each side: so there is consumption from edge to edge.
        known = found.count[first - 1] > 0 and found.count[last] > 0 and not np.isnan(found.delta[inside]).any()
        if marked.any() or not known:
            return None
        return Processed(spans.start_ns, found.delta[inside], np.full(len(spans), _CALCULATED, np.uint32))

    def _width(self, edges_ms: np.ndarray) -> Width | None:
        """The narrowest buckets that are as long as the intervals."""
        longest = int(np.diff(edges_ms).max())
        return next((width for width in self._widths if longest <= _MOST_MS[width]), None)

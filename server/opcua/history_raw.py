"""HistoryRead of stored values (OPC 10000-11 6.5.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from asyncua import ua

from address_space.model.clock import from_datetime
from historian.api import HistoryReader, Series
from server.opcua.history_moments import NULL_TIMES_NS
from server.opcua.history_source import Source
from server.opcua.history_variable import EMPTY, FOREVER_MS, NS_PER_MS, Answer, Variable

_LAST_MS = 9_000_000_000_000
"""Nanoseconds of later times do not fit 64 bits."""
_BOUND_MISSING = int(ua.StatusCodes.BadBoundNotFound)


@dataclass(frozen=True, slots=True)
class RawAsk:
    """What is still to be returned of one node: times in [low_ms, high_ms), at most `left` values (None: all).

    first_bound_ms, last_bound_ms  where the bounds in the order of time are looked for; None where none are wanted
    """

    variable: Variable
    low_ms: int
    high_ms: int
    reverse: bool
    left: int | None
    first_bound_ms: int | None = None
    last_bound_ms: int | None = None

    async def page(self, source: Source, most: int) -> Answer:
        """At most `most` values and the bounds."""
        reader = source.reader
        room = most if self.left is None else min(self.left, most)
        parts: list[Series] = []
        if self.first_bound_ms is not None:
            parts.append(await self._bound(reader, self.first_bound_ms, first=True))
            room -= len(parts[0].values)
        series = await self._values(reader, room)
        parts.append(series)
        left = None if self.left is None else self.left - sum(len(part.values) for part in parts)
        following: RawAsk | None = None
        if series.more and (left is None or left > 0 or self.last_bound_ms is not None or self._closed):
            following = self._after(int(series.time_ms[-1]) if len(series.time_ms) else None, left)
        elif self.last_bound_ms is not None and (left is None or left > 0):
            parts.append(await self._bound(reader, self.last_bound_ms, first=False))
        whole = _joined(parts)
        return Answer(
            0 if len(whole.values) else int(ua.StatusCodes.GoodNoData),
            int(self.variable.quantity.value.data_type),
            whole.time_ms * NS_PER_MS,
            whole.values,
            whole.status,
            following,
        )

    async def _values(self, reader: HistoryReader, room: int) -> Series:
        if self.low_ms >= self.high_ms:
            return EMPTY
        found = await reader.read_raw(
            self.variable.uid,
            self.variable.quantity,
            self.low_ms,
            self.high_ms,
            max(room, 1),
            newest_first=self.reverse,
        )
        return found if room > 0 else replace(EMPTY, more=len(found.values) > 0)

    async def _bound(self, reader: HistoryReader, at_ms: int, *, first: bool) -> Series:
        """The value next to the interval on one side; BadBoundNotFound at its edge where there is none."""
        backward = first != self.reverse
        low, high = (-FOREVER_MS, at_ms + 1) if backward else (at_ms, FOREVER_MS)
        found = await reader.read_raw(self.variable.uid, self.variable.quantity, low, high, 1, newest_first=backward)
        if len(found.values):
            return replace(found, more=False)
        edge = min(max(at_ms, -_LAST_MS), _LAST_MS)
        return Series(np.array([edge]), np.array([np.nan]), np.array([_BOUND_MISSING], np.uint32))

    @property
    def _closed(self) -> bool:
        """Whether both ends of the interval were given, so that a limit cuts it instead of making it."""
        return self.low_ms > -FOREVER_MS and self.high_ms < FOREVER_MS

    def _after(self, last_ms: int | None, left: int | None) -> RawAsk | None:
        """What is left behind `last_ms`. The limit holds per call where both ends were given."""
        if left is not None and left <= 0 and not self._closed:
            return None
        rest = replace(self, first_bound_ms=None, left=self.left if self._closed else left)
        if last_ms is None:
            return rest
        return replace(rest, high_ms=last_ms) if self.reverse else replace(rest, low_ms=last_ms + 1)


def raw_ask(variable: Variable, details: Any) -> RawAsk | int:
    """The interval in the order asked for (6.5.3.2); start is part of it and end is not."""
    start, end = _moment(details.StartTime), _moment(details.EndTime)
    most = int(details.NumValuesPerNode) or None
    bounds = bool(details.ReturnBounds)
    if (start is None) + (end is None) + (most is None) > 1:
        return int(ua.StatusCodes.BadHistoryOperationInvalid)
    if start is None and end is not None:
        edge = end // NS_PER_MS
        return _bounded(RawAsk(variable, -FOREVER_MS, edge + 1, reverse=True, left=most), edge, None, bounds=bounds)
    if end is None and start is not None:
        edge = -(-start // NS_PER_MS)
        return _bounded(RawAsk(variable, edge, FOREVER_MS, reverse=False, left=most), edge, None, bounds=bounds)
    if start is None or end is None:
        return int(ua.StatusCodes.BadHistoryOperationInvalid)
    if start <= end:
        low, high = -(-start // NS_PER_MS), -(-end // NS_PER_MS)
        ask = RawAsk(variable, low, high + (1 if start == end else 0), reverse=False, left=most)
        return _bounded(ask, low, None if start == end else high, bounds=bounds)
    high, low = start // NS_PER_MS, end // NS_PER_MS
    return _bounded(RawAsk(variable, low + 1, high + 1, reverse=True, left=most), high, low, bounds=bounds)


def _bounded(ask: RawAsk, first_ms: int, last_ms: int | None, *, bounds: bool) -> RawAsk:
    """With bounds, a value at the edge itself is the bound and must not come twice."""
    if not bounds:
        return ask
    if ask.reverse:
        return replace(ask, high_ms=min(ask.high_ms, first_ms), first_bound_ms=first_ms, last_bound_ms=last_ms)
    return replace(ask, low_ms=max(ask.low_ms, first_ms + 1), first_bound_ms=first_ms, last_bound_ms=last_ms)


def _joined(parts: list[Series]) -> Series:
    if len(parts) == 1:
        return parts[0]
    return Series(
        np.concatenate([part.time_ms for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.status for part in parts]).astype(np.uint32),
    )


def _moment(moment: Any) -> int | None:
    """Nanoseconds, as far off as they may be; None where none was given."""
    if moment is None:
        return None
    ns = from_datetime(moment)
    return None if ns <= NULL_TIMES_NS else ns

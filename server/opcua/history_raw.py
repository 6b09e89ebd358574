"""HistoryRead of stored values (OPC 10000-11 6.5.3), with bounds as 4.6 wants them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from asyncua import ua

from address_space.model.clock import from_datetime
from address_space.model.value import Instants
from historian.api import HistoryReader, Series
from server.opcua.history_moments import NULL_TIMES_NS
from server.opcua.history_source import Source
from server.opcua.history_variable import EMPTY, FOREVER_MS, NS_PER_MS, Answer, Variable

_LAST_NS = 9_000_000_000_000 * NS_PER_MS
"""Later times do not fit 64 bits."""
_BOUND_MISSING = int(ua.StatusCodes.BadBoundNotFound)
_NO_DATA = int(ua.StatusCodes.GoodNoData)
_BEYOND_NS = 1_000_000_000
"""How far behind the last value told a bound is missing where no end was given (4.6, Table 1)."""

Part = tuple[Instants, Series]
"""Values with their exact times."""


@dataclass(frozen=True, slots=True)
class RawAsk:
    """What is still to be returned of one node: values of [low_ms, high_ms), and bounds where they are wanted.

    most      values a page, bounds included; None: all. Where an end is open it is what is left altogether
    first_ns  where the first bound in the order of time told is looked for, None where it is not wanted
    last_ns   the same of the last one
    told_ns   the last time told, where bounds are wanted
    """

    variable: Variable
    low_ms: int
    high_ms: int
    reverse: bool
    most: int | None
    first_ns: int | None = None
    last_ns: int | None = None
    told_ns: int | None = None

    async def page(self, source: Source, most: int) -> Answer:
        """At most `most` values and bounds."""
        reader = source.reader
        whole = most if self.most is None else min(self.most, most)
        room = whole
        parts: list[Part] = []
        if self.first_ns is not None:
            parts.append(await self._bound(reader, self.first_ns, backward=not self.reverse))
            room -= 1
        series = await self._values(reader, room)
        room -= len(series.values)
        parts.append((series.time_ms * NS_PER_MS, series))
        following: RawAsk | None = None
        if series.more:
            following = self._after(parts, whole - room)
        elif self.last_ns is not None and room > 0:
            parts.append(await self._bound(reader, self.last_ns, backward=self.reverse))
        elif self.last_ns is not None:
            following = replace(self, low_ms=self.high_ms, first_ns=None)
        elif self.told_ns is not None and room > 0:
            beyond_ns = -_BEYOND_NS if self.reverse else _BEYOND_NS
            parts.append(_missing(_last_of(parts, self.told_ns) + beyond_ns))
        elif self.told_ns is not None:
            following = self._after(parts, whole)
        return self._told(parts, following)

    def _told(self, parts: list[Part], following: RawAsk | None) -> Answer:
        kind = int(self.variable.quantity.value.data_type)
        if len(parts) == 1:
            ((times, only),) = parts
            return Answer(0 if len(times) else _NO_DATA, kind, times, only.values, only.status, following)
        return Answer(
            0,
            kind,
            np.concatenate([times for times, _ in parts]),
            np.concatenate([series.values for _, series in parts]),
            np.concatenate([series.status for _, series in parts]).astype(np.uint32),
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

    async def _bound(self, reader: HistoryReader, at_ns: int, *, backward: bool) -> Part:
        """The value at a time, or the nearest one before it or behind it; BadBoundNotFound there if there is none."""
        edge_ms = at_ns // NS_PER_MS if backward else -(-at_ns // NS_PER_MS)
        low, high = (-FOREVER_MS, edge_ms + 1) if backward else (edge_ms, FOREVER_MS)
        found = await reader.read_raw(self.variable.uid, self.variable.quantity, low, high, 1, newest_first=backward)
        return (found.time_ms * NS_PER_MS, found) if len(found.values) else _missing(at_ns)

    @property
    def _closed(self) -> bool:
        """Whether both ends of the interval were given, so that a limit cuts it instead of making it."""
        return self.low_ms > -FOREVER_MS and self.high_ms < FOREVER_MS

    def _after(self, parts: list[Part], told: int) -> RawAsk | None:
        """What is left behind a page of `told` values. The limit holds per call where both ends were given."""
        left = self.most if self._closed or self.most is None else self.most - told
        if left is not None and left <= 0:
            return None
        told_ns = None if self.told_ns is None else _last_of(parts, self.told_ns)
        rest = replace(self, first_ns=None, most=left, told_ns=told_ns)
        series = parts[-1][1]
        if not len(series.time_ms):
            return rest
        last_ms = int(series.time_ms[-1])
        return replace(rest, high_ms=last_ms) if self.reverse else replace(rest, low_ms=last_ms + 1)


def raw_ask(variable: Variable, details: Any) -> RawAsk | int:
    """The interval in the order asked for (6.5.3.2); start is part of it and end is not."""
    start, end = _moment(details.StartTime), _moment(details.EndTime)
    most = int(details.NumValuesPerNode) or None
    if (start is None) + (end is None) + (most is None) > 1:
        return int(ua.StatusCodes.BadHistoryOperationInvalid)
    bounds = bool(details.ReturnBounds)
    if start is None:
        assert end is not None  # noqa: S101  # two of the three are given
        return _backward(variable, end, None, most, bounds=bounds)
    if end is not None and end < start:
        return _backward(variable, start, end, most, bounds=bounds)
    return _forward(variable, start, end, most, bounds=bounds)


def _forward(variable: Variable, start: int, end: int | None, most: int | None, *, bounds: bool) -> RawAsk:
    low = -(-start // NS_PER_MS)
    high = FOREVER_MS if end is None else -(-end // NS_PER_MS)
    if end == start:
        high = start // NS_PER_MS + 1
    if not bounds:
        return RawAsk(variable, low, high, reverse=False, most=most)
    # What is stored at the start is the bound and must not come twice; where start is end, the next value is the other.
    inner = start // NS_PER_MS + 1
    last = end + 1 if end == start else end
    return RawAsk(
        variable, inner, max(high, inner), reverse=False, most=most, first_ns=start, last_ns=last, told_ns=start
    )


def _backward(variable: Variable, start: int, end: int | None, most: int | None, *, bounds: bool) -> RawAsk:
    low = -FOREVER_MS if end is None else end // NS_PER_MS + 1
    if not bounds:
        return RawAsk(variable, low, start // NS_PER_MS + 1, reverse=True, most=most)
    inner = -(-start // NS_PER_MS)
    return RawAsk(variable, low, max(inner, low), reverse=True, most=most, first_ns=start, last_ns=end, told_ns=start)


def _last_of(parts: list[Part], otherwise_ns: int) -> int:
    return next((int(times[-1]) for times, _ in reversed(parts) if len(times)), otherwise_ns)


def _missing(at_ns: int) -> Part:
    time_ns = np.array([min(max(at_ns, -_LAST_NS), _LAST_NS)], np.int64)
    return time_ns, Series(time_ns // NS_PER_MS, np.array([np.nan]), np.array([_BOUND_MISSING], np.uint32))


def _moment(moment: Any) -> int | None:
    """Nanoseconds, as far off as they may be; None where none was given."""
    if moment is None:
        return None
    ns = from_datetime(moment)
    return None if ns <= NULL_TIMES_NS else ns

"""HistoryRead of raw values (Part 11 6.5.3) over whatever store keeps them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from struct import Struct
from typing import TYPE_CHECKING, Any

import numpy as np
from asyncua import ua

from address_space.model.clock import from_datetime
from address_space.model.ids import NodeUid
from address_space.model.quantity import DataType, Quantity
from address_space.nodes.fast import PLANT_NAMESPACE, Resolve
from address_space.nodes.wire import Columns, Timestamps, encode
from historian.api import HistoryReader, Series
from server.opcua.access import Right, SessionPolicy
from server.opcua.request import Request, fault

if TYPE_CHECKING:
    from datetime import datetime

    from address_space.model.plant import Plant
    from address_space.nodes import VirtualAddressSpace
    from server.opcua.options import Limits
    from server.opcua.session import HubSession

_I32 = Struct("<i")
_U32 = Struct("<I")
_EXTENSION = Struct("<BBHBi")
_HISTORY_DATA = ua.ObjectIds.HistoryData_Encoding_DefaultBinary
_NULL_EXTENSION = b"\0\0\0"
_NS_PER_MS = 1_000_000
_FOREVER_MS = 1 << 52
_LAST_MS = 9_000_000_000_000
"""Nanoseconds of later times do not fit 64 bits."""
_GOOD = 0
_BOUND_MISSING = int(ua.StatusCodes.BadBoundNotFound)
_VALUES_PER_CALL = 100_000
_FEWEST_PER_NODE = 1_000
_NULL_TIMES_NS = -11_644_473_600 * 1_000_000_000
"""1601-01-01, which is how a null DateTime arrives."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is still to be returned of one node: times in [low_ms, high_ms), at most `left` values (None: all).

    before_ms, after_ms  where the bounds in the order of time are looked for; None where none are wanted
    """

    uid: NodeUid
    quantity: Quantity
    low_ms: int
    high_ms: int
    reverse: bool
    left: int | None
    first_bound_ms: int | None = None
    last_bound_ms: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Values of one node, or the status that says why there are none."""

    status: int
    series: Series | None = None
    following: Ask | None = None


class HistoryService:
    """Answers HistoryRead as bytes."""

    def __init__(
        self,
        plant: Plant,
        resolve: Resolve,
        aspace: VirtualAddressSpace,
        reader: HistoryReader | None,
        policy: SessionPolicy,
        limits: Limits,
    ) -> None:
        self._plant = plant
        self._resolve = resolve
        self._aspace = aspace
        self._reader = reader
        self._policy = policy
        self._limits = limits

    async def read(self, request: Request) -> bytes:
        """Results and diagnostics of a HistoryReadRequest, behind the response header."""
        session = request.owner
        asked = request.decode(ua.HistoryReadParameters)
        nodes = asked.NodesToRead
        if not nodes:
            raise fault(ua.StatusCodes.BadNothingToDo)
        if len(nodes) > self._limits.nodes_per_history_read:
            raise fault(ua.StatusCodes.BadTooManyOperations)
        if not self._policy.may(session.user, Right.HISTORY):
            raise fault(ua.StatusCodes.BadUserAccessDenied)
        if asked.ReleaseContinuationPoints:
            return _results([_release(session, node.ContinuationPoint) for node in nodes])
        timestamps = Timestamps(int(asked.TimestampsToReturn))
        if timestamps is Timestamps.NEITHER:
            raise fault(ua.StatusCodes.BadTimestampsToReturnInvalid)
        details = asked.HistoryReadDetails
        if not isinstance(details, ua.HistoryReadDetails):
            raise fault(ua.StatusCodes.BadHistoryOperationInvalid)
        most = min(self._limits.history_values, max(_VALUES_PER_CALL // len(nodes), _FEWEST_PER_NODE))
        written = []
        for node in nodes:
            ask = self._ask(session, node, details)
            found = Found(ask) if isinstance(ask, int) else await self._read(ask, most)
            point = session.history_points.keep(found.following) if found.following is not None else None
            written.append(_result(found, point, timestamps, ask))
        return _results(written)

    def _ask(self, session: HubSession, node: Any, details: Any) -> Ask | int:
        """What one node is asked for, or the status that refuses it."""
        if node.ContinuationPoint:
            continued: Ask | None = session.history_points.take(node.ContinuationPoint)
            if continued is None or continued.uid != _uid(node.NodeId):
                return int(ua.StatusCodes.BadContinuationPointInvalid)
            return continued
        where = self._historised(session, node.NodeId)
        if isinstance(where, int):
            return where
        if node.IndexRange:
            return int(ua.StatusCodes.BadIndexRangeNoData)
        if node.DataEncoding is not None and node.DataEncoding.Name not in (None, "", "Default Binary"):
            return int(ua.StatusCodes.BadDataEncodingUnsupported)
        if not isinstance(details, ua.ReadRawModifiedDetails) or details.IsReadModified:
            return int(ua.StatusCodes.BadHistoryOperationUnsupported)
        return _interval(*where, details)

    def _historised(self, session: HubSession, node: ua.NodeId) -> tuple[NodeUid, Quantity] | int:
        if node.NamespaceIndex == PLANT_NAMESPACE and isinstance(node.Identifier, str):
            handle = self._resolve(node.Identifier)
            if handle >= 0 and self._policy.sees(session.user, [handle]):
                unit, offset = self._plant.locate(handle)  # type: ignore[arg-type]
                template = self._plant.units[unit].template
                kept = offset < template.measured and template.points[offset].record
                quantity = template.quantities[offset]
                if not kept or self._reader is None or quantity.value.data_type in _TEXTS:
                    return int(ua.StatusCodes.BadHistoryOperationUnsupported)
                return self._plant.units[unit].id, quantity
            if handle >= 0:
                return int(ua.StatusCodes.BadNodeIdUnknown)
        known = node in self._aspace
        return int(ua.StatusCodes.BadHistoryOperationUnsupported if known else ua.StatusCodes.BadNodeIdUnknown)

    async def _read(self, ask: Ask, most: int) -> Found:
        assert self._reader is not None  # noqa: S101  # _historised refuses without one
        room = most if ask.left is None else min(ask.left, most)
        parts: list[Series] = []
        if ask.first_bound_ms is not None:
            parts.append(await self._bound(ask, ask.first_bound_ms, first=True))
            room -= len(parts[0].values)
        series = await self._values(ask, room)
        parts.append(series)
        left = None if ask.left is None else ask.left - sum(len(part.values) for part in parts)
        following: Ask | None = None
        if series.more and (left is None or left > 0 or ask.last_bound_ms is not None or _closed(ask)):
            following = _after(ask, int(series.time_ms[-1]) if len(series.time_ms) else None, left)
        elif ask.last_bound_ms is not None and (left is None or left > 0):
            parts.append(await self._bound(ask, ask.last_bound_ms, first=False))
        whole = _joined(parts)
        return Found(_GOOD if len(whole.values) else int(ua.StatusCodes.GoodNoData), whole, following)

    async def _values(self, ask: Ask, room: int) -> Series:
        assert self._reader is not None  # noqa: S101
        if ask.low_ms >= ask.high_ms:
            return _EMPTY
        if room <= 0:
            probe = await self._reader.read_raw(
                ask.uid, ask.quantity, ask.low_ms, ask.high_ms, 1, newest_first=ask.reverse
            )
            return replace(_EMPTY, more=len(probe.values) > 0)
        return await self._reader.read_raw(
            ask.uid, ask.quantity, ask.low_ms, ask.high_ms, room, newest_first=ask.reverse
        )

    async def _bound(self, ask: Ask, at_ms: int, *, first: bool) -> Series:
        """The value next to the interval on one side; BadBoundNotFound at its edge where there is none."""
        assert self._reader is not None  # noqa: S101
        backward = first != ask.reverse
        low, high = (-_FOREVER_MS, at_ms + 1) if backward else (at_ms, _FOREVER_MS)
        found = await self._reader.read_raw(ask.uid, ask.quantity, low, high, 1, newest_first=backward)
        if len(found.values):
            return replace(found, more=False)
        edge = min(max(at_ms, -_LAST_MS), _LAST_MS)
        return Series(np.array([edge]), np.array([np.nan]), np.array([_BOUND_MISSING], np.uint32))


_TEXTS = (DataType.STRING, DataType.LOCALIZED_TEXT)
_EMPTY = Series(np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint32))


def _interval(uid: NodeUid, quantity: Quantity, details: Any) -> Ask | int:
    """The interval in the order asked for (Part 11 6.5.3.2); start is part of it and end is not."""
    start, end = _moment(details.StartTime), _moment(details.EndTime)
    most = int(details.NumValuesPerNode) or None
    bounds = bool(details.ReturnBounds)
    if (start is None) + (end is None) + (most is None) > 1:
        return int(ua.StatusCodes.BadHistoryOperationInvalid)
    if start is None and end is not None:
        edge = end // _NS_PER_MS
        return _bounded(Ask(uid, quantity, -_FOREVER_MS, edge + 1, reverse=True, left=most), edge, None, bounds=bounds)
    if end is None and start is not None:
        edge = -(-start // _NS_PER_MS)
        return _bounded(Ask(uid, quantity, edge, _FOREVER_MS, reverse=False, left=most), edge, None, bounds=bounds)
    if start is None or end is None:
        return int(ua.StatusCodes.BadHistoryOperationInvalid)
    if start <= end:
        low, high = -(-start // _NS_PER_MS), -(-end // _NS_PER_MS)
        ask = Ask(uid, quantity, low, high + (1 if start == end else 0), reverse=False, left=most)
        return _bounded(ask, low, None if start == end else high, bounds=bounds)
    high, low = start // _NS_PER_MS, end // _NS_PER_MS
    return _bounded(Ask(uid, quantity, low + 1, high + 1, reverse=True, left=most), high, low, bounds=bounds)


def _bounded(ask: Ask, first_ms: int, last_ms: int | None, *, bounds: bool) -> Ask:
    """With bounds, a value at the edge itself is the bound and must not come twice."""
    if not bounds:
        return ask
    if ask.reverse:
        return replace(ask, high_ms=min(ask.high_ms, first_ms), first_bound_ms=first_ms, last_bound_ms=last_ms)
    return replace(ask, low_ms=max(ask.low_ms, first_ms + 1), first_bound_ms=first_ms, last_bound_ms=last_ms)


def _closed(ask: Ask) -> bool:
    """Whether both ends of the interval were given, so that a limit cuts it instead of making it."""
    return ask.low_ms > -_FOREVER_MS and ask.high_ms < _FOREVER_MS


def _after(ask: Ask, last_ms: int | None, left: int | None) -> Ask | None:
    """What is left behind `last_ms`. The limit holds per call where both ends were given."""
    if left is not None and left <= 0 and not _closed(ask):
        return None
    rest = replace(ask, first_bound_ms=None, left=ask.left if _closed(ask) else left)
    if last_ms is None:
        return rest
    return replace(rest, high_ms=last_ms) if ask.reverse else replace(rest, low_ms=last_ms + 1)


def _joined(parts: list[Series]) -> Series:
    if len(parts) == 1:
        return parts[0]
    return Series(
        np.concatenate([part.time_ms for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.status for part in parts]).astype(np.uint32),
    )


def _moment(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    ns = from_datetime(moment)
    return None if ns <= _NULL_TIMES_NS else ns


def _uid(node: ua.NodeId) -> str:
    return node.Identifier.partition(".")[0] if isinstance(node.Identifier, str) else ""


def _release(session: HubSession, point: bytes | None) -> bytes:
    known = session.history_points.take(point or b"") is not None
    code = _GOOD if known else int(ua.StatusCodes.BadContinuationPointInvalid)
    return _U32.pack(code) + _I32.pack(-1) + _NULL_EXTENSION


def _result(found: Found, point: bytes | None, timestamps: Timestamps, ask: Ask | int) -> bytes:
    head = _U32.pack(found.status) + (_I32.pack(-1) if point is None else _I32.pack(len(point)) + point)
    if found.series is None or isinstance(ask, int):
        return head + _NULL_EXTENSION
    series = found.series
    count = len(series.values)
    times = series.time_ms * _NS_PER_MS
    types = np.full(count, ask.quantity.value.data_type, np.uint8)
    values = encode(Columns(types, series.values, series.status, times, times, {}), timestamps).buffer
    body = _I32.pack(count) + values
    return head + _EXTENSION.pack(1, 0, _HISTORY_DATA, 1, len(body)) + body


def _results(written: list[bytes]) -> bytes:
    return b"".join((_I32.pack(len(written)), *written, _I32.pack(0)))

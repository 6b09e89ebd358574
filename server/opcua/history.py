"""HistoryRead (OPC 10000-11 6.5) over whatever store keeps the values."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

import numpy as np
from asyncua import ua

from address_space.model.quantity import DataType
from address_space.nodes.fast import PLANT_NAMESPACE, Resolve
from address_space.nodes.wire import Columns, Timestamps, encode
from historian.api import HistoryReader
from historian.errors import HistoryError
from historian.rollups.limits import Changes, Ratings, unchanged
from server.opcua.access import Right, SessionPolicy
from server.opcua.errors import TooMuchHistory
from server.opcua.event_items import Viewer
from server.opcua.history_at_time import AtTimeAsk, at_times
from server.opcua.history_events import EventAsk, EventHistory, EventPage, event_ask
from server.opcua.history_processed import Processing
from server.opcua.history_raw import raw_ask
from server.opcua.history_source import Ask, Rollups, Source
from server.opcua.history_variable import Answer, Variable
from server.opcua.request import Request, fault

if TYPE_CHECKING:
    from address_space.model.plant import Plant
    from address_space.nodes import VirtualAddressSpace
    from server.opcua.options import Limits
    from server.opcua.session import HubSession

_I32 = Struct("<i")
_U32 = Struct("<I")
_EXTENSION = Struct("<BBHBi")
_HISTORY_DATA = ua.ObjectIds.HistoryData_Encoding_DefaultBinary
_MODIFIED_DATA = ua.ObjectIds.HistoryModifiedData_Encoding_DefaultBinary
_HISTORY_EVENT = ua.ObjectIds.HistoryEvent_Encoding_DefaultBinary
_NULL_EXTENSION = b"\0\0\0"
_VALUES_PER_CALL = 100_000
_FEWEST_PER_NODE = 1_000
_TEXTS = (DataType.STRING, DataType.LOCALIZED_TEXT)
_UNSUPPORTED = int(ua.StatusCodes.BadHistoryOperationUnsupported)
_NO_DATA = int(ua.StatusCodes.GoodNoData)


class HistoryService:
    """Answers HistoryRead as bytes. `rollups`, where there are any, are asked before the stored values are."""

    def __init__(
        self,
        plant: Plant,
        resolve: Resolve,
        aspace: VirtualAddressSpace,
        reader: HistoryReader | None,
        policy: SessionPolicy,
        limits: Limits,
        rollups: Rollups | None = None,
        events: EventHistory | None = None,
        changes: Changes = unchanged,
    ) -> None:
        self._plant = plant
        self._changes = changes
        self._ratings = Ratings(plant)
        self._resolve = resolve
        self._aspace = aspace
        self._events = events
        self._source = Source(reader, rollups) if reader is not None else None
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
        asking = _Asking.of(asked.HistoryReadDetails, len(nodes))
        most = min(self._limits.history_values, max(_VALUES_PER_CALL // len(nodes), _FEWEST_PER_NODE))
        written = []
        for place, node in enumerate(nodes):
            ask = self._ask(session, node, asking, place)
            if ask == _NO_DATA:
                written.append(_refused(_NO_DATA, modified=True))
                continue
            written.append(await self._answered(session, node.NodeId, ask, most, timestamps))
        return _results(written)

    async def _answered(
        self, session: HubSession, node: ua.NodeId, ask: Ask | EventAsk | int, most: int, timestamps: Timestamps
    ) -> bytes:
        if isinstance(ask, int):
            return _refused(ask)
        try:
            if isinstance(ask, EventAsk):
                assert self._events is not None  # noqa: S101  # _ask refuses without them
                page = await ask.page(self._events, min(most, self._limits.history_events))
                return _events(page, _kept(session, node, page.following))
            assert self._source is not None  # noqa: S101  # _historised refuses without one
            answer = await ask.page(self._source, most)
        except TooMuchHistory:
            return _refused(int(ua.StatusCodes.BadResourceUnavailable))
        except HistoryError:
            return _refused(int(ua.StatusCodes.BadNoCommunication))
        return _told(answer, _kept(session, node, answer.following), timestamps)

    def _ask(self, session: HubSession, node: Any, asking: _Asking, place: int) -> Ask | EventAsk | int:
        """What one node is asked for, or the status that refuses it."""
        if node.ContinuationPoint:
            continued: tuple[ua.NodeId, Ask | EventAsk] | None = session.history_points.take(node.ContinuationPoint)
            if continued is None or continued[0] != node.NodeId:
                return int(ua.StatusCodes.BadContinuationPointInvalid)
            return continued[1]
        if asking.events is not None and self._events is not None:
            return event_ask(self._events, node.NodeId, Viewer(session.user, session.locale), asking.events)
        variable = self._historised(session, node.NodeId)
        if isinstance(variable, int):
            return variable
        if node.IndexRange:
            return int(ua.StatusCodes.BadIndexRangeNoData)
        if node.DataEncoding is not None and node.DataEncoding.Name not in (None, "", "Default Binary"):
            return int(ua.StatusCodes.BadDataEncodingUnsupported)
        return asking.of_node(variable, place)

    def _historised(self, session: HubSession, node: ua.NodeId) -> Variable | int:
        if node.NamespaceIndex == PLANT_NAMESPACE and isinstance(node.Identifier, str):
            handle = self._resolve(node.Identifier)
            if handle >= 0 and self._policy.sees(session.user, [handle]):
                unit, offset = self._plant.locate(handle)  # type: ignore[arg-type]
                template = self._plant.units[unit].template
                kept = offset < template.measured and template.points[offset].record
                if not kept or self._source is None or template.quantities[offset].value.data_type in _TEXTS:
                    return _UNSUPPORTED
                return Variable.of(
                    self._plant.units[unit].id, template.quantities[offset], self._ratings, self._changes
                )
            if handle >= 0:
                return int(ua.StatusCodes.BadNodeIdUnknown)
        known = node in self._aspace
        return _UNSUPPORTED if known else int(ua.StatusCodes.BadNodeIdUnknown)


class _Asking:
    """What a request asks of each of its nodes."""

    def __init__(self, details: Any, processing: Processing | int | None, at: tuple[int, ...] | int | None) -> None:
        self._details = details
        self._processing = processing
        self._at = at

    @classmethod
    def of(cls, details: Any, nodes: int) -> _Asking:
        if not isinstance(details, ua.HistoryReadDetails):
            raise fault(ua.StatusCodes.BadHistoryOperationInvalid)
        processing: Processing | int | None = None
        at: tuple[int, ...] | int | None = None
        if isinstance(details, ua.ReadProcessedDetails):
            if len(details.AggregateType or ()) != nodes:
                raise fault(ua.StatusCodes.BadAggregateListMismatch)
            processing = Processing.of(details)
        elif isinstance(details, ua.ReadAtTimeDetails):
            at = at_times(details)
        return cls(details, processing, at)

    @property
    def events(self) -> ua.ReadEventDetails | None:
        """Details of a request for events."""
        return self._details if type(self._details) is ua.ReadEventDetails else None

    @property
    def modified(self) -> bool:
        """Whether the history of edits is asked for."""
        return isinstance(self._details, ua.ReadRawModifiedDetails) and bool(self._details.IsReadModified)

    def of_node(self, variable: Variable, place: int) -> Ask | int:
        """What is asked of the variable that stands at `place`, or the status that refuses it."""
        if self._processing is not None:
            return self._processing if isinstance(self._processing, int) else self._processing.ask(variable, place)
        if self._at is not None:
            at = self._at
            return at if isinstance(at, int) else AtTimeAsk(variable, at, bool(self._details.UseSimpleBounds))
        if not isinstance(self._details, ua.ReadRawModifiedDetails):
            return _UNSUPPORTED
        ask = raw_ask(variable, self._details)
        if self.modified and not isinstance(ask, int):
            return int(ua.StatusCodes.BadInvalidArgument) if self._details.ReturnBounds else _NO_DATA
        return ask


def _kept(session: HubSession, node: ua.NodeId, following: object | None) -> bytes | None:
    return None if following is None else session.history_points.keep((node, following))


def _release(session: HubSession, point: bytes | None) -> bytes:
    known = session.history_points.take(point or b"") is not None
    return _refused(0 if known else int(ua.StatusCodes.BadContinuationPointInvalid))


def _refused(status: int, *, modified: bool = False) -> bytes:
    """A result without data; where edits were asked for and there are none, with an empty list of them."""
    head = _U32.pack(status) + _I32.pack(-1)
    if not modified:
        return head + _NULL_EXTENSION
    empty = _I32.pack(0) + _I32.pack(0)
    return head + _EXTENSION.pack(1, 0, _MODIFIED_DATA, 1, len(empty)) + empty


def _told(answer: Answer, point: bytes | None, timestamps: Timestamps) -> bytes:
    head = _U32.pack(answer.status) + (_I32.pack(-1) if point is None else _I32.pack(len(point)) + point)
    types = np.full(len(answer.values), answer.kind, np.uint8)
    columns = Columns(types, answer.values, answer.codes, answer.time_ns, answer.time_ns, {})
    values = encode(columns, timestamps).buffer
    body = _I32.pack(len(answer.values)) + values
    return head + _EXTENSION.pack(1, 0, _HISTORY_DATA, 1, len(body)) + body


def _events(page: EventPage, point: bytes | None) -> bytes:
    status = 0 if page.events else _NO_DATA
    head = _U32.pack(status) + (_I32.pack(-1) if point is None else _I32.pack(len(point)) + point)
    body = b"".join((_I32.pack(len(page.events)), *page.events))
    return head + _EXTENSION.pack(1, 0, _HISTORY_EVENT, 1, len(body)) + body


def _results(written: list[bytes]) -> bytes:
    return b"".join((_I32.pack(len(written)), *written, _I32.pack(0)))

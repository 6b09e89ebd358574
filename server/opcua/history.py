"""HistoryRead (OPC 10000-11 6.5) over whatever store keeps the values."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

import numpy as np
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import extensionobject_from_binary

from address_space.model.quantity import DataType
from address_space.nodes.fast import PLANT_NAMESPACE, Resolve
from address_space.nodes.wire import Columns, Timestamps, encode
from historian.api import HistoryReader
from historian.errors import HistoryError
from historian.rollups.limits import Changes, Ratings, unchanged
from server.opcua.access import Right, SessionPolicy
from server.opcua.errors import NoContinuationPoint, TooMuchHistory
from server.opcua.event_items import Viewer
from server.opcua.history_at_time import AtTimeAsk, at_times
from server.opcua.history_events import EventAsk, EventHistory, EventPage, event_ask
from server.opcua.history_points import NewPoints, goes_on
from server.opcua.history_processed import Processing
from server.opcua.history_raw import raw_ask
from server.opcua.history_source import Ask, Rollups, Source
from server.opcua.history_variable import Answer, Variable
from server.opcua.ranges import well_formed
from server.opcua.reading import wrong_encoding
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
_NO_OPERATIONS = _I32.pack(0) + _I32.pack(0)
"""OperationResults and their diagnostics."""
_VALUES_PER_CALL = 100_000
_FEWEST_PER_NODE = 1_000
_TEXTS = (DataType.STRING, DataType.LOCALIZED_TEXT)
_UNSUPPORTED = int(ua.StatusCodes.BadHistoryOperationUnsupported)
_NO_DATA = int(ua.StatusCodes.GoodNoData)


class HistoryService:
    """Answers HistoryRead and HistoryUpdate as bytes; `rollups`, where there are any, are asked before the values."""

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
        asked = _parameters(request)
        nodes = asked.NodesToRead
        if not nodes:
            raise fault(ua.StatusCodes.BadNothingToDo)
        if len(nodes) > self._limits.nodes_per_history_read:
            raise fault(ua.StatusCodes.BadTooManyOperations)
        if not self._policy.may(session.user, Right.HISTORY):
            raise fault(ua.StatusCodes.BadUserAccessDenied)
        if asked.ReleaseContinuationPoints:
            return _results([_release(session, node.ContinuationPoint) for node in nodes])
        asking = _Asking.of(asked.HistoryReadDetails, len(nodes), fresh=not all(goes_on(node) for node in nodes))
        timestamps = _timestamps(int(asked.TimestampsToReturn))
        if timestamps is Timestamps.NEITHER and asking.events is None:
            raise fault(ua.StatusCodes.BadTimestampsToReturnInvalid)
        most = min(self._limits.history_values, max(_VALUES_PER_CALL // len(nodes), _FEWEST_PER_NODE))
        # All are taken first: points that this request makes must not push out those that it goes on from.
        asks = [self._ask(session, node, asking, place) for place, node in enumerate(nodes)]
        points = NewPoints(session, self._limits.history_points)
        written = []
        for node, ask in zip(nodes, asks, strict=True):
            if ask == _NO_DATA:
                written.append(_refused(_NO_DATA, modified=True))
                continue
            written.append(await self._answered(points, node.NodeId, ask, most, timestamps))
        return _results(written)

    def update(self, request: Request) -> bytes:
        """Results of a HistoryUpdateRequest: clients change no history, and each operation is told so (6.8)."""
        session = request.owner
        changes = request.decode(ua.HistoryUpdateParameters).HistoryUpdateDetails
        if not changes:
            raise fault(ua.StatusCodes.BadNothingToDo)
        if len(changes) > self._limits.nodes_per_history_read:
            raise fault(ua.StatusCodes.BadTooManyOperations)
        if not self._policy.may(session.user, Right.HISTORY):
            raise fault(ua.StatusCodes.BadUserAccessDenied)
        return _results([_U32.pack(self._unchanged(session, change)) + _NO_OPERATIONS for change in changes])

    def _unchanged(self, session: HubSession, change: Any) -> int:
        if not isinstance(change, ua.HistoryUpdateDetails):
            return int(ua.StatusCodes.BadHistoryOperationInvalid)
        found = self._historised(session, change.NodeId)
        return found if isinstance(found, int) else _UNSUPPORTED

    async def _answered(
        self, points: NewPoints, node: ua.NodeId, ask: Ask | EventAsk | int, most: int, timestamps: Timestamps
    ) -> bytes:
        if isinstance(ask, int):
            return _refused(ask)
        try:
            if isinstance(ask, EventAsk):
                assert self._events is not None  # noqa: S101  # _ask refuses without them
                page = await ask.page(self._events, min(most, self._limits.history_events))
                return _events(page, points.keep(node, page.following))
            assert self._source is not None  # noqa: S101  # _historised refuses without one
            answer = await ask.page(self._source, most)
            return _told(answer, points.keep(node, answer.following), timestamps)
        except NoContinuationPoint:
            return _refused(int(ua.StatusCodes.BadNoContinuationPoints))
        except TooMuchHistory:
            return _refused(int(ua.StatusCodes.BadResourceUnavailable))
        except HistoryError:
            return _refused(int(ua.StatusCodes.BadNoCommunication))

    def _ask(self, session: HubSession, node: Any, asking: _Asking, place: int) -> Ask | EventAsk | int:
        """What one node is asked for, or the status that refuses it."""
        if goes_on(node):
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
            wrong = not well_formed(node.IndexRange)
            return int(ua.StatusCodes.BadIndexRangeInvalid if wrong else ua.StatusCodes.BadNotSupported)
        return wrong_encoding(node.DataEncoding) or asking.of_node(variable, place)

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
    def of(cls, details: Any, nodes: int, *, fresh: bool) -> _Asking:
        """Where no node is `fresh`, all go on with what they were asked for, and the details do not matter (6.3)."""
        if not isinstance(details, ua.HistoryReadDetails):
            raise fault(ua.StatusCodes.BadHistoryOperationInvalid)
        if not fresh:
            return cls(details, None, None)
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
        plain = type(self._details) is ua.ReadEventDetails
        unmodified = type(self._details) is ua.ReadEventDetails2 and not self._details.ReadModified
        return self._details if plain or unmodified else None

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


def _parameters(request: Request) -> Any:
    try:
        return request.decode(ua.HistoryReadParameters)
    except ua.UaStatusCodeError as broken:
        if request.decoded(_timestamps_asked) not in tuple(Timestamps):
            raise fault(ua.StatusCodes.BadTimestampsToReturnInvalid) from broken
        raise


def _timestamps(asked: int) -> Timestamps:
    """The enumeration has INVALID_4 too (OPC 10000-4 7.40), which decodes and asks for nothing."""
    if asked not in tuple(Timestamps):
        raise fault(ua.StatusCodes.BadTimestampsToReturnInvalid)
    return Timestamps(asked)


def _timestamps_asked(data: Buffer) -> int:
    """What stands behind the details, whether it is a TimestampsToReturn or not."""
    extensionobject_from_binary(data)
    return int(_I32.unpack(data.read(_I32.size))[0])


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

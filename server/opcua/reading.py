"""The Read service (Part 4 5.11.2): points from the live table in bulk, everything else node by node."""

from __future__ import annotations

import dataclasses
from struct import Struct
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

from address_space.model.clock import Clock, to_datetime
from address_space.nodes.fast import FEW, PLANT_NAMESPACE, ReadLists, few_values, present_values
from address_space.nodes.nodeids import SYSTEM
from address_space.nodes.shapes import Reported
from address_space.nodes.static import StaticAttributes
from address_space.nodes.wire import Timestamps
from server.opcua.access import Right, SessionPolicy
from server.opcua.ranges import sliced
from server.opcua.request import Request, fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncua.crypto.permission_rules import User

    from address_space.model.live import LiveTable
    from address_space.nodes import VirtualAddressSpace
    from server.opcua.options import Limits

_HEAD = Struct("<di")
_COUNT = Struct("<i")
_TIMESTAMPS = tuple(Timestamps)
_EMPTY_ARRAY = _COUNT.pack(0)
_CURRENT_READ = 1
NUMBERS = range(ua.ObjectIds.SByte, ua.ObjectIds.Double + 1)
"""Built-in types that are numbers."""
_NUMBER_TYPES = frozenset(
    ua.NodeId(number) for number in (*NUMBERS, ua.ObjectIds.Number, ua.ObjectIds.Integer, ua.ObjectIds.UInteger)
) | {ua.NodeId(ua.ObjectIds.Duration)}
_EU_RANGE = ua.RelativePathElement(
    ua.NodeId(ua.ObjectIds.HasProperty),
    IsInverse=False,
    IncludeSubtypes=True,
    TargetName=ua.QualifiedName("EURange", 0),
)
_READABLE_ENCODINGS = ("Default Binary", "Default XML", "Default JSON")


def wrong_encoding(encoding: ua.QualifiedName | None, *, of_value: bool = True) -> int:
    """Why a DataEncoding cannot be had, 0 where it can."""
    if encoding is None or not encoding.Name:
        return 0
    if not of_value or encoding.Name not in _READABLE_ENCODINGS:
        return int(ua.StatusCodes.BadDataEncodingInvalid)
    return 0 if encoding.Name == _READABLE_ENCODINGS[0] else int(ua.StatusCodes.BadDataEncodingUnsupported)


class ReadService:
    """Answers Read requests as bytes."""

    def __init__(
        self,
        aspace: VirtualAddressSpace,
        live: LiveTable,
        lists: ReadLists,
        policy: SessionPolicy,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._aspace = aspace
        self._static = StaticAttributes(aspace)
        self._live = live
        self._lists = lists
        self._policy = policy
        self._limits = limits
        self._clock = clock
        self.may_execute: Callable[[User, ua.NodeId], bool] = lambda _user, _method: True
        """Whether a user may run a method that can run; who serves the methods puts it here."""

    def read(self, request: Request) -> bytes:
        """Results and diagnostics of a ReadRequest, behind the response header."""
        body, offset = request.body, request.offset
        if len(body) < offset + _HEAD.size + _COUNT.size:
            raise fault(ua.StatusCodes.BadDecodingError)
        max_age, wanted = _HEAD.unpack_from(body, offset)
        if not 0 <= wanted <= Timestamps.NEITHER:
            raise fault(ua.StatusCodes.BadTimestampsToReturnInvalid)
        if max_age < 0 or max_age != max_age:
            raise fault(ua.StatusCodes.BadMaxAgeInvalid)
        (count,) = _COUNT.unpack_from(body, offset + _HEAD.size)
        if count <= 0:
            raise fault(ua.StatusCodes.BadNothingToDo)
        if count > self._limits.nodes_per_read:
            raise fault(ua.StatusCodes.BadTooManyOperations)
        user = request.owner.user
        if not self._policy.may(user, Right.LOOK):
            raise fault(ua.StatusCodes.BadUserAccessDenied)
        asked = self._lists.understand(body[offset + _HEAD.size :])
        timestamps = _TIMESTAMPS[wanted]
        visible = self._policy.visible(user, asked.points.handles) if len(asked.points) else None
        all_points = not asked.others and (visible is None or bool(visible.all()))
        if len(asked.points) > FEW:
            written = present_values(self._live, asked, timestamps)
            if all_points:
                return b"".join((_COUNT.pack(count), written.buffer, _EMPTY_ARRAY))
            each = written.pieces()
        else:
            each = few_values(self._live, asked.points, timestamps)
            if all_points:
                return b"".join((_COUNT.pack(count), *each, _EMPTY_ARRAY))
        pieces: list[bytes] = [b""] * count
        for position, piece in zip(asked.positions.tolist(), each, strict=True):
            pieces[position] = piece
        if visible is not None:
            hidden = self._unknown(timestamps)
            for position in asked.positions[~visible].tolist():
                pieces[position] = hidden
        locale, now_ns = request.owner.locale, self._clock.now_ns()
        # a structure that is asked for a thousand times over is made once
        made: dict[tuple[Any, ...], bytes] = {}
        for position, node in asked.others:
            encoding = node.DataEncoding.Name if node.DataEncoding is not None else None
            key = (node.NodeId, node.AttributeId, node.IndexRange, encoding)
            if key not in made:
                static = self._static.encoded(node, timestamps, locale, now_ns)
                made[key] = static or struct_to_binary(self._for(user, node, self.value_of(node, timestamps, locale)))
            pieces[position] = made[key]
        return b"".join((_COUNT.pack(count), *pieces, _EMPTY_ARRAY))

    def _for(self, user: User, node: ua.ReadValueId, value: ua.DataValue) -> ua.DataValue:
        """UserExecutable as it is for this user (Part 3 5.7); any other attribute unchanged."""
        if node.AttributeId != ua.AttributeIds.UserExecutable or value.Value is None or not value.Value.Value:
            return value
        return dataclasses.replace(value, Value=ua.Variant(self.may_execute(user, node.NodeId), ua.VariantType.Boolean))

    def value_of(self, node: ua.ReadValueId, timestamps: Timestamps, locale: str) -> ua.DataValue:
        """One attribute of any node, as Read answers it, texts in the session's language."""
        wrong = self.wrong_encoding(node)
        if wrong:
            return self._bad(wrong, timestamps)
        value = self._aspace.read_attribute_value(node.NodeId, attribute(node.AttributeId), locale)
        if node.AttributeId == ua.AttributeIds.Value and not self.readable(node.NodeId):
            return self._bad(ua.StatusCodes.BadNotReadable, timestamps)
        if node.IndexRange:
            value = sliced(value, node.IndexRange)
        return self._stamped(value, timestamps, is_value=node.AttributeId == ua.AttributeIds.Value)

    def wrong_encoding(self, node: ua.ReadValueId) -> int:
        """Why a DataEncoding cannot be had, 0 where it can (Part 4 5.11.2.4)."""
        return wrong_encoding(node.DataEncoding, of_value=node.AttributeId == ua.AttributeIds.Value)

    def is_numeric(self, node: ua.NodeId) -> bool:
        """Whether a variable holds numbers, by its value or where that is null by its data type."""
        held = self._aspace.read_attribute_value(node, ua.AttributeIds.Value).Value
        if held is not None and held.VariantType != ua.VariantType.Null:
            return int(held.VariantType.value) in NUMBERS
        told = self._aspace.read_attribute_value(node, ua.AttributeIds.DataType).Value
        return told is not None and told.Value in _NUMBER_TYPES

    def range_of(self, node: ua.NodeId) -> tuple[float, float] | None:
        """A variable's EURange, None where it has none."""
        for found in self._aspace.children_by_name(node, _EU_RANGE):
            held = self._aspace.read_attribute_value(found, ua.AttributeIds.Value).Value
            if held is not None and held.Value is not None and held.Value.Low < held.Value.High:
                return float(held.Value.Low), float(held.Value.High)
        return None

    def span_of(self, node: ua.NodeId) -> float | None:
        """Width of a variable's EURange, None where it has none or an endless one."""
        bounds = self.range_of(node)
        span = float("inf") if bounds is None else bounds[1] - bounds[0]
        return span if span < float("inf") else None

    def is_untold(self, node: ua.ReadValueId) -> bool:
        """Whether nobody tells of changes of this attribute: values that the hub itself shows in the plant's tree."""
        if node.AttributeId != ua.AttributeIds.Value or node.NodeId.NamespaceIndex != PLANT_NAMESPACE:
            return False
        place = self._aspace.resolve(str(node.NodeId.Identifier))
        if place is None:
            return False
        return bool(node.IndexRange) or place.owner.id == SYSTEM or isinstance(place.member.source, Reported)

    def least_sampling_ms(self, node: ua.ReadValueId) -> float:
        """How often a value that nobody tells of is made anew; 0 where it is told of."""
        if node.AttributeId != ua.AttributeIds.Value or node.NodeId.NamespaceIndex != PLANT_NAMESPACE:
            return 0.0
        place = self._aspace.resolve(str(node.NodeId.Identifier))
        if place is None or not isinstance(place.member.source, Reported):
            return 0.0
        return place.member.sampling_ms

    def readable(self, node: ua.NodeId) -> bool:
        """Whether the access level of a variable lets its value be read."""
        if node.NamespaceIndex == PLANT_NAMESPACE:
            return True
        level = self._aspace.read_attribute_value(node, ua.AttributeIds.AccessLevel)
        if level.Value is None or level.Value.Value is None:
            return True
        return bool(int(level.Value.Value) & _CURRENT_READ)

    def _stamped(self, value: ua.DataValue, timestamps: Timestamps, *, is_value: bool) -> ua.DataValue:
        now = to_datetime(self._clock.now_ns())
        server = (value.ServerTimestamp or now) if timestamps.server else None
        source = value.SourceTimestamp if timestamps.source and is_value else None
        if (
            timestamps.source
            and is_value
            and source is None
            and value.StatusCode is not None
            and not value.StatusCode.is_bad()
        ):
            source = value.ServerTimestamp or now
        return dataclasses.replace(
            value, ServerTimestamp=server, SourceTimestamp=source, SourcePicoseconds=None, ServerPicoseconds=None
        )

    def _bad(self, code: int, timestamps: Timestamps) -> ua.DataValue:
        return self._stamped(ua.DataValue(StatusCode=ua.StatusCode(code)), timestamps, is_value=False)

    def _unknown(self, timestamps: Timestamps) -> bytes:
        encoded: bytes = struct_to_binary(self._bad(ua.StatusCodes.BadNodeIdUnknown, timestamps))
        return encoded


def attribute(number: int) -> Any:
    """asyncua's name of an attribute id; the number itself where there is none."""
    try:
        return ua.AttributeIds(number)
    except ValueError:
        return number

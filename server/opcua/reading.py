"""The Read service (Part 4 5.11.2): points from the live table in bulk, everything else node by node."""

from __future__ import annotations

import dataclasses
from struct import Struct
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

from address_space.model.clock import Clock, to_datetime
from address_space.nodes.fast import PLANT_NAMESPACE, ReadLists, columns_of
from address_space.nodes.wire import Timestamps, encode
from server.opcua.access import Right, SessionPolicy
from server.opcua.ranges import sliced
from server.opcua.request import Request, fault

if TYPE_CHECKING:
    from address_space.model.live import LiveTable
    from address_space.nodes import VirtualAddressSpace
    from server.opcua.options import Limits

_HEAD = Struct("<di")
_COUNT = Struct("<i")
_EMPTY_ARRAY = _COUNT.pack(0)
_CURRENT_READ = 1
_READABLE_ENCODINGS = ("Default Binary", "Default XML", "Default JSON")


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
        self._live = live
        self._lists = lists
        self._policy = policy
        self._limits = limits
        self._clock = clock

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
        timestamps = Timestamps(wanted)
        visible = self._policy.visible(user, asked.points.handles) if len(asked.points) else None
        written = encode(columns_of(self._live, asked.points), timestamps)
        if not asked.others and (visible is None or bool(visible.all())):
            return b"".join((_COUNT.pack(count), written.buffer, _EMPTY_ARRAY))
        pieces: list[bytes] = [b""] * count
        for position, piece in zip(asked.positions.tolist(), written.pieces(), strict=True):
            pieces[position] = piece
        if visible is not None:
            hidden = self._unknown(timestamps)
            for position in asked.positions[~visible].tolist():
                pieces[position] = hidden
        for position, node in asked.others:
            pieces[position] = struct_to_binary(self.value_of(node, timestamps, request.owner.locale))
        return b"".join((_COUNT.pack(count), *pieces, _EMPTY_ARRAY))

    def value_of(self, node: ua.ReadValueId, timestamps: Timestamps, locale: str) -> ua.DataValue:
        """One attribute of any node, as Read answers it, texts in the session's language."""
        encoding = node.DataEncoding
        if encoding is not None and encoding.Name:
            if node.AttributeId != ua.AttributeIds.Value:
                return self._bad(ua.StatusCodes.BadDataEncodingInvalid, timestamps)
            if encoding.Name not in _READABLE_ENCODINGS:
                return self._bad(ua.StatusCodes.BadDataEncodingInvalid, timestamps)
            if encoding.Name != _READABLE_ENCODINGS[0]:
                return self._bad(ua.StatusCodes.BadDataEncodingUnsupported, timestamps)
        value = self._aspace.read_attribute_value(node.NodeId, attribute(node.AttributeId), locale)
        if node.AttributeId == ua.AttributeIds.Value and not self.readable(node.NodeId):
            return self._bad(ua.StatusCodes.BadNotReadable, timestamps)
        if node.IndexRange:
            value = sliced(value, node.IndexRange)
        return self._stamped(value, timestamps, is_value=node.AttributeId == ua.AttributeIds.Value)

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

"""BrowseRequests from bytes (Part 4 5.9.2.2): a crawl sends thousands of nodes, and asyncua's decoder is slow."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct, error
from typing import TYPE_CHECKING

from asyncua import ua
from asyncua.common.utils import Buffer, NotEnoughData
from asyncua.ua.ua_binary import nodeid_from_binary

from server.opcua.request import fault, skip_node_id, undecodable

if TYPE_CHECKING:
    from server.opcua.request import Request

_STRING = Struct("<BHi")
_VIEW = Struct("<qIIi")
_DIRECTION = Struct("<i")
_TAIL = Struct("<BII")
_STRING_ID = 3
_KEPT = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """What a BrowseRequest asks for; `most` references a node, 0 where the client sets no bound."""

    view: ua.NodeId
    most: int
    descriptions: list[ua.BrowseDescription]


class BrowseRequests:
    """Decodes; reference types, of which clients use few, are remembered."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._types: dict[bytes, ua.NodeId] = {}

    def decode(self, request: Request) -> Asked:
        """Raises BadDecodingError, BadNothingToDo or BadTooManyOperations."""
        body = request.body
        try:
            end = skip_node_id(body, request.offset)
            view = _node(body, request.offset)
            _, _, most, count = _VIEW.unpack_from(body, end)
            if count <= 0:
                raise fault(ua.StatusCodes.BadNothingToDo)
            if count > self._limit:
                raise fault(ua.StatusCodes.BadTooManyOperations)
            offset = end + _VIEW.size
            found = []
            for _ in range(count):
                one, offset = self._description(body, offset)
                found.append(one)
        except (error, IndexError, ValueError, NotEnoughData) as broken:
            raise undecodable() from broken
        if offset > len(body):
            raise undecodable()
        return Asked(view, most, found)

    def _description(self, body: bytes, offset: int) -> tuple[ua.BrowseDescription, int]:
        node = _node(body, offset)
        offset = skip_node_id(body, offset)
        (direction,) = _DIRECTION.unpack_from(body, offset)
        start = offset + _DIRECTION.size
        offset = skip_node_id(body, start)
        raw = body[start:offset]
        reference = self._types.get(raw)
        if reference is None:
            reference = _node(raw, 0)
            if len(self._types) < _KEPT:
                self._types[raw] = reference
        subtypes, classes, mask = _TAIL.unpack_from(body, offset)
        return ua.BrowseDescription(node, direction, reference, bool(subtypes), classes, mask), offset + _TAIL.size


def _node(body: bytes, offset: int) -> ua.NodeId:
    if body[offset] == _STRING_ID:
        _, namespace, length = _STRING.unpack_from(body, offset)
        start = offset + _STRING.size
        return ua.NodeId(body[start : start + max(length, 0)].decode(), namespace, ua.NodeIdType.String)
    node: ua.NodeId = nodeid_from_binary(Buffer(body, offset))
    return node

"""Requests and responses at the level of bytes: the headers every service shares (Part 4 7.32, 7.33)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct, error
from typing import TYPE_CHECKING, Any, TypeVar

from asyncua import ua
from asyncua.common.utils import Buffer, NotEnoughData
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary

if TYPE_CHECKING:
    from server.opcua.session import HubSession

Made = TypeVar("Made")
_U16 = Struct("<H")
_I32 = Struct("<i")
_MIDDLE = Struct("<qII")
_U32 = Struct("<I")
_USUAL = Struct("<qIIiIHB")
"""What follows the token where there is neither an audit entry nor an additional header; nothing is shorter."""
_RESPONSE = Struct("<BBHqIIBiHB")
_FOUR_BYTE = 1
_NUMERIC = 2
_NODE_ID_SIZES = {0: 2, 1: 4, 2: 7, 4: 19}
_STRING_IDS = (3, 5)


@dataclass(slots=True)
class Request:
    """One request: `body` from `offset` holds the parameters."""

    kind: int
    token: bytes
    handle: int
    diagnostics: int
    timeout_ms: int
    request_id: int
    body: bytes
    offset: int
    session: HubSession | None = None

    def decode(self, parameters: type[Any]) -> Any:
        """The parameters as asyncua's structure; raises BadDecodingError."""
        return self.decoded(lambda data: struct_from_binary(parameters, data))

    def decoded(self, decode: Callable[[Buffer], Made]) -> Made:
        """What `decode` makes of the parameters; what goes wrong with it is BadDecodingError."""
        try:
            return decode(Buffer(self.body, self.offset))
        except ua.uaerrors.UaStatusCodeError:
            raise
        except (NotEnoughData, error, ValueError, TypeError, IndexError, KeyError, OverflowError, ua.UaError) as broken:
            raise undecodable() from broken
        except RecursionError as deep:
            raise fault(ua.StatusCodes.BadEncodingLimitsExceeded) from deep

    @property
    def owner(self) -> HubSession:
        """The activated session the request belongs to."""
        if self.session is None:
            raise fault(ua.StatusCodes.BadSessionIdInvalid)
        return self.session


def fault(code: int) -> ua.UaStatusCodeError:
    """The error that answers a request with a ServiceFault."""
    return ua.UaStatusCodeError(code)


def undecodable() -> ua.UaStatusCodeError:
    """The error for bytes that are no request."""
    return ua.UaStatusCodeError(ua.StatusCodes.BadDecodingError)


def parse(body: bytes, request_id: int) -> Request:
    """Type and header of a request; raises BadDecodingError."""
    try:
        kind, offset = _type_id(body)
        start = offset
        offset = skip_node_id(body, offset)
        token = body[start:offset]
        _, handle, diagnostics, audit, timeout_ms, additional, encoding = _USUAL.unpack_from(body, offset)
        if audit <= 0 <= audit + 1 and not additional and not encoding:
            return Request(kind, token, handle, diagnostics, timeout_ms, request_id, body, offset + _USUAL.size)
        _, handle, diagnostics = _MIDDLE.unpack_from(body, offset)
        offset += _MIDDLE.size
        offset += _I32.size + _length(body, offset)
        (timeout_ms,) = _U32.unpack_from(body, offset)
        offset = _skip_extension(body, offset + _U32.size)
    except (error, IndexError) as broken:
        raise undecodable() from broken
    if offset > len(body):
        raise undecodable()
    return Request(kind, token, handle, diagnostics, timeout_ms, request_id, body, offset)


def header(kind: int, handle: int, ticks: int, result: int = 0) -> bytes:
    """Type id and ResponseHeader of a response."""
    return _RESPONSE.pack(_FOUR_BYTE, 0, kind, ticks, handle, result, 0, 0, 0, 0)


def written(response: Any, handle: int) -> bytes:
    """A response structure of asyncua as bytes."""
    response.ResponseHeader.RequestHandle = handle
    encoded: bytes = struct_to_binary(response)
    return encoded


def _type_id(body: bytes) -> tuple[int, int]:
    if body[0] == _FOUR_BYTE:
        return (_U16.unpack_from(body, 2)[0] if body[1] == 0 else 0), 4
    end = skip_node_id(body, 0)
    if body[0] == 0:
        return body[1], end
    if body[0] != _NUMERIC or body[1:3] != b"\0\0":
        return 0, end
    number: int = _U32.unpack_from(body, 3)[0]
    return number, end


def skip_node_id(body: bytes, offset: int) -> int:
    """Offset behind a NodeId or ExpandedNodeId."""
    encoding = body[offset] & 0x3F
    if encoding in _STRING_IDS:
        end: int = offset + 7 + _length(body, offset + 3)
    else:
        size = _NODE_ID_SIZES.get(encoding)
        if size is None:
            raise undecodable()
        end = offset + size
    if body[offset] & 0x80:
        end += 4 + _length(body, end)
    if body[offset] & 0x40:
        end += 4
    return end


def _skip_extension(body: bytes, offset: int) -> int:
    offset = skip_node_id(body, offset)
    encoding = body[offset]
    offset += 1
    if encoding:
        offset += 4 + _length(body, offset)
    return offset


def _length(body: bytes, offset: int) -> int:
    """Bytes of a string, 0 for null; asyncua reads backwards where the length is negative."""
    length: int = _I32.unpack_from(body, offset)[0]
    if length < -1:
        raise undecodable()
    return max(length, 0)

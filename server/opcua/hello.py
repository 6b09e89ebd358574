"""Hello and Acknowledge (Part 6 7.1.2): what both sides can take.

asyncua swaps the two buffer sizes in its answer, takes the client's limits on answers for its own on requests, and
asks no smallest size.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from asyncua import ua
from asyncua.common.connection import TransportLimits

from server.opcua.request import fault

_HELLO = Struct("<IIIIIi")
_SMALLEST_BUFFER = 8_192
_LONGEST_URL = 4_096


@dataclass
class HubTransportLimits(TransportLimits):  # type: ignore[misc]
    """Limits of one connection; asyncua's are those on requests, these on answers as well."""

    max_answer_size: int = 0
    max_answer_chunks: int = 0


def acknowledge(body: bytes, limits: HubTransportLimits) -> ua.Acknowledge:
    """The answer to the body of a Hello; what the client cannot take is set in `limits`.

    Raises BadTcpEndpointUrlInvalid, BadConnectionRejected where a buffer is too small, BadDecodingError.
    """
    if len(body) < _HELLO.size:
        raise fault(ua.StatusCodes.BadDecodingError)
    # any version is answered with the server's own
    _, takes, sends, message, chunks, length = _HELLO.unpack_from(body)
    url = body[_HELLO.size :]
    if length > _LONGEST_URL or length < -1 or len(url) != max(length, 0):
        raise fault(ua.StatusCodes.BadTcpEndpointUrlInvalid)
    try:
        url.decode()
    except UnicodeDecodeError as broken:
        raise fault(ua.StatusCodes.BadTcpEndpointUrlInvalid) from broken
    if takes < _SMALLEST_BUFFER or sends < _SMALLEST_BUFFER:
        raise fault(ua.StatusCodes.BadConnectionRejected)
    limits.max_recv_buffer = min(sends, limits.max_recv_buffer)
    limits.max_send_buffer = min(takes, limits.max_send_buffer)
    limits.max_answer_size = min(message or limits.max_message_size, limits.max_message_size)
    limits.max_answer_chunks = chunks
    answer = ua.Acknowledge()
    answer.ReceiveBufferSize = limits.max_recv_buffer
    answer.SendBufferSize = limits.max_send_buffer
    answer.MaxMessageSize = limits.max_message_size
    answer.MaxChunkCount = limits.max_chunk_count
    return answer

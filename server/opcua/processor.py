"""One client connection: chunks in, the service by a table, the answer out.

asyncua's processor walks a chain of comparisons for every request, trusts the connection instead of the request's
authentication token, and goes on after a broken chunk. This one replaces its dispatch and keeps its secure channel.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from struct import Struct, error
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.crypto.uacrypto import InvalidSignature
from asyncua.server.internal_session import SessionState
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import uatcp_to_binary

from address_space.model.clock import EPOCH_1601_TICKS, Clock
from server.opcua.request import Request, fault, header, parse, written

if TYPE_CHECKING:
    from server.opcua.internal import HubInternalServer
    from server.opcua.options import Limits

_logger = logging.getLogger(__name__)

Answer = bytes | None
"""A response behind its header, or None where it comes later."""
Handler = Callable[["HubProcessor", Request], Awaitable[Any] | Any]


@dataclass(frozen=True, slots=True)
class Service:
    """How one request type is answered.

    The handler returns a response structure of asyncua, or bytes to stand behind the header of `response`, or None
    where the answer comes later. `sessionless` services need no session.
    """

    handler: Handler
    response: int = 0
    sessionless: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Services:
    """What all connections share."""

    iserver: HubInternalServer
    limits: Limits
    clock: Clock
    table: dict[int, Service] = field(default_factory=dict)


_CHUNK = Struct("<3scIIIII")
_CHUNK_BODY = _CHUNK.size
_FAULT = ua.ObjectIds.ServiceFault_Encoding_DefaultBinary
_LAST_SEQUENCE = 0xFFFF_FFFF


class HubProcessor(UaProcessor):  # type: ignore[misc]
    """Serves one connection."""

    def __init__(self, services: Services, transport: Any, limits: Any) -> None:
        super().__init__(services.iserver, transport, limits)
        self._services = services
        self._own: dict[bytes, Any] = {}

    @property
    def activated(self) -> bool:
        """Whether a session was activated on this connection."""
        return any(session.state is SessionState.Activated for session in self._own.values())

    @property
    def chunk_limit(self) -> int:
        """Largest chunk that the peer may send."""
        return int(self._limits.max_recv_buffer)

    @property
    def policy(self) -> Any:
        """Security policy of the channel."""
        return self._connection.security_policy

    def own(self, token: bytes) -> Any:
        """The session of this connection with that token, or None."""
        return self._own.get(token)

    def unactivated(self) -> list[Any]:
        """Sessions that were created here and never activated."""
        return [session for session in self._own.values() if session.state is SessionState.Created]

    def forget(self, session: Any) -> None:
        """The session lives here no longer."""
        self._own.pop(session.token, None)

    def adopt(self, session: Any) -> None:
        """A session now lives on this connection."""
        self._own[session.token] = session
        self.session = session

    async def process(self, header: Any, body: Any) -> bool:
        """Handle one chunk; False closes the connection."""
        try:
            quick = self._plain(header, body)
            if quick is not None:
                return await self._serve(*quick)
            message = self._connection.receive_from_header_and_body(header, body)
            if isinstance(message, ua.Message):
                return await self._message(header, message)
            if isinstance(message, ua.Hello):
                acknowledged = self._limits.create_acknowledge_and_set_limits(message)
                self._transport.write(uatcp_to_binary(ua.MessageType.Acknowledge, acknowledged))
        except (ServiceError, ua.uaerrors.UaStatusCodeError) as refused:
            return self._goodbye(int(refused.code))
        except InvalidSignature:
            return self._goodbye(ua.StatusCodes.BadSecurityChecksFailed)
        except (ua.UaError, error, ValueError, TypeError, IndexError, KeyError, OverflowError) as broken:
            _logger.info("connection closed peer=%s reason=%s", self.name, broken)
            return self._goodbye(ua.StatusCodes.BadSecurityChecksFailed)
        return True

    async def _message(self, header: Any, message: Any) -> bool:
        if header.MessageType == ua.MessageType.SecureOpen:
            self.open_secure_channel(message.SecurityHeader(), message.SequenceHeader(), message.body())
            return True
        if header.MessageType == ua.MessageType.SecureClose:
            self._connection.close()
            return False
        if not self._connection.is_open():
            return self._goodbye(ua.StatusCodes.BadSecureChannelIdInvalid)
        body = message.body()
        return await self._serve(message.SequenceHeader().RequestId, body.read(len(body)))

    async def _serve(self, request_id: int, body: bytes) -> bool:
        request = Request(0, b"", 0, 0, 0, request_id, body, 0)
        try:
            request = parse(body, request_id)
            service = self._service(request.kind)
            if not service.sessionless:
                self._admit(request)
            answer = service.handler(self, request)
            if isinstance(answer, Awaitable):
                answer = await answer
            if isinstance(answer, bytes):
                self.send(request, header(service.response, request.handle, self._ticks()) + answer)
            elif answer is not None:
                self.send(request, written(answer, request.handle))
        except (ServiceError, ua.uaerrors.UaStatusCodeError) as refused:
            self.refuse(request, int(refused.code))
        except InvalidSignature:
            self.refuse(request, ua.StatusCodes.BadApplicationSignatureInvalid)
        except Exception:
            _logger.exception("request failed kind=%s peer=%s", request.kind, self.name)
            self.refuse(request, ua.StatusCodes.BadInternalError)
        return True

    def send(self, request: Request, response: bytes) -> None:
        """Send a response in as many chunks as it needs."""
        if self._transport.is_closing():
            return
        limit = self._limits.max_message_size
        if limit and len(response) > limit:
            response = header(_FAULT, request.handle, self._ticks(), ua.StatusCodes.BadResponseTooLarge)
        connection = self._connection
        size = len(response) + _CHUNK_BODY
        if type(connection.security_policy) is SecurityPolicyNone and size <= self._limits.max_send_buffer:
            sequence = connection._sequence_number + 1  # noqa: SLF001  # one counter for both ways of writing
            connection._sequence_number = sequence = sequence if sequence <= _LAST_SEQUENCE else 1  # noqa: SLF001
            token = connection.security_token
            head = _CHUNK.pack(b"MSG", b"F", size, token.ChannelId, token.TokenId, sequence, request.request_id)
            self._transport.write(head + response)
            return
        self._transport.write(connection.message_to_binary(response, request_id=request.request_id))

    def refuse(self, request: Request, code: int) -> None:
        """Answer with a ServiceFault."""
        self.send(request, header(_FAULT, request.handle, self._ticks(), code))

    async def close(self) -> None:
        """The connection is gone. Activated sessions wait for their client until they time out (Part 4 6.7)."""
        for session in self._own.values():
            if session.channel is not self:
                continue
            if session.state is SessionState.Activated:
                session.detach()
            else:
                self.iserver.end(session, delete=True)
        self._own.clear()
        self.session = None

    def _service(self, kind: int) -> Service:
        service = self._services.table.get(kind)
        if service is None:
            raise fault(ua.StatusCodes.BadServiceUnsupported)
        return service

    def _admit(self, request: Request) -> None:
        session = self._own.get(request.token)
        if session is None or session.channel is not self or session.state is SessionState.Closed:
            raise fault(ua.StatusCodes.BadSessionIdInvalid)
        if session.state is not SessionState.Activated:
            self.iserver.end(session, delete=True)
            raise fault(ua.StatusCodes.BadSessionNotActivated)
        session.touch()
        request.session = self.session = session

    def _plain(self, header: Any, body: Any) -> tuple[int, bytes] | None:
        """A whole request in one chunk without security, read in one go; None leaves it to asyncua."""
        connection = self._connection
        if (
            header.MessageType != b"MSG"
            or header.ChunkType != b"F"
            or type(connection.security_policy) is not SecurityPolicyNone
            or connection._incoming_parts  # noqa: SLF001
            or not connection.is_open()
        ):
            return None
        data = bytes(body)
        token_id, sequence, request_id = _SEQUENCE.unpack_from(data)
        expected = connection._peer_sequence_number  # noqa: SLF001
        if (
            token_id != connection.security_token.TokenId
            or header.ChannelId != connection.security_token.ChannelId
            or expected is None
            or sequence != expected + 1
        ):
            return None
        connection._peer_sequence_number = sequence  # noqa: SLF001
        return request_id, data[_SEQUENCE.size :]

    def _goodbye(self, code: int) -> bool:
        message = ua.ErrorMessage(ua.StatusCode(code), "")
        self._transport.write(uatcp_to_binary(ua.MessageType.Error, message))
        return False

    def _ticks(self) -> int:
        return self._services.clock.now_ns() // 100 + EPOCH_1601_TICKS


_SEQUENCE = Struct("<III")

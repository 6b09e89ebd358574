"""One client connection: chunks in, the service by a table, the answer out.

asyncua's processor walks a chain of comparisons for every request, trusts the connection instead of the request's
authentication token, decodes before it counts, and goes on after a broken chunk. This one replaces its dispatch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from struct import Struct, error
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.common.utils import Buffer, ServiceError
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.crypto.uacrypto import InvalidSignature
from asyncua.server.internal_session import SessionState
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import struct_from_binary, uatcp_to_binary

from address_space.model.clock import EPOCH_1601_TICKS, Clock
from server.opcua.bounds import inspect
from server.opcua.channel import Assembly, HubChannel
from server.opcua.faults import Faults
from server.opcua.hello import acknowledge
from server.opcua.request import Request, fault, header, parse, undecodable, written

if TYPE_CHECKING:
    from server.opcua.internal import HubInternalServer
    from server.opcua.options import Limits

Answer = bytes | None
"""A response behind its header, or None where it comes later."""
Handler = Callable[["HubProcessor", Request], Awaitable[Any] | Any]


@dataclass(frozen=True, slots=True)
class Service:
    """How one request type is answered.

    The handler returns a response structure of asyncua, or bytes to stand behind the header of `response`, or None
    where the answer comes later. `sessionless` services need no session. Requests are held against `parameters`
    before they are decoded, with at most `most` operations; None where the handler reads the bytes itself.
    """

    handler: Handler
    response: int = 0
    sessionless: bool = False
    parameters: type[Any] | None = None
    most: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Services:
    """What all connections share."""

    iserver: HubInternalServer
    limits: Limits
    clock: Clock
    faults: Faults
    assembly: Assembly
    table: dict[int, Service] = field(default_factory=dict)
    at_once: frozenset[int] = frozenset()
    """Requests whose handlers never wait and are short: they need no turn of the loop."""


_CHUNK = Struct("<3scIIIII")
_CHUNK_BODY = _CHUNK.size
_PLAIN = Struct("<3scIIIIIBBH")
_FOUR_BYTE = 1
_OPEN = ua.ObjectIds.OpenSecureChannelRequest_Encoding_DefaultBinary
_FAULT = ua.ObjectIds.ServiceFault_Encoding_DefaultBinary
_LAST_SEQUENCE = 0xFFFF_FFFF


class HubProcessor(UaProcessor):  # type: ignore[misc]
    """Serves one connection."""

    ACTIVATED = 4
    """`rank` of a connection with an activated session."""

    def __init__(self, services: Services, transport: Any, limits: Any) -> None:
        super().__init__(services.iserver, transport, limits)
        self._services = services
        self._own: dict[bytes, Any] = {}
        self._connection = HubChannel(self._limits, services.limits, services.assembly, services.clock)
        self._greeted = False
        self.congested = False

    @property
    def rank(self) -> int:
        """How far the handshake has come."""
        if not self._own:
            return 2 if self._connection.is_open() else int(self._greeted)
        return self.ACTIVATED if self.activated else 3

    @property
    def expired(self) -> bool:
        """Whether the secure channel has outlived its lifetime."""
        return self._connection.expired

    @property
    def channel(self) -> HubChannel:
        """The secure channel."""
        return self._connection

    @property
    def activated(self) -> bool:
        """Whether a session was activated on this connection."""
        for session in self._own.values():  # noqa: SIM110  # asked for every chunk: a generator is slower
            if session.state is SessionState.Activated:
                return True
        return False

    @property
    def policy(self) -> Any:
        """Security policy of the channel, as asyncua has it."""
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
            if header.MessageType == ua.MessageType.Hello:
                self._greet(header, body)
                return True
            if not self._greeted:
                return self._goodbye(ua.StatusCodes.BadTcpMessageTypeInvalid)
            message = self._connection.receive_from_header_and_body(header, body)
            return message is None or await self._message(header, message)
        except (ServiceError, ua.uaerrors.UaStatusCodeError) as refused:
            return self._goodbye(int(refused.code))
        except (InvalidSignature, ua.UaError, error, ValueError, TypeError, IndexError, KeyError, OverflowError):
            return self._goodbye(ua.StatusCodes.BadSecurityChecksFailed)
        except Exception as problem:  # noqa: BLE001  # logged by the faults, once
            self._services.faults.note("chunk failed", self.name, problem)
            return self._goodbye(ua.StatusCodes.BadInternalError)

    def _greet(self, header: Any, body: Any) -> None:
        if self._greeted or header.ChunkType != ua.ChunkType.Single:
            raise fault(ua.StatusCodes.BadTcpMessageTypeInvalid)
        acknowledged = acknowledge(body.read(len(body)), self._limits)
        self._greeted = True
        self._transport.write(uatcp_to_binary(ua.MessageType.Acknowledge, acknowledged))

    async def _message(self, header: Any, message: Any) -> bool:
        if header.MessageType == ua.MessageType.SecureClose:
            self._connection.close()
            return False
        body = message.body()
        data = body.read(len(body))
        if header.MessageType == ua.MessageType.SecureOpen:
            self._open(message, data)
            return True
        return await self._serve(message.SequenceHeader().RequestId, data)

    def _open(self, message: Any, data: bytes) -> None:
        inspect(ua.OpenSecureChannelRequest, data, 0, elements=self._services.limits.request_elements)
        if parse(data, 0).kind != _OPEN:
            raise undecodable()
        request = struct_from_binary(ua.OpenSecureChannelRequest, Buffer(data))
        asked, channel = request.Parameters, self._connection
        if not channel.is_open():
            security = message.SecurityHeader()
            channel.choose(security.SecurityPolicyURI or "", security.SenderCertificate or b"", asked.SecurityMode)
        response = ua.OpenSecureChannelResponse()
        response.Parameters = channel.open(asked, self.iserver)
        self.send_response(
            request.RequestHeader.RequestHandle, message.SequenceHeader(), response, ua.MessageType.SecureOpen
        )

    def at_once(self, chunk: bytes) -> bool:
        """Serve a whole request whose service never waits; False leaves the chunk to `process`."""
        if len(chunk) < _PLAIN.size:
            return False
        if self._connection.secured:
            received = self._connection.next_whole(chunk, self._services.at_once) if self.activated else None
            if received is not None:
                request, service, answer = self._start(*received)
                self._finish(request, service, answer)
            return received is not None
        kind, final, _, channel, token, sequence, request_id, form, space, number = _PLAIN.unpack_from(chunk)
        services = self._services
        if number not in services.at_once or form != _FOUR_BYTE or space or kind != b"MSG" or final != b"F":
            return False
        if not self._in_step(channel, token, sequence):
            return False
        request, service, answer = self._start(request_id, chunk[_CHUNK_BODY:])
        self._finish(request, service, answer)
        return True

    async def _serve(self, request_id: int, body: bytes) -> bool:
        request, service, answer = self._start(request_id, body)
        if not (answer is None or isinstance(answer, bytes)) and isinstance(answer, Awaitable):
            try:
                answer = await answer
            except Exception as problem:  # noqa: BLE001  # answered, and logged by the faults
                self._fail(request, problem)
                return True
        self._finish(request, service, answer)
        return True

    def _start(self, request_id: int, body: bytes) -> tuple[Request, Service | None, Any]:
        """Read a request and call its service; where that fails the client is told, and there is no answer."""
        request = None
        try:
            request = parse(body, request_id)
            service = self._service(request.kind)
            if not service.sessionless:
                self._admit(request)
            if service.parameters is not None:
                elements = self._services.limits.request_elements
                inspect(service.parameters, body, request.offset, elements=elements, most=service.most)
            return request, service, service.handler(self, request)
        except Exception as problem:  # noqa: BLE001  # answered, and logged by the faults
            request = request or Request(0, b"", 0, 0, 0, request_id, body, 0)
            self._fail(request, problem)
            return request, None, None

    def _finish(self, request: Request, service: Service | None, answer: Any) -> None:
        """Send an answer, if there is one already."""
        if answer is None or service is None:
            return
        try:
            if isinstance(answer, bytes):
                self.send(request, header(service.response, request.handle, self._ticks()) + answer)
            else:
                self.send(request, written(answer, request.handle))
        except Exception as problem:  # noqa: BLE001  # answered, and logged by the faults
            self._fail(request, problem)

    def _fail(self, request: Request, problem: Exception) -> None:
        if isinstance(problem, ServiceError | ua.uaerrors.UaStatusCodeError):
            self.refuse(request, int(problem.code))
        elif isinstance(problem, InvalidSignature):
            self.refuse(request, ua.StatusCodes.BadApplicationSignatureInvalid)
        else:
            self._services.faults.note(f"request failed, type {request.kind}", self.name, problem)
            self.refuse(request, ua.StatusCodes.BadInternalError)

    def send(self, request: Request, response: bytes) -> None:
        """Send a response in as many chunks as it needs."""
        if self._transport.is_closing():
            return
        limits = self._limits
        if len(response) > limits.max_answer_size or (
            limits.max_answer_chunks and len(response) > limits.max_answer_chunks * (limits.max_send_buffer // 2)
        ):
            response = header(_FAULT, request.handle, self._ticks(), ua.StatusCodes.BadResponseTooLarge)
        if self._transport.get_write_buffer_size() + len(response) > self._services.limits.unsent_bytes:
            self._services.faults.note("answers not read", self.name)
            self._transport.abort()
            return
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
        self.iserver.rejections.count(code)
        self.send(request, header(_FAULT, request.handle, self._ticks(), code))

    def leave(self) -> None:
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
        self._connection.release()

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
        if header.MessageType != b"MSG" or header.ChunkType != b"F":
            return None
        data = bytes(body)
        token, sequence, request_id = _SEQUENCE.unpack_from(data)
        if not self._in_step(header.ChannelId, token, sequence):
            return None
        return request_id, data[_SEQUENCE.size :]

    def _in_step(self, channel: int, token: int, sequence: int) -> bool:
        """Whether a chunk is the next one of an open channel without security; then it counts as received."""
        connection = self._connection
        held = connection.security_token
        expected = connection._peer_sequence_number  # noqa: SLF001
        if (
            type(connection.security_policy) is not SecurityPolicyNone
            or connection._incoming_parts  # noqa: SLF001
            or not connection.is_open()
            or token != held.TokenId
            or channel != held.ChannelId
            or expected is None
            or sequence != expected + 1
        ):
            return False
        connection._peer_sequence_number = sequence  # noqa: SLF001
        return True

    def _goodbye(self, code: int) -> bool:
        self._services.faults.note(ua.StatusCode(code).name, self.name)
        message = ua.ErrorMessage(ua.StatusCode(code), "")
        self._transport.write(uatcp_to_binary(ua.MessageType.Error, message))
        return False

    def _ticks(self) -> int:
        return self._services.clock.now_ns() // 100 + EPOCH_1601_TICKS


_SEQUENCE = Struct("<III")

"""A bare OPC UA TCP client that says exactly what a test wants said."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from asyncua import ua
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary

NONE = "http://opcfoundation.org/UA/SecurityPolicy#None"
SEQUENCE_AT = 16
"""Offset of the sequence number in a MSG chunk."""
BODY_AT = 24


def hello(recv: int = 65_536, send: int = 65_536, url: bytes | None = b"opc.tcp://hub", version: int = 0) -> bytes:
    """A Hello message."""
    text = struct.pack("<i", -1) if url is None else struct.pack("<i", len(url)) + url
    body = struct.pack("<IIIII", version, recv, send, 0, 0) + text
    return b"HELF" + struct.pack("<I", 8 + len(body)) + body


def chunk(
    body: bytes, *, kind: bytes = b"MSG", last: bytes = b"F", channel: int, token: int, sequence: int, request: int
) -> bytes:
    """A chunk without security."""
    head = struct.pack("<IIIII", 24 + len(body), channel, token, sequence, request)
    return kind + last + head + body


class Wire:
    """One connection, without security."""

    def __init__(self, port: int, local: str = "127.0.0.1") -> None:
        self.port = port
        self.local = local
        self.channel = self.token = self.sequence = self.request_id = 0
        self.auth = ua.NodeId()

    async def __aenter__(self) -> Wire:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.local, 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    def say(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    async def message(self, timeout_s: float = 60.0) -> tuple[bytes, bytes]:
        """The next message: its kind and all its bytes."""
        async with asyncio.timeout(timeout_s):
            head = await self.reader.readexactly(8)
            rest = await self.reader.readexactly(struct.unpack("<I", head[4:])[0] - 8)
        return head[:3], head + rest

    async def error(self) -> int:
        """Code of the Error message that comes next; it must be the last thing that comes."""
        kind, data = await self.message()
        assert kind == b"ERR", kind
        assert await self.closed()
        return int(struct.unpack_from("<I", data, 8)[0])

    async def closed(self) -> bool:
        """Wait for the end."""
        async with asyncio.timeout(60):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True

    async def greet(self) -> None:
        """HEL and ACK."""
        self.say(hello())
        assert (await self.message())[0] == b"ACK"

    def opening(
        self,
        *,
        uri: str = NONE,
        mode: int = 1,
        lifetime_ms: int = 3_600_000,
        renew: bool = False,
        certificate: bytes | None = None,
        nonce: bytes | None = None,
    ) -> bytes:
        """An OPN chunk."""
        request = ua.OpenSecureChannelRequest()
        request.Parameters.SecurityMode = ua.MessageSecurityMode(mode)
        request.Parameters.RequestType = ua.SecurityTokenRequestType(int(renew))
        request.Parameters.RequestedLifetime = lifetime_ms
        request.Parameters.ClientNonce = nonce
        sender = struct.pack("<i", -1) if certificate is None else struct.pack("<i", len(certificate)) + certificate
        security = struct.pack("<i", len(uri)) + uri.encode() + sender + struct.pack("<i", -1)
        self.sequence += 1
        self.request_id += 1
        body = security + struct.pack("<II", self.sequence, self.request_id) + struct_to_binary(request)
        return b"OPNF" + struct.pack("<II", 12 + len(body), self.channel) + body

    async def open(self, **asked: Any) -> Any:
        """OPN and its answer."""
        self.say(self.opening(**asked))
        kind, data = await self.message()
        assert kind == b"OPN", data
        at = 12
        for _ in range(3):
            at += 4 + max(struct.unpack_from("<i", data, at)[0], 0)
        answer = struct_from_binary(ua.OpenSecureChannelResponse, ua.utils.Buffer(data, at + 8))
        self.channel = answer.Parameters.SecurityToken.ChannelId
        self.token = answer.Parameters.SecurityToken.TokenId
        return answer.Parameters

    def ask(self, body: bytes, *, last: bytes = b"F", kind: bytes = b"MSG", new: bool = True) -> bytes:
        """A chunk with the next numbers."""
        self.sequence += 1
        self.request_id += new
        return chunk(
            body,
            kind=kind,
            last=last,
            channel=self.channel,
            token=self.token,
            sequence=self.sequence,
            request=self.request_id,
        )

    def written(self, request: Any) -> bytes:
        """A request as bytes, with the session's token."""
        request.RequestHeader.AuthenticationToken = self.auth
        data: bytes = struct_to_binary(request)
        return data

    async def answer(self) -> tuple[int, int, bytes]:
        """Type, service result and body of the next response, put together from its chunks."""
        body = b""
        while True:
            kind, data = await self.message()
            assert kind == b"MSG", data
            body += data[BODY_AT:]
            if data[3:4] == b"F":
                break
        return struct.unpack_from("<H", body, 2)[0], struct.unpack_from("<I", body, 16)[0], body

    async def call(self, request: Any) -> tuple[int, int, bytes]:
        """Send a request and wait for its answer."""
        self.say(self.ask(self.written(request)))
        return await self.answer()

    async def code(self, request: Any) -> int:
        """Service result of a request."""
        return (await self.call(request))[1]

    async def create_session(self, timeout_ms: float = 60_000.0) -> Any:
        """CreateSession."""
        request = ua.CreateSessionRequest()
        request.Parameters.RequestedSessionTimeout = timeout_ms
        request.Parameters.ClientDescription.ApplicationUri = "urn:wire"
        kind, code, body = await self.call(request)
        assert code == 0, hex(code)
        assert kind == ua.ObjectIds.CreateSessionResponse_Encoding_DefaultBinary
        answer = struct_from_binary(ua.CreateSessionResponse, ua.utils.Buffer(body)).Parameters
        self.auth = answer.AuthenticationToken
        return answer

    @staticmethod
    def activation() -> Any:
        """ActivateSession of an anonymous user."""
        request = ua.ActivateSessionRequest()
        request.Parameters.UserIdentityToken = ua.AnonymousIdentityToken("anonymous")
        return request

    async def enter(self) -> Wire:
        """The whole handshake."""
        await self.greet()
        await self.open()
        await self.create_session()
        assert await self.code(self.activation()) == 0
        return self

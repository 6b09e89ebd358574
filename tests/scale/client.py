"""One client for all servers: asyncua's for connection and session, then requests encoded once and answers not decoded.

So the client is cheap, the same for both servers, and never what limits them.
"""

from __future__ import annotations

import asyncio
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary, struct_to_binary

from server.opcua.certificates import own_certificate

TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Identity:
    """An application's certificate (DER) and private key (PEM), in files."""

    application_uri: str
    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path, application_uri: str) -> Identity:
        """A new one in `folder`, valid on this machine only."""
        own = own_certificate(folder, application_uri, ["localhost", "127.0.0.1"], time.time_ns())
        return cls(application_uri, own.certificate, own.key)


class BenchClient:
    """A session, over SignAndEncrypt (Basic256Sha256) where it has an `identity`. Use with `async with`."""

    def __init__(self, url: str, identity: Identity | None = None) -> None:
        self.client = Client(url, timeout=TIMEOUT_S)
        self._identity = identity

    async def __aenter__(self) -> Self:
        own = self._identity
        if own is not None:
            self.client.application_uri = own.application_uri
            await self.client.set_security(
                SecurityPolicyBasic256Sha256, own.certificate, own.key, mode=ua.MessageSecurityMode.SignAndEncrypt
            )
        await self.client.connect()
        self._protocol = self.client.uaclient.protocol
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.disconnect()

    def encode(self, request: Any) -> bytes:
        """A request to be sent again and again; all of them carry the same request handle."""
        self._protocol._setup_request_header(request.RequestHeader, TIMEOUT_S)
        encoded: bytes = struct_to_binary(request)
        return encoded

    async def send(self, encoded: bytes) -> Answer:
        """Send it; the answer is a service fault or good, but not decoded."""
        protocol = self._protocol
        protocol._request_id += 1
        protocol.revolve_security_token()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        protocol._callbackmap[protocol._request_id] = answer
        protocol.transport.write(protocol._connection.message_to_binary(encoded, request_id=protocol._request_id))
        return Answer(await asyncio.wait_for(answer, TIMEOUT_S))

    async def call(self, request: Any, response: type[Any]) -> Any:
        """One request with its decoded answer; raises ua.UaStatusCodeError."""
        answer = await self.send(self.encode(request))
        decoded = struct_from_binary(response, answer.body)
        decoded.ResponseHeader.ServiceResult.check()
        return decoded

    async def plant_namespace(self) -> int:
        """Index of the namespace in which the plant's nodes are, ours or the stock server's."""
        uris = await self.client.get_namespace_array()
        return next(index for index, uri in enumerate(uris) if uri in ("urn:joulehub:plant", "urn:bench"))


class Answer:
    """An answer on the wire."""

    def __init__(self, body: Any) -> None:
        self.body = body
        """asyncua's buffer, standing at the type id."""

    def after_header(self) -> tuple[bytes, int]:
        """Type id of the answer and what follows its header; raises ua.UaStatusCodeError."""
        buffer = self.body.copy()
        kind = nodeid_from_binary(buffer)
        header = struct_from_binary(ua.ResponseHeader, buffer)
        header.ServiceResult.check()
        return bytes(buffer), int(kind.Identifier)

    def notified(self) -> tuple[int, int, bool, int]:
        """Subscription, sequence number, whether more is waiting, and how many changes a PublishResponse carries."""
        data, _ = self.after_header()
        subscription, available = struct.unpack_from("<Ii", data)
        at = 8 + 4 * max(available, 0)
        more, sequence, _, parts = struct.unpack_from("<?Iqi", data, at)
        at += 17
        changes = 0
        for _ in range(max(parts, 0)):
            at += 4  # type id of an extension object, four bytes long
            _, length, items = struct.unpack_from("<Bii", data, at)
            changes += items
            at += 5 + length
        return subscription, sequence, more, changes

"""TCP connections: bounded before anything is believed (Part 6 7.1).

asyncua gathers whatever a header announces, up to 4 GiB, before any authentication. Here a chunk is refused by its
header, and a connection without a session may send only as much as a handshake needs.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

from asyncua import ua
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import Buffer
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.ua.ua_binary import header_from_binary, uatcp_to_binary

from server.opcua.processor import HubProcessor, Services

_HEADER = Struct("<3scI")
_SMALLEST = 8
_KINDS = (b"HEL", b"OPN", b"MSG", b"CLO")
_HELLO_BYTES = 8_192


class HubProtocol(OPCUAProtocol):  # type: ignore[misc]
    """One connection; makes the hub's processor instead of asyncua's."""

    processor: HubProcessor | None

    def __init__(self, services: Services, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._services = services
        self._received = bytearray()
        self._unauthenticated = services.limits.unauthenticated_bytes

    def connection_made(self, transport: Any) -> None:
        """Accept, or close where there are too many."""
        super().connection_made(transport)
        if self.processor is not None:
            self.processor = HubProcessor(self._services, transport, self.limits)
            self.processor.set_policies(self.policies)

    def data_received(self, data: bytes) -> None:
        """Cut the stream into chunks; close with an Error message where it cannot be one."""
        self._received += data
        if self.processor is None or not self._within_bounds(len(data)):
            return
        start = 0
        held = self._received
        while len(held) - start >= _SMALLEST:
            kind, _, size = _HEADER.unpack_from(held, start)
            limit = _HELLO_BYTES if kind == b"HEL" else self.processor.chunk_limit
            if kind not in _KINDS or size < _SMALLEST:
                self.reject(ua.StatusCodes.BadTcpMessageTypeInvalid)
                return
            if size > limit:
                self.reject(ua.StatusCodes.BadTcpMessageTooLarge)
                return
            if len(held) - start < size:
                break
            if not self._queue(bytes(held[start : start + size])):
                return
            start += size
        del held[:start]

    def reject(self, code: int) -> None:
        """Say why and close (Part 6 7.1.5)."""
        self._received.clear()
        if self.transport is not None and not self.transport.is_closing():
            message = ua.ErrorMessage(ua.StatusCode(code), "")
            self.transport.write(uatcp_to_binary(ua.MessageType.Error, message))
            self.transport.close()

    def _within_bounds(self, size: int) -> bool:
        if self._unauthenticated < 0:
            return True
        if self.processor is not None and self.processor.activated:
            self._unauthenticated = -1
            return True
        self._unauthenticated -= size
        if self._unauthenticated < 0:
            self.reject(ua.StatusCodes.BadTcpNotEnoughResources)
            return False
        return True

    def _queue(self, chunk: bytes) -> bool:
        buffer = Buffer(chunk)
        header = header_from_binary(buffer)
        if header.body_size <= 0 or self.messages.full():
            self.reject(ua.StatusCodes.BadTcpNotEnoughResources)
            return False
        self.messages.put_nowait((header, buffer))
        return True


class HubBinaryServer(BinaryServer):  # type: ignore[misc]
    """Listens, and makes a `HubProtocol` of each connection."""

    def __init__(self, services: Services, hostname: str, port: int, limits: TransportLimits) -> None:
        super().__init__(services.iserver, hostname, port, limits)
        self._services = services

    def _make_protocol(self) -> HubProtocol:
        return HubProtocol(
            self._services,
            iserver=self.iserver,
            policies=self._policies,
            clients=self.clients,
            closing_tasks=self.closing_tasks,
            limits=self.limits,
        )

"""TCP connections: bounded before anything is believed (Part 6 7.1).

asyncua gathers whatever a header announces, up to 4 GiB, before any authentication, writes without end to a client
that does not read, and refuses the honest newcomer where parked connections have taken all places. Here a chunk is
refused by its header; a connection without a session may send what a handshake needs, in the time a handshake needs;
reading stops where requests pile up, and requests wait where answers do.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from struct import Struct
from typing import Any

from asyncua import ua
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import Buffer
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.ua.ua_binary import header_from_binary, uatcp_to_binary

from address_space.model.clock import NS
from server.opcua.processor import HubProcessor, Services

_HEADER = Struct("<3scI")
_SMALLEST = {b"HEL": 8 + 24, b"OPN": 12 + 12, b"MSG": 12 + 12, b"CLO": 12 + 12}
_HELLO_BYTES = 8_192
_PENDING = 64
_PENDING_LOW = 16
_UNSENT_HIGH = 256 * 1024
_TURN_S = 0.01
_SWEEP_S = 1.0
_AT_ONCE = 16
"""Requests served straight from what was received, before others have a turn."""


class HubProtocol(OPCUAProtocol):  # type: ignore[misc]
    """One connection; makes the hub's processor instead of asyncua's."""

    processor: HubProcessor | None

    def __init__(self, services: Services, server: HubBinaryServer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._services = services
        self._server = server
        self._received = bytearray()
        self._bytes = self._chunks = 0
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading = True
        self._idle = False
        self._since_ns = self._chunk_since_ns = self._stalled_since_ns = services.clock.monotonic_ns()

    @property
    def address(self) -> str:
        """Where the peer is, without its port."""
        return str(self.peer_name[0]) if self.peer_name else ""

    @property
    def rank(self) -> int:
        """How far the handshake has come: 0 nothing, 1 Hello, 2 a channel, 3 a session, 4 an activated one."""
        return self.processor.rank if self.processor is not None else 0

    @property
    def age(self) -> int:
        """When it came; lower is older."""
        return self._since_ns

    def connection_made(self, transport: Any) -> None:
        """Accept; where there are too many, one that is not authenticated gives way, or this one is refused."""
        self.peer_name = transport.get_extra_info("peername")
        self.transport = transport
        transport.set_write_buffer_limits(high=_UNSENT_HIGH)
        self.iserver.asyncio_transports.append(transport)
        if not self._server.admit(self):
            self._services.faults.note("too many connections", self.peer_name)
            self.reject(ua.StatusCodes.BadTcpServerTooBusy)
            return
        self.processor = HubProcessor(self._services, transport, self.limits)
        self.processor.set_policies(self.policies)
        self.clients.append(self)
        self._task = asyncio.create_task(self._process_received_message_loop(), name="opcua connection")

    def connection_lost(self, ex: BaseException | None) -> None:  # noqa: ARG002
        """The peer is gone."""
        if self.transport is not None and self.transport in self.iserver.asyncio_transports:
            self.iserver.asyncio_transports.remove(self.transport)
        if self in self.clients:
            self.clients.remove(self)
        if self.processor is not None:
            self.processor.leave()
        if self._task is not None:
            self._task.cancel()
        self._received.clear()
        self._writable.set()

    def pause_writing(self) -> None:
        """The peer does not read: its requests wait."""
        self._stalled_since_ns = self._services.clock.monotonic_ns()
        self._writable.clear()
        if self.processor is not None:
            self.processor.congested = True

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._writable.set()
        if self.processor is not None:
            self.processor.congested = False

    def data_received(self, data: bytes) -> None:
        """Keep what came, and cut it into chunks as far as there is room for them."""
        if self.processor is None or self.transport is None or self.transport.is_closing():
            return
        if self.processor.activated:
            self._bytes = self._chunks = 0
            if self._idle and not self._received and self._served_whole(data):
                return
        else:
            self._bytes += len(data)
            if self._bytes > self._services.limits.unauthenticated_bytes:
                self.reject(ua.StatusCodes.BadTcpNotEnoughResources)
                return
        if not self._received:
            self._chunk_since_ns = self._services.clock.monotonic_ns()
        self._received += data
        self._cut()

    def reject(self, code: int) -> None:
        """Say why and close (Part 6 7.1.5)."""
        self._received.clear()
        self._services.faults.note(ua.StatusCode(code).name, self.peer_name)
        if self.transport is not None and not self.transport.is_closing():
            message = ua.ErrorMessage(ua.StatusCode(code), "")
            self.transport.write(uatcp_to_binary(ua.MessageType.Error, message))
            self.transport.close()

    def look_after(self, now_ns: int) -> None:
        """Close what has taken too long: a handshake, a chunk, an answer's way out, a channel (called every second)."""
        limits = self._services.limits
        if self.transport is None or self.processor is None:
            return
        if self.processor.activated:
            self._since_ns = now_ns
        stalled = not self._writable.is_set() and now_ns - self._stalled_since_ns > limits.stalled_s * NS
        if stalled or self.transport.is_closing():
            # nothing more can be said to it
            self.transport.abort()
        elif now_ns - self._since_ns > limits.activation_s * NS or (
            self._received and self._reading and now_ns - self._chunk_since_ns > limits.stalled_s * NS
        ):
            self.reject(ua.StatusCodes.BadTimeout)
        elif self.processor.expired:
            self.reject(ua.StatusCodes.BadSecureChannelClosed)

    def _cut(self) -> None:
        held = self._received
        start = served = 0
        while len(held) - start >= _HEADER.size and self.messages.qsize() < _PENDING:
            kind, _, size = _HEADER.unpack_from(held, start)
            code = self._wrong(kind, size)
            if code:
                self.reject(code)
                return
            if len(held) - start < size:
                break
            chunk = bytes(held[start : start + size])
            if self._idle and kind == b"MSG" and served < _AT_ONCE and self._serve(chunk):
                served += 1
                start += size
                continue
            buffer = Buffer(chunk)
            self.messages.put_nowait((header_from_binary(buffer), buffer))
            start += size
        if start:
            del held[:start]
            self._chunk_since_ns = self._services.clock.monotonic_ns()
        self._read_on(self.messages.qsize() < _PENDING)

    def _served_whole(self, data: bytes) -> bool:
        """Serve what came where it is one chunk and nothing else, as a client that polls sends it."""
        if len(data) < _HEADER.size:
            return False
        kind, _, size = _HEADER.unpack_from(data)
        return kind == b"MSG" and size == len(data) <= self.limits.max_recv_buffer and self._serve(data)

    def _serve(self, chunk: bytes) -> bool:
        """Serve a chunk now, where nothing waits before it and its answer can go out."""
        processor = self.processor
        return processor is not None and self.messages.empty() and self._writable.is_set() and processor.at_once(chunk)

    def _wrong(self, kind: bytes, size: int) -> int:
        """The status that refuses a header, 0 where it may be one."""
        smallest = _SMALLEST.get(kind)
        if smallest is None or size < smallest:
            return int(ua.StatusCodes.BadTcpMessageTypeInvalid)
        if size > (_HELLO_BYTES if kind == b"HEL" else self.limits.max_recv_buffer):
            return int(ua.StatusCodes.BadTcpMessageTooLarge)
        if self._bytes:
            self._chunks += 1
            if self._chunks > self._services.limits.unauthenticated_chunks:
                return int(ua.StatusCodes.BadTcpNotEnoughResources)
        return 0

    def _read_on(self, wanted: bool) -> None:  # noqa: FBT001
        if self.transport is None or self.transport.is_closing() or wanted == self._reading:
            return
        self._reading = wanted
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    async def _process_received_message_loop(self) -> None:
        """One request after the other, as fast as the peer takes the answers; then others have a turn."""
        turn = time.perf_counter()
        while self.processor is not None:
            self._idle = True
            header, buffer = await self.messages.get()
            self._idle = False
            await self._writable.wait()
            if not await self.processor.process(header, buffer):
                break
            if not self._reading and self.messages.qsize() <= _PENDING_LOW:
                self._cut()
            if time.perf_counter() - turn > _TURN_S:
                await asyncio.sleep(0)
                turn = time.perf_counter()
        if self.transport is not None:
            self.transport.close()


class HubBinaryServer(BinaryServer):  # type: ignore[misc]
    """Listens, and makes a `HubProtocol` of each connection."""

    def __init__(self, services: Services, hostname: str, port: int, limits: TransportLimits) -> None:
        super().__init__(services.iserver, hostname, port, limits)
        self._services = services

    def admit(self, newcomer: HubProtocol) -> bool:
        """Whether there is a place. Else whoever did least gives way, of the address that has most connections."""
        limits = self._services.limits
        mine = [one for one in self.clients if one.address == newcomer.address]
        if 0 < limits.connections_per_address <= len(mine):
            return self._displace(mine)
        return len(self.clients) < limits.connections or self._displace(self.clients)

    def _displace(self, among: list[HubProtocol]) -> bool:
        waiting = [one for one in among if one.rank < HubProcessor.ACTIVATED]
        if not waiting:
            return False
        crowd = Counter(one.address for one in self.clients)
        loser = min(waiting, key=lambda one: (-crowd[one.address], one.rank, one.age))
        self.clients.remove(loser)
        self._services.faults.note("handshakes displaced", loser.peer_name)
        if loser.transport is not None:
            loser.transport.abort()
        return True

    def _make_protocol(self) -> HubProtocol:
        return HubProtocol(
            self._services,
            self,
            iserver=self.iserver,
            policies=self._policies,
            clients=self.clients,
            closing_tasks=self.closing_tasks,
            limits=self.limits,
        )

    async def _close_task_loop(self) -> None:
        """asyncua collects its closing tasks here; there are none, and the hub looks after its connections."""
        while True:
            await self._services.clock.sleep(_SWEEP_S)
            now = self._services.clock.monotonic_ns()
            for client in list(self.clients):
                client.look_after(now)
            self._services.faults.sweep()

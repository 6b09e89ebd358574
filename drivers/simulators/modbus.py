"""The device side of Modbus: one listening port with any number of units behind it, and their faults on the wire.

It is written on bare asyncio so that a unit can misbehave in ways that no library's server allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol, cast

from address_space.model.clock import Clock
from drivers.simulators.faults import (
    Dropped,
    ExceptionAnswer,
    FaultState,
    Garbage,
    Late,
    Silent,
    Slow,
    WireFault,
    WrongCheck,
    WrongLength,
    WrongUnit,
)
from drivers.simulators.framing import BrokenStream, Frame, Framing, join, take
from drivers.simulators.listening import ListeningPort, end
from drivers.simulators.noise import key_of
from drivers.simulators.pdu import READ_COILS, READ_INPUT, Bank, Refusal, answer, exception
from drivers.simulators.wire import MODBUS as WIRES

_BROADCAST = 0
_ANY_DEVICE = (0, 255)
"""Unit ids with which a client addresses the one device at a TCP port (MODBUS on TCP/IP guide 4.4.1.2)."""


class Unit(Protocol):
    """One device on the bus."""

    @property
    def fault_state(self) -> FaultState:
        """Its faults; the server counts the requests there."""

    def bank(self, now_ns: int) -> Bank:
        """Its registers at a moment."""


class ModbusServer(ListeningPort):
    """A Modbus TCP device or gateway, to be started and stopped at will; the first start chooses a port given as 0."""

    def __init__(
        self, host: str, port: int, units: Mapping[int, Unit], clock: Clock, framing: Framing = Framing.TCP
    ) -> None:
        super().__init__(host, port, lambda: _Connection(self), self._cut)
        self.framing = framing
        self.requests = 0
        self._units = units
        self._only = next(iter(units.values())) if len(units) == 1 and framing is Framing.TCP else None
        self._clock = clock
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def opened(self, connection: _Connection) -> None:
        """A client has come."""
        if not self.running:
            connection.cut()
        self._connections.add(connection)

    def closed(self, connection: _Connection) -> None:
        """A client has gone."""
        self._connections.discard(connection)

    def serve(self, connection: _Connection, request: Frame) -> None:
        """Answer one request, or do what the unit's fault says instead."""
        self.requests += 1
        unit = self._units.get(request.unit)
        if unit is None:
            unit = self._only if request.unit in _ANY_DEVICE else None
        if unit is None:
            self._serve_nobody(connection, request)
            return
        now_ns = self._clock.now_ns()
        state = unit.fault_state
        state.requests += 1
        fault = state.wire(now_ns) if state.faults else None
        reply = Frame(request.transaction, request.unit, answer(unit.bank(now_ns), request.pdu))
        held = connection.held.pop(request.unit, None)
        if held is not None:
            connection.send(self.frame(held))
        if fault is None:
            connection.send(self.frame(reply))
        else:
            self._misbehave(connection, state, fault, reply)

    def frame(self, reply: Frame) -> bytes:
        """The answer as it goes over the connection."""
        return join(self.framing, reply)

    def _serve_nobody(self, connection: _Connection, request: Frame) -> None:
        if request.unit == _BROADCAST:
            now_ns = self._clock.now_ns()
            if request.pdu[0] > READ_INPUT:
                for unit in self._units.values():
                    answer(unit.bank(now_ns), request.pdu)
        elif self.framing is Framing.TCP:
            pdu = exception(request.pdu[0], Refusal.TARGET_SILENT)
            connection.send(self.frame(Frame(request.transaction, request.unit, pdu)))

    def _misbehave(self, connection: _Connection, state: FaultState, fault: WireFault, reply: Frame) -> None:
        transaction, unit, pdu = reply.transaction, reply.unit, reply.pdu
        match fault:
            case Silent():
                pass
            case Slow(delay_s):
                self._spawn(self._send_later(connection, self.frame(reply), delay_s))
            case WrongLength(words):
                connection.send(self.frame(Frame(transaction, unit, _resized(pdu, words))))
            case WrongCheck() if self.framing is Framing.TCP:
                connection.send(self.frame(Frame((transaction + 0x5A5A) & 0xFFFF, unit, pdu)))
            case WrongCheck():
                connection.send(WIRES[self.framing].spoiled(self.frame(reply)))
            case WrongUnit(shift):
                connection.send(self.frame(Frame(transaction, (unit + shift) & 0xFF, pdu)))
            case ExceptionAnswer(code):
                connection.send(self.frame(Frame(transaction, unit, exception(pdu[0], code))))
            case Dropped(sent):
                connection.send(self.frame(reply)[:sent])
                connection.hang_up()
            case Garbage(size):
                connection.send(_noise(f"{unit}/{state.requests}", size))
            case Late():
                connection.held[unit] = reply
            case _:
                connection.send(self.frame(reply))

    async def _send_later(self, connection: _Connection, data: bytes, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        connection.send(data)

    async def _cut(self) -> None:
        for connection in tuple(self._connections):
            connection.cut()
        await end(self._tasks)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"slow answer at {self.host}:{self.port}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Connection(asyncio.Protocol):
    """One client. A client that does not read its answers is not read from either."""

    def __init__(self, server: ModbusServer) -> None:
        self.held: dict[int, Frame] = {}
        """Late answers by unit."""
        self._server = server
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A TCP server makes no other kind; uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._transport = None
        self._server.closed(self)

    def data_received(self, data: bytes) -> None:
        try:
            frames, self._rest = take(self._server.framing, self._rest + data)
        except BrokenStream:
            self.hang_up()
            return
        for frame in frames:
            if self._transport is None or self._transport.is_closing():
                return
            self._server.serve(self, frame)

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def send(self, data: bytes) -> None:
        """Send, unless the client has gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def hang_up(self) -> None:
        """Close after what is already sent."""
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


def _resized(pdu: bytes, words: int) -> bytes:
    """A read answer with more or fewer registers, its byte count fitting; any other answer with more or fewer bytes."""
    change = 2 * words
    if not READ_COILS <= pdu[0] <= READ_INPUT:
        return pdu[: max(1, len(pdu) + change)] + bytes(max(0, change))
    data = (pdu[2:] + bytes(max(0, change)))[: max(0, len(pdu) - 2 + change)][:250]
    return bytes((pdu[0], len(data))) + data


def _noise(seed: str, size: int) -> bytes:
    blocks = [key_of(seed, block).to_bytes(8, "big") for block in range(size // 8 + 1)]
    return b"".join(blocks)[:size]

"""One connection from outside: registers, is then heard through the link of its channel."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol, cast

from address_space.model.clock import NS, Clock
from drivers.transport.dial_in import DialInLink
from drivers.transport.packets import SHORT, Found, Packet

MOST_UNREGISTERED = 512
"""Bytes within which a registration must be found."""
MOST_UNSENT = 64 * 1024
MOST_A_SECOND = 64 * 1024
"""Bytes within a second that a bus behind a modem cannot bring: a modem that sends more is broken or none."""
SETTLE_S = 0.1
"""An id that ends where the bytes end may go on in the next packet; so long it is waited for."""
HOLD_S = 0.03
"""How long bytes are kept back that may be the beginning of a heartbeat."""
KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4), ("TCP_USER_TIMEOUT", 120_000))


class Board(Protocol):
    """What a connection needs of its switchboard."""

    registrations: Packet
    heartbeats: Packet | None

    def came(self, caller: CallerConnection) -> None:
        """It stands."""

    def knows(self, id: str) -> bool:  # noqa: A002
        """Whether a modem has this id."""

    def registered(self, caller: CallerConnection, id: str) -> DialInLink | None:  # noqa: A002
        """It has said who it is; returns whose link that is."""

    def unread(self, caller: CallerConnection, data: bytes) -> None:
        """It has sent something that holds no registration."""

    def left(self, caller: CallerConnection) -> None:
        """It ended without having registered."""


class CallerConnection(asyncio.Protocol):
    """`Caller`; the event loop's side of it."""

    __slots__ = (
        "_board",
        "_clock",
        "_counted",
        "_counted_from_ns",
        "_held",
        "_link",
        "_packet",
        "_timer",
        "_transport",
        "_why",
        "heard_ns",
        "peer",
    )

    def __init__(self, board: Board, clock: Clock) -> None:
        self.peer = ""
        self.heard_ns = 0
        self._board = board
        self._clock = clock
        self._transport: asyncio.Transport | None = None
        self._link: DialInLink | None = None
        self._held = b""
        self._packet = b""
        self._counted = 0
        self._counted_from_ns = 0
        self._timer: asyncio.TimerHandle | None = None
        self._why = "the modem has hung up"

    @property
    def host(self) -> str:
        """Address without port."""
        return self.peer.rpartition(":")[0]

    # what links do with it

    def send(self, data: bytes) -> None:
        """Send; raises OSError."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise OSError("the connection has ended")
        if transport.get_write_buffer_size() > MOST_UNSENT:
            self.end("the modem takes no bytes any more")
            raise OSError("it takes no bytes any more")
        transport.write(data)

    def drop(self) -> None:
        """Cut it off."""
        self._rest()
        if self._transport is not None:
            self._transport.abort()

    def end(self, why: str) -> None:
        """Cut it off and tell its link why."""
        self._why = why
        self.drop()

    # what the event loop does with it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername") or ("unknown", 0)
        self.peer = f"{address[0]}:{address[1]}"
        self.heard_ns = self._clock.monotonic_ns()
        _keep_alive(transport.get_extra_info("socket"))
        self._board.came(self)

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._link is None:
            self._held += data
            self._register(settled=False)
            return
        self.heard_ns = now_ns = self._clock.monotonic_ns()
        if now_ns - self._counted_from_ns > NS:
            self._counted_from_ns, self._counted = now_ns, 0
        self._counted += len(data)
        if self._counted > MOST_A_SECOND:
            self.end("the modem sends more than any bus could say")
            return
        self._hear(self._link, data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as the contract has it
        self._rest()
        self._transport = None
        self._held = b""
        link, self._link = self._link, None
        if link is None:
            self._board.left(self)
        else:
            link.gone(self, self._why)

    def _register(self, *, settled: bool) -> None:
        self._rest()
        found = self._find()
        if found is None:
            if len(self._held) > MOST_UNREGISTERED:
                self._board.unread(self, self._held)
            return
        if found.end == len(self._held) and found.end <= MOST_UNREGISTERED and not settled:
            self._later(SETTLE_S, self._settle)
            return
        self._packet, rest, self._held = self._held[found.start : found.end], self._held[found.end :], b""
        link = self._board.registered(self, found.id)
        if link is None:
            return
        self._link = link
        self.heard_ns = self._clock.monotonic_ns()
        self._reply(self._board.registrations)
        if rest:
            self._hear(link, rest)

    def _settle(self) -> None:
        self._timer = None
        if self._link is None:
            self._register(settled=True)

    def _find(self) -> Found | None:
        """The registration in what was sent so far. Heartbeats may come before it, and may look like one, or like
        the modem's own id: that is a registration."""
        registrations, heartbeats = self._board.registrations, self._board.heartbeats
        if heartbeats is None:
            return registrations.find(self._held)
        rest, count = heartbeats.strip(self._held)
        if not count:
            return registrations.find(self._held)
        found = registrations.find(self._held)
        if found is not None and self._board.knows(found.id):
            return found
        self._held = rest
        self._reply(heartbeats)
        return registrations.find(rest)

    def _hear(self, link: DialInLink, data: bytes) -> None:
        self._rest()
        data, self._held = self._held + data, b""
        again = data.count(self._packet) if len(self._packet) > SHORT or data == self._packet else 0
        if again:
            data = data.replace(self._packet, b"")
            self._reply(self._board.registrations)
        heartbeats = self._board.heartbeats
        if heartbeats is not None and data:
            data, count = heartbeats.strip(data)
            if count:
                self._reply(heartbeats)
            begun = heartbeats.begun(data)
            if begun:
                data, self._held = data[:-begun], data[-begun:]
                self._later(HOLD_S, self._release)
        if data:
            link.heard(self, data)

    def _release(self) -> None:
        self._timer = None
        data, self._held = self._held, b""
        if self._link is not None and data:
            self._link.heard(self, data)

    def _reply(self, packet: Packet) -> None:
        if packet.reply and self._transport is not None and self._transport.get_write_buffer_size() <= MOST_UNSENT:
            self._transport.write(packet.reply)

    def _later(self, seconds: float, what: object) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, what)  # type: ignore[arg-type]

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _keep_alive(plug: socket.socket | None) -> None:
    """Have the system find out that a peer vanished without a word."""
    if plug is None:
        return
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE:
        option = getattr(socket, name, None)
        if option is not None:
            plug.setsockopt(socket.IPPROTO_TCP, option, value)

"""One simulated bus: stations of any protocols behind one wire, with the faults and the timing of a serial line.

It serves the far end of any link: of a pair in memory, a TCP connection, a pseudo-terminal, a modem that dials in
(`drivers.simulators.ports`). Whoever asks is answered on the link that the request came from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, runtime_checkable

from address_space.model.clock import NS, Clock
from drivers.errors import ChannelDown
from drivers.simulators.faults import (
    Babbling,
    Dropped,
    Echo,
    ExceptionAnswer,
    FaultState,
    Garbage,
    HalfFrame,
    Late,
    LongPreamble,
    NoiseBefore,
    Silent,
    Slow,
    StrayAnswer,
    WireFault,
    WrongCheck,
    WrongLength,
    WrongUnit,
)
from drivers.simulators.noise import key_of
from drivers.simulators.wire import Wire
from drivers.transport import SerialSettings

LONGEST_REQUEST = 300
"""Bytes of a stream that are kept while no request is in them."""
PIECE = 32
"""Bytes of an answer that a paced line lets through at once."""
LISTEN_S = 3600.0
LATE_NS = NS // 100
"""An answer that follows its request sooner than this went out in time: waking up late is no part of the line."""


class FarEnd(Protocol):
    """What the bus needs of a link."""

    def send(self, data: bytes) -> None:
        """Send; raises ChannelDown."""

    async def receive(self, limit_s: float) -> bytes:
        """As `Link.receive`."""

    def close(self) -> None:
        """Part."""


class Station(Protocol):
    """One device on the bus."""

    @property
    def fault_state(self) -> FaultState:
        """Its faults; the bus counts there the requests that it answered."""

    def answer(self, request: bytes, now_ns: int) -> bytes | None:
        """Do what is asked and say so, as whole frames; None where the request is for others or wants no answer."""


@runtime_checkable
class Refuser(Protocol):
    """A station that can be made to refuse (`ExceptionAnswer`)."""

    def refuse(self, request: bytes, code: int) -> bytes:
        """The error reply with this code, instead of an answer."""


class SimulatedBus:
    """Stations behind one wire. With `settings` it takes the time that such a line takes, else none.

    turnaround_s  silence between a request and its answer
    echo          the line hears itself: every request comes back first
    """

    def __init__(
        self,
        clock: Clock,
        settings: SerialSettings | None = None,
        *,
        turnaround_s: float = 0.0,
        echo: bool = False,
        name: str = "bus",
    ) -> None:
        self.settings = settings
        self.turnaround_s = turnaround_s
        self.echo = echo
        self.name = name
        self.requests = 0
        self._clock = clock
        self._wires: dict[str, Wire] = {}
        self._stations: dict[str, list[Station]] = {}
        self._by_address: dict[tuple[str, bytes], list[Station]] = {}
        self._last: dict[int, bytes] = {}
        self._held: dict[int, bytes] = {}
        self._free_ns = 0

    def attach(self, wire: Wire, station: Station, address: bytes | None = None) -> None:
        """Put a station on the bus. With its `address` as frames hold it, requests to it are found at once, and those
        to other known addresses are not shown to it."""
        self._wires[wire.name] = wire
        self._stations.setdefault(wire.name, []).append(station)
        if address is not None:
            self._by_address.setdefault((wire.name, address), []).append(station)

    def detach(self, station: Station) -> None:
        """Take a station off the bus; nothing happens where it is not on it."""
        for stations in (*self._stations.values(), *self._by_address.values()):
            while station in stations:
                stations.remove(station)

    async def serve(self, link: FarEnd) -> None:
        """Answer what comes over `link` until it is lost. Several links may be served at once."""
        stream = b""
        try:
            async with asyncio.TaskGroup() as later:
                conversation = _Conversation(link, later, self.name)
                while True:
                    stream += await link.receive(LISTEN_S)
                    while (found := self._cut(stream)) is not None:
                        wire, begin, end = found
                        request, stream = stream[begin:end], stream[end:]
                        await self._exchange(conversation, wire, request, end)
                    stream = stream[-LONGEST_REQUEST:]
        except* ChannelDown:
            pass

    def _cut(self, stream: bytes) -> tuple[Wire, int, int] | None:
        best: tuple[Wire, int, int] | None = None
        for wire in self._wires.values():
            span = wire.cut(stream)
            if span is not None and (best is None or span[0] < best[1]):
                best = wire, *span
        return best

    async def _exchange(self, to: _Conversation, wire: Wire, request: bytes, heard: int) -> None:
        """Serve one request; with what came before it, FE or noise, `heard` bytes have passed over the line."""
        self.requests += 1
        await self._take_line(heard)
        if self.echo:
            to.link.send(request)
        now_ns = self._clock.now_ns()
        answers: list[tuple[Station, bytes]] = []
        for station in self._asked(wire, request):
            reply = station.answer(request, now_ns)
            if reply is not None:
                answers.append((station, reply))
        if not answers:
            return
        if len(answers) > 1:
            await self._transmit(to, _collided([reply for _, reply in answers]))
            return
        station, reply = answers[0]
        state = station.fault_state
        state.requests += 1
        fault = state.wire(now_ns) if state.faults else None
        held = self._held.pop(id(station), None)
        if held is not None:
            await self._transmit(to, held)
        if fault is None:
            await self._transmit(to, reply)
            self._last.pop(id(station), None)
            self._last[id(station)] = reply
        else:
            await self._misbehave(to, wire, station, request, fault, reply)

    def _asked(self, wire: Wire, request: bytes) -> list[Station]:
        known = self._by_address.get((wire.name, wire.address_of(request)), [])
        return list(known or self._stations.get(wire.name, []))

    async def _misbehave(
        self, to: _Conversation, wire: Wire, station: Station, request: bytes, fault: WireFault, reply: bytes
    ) -> None:
        noise_seed = f"{wire.address_of(reply).hex()}/{station.fault_state.requests}"
        match fault:
            case Silent():
                pass
            case Slow(delay_s):
                to.later(self._send_later(to, reply, delay_s))
            case WrongLength(words):
                await self._transmit(to, wire.resized(reply, 2 * words))
            case WrongCheck():
                await self._transmit(to, wire.spoiled(reply))
            case WrongUnit(shift):
                await self._transmit(to, wire.moved(reply, shift))
            case ExceptionAnswer(code):
                refused = station.refuse(request, code) if isinstance(station, Refuser) else reply
                await self._transmit(to, refused)
            case Dropped(sent):
                await self._transmit(to, reply[:sent])
                to.link.close()
            case HalfFrame(sent):
                await self._transmit(to, reply[:sent])
            case Garbage(size):
                await self._transmit(to, _noise(noise_seed, size))
            case NoiseBefore(size):
                await self._transmit(to, _noise(noise_seed, size) + reply)
            case LongPreamble(count, fill):
                await self._transmit(to, bytes((fill,)) * count + reply)
            case Echo():
                await self._transmit(to, request + reply)
            case StrayAnswer(alone):
                strays = [said for other, said in self._last.items() if other != id(station)]
                await self._transmit(to, (strays[-1] if strays else b"") + (b"" if alone else reply))
            case Babbling(lasts_s, size, every_s):
                to.later(self._babble(to, noise_seed, lasts_s, size, every_s))
            case Late():
                self._held[id(station)] = reply

    async def _send_later(self, to: _Conversation, data: bytes, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        await self._transmit(to, data)

    async def _babble(self, to: _Conversation, seed: str, lasts_s: float, size: int, every_s: float) -> None:
        until_ns = self._clock.monotonic_ns() + round(lasts_s * NS)
        while self._clock.monotonic_ns() < until_ns:
            to.link.send(_noise(f"{seed}/{self._clock.monotonic_ns()}", size))
            await self._clock.sleep(every_s)

    async def _take_line(self, size: int) -> None:
        """Let the request pass, and the silence after it."""
        if self.settings is not None:
            begin_ns = max(self._free_ns, self._clock.monotonic_ns())
            await self._pass(begin_ns, size * self.settings.character_s + self.turnaround_s)
        elif self.turnaround_s:
            await self._clock.sleep(self.turnaround_s)

    async def _transmit(self, to: _Conversation, data: bytes) -> None:
        if self.settings is None:
            to.link.send(data)
            return
        now_ns = self._clock.monotonic_ns()
        begin_ns = self._free_ns if now_ns - self._free_ns < LATE_NS else now_ns
        for at in range(0, len(data), PIECE):
            piece = data[at : at + PIECE]
            await self._pass(begin_ns, len(piece) * self.settings.character_s)
            begin_ns = self._free_ns
            to.link.send(piece)

    async def _pass(self, begin_ns: int, seconds: float) -> None:
        """Line time from `begin_ns` on."""
        self._free_ns = begin_ns + round(seconds * NS)
        await self._clock.sleep((self._free_ns - self._clock.monotonic_ns()) / NS)


class _Conversation:
    """One link and what is still to be sent over it."""

    def __init__(self, link: FarEnd, group: asyncio.TaskGroup, name: str) -> None:
        self.link = link
        self._group = group
        self._name = name

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        self._group.create_task(_until_parted(work), name=f"late words on {self._name}")


async def _until_parted(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except ChannelDown:
        return


def _collided(replies: list[bytes]) -> bytes:
    """What is heard when several stations speak at once: a dominant zero wins."""
    heard = bytearray(max(replies, key=len))
    for reply in replies:
        for at, byte in enumerate(reply):
            heard[at] &= byte
    return bytes(heard)


def _noise(seed: str, size: int) -> bytes:
    blocks = [key_of(seed, block).to_bytes(8, "big") for block in range(size // 8 + 1)]
    return b"".join(blocks)[:size]

"""A recorded bus played back: what was asked then is answered as then, with the delays of then.

A request is known by its bytes, but for what changes with every request: the transaction number of Modbus TCP and the
serial number of CJ/T 188, which are made to fit in the answer. The same request asked again goes on through what was
recorded of it, and stays with the last. What was never recorded is answered with silence.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from address_space.model.clock import NS, Clock
from drivers.cjt188.frame import HEAD, SHORTEST, START, Frame, examine
from drivers.codec import sum8
from drivers.errors import ChannelDown
from drivers.simulators.bus import LISTEN_S, LONGEST_REQUEST, FarEnd
from drivers.simulators.cjt188 import CJT188
from drivers.simulators.wire import DLT645, MODBUS_RTU, Span
from drivers.transport import SerialSettings
from drivers.transport.recording import Exchange, Piece

log = logging.getLogger(__name__)

MBAP: Final = 7
SHOWN: Final = 14
"""Bytes of an unknown request that are logged: passwords stand further back."""
MOST_UNKNOWN: Final = 1000
_LEAST_TCP: Final = {1: 6, 2: 6, 3: 6, 4: 6, 5: 6, 6: 6, 15: 8, 16: 9, 43: 5}
_SER_AT: Final = HEAD + 2


@dataclass(frozen=True, slots=True)
class _Known:
    """A request as it was recorded, cut out of what was sent."""

    kind: str
    frame: bytes


class Replay:
    """A bus for `TcpPort` or `PseudoTerminal` that says what a recording says. `missed` counts unknown requests."""

    settings: SerialSettings | None = None

    def __init__(self, recorded: Iterable[Exchange], clock: Clock, name: str = "replay") -> None:
        self.name = name
        self.answered = 0
        self.missed = 0
        self._clock = clock
        self._answers: dict[tuple[str, bytes], list[tuple[_Known, Exchange]]] = {}
        self._next: dict[tuple[str, bytes], int] = {}
        self._complained: set[tuple[str, bytes]] = set()
        for exchange in recorded:
            known = _known(exchange.request)
            # Where the recording ends before anything was heard, nothing tells that the device was silent.
            if exchange.last and not exchange.pieces:
                continue
            self._answers.setdefault(_key(known), []).append((known, exchange))
        kinds = {kind for kind, _ in self._answers}
        self._cuts = {kind: cut for kind, cut in _CUTS.items() if kind in kinds} or dict(_CUTS)
        self._raw = [frame for kind, frame in self._answers if kind == "raw"]

    @property
    def requests(self) -> int:
        """How many different requests it can answer."""
        return len(self._answers)

    async def serve(self, link: FarEnd) -> None:
        """Answer what comes over `link` until it is lost. Several links may be served at once."""
        stream = b""
        try:
            async with asyncio.TaskGroup() as answers:
                while True:
                    stream += await link.receive(LISTEN_S)
                    while (found := self._cut(stream)) is not None:
                        known, end = found
                        stream = stream[end:]
                        self._answer(link, known, answers)
                    stream = stream[-LONGEST_REQUEST:]
        except* ChannelDown:
            pass

    def _cut(self, stream: bytes) -> tuple[_Known, int] | None:
        best: tuple[int, int, str] | None = None
        for kind, cut in self._cuts.items():
            span = cut(stream)
            if span is not None and (best is None or span[0] < best[0]):
                best = (*span, kind)
        for frame in self._raw:
            at = stream.find(frame)
            if at >= 0 and (best is None or at < best[0]):
                best = at, at + len(frame), "raw"
        return None if best is None else (_Known(best[2], stream[best[0] : best[1]]), best[1])

    def _answer(self, link: FarEnd, asked: _Known, answers: asyncio.TaskGroup) -> None:
        key = _key(asked)
        recorded = self._answers.get(key)
        if recorded is None:
            self.missed += 1
            self._complain(key, asked.frame)
            return
        self.answered += 1
        turn = self._next.get(key, 0)
        self._next[key] = min(turn + 1, len(recorded) - 1)
        before, exchange = recorded[turn]
        pieces = _adjusted(exchange.pieces, before, asked)
        if pieces or exchange.lost:
            answers.create_task(self._say(link, pieces, exchange), name=f"recorded answer on {self.name}")

    async def _say(self, link: FarEnd, pieces: Iterable[Piece], exchange: Exchange) -> None:
        begun_ns = self._clock.monotonic_ns()
        try:
            for piece in pieces:
                await self._wait(begun_ns + piece.after_ns)
                link.send(piece.data)
            if exchange.lost:
                await self._wait(begun_ns + exchange.lost_ns)
                link.close()
        except ChannelDown:
            return

    async def _wait(self, until_ns: int) -> None:
        left_ns = until_ns - self._clock.monotonic_ns()
        if left_ns > 0:
            await self._clock.sleep(left_ns / NS)

    def _complain(self, key: tuple[str, bytes], frame: bytes) -> None:
        if key not in self._complained and len(self._complained) < MOST_UNKNOWN:
            self._complained.add(key)
            shown = frame[:SHOWN].hex(" ").upper() + (" …" if len(frame) > SHOWN else "")
            log.warning("request was not recorded bus=%s request=%s", self.name, shown)


def _known(sent: bytes) -> _Known:
    for kind, cut in _CUTS.items():
        span = cut(sent)
        if span is not None and span[1] == len(sent):
            return _Known(kind, sent[slice(*span)])
    return _Known("raw", sent)


def _key(known: _Known) -> tuple[str, bytes]:
    """By what a request is known again."""
    frame = known.frame
    if known.kind == "tcp":
        frame = frame[2:]
    elif known.kind == "cjt188" and len(frame) > _SER_AT + 2:
        frame = frame[:_SER_AT] + frame[_SER_AT + 1 : -2]
    return known.kind, frame


def _adjusted(pieces: tuple[Piece, ...], before: _Known, asked: _Known) -> list[Piece]:
    """The answer to what was asked before, made to fit what is asked now; no byte moves."""
    whole = b"".join(piece.data for piece in pieces)
    if before.kind == "tcp" and before.frame[:2] != asked.frame[:2]:
        whole = _renumbered(whole, before.frame[:2], asked.frame[:2])
    elif before.kind == "cjt188" and len(asked.frame) > _SER_AT + 2 and before.frame != asked.frame:
        whole = _reserialled(whole, before.frame[_SER_AT], asked.frame[_SER_AT])
    fitted: list[Piece] = []
    at = 0
    for piece in pieces:
        fitted.append(Piece(piece.after_ns, whole[at : at + len(piece.data)]))
        at += len(piece.data)
    return fitted


def _renumbered(whole: bytes, old: bytes, new: bytes) -> bytes:
    """Frames of Modbus TCP with another transaction number where they carry the old one."""
    said = bytearray(whole)
    at = 0
    while len(said) - at >= MBAP and said[at + 2 : at + 4] == b"\0\0":
        if said[at : at + 2] == old:
            said[at : at + 2] = new
        at += 6 + int.from_bytes(said[at + 4 : at + 6], "big")
    return bytes(said)


def _reserialled(whole: bytes, old: int, new: int) -> bytes:
    """Frames of CJ/T 188 with another serial number where they carry the old one, well sealed."""
    said = bytearray(whole)
    at = said.find(START)
    while at >= 0:
        frame = examine(bytes(said), at)
        if not isinstance(frame, Frame):
            at = said.find(START, at + 1)
            continue
        place = at + HEAD if frame.error else at + _SER_AT
        end = at + SHORTEST + len(frame.data)
        if place < end - 2 and said[place] == old:
            said[place] = new
            said[end - 2] = sum8(bytes(said[at : end - 2]))
        at = said.find(START, end)
    return bytes(said)


def _cut_tcp(stream: bytes) -> Span | None:
    for at in range(len(stream) - MBAP):
        length = int.from_bytes(stream[at + 4 : at + 6], "big")
        least = _LEAST_TCP.get(stream[at + MBAP])
        if stream[at + 2 : at + 4] != b"\0\0" or least is None or not least <= length <= 254:
            continue
        return (at, at + 6 + length) if len(stream) >= at + 6 + length else None
    return None


def _cut_ascii(stream: bytes) -> Span | None:
    begin = stream.find(b":")
    end = stream.find(b"\r\n", begin)
    return (begin, end + 2) if 0 <= begin < end else None


_CUTS: Final[Mapping[str, Callable[[bytes], Span | None]]] = {
    "dlt645": DLT645.cut,
    "tcp": _cut_tcp,
    "cjt188": CJT188.cut,
    "rtu": MODBUS_RTU.cut,
    "ascii": _cut_ascii,
}

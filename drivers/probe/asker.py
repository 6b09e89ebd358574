"""Questions to whoever may be on a line: one at a time, answers believed only where they are sound frames.

Nothing here can write: there are reads of registers, of data identifiers and of addresses, and no other request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from address_space.model.clock import NS, Clock
from drivers.cjt188 import frame as cjt188
from drivers.cjt188.identifiers import is_di, read_di
from drivers.codec import frame68
from drivers.dlt645 import frame as dlt645
from drivers.errors import ChannelDown, DriverError
from drivers.probe.modbus_frames import Framing, Heard, answers, wrapped
from drivers.transport import Link, SerialSettings, ask

GAP_S: Final = 0.05
"""Silence before a request; some meters drop what comes sooner."""
BROKEN_OFF: Final = 3
"""So often in a row a line may be lost before that is its end: a gateway may hang up on frames it does not know."""
_FE: Final = b"\xfe"


@dataclass(frozen=True, slots=True)
class Said:
    """What came of a question about frames of DL/T 645 or CJ/T 188; `garbled` are bytes that were none."""

    dlt645: tuple[dlt645.Frame, ...] = ()
    cjt188: tuple[cjt188.Frame, ...] = ()
    garbled: int = 0
    echoed: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a question to a Modbus unit."""

    heard: tuple[Heard, ...] = ()
    garbled: int = 0
    echoed: bool = False


class Asker:
    """One line. `asked` counts questions; the answer to each must begin within `timeout_s`."""

    def __init__(self, link: Link, clock: Clock, timeout_s: float, gap_s: float = GAP_S) -> None:
        self.link = link
        self.clock = clock
        self.timeout_s = timeout_s
        self.asked = 0
        self._gap_s = gap_s
        self._ended_ns = 0
        self._transaction = 0
        self._broken_off = 0

    async def open(self) -> None:
        """Open the line; raises ChannelDown."""
        await self.link.open()

    def tune(self, settings: SerialSettings) -> None:
        """Speed and format of a serial line; raises ChannelDown."""
        self.link.tune(settings)

    async def modbus(self, framing: Framing, unit: int, pdu: bytes, *, anybody: bool = False) -> Answered:
        """Ask a unit; with `anybody` an answer of another one counts as well. Raises ChannelDown."""
        if pdu[0] not in (1, 2, 3, 4, 0x2B):
            raise ValueError(f"function {pdu[0]} is no read")
        self._transaction = self._transaction % 0xFFFF + 1
        request = wrapped(framing, unit, pdu, self._transaction)
        found: list[Heard] = []

        def take(buffer: bytes) -> bool:
            found[:] = [
                heard
                for heard in answers(framing, buffer, pdu[0])
                if (anybody or heard.unit == unit or (framing is Framing.TCP and unit in (0, 255)))
                and heard.transaction in (0, self._transaction)
            ]
            return bool(found)

        buffer = await self._ask(request, take)
        echoed = buffer.startswith(request)
        rest = len(buffer) - len(request) if echoed else len(buffer)
        return Answered(tuple(found), 0 if found else rest, echoed)

    async def dlt645(self, frame: dlt645.Frame, *, everybody: bool = False) -> Said:
        """Ask meters of DL/T 645; with `everybody` the whole time is listened to. Raises ChannelDown."""
        if frame.control not in (0x01, 0x11, 0x13):
            raise ValueError(f"control code {frame.control:02X} is no read")
        request = dlt645.encode(frame)
        found: list[dlt645.Frame] = []

        def take(buffer: bytes) -> bool:
            decoder = dlt645.Decoder()
            said = decoder.feed(buffer) + decoder.flush()
            found[:] = [each for each in said if isinstance(each, dlt645.Frame) and _answers(frame, each)]
            return bool(found) and not everybody

        buffer = await self._ask(request, take)
        echoed = request.lstrip(_FE) in buffer
        sound = sum(dlt645.HEAD + dlt645.TAIL + len(each.data) for each in found)
        return Said(dlt645=tuple(found), garbled=_garbled(buffer, request, sound, echoed=echoed), echoed=echoed)

    async def cjt188(self, frame: cjt188.Frame) -> Said:
        """Ask a meter of CJ/T 188. Raises ChannelDown."""
        if frame.control not in (0x01, 0x03):
            raise ValueError(f"control code {frame.control:02X} is no read")
        request = cjt188.encode(frame)
        found: list[cjt188.Frame] = []

        def take(buffer: bytes) -> bool:
            decoder = cjt188.Decoder()
            said = decoder.feed(buffer) + decoder.flush()
            found[:] = [each for each in said if isinstance(each, cjt188.Frame) and _answers_188(frame, each)]
            return bool(found)

        buffer = await self._ask(request, take)
        echoed = request.lstrip(_FE) in buffer
        sound = sum(cjt188.SHORTEST + len(each.data) for each in found)
        return Said(cjt188=tuple(found), garbled=_garbled(buffer, request, sound, echoed=echoed), echoed=echoed)

    async def _ask(self, request: bytes, found: Callable[[bytes], bool]) -> bytes:
        """What was heard. A line that is lost on the way is opened anew, a few times."""
        self.asked += 1
        waiting_s = self._gap_s - (self.clock.monotonic_ns() - self._ended_ns) / NS if self._ended_ns else 0.0
        if waiting_s > 0:
            await self.clock.sleep(waiting_s)
        buffer = bytearray()

        def take(data: bytes) -> bool | None:
            buffer.extend(data)
            return found(bytes(buffer)) or None

        try:
            if not self.link.connected:
                await self.link.open()
            await ask(self.link, request, take, self.timeout_s, self.clock)
            self._broken_off = 0
        except ChannelDown:
            self._broken_off += 1
            if self._broken_off >= BROKEN_OFF:
                raise
            await self.link.open()
        except DriverError:
            return b""  # an echo that was announced and did not come back as it was
        finally:
            self._ended_ns = self.clock.monotonic_ns()
        return bytes(buffer)


def _answers(asked: dlt645.Frame, heard: dlt645.Frame) -> bool:
    """Whether it is no late answer to something else, nor an echo."""
    fits = heard.from_meter and heard.function == asked.function
    known = dlt645.matches(asked.address, heard.address) or heard.address == dlt645.ANY
    return fits and known and (heard.error or heard.data.startswith(asked.data))


def _answers_188(asked: cjt188.Frame, heard: cjt188.Frame) -> bool:
    fits = heard.from_meter and heard.function == asked.function and frame68.matches(asked.address, heard.address)
    about = len(heard.data) < 2 or is_di(heard.data[:2], read_di(asked.data[:2])[0])
    return fits and (heard.error or about)


def _garbled(buffer: bytes, request: bytes, sound: int, *, echoed: bool) -> int:
    """Bytes that belong to no frame; what only fills the line does not count."""
    echo = request.lstrip(_FE) if echoed else b""
    rest = buffer.replace(echo, b"", 1) if echo else buffer
    return max(len(rest) - rest.count(0xFE) - rest.count(0xFF) - sound, 0)

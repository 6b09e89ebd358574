"""One frame asked and the one that answers it found in whatever arrives, on a line the hub owns alone.

Late answers of other meters, answers to earlier requests, the request's own echo and noise are passed over as long as
the deadline lasts: an answer counts where address, function, data identifier and sequence number fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from address_space.model.clock import NS, Clock
from drivers.codec.frame68 import Cause, Flaw
from drivers.dlt645.frame import ANY, Decoder, Frame, encode, matches
from drivers.dlt645.options import Options
from drivers.dlt645.refusals import refusal
from drivers.errors import BadFrame, ChannelDown, NoAnswer
from drivers.transport import Link, ask

MOST_FOLLOW_UPS: Final = 255
"""Sequence numbers run from 1 to 255 (DL/T 645-2007 clause 7)."""
LONGEST_SILENCE_S: Final = 0.5
"""The longest pause inside an answer, and so how long after a missing answer its sender may still begin."""
READ: Final = {"2007": 0x11, "1997": 0x01}
FOLLOW_UP: Final = {"2007": 0x12, "1997": 0x02}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, and by what its answer is known.

    prefix   with what the answer's data begin: the data identifier
    suffix   with what they end: the sequence number
    lenient  whether the answer may carry AA as its address although another was asked
    """

    address: str
    control: int
    data: bytes = b""
    prefix: bytes = b""
    suffix: bytes = b""
    lenient: bool = False

    def misfit(self, answer: Frame) -> str:
        """Why a frame is not the answer; empty where it is."""
        if not answer.from_meter:
            return "the request's own echo" if answer.address == self.address else "another master's request"
        if not matches(self.address, answer.address) and not (self.lenient and answer.address == ANY):
            return f"an answer of {answer.address}"
        if answer.function != self.control & 0x1F:
            return f"an answer with control code {answer.control:02X}"
        if answer.error:
            return ""
        if not answer.data.startswith(self.prefix):
            return f"an answer about {answer.data[: len(self.prefix)][::-1].hex().upper()}"
        if self.suffix and not (answer.data.endswith(self.suffix) and len(answer.data) > len(self.prefix)):
            return "an answer with another sequence number"
        return ""


class Wire:
    """Ask and tell. Not safe for two requests at a time: the channel sees to that."""

    def __init__(self, channel: str, options: Options, link: Link, clock: Clock) -> None:
        self._channel = channel
        self._options = options
        self._link = link
        self._clock = clock
        self._ended_ns = 0

    async def exchange(self, asked: Asked, label: str, *, preamble: int, gap_s: float) -> Frame:
        """The answer, never an error answer. Raises DriverError."""
        where = f"{self._channel}, meter {asked.address}, {label}"
        await self._settle(gap_s)
        listener = _Listener(asked)
        request = encode(Frame(asked.address, asked.control, asked.data), self._preamble(preamble))
        try:
            answer, heard = await ask(
                self._link, request, listener.take, self._options.timeout_s, self._clock, silence_s=LONGEST_SILENCE_S
            )
        except ChannelDown:
            self._link.close()
            raise
        finally:
            self._ended_ns = self._clock.monotonic_ns()
        answer = answer or listener.rest()
        if answer is None:
            raise self._silence(listener, heard, where)
        if answer.error:
            raise refusal(answer, where)
        return answer

    async def read(self, asked: Asked, version: str, label: str, *, preamble: int, gap_s: float) -> bytes:
        """Data of an identifier without the identifier, in as many frames as the meter takes. Raises DriverError."""
        answer = await self.exchange(asked, label, preamble=preamble, gap_s=gap_s)
        size = len(asked.prefix)
        data = answer.data[size:]
        number = 0
        while answer.more:
            number += 1
            if number > MOST_FOLLOW_UPS:
                raise BadFrame(
                    f"more than {MOST_FOLLOW_UPS} frames follow one answer",
                    where=f"{self._channel}, meter {asked.address}, {label}",
                    hint="the meter's firmware is at fault: read smaller blocks",
                )
            suffix = bytes([number]) if version == "2007" else b""
            following = Asked(
                asked.address, FOLLOW_UP[version], asked.prefix + suffix, asked.prefix, suffix, asked.lenient
            )
            answer = await self.exchange(following, f"{label} follow-up {number}", preamble=preamble, gap_s=gap_s)
            data += answer.data[size : len(answer.data) - len(suffix)]
        return data

    async def tell(self, frame: Frame, *, preamble: int, gap_s: float) -> None:
        """Send what nobody answers, and let it pass. Raises ChannelDown."""
        await self._settle(gap_s)
        request = encode(frame, self._preamble(preamble))
        try:
            self._link.discard()
            self._link.send(request)
        except ChannelDown:
            self._link.close()
            raise
        await self._clock.sleep(len(request) * self._link.character_s)
        self._ended_ns = self._clock.monotonic_ns()

    def _preamble(self, wanted: int) -> int:
        return wanted if self._options.preamble is None else self._options.preamble

    def _silence(self, listener: _Listener, heard: int, where: str) -> NoAnswer | BadFrame:
        if listener.flaw is not None:
            return BadFrame(
                f"the answer is broken: {listener.flaw.what}",
                where=where,
                hint="check the line's quality, its termination, speed and parity",
            )
        patience = f"no answer within {self._options.timeout_ms:g} ms"
        if listener.misfit:
            return NoAnswer(
                f"{patience}, only {listener.misfit}",
                where=where,
                hint="check power and address of the meter, and whether several share an address",
            )
        if heard:
            return BadFrame(
                f"{heard} bytes arrived and none of them a frame",
                where=where,
                hint="check speed and parity of the line",
            )
        return NoAnswer(patience, where=where, hint="check power, address, speed, parity and wiring of the meter")

    async def _settle(self, gap_s: float) -> None:
        """Wait until the gap after the last exchange is over."""
        gap_s = gap_s if self._options.gap_s is None else self._options.gap_s
        left_ns = self._ended_ns + round(gap_s * NS) - self._clock.monotonic_ns() if self._ended_ns else 0
        if left_ns > 0:
            await self._clock.sleep(left_ns / NS)


class _Listener:
    """Looks for the answer in what arrives, and remembers what else there was."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._decoder = Decoder()
        self.flaw: Flaw | None = None
        self.misfit = ""

    def take(self, data: bytes) -> Frame | None:
        return self._sort(self._decoder.feed(data))

    def rest(self) -> Frame | None:
        """The answer, where only the end of the waiting shows it."""
        return self._sort(self._decoder.flush())

    def _sort(self, found: list[Frame | Flaw]) -> Frame | None:
        for each in found:
            if isinstance(each, Flaw):
                if each.cause is not Cause.NOISE:
                    self.flaw = each
                continue
            why = self._asked.misfit(each)
            if not why:
                return each
            if not self.misfit or each.from_meter:
                self.misfit = why
        return None

"""One line to CJ/T 188 meters, one exchange at a time, every answer checked before it is believed."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from address_space.model.clock import NS, Clock
from drivers.cjt188.echoes import Echoes
from drivers.cjt188.frame import Decoder, Frame, encode
from drivers.cjt188.identifiers import DiOrder
from drivers.cjt188.options import Options
from drivers.cjt188.requests import Ask, Reply, reply_to
from drivers.codec.frame68 import Cause, Flaw
from drivers.errors import BadFrame, ChannelDown, NoAnswer
from drivers.transport import Link, ask


@dataclass(frozen=True, slots=True)
class Meter:
    """How one meter is spoken to. `key` tells it from the others in what is learned of them."""

    key: Hashable
    address: str
    type: int
    di_order: DiOrder = DiOrder.LE
    strict_ser: bool = False
    preamble: int | None = None
    gap_s: float = 0.0


class Wire:
    """Ask. Not safe for two requests at a time: the channel sees to that."""

    def __init__(self, channel: str, options: Options, link: Link, clock: Clock) -> None:
        self._channel = channel
        self._options = options
        self._link = link
        self._clock = clock
        self._echoes = Echoes()
        self._ended_ns: int | None = None

    def lead(self, preamble: int | None) -> int:
        """How many bytes go before a frame."""
        return len(self._options.wake_up) + (self._options.preamble if preamble is None else preamble)

    async def exchange(self, meter: Meter, question: Ask) -> Reply:
        """The meter's answer, which may be an error. Raises DriverError."""
        await self._settle(meter.gap_s)
        ser = self._echoes.next()
        frame = question.frame(meter.type, meter.address, ser, meter.di_order)
        lead = self._options.preamble if meter.preamble is None else meter.preamble
        request = self._options.wake_up + encode(frame, lead)
        listener = _Listener(self._echoes, meter, question, ser)
        # A gateway says nothing of its line's speed, and the meter cannot begin before it was woken.
        waking_s = 0.0 if self._link.character_s else self._options.wake_up_ms / 1000
        try:
            reply, heard = await ask(
                self._link, request, listener.take, self._options.timeout_s + waking_s, self._clock
            )
        except ChannelDown:
            self._link.close()
            raise
        finally:
            self._ended_ns = self._clock.monotonic_ns()
        where = f"{self._channel}, meter {meter.address}, {question.di:04X}"
        if reply is None:
            raise self._failure(heard, listener, meter, where)
        self._echoes.heard(meter.key, ser, reply.ser)
        return reply

    def _failure(self, heard: int, listener: _Listener, meter: Meter, where: str) -> NoAnswer | BadFrame:
        misfit = listener.misfit()
        if listener.wrong_numbers:
            self._echoes.only_wrong(meter.key)
        if misfit:
            return BadFrame(misfit, where=where, hint="look at the bytes with `joulehub decode cjt188`")
        hint = "check power, address, type, baud rate and parity of the meter"
        if heard and not listener.only_echo:
            return BadFrame(f"{heard} bytes arrived and no whole answer", where=where, hint="check the line's quality")
        return NoAnswer(f"no answer within {self._options.timeout_ms:g} ms", where=where, hint=hint)

    async def _settle(self, gap_s: float) -> None:
        """A meter's own gap, where it is longer than the one the channel keeps."""
        if self._ended_ns is not None and gap_s > (self._options.gap_s or 0.0):
            waiting_s = gap_s - (self._clock.monotonic_ns() - self._ended_ns) / NS
            if waiting_s > 0:
                await self._clock.sleep(waiting_s)


class _Listener:
    """Takes what arrives until it is the answer; remembers why what came was none."""

    def __init__(self, echoes: Echoes, meter: Meter, question: Ask, ser: int) -> None:
        self._echoes = echoes
        self._meter = meter
        self._question = question
        self._ser = ser
        self._decoder = Decoder()
        self._misfit = ""
        self.wrong_numbers = 0
        self.only_echo = False

    def take(self, data: bytes) -> Reply | None:
        for said in self._decoder.feed(data):
            reply = self._judge(said)
            if reply is not None:
                return reply
        return None

    def misfit(self) -> str:
        """What was wrong with what arrived; empty where nothing tells."""
        for said in self._decoder.flush():
            self._judge(said)
        return self._misfit

    def _judge(self, said: Frame | Flaw) -> Reply | None:
        if isinstance(said, Flaw):
            if said.cause is not Cause.NOISE:
                self._misfit = f"no sound frame arrived: {said.what}"
            self.only_echo = False
            return None
        if not said.from_meter:
            self.only_echo = not self._misfit
            return None
        reply = reply_to(self._question, self._meter.address, said)
        if isinstance(reply, str):
            self._misfit = f"what arrived was {reply}"
            return None
        if not self._echoes.fits(self._meter.key, self._ser, reply.ser, strict=self._meter.strict_ser):
            self.wrong_numbers += 1
            self._misfit = f"the answer carries serial number {reply.ser:02X}, asked was {self._ser:02X}"
            return None
        return reply

"""One line to Modbus devices, one exchange at a time, every answer checked before it is believed.

Silence between exchanges, the check of the bytes and getting back in step after a late answer are here; the line is
the transport's, the frames are pymodbus's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from pymodbus.pdu import ModbusPDU

from address_space.model.clock import NS, Clock
from drivers.errors import BadFrame, ChannelDown, DeviceRefused, NoAnswer
from drivers.modbus.framing import framing, read_request, write_request
from drivers.modbus.guard import Expected, Fit, Verdict
from drivers.modbus.options import Options
from drivers.modbus.overdue import Overdue, answer_size
from drivers.modbus.plan import Read
from drivers.modbus.refusals import refusal
from drivers.transport import Link, ask

LEAST_QUIET_S = 0.2
HIGHEST_TRANSACTION = 0xFFFF


class Wire:
    """Open, ask, close. Not safe for two requests at a time: the channel sees to that."""

    def __init__(self, channel: str, options: Options, link: Link, clock: Clock) -> None:
        self._channel = channel
        self._options = options
        self._link = link
        self._clock = clock
        self._framing = framing(options.framing)
        self._untagged = not self._framing.tagged
        self._transaction = 0
        self._quiet_until_ns = 0
        self._ended_ns = 0
        self._overdue = Overdue()

    @property
    def connected(self) -> bool:
        """Whether requests can be sent."""
        return self._link.connected

    async def open(self) -> None:
        """Connect, dropping an earlier connection; raises ChannelDown."""
        self._overdue.clear()
        await self._link.open()

    def close(self) -> None:
        """Drop the connection."""
        self._overdue.clear()
        self._link.close()

    async def read(self, unit: int, read: Read, *, gap_s: float = 0.0) -> tuple[int, ...]:
        """Words (bits as 0 and 1 for function codes 1 and 2) of one request. Raises DriverError."""
        if self._overdue.owes(unit):
            with suppress(DeviceRefused):  # it may refuse that length, and a refusal is none of the answers owed
                await self._ask(unit, self._overdue.telling(unit, read), gap_s)
            self._overdue.settle(unit)
        return await self._ask(unit, read, gap_s)

    async def write(self, unit: int, fc: int, address: int, words: tuple[int, ...], *, gap_s: float = 0.0) -> None:
        """One write request, acknowledged by the device. Raises DriverError."""
        request = write_request(fc, address, words)
        await self._exchange(request, Expected(unit, fc, None), f"FC{fc} 0x{address:04X}", gap_s)

    async def _ask(self, unit: int, read: Read, gap_s: float) -> tuple[int, ...]:
        size = answer_size(read)
        try:
            pdu = await self._exchange(read_request(read), Expected(unit, read.fc, size), str(read), gap_s)
        except (NoAnswer, BadFrame, asyncio.CancelledError):
            if self._untagged and self.connected:
                self._overdue.note(unit, size)
            raise
        data = pdu[2:]
        if read.fc > 2:
            return tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
        return tuple(data[bit >> 3] >> (bit & 7) & 1 for bit in range(read.words))

    async def _exchange(self, request: ModbusPDU, expected: Expected, label: str, gap_s: float) -> bytes:
        """The answer's protocol data unit."""
        await self._settle(gap_s if self._options.gap_s is None else self._options.gap_s)
        where = f"{self._channel}, unit {expected.unit}, {label}"
        self._transaction = self._transaction % HIGHEST_TRANSACTION + 1
        tagged = Expected(expected.unit, expected.function, expected.data_bytes, self._transaction)
        frame = self._framing.wrap(request, expected.unit, self._transaction)
        listener = _Listener(self._framing.judge, tagged)
        answered = False
        try:
            verdict, heard = await ask(self._link, frame, listener.take, self._options.timeout_s, self._clock)
            if verdict is None:
                raise self._silence(heard, where)
            if verdict.fit is not Fit.ANSWER:
                raise self._bad(verdict, where)
            answered = True
        except ChannelDown:
            self.close()
            raise
        finally:
            self._ended_ns = self._clock.monotonic_ns()
            if not answered and self._untagged:
                self._keep_quiet(max(self._options.timeout_s / 2, LEAST_QUIET_S))
        if verdict.unnumbered:
            self._untagged = True
        if verdict.pdu[0] & 0x80:
            raise refusal(verdict.pdu[1], where)
        return verdict.pdu

    def _silence(self, heard: int, where: str) -> NoAnswer | BadFrame:
        if heard:
            return BadFrame(
                f"{heard} bytes arrived and no whole answer to this request",
                where=where,
                hint="check the line's quality",
            )
        return NoAnswer(
            f"no answer within {self._options.timeout_ms:g} ms",
            where=where,
            hint="check power, address, baud rate and wiring of the device",
        )

    def _bad(self, verdict: Verdict, where: str) -> BadFrame:
        if verdict.fit is Fit.LOST and self._framing.tagged:
            self.close()
        return BadFrame(verdict.what, where=where, hint="look at the bytes with `joulehub decode modbus`")

    def _keep_quiet(self, seconds: float) -> None:
        """A late answer without a transaction number would be taken for the next request's: let it pass first."""
        self._quiet_until_ns = max(self._quiet_until_ns, self._clock.monotonic_ns() + round(seconds * NS))

    async def _settle(self, gap_s: float) -> None:
        """Wait until the line is free: the gap is over, and nobody is still sending what was asked before."""
        patience_ns = self._clock.monotonic_ns() + round(2 * self._options.timeout_s * NS)
        while True:
            until_ns = max(self._quiet_until_ns, self._ended_ns + round(gap_s * NS) if self._ended_ns else 0)
            now_ns = self._clock.monotonic_ns()
            if until_ns > now_ns:
                await self._clock.sleep((until_ns - now_ns) / NS)
                continue
            if not self._untagged or not self._link.discard() or now_ns >= patience_ns:
                return
            self._keep_quiet(LEAST_QUIET_S)


class _Listener:
    """Collects what arrives until it can be judged."""

    def __init__(self, judge: Callable[[Expected, bytes], Verdict], expected: Expected) -> None:
        self._judge = judge
        self._expected = expected
        self._buffer = b""

    def take(self, data: bytes) -> Verdict | None:
        self._buffer += data
        verdict = self._judge(self._expected, self._buffer)
        return None if verdict.fit is Fit.PART else verdict

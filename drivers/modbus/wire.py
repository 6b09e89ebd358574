"""One line to Modbus devices, one exchange at a time, every answer checked before it is believed.

Silence between exchanges, the check of the bytes and getting back in step after a late answer are here; the line is
the transport's, the frames are pymodbus's.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from pymodbus.pdu import ModbusPDU

from address_space.model.clock import NS, Clock
from drivers.errors import BadFrame, ChannelDown, DeviceRefused, NoAnswer, ProfileError
from drivers.modbus.file_records import FileRead, split_groups
from drivers.modbus.framing import Framing, file_request, framing, read_request, repeated, write_request
from drivers.modbus.guard import Expected, Fit, Verdict
from drivers.modbus.options import Options
from drivers.modbus.overdue import Overdue, answer_size
from drivers.modbus.plan import Read
from drivers.modbus.refusals import refusal
from drivers.transport import Link, ask

LEAST_QUIET_S = 0.2
BROADCAST = 0
"""Unit that all devices of a serial line obey and none answers (Modbus over Serial Line 1.02, 2.1)."""
SILENCE_CHARACTERS = 3.5
"""Silence between RTU frames, by which devices know where one begins (the same, 2.5.1.1)."""
TURNAROUND_S = 0.2
"""Silence after a broadcast in which devices do what they were told (the same, 2.4.1: 100 to 200 ms)."""
HIGHEST_TRANSACTION = 0xFFFF


class Wire:
    """Open, ask, close. Not safe for two requests at a time: the channel sees to that."""

    def __init__(self, channel: str, options: Options, link: Link, clock: Clock) -> None:
        self._channel = channel
        self._options = options
        self._link = link
        self._clock = clock
        self._framing = framing(options.framing)
        self._gap_s = options.gap_s
        self._timeout_s = options.timeout_s
        self._untagged = not self._framing.tagged
        self._silence_characters = SILENCE_CHARACTERS if self._framing.name == "rtu" else 0.0
        self._transaction = 0
        self._quiet_until_ns = 0
        self._ended_ns = 0
        self._echoes = False
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

    async def read(self, unit: int, read: Read, *, gap_s: float = 0.0) -> bytes:
        """Big-endian words (0 and 1 for the bits of function codes 1 and 2) of one request. Raises DriverError."""
        await self._get_in_step(unit, read, read, gap_s)
        return await self._ask(unit, read, gap_s)

    async def read_file(self, unit: int, read: FileRead, step: Read, *, gap_s: float = 0.0) -> bytes:
        """Registers of records of files by one request, one after the other. Raises DriverError.

        step  registers that the device has, read first where an earlier answer may still come
        """
        await self._get_in_step(unit, read, step, gap_s)
        size = read.answer_size
        words = tuple(group.words for group in read.groups)
        try:
            pdu = await self._exchange(file_request(read), unit, size, read, gap_s, groups=words)
        except (NoAnswer, BadFrame, asyncio.CancelledError):
            self._note(unit, size)
            raise
        return split_groups(words, pdu[2:])

    async def write(self, unit: int, fc: int, address: int, words: tuple[int, ...], *, gap_s: float = 0.0) -> bool:
        """One write request, acknowledged by the device; False where it was a broadcast, which nobody answers.

        Raises DriverError.
        """
        request = write_request(fc, address, words)
        if unit == BROADCAST and not self._framing.tagged:
            await self._broadcast(request, gap_s)
            return False
        await self._exchange(request, unit, None, f"FC{fc} 0x{address:04X}", gap_s)
        return True

    async def _broadcast(self, request: ModbusPDU, gap_s: float) -> None:
        await self._settle(self._gap_s if self._gap_s is not None else gap_s)
        frame = self._framing.wrap(request, BROADCAST, 0)
        try:
            self._link.send(frame)
        except ChannelDown:
            self.close()
            raise
        self._keep_quiet(len(frame) * self._link.character_s + TURNAROUND_S)

    async def _get_in_step(self, unit: int, asked: object, near: Read, gap_s: float) -> None:
        """Let answers that are still owed pass by a read near to one that the device knows."""
        if unit == BROADCAST and not self._framing.tagged:
            raise ProfileError(
                "unit 0 is for broadcasts on a serial line: nobody answers there",
                where=f"{self._channel}, {asked}",
                hint="give the device's own address, 1 to 247",
            )
        if self._overdue.owes(unit):
            with suppress(DeviceRefused):  # it may refuse that length, and a refusal is none of the answers owed
                await self._ask(unit, self._overdue.telling(unit, near), gap_s)
            self._overdue.settle(unit)

    def _note(self, unit: int, size: int) -> None:
        if self._untagged and self.connected:
            self._overdue.note(unit, size)

    async def _ask(self, unit: int, read: Read, gap_s: float) -> bytes:
        size = answer_size(read)
        try:
            pdu = await self._exchange(read_request(read), unit, size, read, gap_s)
        except (NoAnswer, BadFrame, asyncio.CancelledError):
            self._note(unit, size)
            raise
        if read.fc > 2:
            return pdu[2:]
        return b"".join((b"\0\0", b"\0\1")[pdu[2 + (bit >> 3)] >> (bit & 7) & 1] for bit in range(read.words))

    async def _exchange(
        self,
        request: ModbusPDU,
        unit: int,
        data_bytes: int | None,
        label: object,
        gap_s: float,
        *,
        groups: tuple[int, ...] = (),
    ) -> bytes:
        """The answer's protocol data unit; `label` is what was asked for, `groups` as in `Expected`."""
        await self._settle(self._gap_s if self._gap_s is not None else gap_s)
        self._transaction = self._transaction % HIGHEST_TRANSACTION + 1
        frame = self._framing.wrap(request, unit, self._transaction)
        written = b"" if data_bytes is not None else repeated(request)
        function = request.function_code
        expected = Expected(unit, function, data_bytes, self._transaction, written, frame, self._echoes, groups)
        listener = _Listener(self._framing, expected)
        answered = False
        try:
            verdict, heard = await ask(
                self._link, frame, listener.take, self._timeout_s, self._clock, begun=listener.begun
            )
            if verdict is None:
                raise self._silence(heard, self._where(unit, label), listener)
            if verdict.fit is not Fit.ANSWER:
                raise self._bad(verdict, self._where(unit, label))
            answered = True
        except ChannelDown:
            self.close()
            raise
        finally:
            self._ended_ns = self._clock.monotonic_ns()
            if not answered and self._untagged:
                self._keep_quiet(max(self._timeout_s / 2, LEAST_QUIET_S))
        if verdict.unnumbered:
            self._untagged = True
        if data_bytes is not None:
            self._echoes = verdict.echoed
        if verdict.pdu[0] & 0x80:
            raise refusal(verdict.pdu[1], self._where(unit, label))
        return verdict.pdu

    def _where(self, unit: int, label: object) -> str:
        return f"{self._channel}, unit {unit}, {label}"

    def _silence(self, heard: int, where: str, listener: _Listener) -> NoAnswer | BadFrame:
        if heard:
            return BadFrame(listener.trouble(), where=where, hint="look at the bytes with `joulehub decode modbus`")
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
        patience_ns = self._clock.monotonic_ns() + round(2 * self._timeout_s * NS)
        gap_s = max(gap_s, self._silence_characters * self._link.character_s)
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

    def __init__(self, framing: Framing, expected: Expected) -> None:
        self._framing = framing
        self._expected = expected
        self._buffer = b""
        self._begun = False

    def begun(self) -> bool:
        return self._begun

    def take(self, data: bytes) -> Verdict | None:
        self._buffer += data
        verdict = self._framing.judge(self._expected, self._buffer)
        self._begun = verdict.begun
        return None if verdict.fit is Fit.PART else verdict

    def trouble(self) -> str:
        return self._framing.tell(self._expected, self._buffer)

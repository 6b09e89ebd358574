"""One TCP connection to a meter or gateway, one exchange at a time, every answer checked before it is believed.

pymodbus frames requests and takes answers apart; deadlines, silence, reconnecting and the check of the bytes are here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException
from pymodbus.pdu import ModbusPDU

from address_space.model.clock import NS, Clock
from drivers.errors import BadFrame, ChannelDown, DeviceRefused, NoAnswer
from drivers.modbus.guard import Expected, Fit, Verdict, judge_rtu, judge_tcp
from drivers.modbus.options import Options
from drivers.modbus.overdue import Overdue, answer_size
from drivers.modbus.plan import Read
from drivers.modbus.refusals import refusal, translated

NEVER = 10**9
"""pymodbus closes the socket under all units behind it after so many unanswered requests; it must not."""
LEAST_QUIET_S = 0.2


class Wire:
    """Open, ask, close. Not safe for two requests at a time: the channel sees to that."""

    def __init__(self, channel: str, options: Options, clock: Clock) -> None:
        self._channel = channel
        self._options = options
        self._clock = clock
        self._client: AsyncModbusTcpClient | None = None
        self._expected: Expected | None = None
        self._trouble: Verdict | None = None
        self._heard = 0
        self._untagged = options.framer == "rtu"
        self._quiet_until_ns = 0
        self._ended_ns = 0
        self._overdue = Overdue()

    @property
    def connected(self) -> bool:
        """Whether requests can be sent."""
        return self._client is not None and self._client.connected

    async def open(self) -> None:
        """Connect, dropping an earlier connection; raises ChannelDown."""
        self.close()
        options = self._options
        client = AsyncModbusTcpClient(
            options.host,
            port=options.port,
            framer=FramerType.RTU if options.framer == "rtu" else FramerType.SOCKET,
            name=self._channel,
            timeout=86_400,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._trace_packet,
            trace_connect=self._trace_connect,
        )
        client.set_max_no_responses(NEVER)
        self._client = client
        try:
            async with asyncio.timeout(options.connect_timeout_ms / 1000):
                done = await client.connect()
        except (TimeoutError, ModbusException, OSError) as error:
            self.close()
            raise self._down("cannot connect") from error
        except BaseException:
            self.close()
            raise
        if not done:
            self.close()
            raise self._down("cannot connect")

    def close(self) -> None:
        """Drop the connection."""
        self._overdue.clear()
        self._fail("the connection was closed")
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def read(self, unit: int, read: Read, *, gap_s: float = 0.0) -> tuple[int, ...]:
        """Words (bits as 0 and 1 for function codes 1 and 2) of one request. Raises DriverError."""
        if self._overdue.owes(unit):
            with suppress(DeviceRefused):  # it may refuse that length, and a refusal is none of the answers owed
                await self._ask(unit, self._overdue.telling(unit, read), gap_s)
            self._overdue.settle(unit)
        return await self._ask(unit, read, gap_s)

    async def _ask(self, unit: int, read: Read, gap_s: float) -> tuple[int, ...]:
        client = self._ready()
        call: Callable[..., Awaitable[ModbusPDU]] = {
            1: client.read_coils,
            2: client.read_discrete_inputs,
            3: client.read_holding_registers,
            4: client.read_input_registers,
        }[read.fc]
        size = answer_size(read)
        try:
            answer = await self._exchange(
                lambda: call(read.address, count=read.words, device_id=unit),
                Expected(unit, read.fc, size),
                str(read),
                gap_s,
            )
        except (NoAnswer, BadFrame, asyncio.CancelledError):
            if self._untagged and self.connected:
                self._overdue.note(unit, size)
            raise
        found = tuple(answer.registers) if read.fc > 2 else tuple(int(bit) for bit in answer.bits[: read.words])
        if len(found) != read.words:
            raise BadFrame(f"{len(found)} values instead of {read.words}", where=self._where(unit, str(read)))
        return found

    async def write(self, unit: int, fc: int, address: int, words: tuple[int, ...], *, gap_s: float = 0.0) -> None:
        """One write request, acknowledged by the device. Raises DriverError."""
        client = self._ready()
        bits = [bool(word) for word in words]
        calls: dict[int, Callable[[], Awaitable[ModbusPDU]]] = {
            5: lambda: client.write_coil(address, bits[0], device_id=unit),
            6: lambda: client.write_register(address, words[0], device_id=unit),
            15: lambda: client.write_coils(address, bits, device_id=unit),
            16: lambda: client.write_registers(address, list(words), device_id=unit),
        }
        await self._exchange(calls[fc], Expected(unit, fc, None), f"FC{fc} 0x{address:04X}", gap_s)

    async def _exchange(
        self, call: Callable[[], Awaitable[ModbusPDU]], expected: Expected, label: str, gap_s: float
    ) -> ModbusPDU:
        await self._settle(gap_s if self._options.gap_s is None else self._options.gap_s)
        where = self._where(expected.unit, label)
        self._expected, self._trouble, self._heard = expected, None, 0
        answered = False
        try:
            async with asyncio.timeout(self._options.timeout_ms / 1000):
                answer = await call()
            answered = True
        except TimeoutError as error:
            raise self._silence(where) from error
        except ConnectionException as error:
            if self._trouble is not None:
                raise self._bad(self._trouble, where) from error
            self.close()
            raise translated(error, where) from error
        except ModbusException as error:
            raise translated(error, where) from error
        except (OSError, RuntimeError) as error:
            # The peer closed the socket and pymodbus was not told yet: uvloop refuses the write with RuntimeError.
            self.close()
            raise self._down("the connection was lost") from error
        finally:
            self._expected = None
            self._ended_ns = self._clock.monotonic_ns()
            if not answered:
                self._keep_quiet()
        if answer.isError():
            raise refusal(int(answer.exception_code), where)
        return answer

    def _silence(self, where: str) -> NoAnswer | BadFrame:
        if self._heard:
            return BadFrame(
                f"{self._heard} bytes arrived and no whole answer to this request",
                where=where,
                hint="check the line's quality",
            )
        return NoAnswer(
            f"no answer within {self._options.timeout_ms:g} ms",
            where=where,
            hint="check power, address, baud rate and wiring of the device",
        )

    def _bad(self, verdict: Verdict, where: str) -> BadFrame:
        if verdict.fit is Fit.LOST and self._options.framer == "tcp":
            self.close()
        return BadFrame(verdict.what, where=where, hint="look at the bytes with `joulehub decode modbus`")

    def _keep_quiet(self) -> None:
        """A late answer without a transaction number would be taken for the next request's: let it pass first."""
        if self._untagged:
            quiet_s = max(self._options.timeout_ms / 2000, LEAST_QUIET_S)
            self._quiet_until_ns = self._clock.monotonic_ns() + round(quiet_s * NS)

    async def _settle(self, gap_s: float) -> None:
        while True:
            until_ns = max(self._quiet_until_ns, self._ended_ns + round(gap_s * NS) if self._ended_ns else 0)
            left_ns = until_ns - self._clock.monotonic_ns()
            if left_ns <= 0:
                return
            await self._clock.sleep(left_ns / NS)

    def _ready(self) -> AsyncModbusTcpClient:
        if self._client is None or not self._client.connected:
            raise self._down("not connected")
        return self._client

    def _down(self, what: str) -> ChannelDown:
        return ChannelDown(
            what,
            where=f"{self._channel} ({self._options.host}:{self._options.port})",
            hint="check the address, the network and that the port is open",
        )

    def _where(self, unit: int, label: str) -> str:
        return f"{self._channel}, unit {unit}, {label}"

    def _trace_packet(self, sending: bool, data: bytes) -> bytes:  # noqa: FBT001 - pymodbus's signature
        client = self._client
        if sending:
            if self._expected is not None and self._options.framer == "tcp":
                transaction = int.from_bytes(data[:2], "big")
                self._expected = Expected(
                    self._expected.unit, self._expected.function, self._expected.data_bytes, transaction
                )
            return data
        if client is None or self._expected is None or self._trouble is not None:
            self._late()
            return b""
        self._heard = len(data)
        judge = judge_rtu if self._options.framer == "rtu" else judge_tcp
        verdict = judge(self._expected, data)
        if verdict.fit is Fit.ANSWER:
            if self._options.framer == "tcp" and data[verdict.start : verdict.start + 2] == b"\0\0":
                self._untagged = True
            return data[verdict.start :]
        if verdict.fit is Fit.PART:
            return b""
        self._trouble = verdict
        self._fail(verdict.what)
        return b""

    def _late(self) -> None:
        """Bytes that nobody asked for: whatever sends them has not finished."""
        if self._untagged:
            soon_ns = self._clock.monotonic_ns() + round(LEAST_QUIET_S * NS)
            self._quiet_until_ns = max(self._quiet_until_ns, soon_ns)

    def _trace_connect(self, connected: bool) -> None:  # noqa: FBT001 - pymodbus's signature
        if not connected and self._expected is not None:
            self._fail("the connection was lost")

    def _fail(self, what: str) -> None:
        """End the exchange that is waiting; pymodbus itself would let it wait for its whole timeout."""
        if self._expected is None or self._client is None:
            return
        waiting = self._client.ctx.response_future
        if not waiting.done():
            waiting.set_exception(ConnectionException(what))
            waiting.exception()  # seen: whoever waited may have been cancelled

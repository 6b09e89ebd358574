"""One bus or socket: one exchange at a time, each with a deadline, on a line that is opened anew when it breaks.

Between the end of an exchange and the start of the next lies the line's gap, after a failed one its quiet time, so
that a late answer is not taken for the next one's. While the line is down, requests fail at once.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

from address_space.model.clock import NS, Clock
from address_space.model.quality import Reason
from drivers.api import Confirmation, Device, Driver, Line, Request, WriteOutcome, WriteRequest
from drivers.deadline import Overrun, Watchman
from drivers.errors import ChannelDown, DeviceRefused, DriverError, NoAnswer, ProfileError
from drivers.health import Tally
from drivers.turns import Lane, Turns

__all__ = ["Channel", "Lane"]

log = logging.getLogger(__name__)

PATIENCE_TIMEOUTS = 3
MARGIN_S = 0.5
"""A driver keeps the line's timeout itself, for each frame; one request may take it several frames while it learns
what a device is. After so many timeouts and this margin the exchange is ended from outside."""
OPEN_DEADLINE_S = 10.0
PROBE_EXCHANGES = 3
"""How many exchanges a probe may take."""
CONFIRM_EXCHANGES = 2
"""How many exchanges it may take to see what a command has done: what a device says and what it measures."""
BACKOFF_FIRST_S = 0.5
BACKOFF_LAST_S = 10.0
SILENT_EXCHANGES = 5
SILENT_NS = 60 * NS
"""A line on which nothing answers for so long and so often is opened anew: a peer that vanished without a word
leaves a connection that still looks alive."""

_Result = TypeVar("_Result")


class Channel:
    """The only way to a driver: `async with` it. Every wait for a turn ends, because every exchange does.

    A line that worked and is lost is opened again by the next request; where that fails, or it breaks before
    anything answered, requests raise ChannelDown until a pause is over, which doubles from 0.5 s to 10 s.
    """

    def __init__(self, id: str, driver: Driver, line: Line, clock: Clock) -> None:  # noqa: A002
        self.id = id
        self.driver = driver
        self.line = line
        self.tally = Tally()
        self._clock = clock
        self._turns = Turns(clock)
        self._watchman = Watchman(f"channel {id}", clock, line.timeout_s * PATIENCE_TIMEOUTS + MARGIN_S)
        self._up = False
        self._opening = False
        self._troubled = False
        self._proven = False
        self._backoff_s = BACKOFF_FIRST_S
        self._retry_at_ns = 0
        self._silent = 0
        self._heard_ns = 0

    async def __aenter__(self) -> Channel:
        await self._watchman.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        finally:
            await self._watchman.__aexit__()

    @property
    def up(self) -> bool:
        """Whether the line is open as far as is known."""
        return self._up

    @property
    def deadline_s(self) -> float:
        """After how long an exchange is ended that the driver does not end itself."""
        return self._watchman.limit_s

    @property
    def retry_in_s(self) -> float:
        """How long until the line may be tried again; 0 while it is up or may be tried now."""
        return 0.0 if self._up else max(self._retry_at_ns - self._clock.monotonic_ns(), 0) / NS

    async def connect(self) -> None:
        """Open the line unless it is open; raises ChannelDown."""
        self._refuse_while_down()
        await self._turns.take(Lane.POLL)
        try:
            await self._ensure_open()
        finally:
            self._turns.end()

    async def exchange(self, device: Device, request: Request, lane: Lane = Lane.POLL) -> Any:
        """One request to `device`; returns the raw answer. Raises DriverError, at the latest at the deadline."""
        self._refuse_while_down()
        await self._turns.take(lane)
        try:
            await self._ensure_open()
            return await self._timed(self.driver.request(device, request), device, self.deadline_s)
        finally:
            self._turns.end()

    async def write(self, device: Device, request: WriteRequest) -> WriteOutcome:
        """Write once, ahead of all polling. Raises ChannelDown or ProfileError only where nothing was sent."""
        self._refuse_while_down()
        await self._turns.take(Lane.PRIORITY)
        try:
            await self._ensure_open()
            try:
                return await self._timed(self.driver.write(device, request), device, self.deadline_s)
            except ProfileError:
                raise
            except DeviceRefused as error:
                return WriteOutcome(acknowledged=False, detail=str(error))
            except DriverError as error:
                return WriteOutcome(acknowledged=None, detail=str(error))
        finally:
            self._turns.end()

    async def confirm(self, device: Device, key: Any) -> Confirmation:
        """Whether a command has had its effect, asked ahead of all polling. Raises DriverError."""
        self._refuse_while_down()
        await self._turns.take(Lane.PRIORITY)
        try:
            await self._ensure_open()
            limit_s = self.deadline_s * CONFIRM_EXCHANGES
            return await self._timed(self.driver.confirm(device, key), device, limit_s)
        finally:
            self._turns.end()

    async def probe(self, device: Device) -> str:
        """How `device` identifies itself, asked ahead of all polling. Raises DriverError."""
        self._refuse_while_down()
        await self._turns.take(Lane.PRIORITY)
        try:
            await self._ensure_open()
            limit_s = self.deadline_s * PROBE_EXCHANGES
            return await self._timed(self.driver.probe(device), device, limit_s)
        finally:
            self._turns.end()

    async def close(self) -> None:
        """Close the line; the next request opens it again. May be called twice."""
        self._up = False
        self.tally.ended(self._clock.now_ns(), "closed")
        await self.driver.close()

    # one exchange

    async def _timed(self, work: Coroutine[Any, Any, _Result], device: Device, limit_s: float) -> _Result:
        start_ns = self._clock.monotonic_ns()
        silence_s = max(self.line.quiet_s, self.line.gap_s)
        self.tally.requests += 1
        try:
            result = await self._watchman.run(work, limit_s)
        except Overrun:
            self.tally.overruns += 1
            overrun = NoAnswer("no answer within the deadline", where=f"{self.id}, {device.name}")
            self._failed(overrun)
            raise overrun from None
        except DeviceRefused as error:
            silence_s = self.line.gap_s
            self._failed(error)
            raise
        except DriverError as error:
            self._failed(error)
            raise
        else:
            silence_s = self.line.gap_s
            now_ns = self._clock.monotonic_ns()
            self.tally.good(self._clock.now_ns(), now_ns - start_ns)
            self._hear(now_ns)
            return result
        finally:
            now_ns = self._clock.monotonic_ns()
            self.tally.busy(now_ns - start_ns, now_ns)
            if silence_s > 0:
                self._turns.keep_quiet(silence_s)

    def _failed(self, error: DriverError) -> None:
        self.tally.bad(error.reason, str(error))
        now_ns = self._clock.monotonic_ns()
        if isinstance(error, ChannelDown):
            self._lose(str(error))
        elif isinstance(error, NoAnswer):
            self._silent += 1
            if self._silent >= SILENT_EXCHANGES and now_ns - self._heard_ns >= SILENT_NS:
                self._lose("nothing on this line answers")
                self._retry_at_ns = now_ns
        else:
            self._hear(now_ns)

    def _hear(self, now_ns: int) -> None:
        self._silent = 0
        self._heard_ns = now_ns
        if not self._proven:
            self._proven = True
            self._backoff_s = BACKOFF_FIRST_S
            if self._troubled:
                self._troubled = False
                log.info("line is back channel=%s", self.id)

    # the line

    def _refuse_while_down(self) -> None:
        if not self._watchman.on_duty:
            hint = "the hub is starting or stopping: ask again"
            raise ChannelDown("the line is not in use", where=self.id, hint=hint)
        if not self._up and (
            self._clock.monotonic_ns() < self._retry_at_ns or (self._opening and bool(self.tally.error))
        ):
            raise ChannelDown(self.tally.error or "the line is down", where=self.id)

    async def _ensure_open(self) -> None:
        if self._up:
            if self.driver.connected:
                return
            self._lose("the connection was lost")
        self._refuse_while_down()
        self._opening = True
        trouble = "opening it was given up"
        try:
            if self.tally.opened:
                await self.driver.close()
            await self._watchman.run(self.driver.open(), max(OPEN_DEADLINE_S, self.deadline_s))
            trouble = ""
        except Overrun:
            trouble = f"the line did not open within {OPEN_DEADLINE_S:g} s"
            raise ChannelDown(trouble, where=self.id) from None
        except DriverError as error:
            trouble = str(error)
            raise
        finally:
            self._opening = False
            self._opened(trouble)

    def _opened(self, trouble: str) -> None:
        now_ns = self._clock.monotonic_ns()
        self.tally.error = trouble
        if not trouble:
            self._up = True
            self.tally.began(self._clock.now_ns())
            if self.tally.opened == 1:
                log.info("line opened channel=%s", self.id)
            self._silent = 0
            self._heard_ns = now_ns
            return
        self.tally.bad(Reason.NOT_CONNECTED, trouble)
        self._back_off(now_ns)
        if not self._troubled:
            self._troubled = True
            log.warning("line is down channel=%s error=%s", self.id, trouble)

    def _lose(self, why: str) -> None:
        self._up = False
        self.tally.losses += 1
        self.tally.error = self.tally.last_error = why
        now_ns = self._clock.monotonic_ns()
        ended = self.tally.ended(self._clock.now_ns(), why)
        if ended is not None and self._proven:
            log.info(
                "session ended channel=%s lasted_s=%.1f requests=%d errors=%d error=%s",
                self.id,
                ended.lasted_s,
                ended.requests,
                ended.errors,
                why,
            )
        if self._proven:
            self._retry_at_ns = now_ns
        else:
            self._back_off(now_ns)
        self._proven = False

    def _back_off(self, now_ns: int) -> None:
        self._retry_at_ns = now_ns + round(self._backoff_s * NS)
        self._backoff_s = min(self._backoff_s * 2, BACKOFF_LAST_S)

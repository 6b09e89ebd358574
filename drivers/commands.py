"""Carrying out a command step by step, whatever the protocol: write once, look what came of it, lock again.

No step is ever repeated: a write whose answer is lost may have had its effect, and what the device says afterwards
decides. Waits leave the line to the poller; each exchange goes ahead of polling.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from address_space.model.clock import NS, Clock
from address_space.model.state import CommandState
from drivers.api import Action, Confirmation, Device, WriteOutcome, WriteRequest
from drivers.errors import DriverError

UNPROVEN = "the device acknowledged it; its profile names nothing to read back"
UNANSWERED = "the device did not say whether it took it"


class Line(Protocol):
    """The part of a `drivers.channel.Channel` that commands use."""

    async def write(self, device: Device, request: WriteRequest) -> WriteOutcome:
        """Write once; raises DriverError only where nothing was sent."""

    async def confirm(self, device: Device, key: object) -> Confirmation:
        """Look once; raises DriverError where the device does not say."""


Progress = Callable[[int, Action], None]
"""Told the number (from 0) and the step that begins."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended.

    state    CONFIRMED: seen to have had its effect (or the acknowledgement is proof enough); REJECTED: the device
             refused a step; FAILED: seen to have had no effect, or ended before anything that matters was sent;
             UNKNOWN: it may have had its effect or not
    step     label of the step at which it ended, the last one of a whole command
    detail   what the device said or what went wrong, for a person; empty where there is nothing to say
    shown    what was last read back, or answered to a write, as the device words it
    sent     whether anything was written
    drift_s  how far the device's clock was ahead of the hub's when it was first read, where it was
    """

    state: CommandState
    step: str
    detail: str
    shown: str
    sent: bool
    started_ns: int
    ended_ns: int
    drift_s: float | None = None


async def execute(
    channel: Line, device: Device, actions: Sequence[Action], clock: Clock, progress: Progress | None = None
) -> CommandResult:
    """Carry out `actions` on `device`; never raises DriverError.

    After a failed step, and when it is cancelled, the steps marked `always` that are left are still done; one that
    was under way when it was cancelled is done again, which must be harmless.
    """
    run = _Run(channel, device, clock, progress)
    try:
        for number, action in enumerate(actions):
            following = next(filter(_decides, actions[number + 1 :]), None)
            if not await run.step(number, action, following):
                break
        await run.lock_again(actions)
    except BaseException:
        await run.lock_again(actions)
        raise
    return run.result()


class Intervals:
    """When each command was last given to each device, for those that wear out its memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_ns: dict[tuple[Hashable, str], int] = {}

    def wait_s(self, unit: Hashable, command: str, min_interval_s: float) -> float:
        """How long the command must still wait; 0 where it may go now."""
        last_ns = self._last_ns.get((unit, command))
        if last_ns is None:
            return 0.0
        return max(min_interval_s - (self._clock.monotonic_ns() - last_ns) / NS, 0.0)

    def note(self, unit: Hashable, command: str) -> None:
        """The command goes out now."""
        self._last_ns[unit, command] = self._clock.monotonic_ns()


def _decides(action: Action) -> bool:
    """Whether it is a step on which the command turns: no wait, and nothing that only locks the device again."""
    return action.confirm is not None or (action.write is not None and not action.always)


class _Run:
    """One command under way."""

    def __init__(self, channel: Line, device: Device, clock: Clock, progress: Progress | None) -> None:
        self._channel = channel
        self._device = device
        self._clock = clock
        self._progress = progress
        self._started_ns = clock.now_ns()
        self._before_ns = clock.monotonic_ns()
        self._done = -1
        self._state: CommandState | None = None
        self._label = ""
        self._detail = ""
        self._shown = ""
        self._sent = False
        self._open = UNPROVEN
        self._troubles: list[str] = []
        self._drift_s: float | None = None

    async def step(self, number: int, action: Action, following: Action | None) -> bool:
        """Do one step; whether the next one may be done."""
        self._label = action.label
        if self._progress is not None:
            self._progress(number, action)
        if action.write is not None:
            await self._write(action, action.write, following)
        elif action.confirm is not None:
            await self._confirm(action)
        else:
            await self._clock.sleep(action.wait_s)
        self._done = number
        self._before_ns = self._clock.monotonic_ns()
        return self._state is None

    async def lock_again(self, actions: Sequence[Action]) -> None:
        """Do the steps marked `always` that are not done. What goes wrong with them is told, and changes nothing."""
        for number, action in enumerate(actions):
            if number <= self._done or not action.always:
                continue
            if self._progress is not None:
                self._progress(number, action)
            if action.write is not None:
                await self._lock(action, action.write)
            elif action.wait_s:
                await self._clock.sleep(action.wait_s)
            self._done = number

    def result(self) -> CommandResult:
        """How it ended."""
        state, detail = self._state, self._detail
        if state is None:
            state = CommandState.UNKNOWN if self._open else CommandState.CONFIRMED
            detail = self._open
        return CommandResult(
            state,
            self._label,
            "; ".join(filter(None, (detail, *self._troubles))),
            self._shown,
            self._sent,
            self._started_ns,
            self._clock.now_ns(),
            self._drift_s,
        )

    async def _write(self, action: Action, request: WriteRequest, following: Action | None) -> None:
        if action.always:
            await self._lock(action, request)
            return
        try:
            outcome = await self._channel.write(self._device, request)
        except DriverError as error:
            self._end(CommandState.FAILED, f"not sent: {error}")
            return
        self._sent = True
        if outcome.acknowledged is False:
            self._end(CommandState.REJECTED, outcome.detail or "the device refused it")
        elif outcome.acknowledged:
            self._shown = outcome.detail or self._shown
            self._open = "" if action.answer_proves else UNPROVEN
        else:
            self._open = UNANSWERED
            if following is None or following.confirm is None:
                self._end(CommandState.UNKNOWN, outcome.detail or UNANSWERED)

    async def _lock(self, action: Action, request: WriteRequest) -> None:
        """A step marked `always`: whether the command had its effect does not hang on it."""
        try:
            outcome = await self._channel.write(self._device, request)
        except DriverError as error:
            self._troubles.append(f"{action.label} was not sent: {error}")
            return
        self._sent = True
        if not outcome.acknowledged:
            self._troubles.append(f"{action.label}: {outcome.detail or UNANSWERED}")

    async def _confirm(self, action: Action) -> None:
        trouble = ""
        seen: Confirmation | None = None
        for after_s in action.after_s or (0.0,):
            wait_s = after_s - (self._clock.monotonic_ns() - self._before_ns) / NS
            if wait_s > 0:
                await self._clock.sleep(wait_s)
            try:
                seen, trouble = await self._channel.confirm(self._device, action.confirm), ""
            except DriverError as error:
                seen, trouble = None, str(error)
                continue
            self._shown = seen.state
            if self._drift_s is None:
                self._drift_s = seen.drift_s
            if seen.reached:
                self._open = ""
                return
        if seen is None:
            self._end(CommandState.UNKNOWN if self._sent else CommandState.FAILED, f"cannot be read back: {trouble}")
        elif seen.moving:
            self._end(CommandState.UNKNOWN, f"still moving: {seen.state}")
        else:
            self._end(CommandState.FAILED, f"the device shows {seen.state}")

    def _end(self, state: CommandState, detail: str) -> None:
        self._state, self._detail = state, detail

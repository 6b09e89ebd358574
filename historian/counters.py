"""What a counter has counted: register differences, with roll-over, reset, replacement and glitches told apart.

Consumption is only what a register has gone on by. A reading that cannot follow the one before it is held back until
the next: where that one follows it, the register has really jumped (reset or replaced), else it was a glitch. Neither
a jump nor a glitch is ever booked as consumption.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import prod

import numpy as np
from numpy.typing import NDArray

HOUR_MS = 3_600_000
MARGIN = 1.2
"""Ratings are exceeded in service, and clocks of meters and hub differ a little."""
NEAR_END = 0.1
"""Without a rating, a step back is a roll-over from the last tenth of the register into its first."""


class Move(Enum):
    """What lies between two readings of a register."""

    NORMAL = "normal"
    ROLLOVER = "rollover"
    RESET = "reset"
    """It began anew from zero: what it shows since then is booked, what it counted before the reset is not known."""
    REPLACED = "replaced"
    """It shows something else altogether, as after an exchange of the meter: nothing is booked."""
    GLITCH = "glitch"
    """A reading that neither follows the one before nor is followed by the next: nothing is booked."""


ANOMALIES = (Move.ROLLOVER, Move.RESET, Move.REPLACED, Move.GLITCH)
"""All that is not simply going on."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is known of a register, in its own unit.

    rollover    first value that it cannot show, 0 where that is not known
    per_hour    the most it can count in an hour by the meter's rating, 0 where that is not known
    resolution  steps back of no more than this are rounding
    """

    rollover: float = 0.0
    per_hour: float = 0.0
    resolution: float = 0.0

    def most(self, span_ms: int) -> float:
        """The most it can have counted in a time."""
        return self.per_hour * MARGIN * span_ms / HOUR_MS + 2 * self.resolution if self.per_hour else float("inf")


@dataclass(frozen=True, slots=True)
class Advance:
    """What was booked between two readings; `amount` is never negative."""

    from_ms: int
    to_ms: int
    amount: float
    move: Move


@dataclass(frozen=True, slots=True)
class RatioChange:
    """From a time on the register counts `factor` times what it did, as after an exchange of transformers."""

    at_ms: int
    factor: float


@dataclass(frozen=True, slots=True)
class _Reading:
    time_ms: int
    value: float


class Counter:
    """One register, reading by reading in the order of time. `limits` hold after the last of the changes."""

    def __init__(self, limits: Limits, changes: Iterable[RatioChange] = ()) -> None:
        self._changes = sorted(changes, key=lambda change: change.at_ms)
        self._finally = limits
        self._limits = self._now()
        self._last: _Reading | None = None
        self._suspect: _Reading | None = None
        self._origin: _Reading | None = None
        """Where it stood before the last jump: should it return there, the jump was a longer glitch."""
        self._since_origin = 0.0

    @property
    def last(self) -> tuple[int, float] | None:
        """Time and value up to which all is booked."""
        return (self._last.time_ms, self._last.value) if self._last is not None else None

    def feed(self, time_ms: int, value: float) -> list[Advance]:
        """What the reading adds; a suspect's part comes with the reading that decides on it."""
        now = _Reading(time_ms, value)
        self._rescale(time_ms)
        last = self._last
        if last is None:
            self._last = now
            return []
        if time_ms <= last.time_ms or value != value:
            return []
        step = self._step(last, now)
        if step is not None:
            return [*self._forgotten(), self._book(last, now, *step)]
        returned = self._returned(now)
        if returned is not None:
            return returned
        suspect = self._suspect
        if suspect is not None:
            confirmed = self._step(suspect, now)
            if confirmed is not None:
                return self._jump(last, suspect, now, confirmed)
        found = self._forgotten()
        self._suspect = now
        return found

    # inside

    def _step(self, before: _Reading, now: _Reading) -> tuple[float, Move] | None:
        """How `now` follows `before`, None where it cannot."""
        limits = self._limits
        most = limits.most(now.time_ms - before.time_ms)
        amount = now.value - before.value
        if -limits.resolution <= amount <= most:
            return max(amount, 0.0), Move.NORMAL
        if amount < 0 and limits.rollover:
            around = limits.rollover - before.value + now.value
            near = before.value >= limits.rollover * (1 - NEAR_END) and now.value <= limits.rollover * NEAR_END
            if 0 <= around <= most and before.value < limits.rollover and (limits.per_hour or near):
                return around, Move.ROLLOVER
        return None

    def _book(self, before: _Reading, now: _Reading, amount: float, move: Move) -> Advance:
        back = now.value < before.value and move is Move.NORMAL
        self._last = _Reading(now.time_ms, before.value) if back else now
        self._since_origin += amount
        return Advance(before.time_ms, now.time_ms, amount, move)

    def _forgotten(self) -> list[Advance]:
        """The suspect was a glitch."""
        suspect, self._suspect = self._suspect, None
        if suspect is None or self._last is None:
            return []
        return [Advance(self._last.time_ms, suspect.time_ms, 0.0, Move.GLITCH)]

    def _returned(self, now: _Reading) -> list[Advance] | None:
        """Back where it stood before the last jump: that was a glitch of some length, and all since is booked now."""
        origin = self._origin
        if origin is None or self._last is None:
            return None
        step = self._step(origin, now)
        if step is None:
            return None
        amount = max(step[0] - self._since_origin, 0.0)
        found = [*self._forgotten(), Advance(self._last.time_ms, now.time_ms, amount, Move.NORMAL)]
        self._last, self._origin = now, None
        return found

    def _jump(self, last: _Reading, suspect: _Reading, now: _Reading, confirmed: tuple[float, Move]) -> list[Advance]:
        """The register has really jumped: two readings agree on it."""
        from_zero = suspect.value < last.value and 0 <= suspect.value <= self._limits.most(
            suspect.time_ms - last.time_ms
        )
        move = Move.RESET if from_zero else Move.REPLACED
        amount = suspect.value if from_zero and self._limits.per_hour else 0.0
        self._origin, self._since_origin = last, amount
        self._suspect = None
        first = Advance(last.time_ms, suspect.time_ms, amount, move)
        return [first, self._book(suspect, now, *confirmed)]

    def _rescale(self, time_ms: int) -> None:
        while self._changes and self._changes[0].at_ms <= time_ms:
            factor = self._changes.pop(0).factor
            self._limits = self._now()
            self._last = _scaled(self._last, factor)
            self._suspect = _scaled(self._suspect, factor)
            self._origin = _scaled(self._origin, factor)
            self._since_origin *= factor

    def _now(self) -> Limits:
        """A register that will count some times what it does has its end so much nearer."""
        limits = self._finally
        if not self._changes or not limits.rollover:
            return limits
        return replace(limits, rollover=limits.rollover / prod(change.factor for change in self._changes))


def advances(
    times_ms: Sequence[int] | NDArray[np.int64],
    values: Sequence[float] | NDArray[np.float64],
    limits: Limits,
    changes: Sequence[RatioChange] = (),
) -> list[Advance]:
    """What lies between the readings of one register, in the order of time."""
    times, numbers = np.asarray(times_ms, np.int64), np.asarray(values, np.float64)
    if len(times) > 1 and not changes and _all_normal(times, numbers, limits):
        amounts = np.maximum(np.diff(numbers), 0.0)
        return [
            Advance(begin, end, amount, Move.NORMAL)
            for begin, end, amount in zip(times[:-1].tolist(), times[1:].tolist(), amounts.tolist(), strict=True)
        ]
    counter = Counter(limits, changes)
    found: list[Advance] = []
    for time_ms, value in zip(times.tolist(), numbers.tolist(), strict=True):
        found += counter.feed(time_ms, value)
    return found


def trusted(
    times_ms: NDArray[np.int64], values: NDArray[np.float64], limits: Limits, changes: Sequence[RatioChange] = ()
) -> int:
    """Place of the first reading that the next one follows, else of the last: what came before it may be a glitch."""
    for place in range(len(times_ms) - 1):
        counter = Counter(limits, changes)
        counter.feed(int(times_ms[place]), float(values[place]))
        if counter.feed(int(times_ms[place + 1]), float(values[place + 1])):
            return place
    return max(len(times_ms) - 1, 0)


def _all_normal(times: NDArray[np.int64], values: NDArray[np.float64], limits: Limits) -> bool:
    steps, spans = np.diff(values), np.diff(times)
    if not (spans > 0).all() or not (steps >= 0).all():
        return False
    return not limits.per_hour or bool(
        (steps <= limits.per_hour * MARGIN * spans / HOUR_MS + 2 * limits.resolution).all()
    )


def _scaled(reading: _Reading | None, factor: float) -> _Reading | None:
    return _Reading(reading.time_ms, reading.value * factor) if reading is not None else None

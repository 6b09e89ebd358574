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
RETURNS_WITHIN = 6
"""So many readings after the last one before a jump it may still turn out to have been a longer glitch."""
STAYS_BACK = 4
"""So many readings that lie back by no more than rounding, and the register is taken at its word."""
CALM = RETURNS_WITHIN
"""After so many readings of which each simply follows the one before, nothing that came before them has any say: the
second is the last one that all is booked to, the fifth is where it stands by itself, with the sixth no jump can still
turn out to have been a glitch."""


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

    def shows(self, value: float) -> bool:
        """Whether the register can show a value at all."""
        return not self.rollover or -self.resolution <= value <= self.rollover + self.resolution


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
        self._after_origin = 0
        self._lying_back = 0
        """Readings in a row that lay back by rounding."""
        self._held: tuple[_Reading, Advance] | None = None
        """What was booked last where no rating bounds it, and where the register stood before: a spike shows only when
        the next reading takes it back."""
        self.followed = False
        """Whether a reading was ever followed by another: the first one alone may itself be a glitch."""

    @property
    def last(self) -> tuple[int, float] | None:
        """Time and value up to which all is booked."""
        last = self._held[0] if self._held is not None else self._last
        return (last.time_ms, last.value) if last is not None else None

    def feed(self, time_ms: int, value: float) -> list[Advance]:
        """What the readings so far add beyond what was told; a suspect's part, and what no rating bounds, comes with
        the reading that decides on it."""
        now = _Reading(time_ms, value)
        self._rescale(time_ms)
        last = self._last
        if last is None:
            self._last = now
            return []
        if time_ms <= last.time_ms or value != value:
            return []
        self._after_origin += 1
        if self._after_origin > RETURNS_WITHIN:
            self._origin = None
        step = self._step(last, now)
        if step is not None:
            return [*self._settled(), *self._forgotten(), *self._book(last, now, *step)]
        spike = self._taken_back(last, now)
        if spike is not None:
            return spike
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

    def finish(self) -> list[Advance]:
        """What is left to tell when no more readings come."""
        return self._settled()

    # inside

    def _step(self, before: _Reading, now: _Reading) -> tuple[float, Move] | None:
        """How `now` follows `before`, None where it cannot."""
        limits = self._limits
        if limits.shows(before.value) is not limits.shows(now.value):
            return None
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

    def _book(self, before: _Reading, now: _Reading, amount: float, move: Move) -> list[Advance]:
        """Book a step; what is held back is settled already."""
        back = now.value < before.value and move is Move.NORMAL and self._lying_back < STAYS_BACK - 1
        self._lying_back = self._lying_back + 1 if back else 0
        self._last = _Reading(now.time_ms, before.value) if back else now
        self._since_origin += amount
        self.followed = True
        booked = Advance(before.time_ms, now.time_ms, amount, move)
        if self._limits.per_hour or move is not Move.NORMAL or not amount:
            return [booked]
        self._held = before, booked
        return []

    def _settled(self) -> list[Advance]:
        """What was held back is so."""
        held, self._held = self._held, None
        return [held[1]] if held is not None else []

    def _taken_back(self, last: _Reading, now: _Reading) -> list[Advance] | None:
        """Back where it can have gone from where it stood before the last step: that one was a spike."""
        if self._held is None:
            return None
        before, booked = self._held
        step = self._step(before, now)
        if step is None or step[1] is not Move.NORMAL:
            return None
        spikes = [last, self._suspect] if self._suspect is not None else [last]
        self._held = self._suspect = None
        self._since_origin -= booked.amount
        glitches = [Advance(before.time_ms, each.time_ms, 0.0, Move.GLITCH) for each in spikes]
        return [*glitches, *self._book(before, now, *step)]

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
        settled, last = self._settled(), self._last
        found = [*settled, *self._forgotten(), Advance(last.time_ms, now.time_ms, amount, Move.NORMAL)]
        self._last, self._origin = now, None
        return found

    def _jump(self, last: _Reading, suspect: _Reading, now: _Reading, confirmed: tuple[float, Move]) -> list[Advance]:
        """The register has really jumped: two readings agree on it."""
        from_zero = suspect.value < last.value and 0 <= suspect.value <= self._limits.most(
            suspect.time_ms - last.time_ms
        )
        move = Move.RESET if from_zero else Move.REPLACED
        amount = suspect.value if from_zero and self._limits.per_hour else 0.0
        self._origin = last if self.followed else None
        self._since_origin, self._after_origin = amount, 2
        self._suspect = None
        first = Advance(last.time_ms, suspect.time_ms, amount, move)
        return [*self._settled(), first, *self._book(suspect, now, *confirmed)]

    def _rescale(self, time_ms: int) -> None:
        while self._changes and self._changes[0].at_ms <= time_ms:
            factor = self._changes.pop(0).factor
            self._limits = self._now()
            self._last = _scaled(self._last, factor)
            self._suspect = _scaled(self._suspect, factor)
            self._origin = _scaled(self._origin, factor)
            self._since_origin *= factor
            if self._held is not None:
                before, booked = self._held
                self._held = _Reading(before.time_ms, before.value * factor), booked

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
    return found + counter.finish()


def calm(
    times_ms: NDArray[np.int64], values: NDArray[np.float64], limits: Limits, changes: Sequence[RatioChange] = ()
) -> NDArray[np.bool_]:
    """Which readings are the last of `CALM` that each simply follow the one before."""
    found = np.zeros(len(times_ms), np.bool_)
    if len(times_ms) >= CALM:
        run = np.lib.stride_tricks.sliding_window_view(follows(times_ms, values, limits, changes), CALM - 1)
        found[CALM - 1 :] = run.all(axis=1)
    return found


def follows(
    times_ms: NDArray[np.int64], values: NDArray[np.float64], limits: Limits, changes: Sequence[RatioChange] = ()
) -> NDArray[np.bool_]:
    """Which readings but the first simply follow the one before, whatever came before that."""
    steps, spans = np.diff(values), np.diff(times_ms)
    found: NDArray[np.bool_] = steps >= 0
    if limits.per_hour:
        found &= steps <= limits.per_hour * MARGIN * spans / HOUR_MS
    ends = np.full(len(values), limits.rollover)
    for change in changes:
        ends[times_ms < change.at_ms] /= change.factor
        found &= (times_ms[1:] < change.at_ms) | (times_ms[:-1] >= change.at_ms)
    if limits.rollover:
        out = (values < 0) | (values > ends)
        found &= out[1:] == out[:-1]
    return found


def _all_normal(times: NDArray[np.int64], values: NDArray[np.float64], limits: Limits) -> bool:
    steps, spans = np.diff(values), np.diff(times)
    if not (spans > 0).all() or not (steps >= 0).all():
        return False
    if limits.shows(float(values[0])) is not limits.shows(float(values[-1])):
        return False
    return not limits.per_hour or bool(
        (steps <= limits.per_hour * MARGIN * spans / HOUR_MS + 2 * limits.resolution).all()
    )


def _scaled(reading: _Reading | None, factor: float) -> _Reading | None:
    return _Reading(reading.time_ms, reading.value * factor) if reading is not None else None

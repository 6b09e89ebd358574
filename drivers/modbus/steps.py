"""Commands compiled for Modbus: what each step writes or reads back, and how arguments become register words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from math import isclose
from typing import Any
from zoneinfo import ZoneInfo

from address_space.model.clock import NS, from_datetime, to_datetime
from drivers.api import Action, WriteRequest
from drivers.codec import MomentFormat, NumberType, Order, arrange, to_words
from drivers.codec import encode as encode_number
from drivers.errors import ProfileError
from drivers.modbus.layout import Register
from drivers.profiles import SECRETS, Command, Effect, Step

FLOAT_STEP = 1e-6
"""Numbers in float32 that differ by less are the same."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a write names: function code 5, 6, 15 or 16, wire address, and the register a number is written as."""

    fc: int
    address: int
    register: Register | None = None


@dataclass(frozen=True, slots=True)
class ClockRegisters:
    """Where and how a device keeps its date and time. `zone` is None where it is the plant's."""

    fc: int
    address: int
    format: MomentFormat
    order: Order
    zone: tzinfo | None
    tolerance_s: float

    def decode(self, words: bytes, zone: tzinfo) -> int | None:
        """UTC nanoseconds that the registers show, kept in `zone` where the device has none of its own."""
        moment = self.format.decode(arrange(words, self.order))
        if moment is None:
            return None
        return from_datetime(moment.replace(tzinfo=UTC if self.format.is_utc else self.zone or zone))

    def encode(self, at_ns: int, zone: tzinfo) -> tuple[int, ...]:
        """Registers that show a moment, to the nearest second."""
        aware = to_datetime(at_ns).astimezone(UTC if self.format.is_utc else self.zone or zone)
        rounded = (aware + timedelta(milliseconds=500)).replace(microsecond=0, tzinfo=None)
        return to_words(arrange(self.format.encode(rounded), self.order))


@dataclass(frozen=True, slots=True)
class ClockTime:
    """The moment to set a clock to: `ahead_ns` of the hub's own time when it is sent."""

    clock: ClockRegisters
    zone: tzinfo
    ahead_ns: int = 0


@dataclass(frozen=True, slots=True)
class ClockCheck:
    """Whether the device's clock shows `time`, or only by how much it is off where `any_time`."""

    time: ClockTime
    any_time: bool


@dataclass(frozen=True, slots=True)
class RegisterCheck:
    """What a register must hold. `hidden`: what it holds is a secret."""

    register: Register
    mask: int | None = None
    equals: int | float | str | None = field(default=None, repr=False)
    between: tuple[float, float] | None = None
    moving: frozenset[int] = frozenset()
    hidden: bool = False

    def counted(self, value: float | str | None) -> float | str | None:
        """The part of what was read that counts."""
        return value & self.mask if self.mask is not None and isinstance(value, int) else value

    def holds(self, value: float | str | None) -> bool:
        """Whether that is what it must be."""
        if self.between is not None:
            return isinstance(value, int | float) and self.between[0] <= value <= self.between[1]
        if self.register.type.is_float and isinstance(value, float) and isinstance(self.equals, int | float):
            return isclose(value, self.equals, rel_tol=FLOAT_STEP, abs_tol=FLOAT_STEP)
        return value == self.equals


@dataclass(frozen=True, slots=True, eq=False)
class EffectCheck:
    """A measured effect of the variable at `offset`."""

    offset: int
    effect: Effect


@dataclass(frozen=True, slots=True, eq=False)
class Argument:
    """How an argument is written: as `register` (whose places are not used), raw × scale is the argument."""

    name: str
    register: Register
    scale: Fraction
    lowest: float | None
    highest: float | None
    map: Mapping[int, int] | None

    def words(self, given: Any) -> tuple[int, ...]:
        """The words to write; raises ProfileError, which never shows a secret."""
        try:
            data = encode_number(self.register.type, self._raw(given), self.register.words)
        except (OverflowError, ValueError, TypeError, ArithmeticError) as error:
            # A secret must not come out with the error it caused.
            raise _bad(self.name, f"does not fit {self.register.type.value}") from (
                None if self.name in SECRETS else error
            )
        return to_words(arrange(data, self.register.order))

    def raw(self, given: Any) -> int | float | str:
        """What the register holds after it was written; raises ProfileError."""
        try:
            return self._raw(given)
        except (ValueError, TypeError, ArithmeticError):
            raise _bad(self.name, "is no number") from None

    def _raw(self, given: Any) -> int | float | str:
        if self.register.type is NumberType.STRING:
            return str(given)
        value = Fraction(str(int(given) if isinstance(given, bool) else given))
        if self.lowest is not None and value < Fraction(str(self.lowest)):
            raise _bad(self.name, f"is below the lowest that may be written, {self.lowest:g}")
        if self.highest is not None and value > Fraction(str(self.highest)):
            raise _bad(self.name, f"is above the highest that may be written, {self.highest:g}")
        if self.map is not None:
            if value not in self.map:
                raise _bad(self.name, f"is none of {', '.join(map(str, sorted(self.map)))}")
            return self.map[int(value)]
        raw = value / self.scale
        return float(raw) if self.register.type.is_float else round(raw)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledStep:
    """One step: a write (of words, an argument or the time), a check (of a register, an argument, an effect or the
    clock), or a wait. `same_as` is how the argument lies in the register that is checked for it."""

    step: Step
    label: str
    target: Target | None = None
    words: tuple[int, ...] = ()
    argument: Argument | None = None
    check: RegisterCheck | EffectCheck | None = None
    same_as: Argument | None = None
    clock: ClockRegisters | None = None
    any_time: bool = False

    @property
    def width(self) -> int:
        """Registers or coils that it writes."""
        if self.clock is not None:
            return self.clock.format.size
        return self.argument.register.words if self.argument is not None else len(self.words)

    @property
    def needs(self) -> str:
        """Name of the argument it takes; empty where it takes none."""
        given = self.argument or self.same_as
        return given.name if given is not None else "time" if self.clock is not None else ""

    def action(self, given: Any, now_ns: int) -> Action:
        """The step with its argument."""
        step = self.step
        if self.target is not None:
            value: Any = self.words
            if self.clock is not None:
                value = _clock_time(self.clock, given, now_ns)
            elif self.argument is not None:
                value = self.argument.words(given)
            request = WriteRequest(self.target, value)
            return Action(self.label, write=request, always=step.always, answer_proves=step.answer_proves)
        if step.wait_s:
            return Action(self.label, wait_s=step.wait_s, always=step.always)
        check: Any = self.check
        if self.clock is not None:
            check = ClockCheck(_clock_time(self.clock, given, now_ns), self.any_time)
        elif self.same_as is not None:
            register = self.same_as.register
            check = RegisterCheck(register, equals=self.same_as.raw(given), hidden=self.same_as.name in SECRETS)
        after_s = (0.0,) if self.any_time else step.looks_s
        return Action(self.label, confirm=check, after_s=after_s, always=step.always)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledCommand:
    """A command of a profile, ready to be given its arguments."""

    command: Command
    steps: tuple[CompiledStep, ...]

    def actions(self, arguments: Mapping[str, Any], now_ns: int) -> tuple[Action, ...]:
        """Its steps; raises ProfileError where an argument is missing or does not fit."""
        needed = dict.fromkeys((*self.command.needs, *(step.needs for step in self.steps if step.needs)))
        for name in needed:
            if name not in arguments:
                raise ProfileError(
                    f"the command {self.command.name} needs the argument {name!r}",
                    hint=f"it takes {', '.join(needed)}",
                )
        return tuple(step.action(arguments.get(step.needs), now_ns) for step in self.steps)


def zone_of(name: str) -> tzinfo | None:
    """The zone a profile names; None for the plant's."""
    return {"local": None, "utc": UTC}[name] if name in ("local", "utc") else ZoneInfo(name)


def _clock_time(clock: ClockRegisters, given: Any, now_ns: int) -> ClockTime:
    if not isinstance(given, datetime) or given.tzinfo is None:
        raise _bad("time", "is no time with its time zone")
    ahead_ns = from_datetime(given) - now_ns
    # What is meant to be now stays now, however long the command waits for the line.
    return ClockTime(clock, given.tzinfo, ahead_ns if abs(ahead_ns) >= NS else 0)


def _bad(name: str, what: str) -> ProfileError:
    return ProfileError(f"the argument {name!r} {what}", where="command")

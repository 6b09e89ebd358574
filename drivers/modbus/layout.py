"""A profile compiled for Modbus: registers with wire addresses, exact scales, and the device's limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from address_space.model.quantity import Kind, Quantity
from drivers.codec import NumberType, Order
from drivers.profiles import Profile

if TYPE_CHECKING:
    from drivers.modbus.event_logs import EventTable
    from drivers.modbus.logs import Log
    from drivers.modbus.steps import ClockRegisters, CompiledCommand


class RatioKind(Enum):
    """Instrument transformers a value is multiplied with."""

    NONE = "none"
    CT = "ct"
    PT = "pt"
    PTCT = "ptct"

    def pick(self, ct: Fraction, pt: Fraction) -> Fraction:
        """The factor, given both ratios."""
        chosen = {RatioKind.CT: ct, RatioKind.PT: pt, RatioKind.PTCT: ct * pt}
        return chosen.get(self, Fraction(1))


class FactorKind(Enum):
    """What a scaling register means."""

    MULTIPLY = "multiply"
    EXPONENT = "exponent"
    DECIMALS = "decimals"


@dataclass(frozen=True, slots=True)
class Register:
    """Where a number lies: wire address of each of its words, most significant first, and how it is written there.

    bits  (lowest, width) taken from it, or None for all of it
    """

    fc: int
    places: tuple[int, ...]
    type: NumberType
    order: Order = Order.ABCD
    bits: tuple[int, int] | None = None

    @property
    def address(self) -> int:
        """Wire address of the lowest-numbered word."""
        return min(self.places)

    @property
    def words(self) -> int:
        """Number of registers (of bits for function codes 1 and 2)."""
        return len(self.places)

    @property
    def runs(self) -> tuple[tuple[int, int], ...]:
        """Runs of adjacent addresses as (first, count)."""
        runs: list[tuple[int, int]] = []
        for place in sorted(self.places):
            if runs and place == sum(runs[-1]):
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((place, 1))
        return tuple(runs)

    def __str__(self) -> str:
        return f"FC{self.fc} 0x{self.address:04X} {self.type.value}"


@dataclass(frozen=True, slots=True)
class Sign:
    """A register that holds the sign of another: negative where it equals `negative`."""

    register: Register
    negative: int


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One number: base units = raw × scale, × the factor register, with its sign."""

    register: Register
    scale: Fraction
    sentinels: frozenset[int] = frozenset()
    faults: frozenset[int] = frozenset()
    factor: Register | None = None
    factor_kind: FactorKind = FactorKind.MULTIPLY
    sign: Sign | None = None
    magnitude: bool = False
    negate: bool = False

    @property
    def registers(self) -> tuple[Register, ...]:
        """All registers needed to know it, its own first."""
        extra = [self.factor] if self.factor else []
        return (self.register, *extra, *([self.sign.register] if self.sign else []))

    @property
    def is_plain(self) -> bool:
        """Whether raw × scale is all there is to it."""
        return not (self.factor or self.sign or self.magnitude or self.register.bits)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledPoint:
    """One variable of a device: base units = (sum of terms) × ratio + offset.

    `fc`, `address`, `words`, `type`, `order` and `scale` (base units a raw unit) are those of its first term, which
    is the only one of nearly every point.
    """

    quantity: Quantity
    terms: tuple[Term, ...]
    ratio: RatioKind = RatioKind.NONE
    offset: Fraction = Fraction(0)
    map: Mapping[int, int] | None = None
    four_quadrant: bool = False
    atomic: str = ""
    optional: bool = False
    shared: bool = False
    divisor: Term | None = None
    """By what the sum is divided."""
    fallback: CompiledPoint | None = None
    """The register of lesser resolution, used where the device lacks this one."""

    @property
    def name(self) -> str:
        """The quantity's path."""
        return self.quantity.path

    @property
    def is_counter(self) -> bool:
        """Whether it is kept as an exact integer."""
        return self.quantity.kind is Kind.COUNTER

    @property
    def fc(self) -> int:
        """Function code that reads it."""
        return self.terms[0].register.fc

    @property
    def address(self) -> int:
        """Wire address of its first register."""
        return self.terms[0].register.address

    @property
    def words(self) -> int:
        """Number of its registers."""
        return self.terms[0].register.words

    @property
    def type(self) -> NumberType:
        """What its registers hold."""
        return self.terms[0].register.type

    @property
    def order(self) -> Order:
        """Byte order."""
        return self.terms[0].register.order

    @property
    def scale(self) -> Fraction:
        """Base units in one raw unit, before the ratio."""
        return self.terms[0].scale

    @property
    def registers(self) -> tuple[Register, ...]:
        """Every register needed to know it."""
        terms = (*self.terms, self.divisor) if self.divisor else self.terms
        return tuple(register for term in terms for register in term.registers)

    @property
    def all_registers(self) -> tuple[Register, ...]:
        """These and those of what stands in for it."""
        return (*self.registers, *self.fallback.registers) if self.fallback else self.registers


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be asked at once."""

    max_words: int = 60
    max_gap: int = 8
    one_value_per_read: bool = False
    blocks: tuple[tuple[int, int, int], ...] = ()
    """(function code, first, words) of runs that are read whole."""


@dataclass(frozen=True, slots=True)
class RatioRegister:
    """A register that holds a transformer ratio; believed for `refresh_s`."""

    register: Register
    scale: Fraction
    refresh_s: float


RatioSource = Fraction | RatioRegister | None
"""A fixed ratio, a register, or None: as configured for the device."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a register must hold for a variant to be the right one."""

    register: Register
    equals: int | str | None = None
    starts_with: str | None = None
    between: tuple[int, int] | None = None

    def holds(self, value: object) -> bool:
        """Whether `value`, as read, fulfils it; upper and lower case of a text are the same."""
        if self.starts_with is not None:
            return isinstance(value, str) and value.casefold().startswith(self.starts_with.casefold())
        if self.between is not None:
            return isinstance(value, int | float) and self.between[0] <= value <= self.between[1]
        return value == self.equals


@dataclass(frozen=True, slots=True, eq=False)
class Make:
    """One variant of a profile: `points` by template offset, None where it has no such data."""

    name: str
    points: tuple[CompiledPoint | None, ...]
    limits: Limits
    ct: RatioSource = None
    pt: RatioSource = None
    conditions: tuple[Condition, ...] = ()
    gap_s: float = 0.0
    clock: ClockRegisters | None = None
    """The clock that dates its readings, read with them."""
    own_clock: ClockRegisters | None = None
    """Its clock, whether or not it dates them."""
    logs: tuple[Log, ...] = ()
    """What it records by itself."""
    event_logs: tuple[EventTable, ...] = ()
    """The events that it records by itself."""


@dataclass(frozen=True, slots=True, eq=False)
class CompiledProfile:
    """A profile ready to be planned and decoded. `makes` holds the profile itself, then its variants in order.

    plans  what has been planned so far, by offsets: shared by every channel on which such devices are
    """

    profile: Profile
    makes: tuple[Make, ...]
    quantities: tuple[Quantity, ...] = ()
    commands: Mapping[str, CompiledCommand] = field(default_factory=dict)
    plans: dict[tuple[int, ...], Any] = field(default_factory=dict)

    differs: bool = False
    """Whether its devices are of several makes or hold their ratios themselves."""

    @property
    def name(self) -> str:
        """The profile's name."""
        return self.profile.name

    @property
    def points(self) -> tuple[CompiledPoint | None, ...]:
        """Points by template offset, of the profile itself."""
        return self.makes[0].points

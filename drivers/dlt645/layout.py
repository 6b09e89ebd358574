"""A profile compiled for DL/T 645: identifiers, where values lie in their data, exact scales, and how to switch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import Any, Final

from address_space.model.quantity import Kind, Quantity
from drivers.dlt645.blocks import Block
from drivers.dlt645.formats import Format
from drivers.dlt645.formats import Kind as FormatKind
from drivers.profiles import Profile


class RatioKind(Enum):
    """Instrument transformers a value is multiplied with."""

    NONE = "none"
    CT = "ct"
    PT = "pt"
    CTPT = "ctpt"

    def pick(self, ct: Fraction, pt: Fraction) -> Fraction:
        """The factor, given both ratios."""
        chosen = {RatioKind.CT: ct, RatioKind.PT: pt, RatioKind.CTPT: ct * pt}
        return chosen.get(self, Fraction(1))


@dataclass(frozen=True, slots=True)
class Spot:
    """Where one value lies: bytes `start` up to `start + format.size` of the data of `di`.

    block   block in which the value can be read as well, None where it cannot or must not be
    stride  bytes of one value of the block; size: bytes of the data of `di`, 0 where the profile alone knows
    wide    format of the same value where a meter sends more digits, told by the length of what it sends
    bits    numbers of the bits to take, lowest first; none for the whole
    """

    di: int
    format: Format
    start: int = 0
    size: int = 0
    bits: tuple[int, ...] = ()
    block: Block | None = None
    stride: int = 0
    wide: Format | None = None

    @property
    def start_in_block(self) -> int:
        """As `start`, of the data of the block."""
        return self.start if self.block is None else self.block.part * self.stride + self.start


@dataclass(frozen=True, slots=True, eq=False)
class CompiledPoint:
    """One variable of a meter: base units = whole number at its spot × scale × ratio; of several spots (bits) whether
    any is set."""

    quantity: Quantity
    spots: tuple[Spot, ...]
    scale: Fraction = Fraction(1)
    ratio: RatioKind = RatioKind.NONE
    map: Mapping[int, int] | None = None

    @property
    def name(self) -> str:
        """The quantity's path."""
        return self.quantity.path

    @property
    def is_counter(self) -> bool:
        """Whether it is kept as an exact integer."""
        return self.quantity.kind is Kind.COUNTER

    @property
    def capacity(self) -> float:
        """First value in the quantity's unit, before ratios, that its digits cannot show; 0 for what does not count."""
        form = self.spots[0].format
        if not self.is_counter or form.kind is not FormatKind.NUMBER or form.signed:
            return 0.0
        return float(Fraction(100**form.size) * self.scale / self.quantity.per_unit)


@dataclass(frozen=True, slots=True)
class Relay:
    """How supply is switched: words and bytes of the payload, for how long it is valid, by whose clock."""

    payload: tuple[str, ...]
    valid_s: float
    by_meter: bool


DEFAULT_RELAY: Final = Relay(("level", "password", "operator", "action", "00", "until"), 900.0, by_meter=True)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledProfile:
    """A profile ready to be planned and decoded. `points` by template offset, None where it has no such data.

    plans  what has been planned so far, by offsets: shared by every channel on which such meters are
    """

    profile: Profile
    version: str
    points: tuple[CompiledPoint | None, ...]
    preamble: int = 4
    gap_s: float = 0.05
    level: int = 2
    relay: Relay = DEFAULT_RELAY
    adjusts_clock: bool = False
    reads_clock: bool = False
    commands: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Compiled steps (`orders.CompiledStep`) by the command's name."""
    plans: dict[tuple[int, ...], Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The profile's name."""
        return self.profile.name

    @property
    def di_size(self) -> int:
        """Bytes of a data identifier."""
        return 4 if self.version == "2007" else 2

    @property
    def digits(self) -> int:
        """Hexadecimal digits of a data identifier."""
        return 2 * self.di_size

    def di_bytes(self, di: int) -> bytes:
        """A data identifier as it is sent, before 33H is added."""
        return di.to_bytes(self.di_size, "little")

    def di_text(self, di: int) -> str:
        """A data identifier as the standard prints it."""
        return f"{di:0{self.digits}X}"

"""A profile as the driver uses it: compiled, checked, and shared by all meters of a make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from address_space.model.quantity import Kind, Quantity
from address_space.model.state import ValveState
from drivers.api import Action
from drivers.cjt188.identifiers import DiOrder
from drivers.cjt188.layouts import Layout, layout_of, sizes_of

ERROR_SIZE = 3
"""Bytes of data of an error answer."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One bit of the status word: byte 0 or 1 of it."""

    byte: int
    mask: int
    active: bool


@dataclass(frozen=True, slots=True)
class CompiledPoint:
    """One point: number `field` of the answer to `di`, or a `flag` of its status word, or (neither) its valve.

    size  base units in one unit of the profile, for numbers without a known unit byte
    """

    quantity: Quantity
    di: int
    size: Fraction
    field: str = ""
    flag: Flag | None = None
    base: str = ""
    """Base unit of the quantity."""
    is_counter: bool = False
    """Whether its values are whole base units."""

    @classmethod
    def of(
        cls, quantity: Quantity, di: int, size: Fraction, field: str = "", flag: Flag | None = None
    ) -> CompiledPoint:
        """With what follows from the quantity."""
        base = quantity.unit.base if quantity.unit else ""
        return cls(quantity, di, size, field, flag, base, quantity.kind is Kind.COUNTER)


@dataclass(frozen=True, slots=True)
class ValveBits:
    """Where the status word shows the valve, and the bytes that move it."""

    byte: int
    mask: int
    states: Mapping[int, ValveState]
    codes: Mapping[str, int]

    def state(self, status: bytes) -> ValveState:
        """Position according to a status word."""
        return self.states.get(status[self.byte] & self.mask, ValveState.UNKNOWN)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledProfile:
    """A profile for CJ/T 188. `points` match the profile's one by one; None is one that the make has not."""

    name: str
    type: int
    di_order: DiOrder
    strict_ser: bool
    has_valve: bool
    flow_decimals: int
    preamble: int | None
    gap_s: float
    valve: ValveBits
    points: tuple[CompiledPoint | None, ...]
    layouts: Mapping[tuple[int, int], Layout]
    """Forms of the maker's own, by identifier and size."""
    commands: Mapping[str, tuple[Step, ...]]
    plans: dict[Any, Any] = field(default_factory=dict)

    def layout(self, di: int, size: int) -> Layout | None:
        """What so many bytes of an answer hold; None where no such form is known."""
        return self.layouts.get((di, size)) or layout_of(di, size, self.flow_decimals)

    def longest(self, di: int) -> int:
        """Bytes of the longest form of an identifier that fits this kind of meter."""
        own = [size for known, size in self.layouts if known == di]
        known = sizes_of(di)
        if di == 0x901F and self.type >> 4 != 2:
            known = tuple(size for size in known if size <= 19)
        return max((*own, *known), default=ERROR_SIZE)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a command: an action that is ready, or one whose write waits for the argument of this name."""

    action: Action
    argument: str = ""

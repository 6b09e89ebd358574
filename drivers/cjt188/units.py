"""The unit byte behind a number, and what one of it is in the hub's base units, exactly.

CJ/T 188-2004 table 13 and its use in public drivers: each unit has three codes, for the unit, ten and a hundred of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from types import MappingProxyType


class Dimension(Enum):
    """What a unit measures; the value is the hub's base unit of it."""

    ENERGY = "kJ"
    POWER = "W"
    VOLUME = "l"
    FLOW = "l/h"


@dataclass(frozen=True, slots=True)
class CodedUnit:
    """One unit byte: 1, 10 or 100 (`multiplier`) of `symbol`, which together are `size` of the hub's unit `base`."""

    code: int
    symbol: str
    multiplier: int
    size: Fraction
    base: str


_JOULE_AN_HOUR = Fraction(1, 3600)
_ROWS: tuple[tuple[int, int, str, Dimension, Fraction], ...] = (
    (0x01, 1, "J", Dimension.ENERGY, Fraction(1, 1000)),
    (0x02, 3, "Wh", Dimension.ENERGY, Fraction(36, 10)),
    (0x05, 3, "kWh", Dimension.ENERGY, Fraction(3600)),
    (0x08, 3, "MWh", Dimension.ENERGY, Fraction(3_600_000)),
    (0x0B, 3, "kJ", Dimension.ENERGY, Fraction(1)),
    (0x0E, 3, "MJ", Dimension.ENERGY, Fraction(1000)),
    (0x11, 3, "GJ", Dimension.ENERGY, Fraction(1_000_000)),
    (0x14, 3, "W", Dimension.POWER, Fraction(1)),
    (0x17, 3, "kW", Dimension.POWER, Fraction(1000)),
    (0x1A, 3, "MW", Dimension.POWER, Fraction(1_000_000)),
    (0x29, 3, "L", Dimension.VOLUME, Fraction(1)),
    (0x2C, 3, "m3", Dimension.VOLUME, Fraction(1000)),
    (0x32, 3, "L/h", Dimension.FLOW, Fraction(1)),
    (0x35, 3, "m3/h", Dimension.FLOW, Fraction(1000)),
    (0x40, 1, "J/h", Dimension.POWER, _JOULE_AN_HOUR),
    (0x43, 3, "kJ/h", Dimension.POWER, 1000 * _JOULE_AN_HOUR),
    (0x46, 3, "MJ/h", Dimension.POWER, 1_000_000 * _JOULE_AN_HOUR),
    (0x49, 3, "GJ/h", Dimension.POWER, 1_000_000_000 * _JOULE_AN_HOUR),
)
"""First code, how many codes, symbol, dimension, base units in one."""


def _table() -> Mapping[int, CodedUnit]:
    table: dict[int, CodedUnit] = {}
    for first, codes, symbol, dimension, size in _ROWS:
        for step in range(codes):
            multiplier = 10**step
            code = first + step
            table[code] = CodedUnit(code, symbol, multiplier, size * multiplier, dimension.value)
    return MappingProxyType(table)


UNITS: Mapping[int, CodedUnit] = _table()
"""Units by code."""
CODES: Mapping[str, int] = MappingProxyType({unit.symbol: unit.code for unit in UNITS.values() if unit.multiplier == 1})
"""Code of each unit by its symbol."""

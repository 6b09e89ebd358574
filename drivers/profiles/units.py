"""Units a profile may state, and their exact size in the base units of `address_space.model.units`."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

from address_space.model.quantity import Quantity
from address_space.model.units import UNITS, Unit

_PREFIXED: Mapping[str, tuple[str, ...]] = {
    "Wh": ("", "k", "M", "G"),
    "varh": ("", "k", "M", "G"),
    "VAh": ("", "k", "M", "G"),
    "W": ("m", "", "k", "M"),
    "var": ("m", "", "k", "M"),
    "VA": ("m", "", "k", "M"),
    "V": ("m", "", "k"),
    "A": ("m", "", "k"),
    "Hz": ("m", ""),
    "bar": ("m", ""),
}
_PREFIX = {"m": Fraction(1, 1000), "": Fraction(1), "k": Fraction(1000), "M": Fraction(10**6), "G": Fraction(10**9)}

_SPECIAL: Mapping[str, tuple[tuple[str, Fraction], ...]] = {
    "1": (("1", Fraction(1)),),
    "%": (("%", Fraction(1)), ("1", Fraction(1, 100))),
    "°": (("°", Fraction(1)),),
    "°C": (("°C", Fraction(1)),),
    "s": (("s", Fraction(1)),),
    "min": (("s", Fraction(60)),),
    "h": (("s", Fraction(3600)),),
    "d": (("s", Fraction(86_400)),),
    "ms": (("ms", Fraction(1)), ("s", Fraction(1, 1000))),
    "dBm": (("dBm", Fraction(1)),),
    "l": (("l", Fraction(1)),),
    "m3": (("l", Fraction(1000)),),
    "l/h": (("l/h", Fraction(1)),),
    "l/s": (("l/h", Fraction(3600)),),
    "m3/h": (("l/h", Fraction(1000)),),
    "kg": (("kg", Fraction(1)),),
    "t": (("kg", Fraction(1000)),),
    "kg/h": (("kg/h", Fraction(1)),),
    "t/h": (("kg/h", Fraction(1000)),),
    "kJ": (("kJ", Fraction(1)),),
    "MJ": (("kJ", Fraction(1000)),),
    "GJ": (("kJ", Fraction(10**6)),),
    "Gcal": (("kJ", Fraction(4_186_800)),),
    "Pa": (("bar", Fraction(1, 100_000)),),
    "kPa": (("bar", Fraction(1, 100)),),
    "MPa": (("bar", Fraction(10)),),
}
_HEAT = {"Wh": Fraction(36, 10)}
"""Heat meters count in kWh as well as in GJ: 1 Wh is 3.6 kJ."""


def _table() -> Mapping[str, Mapping[str, Fraction]]:
    table: dict[str, dict[str, Fraction]] = {name: dict(sizes) for name, sizes in _SPECIAL.items()}
    for base, prefixes in _PREFIXED.items():
        for prefix in prefixes:
            table[prefix + base] = {base: _PREFIX[prefix]}
            if base in _HEAT:
                table[prefix + base]["kJ"] = _PREFIX[prefix] * _HEAT[base]
    return MappingProxyType({name: MappingProxyType(sizes) for name, sizes in table.items()})


SIZES = _table()
"""Unit → {base unit: how many of it one unit holds}."""


def size_in_base(unit: str, quantity: Quantity) -> Fraction | None:
    """Base units of `quantity` in one `unit`; None where the unit is unknown or measures something else."""
    if quantity.unit is None:
        return Fraction(1) if unit == "" else None
    return SIZES.get(unit, {}).get(quantity.unit.base)


def units_of(quantity: Quantity) -> tuple[str, ...]:
    """Every unit in which a profile may state `quantity`."""
    if quantity.unit is None:
        return ("",)
    base = quantity.unit.base
    return tuple(name for name, sizes in SIZES.items() if base in sizes)


def shown_unit(unit: str) -> tuple[Unit, Fraction] | None:
    """The unit in which clients are told values that a profile states in `unit`, and how many of it one `unit` is;
    None where there is none."""
    sizes = SIZES.get(unit, {})
    found = [(each, sizes[each.base] / each.per_unit) for each in UNITS.values() if each.base in sizes]
    return min(found, key=lambda each: each[1] != 1, default=None)

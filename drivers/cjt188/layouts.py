"""What the bytes behind identifier and serial number mean: layouts by identifier and length, numbers taken out exactly.

The forms of 901F are those of CJ/T 188-2004 table 11 as captured frames show them; the shorter heat form, 911F and the
freezes of 2018 are as the public driver ng-gateway (commit 0f0c142) codes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType

from drivers.cjt188.identifiers import CLOCK, FULL_RECORD, PURCHASE, READING, family_of
from drivers.cjt188.units import UNITS, CodedUnit

VOLUME_DECIMALS = 2
FLOW_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Field:
    """One number: `length` bytes BCD from `at`, low byte first, so many decimals.

    unit_at  where its unit byte stands; None where it has none and `unit` says what it is
    """

    name: str
    at: int
    length: int
    decimals: int = 0
    unit_at: int | None = None
    unit: str = ""

    @property
    def end(self) -> int:
        """Behind its last byte."""
        return max(self.at + self.length, 0 if self.unit_at is None else self.unit_at + 1)


@dataclass(frozen=True, slots=True)
class Layout:
    """One form of one identifier: so many bytes, its numbers, where clock (7 bytes) and status (2) stand."""

    size: int
    fields: tuple[Field, ...]
    clock_at: int | None = None
    status_at: int | None = None
    _named: dict[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_named", {each.name: each for each in self.fields})

    def field(self, name: str) -> Field | None:
        """The number with this name."""
        return self._named.get(name)

    def unit_of(self, name: str) -> str | None:
        """The unit of a number without unit byte, None where it has none."""
        found = self._named.get(name)
        return (found.unit or None) if found else None


@dataclass(frozen=True, slots=True)
class Number:
    """A number as the meter sent it. `raw` is None where it is absent (all FF) or no decimal number.

    decimals  how many of its digits stand behind the point
    unit   None where there is no unit byte, or one that is not known
    """

    raw: int | None
    decimals: int
    unit: CodedUnit | None
    absent: bool

    @property
    def value(self) -> Fraction | None:
        """In the unit the meter named (its symbol), or in the field's own."""
        if self.raw is None:
            return None
        return Fraction(self.raw * (self.unit.multiplier if self.unit else 1), 10**self.decimals)


def number(payload: bytes, row: Field) -> Number:
    """The number of a field; the payload is long enough for it."""
    data = payload[row.at : row.at + row.length]
    digits = data[::-1].hex()
    unit = None if row.unit_at is None else UNITS.get(payload[row.unit_at])
    raw = int(digits) if digits.isdecimal() else None
    return Number(raw, row.decimals, unit, raw is None and not digits.strip("f"))


class _Building:
    """Fields one after the other."""

    def __init__(self) -> None:
        self._fields: list[Field] = []
        self._at = 0
        self._clock: int | None = None
        self._status: int | None = None

    def coded(self, name: str, length: int = 4, decimals: int = VOLUME_DECIMALS) -> _Building:
        self._fields.append(Field(name, self._at, length, decimals, self._at + length))
        self._at += length + 1
        return self

    def plain(self, name: str, length: int, decimals: int = 0, unit: str = "") -> _Building:
        self._fields.append(Field(name, self._at, length, decimals, None, unit))
        self._at += length
        return self

    def clock(self) -> _Building:
        self._clock = self._at
        self._at += 7
        return self

    def status(self) -> _Building:
        self._status = self._at
        self._at += 2
        return self

    def done(self) -> Layout:
        return Layout(self._at, tuple(self._fields), self._clock, self._status)


def _water() -> _Building:
    return _Building().coded("cumulative")


def _heat(flow_decimals: int) -> Layout:
    form = _Building().coded("heat_settlement_or_cooling").coded("heat_current").coded("heat_power")
    form = form.coded("flow", decimals=flow_decimals).coded("volume")
    form = form.plain("supply_temp", 3, 2, "°C").plain("return_temp", 3, 2, "°C").plain("work_hours", 3, 0, "h")
    return form.clock().status().done()


def _short_heat() -> Layout:
    form = _Building().coded("heat_settlement_or_cooling").coded("heat_current").coded("heat_power", 3)
    form = form.coded("flow", 3, 3).coded("volume")
    form = form.plain("supply_temp", 2, 2, "°C").plain("return_temp", 2, 2, "°C").plain("work_hours", 4, 0, "h")
    return form.clock().status().done()


def _full_record(flow_decimals: int) -> Layout:
    form = _Building().coded("heat_settlement").coded("cooling_settlement").coded("heat_current")
    form = form.coded("cooling_current").coded("heat_power", 3).coded("flow", 3, flow_decimals).coded("volume")
    form = form.plain("supply_temp", 2, 2, "°C").plain("return_temp", 2, 2, "°C")
    form = form.plain("supply_pressure", 2, 2).plain("return_pressure", 2, 2).plain("work_hours", 4, 0, "h")
    return form.clock().status().done()


def _freeze(flow_decimals: int) -> Layout:
    form = _Building().clock().coded("cumulative").coded("flow", decimals=flow_decimals)
    return form.plain("temperature", 3, 2, "°C").plain("pressure", 3, 2).done()


def _forms(flow_decimals: int) -> Mapping[tuple[int, int], Layout]:
    settled = _Building().coded("settlement").done()
    freeze = _freeze(flow_decimals)
    purchase = _Building().plain("purchase_count", 1).plain("purchased", 4, 2).plain("purchased_total", 4, 2)
    price = _Building().plain("price_1", 3, 2).plain("volume_1", 3).plain("price_2", 3, 2)
    layouts = {
        READING: (
            _water().coded("settlement").clock().status().done(),
            _water().clock().status().done(),
            _water().status().done(),
            _water().done(),
            _heat(flow_decimals),
            _short_heat(),
        ),
        FULL_RECORD: (_full_record(flow_decimals),),
        CLOCK: (_Building().clock().done(),),
        0xD120: (settled,),
        0xD200: (
            settled,
            _Building().coded("heat_settlement").coded("cooling_settlement").coded("settlement").done(),
            freeze,
        ),
        0xD300: (freeze,),
        0xD400: (freeze,),
        0x8102: (price.plain("volume_2", 3).plain("price_3", 3, 2).done(),),
        0x8103: (_Building().plain("settlement_day", 1).done(),),
        0x8104: (_Building().plain("reading_day", 1).done(),),
        PURCHASE: (purchase.plain("remaining", 4, 2).status().done(),),
        0x8106: (_Building().plain("key_version", 1).done(),),
    }
    return MappingProxyType({(di, form.size): form for di, forms in layouts.items() for form in forms})


_FORMS: tuple[Mapping[tuple[int, int], Layout], ...] = tuple(_forms(decimals) for decimals in range(7))


def layout_of(di: int, size: int, flow_decimals: int = FLOW_DECIMALS) -> Layout | None:
    """What `size` bytes behind identifier and serial number hold; None where no such form is known."""
    return _FORMS[flow_decimals].get((family_of(di), size))


def sizes_of(di: int) -> tuple[int, ...]:
    """How long the known forms of an identifier are, longest last."""
    return tuple(sorted(size for known, size in _FORMS[FLOW_DECIMALS] if known == family_of(di)))


def field_names(di: int) -> frozenset[str]:
    """Names of all numbers in any form of an identifier."""
    return frozenset(
        field.name
        for (known, _), form in _FORMS[FLOW_DECIMALS].items()
        if known == family_of(di)
        for field in form.fields
    )


def clock_text(data: bytes) -> str | None:
    """Seven bytes of clock as "2015-05-11 22:01:31", whether that exists in a calendar or not; None where absent."""
    if data == b"\xff" * 7:
        return None
    digits = [f"{byte:02X}" for byte in data]
    second, minute, hour, day, month, year, century = digits
    return f"{century}{year}-{month}-{day} {hour}:{minute}:{second}"

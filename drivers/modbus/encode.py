"""The device side of decoding: which words a device would hold to show a value. For simulators and commands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from drivers.codec import arrange, to_words
from drivers.codec import encode as encode_number
from drivers.modbus.layout import CompiledPoint, FactorKind, Register, Term

Ratio = tuple[float, float]
_DIVISOR = 1000


@dataclass(frozen=True, slots=True)
class Cell:
    """One register and what it holds."""

    fc: int
    address: int
    word: int


def encode_point(point: CompiledPoint, value: float, ratio: Ratio = (1.0, 1.0)) -> tuple[Cell, ...]:
    """Registers that show `value` (base units) of a device with `ratio` (CT, PT), the nearest its resolution allows.

    A sum puts everything into its first term. Raises `OverflowError` where the register cannot hold the value.
    """
    first, *others = point.terms
    if point.divisor is not None:
        return _quotient(point, first, point.divisor, value)
    cells = list(encode_raw(first.register, _raw(point, first, value, ratio)))
    cells += _helpers(first, negative=value < 0)
    for other in others:
        cells += encode_raw(other.register, 0)
        cells += _helpers(other, negative=False)
    return tuple(cells)


def encode_raw(register: Register, raw: int | float | str) -> Iterator[Cell]:
    """Registers that hold the raw number; bits outside a bit range are 0."""
    if register.bits:
        low, width = register.bits
        if not 0 <= int(raw) < 1 << width:
            raise OverflowError(f"{raw} does not fit {width} bits")
        raw = int(raw) << low
    data = arrange(encode_number(register.type, raw, register.words), register.order)
    for place, word in zip(register.places, to_words(data), strict=True):
        yield Cell(register.fc, place, word)


def no_data(point: CompiledPoint) -> tuple[Cell, ...]:
    """Registers that say the device has no such data; empty where it has no way to say it."""
    register = point.terms[0].register
    if register.type.is_float:
        return tuple(encode_raw(register, float("nan")))
    for sentinel in sorted(point.terms[0].sentinels):
        return tuple(encode_raw(register, sentinel))
    return ()


def _raw(point: CompiledPoint, term: Term, value: float, ratio: Ratio) -> int | float:
    wanted = _unmapped(point, value)
    if not isinstance(wanted, Fraction):
        return wanted
    ct, pt = (Fraction(repr(float(each))) for each in ratio)
    raw = (wanted - point.offset) / (point.ratio.pick(ct, pt) * term.scale)
    raw = -raw if term.negate else raw
    if term.magnitude:
        bits = term.register.type.bits
        return round(abs(raw)) | (1 << (bits - 1) if raw < 0 else 0)
    if term.sign is not None:
        raw = abs(raw)
    return float(raw) if term.register.type.is_float else round(raw)


def _quotient(point: CompiledPoint, first: Term, divisor: Term, value: float) -> tuple[Cell, ...]:
    """A quotient is shown with a divisor of a thousand raw units."""
    raw = (Fraction(value) - point.offset) * _DIVISOR * divisor.scale / first.scale
    dividend = float(raw) if first.register.type.is_float else round(abs(raw) if first.sign else raw)
    cells = (*encode_raw(first.register, dividend), *_helpers(first, negative=raw < 0))
    return (*cells, *encode_raw(divisor.register, _DIVISOR), *_helpers(divisor, negative=False))


def _unmapped(point: CompiledPoint, value: float) -> Fraction | int:
    if point.map is None:
        return Fraction(value)
    for raw, shown in point.map.items():
        if shown == value:
            return raw
    raise OverflowError(f"{point.name} cannot show {value}")


def _helpers(term: Term, *, negative: bool) -> list[Cell]:
    cells: list[Cell] = []
    if term.factor is not None:
        cells += encode_raw(term.factor, 1 if term.factor_kind is FactorKind.MULTIPLY else 0)
    if term.sign is not None:
        code = term.sign.negative
        cells += encode_raw(term.sign.register, code if negative else int(code == 0))
    return cells

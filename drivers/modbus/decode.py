"""From register words to values in base units: compiled once per set of points, then a few operations a value.

All bytes of a reading are put in order by one gather and taken apart by one `struct` call; each point then has one
small function that scales exactly. Counters stay integers throughout; gauges are divided once, so that 2301 × 0.1
is 230.1.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import tzinfo
from fractions import Fraction
from math import isinf, isnan, nan
from operator import itemgetter
from typing import Any

from address_space.model.quality import GOOD, Reason
from address_space.model.value import EXACT_LIMIT
from drivers.codec import NumberType, refine, wire_positions
from drivers.modbus.layout import CompiledPoint, FactorKind, Make, Register, Term
from drivers.modbus.plan import Read

Unpacked = Sequence[int | float | bytes]
Outcome = tuple[float | str, int]
Finish = Callable[[Unpacked, int, int], Outcome]
"""(unpacked, numerator, denominator) → (value in base units or text, status)."""

NO_DATA: Outcome = (nan, Reason.NOT_SUPPORTED.status)
FAULTY: Outcome = (nan, Reason.SENSOR_FAILURE.status)
IMPOSSIBLE: Outcome = (nan, Reason.OUT_OF_RANGE.status)
MAX_EXPONENT = 30
MAX_BOUND_RATIOS = 256


class Program:
    """Decoder of the answers to `reads` for the points of `make` at `offsets`.

    `needs` holds for each offset the indexes of the reads it depends on; an empty set is a point this make lacks. What
    stands in for points whose better register a device lacks follows the `asked` ones; `fallbacks` pairs both.
    """

    def __init__(self, make: Make, offsets: Sequence[int], reads: Sequence[Read]) -> None:
        self.make = make
        asked = [make.points[offset] for offset in offsets]
        self.asked = len(asked)
        self.fallbacks = tuple(_fallbacks(asked))
        self.points = (*asked, *(point.fallback for point in asked if point is not None and point.fallback))
        self.reads = tuple(reads)
        self.needs: list[frozenset[int]] = []
        self._starts = _starts(self.reads)
        self._positions: list[int] = []
        self._formats: list[str] = []
        self._fields: dict[Register, int] = {}
        self._finishers: list[Finish] = []
        self._plain: list[bool] = []
        for point in self.points:
            self._add(point)
        self.size = self._starts[-1]
        self._unpack = struct.Struct(">" + "".join(self._formats)).unpack
        self._gather = _gatherer(self._positions)
        self._bound: dict[tuple[Fraction, Fraction], tuple[tuple[Finish, int, int], ...]] = {}

    def run(self, data: bytes, ct: Fraction, pt: Fraction) -> tuple[list[float], list[int], dict[int, str]]:
        """Values, statuses and texts by position, from the words of all reads one after the other."""
        unpacked = self._unpack(self._gather(data))
        values: list[float] = []
        statuses: list[int] = []
        texts: dict[int, str] = {}
        for finish, numerator, denominator in self._bound.get((ct, pt)) or self._bind(ct, pt):
            value, status = finish(unpacked, numerator, denominator)
            if isinstance(value, str):
                texts[len(values)] = value
                value = nan
            values.append(value)
            statuses.append(status)
        return values, statuses, texts

    def moment_ns(self, blocks: Sequence[bytes], zone: tzinfo) -> int | None:
        """The device's own time, where its clock is read with its values."""
        clock = self.make.clock
        if clock is None:
            return None
        for read, block in zip(self.reads, blocks, strict=True):
            if read.covers(clock.fc, clock.address) and read.end >= clock.address + clock.format.size:
                at = 2 * (clock.address - read.address)
                return clock.decode(block[at : at + 2 * clock.format.size], zone)
        return None

    def _bind(self, ct: Fraction, pt: Fraction) -> tuple[tuple[Finish, int, int], ...]:
        if len(self._bound) >= MAX_BOUND_RATIOS:
            self._bound.clear()
        steps: list[tuple[Finish, int, int]] = []
        for point, finish, plain in zip(self.points, self._finishers, self._plain, strict=True):
            factor = point.ratio.pick(ct, pt) if point else Fraction(1)
            if point and plain:
                factor *= point.terms[0].scale * (-1 if point.terms[0].negate else 1)
            steps.append((finish, factor.numerator, factor.denominator))
        self._bound[(ct, pt)] = tuple(steps)
        return self._bound[(ct, pt)]

    def _add(self, point: CompiledPoint | None) -> None:
        if point is None:
            self.needs.append(frozenset())
            self._finishers.append(_absent)
            self._plain.append(True)
            return
        used: set[int] = set()
        fields = {register: self._field(register, used) for register in point.registers}
        plain = _is_plain(point)
        self.needs.append(frozenset(used))
        self._finishers.append(_plain(point, fields) if plain else _General(point, fields))
        self._plain.append(plain)

    def _field(self, register: Register, used: set[int]) -> int:
        homes = [self._home(register, place) for place in register.places]
        used.update(homes)
        if register in self._fields:
            return self._fields[register]
        wire = [
            self._starts[home] + 2 * (place - self.reads[home].address) + byte
            for home, place in zip(homes, register.places, strict=True)
            for byte in (0, 1)
        ]
        self._positions += [wire[position] for position in wire_positions(register.words, register.order)]
        self._formats.append(register.type.format(register.words))
        self._fields[register] = len(self._fields)
        return self._fields[register]

    def _home(self, register: Register, place: int) -> int:
        holding = [index for index, read in enumerate(self.reads) if read.covers(register.fc, place)]
        whole = [index for index in holding if all(self.reads[index].covers(register.fc, p) for p in register.places)]
        return (whole or holding)[0]


def decode_registers(register: Register, words: Mapping[int, int]) -> int | float | str | None:
    """Value of one register from words by address; None where the words are no such value."""
    data = b"".join(words[place].to_bytes(2, "big") for place in register.places)
    ordered = bytes(data[position] for position in wire_positions(register.words, register.order))
    (unpacked,) = struct.unpack(">" + register.type.format(register.words), ordered)
    value = refine(register.type, unpacked)
    return _some_bits(value, register) if isinstance(value, int) else value


def _fallbacks(points: Sequence[CompiledPoint | None]) -> Iterator[tuple[int, int]]:
    """(position of a point, position of what stands in for it), which follow the points."""
    stand_in = len(points)
    for position, point in enumerate(points):
        if point is not None and point.fallback is not None:
            yield position, stand_in
            stand_in += 1


def _starts(reads: Sequence[Read]) -> list[int]:
    starts = [0]
    for read in reads:
        starts.append(starts[-1] + 2 * read.words)
    return starts


def _gatherer(positions: Sequence[int]) -> Callable[[bytes], bytes]:
    if not positions:
        return lambda _data: b""
    if list(positions) == list(range(positions[0], positions[-1] + 1)):
        first, last = positions[0], positions[-1] + 1
        return lambda data: data[first:last]
    pick = itemgetter(*positions)
    return lambda data: bytes(pick(data))


def _absent(_unpacked: Unpacked, _numerator: int, _denominator: int) -> Outcome:
    return NO_DATA


def _is_plain(point: CompiledPoint) -> bool:
    only = point.terms[0]
    kind = only.register.type
    odd = kind in (NumberType.STRING, NumberType.MOD10000, NumberType.BOOL) or kind.value.startswith("bcd")
    special = point.offset or point.map is not None or point.four_quadrant or only.faults or point.divisor
    return len(point.terms) == 1 and only.is_plain and not odd and not special


def _plain(point: CompiledPoint, fields: Mapping[Register, int]) -> Finish:
    field = fields[point.terms[0].register]
    missing = point.terms[0].sentinels
    if point.type.is_float:
        return _float_counter(field, missing) if point.is_counter else _float_gauge(field, missing)
    return _whole_counter(field, missing) if point.is_counter else _whole_gauge(field, missing)


def _whole_counter(field: int, missing: frozenset[int]) -> Finish:
    def finish(unpacked: Unpacked, numerator: int, denominator: int) -> Outcome:
        raw: Any = unpacked[field]
        if raw in missing:
            return NO_DATA
        value: int = raw * numerator
        if denominator != 1:
            value = (2 * value + denominator) // (2 * denominator)
        return (value, GOOD) if -EXACT_LIMIT <= value <= EXACT_LIMIT else IMPOSSIBLE

    return finish


def _whole_gauge(field: int, missing: frozenset[int]) -> Finish:
    def finish(unpacked: Unpacked, numerator: int, denominator: int) -> Outcome:
        raw: Any = unpacked[field]
        return NO_DATA if raw in missing else (raw * numerator / denominator, GOOD)

    return finish


def _float_counter(field: int, missing: frozenset[int]) -> Finish:
    def finish(unpacked: Unpacked, numerator: int, denominator: int) -> Outcome:
        raw: Any = unpacked[field]
        if raw != raw or raw in missing:
            return NO_DATA
        value: float = raw * numerator / denominator
        return (round(value), GOOD) if -EXACT_LIMIT <= value <= EXACT_LIMIT else IMPOSSIBLE

    return finish


def _float_gauge(field: int, missing: frozenset[int]) -> Finish:
    def finish(unpacked: Unpacked, numerator: int, denominator: int) -> Outcome:
        raw: Any = unpacked[field]
        if raw != raw or raw in missing:
            return NO_DATA
        value: float = raw * numerator / denominator
        return IMPOSSIBLE if isinf(value) else (value, GOOD)

    return finish


class _General:
    """Finisher of points with more to them than a scale: sums, factors, signs, bits, maps, decimal digits."""

    def __init__(self, point: CompiledPoint, fields: Mapping[Register, int]) -> None:
        self._point = point
        self._fields = fields

    def __call__(self, unpacked: Unpacked, numerator: int, denominator: int) -> Outcome:
        point = self._point
        total: Fraction | float = Fraction(0)
        for term in point.terms:
            raw = self._raw(term, unpacked)
            if isinstance(raw, tuple):
                return raw
            if isinstance(raw, str):
                return raw, GOOD
            if point.map is not None:
                shown = point.map.get(int(raw))
                return IMPOSSIBLE if shown is None else (float(shown), GOOD)
            amount = self._scaled(term, raw, unpacked)
            if amount is None:
                return IMPOSSIBLE
            total = total - amount if term.negate else total + amount
        if point.divisor is not None:
            raw = self._raw(point.divisor, unpacked)
            if isinstance(raw, tuple):
                return raw
            amount = None if isinstance(raw, str) else self._scaled(point.divisor, raw, unpacked)
            if not amount:
                return NO_DATA  # a power factor without power
            total = total / amount
        return self._finished(total, Fraction(numerator, denominator))

    def _raw(self, term: Term, unpacked: Unpacked) -> int | float | str | Outcome:
        register = term.register
        stored = unpacked[self._fields[register]]
        pattern = int.from_bytes(stored, "big") if isinstance(stored, bytes) else stored
        if pattern in term.sentinels or (isinstance(pattern, float) and isnan(pattern)):
            return NO_DATA
        if pattern in term.faults:
            return FAULTY
        raw = refine(register.type, stored)
        if raw is None or (isinstance(raw, float) and isinf(raw)):
            return IMPOSSIBLE
        if isinstance(raw, int):
            raw = _some_bits(raw, register)
            if term.magnitude:
                raw = _sign_and_magnitude(raw, register)
        if term.sign is not None and not isinstance(raw, str):
            helper = term.sign.register
            mark = self._helper(helper, unpacked)
            if mark == term.sign.negative:
                raw = -raw
        return raw

    def _scaled(self, term: Term, raw: float, unpacked: Unpacked) -> Fraction | float | None:
        scale = term.scale
        if term.factor is not None:
            factor = self._helper(term.factor, unpacked)
            if factor is None or isinstance(factor, str) or isnan(factor) or isinf(factor):
                return None
            if term.factor_kind is FactorKind.MULTIPLY:
                scale *= Fraction(factor)
            elif abs(factor) > MAX_EXPONENT:
                return None
            else:
                exponent = int(factor) if term.factor_kind is FactorKind.EXPONENT else -int(factor)
                scale *= Fraction(10) ** exponent
        if isinstance(raw, int):
            return raw * scale
        return float(raw) * float(scale) if scale < _FLOAT_LIMIT else None

    def _helper(self, register: Register, unpacked: Unpacked) -> int | float | str | None:
        value = refine(register.type, unpacked[self._fields[register]])
        return _some_bits(value, register) if isinstance(value, int) else value

    def _finished(self, total: Fraction | float, ratio: Fraction) -> Outcome:
        point = self._point
        value: Any
        if isinstance(total, Fraction):
            value = total * ratio + point.offset
        else:
            value = total * float(ratio) + float(point.offset)
        if not -_FLOAT_LIMIT < value < _FLOAT_LIMIT:
            return IMPOSSIBLE
        if point.four_quadrant:
            value = 2 - value if value > 1 else -2 - value if value < -1 else value
        if point.is_counter:
            return (float(round(value)), GOOD) if abs(value) <= EXACT_LIMIT else IMPOSSIBLE
        return float(value), GOOD


_FLOAT_LIMIT = 10**300


def _some_bits(raw: int, register: Register) -> int:
    if register.bits is None:
        return raw
    low, width = register.bits
    return raw >> low & (1 << width) - 1


def _sign_and_magnitude(raw: int, register: Register) -> int:
    width = register.bits[1] if register.bits else register.type.bits
    top = 1 << (width - 1)
    return -(raw ^ top) if raw & top else raw

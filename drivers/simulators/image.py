"""From the values of a meter to the registers it holds, fast: one `struct` call per run of registers.

A layout is made once per profile, variant and ratio. Counters are cut off at the register's resolution and start
again from zero at its end, as in a device; gauges are rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import nan
from operator import itemgetter
from struct import Struct

from address_space.model.quantity import Quantity
from drivers.codec import wire_positions
from drivers.modbus.encode import Cell, encode_point, encode_raw, no_data
from drivers.modbus.event_logs import EventTable
from drivers.modbus.layout import CompiledPoint, CompiledProfile, Condition, Make, RatioRegister, RatioSource
from drivers.modbus.logs import Log
from drivers.modbus.steps import ClockRegisters
from drivers.simulators.meter import Values

UNNAMED_CAPACITY = 10**9
"""Base units after which a floating point counter starts again where its profile names no limit."""
ROLLING: frozenset[Quantity] = frozenset({Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_ENERGY_TOTAL})
"""Counters that the rollover fault moves."""

Place = tuple[int, int]
"""Function code that reads a register, and its address."""


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """One plain number: raw = value × num / den; a counter is cut to whole and starts again at `end` / den.

    limits  lowest and highest raw value of an integer type
    no_data what it holds where the meter has no such value
    rolls   whether the rollover fault moves it
    """

    code: int
    name: str
    num: int
    den: int
    end: int
    is_float: bool
    is_counter: bool
    limits: tuple[int, int]
    no_data: float
    rolls: bool

    def raw(self, value: float | None, ahead: int) -> int | float:
        """What the register holds for a value in base units; a counter is moved ahead by 1 / den raw units."""
        if value is None:
            return self.no_data
        if self.is_counter:
            parts = (int(value) * self.num + ahead) % self.end
            return parts / self.den if self.is_float else parts // self.den
        exact = value * self.num / self.den
        if self.is_float:
            return exact
        low, high = self.limits
        return min(max(round(exact), low), high)

    def ahead(self, value: float) -> int:
        """How far ahead the counter must be to come to its end at `value`."""
        return self.end - int(value) * self.num % self.end


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A run of registers that can be read together.

    allowed   one byte a register, 1 where reading it is no error
    pack      all numbers in order of address; gaps are zeros
    shuffle   wire order of the bytes, None where it is that of `pack`
    others    points that are not plain numbers, encoded one by one
    fixed     registers that never change
    """

    fc: int
    first: int
    count: int
    allowed: bytes
    numbers: tuple[Number, ...]
    pack: Struct
    shuffle: Callable[[bytes], Sequence[int]] | None
    others: tuple[tuple[CompiledPoint, float], ...]
    fixed: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Everything about the registers of a profile with a ratio."""

    segments: tuple[Segment, ...]
    writable: frozenset[Place]
    bits: frozenset[Place]
    ratio: tuple[float, float]
    max_words: int
    whole_blocks: frozenset[tuple[int, int, int]]
    clock: ClockRegisters | None = None
    logs: tuple[Log, ...] = ()
    event_logs: tuple[EventTable, ...] = ()

    def find(self, fc: int, first: int, count: int) -> int | None:
        """Index of the segment that can be read so; None where a register is not there or forbidden."""
        for index, segment in enumerate(self.segments):
            at = first - segment.first
            if segment.fc == fc and at >= 0 and at + count <= segment.count:
                return index if 0 not in segment.allowed[at : at + count] else None
        return None

    def render(self, index: int, values: Values, ahead: Mapping[str, int]) -> bytearray:
        """The bytes of a segment; `ahead` moves counters on, by name."""
        segment = self.segments[index]
        if ahead:
            raws = [number.raw(values[number.code], ahead.get(number.name, 0)) for number in segment.numbers]
        else:
            raws = [number.raw(values[number.code], 0) for number in segment.numbers]
        packed = segment.pack.pack(*raws)
        image = bytearray(packed if segment.shuffle is None else segment.shuffle(packed))
        for point, capacity in segment.others:
            _put(image, segment, _cells(point, values[point.quantity.code], capacity, self.ratio))
        _put(image, segment, segment.fixed)
        return image

    def ahead_to_roll(self, at_roll: Values) -> dict[str, int]:
        """How far each rolling counter must be ahead to come to its end when the meter has these values."""
        numbers = (number for segment in self.segments for number in segment.numbers if number.rolls)
        return {number.name: number.ahead(at_roll[number.code] or 0) for number in numbers}


def make_layout(compiled: CompiledProfile, ratio: tuple[float, float], variant: str = "") -> Layout:
    """The layout of a device of this profile and `variant`; raises ValueError where the profile has no such variant."""
    make = next((make for make in compiled.makes if make.name == variant), None)
    if make is None:
        raise ValueError(f"profile {compiled.name} has no variant {variant!r}")
    return _Builder(compiled, make, ratio).build()


class _Builder:
    def __init__(self, compiled: CompiledProfile, make: Make, ratio: tuple[float, float]) -> None:
        self._compiled = compiled
        self._make = make
        self._ratio = (_ratio(make.ct, ratio[0]), _ratio(make.pt, ratio[1]))
        self._plain: dict[Place, CompiledPoint] = {}
        self._claimed: set[Place] = set()
        self._others: list[tuple[CompiledPoint, float]] = []

    def build(self) -> Layout:
        points = [point for point in self._make.points if point is not None]
        for point in sorted(points, key=lambda point: not _is_plain(point)):
            places = {(register.fc, place) for register in point.registers for place in register.places}
            if not _is_plain(point):
                if len(point.terms) > 1 and places & self._claimed:
                    continue
                self._others.append((point, self._capacity(point)))
            elif not places & self._claimed:
                self._plain[point.fc, point.address] = point
            self._claimed |= places
        fixed = [*self._ratio_cells(), *self._condition_cells()]
        writable, bits = self._writable()
        blocks = frozenset(self._make.limits.blocks)
        clock = self._clock()
        known = self._claimed | {(cell.fc, cell.address) for cell in fixed} | writable
        known |= {(fc, place) for fc, first, words in blocks for place in range(first, first + words)}
        if clock is not None:
            known |= {(clock.fc, place) for place in range(clock.address, clock.address + clock.format.size)}
        segments = tuple(self._segment(fc, first, end, known, fixed) for fc, first, end in self._runs(known))
        bits |= {place for place in known if place[0] < 3}
        most = self._make.limits.max_words
        words, logs, events = frozenset(writable), self._make.logs, self._make.event_logs
        return Layout(segments, words, frozenset(bits), self._ratio, most, blocks, clock, logs, events)

    def _runs(self, known: set[Place]) -> Iterable[tuple[int, int, int]]:
        run: tuple[int, int, int] | None = None
        for fc, place in sorted(place for place in known if place[0] >= 3):
            if run and fc == run[0] and place - run[2] <= self._make.limits.max_gap:
                run = (fc, run[1], place + 1)
                continue
            if run:
                yield run
            run = (fc, place, place + 1)
        if run:
            yield run

    def _segment(self, fc: int, first: int, end: int, known: set[Place], fixed: list[Cell]) -> Segment:
        points = sorted((place, point) for place, point in self._plain.items() if _within(place, fc, first, end))
        formats = [">"]
        positions: list[int] = []
        at = first
        for (_, address), point in points:
            formats.append("2x" * (address - at) + point.type.format(point.words))
            positions += range(2 * (at - first), 2 * (address - first))
            positions += [2 * (address - first) + byte for byte in wire_positions(point.words, point.order)]
            at = address + point.words
        formats.append("2x" * (end - at))
        positions += range(2 * (at - first), 2 * (end - first))
        plain = positions == list(range(2 * (end - first)))
        readable = self._make.limits.max_gap > 0
        return Segment(
            fc,
            first,
            end - first,
            bytes(readable or (fc, place) in known for place in range(first, end)),
            tuple(self._number(point) for _, point in points),
            Struct("".join(formats)),
            None if plain else itemgetter(*positions),
            tuple(pair for pair in self._others if _within((pair[0].fc, pair[0].address), fc, first, end)),
            tuple(cell for cell in fixed if _within((cell.fc, cell.address), fc, first, end)),
        )

    def _number(self, point: CompiledPoint) -> Number:
        gain = 1 / (point.scale * self._factor(point))
        whole = 1 << point.type.bits if not point.type.is_float else 0
        half = whole // 2
        return Number(
            code=point.quantity.code,
            name=point.name,
            num=gain.numerator,
            den=gain.denominator,
            end=int(Fraction(self._capacity(point)) / point.scale) * gain.denominator,
            is_float=point.type.is_float,
            is_counter=point.is_counter,
            limits=(-half, half - 1) if point.type.is_signed else (0, whole - 1),
            no_data=nan if point.type.is_float else min(point.terms[0].sentinels, default=0),
            rolls=point.quantity in ROLLING,
        )

    def _capacity(self, point: CompiledPoint) -> float:
        """Base units at the register, before the ratio, after which it starts again."""
        offset = self._compiled.profile.offset(point.quantity)
        stated = self._compiled.profile.points[offset].rollover if offset is not None else 0.0
        if stated:
            return stated * point.quantity.per_unit
        bits = point.type.bits - point.type.is_signed
        return float((1 << bits) * point.scale) if bits > 0 else UNNAMED_CAPACITY

    def _factor(self, point: CompiledPoint) -> Fraction:
        ct, pt = (Fraction(repr(float(each))) for each in self._ratio)
        return point.ratio.pick(ct, pt)

    def _ratio_cells(self) -> Iterable[Cell]:
        for source, ratio in ((self._make.ct, self._ratio[0]), (self._make.pt, self._ratio[1])):
            if isinstance(source, RatioRegister):
                yield from encode_raw(source.register, round(ratio / source.scale))

    def _condition_cells(self) -> Iterable[Cell]:
        for condition in self._make.conditions:
            yield from encode_raw(condition.register, fulfilling(condition))

    def _writable(self) -> tuple[set[Place], set[Place]]:
        words: set[Place] = set()
        bits: set[Place] = set()
        for command in self._compiled.commands.values():
            for step in command.steps:
                if step.target is not None:
                    places = range(step.target.address, step.target.address + step.width)
                    is_word = step.target.fc in (6, 16)
                    (words if is_word else bits).update((3 if is_word else 1, place) for place in places)
        return words, bits

    def _clock(self) -> ClockRegisters | None:
        """The clock that a command sets or that the profile tells."""
        steps = (step for command in self._compiled.commands.values() for step in command.steps)
        return next((step.clock for step in steps if step.clock is not None), self._make.own_clock)


def _is_plain(point: CompiledPoint) -> bool:
    term, register = point.terms[0], point.terms[0].register
    numeric = register.type.is_float or register.type.bits > 0
    adjacent = register.places == tuple(range(register.address, register.address + register.words))
    simple = point.map is None and not point.offset and term.is_plain and not term.negate and len(point.terms) == 1
    return bool(numeric and adjacent and simple and register.fc >= 3)


def _within(place: Place, fc: int, first: int, end: int) -> bool:
    return place[0] == fc and first <= place[1] < end


def _ratio(source: RatioSource, configured: float) -> float:
    return float(source) if isinstance(source, Fraction) else configured


def fulfilling(condition: Condition) -> int | str:
    """What a register holds so that a condition is met."""
    if condition.starts_with is not None:
        return condition.starts_with
    if condition.between is not None:
        return condition.between[0]
    return condition.equals if condition.equals is not None else 0


def _cells(point: CompiledPoint, value: float | None, capacity: float, ratio: tuple[float, float]) -> tuple[Cell, ...]:
    if value is None:
        return no_data(point)
    try:
        return encode_point(point, int(value) % int(capacity) if point.is_counter else value, ratio)
    except (OverflowError, ValueError):
        return no_data(point)


def _put(image: bytearray, segment: Segment, cells: Iterable[Cell]) -> None:
    """Add registers to an image that has zeros there; bits of one register may come from several points."""
    for cell in cells:
        at = 2 * (cell.address - segment.first)
        if cell.fc == segment.fc and 0 <= at < len(image):
            image[at] |= cell.word >> 8
            image[at + 1] |= cell.word & 0xFF

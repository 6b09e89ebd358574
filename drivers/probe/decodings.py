"""Every way in which registers can be read, and which of them look like something a meter measures. Pure.

A number of 16 bits is hardly proof of anything; a float close to a mains voltage is. So each reading of the bytes gets
points: for lying where such a quantity lies, for lying where it usually lies, for bytes that make it unlikely to be an
accident, for neighbours of the same form, and for how it moved from read to read. Where two readings share registers,
the one with more points counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise
from math import isfinite, sqrt
from typing import Final

from drivers.codec import NumberType, Order, arrange, decode

TYPES: Final = (
    NumberType.UINT16,
    NumberType.INT16,
    NumberType.BCD16,
    NumberType.UINT32,
    NumberType.INT32,
    NumberType.FLOAT32,
    NumberType.BCD32,
    NumberType.UINT64,
    NumberType.INT64,
    NumberType.FLOAT64,
)
_SCALES: Final = (1.0, 0.1, 0.01, 0.001, 0.0001)
LIKELY: Final = 4
"""Points from which on a meaning is marked."""
STRONG: Final = 6
"""Points from which on a number counts although its bytes are letters: 229.2 as a float spells "Ce33"."""
_SHORTEST_TEXT: Final = 4


class Movement(Enum):
    """How a number changed between two reads."""

    UNKNOWN = "unknown"
    STILL = "still"
    WAVERS = "wavers"
    GROWS = "grows"
    JUMPS = "jumps"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a number may be. `value` is in `unit`; `points` say how much speaks for it."""

    what: str
    unit: str
    scale: float
    value: float
    points: int

    @property
    def likely(self) -> bool:
        """Whether it is marked."""
        return self.points >= LIKELY


@dataclass(frozen=True, slots=True)
class Decoding:
    """The number that begins at a register, read in one way.

    raw    the number as it stands there; None where the bytes are no such number
    note   "no data" for what devices send in the place of a value, else empty
    later  the same at the reads after the first
    sway   by what share it changed at most
    """

    address: int
    type: NumberType
    order: Order
    raw: float | int | None
    later: tuple[float | int | None, ...] = ()
    note: str = ""
    sway: float = 0.0
    movement: Movement = Movement.UNKNOWN
    meanings: tuple[Meaning, ...] = ()

    @property
    def best(self) -> Meaning | None:
        """The meaning for which most speaks."""
        return self.meanings[0] if self.meanings else None


@dataclass(frozen=True, slots=True)
class _Kind:
    """A quantity as numbers show it. `usual` are values about which it lies, `near` how near, as a share."""

    what: str
    unit: str
    low: float
    high: float
    usual: tuple[float, ...] = ()
    near: float = 0.0
    sway: float = 1.0
    """By what share it may change within seconds."""
    scales: tuple[float, ...] = _SCALES
    finest: float = 1.0
    """A whole number must be scaled at least so finely to show it usefully."""
    group: int = 1
    """How many of them usually stand in a row."""


_KINDS: Final = (
    _Kind("voltage", "V", 80, 300, (100, 110, 120, 127, 220, 230, 240), 0.07, sway=0.05, group=3),
    _Kind("line voltage", "V", 300, 500, (380, 400, 415, 440, 480), 0.05, sway=0.05, group=3),
    _Kind("frequency", "Hz", 45, 65, (50, 60), 0.005, sway=0.003, finest=0.1),
    _Kind("power factor", "1", 0.3, 1.0, (1.0,), 0.2, scales=(1.0, 0.001, 0.0001), finest=0.01, group=3),
)
_SENTINELS: Final[Mapping[int, frozenset[int]]] = {
    1: frozenset({0xFFFF, 0x8000, 0x7FFF}),
    2: frozenset({0xFFFFFFFF, 0x80000000, 0x7FFFFFFF}),
    4: frozenset({0xFFFFFFFFFFFFFFFF, 0x8000000000000000, 0x7FFFFFFFFFFFFFFF}),
}
_MOST_COUNTED: Final = 5e8
"""A larger whole number is rather the bytes of a float, or of two numbers."""
_WAVER: Final = 0.2
_GROWTH: Final = 0.001
_LARGE: Final = 1000.0
_GROWTH_LARGE: Final = 2e-5
"""Shares by which counters that are floats grow within seconds; what has counted much grows by less."""
_MOST_COUNTS: Final = 20_000
"""By so much a counter grows at most within seconds."""
_STAR: Final = 0.03
"""How far a line voltage may be from the phases' times the root of three."""
_NARROW: Final = 0.02
"""A quantity that lies so near its usual values is hardly one of them by accident."""


def decodings(words: Mapping[int, int], *later: Mapping[int, int]) -> list[Decoding]:
    """Each way of reading a number at each register, by address. `later` are the same registers, read again."""
    found = [
        _judged(one)
        for address in sorted(words)
        for kind in TYPES
        for order in _orders(kind)
        if (one := _decoding(address, kind, order, words, later)) is not None
    ]
    letters = {place for first, count, _ in texts(words) for place in range(first, first + count)}
    return _claimed(_with_neighbours(found), letters)


def texts(words: Mapping[int, int], numbers: Sequence[Decoding] = ()) -> list[tuple[int, int, str]]:
    """Runs of characters: (first register, registers, text). What is surely one of `numbers` is no text."""
    sure = [one for one in numbers if _points(one) >= STRONG]
    taken = {place for one in sure for place in range(one.address, one.address + one.type.words)}
    found: list[tuple[int, int, str]] = []
    run: list[int] = []
    for address in [*sorted(words), -1]:
        if address in words and _is_text(words[address]) and (not run or run[-1] + 1 == address):
            run.append(address)
            continue
        data = b"".join(words[each].to_bytes(2, "big") for each in run)
        shown = data.split(b"\0", 1)[0].decode("ascii", "replace").strip()
        if len(shown) >= _SHORTEST_TEXT and any(char.isalpha() for char in shown) and not taken.intersection(run):
            found.append((run[0], len(run), shown))
        run = [address] if address in words and _is_text(words[address]) else []
    return found


def _is_text(word: int) -> bool:
    high, low = chr(word >> 8), chr(word & 0xFF)
    return _is_letter(high) and (_is_letter(low) or low == "\0")


def _is_letter(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char in " -_./")


def _orders(kind: NumberType) -> Sequence[Order]:
    return (Order.ABCD, Order.DCBA) if kind.words == 1 else tuple(Order)


def _decoding(
    address: int, kind: NumberType, order: Order, words: Mapping[int, int], later: Sequence[Mapping[int, int]]
) -> Decoding | None:
    data = _bytes(address, kind.words, words)
    if data is None:
        return None
    if kind.words == 1 and order is Order.DCBA and data[:1] == data[1:]:
        return None
    raw = _number(kind, order, data)
    again = [_bytes(address, kind.words, each) for each in later]
    reads = tuple(_number(kind, order, each) for each in again if each is not None)
    note = ""
    whole = int.from_bytes(data, "big")
    if whole in _SENTINELS[kind.words] and (raw is None or not kind.is_float):
        note = "no data"
    elif raw is None and kind.is_float:
        note = "no number"
    sway, movement = _movement(raw, reads, whole=not kind.is_float)
    return Decoding(address, kind, order, raw, reads, note, sway, movement)


def _bytes(address: int, count: int, words: Mapping[int, int]) -> bytes | None:
    places = range(address, address + count)
    if any(place not in words for place in places):
        return None
    return b"".join(words[place].to_bytes(2, "big") for place in places)


def _number(kind: NumberType, order: Order, data: bytes) -> float | int | None:
    raw = decode(kind, arrange(data, order))
    if raw is None or isinstance(raw, str) or (isinstance(raw, float) and not isfinite(raw)):
        return None
    return raw


def _movement(raw: float | None, later: Sequence[float | None], *, whole: bool) -> tuple[float, Movement]:
    """By what share a number changed at most, and how."""
    if not later or raw is None:
        return 0.0, Movement.UNKNOWN
    numbers = [raw, *(each for each in later if each is not None)]
    if len(numbers) <= len(later):
        return 1.0, Movement.JUMPS
    change = (max(numbers) - min(numbers)) / max(abs(raw), 1e-9)
    if change == 0:
        return 0.0, Movement.STILL
    rising = all(one <= other for one, other in pairwise(numbers))
    slowly = numbers[-1] - raw <= _MOST_COUNTS if whole else change <= (_GROWTH if raw < _LARGE else _GROWTH_LARGE)
    if rising and raw >= 0 and slowly:
        return change, Movement.GROWS
    return change, Movement.WAVERS if change <= _WAVER else Movement.JUMPS


def _judged(one: Decoding) -> Decoding:
    """With everything it may mean, the likeliest first."""
    if one.raw is None or one.note or one.raw == 0:
        return one
    if one.type.is_signed and one.raw > 0:
        return one  # said of the unsigned number already
    found = [meaning for kind in _KINDS for meaning in _as(kind, one)]
    energy = _as_energy(one)
    if energy is not None:
        gauge = any(meaning.likely for meaning in found)
        found.append(replace(energy, points=min(energy.points, LIKELY - 1)) if gauge else energy)
    return replace(one, meanings=tuple(sorted(found, key=lambda meaning: -meaning.points)))


def _as(kind: _Kind, one: Decoding) -> list[Meaning]:
    raw = one.raw
    if raw is None or one.sway > kind.sway:
        return []
    magnitude = abs(raw) if kind.what == "power factor" else raw
    found: list[Meaning] = []
    for scale in (1.0, 1000.0) if one.type.is_float and kind.unit == "V" else _scales(kind, one):
        shown = magnitude * scale
        if not kind.low <= shown <= kind.high:
            continue
        points = 1 + _form(one)
        if any(abs(shown - usual) <= kind.near * usual for usual in kind.usual):
            points += 3 if kind.near <= _NARROW else 2
        if one.sway and kind.sway < 1:
            points += 1
        if kind.unit == "V" and not one.type.is_float and scale == 1:
            points -= 2  # three small whole numbers in a row are met everywhere
        elif kind.sway < 1 and scale in (0.001, 0.0001, 1000.0):
            points -= 1
        found.append(Meaning(kind.what, kind.unit, scale, _exact(raw, scale), points))
    return found


def _scales(kind: _Kind, one: Decoding) -> Sequence[float]:
    if one.type.is_float:
        return (1.0,)
    return [scale for scale in kind.scales if scale <= kind.finest]


def _as_energy(one: Decoding) -> Meaning | None:
    """A counter: it never falls, and grows slowly."""
    raw = one.raw
    if raw is None or one.type.words == 1 or one.movement in (Movement.WAVERS, Movement.JUMPS):
        return None
    if not (0.01 if one.type.is_float else 1) <= raw <= _MOST_COUNTED:
        return None
    if one.movement is not Movement.GROWS:
        return Meaning("counter", "", 1.0, float(raw), 1)
    sure = len(set(one.later)) > 1  # it rose more than once: a gauge seldom does
    return Meaning("energy", "", 1.0, float(raw), 2 + _form(one) + (2 if sure else 0))


def _form(one: Decoding) -> int:
    """How unlikely it is that such bytes are such a number by accident."""
    points = {NumberType.FLOAT32: 2, NumberType.FLOAT64: 3, NumberType.BCD32: 1}.get(one.type, 0)
    if one.type in (NumberType.UINT32, NumberType.INT32, NumberType.UINT64, NumberType.INT64):
        points = 1
    if one.order in (Order.BADC, Order.DCBA):
        points -= 1
    if one.type is NumberType.BCD16:
        points -= 1
    return points


def _exact(raw: float, scale: float) -> float:
    return round(raw * scale, 6) if isinstance(raw, float) else round(raw * scale, 4)


def _with_neighbours(found: list[Decoding]) -> list[Decoding]:
    """Three of a kind in a row speak for one another."""
    by_form: dict[tuple[int, NumberType, Order], Decoding] = {(one.address, one.type, one.order): one for one in found}
    groups = {kind.what: kind.group for kind in _KINDS}
    phases = [each.value for one in found for each in one.meanings if each.what == "voltage" and each.points >= 3]
    result: list[Decoding] = []
    for one in found:
        size = one.type.words
        meanings: list[Meaning] = []
        for meaning in one.meanings:
            extra = 0
            if groups.get(meaning.what, 1) > 1:
                around = [by_form.get((one.address + step * size, one.type, one.order)) for step in (-2, -1, 1, 2)]
                close = [other is not None and _alike(meaning, other) for other in around]
                extra = 2 if (close[1] and (close[0] or close[2])) or (close[2] and close[3]) else 0
            if meaning.what == "line voltage":
                star = any(abs(meaning.value / (sqrt(3) * phase) - 1) < _STAR for phase in phases)
                extra = extra // 2 + (2 if star else 0)
            meanings.append(replace(meaning, points=meaning.points + extra))
        result.append(replace(one, meanings=tuple(sorted(meanings, key=lambda meaning: -meaning.points))))
    return result


def _alike(meaning: Meaning, other: Decoding) -> bool:
    return any(
        each.what == meaning.what
        and each.scale == meaning.scale
        and abs(each.value - meaning.value) <= 0.1 * max(abs(meaning.value), 1e-9)
        for each in other.meanings
    )


def _claimed(found: list[Decoding], letters: set[int]) -> list[Decoding]:
    """Each register belongs to one number, or to a text (`letters`): what would share it with a likelier one is likely
    no more."""
    rows = [one for one in found if one.best is not None and one.best.likely]
    # A float's low word says next to nothing, so that a row of them can be read shifted by a register in the other word
    # order; the order that explains more of all registers is the device's.
    explained = {
        order: sum(_points(one) for one in rows if one.order is order and one.type.words > 1) for order in Order
    }
    rows.sort(key=lambda one: (-_points(one), -explained[one.order], one.address))
    owners: set[int] = set()
    losers: set[int] = set()
    for one in rows:
        places = range(one.address, one.address + one.type.words)
        spelt = _points(one) < STRONG and any(place in letters for place in places)
        if spelt or any(place in owners for place in places):
            losers.add(id(one))
        else:
            owners.update(places)
    return [_lowered(one) if id(one) in losers else one for one in found]


def _points(one: Decoding) -> int:
    return one.best.points if one.best is not None else 0


def _lowered(one: Decoding) -> Decoding:
    lowered = [replace(meaning, points=min(meaning.points, LIKELY - 1)) for meaning in one.meanings]
    return replace(one, meanings=tuple(lowered))

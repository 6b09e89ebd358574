"""From variables to requests and from answers to values, without a line in between; plans are shared by a profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import nan
from typing import Any, Final

import numpy as np

from address_space.model.quality import GOOD, Reason
from address_space.model.value import EXACT_LIMIT
from drivers.api import Device, Reading, ReadPlan, Request
from drivers.dlt645.blocks import Block
from drivers.dlt645.formats import Format
from drivers.dlt645.formats import Kind as FormatKind
from drivers.dlt645.frame import HEAD, TAIL
from drivers.dlt645.layout import CompiledPoint, CompiledProfile, Spot

MOST_RATIOS: Final = 256
SEPARATOR: Final = 0xAA
"""What some meters of 1997 put between the values of a block."""
CLOCK_BYTES: Final = 7
Outcome = tuple[float, int]
Number = int | Fraction
Take = Callable[[Sequence[Any]], Number | Reason]
_STATUS: Final = {reason: reason.status for reason in Reason}
_NOTHING: Final[Mapping[int, bytes | Reason]] = {}


@dataclass(frozen=True, slots=True)
class Key:
    """What a request reads: one identifier, or a block and its members, each to be read alone where the meter does
    not know the block. `clock`: date and time of day instead."""

    di: int
    members: tuple[int, ...] = ()
    clock: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a request brought: the data of its identifier, or where a block was read piece by piece those of each
    member, or why there are none. `clock_ns`: the meter's time."""

    data: bytes | None = None
    parts: Mapping[int, bytes | Reason] = field(default_factory=lambda: _NOTHING)
    clock_ns: int | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a spot is found in the answers to a plan."""

    request: int
    spot: Spot
    in_block: bool


@dataclass(frozen=True, slots=True, eq=False)
class Plan(ReadPlan):
    """A read plan with where each variable is found in the answers."""

    points: tuple[CompiledPoint | None, ...]
    takers: tuple[Take | None, ...]
    """For each variable how its whole number is taken from the answers; None where the device has no such data."""
    clock: int | None = None
    """Number of the request that reads the clock."""
    factors: dict[tuple[float, float], tuple[tuple[int, int], ...]] = field(default_factory=dict)


def build_plan(profile: CompiledProfile, offsets: tuple[int, ...]) -> Plan:
    """Requests for the points at `offsets`: a block where two values of it are wanted, else each identifier once."""
    points = tuple(profile.points[offset] for offset in offsets)
    spots = [spot for point in points if point is not None for spot in point.spots]
    wanted: dict[int, set[int]] = {}
    blocks: dict[int, tuple[Block, int]] = {}
    for spot in spots:
        if spot.block is not None:
            wanted.setdefault(spot.block.di, set()).add(spot.di)
            blocks[spot.block.di] = (spot.block, spot.stride)
    keys: dict[int, tuple[Key, int]] = {}
    for spot in spots:
        members = wanted[spot.block.di] if spot.block is not None else set()
        if spot.block is not None and len(members) > 1:
            block, stride = blocks[spot.block.di]
            keys[block.di] = (Key(block.di, tuple(sorted(members))), block.usual * stride)
        else:
            keys.setdefault(spot.di, (Key(spot.di), max(spot.size, spot.start + spot.format.size)))
    requests = [_request(profile, *keys[di]) for di in sorted(keys)]
    numbers = {request.key.di: number for number, request in enumerate(requests)}
    takers = tuple(
        _taker([_source(spot, numbers, wanted) for spot in point.spots]) if point is not None else None
        for point in points
    )
    clock: int | None = None
    if profile.reads_clock and requests:
        clock = len(requests)
        overhead = profile.preamble + HEAD + TAIL + profile.di_size
        requests.append(Request(Key(0, clock=True), "clock", 2 * overhead, 2 * overhead + CLOCK_BYTES))
    return Plan(offsets, tuple(requests), points, takers, clock)


def assemble(device: Device, plan: ReadPlan, answers: Mapping[Request, Any]) -> Reading:
    """Values of what was answered; a variable without a value gets the reason for it."""
    if not isinstance(plan, Plan):
        raise TypeError("the plan is of another driver")
    given = [answers.get(request, Reason.TIMEOUT) for request in plan.requests]
    factors = plan.factors.get(device.ratio) or _bind(plan, device.ratio)
    values: list[float] = []
    statuses: list[int] = []
    for point, take, (numerator, denominator) in zip(plan.points, plan.takers, factors, strict=True):
        raw = take(given) if take is not None else Reason.NOT_SUPPORTED
        if point is None or isinstance(raw, Reason):
            values.append(nan)
            statuses.append(_STATUS[raw] if isinstance(raw, Reason) else _STATUS[Reason.NOT_SUPPORTED])
            continue
        value, status = _value(point, raw, numerator, denominator)
        values.append(value)
        statuses.append(status)
    clock = given[plan.clock] if plan.clock is not None else None
    columns = np.array(values, np.float64), np.array(statuses, np.uint32)
    return Reading(*columns, device_time_ns=clock.clock_ns if isinstance(clock, Answer) else None)


def _request(profile: CompiledProfile, key: Key, size: int) -> Request:
    overhead = profile.preamble + HEAD + TAIL + profile.di_size
    return Request(key, profile.di_text(key.di), overhead, overhead + size)


def _source(spot: Spot, numbers: Mapping[int, int], wanted: Mapping[int, set[int]]) -> _Source:
    if spot.block is not None and len(wanted[spot.block.di]) > 1:
        return _Source(numbers[spot.block.di], spot, in_block=True)
    return _Source(numbers[spot.di], spot, in_block=False)


def _bind(plan: Plan, ratio: tuple[float, float]) -> tuple[tuple[int, int], ...]:
    if len(plan.factors) >= MOST_RATIOS:
        plan.factors.clear()
    ct, pt = (Fraction(repr(float(each))) for each in ratio)
    scales = [point.scale * point.ratio.pick(ct, pt) if point is not None else Fraction(1) for point in plan.points]
    plan.factors[ratio] = bound = tuple((scale.numerator, scale.denominator) for scale in scales)
    return bound


def _value(point: CompiledPoint, raw: Number, numerator: int, denominator: int) -> Outcome:
    if point.map is not None:
        shown = point.map.get(int(raw))
        return (nan, Reason.OUT_OF_RANGE.status) if shown is None else (float(shown), GOOD)
    if not point.is_counter:
        return float(raw * numerator / denominator), GOOD
    whole = int((2 * raw * numerator + denominator) // (2 * denominator))
    return (float(whole), GOOD) if -EXACT_LIMIT <= whole <= EXACT_LIMIT else (nan, Reason.OUT_OF_RANGE.status)


def _taker(sources: Sequence[_Source]) -> Take:
    """What takes the whole number, the usual way where the answer is as usual."""
    if len(sources) > 1:
        return lambda given: _any(sources, given)
    source = sources[0]
    spot, request, in_block = source.spot, source.request, source.in_block
    start = spot.start_in_block if in_block else spot.start
    end = start + spot.format.size
    separator = spot.stride if in_block else -1
    exact = 0 if in_block or spot.size != spot.format.size else spot.size
    backwards = slice(end - 1, start - 1 if start else None, -1)
    signed = spot.format.signed

    def take(given: Sequence[Any]) -> Number | Reason:
        answer = given[request]
        data = answer.data if isinstance(answer, Answer) else None
        if data is None or len(data) < end or (exact and len(data) != exact):
            return _raw(source, given)
        digits = data[backwards].hex()
        separated = 0 < separator < len(data) and data[separator] == SEPARATOR
        if separated or not digits.isdecimal() or (signed and digits[0] > "7"):
            return _raw(source, given)
        return int(digits)

    unusual = spot.format.kind is not FormatKind.NUMBER or (spot.wide is not None and in_block)
    return (lambda given: _raw(source, given)) if unusual else take


def _any(sources: Sequence[_Source], given: Sequence[Any]) -> Number | Reason:
    """Whether any of several bits is set; what the meter does not have (a phase) counts only where all are missing."""
    found = [_raw(source, given) for source in sources]
    known = [raw for raw in found if not isinstance(raw, Reason)]
    if any(known):
        return 1
    missing = [raw for raw in found if isinstance(raw, Reason)]
    broken = next((reason for reason in missing if reason is not Reason.NOT_SUPPORTED), None)
    if broken is not None:
        return broken
    return 0 if known else Reason.NOT_SUPPORTED


def _raw(source: _Source, given: Sequence[Any]) -> Number | Reason:
    answer = given[source.request]
    if not isinstance(answer, Answer):
        return answer if isinstance(answer, Reason) else Reason.BAD_FRAME
    spot = source.spot
    data: bytes | Reason | None = answer.data
    if data is None:
        data = answer.parts.get(spot.di, Reason.NEVER_READ)
    if isinstance(data, Reason):
        return data
    if source.in_block and answer.data is not None:
        return _from_block(spot, data)
    if spot.size and spot.size == spot.format.size != len(data):
        if spot.wide is not None and len(data) == spot.wide.size:
            return _wide(spot, spot.wide, data)
        return Reason.BAD_FRAME
    return _number(spot, spot.format, data[spot.start : spot.start + spot.format.size], Reason.BAD_FRAME)


def _from_block(spot: Spot, data: bytes) -> Number | Reason:
    if spot.block is None:
        return Reason.MISCONFIGURED
    if spot.format.kind is FormatKind.NUMBER:
        if spot.wide is not None and len(data) == spot.block.usual * spot.wide.size:
            start = spot.block.part * spot.wide.size
            return _wide(spot, spot.wide, data[start : start + spot.wide.size])
        data = _without_separators(data, spot.stride)
    start = spot.start_in_block
    return _number(spot, spot.format, data[start : start + spot.format.size], Reason.NOT_SUPPORTED)


def _wide(spot: Spot, wide: Format, piece: bytes) -> Number | Reason:
    """A value that this meter sends with more digits than the standard has."""
    raw = _number(spot, wide, piece, Reason.NOT_SUPPORTED)
    return raw if isinstance(raw, Reason) else Fraction(raw) / 10 ** (wide.decimals - spot.format.decimals)


def _number(spot: Spot, form: Format, piece: bytes, missing: Reason) -> Number | Reason:
    if len(piece) < form.size:
        return missing
    if form.kind is FormatKind.BITS:
        return _bits(spot, piece)
    whole = form.whole(piece)
    if whole is None:
        return Reason.NOT_SUPPORTED if piece == b"\xff" * form.size else Reason.OUT_OF_RANGE
    return whole


def _bits(spot: Spot, piece: bytes) -> int | Reason:
    if len(piece) > 1 and piece == b"\xff" * len(piece):
        return Reason.NOT_SUPPORTED
    word = int.from_bytes(piece, "little")
    if not spot.bits:
        return word
    return sum((word >> bit & 1) << place for place, bit in enumerate(spot.bits))


def _without_separators(data: bytes, stride: int) -> bytes:
    """A block's data without the AA that may stand between its values."""
    if stride < 1 or len(data) <= stride or data[stride] != SEPARATOR:
        return data
    step = stride + 1
    if any(data[at] != SEPARATOR for at in range(stride, len(data), step)):
        return data
    return b"".join(data[at : at + stride] for at in range(0, len(data), step))

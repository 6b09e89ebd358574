"""From requests to readings, without a line in between: shared plans, raw answers, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import nan
from typing import Any

import numpy as np

from address_space.model.quality import Reason
from drivers.api import Device, Reading, ReadPlan, Request
from drivers.codec import exact
from drivers.modbus.absence import Span
from drivers.modbus.decode import Program
from drivers.modbus.layout import CompiledPoint, CompiledProfile, Make, RatioSource
from drivers.modbus.overdue import answer_size
from drivers.modbus.plan import Read, plan_reads


@dataclass(frozen=True, slots=True)
class Key:
    """Request number `index` of a plan: what to read of each make of the profile, and the spans that a refusal is
    narrowed down to (none where the block must be there)."""

    index: int
    reads: tuple[Read | None, ...]
    spans: tuple[tuple[Span, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan(ReadPlan):
    """A read plan with the decoder of each make."""

    programs: tuple[Program, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one request brought.

    make     index of the make the device turned out to be
    data     words of the block, zero where absent or unread
    absent   spans the device refuses; unread: spans not reached in this exchange
    ct, pt   ratios read from the device, None where they are configured
    """

    make: int
    data: bytes
    absent: tuple[Span, ...] = ()
    unread: tuple[Span, ...] = ()
    ct: Fraction | None = None
    pt: Fraction | None = None


READ_REQUEST = 8
READ_OVERHEAD = 5
"""Bytes of a read in RTU: of the request, and of an answer beside its data."""


def frame_size(rtu_bytes: int, ascii_frames: bool) -> int:  # noqa: FBT001 - which of the two serial framings
    """Bytes on a serial line of a frame that has so many in RTU: ASCII sends two characters a byte, one sum byte."""
    return 2 * rtu_bytes + 1 if ascii_frames else rtu_bytes


def build_plan(profile: CompiledProfile, offsets: tuple[int, ...], *, ascii_frames: bool = False) -> Plan:
    """Requests and decoders for the points at `offsets`, for each make of a profile."""
    reads = [plan_reads(make, offsets) for make in profile.makes]
    requests: list[Request] = []
    for index in range(max(len(each) for each in reads)):
        own = tuple(each[index] if index < len(each) else None for each in reads)
        spans = tuple(
            _optional_spans(make, offsets, read) if read else () for make, read in zip(profile.makes, own, strict=True)
        )
        label = next(str(read) for read in own if read)
        received = max(frame_size(READ_OVERHEAD + answer_size(read), ascii_frames) for read in own if read)
        requests.append(Request(Key(index, own, spans), label, frame_size(READ_REQUEST, ascii_frames), received))
    programs = tuple(Program(make, offsets, each) for make, each in zip(profile.makes, reads, strict=True))
    return Plan(offsets, tuple(requests), programs)


def _optional_spans(make: Make, offsets: Sequence[int], read: Read) -> tuple[Span, ...]:
    points = [point for offset in offsets if (point := make.points[offset]) is not None]
    inside = [
        (point, (first, first + count))
        for point in points
        for register in point.all_registers
        for first, count in register.runs
        if read.covers(register.fc, first)
    ]
    return tuple(span for _, span in inside) if any(point.optional for point, _ in inside) else ()


def assemble(device: Device, plan: ReadPlan, answers: Mapping[Request, Any]) -> Reading:
    """Values of what was answered. A point whose request failed, or whose registers the device lacks, gets the
    reason for it; the make of the first answer decides how all are decoded."""
    if not isinstance(plan, Plan):
        raise TypeError("the plan is of another driver")
    given = [answers.get(request, Reason.TIMEOUT) for request in plan.requests]
    first = next((answer for answer in given if isinstance(answer, Answer)), _NOTHING)
    program = plan.programs[first.make]
    blocks: list[bytes] = []
    reasons: dict[int, Reason] = {}
    ragged = False
    for index, read in enumerate(program.reads):
        answer = given[index]
        if isinstance(answer, Answer) and answer.make == first.make and len(answer.data) == 2 * read.words:
            blocks.append(answer.data)
            ragged = ragged or bool(answer.absent or answer.unread)
        else:
            blocks.append(bytes(2 * read.words))
            reasons[index] = answer if isinstance(answer, Reason) else Reason.BAD_FRAME
    ct = ratio_of(first.ct, program.make.ct, device.ratio[0])
    pt = ratio_of(first.pt, program.make.pt, device.ratio[1])
    values, statuses, texts = program.run(b"".join(blocks), ct, pt)
    if reasons or ragged:
        for position, needed in enumerate(program.needs):
            reason = _trouble(program.points[position], needed, program.reads, given, reasons)
            if reason is not None:
                values[position] = nan
                statuses[position] = reason.status
                texts.pop(position, None)
    for position, stand_in in program.fallbacks:
        if statuses[position] == Reason.NOT_SUPPORTED.status:
            values[position], statuses[position] = values[stand_in], statuses[stand_in]
    if program.fallbacks:
        del values[program.asked :], statuses[program.asked :]
    moment_ns = None if reasons else program.moment_ns(blocks, device.zone)
    return Reading(np.array(values, np.float64), np.array(statuses, np.uint32), texts, moment_ns)


def _trouble(
    point: CompiledPoint | None,
    needed: frozenset[int],
    reads: Sequence[Read],
    given: Sequence[Any],
    reasons: Mapping[int, Reason],
) -> Reason | None:
    """Why a point has no value although its words may look like one."""
    if point is None:
        return None
    for index in needed:
        if index in reasons:
            return reasons[index]
        answer: Answer = given[index]
        fc = reads[index].fc
        if _touches(point, fc, answer.absent):
            return Reason.NOT_SUPPORTED
        if _touches(point, fc, answer.unread):
            return Reason.NEVER_READ
    return None


def _touches(point: CompiledPoint, fc: int, spans: Sequence[Span]) -> bool:
    return any(
        first <= place < end
        for register in point.registers
        if register.fc == fc
        for place in register.places
        for first, end in spans
    )


def ratio_of(read: Fraction | None, source: RatioSource, configured: float) -> Fraction:
    """The ratio in force: read from the device, the profile's, or configured."""
    if read is not None:
        return read
    if isinstance(source, Fraction):
        return source
    return _ONE if configured == 1.0 else exact(configured)


_ONE = Fraction(1)
_NOTHING = Answer(0, b"")

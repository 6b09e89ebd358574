"""From requests to readings, without a line in between: shared plans, raw answers, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np

from address_space.model.quality import GOOD, Reason
from address_space.model.state import ValveState
from address_space.model.value import EXACT_LIMIT
from drivers.api import Device, Reading, ReadPlan, Request
from drivers.cjt188.frame import SHORTEST
from drivers.cjt188.layouts import Layout, number
from drivers.cjt188.profile import CompiledPoint, CompiledProfile

DI_AND_SER = 3

Outcome = tuple[float, int]
"""(value in base units, status)."""


@dataclass(frozen=True, slots=True)
class Key:
    """Which identifier to read."""

    di: int

    def __str__(self) -> str:
        return f"{self.di:04X}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request brought: the contents behind the serial number.

    moving  the valve was told to move not long ago and is not seen at its end yet
    """

    payload: bytes
    moving: bool = False


def build_plan(profile: CompiledProfile, offsets: tuple[int, ...], lead: int) -> ReadPlan:
    """Requests for the points at `offsets`, one for each identifier; `lead` bytes go before each frame."""
    points = [point for offset in offsets if (point := profile.points[offset]) is not None]
    identifiers = sorted({point.di for point in points})
    around = SHORTEST + DI_AND_SER
    return ReadPlan(
        offsets,
        tuple(
            Request(Key(di), f"read {di:04X}", sent=lead + around, received=4 + around + profile.longest(di))
            for di in identifiers
        ),
    )


def assemble(device: Device, plan: ReadPlan, answers: Mapping[Request, Any]) -> Reading:
    """Values of what was answered. A point whose request failed gets the reason for it; one that the answer's form
    does not hold shows BadNotSupported, and one whose answer is of no known form BadCommunicationError."""
    profile: CompiledProfile = device.profile
    given = {request.key.di: _opened(profile, request, answers) for request in plan.requests}
    values: list[float] = []
    statuses: list[int] = []
    for offset in plan.offsets:
        point = profile.points[offset]
        value, status = _UNKNOWN if point is None else _outcome(profile, point, given[point.di])
        values.append(value)
        statuses.append(status)
    return Reading(np.array(values, np.float64), np.array(statuses, np.uint32))


def _opened(
    profile: CompiledProfile, request: Request, answers: Mapping[Request, Any]
) -> tuple[Answer, Layout] | Reason:
    """An answer with its form, or why there is none."""
    answer = answers.get(request, Reason.TIMEOUT)
    if not isinstance(answer, Answer):
        return answer if isinstance(answer, Reason) else Reason.BAD_FRAME
    layout = profile.layout(request.key.di, len(answer.payload))
    return Reason.BAD_FRAME if layout is None else (answer, layout)


def _outcome(profile: CompiledProfile, point: CompiledPoint, opened: tuple[Answer, Layout] | Reason) -> Outcome:
    if isinstance(opened, Reason):
        return nan, opened.status
    answer, layout = opened
    if point.field:
        return _number(point, layout, answer.payload)
    if layout.status_at is None:
        return _UNKNOWN
    status = answer.payload[layout.status_at : layout.status_at + 2]
    if point.flag is not None:
        is_set = bool(status[point.flag.byte] & point.flag.mask)
        return float(is_set is point.flag.active), GOOD
    return float(valve_state(profile, status, moving=answer.moving)), GOOD


def valve_state(profile: CompiledProfile, status: bytes, *, moving: bool) -> ValveState:
    """Position according to a status word; on its way where it was told to move and does not say failure."""
    state = profile.valve.state(status)
    return ValveState.IN_TRANSIT if moving and state is not ValveState.FAILURE else state


def status_of(profile: CompiledProfile, di: int, payload: bytes) -> bytes | None:
    """The status word in an answer, None where its form has none."""
    layout = profile.layout(di, len(payload))
    if layout is None or layout.status_at is None:
        return None
    return payload[layout.status_at : layout.status_at + 2]


def _number(point: CompiledPoint, layout: Layout, payload: bytes) -> Outcome:
    field = layout.field(point.field)
    if field is None:
        return _UNKNOWN
    found = number(payload, field)
    if found.raw is None:
        return _UNKNOWN if found.absent else (nan, Reason.OUT_OF_RANGE.status)
    status, size = GOOD, point.size
    if field.unit_at is not None:
        if found.unit is not None and found.unit.base == point.base:
            size = found.unit.size
        else:
            status = Reason.INCOMPLETE.status
    # Whole numbers to the end: a Fraction costs ten times as much.
    numerator, denominator = found.raw * size.numerator, 10**field.decimals * size.denominator
    if not point.is_counter:
        return numerator / denominator, status
    value = (2 * numerator + denominator) // (2 * denominator)
    return (float(value), status) if value <= EXACT_LIMIT else (nan, Reason.OUT_OF_RANGE.status)


_UNKNOWN: Outcome = (nan, Reason.NOT_SUPPORTED.status)

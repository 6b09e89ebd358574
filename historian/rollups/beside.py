"""Usable readings of a register next to a time, in base units: as many as have a say in what is booked there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from address_space.model.quantity import by_path
from historian.api import HistoryReader, Sample
from historian.calendar import Instants
from historian.counters import CALM, Limits, RatioChange, calm

MOST = 256
"""A register that is not calm in so many readings is judged by these."""
_PAGES = (16, 256, 4096)
_BEGIN_MS = 0
_END_MS = 1 << 47
_BAD = 0x80000000


@dataclass(frozen=True, slots=True)
class Register:
    """A counter of a unit, and what it can do. In base units."""

    field: str
    limits: Limits
    changes: Sequence[RatioChange] = ()

    def calm(self, samples: Sequence[Sample]) -> NDArray[np.bool_]:
        """Which readings nothing before the last `CALM` of them has any say in."""
        times = np.array([sample.time_ms for sample in samples], np.int64)
        values = np.array([sample.value for sample in samples], np.float64)
        return calm(times, values, self.limits, self.changes)


@dataclass(frozen=True, slots=True)
class Known:
    """Usable readings of a register next to a time, all of them up to the farthest, oldest first.

    whole  whether there are none farther away
    """

    samples: list[Sample]
    whole: bool = False


NOTHING = Known([])


async def before(
    reader: HistoryReader, uid: NodeUid, register: Register, time_ms: int, known: Known = NOTHING
) -> Known:
    """Readings before a time, back to where the register was calm; where it never was, to its first or `MOST`.

    known  of readings before a later time
    """
    quantity = by_path(register.field)
    found = [sample for sample in known.samples if sample.time_ms < time_ms]
    whole, end_ms = known.whole or quantity is None, found[0].time_ms if found else time_ms
    for limit in chain(_PAGES, repeat(_PAGES[-1])):
        if quantity is None or whole or len(found) >= MOST or register.calm(found).any():
            break
        series = await reader.read_raw(uid, quantity, _BEGIN_MS, end_ms, limit, newest_first=True)
        newest_first = _samples(series.time_ms, series.values, series.status, quantity.per_unit)
        found = newest_first[::-1] + found
        whole, end_ms = not series.more, int(series.time_ms[-1]) if len(series.time_ms) else end_ms
    return Known(found, whole)


async def after(reader: HistoryReader, uid: NodeUid, register: Register, time_ms: int, known: Known = NOTHING) -> Known:
    """Readings from a time on, until the register is calm; where it never is, to its last or `MOST`.

    known  of readings from an earlier time on
    """
    quantity = by_path(register.field)
    found = [sample for sample in known.samples if sample.time_ms >= time_ms]
    whole, start_ms = known.whole or quantity is None, found[-1].time_ms + 1 if found else time_ms
    for limit in chain(_PAGES, repeat(_PAGES[-1])):
        if quantity is None or whole or len(found) >= MOST or register.calm(found).any():
            break
        series = await reader.read_raw(uid, quantity, start_ms, _END_MS, limit)
        found += _samples(series.time_ms, series.values, series.status, quantity.per_unit)
        whole, start_ms = not series.more, int(series.time_ms[-1]) + 1 if len(series.time_ms) else start_ms
    return Known(found, whole)


def since_calm(register: Register, known: Known) -> list[Sample]:
    """Of readings before a time those from the last calm on, so that nothing before them has a say."""
    places = np.flatnonzero(register.calm(known.samples))
    return known.samples[int(places[-1]) - CALM + 1 :] if len(places) else known.samples[-MOST:]


def until_calm(register: Register, known: Known) -> list[Sample]:
    """Of readings from a time on those until the first calm, so that nothing behind them has a say."""
    places = np.flatnonzero(register.calm(known.samples))
    return known.samples[: int(places[0]) + 1] if len(places) else known.samples[:MOST]


def opens(register: Register, earlier: list[Sample]) -> int | None:
    """From when on what is booked may be another once the readings behind these are; None where there are none."""
    if not earlier:
        return None
    # the last step to a calm reading may be taken back where no rating bounds it; all others are settled
    settled = CALM - (1 if register.limits.per_hour else 2)
    is_calm = len(earlier) >= CALM and bool(register.calm(earlier)[CALM - 1])
    return earlier[settled if is_calm else 0].time_ms


def base_values(values: NDArray[np.float64], per_unit: int) -> NDArray[np.float64]:
    """Base units of shown values: these are base units divided, and what is whole comes back whole."""
    if per_unit == 1:
        return values
    found: NDArray[np.float64] = np.round(values * per_unit, 6)
    return found


def _samples(time_ms: Instants, values: NDArray[np.float64], status: NDArray[np.uint32], per_unit: int) -> list[Sample]:
    kept = np.flatnonzero(~np.isnan(values) & ((status & _BAD) == 0))
    base = base_values(values[kept], per_unit)
    return [
        Sample(time, value, code)
        for time, value, code in zip(time_ms[kept].tolist(), base.tolist(), status[kept].tolist(), strict=True)
    ]

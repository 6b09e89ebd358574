"""Usable readings of a register next to a time, in base units."""

from __future__ import annotations

from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from address_space.model.quantity import by_path
from historian.api import HistoryReader, Sample
from historian.calendar import Instants

BEFORE, AFTER = 16, 8
"""Readings around some hours that a closer look takes into account: a glitch or a jump shows within so many, and one
of those before the hours is to be trusted."""
_PAGES = (16, 256, 4096)
_BEGIN_MS = 0
_END_MS = 1 << 47
_BAD = 0x80000000


async def before(reader: HistoryReader, uid: NodeUid, field: str, time_ms: int, wanted: int = BEFORE) -> list[Sample]:
    """The last ones before a time, oldest first."""
    quantity = by_path(field)
    found: list[Sample] = []
    end_ms = time_ms
    for limit in chain(_PAGES, repeat(_PAGES[-1])):
        if quantity is None:
            break
        series = await reader.read_raw(uid, quantity, _BEGIN_MS, end_ms, limit, newest_first=True)
        found += _samples(series.time_ms, series.values, series.status, quantity.per_unit)
        if not series.more or len(found) >= wanted:
            break
        end_ms = int(series.time_ms[-1])
    return found[:wanted][::-1]


async def after(reader: HistoryReader, uid: NodeUid, field: str, time_ms: int, wanted: int = AFTER) -> list[Sample]:
    """The first ones from a time on, oldest first."""
    quantity = by_path(field)
    found: list[Sample] = []
    start_ms = time_ms
    for limit in chain(_PAGES, repeat(_PAGES[-1])):
        if quantity is None:
            break
        series = await reader.read_raw(uid, quantity, start_ms, _END_MS, limit)
        found += _samples(series.time_ms, series.values, series.status, quantity.per_unit)
        if not series.more or len(found) >= wanted:
            break
        start_ms = int(series.time_ms[-1]) + 1
    return found[:wanted]


def base_values(values: NDArray[np.float64], per_unit: int) -> NDArray[np.float64]:
    """Base units of shown values: these are base units divided, and what is whole comes back whole."""
    found: NDArray[np.float64] = np.round(values * per_unit, 6)
    return found


def _samples(time_ms: Instants, values: NDArray[np.float64], status: NDArray[np.uint32], per_unit: int) -> list[Sample]:
    kept = np.flatnonzero(~np.isnan(values) & ((status & _BAD) == 0))
    base = base_values(values[kept], per_unit)
    return [
        Sample(time, value, code)
        for time, value, code in zip(time_ms[kept].tolist(), base.tolist(), status[kept].tolist(), strict=True)
    ]

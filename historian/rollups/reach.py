"""How far hours of a register are known without a break as they are stored: what readings left that are no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from historian.calendar import Days, Width
from historian.rollups.figures import COUNTER, Figure
from historian.rollups.file import Numbers, RollupFile


def begins(file: RollupFile, days: Days, unit: int, field: str, time_ms: int) -> int:
    """Since when a register is known up to a time."""
    for day in range(days.number(time_ms - 1), -1, -1):
        for start_ms, end_ms, known in reversed(list(_hours(file, days, day, unit, field))):
            if end_ms > time_ms:
                continue
            if not known:
                return time_ms
            time_ms = start_ms
    return time_ms


def ends(file: RollupFile, days: Days, unit: int, field: str, time_ms: int) -> int:
    """Until when a register is known from a time on."""
    day = days.number(time_ms)
    while True:
        for start_ms, end_ms, known in _hours(file, days, day, unit, field):
            if start_ms < time_ms:
                continue
            if not known:
                return time_ms
            time_ms = end_ms
        day += 1


def spoken_for(
    file: RollupFile, days: Days, day: int, hours: tuple[int, int], units: Numbers, fields: Sequence[str]
) -> np.ndarray:
    """Of which registers, shape (units, fields), a consumption of any hour from the first to the last is stored."""
    found = np.zeros((len(units), len(fields)), np.bool_)
    for numbers, figures in file.rows(Width.HOUR, day, COUNTER, units, len(days.edges(day, Width.HOUR)) - 1):
        place = np.searchsorted(units, numbers)
        some = np.asarray((~np.isnan(figures.of(Figure.DELTA)[:, :, hours[0] : hours[1] + 1])).any(axis=2))
        for column, field in enumerate(fields):
            if field in figures.fields:
                found[place, column] = some[:, figures.fields.index(field)]
    return found


def _hours(file: RollupFile, days: Days, day: int, unit: int, field: str) -> Iterator[tuple[int, int, bool]]:
    """Begin and end of each hour of a day, and whether the register is known in it."""
    edges = days.edges(day, Width.HOUR).tolist()
    known = [False] * (len(edges) - 1)
    for _, figures in file.rows(Width.HOUR, day, COUNTER, np.array([unit], np.int64), len(known)):
        if field in figures.fields:
            known = (~np.isnan(figures.of(Figure.DELTA)[0, figures.fields.index(field)])).tolist()
    yield from zip(edges[:-1], edges[1:], known, strict=True)

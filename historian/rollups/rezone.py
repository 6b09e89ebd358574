"""Another time zone: what readings can give is forgotten, to be computed again; days whose readings are gone stay."""

from __future__ import annotations

import logging
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from historian.calendar import Days, Width
from historian.rollups.figures import SHAPES, Figure, empty
from historian.rollups.file import DAYS_A_MONTH, RollupFile
from historian.rollups.reading import months_of

SETTLED, CLOSED_DAY, ZONE, KEPT_DAY = "settled_ms", "closed_day", "zone", "kept_day"
"""What the file has notes of. Days before KEPT_DAY are of an earlier zone, and never computed again."""
_ALL_UNITS = 2**31
_log = logging.getLogger(__name__)


def rezone(file: RollupFile, days: Days, begins_ms: int | None, now_ms: int) -> None:
    """Have the file be one of the zone of `days`; does nothing where it is.

    begins_ms  time of the first stored reading, None where there is none
    """
    found = file.note(ZONE)
    zone = days.zone.key
    if found == zone:
        return
    kept = 0
    if isinstance(found, str):
        kept = _first_day_to_compute(file, found, days, begins_ms, now_ms)
        _log.warning(
            "rollups are computed anew, the time zone is another old=%s new=%s days_kept_before=%s",
            found, zone, np.datetime64(kept, "D") if kept else "none",
        )  # fmt: skip
    with file.transaction():
        if kept:
            _keep(file, Days(ZoneInfo(str(found))), days, kept)
        elif found is not None:
            file.forget_all()
        if kept:
            file.remember(KEPT_DAY, kept)
            file.remember(CLOSED_DAY, kept)
        file.remember(ZONE, zone)


def _first_day_to_compute(file: RollupFile, found: str, days: Days, begins_ms: int | None, now_ms: int) -> int:
    """The first local day that the stored readings give whole; 0 where all days come out of them."""
    try:
        old = Days(ZoneInfo(found))
    except (ZoneInfoNotFoundError, ValueError):
        return 0
    first_ms = now_ms if begins_ms is None else min(begins_ms, now_ms)
    if not _has_days_before(file, old, old.number(first_ms)):
        return 0
    first = days.number(first_ms)
    whole = first + (days.start(first) < first_ms)
    closed, kept = file.note(CLOSED_DAY), file.note(KEPT_DAY)
    ends = [whole, days.number(now_ms)] + ([closed] if isinstance(closed, int) else [])
    return max(min(ends), kept if isinstance(kept, int) else 0, 0)


def _has_days_before(file: RollupFile, days: Days, day: int) -> bool:
    """Whether something is known of days of which there are no readings any more."""
    month, day_of_month = months_of(days, day)
    for measurement, shape in SHAPES.items():
        months = file.periods(Width.DAY, measurement)
        if not len(months):
            continue
        if months[0] < month:
            return True
        units = file.units_of(Width.DAY, measurement, month, -1, _ALL_UNITS)
        for _, figures in file.rows(Width.DAY, month, shape, units, DAYS_A_MONTH):
            if (figures.of(Figure.COUNT)[..., : day_of_month - 1] > 0).any():
                return True
    return False


def _keep(file: RollupFile, old: Days, days: Days, kept: int) -> None:
    """Forget days from `kept` on, and before it hours that another zone has at other times. Runs in a transaction."""
    month, day_of_month = months_of(days, kept)
    for measurement, shape in SHAPES.items():
        file.forget(Width.DAY, measurement, range(month + 1, file.periods(Width.DAY, measurement).stop))
        units = file.units_of(Width.DAY, measurement, month, -1, _ALL_UNITS)
        for numbers, figures in file.rows(Width.DAY, month, shape, units, DAYS_A_MONTH):
            count = DAYS_A_MONTH - day_of_month + 1
            nothing = empty(shape, figures.fields, len(numbers), count)
            file.splice(Width.DAY, month, DAYS_A_MONTH, day_of_month - 1, numbers, nothing)
        for width in (Width.HOUR, Width.QUARTER):
            every = file.periods(width, measurement)
            file.forget(width, measurement, [day for day in every if day >= kept or _moved(old, days, day, width)])
    file.forget_notes()


def _moved(old: Days, days: Days, day: int, width: Width) -> bool:
    return not np.array_equal(old.edges(day, width), days.edges(day, width))

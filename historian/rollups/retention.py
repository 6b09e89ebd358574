"""Which rollups are too old to be kept, and that a leap of the clock alone gives none of them up."""

from __future__ import annotations

from historian.calendar import Width
from historian.leap import LeapGuard
from historian.rollups.file import RollupFile
from historian.rollups.options import RollupOptions


class Retention:
    """Drops what is older than is kept; used from the file's writing thread."""

    def __init__(self, options: RollupOptions, guard: LeapGuard) -> None:
        self._keep = {Width.QUARTER: options.keep_days_quarter, Width.HOUR: options.keep_days_hour}
        self._guard = guard
        self._done: int | None = None

    def drop_old(self, file: RollupFile, closed_day: int, today: int) -> None:
        """Drop by the last day that is closed, or by the last one that is believed of the clock's where that is older.

        closed_day  the first day that is not closed
        """
        day = min(closed_day - 1, self._guard.day(today))
        if day == self._done:
            return
        for width, keep in self._keep.items():
            if keep:
                file.drop(width, day - keep)
        self._done = day

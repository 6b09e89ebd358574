"""The rollups of a hub as their file has them, for commands: read only, beside the hub or without it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity
from historian.buckets import Buckets
from historian.calendar import Days, Instants, Width
from historian.counters import ANOMALIES, Move
from historian.rollups import reading
from historian.rollups.anomalies import AnomalyTable
from historian.rollups.file import FILE, RollupFile
from historian.rollups.options import Anomaly
from historian.rollups.recent import anomaly
from historian.rollups.rezone import CLOSED_DAY, SETTLED, ZONE
from historian.rollups.waiting import WaitingHours
from historian.schema import measurement_of
from historian.sqlite.files import translated


class KeptRollups:
    """Use with `with`; every call may raise HistoryError. Used from one thread."""

    def __init__(self, folder: Path) -> None:
        self._file = RollupFile(folder / FILE, writing=False)
        try:
            with translated(str(self._file.path)):
                self._file.connection.execute("BEGIN")  # a hub may go on meanwhile: all is read of one moment
            zone, settled, closed = (self._file.note(name) for name in (ZONE, SETTLED, CLOSED_DAY))
        except BaseException:
            self._file.close()
            raise
        self.zone = ZoneInfo(zone if isinstance(zone, str) else "UTC")
        self._days = Days(self.zone)
        self.settled_ms = settled if isinstance(settled, int) else 0
        """Nothing is computed that ended later."""
        self._closed_day = closed if isinstance(closed, int) else 0

    @staticmethod
    def there(folder: Path) -> bool:
        """Whether there are any."""
        return (folder / FILE).is_file()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def knows(self, uid: NodeUid) -> bool:
        """Whether there was ever a reading of a unit."""
        return bool((self._file.known_numbers([uid]) >= 0).all())

    def anomalies(
        self,
        units: Sequence[NodeUid] | None,
        start_ms: int,
        end_ms: int,
        moves: Sequence[Move] = ANOMALIES,
        most: int = 1000,
    ) -> list[Anomaly]:
        """The newest that registers did beside going on in [start, end), newest first, of some units or of all."""
        found = AnomalyTable(self._file).listed(units, (start_ms, end_ms), moves, most)
        return [made for uid, jump in found if (made := anomaly(NodeUid(uid), jump)) is not None]

    def glitches(self, uid: NodeUid, field: str, start_ms: int, end_ms: int) -> NDArray[np.int64]:
        """When a register's readings of [start, end) were glitches, ascending."""
        (number,) = self._file.known_numbers([uid]).tolist()
        return AnomalyTable(self._file).glitches(number, field, (start_ms, end_ms))

    def begins(self, uid: NodeUid, quantity: Quantity) -> int | None:
        """The month that the rollups of a variable begin with, in ms; None where there are none."""
        measurement = measurement_of(quantity)
        (number,) = self._file.known_numbers([uid]).tolist()
        if measurement is None or number < 0:
            return None
        months = self._file.periods(Width.DAY, measurement)
        had = [month for month in months if len(self._file.had(Width.DAY, measurement, number, [month]))]
        if had:
            return self._days.start(reading.days_of_month(self._days, had[0])[0])
        days = [day for day in self._file.periods(Width.HOUR, measurement) if day >= self._closed_day]
        had = self._file.had(Width.HOUR, measurement, number, days).tolist()
        return self._days.start(had[0]) if had else None

    def buckets(self, uid: NodeUid, quantity: Quantity, edges_ms: Instants, width: Width) -> Buckets:
        """All buckets between the edges."""
        span = (int(edges_ms[0]), int(edges_ms[-1]))
        (found,) = reading.read(self._file, self._days, [uid], quantity, span, width, self._closed_day)
        return found

    def tells(self, uid: NodeUid, quantity: Quantity, edges_ms: Instants, width: Width) -> NDArray[np.bool_]:
        """Which of the buckets between the edges say all that the stored readings do."""
        measurement = measurement_of(quantity)
        (number,) = self._file.known_numbers([uid]).tolist()
        told: NDArray[np.bool_] = edges_ms[1:] <= self.settled_ms
        if measurement is None or number < 0 or self._file.damaged:
            return np.zeros(len(told), np.bool_)
        first, last = self._days.numbers(edges_ms[:-1]), self._days.numbers(edges_ms[1:] - 1)
        days = np.arange(int(first[0]), int(last[-1]) + 1)
        known = self._known_days(number, quantity, days, width)
        for day in WaitingHours(self._file).days(number):
            known[(days >= day - 1) & (days <= day + 1)] = False
        lacking = np.append(0, np.cumsum(~known))
        told &= lacking[last - days[0] + 1] == lacking[first - days[0]]
        return told

    def _known_days(self, number: int, quantity: Quantity, days: NDArray[np.int64], width: Width) -> NDArray[np.bool_]:
        """Days of which there is a row that buckets of a width are read from."""
        measurement = measurement_of(quantity)
        assert measurement is not None  # noqa: S101 - asked only where it is
        finest = width if width is Width.QUARTER else Width.HOUR
        hours = np.isin(days, self._file.had(finest, measurement, number, days.tolist()))
        if width is Width.QUARTER:  # they may have been switched on in the middle of a day
            eves = (days - 1).tolist()
            some = np.isin(days - 1, self._file.had(Width.HOUR, measurement, number, eves))
            hours &= ~some | np.isin(days - 1, self._file.had(Width.QUARTER, measurement, number, eves))
        if width not in (Width.DAY, Width.MONTH):
            return hours
        months = np.array([reading.months_of(self._days, day)[0] for day in days.tolist()], np.int64)
        every = np.unique(months).tolist()
        had = np.isin(months, self._file.had(Width.DAY, measurement, number, every))
        found: NDArray[np.bool_] = np.where(days < self._closed_day, had, hours)
        return found

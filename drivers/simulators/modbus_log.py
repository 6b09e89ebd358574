"""The log that a simulated Modbus meter keeps by itself: a record for every period, of what it had counted then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from fractions import Fraction
from typing import Final

from drivers.modbus.encode import Cell, encode_point, no_data
from drivers.modbus.layout import CompiledPoint
from drivers.modbus.logs import Log
from drivers.simulators.meter import Values
from drivers.simulators.record_shelf import finished, put

BEGUN_MS: Final = 1_577_836_800_000
"""2020-01-01: since when such meters keep records."""
KEPT: Final = 4096
"""Records that are not made anew each time they are read."""


@dataclass(slots=True)
class LogKeeper:
    """Whose log it is. `values_at` tells what it had counted at a time of its own clock; it began at `begun_ms`."""

    values_at: Callable[[int], Values]
    zone: tzinfo
    ratio: tuple[float, float]
    begun_ms: int = BEGUN_MS


class Logbook:
    """The records of one log of values, oldest first. Times are of the meter's own clock, in milliseconds of UTC."""

    def __init__(self, log: Log, keeper: LogKeeper) -> None:
        self.log = log
        self._keeper = keeper
        self._made: dict[int, bytes] = {}

    def written(self, own_ms: int) -> int:
        """How many records were ever made."""
        period, zone = self.log.period, self._keeper.zone
        first, last = period.ceil(self._keeper.begun_ms, zone), period.floor(own_ms, zone)
        return max(period.steps(first, last, zone) + 1, 0) if last >= first else 0

    def record(self, number: int) -> bytes:
        """The record of a number, counted from 0."""
        zone = self._keeper.zone
        at_ms = self.log.period.add(self.log.period.ceil(self._keeper.begun_ms, zone), number, zone)
        found = self._made.get(at_ms)
        if found is None:
            if len(self._made) >= KEPT:
                self._made.clear()
            found = self._made[at_ms] = self._written(at_ms)
        return found

    def _written(self, at_ms: int) -> bytes:
        log, keeper = self.log, self._keeper
        record = bytearray(2 * log.words)
        values = keeper.values_at(at_ms)
        for point in log.make.points:
            if point is not None:
                put(record, _cells(point, values[point.quantity.code], keeper.ratio))
        shown_ms = at_ms
        if log.stamp is not None and log.stamp.begins:
            shown_ms = log.period.add(at_ms, -1, log.stamp.zone_in(keeper.zone))
        return finished(record, log, shown_ms, keeper.zone)


def _cells(point: CompiledPoint, value: float | None, ratio: tuple[float, float]) -> tuple[Cell, ...]:
    """Registers that show a value: counters as far as they are full, and from 0 again at the register's end."""
    if value is None:
        return no_data(point)
    try:
        if point.is_counter:
            ct, pt = (Fraction(repr(float(each))) for each in ratio)
            step = point.scale * point.ratio.pick(ct, pt)
            raw = int(Fraction(int(value)) // step)
            value = float(raw % (1 << point.type.bits) * step) if point.type.bits else float(raw * step)
        return encode_point(point, value, ratio)
    except (OverflowError, ValueError):
        return no_data(point)

"""From the logs of values of a profile to where their records lie; every mistake is told with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drivers.modbus.compile_steps import Checker
from drivers.modbus.compile_tables import TablePlacer, inside
from drivers.modbus.decode import Program
from drivers.modbus.layout import CompiledPoint, Limits, Make, RatioSource
from drivers.modbus.log_period import DAY_MS, Period
from drivers.modbus.logs import Log
from drivers.modbus.plan import Read
from drivers.profiles import Profile, ProfilePoint, size_in_base
from drivers.profiles.compiling import KeyPath
from drivers.profiles.modbus_logs import LogEntry
from drivers.profiles.modbus_schema import Section
from drivers.profiles.schema import POINT_KEYS

PointOf = Callable[[ProfilePoint, Section, KeyPath], CompiledPoint | None]
MOST_MS = 1000 * 366 * DAY_MS
"""How far back a log may go at most: the calendar ends somewhere."""
NOT_IN_RECORDS = ("fc", "base", *(key for key in POINT_KEYS if key != "unit"))
"""Keys of a point that say nothing of a value in a record."""


def compile_logs(
    profile: Profile,
    points: Sequence[ProfilePoint],
    section: Section,
    ratios: tuple[RatioSource, RatioSource],
    checker: Checker,
    point_of: PointOf,
) -> tuple[Log, ...]:
    """The logs of a make; those with mistakes are missing."""
    known = {point.name: point for point in points}
    placer = TablePlacer((profile.protocol, "logs"), section, checker)
    compiler = _Compiler(placer, known, section, ratios, checker, point_of)
    found = [compiler.log(name, entry) for name, entry in section.logs.items()]
    return tuple(log for log in found if log is not None)


class _Compiler:
    def __init__(
        self,
        placer: TablePlacer,
        points: Mapping[str, ProfilePoint],
        section: Section,
        ratios: tuple[RatioSource, RatioSource],
        checker: Checker,
        point_of: PointOf,
    ) -> None:
        self._placer = placer
        self._points = points
        self._inside = inside(section)
        self._ratios = ratios
        self._checker = checker
        self._point_of = point_of

    def log(self, name: str, given: Mapping[str, Any]) -> Log | None:
        path: KeyPath = (*self._placer.path, name)
        entry: LogEntry | None = self._checker.checked(LogEntry, given, path)
        if entry is None:
            return None
        period = Period.of(entry.period)
        if entry.time is None and not period.is_calendar and DAY_MS % period.mean_ms:
            hint = "give the records a time, or a period of which a day has a whole number"
            self._checker.say("records without a time cannot be dated in such periods", (*path, "period"), hint)
            return None
        if entry.count * period.mean_ms > MOST_MS:
            hint = "compare count and period with the manual"
            self._checker.say(f"{entry.count} records every {period} are more than 1000 years", (*path, "count"), hint)
            return None
        begins = entry.time is not None and entry.time.marks == "begin"
        table = self._placer.table(name, entry, entry.time, path, begins=begins)
        values = [self._value(key, value, entry.words, (*path, "values", key)) for key, value in entry.values.items()]
        if table is None or None in values:
            return None
        ct, pt = self._ratios
        make = Make(name, tuple(values), Limits(), ct, pt)
        program = Program(make, range(len(values)), (Read(3, 0, entry.words),))
        return Log(**table, period=period, make=make, program=program)

    def _value(self, name: str, given: Mapping[str, Any], words: int, path: KeyPath) -> CompiledPoint | None:
        known = self._points.get(name)
        if known is None or not known.address:
            hint = f"its points are {', '.join(point.name for point in self._points.values() if point.address)}"
            self._checker.say(f"{name} is no point of the profile, so that nobody misses it", path, hint)
            return None
        for key in NOT_IN_RECORDS:
            if key in given:
                self._checker.say(f"{key} says nothing of a value in a record", (*path, key), "leave it out")
                return None
        unit = str(given.get("unit", known.unit))
        if size_in_base(unit, known.quantity) is None:
            self._checker.say(f"{name} cannot be stated in {unit!r}", (*path, "unit"), "use the unit of the point")
            return None
        address = {key: value for key, value in given.items() if key != "unit"}
        if not address:
            self._checker.say(f"{name} does not say where it is found", path, "give at and type")
            return None
        point = self._point_of(
            ProfilePoint(known.quantity, unit, known.poll_class, known.poll_s, address), self._inside, path
        )
        if point is None or not all(self._placer.lies(register, words, path) for register in point.all_registers):
            return None
        return point

"""From the logs of a profile to where their records lie; every mistake is told with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drivers.modbus.compile_steps import Checker
from drivers.modbus.decode import Program
from drivers.modbus.layout import CompiledPoint, Condition, Limits, Make, RatioSource, Register
from drivers.modbus.log_period import DAY_MS, Period
from drivers.modbus.logs import Checksum, FileShelf, Log, Pointer, RegisterShelf, Shelf, Stamp, most_groups
from drivers.modbus.plan import Read
from drivers.modbus.steps import zone_of
from drivers.profiles import Profile, ProfilePoint, size_in_base
from drivers.profiles.modbus_logs import (
    MOST_FILE_WORDS,
    MOST_READ_WORDS,
    LogChecksumEntry,
    LogEntry,
    LogPointerEntry,
    LogTimeEntry,
)
from drivers.profiles.modbus_schema import RegisterEntry, Rule, Section
from drivers.profiles.schema import POINT_KEYS

_Path = tuple[str | int, ...]
PointOf = Callable[[ProfilePoint, Section, _Path], CompiledPoint | None]
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
    compiler = _Compiler(profile, {point.name: point for point in points}, section, ratios, checker, point_of)
    found = [compiler.log(name, entry) for name, entry in section.logs.items()]
    return tuple(log for log in found if log is not None)


class _Compiler:
    def __init__(
        self,
        profile: Profile,
        points: Mapping[str, ProfilePoint],
        section: Section,
        ratios: tuple[RatioSource, RatioSource],
        checker: Checker,
        point_of: PointOf,
    ) -> None:
        self._profile = profile
        self._points = points
        self._section = section
        self._inside = section.model_copy(update={"base": 0, "fc": 3})
        self._ratios = ratios
        self._checker = checker
        self._point_of = point_of

    def log(self, name: str, given: Mapping[str, Any]) -> Log | None:
        path: _Path = (self._profile.protocol, "logs", name)
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
        shelf = self._shelf(entry, path)
        newest = self._newest(entry.newest, path) if isinstance(entry.newest, dict) else entry.newest
        stamp = self._stamp(entry.time, entry.words, path) if entry.time is not None else None
        checksum = self._checksum(entry.checksum, entry.words, path) if entry.checksum is not None else None
        valid = [self._condition(rule, entry.words, (*path, "valid", at)) for at, rule in enumerate(entry.valid)]
        values = [self._value(key, value, entry.words, (*path, "values", key)) for key, value in entry.values.items()]
        wrong = (entry.time is not None and stamp is None) or (entry.checksum is not None and checksum is None)
        whole = tuple(condition for condition in valid if condition is not None)
        if wrong or shelf is None or newest is None or len(whole) < len(valid) or None in values:
            return None
        ct, pt = self._ratios
        make = Make(name, tuple(values), Limits(), ct, pt)
        program = Program(make, range(len(values)), (Read(3, 0, entry.words),))
        ring = entry.ring
        return Log(name, shelf, entry.count, ring, newest, period, stamp, checksum, whole, make, program)

    def _shelf(self, entry: LogEntry, path: _Path) -> Shelf | None:
        limit = entry.max_words or self._section.max_words
        limit = min(limit, MOST_READ_WORDS if entry.file is None else MOST_FILE_WORDS)
        if entry.words > limit:
            hint = "say in max_words how many registers the device gives in one answer"
            self._checker.say(f"a record of {entry.words} words does not fit an answer of {limit}", path, hint)
            return None
        together = 1 + (limit - entry.words) // entry.spaced
        if entry.file is None:
            address = (entry.at or 0) - (self._section.base if entry.base is None else entry.base)
            last = address + (entry.count - 1) * entry.spaced + entry.words - 1
            if address < 0 or last > 0xFFFF:
                hint = "compare at, base, count and stride with the manual"
                self._checker.say("the log does not lie within the 65536 registers", (*path, "at"), hint)
                return None
            fc = entry.fc or (self._section.fc if self._section.fc > 2 else 3)
            return RegisterShelf(fc, address, entry.spaced, entry.words, together)
        by_record = entry.numbers == "records"
        most = min(entry.at_once, most_groups(entry.words)) if by_record else together
        per_file = entry.per_file or entry.count
        step = 1 if by_record else entry.spaced
        last = entry.first + (min(per_file, entry.count) - 1) * step
        last_file = entry.file + (entry.count - 1) // per_file
        if last > 0xFFFF:
            hint = "say in per_file how many records one file holds"
            self._checker.say(f"record number {last} is beyond 65535", (*path, "count"), hint)
            return None
        if last_file > 0xFFFF:
            hint = "compare file, count and per_file with the manual"
            self._checker.say(f"file {last_file} is beyond 65535", (*path, "count"), hint)
            return None
        return FileShelf(entry.file, entry.first, per_file, entry.spaced, entry.words, most, by_record)

    def _newest(self, given: Mapping[str, Any], path: _Path) -> Pointer | None:
        entry: LogPointerEntry | None = self._checker.checked(LogPointerEntry, given, (*path, "newest"))
        register = self._checker.register(entry, self._section, (*path, "newest")) if entry is not None else None
        return Pointer(register, entry.means, entry.first) if entry is not None and register is not None else None

    def _stamp(self, entry: LogTimeEntry, words: int, path: _Path) -> Stamp | None:
        if not self._fits(entry.at, entry.moment.size, words, (*path, "time", "at")):
            return None
        order = entry.order or self._section.order
        return Stamp(entry.at, entry.moment, order, zone_of(entry.zone), entry.marks == "begin")

    def _checksum(self, entry: LogChecksumEntry, words: int, path: _Path) -> Checksum | None:
        return Checksum(entry.at, entry.kind) if self._fits(entry.at, 1, words, (*path, "checksum", "at")) else None

    def _condition(self, rule: Rule, words: int, path: _Path) -> Condition | None:
        register = self._checker.register(RegisterEntry.model_validate(rule.register_keys), self._inside, path)
        if register is None or not self._lies(register, words, path):
            return None
        return Condition(register, rule.equals, rule.starts_with, rule.between)

    def _value(self, name: str, given: Mapping[str, Any], words: int, path: _Path) -> CompiledPoint | None:
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
        if point is None or not all(self._lies(register, words, path) for register in point.all_registers):
            return None
        return point

    def _lies(self, register: Register, words: int, path: _Path) -> bool:
        return self._fits(min(register.places), max(register.places) - min(register.places) + 1, words, (*path, "at"))

    def _fits(self, at: int, size: int, words: int, path: _Path) -> bool:
        if at + size <= words:
            return True
        hint = f"it counts from the record's first register, 0 to {words - 1}"
        self._checker.say(f"register {at + size - 1} lies behind a record of {words}", path, hint)
        return False

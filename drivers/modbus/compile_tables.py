"""From a profile to where equal records lie, of logs of values and of events; every mistake is told with its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from drivers.modbus.compile_steps import Checker
from drivers.modbus.layout import Condition, Register
from drivers.modbus.logs import Checksum, FileShelf, Pointer, RegisterShelf, Shelf, Stamp, most_groups
from drivers.modbus.steps import zone_of
from drivers.profiles.compiling import KeyPath
from drivers.profiles.modbus_logs import (
    MOST_FILE_WORDS,
    MOST_READ_WORDS,
    LogChecksumEntry,
    LogPointerEntry,
    RecordsEntry,
)
from drivers.profiles.modbus_schema import MomentEntry, RegisterEntry, Rule, Section


class TableFields(TypedDict):
    """The fields of a `RecordTable`."""

    name: str
    shelf: Shelf
    count: int
    ring: bool
    newest: str | Pointer
    stamp: Stamp | None
    checksum: Checksum | None
    valid: tuple[Condition, ...]


def inside(section: Section) -> Section:
    """The section as it counts within a record, from the record's first register."""
    return section.model_copy(update={"base": 0, "fc": 3})


class TablePlacer:
    """Places the records of the logs that stand below `path`."""

    def __init__(self, path: KeyPath, section: Section, checker: Checker) -> None:
        self.path = path
        self._section = section
        self._inside = inside(section)
        self._checker = checker

    def table(
        self, name: str, entry: RecordsEntry, time: MomentEntry | None, path: KeyPath, *, begins: bool = False
    ) -> TableFields | None:
        """All that any log has; None where something of it is wrong, which is then said."""
        shelf = self._shelf(entry, path)
        newest = self._newest(entry.newest, path) if isinstance(entry.newest, dict) else entry.newest
        stamp = self._stamp(time, entry.words, path, begins=begins) if time is not None else None
        checksum = self._checksum(entry.checksum, entry.words, path) if entry.checksum is not None else None
        valid = [self._condition(rule, entry.words, (*path, "valid", at)) for at, rule in enumerate(entry.valid)]
        wrong = (time is not None and stamp is None) or (entry.checksum is not None and checksum is None)
        whole = tuple(condition for condition in valid if condition is not None)
        if wrong or shelf is None or newest is None or len(whole) < len(valid):
            return None
        return TableFields(
            name=name,
            shelf=shelf,
            count=entry.count,
            ring=entry.ring,
            newest=newest,
            stamp=stamp,
            checksum=checksum,
            valid=whole,
        )

    def register(self, keys: Mapping[str, Any], words: int, path: KeyPath) -> Register | None:
        """A register of a record; None where it is none, or lies behind it, which is then said."""
        register = self._checker.register(RegisterEntry.model_validate(keys), self._inside, path)
        return register if register is not None and self.lies(register, words, path) else None

    def lies(self, register: Register, words: int, path: KeyPath) -> bool:
        """Whether a register lies within a record; it is said where it does not."""
        return self._fits(min(register.places), max(register.places) - min(register.places) + 1, words, (*path, "at"))

    def _shelf(self, entry: RecordsEntry, path: KeyPath) -> Shelf | None:
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

    def _newest(self, given: Mapping[str, Any], path: KeyPath) -> Pointer | None:
        entry: LogPointerEntry | None = self._checker.checked(LogPointerEntry, given, (*path, "newest"))
        register = self._checker.register(entry, self._section, (*path, "newest")) if entry is not None else None
        return Pointer(register, entry.means, entry.first) if entry is not None and register is not None else None

    def _stamp(self, entry: MomentEntry, words: int, path: KeyPath, *, begins: bool) -> Stamp | None:
        if not self._fits(entry.at, entry.moment.size, words, (*path, "time", "at")):
            return None
        order = entry.order or self._section.order
        return Stamp(entry.at, entry.moment, order, zone_of(entry.zone), begins)

    def _checksum(self, entry: LogChecksumEntry, words: int, path: KeyPath) -> Checksum | None:
        return Checksum(entry.at, entry.kind) if self._fits(entry.at, 1, words, (*path, "checksum", "at")) else None

    def _condition(self, rule: Rule, words: int, path: KeyPath) -> Condition | None:
        register = self.register(rule.register_keys, words, path)
        return Condition(register, rule.equals, rule.starts_with, rule.between) if register is not None else None

    def _fits(self, at: int, size: int, words: int, path: KeyPath) -> bool:
        if at + size <= words:
            return True
        hint = f"it counts from the record's first register, 0 to {words - 1}"
        self._checker.say(f"register {at + size - 1} lies behind a record of {words}", path, hint)
        return False

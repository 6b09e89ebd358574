"""From the event logs of a profile to what their records tell; every mistake is told with its place."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from address_space.model.quantity import Names
from drivers.codec import exact
from drivers.event_archive import EventCode
from drivers.modbus.compile_steps import Checker, as_typed
from drivers.modbus.compile_tables import TablePlacer
from drivers.modbus.event_logs import Detail, EventTable
from drivers.modbus.log_period import Period
from drivers.profiles import Profile, shown_unit
from drivers.profiles.compiling import KeyPath
from drivers.profiles.modbus_event_logs import (
    EventCodeEntry,
    EventDetailEntry,
    EventLogEntry,
    EventRegisterEntry,
    EventTexts,
)
from drivers.profiles.modbus_schema import Section

ACTIVE: Mapping[str | None, bool | None] = {"begins": True, "ends": False, None: None}
REGISTER_KEYS = frozenset(EventRegisterEntry.model_fields)


def compile_event_logs(profile: Profile, section: Section, checker: Checker) -> tuple[EventTable, ...]:
    """The event logs of a make; those with mistakes are missing."""
    compiler = _Compiler(TablePlacer((profile.protocol, "event_logs"), section, checker), section, checker)
    clashes = section.logs.keys() & section.event_logs.keys()
    for name in clashes:
        what = f"{name} is a log of values already"
        checker.say(what, (profile.protocol, "event_logs", name), "give each log a name of its own")
    found = [compiler.table(name, entry) for name, entry in section.event_logs.items() if name not in clashes]
    return tuple(table for table in found if table is not None)


class _Compiler:
    def __init__(self, placer: TablePlacer, section: Section, checker: Checker) -> None:
        self._placer = placer
        self._sentinels = section.sentinels
        self._checker = checker

    def table(self, name: str, given: Mapping[str, Any]) -> EventTable | None:
        path: KeyPath = (*self._placer.path, name)
        entry: EventLogEntry | None = self._checker.checked(EventLogEntry, given, path)
        if entry is None:
            return None
        table = self._placer.table(name, entry, entry.time, path)
        code = self._placer.register(_register(entry.code), entry.words, (*path, "code"))
        detail = self._detail(entry.value, entry.words, (*path, "value")) if entry.value is not None else None
        if table is None or code is None or (entry.value is not None and detail is None):
            return None
        mask = (1 << entry.code.type.bits) - 1 if entry.code.mask is None else entry.code.mask
        for number in entry.codes:
            if number & ~mask:
                what = f"a record cannot tell the number 0x{number:X}: {entry.code.type.value} with its mask"
                self._checker.say(what, (*path, "codes"), f"use numbers within 0x{mask:X}")
                return None
        codes = {number: _code(told) for number, told in entry.codes.items()}
        every_s = Period.of(entry.every).mean_ms / 1000
        return EventTable(**table, code=code, mask=mask, detail=detail, codes=codes, every_s=every_s)

    def _detail(self, entry: EventDetailEntry, words: int, path: KeyPath) -> Detail | None:
        register = self._placer.register(_register(entry), words, path)
        if register is None:
            return None
        unit, size = shown_unit(entry.unit) or (None, Fraction(1))
        given = self._sentinels.get(entry.type, []) if entry.sentinels is None else entry.sentinels
        return Detail(register, exact(entry.scale) * size, unit, tuple(as_typed(raw, entry.type) for raw in given))


def _register(entry: EventRegisterEntry) -> dict[str, Any]:
    return entry.model_dump(include=set(REGISTER_KEYS))


def _code(entry: EventCodeEntry) -> EventCode:
    text = entry.text
    if isinstance(text, EventTexts):
        names = Names(*(given or text.en for given in (text.en, text.ru, text.uz, text.zh)))
    else:
        names = Names(text, text, text, text)
    return EventCode(names, entry.severity, ACTIVE[entry.state])

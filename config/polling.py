"""When meters are read: schedules, poll rates, and groups of meters that have their own."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from address_space.model.ids import MAX_UID_LENGTH, is_uid
from address_space.model.state import Medium
from config.document import Sequence, Tree
from config.errors import Location, Report
from config.fields import Fields, parse_number
from config.spelling import Spelling

CLASSES = ("fast", "normal", "slow", "config")
"""Poll classes of profiles."""
RATE_KEYS = {
    "fast": "points of this class",
    "normal": "points of this class",
    "slow": "points of this class",
    "config": "points of this class",
    "all": "points of every class that is not named beside it",
}
"""Keys of `polling`, with their meaning."""
SCHEDULE_KEYS = {
    "cron": "minute, hour, day of month, month, day of week, in the plant's time zone",
    "every": "interval that begins with the hour, day or month of the plant's time zone",
    "offset": "how long after its slot it is read; the reading belongs to the slot",
    "late": "what becomes of a slot during which hub, line or meter were down",
    "within": "how late a slot may still be read",
}
"""Keys of a schedule, with their meaning."""
GROUP_KEYS = {
    "where": "which meters belong to it; without it those that name it in the column `poll_group`",
    "polling": "schedules and periods of its meters",
}
"""Keys of a poll group, with their meaning."""
WHERE_KEYS = {
    "medium": "what the meter measures, as its profile says",
    "profile": "its profile; `*` is any text",
    "channel": "the channel it is read through",
    "node": "a node of the hierarchy that it hangs below, at any depth",
}
"""Keys of `where`, with their meaning; a meter must fit all that are given."""
LATE = ("catch_up", "drop")
MEDIA = tuple(medium.name.lower() for medium in Medium)
LONGEST_PERIOD_S = 366 * 86_400
_UNITS_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_MONTHS = {"month": 1, "months": 1, "mo": 1, "y": 12, "year": 12}
_DURATION = re.compile(r"([0-9.]+) ?([a-z]*)")
_CLOCK = re.compile(r"\+?([0-9]{1,3}):([0-5][0-9]):([0-5][0-9])")
_HINT = "write 30s, 15min, 1h, 1d, or seconds as a number"

Rates = Mapping[str, float | str]
"""By poll class: a period in seconds, or the id of a schedule."""


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """A schedule as written: exactly one of `cron`, `every_s` and `every_months` is given.

    `within_s` is None where nothing was said.
    """

    id: str
    cron: str
    every_s: float
    every_months: int
    offset_s: float
    catch_up: bool
    within_s: float | None
    location: Location


@dataclass(frozen=True, slots=True)
class PollGroupConfig:
    """Meters that are read at their own rates. Empty sets are no condition; `named` is a group without any, whose
    meters name it."""

    id: str
    rates: Rates
    media: frozenset[str] = frozenset()
    profiles: tuple[str, ...] = ()
    channels: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()

    @property
    def named(self) -> bool:
        """Whether only the column `poll_group` makes a member."""
        return not (self.media or self.profiles or self.channels or self.nodes)


def parse_duration(text: str) -> float | None:
    """Seconds of `90`, `30s`, `15min`, `1h`, `1d` or `+00:00:30`; None for anything else."""
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        hours, minutes, seconds = map(int, clock.groups())
        return float(hours * 3600 + minutes * 60 + seconds)
    found = _DURATION.fullmatch(text)
    number = parse_number(found.group(1)) if found else None
    unit_s = _UNITS_S.get(found.group(2) or "s") if found else None
    return number * unit_s if number is not None and unit_s is not None else None


class PollingReader:
    """Reads `schedules`, `polling` and `poll_groups`; what is wrong is reported."""

    def __init__(self, report: Report, spelling: Spelling) -> None:
        self.schedules: dict[str, ScheduleConfig] = {}
        self._report = report
        self._spelling = spelling

    def read_schedules(self, main: Fields) -> None:
        """Everything below `schedules`."""
        below = main.mapping_at("schedules")
        if below is None:
            return
        for name in below.mapping.entries:
            fields = self._named(below, name, "schedule")
            if fields is not None:
                fields.reject_unknown(SCHEDULE_KEYS, "a schedule")
                self.schedules[name] = self._schedule(name, fields)

    def rates(self, fields: Fields) -> Rates:
        """What stands behind `polling`, by class."""
        below = fields.mapping_at("polling")
        if below is None:
            return {}
        below.reject_unknown(RATE_KEYS, "`polling`")
        given = {key: rate for key in RATE_KEYS if key in below and (rate := self._rate(below, key)) is not None}
        return {name: given[key] for name in CLASSES if (key := name if name in given else "all") in given}

    def groups(self, main: Fields, channels: Collection[str], nodes: Collection[str]) -> list[PollGroupConfig]:
        """Everything below `poll_groups`, in the order written."""
        below = main.mapping_at("poll_groups")
        found: list[PollGroupConfig] = []
        if below is None:
            return found
        for name in below.mapping.entries:
            fields = self._named(below, name, "poll group")
            if fields is not None:
                fields.reject_unknown(GROUP_KEYS, "a poll group")
                found.append(self._group(name, fields, channels, nodes))
        return found

    def _named(self, below: Fields, name: str, kind: str) -> Fields | None:
        if not is_uid(name):
            hint = f"use 1 to {MAX_UID_LENGTH} Latin letters, digits, '_' or '-'"
            self._report.add(below.at_key(name), f"{name!r} is not a valid id of a {kind}", hint)
        fields = below.mapping_at(name)
        if fields is None and below.value(name) is None:
            self._report.add(below.at_key(name), f"the {kind} {name!r} is empty", "write its keys below it")
        return fields

    def _schedule(self, name: str, fields: Fields) -> ScheduleConfig:
        cron, every = fields.text("cron"), fields.text("every")
        if bool(cron) == bool(every):
            self._report.add(
                fields.here(), f"the schedule {name!r} needs one of cron and every", "write `every: 15min`"
            )
        every_s, months = self._every(fields, every)
        return ScheduleConfig(
            id=name,
            cron=cron,
            every_s=every_s,
            every_months=months,
            offset_s=self._duration(fields, "offset") or 0.0,
            catch_up=fields.choice("late", LATE, "drop") == "catch_up",
            within_s=self._duration(fields, "within"),
            location=fields.at_value("cron" if cron else "every"),
        )

    def _every(self, fields: Fields, text: str) -> tuple[float, int]:
        if not text:
            return 0.0, 0
        found = _DURATION.fullmatch(text)
        if found is not None and found.group(2) in _MONTHS and found.group(1).isdecimal():
            return 0.0, int(found.group(1)) * _MONTHS[found.group(2)]
        return self._duration(fields, "every") or 0.0, 0

    def _duration(self, fields: Fields, key: str) -> float | None:
        text = fields.text(key)
        if not text:
            return None
        seconds = parse_duration(text)
        if seconds is None or seconds > LONGEST_PERIOD_S:
            fields.wrong(key, f"{text!r} is no time that can be waited", _HINT)
            return None
        return seconds

    def _rate(self, fields: Fields, key: str) -> float | str | None:
        text = fields.text(key)
        if text in self.schedules:
            return text
        seconds = parse_duration(text) if text else None
        if seconds is not None and 0 < seconds <= LONGEST_PERIOD_S:
            return seconds
        if text:
            hint = self._spelling.hint(text, self.schedules, none=f"{_HINT}, or the name of a schedule")
            fields.wrong(key, f"{text!r} is neither a schedule nor a period", hint)
        return None

    def _group(self, name: str, fields: Fields, channels: Collection[str], nodes: Collection[str]) -> PollGroupConfig:
        rates = self.rates(fields)
        if not rates:
            self._report.add(fields.here(), f"the poll group {name!r} has no rates", "write `polling: {all: 15min}`")
        where = fields.mapping_at("where")
        if where is None:
            return PollGroupConfig(name, rates)
        where.reject_unknown(WHERE_KEYS, "`where`")
        return PollGroupConfig(
            name,
            rates,
            frozenset(self._known(where, "medium", MEDIA)),
            tuple(text for text, _ in _texts(where, "profile")),
            frozenset(self._known(where, "channel", channels)),
            frozenset(self._known(where, "node", nodes)),
        )

    def _known(self, where: Fields, key: str, valid: Collection[str]) -> list[str]:
        found = []
        for text, place in _texts(where, key):
            if text in valid:
                found.append(text)
            else:
                self._report.add(place, f"there is no {key} {text!r}", self._spelling.hint(text, valid))
        return found


def _texts(fields: Fields, key: str) -> list[tuple[str, Location]]:
    value: Tree | None = fields.value(key)
    if isinstance(value, Sequence) and not value.items:
        fields.wrong(key, f"{key} is empty", "name at least one, or leave the key out")
    return fields.texts(key) if value is not None else []

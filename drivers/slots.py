"""Slots of the calendar: cron expressions, and intervals that begin with the local hour, day or month.

All functions are over seconds since 1970; the time zone decides where days begin and how long they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import Enum

from cronsim import CronSim, CronSimError

from address_space.model.clock import NS
from drivers.errors import ScheduleError

HOUR_S = 3600
DAY_S = 86_400
MONTH_S = 28 * DAY_S
"""A month is no shorter than this."""
END_S = 4_000_000_000
"""Behind every slot that is ever waited for."""
FIELDS = 5
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
SAMPLE = 64
"""Slots of a cron expression that are looked at to say how close together they lie."""
MOST_COUNTED = 2000
LONGEST_WITHIN_S = 3600.0
_REFERENCE_S = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
_After = Callable[[int], int]


class Late(Enum):
    """What becomes of a slot during which the hub, the line or the device was down."""

    CATCH_UP = "catch_up"
    """The latest one is read as soon as it can be."""
    DROP = "drop"
    """It is missed."""


class Slots:
    """Moments at which something is to be read, in ascending order, each once.

    `shortest_s` is the usual time between the two closest ones.
    """

    def __init__(self, label: str, after: _After, shortest_s: int) -> None:
        self.label = label
        self.shortest_s = shortest_s
        self._after = after
        self._known = (END_S, END_S)
        self._last = (END_S, END_S)

    def after(self, moment_s: int) -> int:
        """First slot after this moment; END_S where there is none."""
        first, end = self._known
        if first <= moment_s < end:
            return end
        end = self._after(moment_s)
        self._known = (moment_s, end)
        return end

    def latest(self, moment_s: int) -> int | None:
        """Last slot up to and including this moment."""
        last, end = self._last
        if last <= moment_s < end:
            return last
        back_s = 2 * self.shortest_s
        while back_s < 50 * 366 * DAY_S:
            slot = self._after(moment_s - back_s)
            if slot <= moment_s:
                while (later := self._after(slot)) <= moment_s:
                    slot = later
                self._last = (slot, later)
                return slot
            back_s *= 4
        return None

    def count(self, first_s: int, end_s: int) -> int:
        """How many slots lie from `first_s`, which is one, up to but not including `end_s`; roughly where very many."""
        counted, slot = 0, first_s
        while slot < end_s:
            if counted == MOST_COUNTED:
                return counted + round((end_s - slot) * counted / (slot - first_s))
            counted += 1
            slot = self._after(slot)
        return counted


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """When a set of variables is read, and what becomes of slots for which it is too late.

    offset_ns  how long after a slot it is read; the reading belongs to the slot
    within_ns  how late after that a slot may still be read
    """

    name: str
    slots: Slots
    offset_ns: int = 0
    late: Late = Late.DROP
    within_ns: int = HOUR_S * NS

    @property
    def period_s(self) -> float:
        """Time between the two closest slots."""
        return float(self.slots.shortest_s)

    def due_after_ns(self, slot_ns: int) -> int:
        """When the slot after `slot_ns` is read."""
        return self.slots.after(slot_ns // NS) * NS + self.offset_ns

    def next_due_ns(self, now_ns: int) -> int:
        """The first time after now at which a slot is read."""
        return self.due_after_ns(now_ns - self.offset_ns)

    def running_ns(self, now_ns: int) -> int | None:
        """The latest slot whose time has come."""
        slot = self.slots.latest((now_ns - self.offset_ns) // NS)
        return None if slot is None else slot * NS

    def in_time(self, slot_ns: int, now_ns: int) -> bool:
        """Whether the slot may still be read."""
        return now_ns - slot_ns - self.offset_ns <= self.within_ns


def cron(expression: str, zone: tzinfo) -> Slots:
    """Slots of a cron expression of five fields; raises ScheduleError.

    As in Debian's cron: what has a fixed hour and falls into the hour that spring leaves out comes right after it,
    and comes once where autumn has the hour twice; what recurs within the hour follows the time that really passes.
    """
    written = ALIASES.get(expression.strip().lower(), expression)
    if len(written.split()) != FIELDS:
        raise ScheduleError(
            f"{expression!r} has {len(written.split())} fields",
            hint="write minute, hour, day of month, month and day of week: `30 2 * * mon-fri`",
        )
    try:
        CronSim(written, datetime.fromtimestamp(_REFERENCE_S, zone))
    except CronSimError as error:
        raise ScheduleError(
            f"{expression!r} is no cron expression: {str(error).lower().replace('bad', 'wrong')}",
            hint="fields are minute 0-59, hour 0-23, day 1-31 or L, month 1-12 or jan-dec, day of week 0-7 or sun-sat",
        ) from error

    def after(moment_s: int) -> int:
        for moment in CronSim(written, datetime.fromtimestamp(moment_s, zone)):
            slot = int(moment.timestamp())
            if slot > moment_s:  # an hour that comes twice is not gone through twice
                return slot
        return END_S

    first = after(_REFERENCE_S)
    if first == END_S:
        raise ScheduleError(f"{expression!r} never comes", hint="check day and month")
    shortest = 400 * DAY_S
    for _ in range(SAMPLE):
        later = after(first)
        shortest, first = min(shortest, later - first), later
    return Slots(expression, after, max(shortest, 1))


def every(seconds: int, zone: tzinfo) -> Slots:
    """Slots of a number of seconds that divides a day, counted from local midnight; raises ScheduleError.

    Up to an hour they follow the time that really passes, so that a day of 25 hours has 100 quarters; longer ones
    keep to the hands of the clock, so that on that day one lasts an hour longer.
    """
    if seconds <= 0 or DAY_S % seconds:
        raise ScheduleError(
            f"{seconds} s do not divide a day",
            hint="use 1min, 5min, 10min, 15min, 30min, 1h, 2h, 3h, 4h, 6h, 8h, 12h, 1d or 1month",
        )
    if seconds <= HOUR_S:
        return Slots(f"every {seconds} s", lambda moment_s: _grid_after(moment_s, seconds, zone), seconds)

    def walls(start: date) -> Iterator[datetime]:
        midnight = datetime.combine(start, time())
        for number in range(4 * DAY_S // seconds):
            yield midnight + timedelta(seconds=number * seconds)

    return Slots(f"every {seconds} s", lambda moment_s: _wall_after(moment_s, walls, zone), seconds)


def every_months(months: int, zone: tzinfo) -> Slots:
    """Slots at the local midnight in which a month begins: each month, or each quarter, half or whole year."""
    if months <= 0 or 12 % months:
        raise ScheduleError(f"{months} months do not divide a year", hint="use 1, 2, 3, 4, 6 or 12 months")

    def walls(start: date) -> Iterator[datetime]:
        number = (start.year * 12 + start.month - 1) // months * months
        for step in range(4):
            year, month = divmod(number + step * months, 12)
            yield datetime(year, month + 1, 1)  # noqa: DTZ001 - wall time, the zone comes later

    return Slots(f"every {months} months", lambda moment_s: _wall_after(moment_s, walls, zone), months * MONTH_S)


def _offset_s(moment_s: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(moment_s, zone).utcoffset()
    return round(offset.total_seconds()) if offset is not None else 0


def _change_s(before_s: int, after_s: int, zone: tzinfo) -> int:
    """First second up to `after_s` with the offset that holds there; another one holds at `before_s`."""
    offset = _offset_s(after_s, zone)
    while after_s - before_s > 1:
        middle = (before_s + after_s) // 2
        if _offset_s(middle, zone) == offset:
            after_s = middle
        else:
            before_s = middle
    return after_s


def _grid_after(moment_s: int, seconds: int, zone: tzinfo) -> int:
    offset = _offset_s(moment_s, zone)
    slot = ((moment_s + offset) // seconds + 1) * seconds - offset
    if _offset_s(slot, zone) == offset:
        return slot
    change = _change_s(moment_s, slot, zone)
    offset = _offset_s(change, zone)
    return -(-(change + offset) // seconds) * seconds - offset


def _wall_after(moment_s: int, walls: Callable[[date], Iterator[datetime]], zone: tzinfo) -> int:
    start = datetime.fromtimestamp(moment_s, zone).date() - timedelta(days=1)
    return next((slot for wall in walls(start) if (slot := _instant_s(wall, zone)) > moment_s), END_S)


def _instant_s(wall: datetime, zone: tzinfo) -> int:
    """When local clocks first show this time, or jump over it."""
    first = int(wall.replace(tzinfo=zone, fold=0).timestamp())
    if datetime.fromtimestamp(first, zone).replace(tzinfo=None) == wall:
        return first
    return _change_s(int(wall.replace(tzinfo=zone, fold=1).timestamp()), first, zone)

"""What a meter is asked so that a record of its memory is certain: one exchange after another, each on its own.

The meter's clock is compared first. A freeze is looked for by the time that it tells, and that time is read again
behind its values: it moves on by one when the next one is made.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Final

from address_space.model.clock import NS, Clock
from address_space.model.ids import UnitHandle
from address_space.model.quality import Reason
from drivers.dlt645 import clock as meter_clock
from drivers.dlt645 import records
from drivers.dlt645.formats import CLOCK_WEEKDAY, moment
from drivers.dlt645.refusals import NO_SUCH_DATA
from drivers.dlt645.talk import Talk
from drivers.dlt645.wire import READ, Asked
from drivers.errors import BadFrame, DeviceRefused

CLOCK_OFF_S: Final = 300.0
"""How far off a meter's clock may be for the times of its records to be believed."""
CLOCK_GOOD_S: Final = 600.0
"""For how long a clock that was right is believed to be."""
RECORDS_AT_ONCE: Final = 4
"""Load records of one class in one answer: so many fit a frame of any meter."""
MOST_SEARCHES: Final = 8
"""Searches of one channel that are not over; the oldest one begins anew."""
HOURLY, DAILY = 0x04, 0x06
MOST_FROZEN: Final = {HOURLY: 254, DAILY: 62}
STEP: Final = {HOURLY: timedelta(hours=1), DAILY: timedelta(days=1)}
_GUESSES, _MOST_TURNS, _TRIES = 3, 12, 3
_VERSION: Final = "2007"
_DATE_TIME: Final = 0x0400010C


@dataclass(frozen=True, slots=True)
class Load:
    """The load records of a class."""

    of_class: int


@dataclass(frozen=True, slots=True)
class Frozen:
    """Frozen values: what froze them, and which energy."""

    mode: int
    what: int


@dataclass(frozen=True, slots=True)
class Recall:
    """What one request goes on looking for. `nth`: how many freezes back it should be; `at`: the meter's time of the
    first record that is wanted; the others are UTC. `ahead_ns`: the hub's time beyond the driver's monotonic one."""

    book: Load | Frozen
    at: datetime
    start_ms: int
    end_ms: int
    nth: int = 0
    ahead_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Memory:
    """An answer: the bytes, since when the meter has records where that is later than asked for, when it froze.

    again  it is still looked for
    """

    body: bytes = b""
    first: datetime | None = None
    frozen_at: datetime | None = None
    again: bool = False


_AGAIN: Final = Memory(again=True)
_Steps = Generator[bytes, bytes | None, Memory | None]
"""Data of reads, against what is answered (None: no such data); ends with None where the meter has no such book."""


@dataclass(slots=True)
class _Search:
    steps: _Steps
    ask: bytes
    error: DeviceRefused | None = None


class Recalls:
    """Searches of one channel that go on, and whose clock was right lately."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._searches: dict[tuple[UnitHandle, Recall], _Search] = {}
        self._right_until_ns: dict[UnitHandle, int] = {}
        self._ahead_ns: dict[UnitHandle, int] = {}

    async def go_on(self, talk: Talk, unit: UnitHandle, key: Recall) -> Memory:
        """The next exchange. Raises DriverError, after which the search begins anew; DeviceRefused where the meter has
        no such book (NOT_SUPPORTED), or its clock is wrong (DEVICE_ERROR)."""
        self._ahead_ns[unit] = key.ahead_ns
        search = self._searches.pop((unit, key), None)
        if search is None:
            steps = self._steps(talk, unit, key)
            search = _Search(steps, next(steps))
        body: bytes | None = None
        try:
            body = await _read(talk, search.ask)
        except DeviceRefused as error:
            if error.code != NO_SUCH_DATA:
                raise
            search.error = error
        try:
            search.ask = search.steps.send(body)
        except StopIteration as ended:
            if ended.value is None and search.error is not None:
                raise search.error from None
            return ended.value or Memory()
        while len(self._searches) >= MOST_SEARCHES:
            self._searches.pop(next(iter(self._searches)))
        self._searches[unit, key] = search
        return _AGAIN

    def _steps(self, talk: Talk, unit: UnitHandle, key: Recall) -> _Steps:
        if self._clock.monotonic_ns() >= self._right_until_ns.get(unit, 0):
            yield from self._compared(talk, unit)
            self._right_until_ns[unit] = self._clock.monotonic_ns() + round(CLOCK_GOOD_S * NS)
        if isinstance(key.book, Load):
            return (yield from _loaded(key.book.of_class, key.at))
        return (yield from _frozen(talk, key.book, key))

    def _compared(self, talk: Talk, unit: UnitHandle) -> Generator[bytes, bytes | None]:
        """Return where the meter's clock is right. It is read twice before it is wrong: the hub's may have been set."""
        off_s = 0.0
        for _ in range(2):
            shown = yield from _clock(talk)
            now_ns = self._clock.monotonic_ns() + self._ahead_ns[unit]
            off_s = min(abs(each - now_ns) for each in meter_clock.instants_ns(shown, talk.zone)) / NS
            if off_s <= CLOCK_OFF_S:
                return
        raise _not_believed(talk, f"its clock is off by {_span(off_s)}")


def _clock(talk: Talk) -> Generator[bytes, bytes | None, datetime]:
    date = yield _di(meter_clock.DATE_DI[_VERSION])
    time = yield _di(meter_clock.TIME_DI[_VERSION])
    if time is not None and meter_clock.is_new_day(time):
        date = yield _di(meter_clock.DATE_DI[_VERSION])
    if date is not None and time is not None:
        return meter_clock.joined(date, time, talk.name)
    both = yield _di(_DATE_TIME)
    shown = moment(CLOCK_WEEKDAY.layout, both) if both is not None else None
    if shown is None:
        raise _not_believed(talk, "it does not tell its clock")
    return shown


def _loaded(of_class: int, at: datetime) -> _Steps:
    body = yield records.since(of_class, RECORDS_AT_ONCE, at)
    if body is not None:
        return Memory(body)
    oldest = yield records.oldest(of_class, 1)
    if oldest is None:
        return None
    times = records.times(oldest)
    return Memory(first=times[0] if times else None)


def _frozen(talk: Talk, book: Frozen, key: Recall) -> _Steps:
    """The freeze of a time. Where the meter was without power none was made, and those before it are fewer back."""
    nth = key.nth
    for _ in range(_TRIES):
        found = yield from _nth(book.mode, key.at, nth, talk.zone)
        if found is None:
            return None
        if not found:
            return Memory()
        body = yield _di(records.frozen(book.mode, book.what, found))
        if body is None:
            latest = yield _di(records.frozen(book.mode, book.what, 1))
            return None if latest is None else Memory()
        told = yield _di(records.frozen(book.mode, 0, found))
        if told is not None and records.frozen_time(told) == key.at:
            return Memory(body, frozen_at=key.at)
        nth = found + 1  # another one was made meanwhile
    raise BadFrame("the meter's freezes change while they are read", where=talk.name)


def _nth(mode: int, wanted: datetime, nth: int, zone: tzinfo) -> Generator[bytes, bytes | None, int | None]:
    """How many freezes back that of a time is; 0 where there is none of it, None where there are none at all."""
    newer, older = 0, MOST_FROZEN[mode] + 1
    any_told = False
    for turn in range(_MOST_TURNS):
        nth = min(max(nth, newer + 1), older - 1)
        body = yield _di(records.frozen(mode, 0, nth))
        at = records.frozen_time(body) if body is not None else None
        any_told = any_told or body is not None
        if at == wanted:
            return nth
        if at is None and not any_told and nth == 1:
            return None
        if at is None or at < wanted:
            older = nth
        else:
            newer = nth
        if older - newer <= 1:
            return 0 if any_told else None
        if at is not None and turn < _GUESSES:
            nth += _steps_between(wanted, at, mode, zone)
        else:
            nth = (newer + older) // 2 if any_told else 1
    return 0


def _steps_between(first: datetime, last: datetime, mode: int, zone: tzinfo) -> int:
    """How many freezes lie between two times: days of the calendar, hours as they pass."""
    if mode == DAILY:
        return (last - first) // STEP[mode]
    spent_ns = meter_clock.instant_ns(last, zone) - meter_clock.instant_ns(first, zone)
    return spent_ns // (3600 * NS)


async def _read(talk: Talk, data: bytes) -> bytes:
    prefix, profile = data[:4], talk.profile
    asked = Asked(talk.address, READ[profile.version], data, prefix, lenient=talk.lenient)
    label = profile.di_text(int.from_bytes(prefix, "little"))
    return await talk.wire.read(asked, profile.version, label, preamble=profile.preamble, gap_s=profile.gap_s)


def _di(di: int) -> bytes:
    return di.to_bytes(4, "little")


def _not_believed(talk: Talk, why: str) -> DeviceRefused:
    return DeviceRefused(
        f"the meter's records are not believed: {why}",
        code=0,
        reason=Reason.DEVICE_ERROR,
        retryable=True,
        where=talk.name,
        hint="set the meter's clock, and check the time zone of its channel",
    )


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 2 * 60 else f"{round(minutes / 60)} h"

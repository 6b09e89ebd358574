"""A meter's clock: read, set, corrected by broadcast. Pure: moments to bytes and back (DL/T 645-2007 7.2, 7.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from address_space.model.clock import from_datetime, to_datetime
from drivers.dlt645.formats import CLOCK, DATE, TIME, moment
from drivers.errors import BadFrame, ProfileError

DATE_DI: Final[Mapping[str, int]] = {"2007": 0x04000101, "1997": 0xC010}
TIME_DI: Final[Mapping[str, int]] = {"2007": 0x04000102, "1997": 0xC011}
ADJUST: Final = 0x08
"""Control code of a time broadcast: believed within five minutes, once a day."""
MIDNIGHT_S: Final = 10
"""A time of day so soon after midnight may have been read a day later than its date."""


@dataclass(frozen=True, slots=True)
class SetClock:
    """Set the clock of one meter, or of all on the line."""

    everyone: bool = False


@dataclass(frozen=True, slots=True)
class ClockWithin:
    """The clock must differ by no more than `seconds`; None looks by how much it does, whatever that is."""

    seconds: float | None


def joined(date: bytes, time: bytes, where: str) -> datetime:
    """The meter's local time from the data of its date and of its time of day; raises BadFrame where it is none."""
    found = moment(TIME.layout + DATE.layout, time[: TIME.size] + date[: DATE.size])
    if found is None or len(time) < TIME.size or len(date) < DATE.size:
        raise BadFrame(
            f"the meter's clock shows date {date.hex(' ')} and time {time.hex(' ')}",
            where=where,
            hint="set the clock, and look at the meter's clock battery",
        )
    return found


def is_new_day(time: bytes) -> bool:
    """Whether the date may have changed just before this time of day was read."""
    return time[1:3] == b"\0\0" and time[:1] < bytes([MIDNIGHT_S])


def local_time(now_ns: int, zone: tzinfo) -> datetime:
    """Time of day where the meter is, as its clock shows it."""
    return to_datetime(now_ns).astimezone(zone).replace(tzinfo=None)


def instant_ns(local: datetime, zone: tzinfo) -> int:
    """When a meter's clock shows `local`."""
    return from_datetime(local.replace(tzinfo=zone))


def instants_ns(local: datetime, zone: tzinfo) -> tuple[int, int]:
    """The first and the last time when it may show it: two where clocks are set back, or have left it out."""
    both = [from_datetime(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)]
    return min(both), max(both)


def adjusting(local: datetime) -> bytes:
    """Data of a time broadcast: second, minute, hour, day, month, year."""
    return CLOCK.encode(local)


def given_ns(time: object, now_ns: int, zone: tzinfo) -> int:
    """The instant a command's argument `time` names: nanoseconds, a datetime or its ISO text, which without a zone of
    its own is the meter's; now where it is missing or says "now". Raises ProfileError."""
    if time in (None, "", "now"):
        return now_ns
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            raise ProfileError(f"{time!r} is no time", where="time", hint="write 2026-11-22T10:00:00Z") from None
    if isinstance(time, datetime):
        return from_datetime(time if time.tzinfo else time.replace(tzinfo=zone))
    if isinstance(time, int) and time > 10**17:
        return time
    raise ProfileError(f"{time!r} is no time", where="time", hint="give UTC nanoseconds or an aware datetime")

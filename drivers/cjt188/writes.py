"""What can be written to a meter, and what must be read afterwards: keys of actions, and their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from fractions import Fraction
from typing import Any

from address_space.model.clock import to_datetime
from address_space.model.state import ValveState
from drivers.cjt188 import requests
from drivers.cjt188.identifiers import WRITE_ADDRESS, WRITE_BASE, WRITE_CLOCK, WRITE_VALVE
from drivers.cjt188.requests import Ask
from drivers.errors import ProfileError
from drivers.profiles import Effect

LARGEST_BASE = 10**8


@dataclass(frozen=True, slots=True)
class ValveWrite:
    """Move the valve with `code`; `target` is where it will then stand, None where it returns or nobody knows."""

    code: int
    target: ValveState | None


@dataclass(frozen=True, slots=True)
class ClockWrite:
    """Set the clock; the value written is the time."""


@dataclass(frozen=True, slots=True)
class AddressWrite:
    """Give the meter another address; the value written is that."""


@dataclass(frozen=True, slots=True)
class BaseWrite:
    """Set the reading that the meter counts on from; the value written is in the unit of `unit`."""

    unit: int


@dataclass(frozen=True, slots=True)
class ValveLook:
    """The valve must then stand so, at the latest `motor_s` after it was told to move."""

    target: ValveState
    motor_s: float = 60.0


@dataclass(frozen=True, slots=True)
class ClockLook:
    """The clock must then differ by no more than so many seconds."""

    tolerance_s: float


@dataclass(frozen=True, slots=True)
class EffectLook:
    """The variable at `offset` must then measure so."""

    offset: int
    effect: Effect


Write = ValveWrite | ClockWrite | AddressWrite | BaseWrite


def ask_for(key: Write, value: Any, zone: tzinfo, now_ns: int) -> Ask:
    """The request that writes `value`; raises ProfileError where it cannot be written."""
    match key:
        case ValveWrite(code):
            return Ask(requests.WRITE, WRITE_VALVE, bytes((code,)))
        case ClockWrite():
            return Ask(requests.WRITE, WRITE_CLOCK, clock_bytes(local_time(value, zone, now_ns)))
        case AddressWrite():
            return Ask(requests.WRITE_ADDRESS, WRITE_ADDRESS, _address(value))
        case BaseWrite(unit):
            return Ask(requests.WRITE_BASE, WRITE_BASE, _base(value) + bytes((unit,)))


def clock_bytes(time: datetime) -> bytes:
    """Seven bytes BCD: second, minute, hour, day, month, year, century."""
    return bytes.fromhex(time.strftime("%S%M%H%d%m") + f"{time.year % 100:02d}{time.year // 100:02d}")


def clock_of(data: bytes) -> datetime | None:
    """The naive local time of seven bytes, None where no such time exists."""
    digits = data[::-1].hex()
    if len(digits) != 14 or not digits.isdecimal():
        return None
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S")  # noqa: DTZ007 - a meter's clock knows no time zone
    except ValueError:
        return None


def local_time(value: Any, zone: tzinfo, now_ns: int) -> datetime:
    """What a meter's clock shows at `value`: "now" (or nothing), nanoseconds since 1970, a datetime or ISO text.

    A naive time is a meter's own. Raises ProfileError where it is no time.
    """
    time = value
    if value in (None, "", "now"):
        time = to_datetime(now_ns)
    elif isinstance(value, int) and not isinstance(value, bool):
        time = to_datetime(value)
    elif isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            raise ProfileError(f"{value!r} is no time", hint="say now, or 2026-01-31T12:00:00+05:00") from None
    if not isinstance(time, datetime):
        raise ProfileError(f"{value!r} is no time", hint="say now, or 2026-01-31T12:00:00+05:00")
    if time.tzinfo is None:
        return time
    return time.astimezone(zone).replace(tzinfo=None)


def _address(value: Any) -> bytes:
    text = str(value).strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 14):
        raise ProfileError(f"{value!r} is no address", hint="use up to 14 decimal digits")
    return bytes.fromhex(text.zfill(14))[::-1]


def _base(value: Any) -> bytes:
    try:
        hundredths = Fraction(str(value)) * 100
    except (ValueError, ZeroDivisionError):
        raise ProfileError(f"{value!r} is no reading", hint="use a number with at most two decimals") from None
    if hundredths.denominator != 1 or not 0 <= hundredths < LARGEST_BASE:
        raise ProfileError(f"{value} cannot be written", hint="use 0 to 999999.99 with at most two decimals")
    return bytes.fromhex(f"{int(hundredths):08d}")[::-1]

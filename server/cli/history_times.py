"""Times on the command line and in files: ISO 8601 with a zone outside, milliseconds of UTC inside."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from address_space.model import Clock
from config.loader import PLANT_FILE, time_zone_of
from server.errors import ServerError

NS_PER_MS = 1_000_000
BEGIN_MS, END_MS = -9_000_000_000_000, 9_000_000_000_000
_SPAN = re.compile(r"(\d+)(s|m|h|d|w)")
_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def add_times(command: argparse.ArgumentParser) -> None:
    """Options that say of which time."""
    command.add_argument("--from", dest="from_", metavar="TIME", help="from this time on (2026-01-31 or ISO 8601)")
    command.add_argument("--to", metavar="TIME", help="before this time")
    command.add_argument("--last", type=span_ms, metavar="SPAN", help="of the last 30m, 24h, 7d or 4w")
    command.add_argument("--zone", help="time zone of times (default: the plant's)")


def span_ms(text: str) -> int:
    """A span of time ("24h") in ms."""
    found = _SPAN.fullmatch(text)
    if found is None or not int(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no span of time: use 30m, 24h, 7d or 4w")
    return int(found[1]) * _MS[found[2]]


def zone_of(arguments: argparse.Namespace, plant: Path) -> ZoneInfo:
    """The zone asked for, else the plant's, else UTC; raises HubError."""
    if arguments.zone is None:
        return time_zone_of(plant) if (plant / PLANT_FILE).is_file() else ZoneInfo("UTC")
    try:
        return ZoneInfo(arguments.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ServerError(f"no time zone is named {arguments.zone!r}", hint="use a name as Asia/Tashkent") from None


def span_of(arguments: argparse.Namespace, zone: ZoneInfo, clock: Clock, default_ms: int = 0) -> tuple[int, int]:
    """From when to when in ms; without any option the last `default_ms`, or all time (0). Raises ServerError."""
    now_ms = clock.now_ns() // NS_PER_MS
    last = arguments.last
    if last is not None and arguments.from_ is not None:
        raise ServerError("--last and --from do not go together", hint="give one of them")
    to_ms = instant_ms(arguments.to, zone) if arguments.to is not None else END_MS
    if arguments.from_ is not None:
        from_ms = instant_ms(arguments.from_, zone)
    elif last is not None or (default_ms and arguments.to is None):
        from_ms = min(to_ms, now_ms) - (last or default_ms)
    else:
        from_ms = to_ms - default_ms if default_ms else BEGIN_MS
    if from_ms >= to_ms:
        raise ServerError("--from is not before --to", hint="times are from (counted) to (not counted)")
    return from_ms, to_ms


def instant_ms(text: str, zone: ZoneInfo) -> int:
    """A time; without a zone of its own it is in `zone`, where a day begins with the first time that it has.

    Raises ServerError, also for a time over which the clocks of `zone` are put forward.
    """
    try:
        moment = datetime.fromisoformat(text)
        local = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
        time_ms = _ms(local)
        there = iso(time_ms, zone)
    except (ValueError, OverflowError):
        raise ServerError(
            f"{text!r} is no time", hint="write 2026-01-31, 2026-01-31T08:00 or 2026-01-31T08:00Z"
        ) from None
    if moment.tzinfo is None and moment.time() != time.min and _is_left_out(local):
        raise ServerError(
            f"{text!r} does not exist in {zone.key}: clocks are put forward over it",
            hint=f"write {there}, or another time with its zone",
        )
    return time_ms


def _is_left_out(local: datetime) -> bool:
    """Whether no clock of its zone ever shows this time."""
    return local.astimezone(_EPOCH.tzinfo).astimezone(local.tzinfo).replace(tzinfo=None) != local.replace(tzinfo=None)


def zoned_ms(text: str) -> int:
    """A time that says its zone; raises ValueError where it does not or is none."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("the time says no zone")
    return _ms(moment)


def writer_of(zone: ZoneInfo) -> Callable[[NDArray[np.int64]], list[str]]:
    """Times in ms as ISO 8601 in a zone, with its offset."""
    if zone.key == "UTC":
        return lambda times: [f"{one}Z" for one in np.datetime_as_string(times.astype("datetime64[ms]")).tolist()]
    return lambda times: [iso(one, zone) for one in times.tolist()]


def iso(time_ms: int, zone: ZoneInfo) -> str:
    """One time in a zone, held within what a calendar knows."""
    moment = _EPOCH + timedelta(milliseconds=min(max(time_ms, _FIRST_MS), _LAST_MS))
    return moment.astimezone(zone).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_EPOCH = datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))
_FIRST_MS, _LAST_MS = -62_135_510_400_000, 253_402_128_000_000
"""A day within the first and the last day that a calendar knows, whatever the zone."""


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)

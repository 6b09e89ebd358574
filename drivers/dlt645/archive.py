"""What a meter of 2007 keeps by itself, as books to be read: load records, and hourly and daily frozen energies.

Load records are asked for from a time on, a few at once so that they fit one frame; frozen values one by one. Only what
the profile reads as the standard has it is taken, and of a time that is certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from fractions import Fraction
from math import nan
from typing import Final

from address_space.model.clock import NS, to_datetime
from address_space.model.quality import GOOD, Reason
from address_space.model.quantity import Kind, Quantity
from address_space.model.value import EXACT_LIMIT
from drivers.api import Device, Request
from drivers.archive import Archived, Book, Recalled
from drivers.dlt645 import records
from drivers.dlt645.clock import instants_ns
from drivers.dlt645.identifiers import find
from drivers.dlt645.item import Item
from drivers.dlt645.layout import CompiledPoint, CompiledProfile
from drivers.dlt645.recalls import DAILY, HOURLY, MOST_FROZEN, RECORDS_AT_ONCE, STEP, Frozen, Load, Memory, Recall

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
LOAD_REACH_MS: Final = 366 * DAY_MS
RECORD_BYTES: Final = 40
_LOAD_CLASSES: Final = (4, 1, 2, 3)
_STEP_MS: Final = {HOURLY: HOUR_MS, DAILY: DAY_MS}
_FROZEN_NAMES: Final = {HOURLY: "hourly freeze", DAILY: "daily freeze"}
_FROZEN_ENERGIES: Final = (0x01, 0x02, 0x03, 0x04)
_BESIDE: Final = 2
"""So many freezes more than a meter can have are asked for still: times of clocks that change are counted roughly."""
_NS_PER_MS: Final = NS // 1000


def books(profile: CompiledProfile) -> list[Book]:
    """The books that a meter of this profile may have."""
    if profile.version != "2007":
        return []
    known = frozenset(_standard(profile))
    found: list[Book] = []
    for of_class in _LOAD_CLASSES:
        held = records.quantities_of(of_class) & known
        if held:
            found.append(Book(f"load records of class {of_class}", Load(of_class), held, LOAD_REACH_MS))
    for mode in (HOURLY, DAILY):
        for what in _FROZEN_ENERGIES:
            held = records.frozen_quantities(records.frozen(mode, what, 1)) & known
            if held:
                reach_ms = MOST_FROZEN[mode] * _STEP_MS[mode]
                found.append(
                    Book(f"{_FROZEN_NAMES[mode]} {what:02X}", Frozen(mode, what), held, reach_ms, last_resort=True)
                )
    return found


def recall(
    profile: CompiledProfile, zone: tzinfo, book: Book, start_ms: int, end_ms: int, now_ms: int, monotonic_ns: int
) -> Request | None:
    """The request for the first records of a time; None where the book has none in it. `monotonic_ns`: the driver's
    time at `now_ms`."""
    ahead_ns = now_ms * _NS_PER_MS - monotonic_ns
    overhead = 2 * profile.preamble + 32
    if isinstance(book.key, Load):
        start_ms = -(-start_ms // MINUTE_MS) * MINUTE_MS
        if start_ms >= end_ms:
            return None
        key = Recall(book.key, _local(start_ms, zone), start_ms, end_ms, ahead_ns=ahead_ns)
        return Request(key, f"{book.name} from {key.at:%Y-%m-%d %H:%M}", overhead, RECORDS_AT_ONCE * RECORD_BYTES)
    mode = book.key.mode
    now = _local(now_ms, zone)
    at_ms = _boundary_ms(start_ms, mode, zone)
    at = _local(at_ms, zone)
    nth = 1 + (_floor(now, mode) - at) // STEP[mode]
    if at_ms >= end_ms or not 1 - _BESIDE <= nth <= MOST_FROZEN[mode] + _BESIDE:
        return None
    key = Recall(book.key, at, at_ms, end_ms, min(max(nth, 1), MOST_FROZEN[mode]), ahead_ns)
    return Request(key, f"{book.name} of {at:%Y-%m-%d %H:%M}", 2 * overhead, 2 * overhead + RECORD_BYTES)


def recalled(device: Device, zone: tzinfo, key: Recall, memory: Memory) -> Recalled:
    """The values in an answer, in base units."""
    if memory.again:
        return Recalled((), key.start_ms, again=True)
    if isinstance(key.book, Load):
        samples = records.samples(key.book.of_class, memory.body)
        told_ms = _told_ms(key, zone, memory)
    else:
        di = records.frozen(key.book.mode, key.book.what, key.nth)
        samples = records.frozen_samples(memory.frozen_at, di, memory.body) if memory.frozen_at is not None else []
        told_ms = key.start_ms + 1
    inside = (value for value in _values(device, zone, samples) if key.start_ms <= value.time_ms < key.end_ms)
    return Recalled(_undisputed(inside), min(told_ms, key.end_ms))


def _told_ms(key: Recall, zone: tzinfo, memory: Memory) -> int:
    """Up to where an answer tells what load records there are. A record beyond what was asked for says nothing of it
    where others lie in it: its time may be wrong. Where all are older only the first one that was wanted is missing."""
    if memory.first is not None:
        first_ms = _instants_ms(memory.first, zone)[0]
        return first_ms if first_ms > key.start_ms else key.start_ms + DAY_MS
    lasts = [_instants_ms(at, zone)[1] for at in records.times(memory.body)]
    inside = [last for last in lasts if key.start_ms <= last < key.end_ms]
    if inside:
        return max(inside) + MINUTE_MS
    return key.start_ms + MINUTE_MS if lasts and max(lasts) < key.start_ms else key.end_ms


def _undisputed(values: Iterable[Archived]) -> Sequence[Archived]:
    """Of records of one moment that differ, none: nobody can say which of them is right."""
    told: dict[tuple[int, Quantity], Archived] = {}
    disputed: set[int] = set()
    for value in values:
        if repr(told.setdefault((value.time_ms, value.quantity), value)) != repr(value):  # nan is like nan here
            disputed.add(value.time_ms)
    return tuple(value for value in told.values() if value.time_ms not in disputed)


def _standard(profile: CompiledProfile) -> Mapping[Quantity, CompiledPoint]:
    """Points that the profile reads with the standard's identifier, unit and format."""
    found: dict[Quantity, CompiledPoint] = {}
    for point in profile.points:
        if point is None or len(point.spots) != 1 or point.map is not None:
            continue
        spot, entry = point.spots[0], find(point.spots[0].di)
        if isinstance(entry, Item) and entry.quantity is point.quantity and not (spot.start or spot.bits):
            scale = Fraction(point.quantity.per_unit) / 10**entry.format.decimals
            if point.scale == scale and spot.format == entry.format:
                found[point.quantity] = point
    return found


def _values(device: Device, zone: tzinfo, samples: Sequence[records.Sample]) -> Iterator[Archived]:
    known = _standard(device.profile)
    for sample in samples:
        point = known.get(sample.quantity) if sample.quantity is not None else None
        if point is None or isinstance(sample.value, str):
            continue
        time_ms, last_ms = _instants_ms(sample.at, zone)
        if time_ms != last_ms:  # clocks were set back or forward then: it may be either of two hours
            continue
        if sample.value is None:
            yield Archived(time_ms, point.quantity, nan, Reason.NOT_SUPPORTED.status)
            continue
        ct, pt = (Fraction(repr(float(each))) for each in device.at(time_ms * _NS_PER_MS).ratio)
        size = point.quantity.per_unit * point.ratio.pick(ct, pt)
        exact = Fraction(repr(sample.value)) * size
        if point.quantity.kind is not Kind.COUNTER:
            yield Archived(time_ms, point.quantity, float(exact), GOOD)
            continue
        whole = (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)
        if abs(whole) <= EXACT_LIMIT:
            form = point.spots[0].format
            step = 0.0 if form.signed else float(size / 10**form.decimals)
            yield Archived(time_ms, point.quantity, float(whole), GOOD, step)


def _floor(local: datetime, mode: int) -> datetime:
    local = local.replace(minute=0, second=0, microsecond=0)
    return local.replace(hour=0) if mode == DAILY else local


def _boundary_ms(start_ms: int, mode: int, zone: tzinfo) -> int:
    """The first freeze at or after a time; what clocks leave out comes when they have gone on."""
    local = _local(start_ms, zone)
    floor = _floor(local, mode)
    first_ms, last_ms = _instants_ms(floor if floor == local else floor + STEP[mode], zone)
    return first_ms if start_ms <= first_ms else last_ms


def _local(time_ms: int, zone: tzinfo) -> datetime:
    return to_datetime(time_ms * _NS_PER_MS).astimezone(zone).replace(tzinfo=None)


def _instants_ms(local: datetime, zone: tzinfo) -> tuple[int, int]:
    """The first and the last time that a meter may call so."""
    first_ns, last_ns = instants_ns(local, zone)
    return first_ns // _NS_PER_MS, last_ns // _NS_PER_MS

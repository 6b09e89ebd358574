"""What a meter of 2007 keeps by itself, as books to be read: load records, and hourly and daily frozen energies.

Load records are asked for from a time on, a few at once so that they fit one frame; frozen values one by one, their
time first. Only what the profile reads as the standard has it is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from fractions import Fraction
from math import nan
from typing import Final

from address_space.model.clock import NS, from_datetime, to_datetime
from address_space.model.quality import GOOD, Reason
from address_space.model.quantity import Kind, Quantity
from address_space.model.value import EXACT_LIMIT
from drivers.api import Device, Request
from drivers.archive import Archived, Book, Recalled
from drivers.dlt645 import records
from drivers.dlt645.identifiers import find
from drivers.dlt645.item import Item
from drivers.dlt645.layout import CompiledPoint, CompiledProfile
from drivers.dlt645.refusals import NO_SUCH_DATA
from drivers.dlt645.talk import Talk
from drivers.dlt645.wire import READ, Asked
from drivers.errors import BadFrame, DeviceRefused

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
LOAD_REACH_MS: Final = 366 * DAY_MS
RECORDS_AT_ONCE: Final = 4
"""Load records of one class in one answer: so many fit a frame of any meter."""
RECORD_BYTES: Final = 40
_LOAD_CLASSES: Final = (4, 1, 2, 3)
_HOURLY, _DAILY = 0x04, 0x06
_MOST_FROZEN: Final = {_HOURLY: 254, _DAILY: 62}
_STEP_MS: Final = {_HOURLY: HOUR_MS, _DAILY: DAY_MS}
_FROZEN_NAMES: Final = {_HOURLY: "hourly freeze", _DAILY: "daily freeze"}
_FROZEN_ENERGIES: Final = (0x01, 0x02, 0x03, 0x04)
_NS_PER_MS: Final = NS // 1000


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
    """What one request asks of a meter's memory. `nth`: how many freezes back; `at`: the meter's time of the first
    record that is wanted; the others are UTC."""

    book: Load | Frozen
    at: datetime
    start_ms: int
    end_ms: int
    nth: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """An answer: the bytes, since when the meter has records where that is later than asked for, when it froze."""

    body: bytes
    first: datetime | None = None
    frozen_at: datetime | None = None


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
    for mode in (_HOURLY, _DAILY):
        for what in _FROZEN_ENERGIES:
            held = records.frozen_quantities(records.frozen(mode, what, 1)) & known
            if held:
                reach_ms = _MOST_FROZEN[mode] * _STEP_MS[mode]
                found.append(
                    Book(f"{_FROZEN_NAMES[mode]} {what:02X}", Frozen(mode, what), held, reach_ms, last_resort=True)
                )
    return found


def recall(
    profile: CompiledProfile, zone: tzinfo, book: Book, start_ms: int, end_ms: int, now_ms: int
) -> Request | None:
    """The request for the first records of a time; None where the book has none in it."""
    overhead = 2 * profile.preamble + 32
    if isinstance(book.key, Load):
        start_ms = -(-start_ms // MINUTE_MS) * MINUTE_MS
        if start_ms >= end_ms:
            return None
        key = Recall(book.key, _local(start_ms, zone), start_ms, end_ms)
        return Request(key, f"{book.name} from {key.at:%Y-%m-%d %H:%M}", overhead, RECORDS_AT_ONCE * RECORD_BYTES)
    mode = book.key.mode
    at, now = _boundary(_local(start_ms, zone), mode), _local(now_ms, zone)
    at_ms = _instant_ms(at, zone)
    nth = 1 + (_floor(now, mode) - at) // timedelta(milliseconds=_STEP_MS[mode])
    if at_ms >= end_ms or not 1 <= nth <= _MOST_FROZEN[mode]:
        return None
    key = Recall(book.key, at, at_ms, end_ms, nth)
    return Request(key, f"{book.name} of {at:%Y-%m-%d %H:%M}", 2 * overhead, 2 * overhead + RECORD_BYTES)


async def remember(talk: Talk, key: Recall) -> Memory:
    """Ask the meter. Raises DriverError; DeviceRefused where it has no such book at all."""
    if isinstance(key.book, Load):
        return await _load(talk, key.book.of_class, key.at)
    mode, what = key.book.mode, key.book.what
    try:
        at = records.frozen_time(await talk.read(records.frozen(mode, 0, key.nth)))
        if at is None:
            return Memory(b"")
        return Memory(await talk.read(records.frozen(mode, what, key.nth)), frozen_at=at)
    except DeviceRefused as error:
        if error.code != NO_SUCH_DATA or key.nth == 1:
            raise
    await talk.read(records.frozen(mode, what, 1))
    return Memory(b"")


def recalled(device: Device, zone: tzinfo, key: Recall, memory: Memory) -> Recalled:
    """The values in an answer, in base units."""
    if isinstance(key.book, Load):
        samples = records.samples(key.book.of_class, memory.body)
        times = sorted({_instant_ms(sample.at, zone) for sample in samples})
        told_ms = times[-1] + MINUTE_MS if times and times[-1] >= key.start_ms else key.end_ms
        if not times and memory.first is not None:
            first_ms = _instant_ms(memory.first, zone)
            told_ms = first_ms if first_ms > key.start_ms else key.start_ms + DAY_MS
    else:
        di = records.frozen(key.book.mode, key.book.what, key.nth)
        samples = records.frozen_samples(memory.frozen_at, di, memory.body) if memory.frozen_at is not None else []
        told_ms = key.start_ms + 1
    values = tuple(value for value in _values(device, zone, samples) if key.start_ms <= value.time_ms < key.end_ms)
    return Recalled(values, min(told_ms, key.end_ms))


async def _load(talk: Talk, of_class: int, at: datetime) -> Memory:
    try:
        return Memory(await _records(talk, records.since(of_class, RECORDS_AT_ONCE, at)))
    except DeviceRefused as error:
        if error.code != NO_SUCH_DATA:
            raise
    times = records.times(await _records(talk, records.oldest(of_class, 1)))
    if not times:
        raise BadFrame("the meter's oldest load record cannot be read", where=talk.name)
    return Memory(b"", first=times[0])


async def _records(talk: Talk, data: bytes) -> bytes:
    prefix, profile = data[:4], talk.profile
    asked = Asked(talk.address, READ[profile.version], data, prefix, lenient=talk.lenient)
    label = profile.di_text(int.from_bytes(prefix, "little"))
    return await talk.wire.read(asked, profile.version, label, preamble=profile.preamble, gap_s=profile.gap_s)


def _standard(profile: CompiledProfile) -> Mapping[Quantity, CompiledPoint]:
    """Points that the profile reads with the standard's identifier, unit and decimals."""
    found: dict[Quantity, CompiledPoint] = {}
    for point in profile.points:
        if point is None or len(point.spots) != 1 or point.map is not None:
            continue
        spot, entry = point.spots[0], find(point.spots[0].di)
        if isinstance(entry, Item) and entry.quantity is point.quantity:
            scale = Fraction(point.quantity.per_unit) / 10**spot.format.decimals
            if point.scale == scale and spot.format.decimals == entry.format.decimals:
                found[point.quantity] = point
    return found


def _values(device: Device, zone: tzinfo, samples: Sequence[records.Sample]) -> Iterable[Archived]:
    known = _standard(device.profile)
    for sample in samples:
        point = known.get(sample.quantity) if sample.quantity is not None else None
        if point is None or isinstance(sample.value, str):
            continue
        time_ms = _instant_ms(sample.at, zone)
        if sample.value is None:
            yield Archived(time_ms, point.quantity, nan, Reason.NOT_SUPPORTED.status)
            continue
        ct, pt = (Fraction(repr(float(each))) for each in device.at(time_ms * _NS_PER_MS).ratio)
        exact = Fraction(repr(sample.value)) * point.quantity.per_unit * point.ratio.pick(ct, pt)
        if point.quantity.kind is not Kind.COUNTER:
            yield Archived(time_ms, point.quantity, float(exact), GOOD)
            continue
        whole = (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)
        if abs(whole) <= EXACT_LIMIT:
            yield Archived(time_ms, point.quantity, float(whole), GOOD)


def _floor(local: datetime, mode: int) -> datetime:
    local = local.replace(minute=0, second=0, microsecond=0)
    return local.replace(hour=0) if mode == _DAILY else local


def _boundary(local: datetime, mode: int) -> datetime:
    """The first freeze at or after a local time."""
    floor = _floor(local, mode)
    return floor if floor == local else floor + timedelta(milliseconds=_STEP_MS[mode])


def _local(time_ms: int, zone: tzinfo) -> datetime:
    return to_datetime(time_ms * _NS_PER_MS).astimezone(zone).replace(tzinfo=None)


def _instant_ms(local: datetime, zone: tzinfo) -> int:
    return from_datetime(local.replace(tzinfo=zone)) // _NS_PER_MS

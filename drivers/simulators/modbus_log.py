"""The log that a simulated Modbus meter keeps by itself: a record for every period, of what it had counted then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from fractions import Fraction
from typing import Final

from address_space.model.clock import to_datetime
from drivers.codec import arrange, crc16_modbus, to_words
from drivers.modbus.encode import Cell, encode_point, encode_raw, no_data
from drivers.modbus.layout import CompiledPoint
from drivers.modbus.log_period import MS_NS
from drivers.modbus.logs import FileShelf, Log, Pointer, RegisterShelf
from drivers.simulators.image import fulfilling
from drivers.simulators.meter import Values
from drivers.simulators.pdu import Refusal, Refused

BEGUN_MS: Final = 1_577_836_800_000
"""2020-01-01: since when such meters keep records."""
KEPT: Final = 4096
"""Records that are not made anew each time they are read."""


@dataclass(slots=True)
class LogKeeper:
    """Whose log it is. `values_at` tells what it had counted at a time of its own clock; it began at `begun_ms`."""

    values_at: Callable[[int], Values]
    zone: tzinfo
    ratio: tuple[float, float]
    begun_ms: int = BEGUN_MS


class Logbook:
    """One log. Times are of the meter's own clock, in milliseconds of UTC."""

    def __init__(self, log: Log, keeper: LogKeeper) -> None:
        self.log = log
        self._keeper = keeper
        self._made: dict[int, bytes] = {}

    def written(self, own_ms: int) -> int:
        """How many records were ever made."""
        period, zone = self.log.period, self._keeper.zone
        first, last = period.ceil(self._keeper.begun_ms, zone), period.floor(own_ms, zone)
        return max(period.steps(first, last, zone) + 1, 0) if last >= first else 0

    def record(self, number: int) -> bytes:
        """The record of a number, counted from 0."""
        zone = self._keeper.zone
        at_ms = self.log.period.add(self.log.period.ceil(self._keeper.begun_ms, zone), number, zone)
        found = self._made.get(at_ms)
        if found is None:
            if len(self._made) >= KEPT:
                self._made.clear()
            found = self._made[at_ms] = self._written(at_ms)
        return found

    def slot(self, slot: int, own_ms: int) -> bytes:
        """What stands at a place: ones where nothing was written yet."""
        log, written = self.log, self.written(own_ms)
        if log.moves:
            number = written - 1 - slot
        elif log.ring:
            number = slot + (written - 1 - slot) // log.count * log.count
        else:
            number = slot
        return self.record(number) if 0 <= number < written else b"\xff" * (2 * log.words)

    def read_words(self, fc: int, first: int, count: int, own_ms: int) -> bytes | None:
        """Registers of its pointer or its records; None where they are none of its own. Raises Refused."""
        pointer, shelf = self.log.newest, self.log.shelf
        if isinstance(pointer, Pointer) and fc == pointer.register.fc:
            cells = {cell.address: cell.word for cell in encode_raw(pointer.register, self._shown(own_ms, pointer))}
            if all(place in cells for place in range(first, first + count)):
                return b"".join(cells[place].to_bytes(2, "big") for place in range(first, first + count))
        if not isinstance(shelf, RegisterShelf) or fc != shelf.fc:
            return None
        at, end = first - shelf.address, first - shelf.address + count
        if at < 0 or end > shelf.stride * self.log.count:
            return None
        if count > (shelf.most - 1) * shelf.stride + shelf.words:
            raise Refused(Refusal.ILLEGAL_VALUE)
        return self._run(at, end, shelf.stride, 0, own_ms)

    def read_file(self, file: int, number: int, words: int, own_ms: int) -> bytes | None:
        """Registers of one of its files; None where that is none of its own. Raises Refused."""
        shelf = self.log.shelf
        if not isinstance(shelf, FileShelf):
            return None
        base = (file - shelf.file) * shelf.per_file
        held = min(shelf.per_file, self.log.count - base)
        if base < 0 or held <= 0:
            return None
        at = number - shelf.first
        if shelf.by_record:
            if not 0 <= at < held:
                raise Refused(Refusal.ILLEGAL_ADDRESS)
            if words > shelf.words:
                raise Refused(Refusal.ILLEGAL_VALUE)
            return self.slot(base + at, own_ms)[: 2 * words]
        if not 0 <= at <= at + words <= held * shelf.stride:
            raise Refused(Refusal.ILLEGAL_ADDRESS)
        return self._run(at, at + words, shelf.stride, base, own_ms)

    def _run(self, at: int, end: int, stride: int, base: int, own_ms: int) -> bytes:
        """Registers from one place to another, counted from record `base`."""
        first, last = at // stride, (end - 1) // stride
        pad = bytes(2 * (stride - self.log.words))
        whole = b"".join(self.slot(base + slot, own_ms) + pad for slot in range(first, last + 1))
        return whole[2 * (at - first * stride) : 2 * (end - first * stride)]

    def _shown(self, own_ms: int, pointer: Pointer) -> int:
        """What the pointer holds."""
        written, count = self.written(own_ms), self.log.count
        if pointer.means == "total":
            return written % (1 << pointer.register.type.bits)
        if pointer.means == "next":
            return (written % count if self.log.ring else min(written, count)) + pointer.first
        if not written:
            return (1 << pointer.register.type.bits) - 1
        return ((written - 1) % count if self.log.ring else min(written, count) - 1) + pointer.first

    def _written(self, at_ms: int) -> bytes:
        log, keeper = self.log, self._keeper
        record = bytearray(2 * log.words)
        values = keeper.values_at(at_ms)
        for point in log.make.points:
            if point is not None:
                _put(record, _cells(point, values[point.quantity.code], keeper.ratio))
        for condition in log.valid:
            _put(record, tuple(encode_raw(condition.register, fulfilling(condition))))
        if log.stamp is not None:
            stamp, zone = log.stamp, log.stamp.zone_in(keeper.zone)
            shown_ms = log.period.add(at_ms, -1, zone) if stamp.begins else at_ms
            data = arrange(stamp.format.encode(_local(shown_ms, zone)), stamp.order)
            record[2 * stamp.at : 2 * stamp.at + len(data)] = data
        if log.checksum is not None:
            before = bytes(record[: 2 * log.checksum.at])
            total = (sum(to_words(before)) & 0xFFFF).to_bytes(2, "big")
            record[len(before) : len(before) + 2] = total if log.checksum.kind == "sum16" else crc16_modbus(before)
        return bytes(record)


def _cells(point: CompiledPoint, value: float | None, ratio: tuple[float, float]) -> tuple[Cell, ...]:
    """Registers that show a value: counters as far as they are full, and from 0 again at the register's end."""
    if value is None:
        return no_data(point)
    try:
        if point.is_counter:
            ct, pt = (Fraction(repr(float(each))) for each in ratio)
            step = point.scale * point.ratio.pick(ct, pt)
            raw = int(Fraction(int(value)) // step)
            value = float(raw % (1 << point.type.bits) * step) if point.type.bits else float(raw * step)
        return encode_point(point, value, ratio)
    except (OverflowError, ValueError):
        return no_data(point)


def _put(record: bytearray, cells: tuple[Cell, ...]) -> None:
    for cell in cells:
        record[2 * cell.address] |= cell.word >> 8
        record[2 * cell.address + 1] |= cell.word & 0xFF


def _local(at_ms: int, zone: tzinfo) -> datetime:
    local = to_datetime(at_ms * MS_NS).astimezone(zone).replace(tzinfo=None)
    return local - timedelta(microseconds=local.microsecond)

"""The places in which a simulated Modbus meter keeps records: rings and files as its profile lays them out, and the
register that tells which record is the newest."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Protocol

from address_space.model.clock import to_datetime
from drivers.codec import arrange, crc16_modbus, to_words
from drivers.modbus.encode import Cell, encode_raw
from drivers.modbus.log_period import MS_NS
from drivers.modbus.logs import FileShelf, Pointer, RecordTable, RegisterShelf
from drivers.simulators.image import fulfilling
from drivers.simulators.pdu import Refusal, Refused


class Records(Protocol):
    """All records that were ever made, oldest first. Times are of the meter's own clock, in milliseconds of UTC."""

    def written(self, own_ms: int) -> int:
        """How many there are by a time."""

    def record(self, number: int) -> bytes:
        """The record of a number, counted from 0."""


class RecordShelf:
    """The places of one log."""

    def __init__(self, table: RecordTable, records: Records) -> None:
        self.table = table
        self._records = records

    def slot(self, slot: int, own_ms: int) -> bytes:
        """What stands at a place: ones where nothing was written yet."""
        table, written = self.table, self._records.written(own_ms)
        if table.moves:
            number = written - 1 - slot
        elif table.ring:
            number = slot + (written - 1 - slot) // table.count * table.count
        else:
            number = slot
        return self._records.record(number) if 0 <= number < written else b"\xff" * (2 * table.words)

    def read_words(self, fc: int, first: int, count: int, own_ms: int) -> bytes | None:
        """Registers of its pointer or its records; None where they are none of its own. Raises Refused."""
        pointer, shelf = self.table.newest, self.table.shelf
        if isinstance(pointer, Pointer) and fc == pointer.register.fc:
            cells = {cell.address: cell.word for cell in encode_raw(pointer.register, self._shown(own_ms, pointer))}
            if all(place in cells for place in range(first, first + count)):
                return b"".join(cells[place].to_bytes(2, "big") for place in range(first, first + count))
        if not isinstance(shelf, RegisterShelf) or fc != shelf.fc:
            return None
        at, end = first - shelf.address, first - shelf.address + count
        if at < 0 or end > shelf.stride * self.table.count:
            return None
        if count > (shelf.most - 1) * shelf.stride + shelf.words:
            raise Refused(Refusal.ILLEGAL_VALUE)
        return self._run(at, end, shelf.stride, 0, own_ms)

    def read_file(self, file: int, number: int, words: int, own_ms: int) -> bytes | None:
        """Registers of one of its files; None where that is none of its own. Raises Refused."""
        shelf = self.table.shelf
        if not isinstance(shelf, FileShelf):
            return None
        base = (file - shelf.file) * shelf.per_file
        held = min(shelf.per_file, self.table.count - base)
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
        pad = bytes(2 * (stride - self.table.words))
        whole = b"".join(self.slot(base + slot, own_ms) + pad for slot in range(first, last + 1))
        return whole[2 * (at - first * stride) : 2 * (end - first * stride)]

    def _shown(self, own_ms: int, pointer: Pointer) -> int:
        """What the pointer holds."""
        written, count = self._records.written(own_ms), self.table.count
        if pointer.means == "total":
            return written % (1 << pointer.register.type.bits)
        if pointer.means == "next":
            return (written % count if self.table.ring else min(written, count)) + pointer.first
        if not written:
            return (1 << pointer.register.type.bits) - 1
        return ((written - 1) % count if self.table.ring else min(written, count) - 1) + pointer.first


def finished(record: bytearray, table: RecordTable, at_ms: int, zone: tzinfo) -> bytes:
    """A record with what any log has: its conditions, time stamp and checksum. `zone` is that of the meter's clock."""
    for condition in table.valid:
        put(record, tuple(encode_raw(condition.register, fulfilling(condition))))
    if table.stamp is not None:
        stamp = table.stamp
        data = arrange(stamp.format.encode(_local(at_ms, stamp.zone_in(zone))), stamp.order)
        record[2 * stamp.at : 2 * stamp.at + len(data)] = data
    if table.checksum is not None:
        before = bytes(record[: 2 * table.checksum.at])
        total = (sum(to_words(before)) & 0xFFFF).to_bytes(2, "big")
        record[len(before) : len(before) + 2] = total if table.checksum.kind == "sum16" else crc16_modbus(before)
    return bytes(record)


def put(record: bytearray, cells: tuple[Cell, ...]) -> None:
    """Write cells into a record, where nothing but zeros stand."""
    for cell in cells:
        record[2 * cell.address] |= cell.word >> 8
        record[2 * cell.address + 1] |= cell.word & 0xFF


def _local(at_ms: int, zone: tzinfo) -> datetime:
    local = to_datetime(at_ms * MS_NS).astimezone(zone).replace(tzinfo=None)
    return local - timedelta(microseconds=local.microsecond % 1000)

"""The log in which a simulated Modbus meter records events: whoever plays with the meter adds them."""

from __future__ import annotations

from collections import deque
from datetime import tzinfo
from fractions import Fraction

from drivers.modbus.encode import encode_raw
from drivers.modbus.event_logs import Detail, EventTable
from drivers.simulators.record_shelf import finished, put


class EventJournal:
    """The records of one log of events, oldest first. Only the newest are kept, as many as the log has room for."""

    def __init__(self, table: EventTable, zone: tzinfo) -> None:
        self.table = table
        self._zone = zone
        self._total = 0
        self._kept: deque[bytes] = deque(maxlen=table.count)

    def add(self, code: int, at_ms: int, value: float | None = None) -> bytes:
        """Record an event at a time of the meter's own clock (milliseconds of UTC); returns the record.

        A log that does not go on at its first record takes none when it is full. `value` is in the unit in which
        clients are told it; None is what means none, or 0. Raises ValueError or OverflowError where the registers
        cannot hold what they should.
        """
        table = self.table
        record = bytearray(2 * table.words)
        put(record, tuple(encode_raw(table.code, code)))
        if table.detail is not None:
            put(record, tuple(encode_raw(table.detail.register, _raw(table.detail, value))))
        made = finished(record, table, at_ms, self._zone)
        self.write(made)
        return made

    def write(self, record: bytes) -> None:
        """Record whatever these registers mean: broken, or nothing at all."""
        if self.table.endless or self._total < self.table.count:
            self._kept.append(record)
            self._total += 1

    def clear(self) -> None:
        """Begin anew, as after a reset of the meter."""
        self._kept.clear()
        self._total = 0

    def spoil(self, age: int, record: bytes) -> None:
        """Put something else in the place of the record of which so many are newer."""
        self._kept[len(self._kept) - 1 - age] = record

    def written(self, own_ms: int) -> int:  # noqa: ARG002 - as Records has it
        """How many were ever made."""
        return self._total

    def record(self, number: int) -> bytes:
        """The record of a number, counted from 0; nothing where it was overwritten."""
        at = number - (self._total - len(self._kept))
        return self._kept[at] if 0 <= at < len(self._kept) else b"\xff" * (2 * self.table.words)


def _raw(detail: Detail, value: float | None) -> float:
    if value is None:
        return detail.sentinels[0] if detail.sentinels else 0
    raw = Fraction(value) / detail.factor
    return float(raw) if detail.register.type.is_float else round(raw)

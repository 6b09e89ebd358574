"""The log in which a meter records events, as its profile describes it: which event a record tells, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from fractions import Fraction
from hashlib import blake2b
from math import isfinite
from typing import Final

from address_space.model.units import Unit
from drivers.codec import to_words
from drivers.event_archive import EventCode, LogEvent
from drivers.modbus.decode import decode_registers
from drivers.modbus.layout import Register
from drivers.modbus.logs import RecordTable

MARK_BYTES: Final = 8
EVER_MS: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Detail:
    """What is recorded with an event: raw times `factor` is the value in `unit`; `sentinels` mean none."""

    register: Register
    factor: Fraction
    unit: Unit | None
    sentinels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EventTable(RecordTable):
    """One log of events. `code` and `detail` count from the record's first register."""

    code: Register
    mask: int
    detail: Detail | None
    codes: Mapping[int, EventCode]
    every_s: float

    @property
    def endless(self) -> bool:
        """Whether old records give way to new ones."""
        return self.ring or self.moves

    def event(self, record: bytes, zone: tzinfo) -> LogEvent | None:
        """What a record tells; None where it is not sound. In the hour that the wall clock shows twice it is taken to
        be of the first."""
        dated = self.dated(record, zone, EVER_MS)
        stamp = self.stamp
        if dated is None or stamp is None or dated.time_ms < 0:
            return None
        held = dict(enumerate(to_words(record)))
        raw = decode_registers(self.code, held)
        if not isinstance(raw, int):
            return None
        code = raw & self.mask
        told = [record[2 * stamp.at :][: 2 * stamp.format.size], code.to_bytes(4, "big")]
        if self.detail is not None:
            told += [held[place].to_bytes(2, "big") for place in self.detail.register.places]
        mark = blake2b(b"".join(told), digest_size=MARK_BYTES).digest()
        return LogEvent(dated.time_ms, code, self._value(held), mark)

    def _value(self, held: Mapping[int, int]) -> float | None:
        if self.detail is None:
            return None
        raw = decode_registers(self.detail.register, held)
        if not isinstance(raw, int | float) or not isfinite(raw) or raw in self.detail.sentinels:
            return None
        try:
            return float(Fraction(raw) * self.detail.factor)
        except OverflowError:
            return None

"""The log of a meter as its profile describes it: where records lie, when they were made, whether they are sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from fractions import Fraction
from typing import Final

from address_space.model.clock import from_datetime
from address_space.model.quality import GOOD
from address_space.model.quantity import Quantity
from drivers.codec import MomentFormat, Order, arrange, crc16_modbus, to_words
from drivers.modbus.decode import Program, decode_registers
from drivers.modbus.file_records import GROUP_HEAD, GROUP_REQUEST, MOST_BYTES, FileRead, Group
from drivers.modbus.layout import Condition, Make, Register
from drivers.modbus.log_period import DAY_MS, MS_NS, Period
from drivers.modbus.plan import Read

BEHIND_MS: Final = 366 * DAY_MS
"""How much older than a log that was always written a record may be; older ones were dated by a clock that had lost
its time."""
AHEAD_MS: Final = DAY_MS
"""How far in the future a record may be dated by a clock that is ahead."""
FIRST: Final = "first"
SEARCH: Final = "search"


@dataclass(frozen=True, slots=True)
class RegisterShelf:
    """Records in registers. `most` may be read at once."""

    fc: int
    address: int
    stride: int
    words: int
    most: int

    def ask(self, slot: int, count: int) -> Read:
        """The request for `count` records from place `slot` on."""
        return Read(self.fc, self.address + slot * self.stride, (count - 1) * self.stride + self.words)

    def together(self, slot: int) -> int:
        """How many records from `slot` on may be asked for in one request."""
        return self.most if slot >= 0 else 0

    def before(self, slot: int) -> int:
        """How many records up to and including `slot` may be asked for in one request."""
        return min(self.most, slot + 1)

    def records(self, count: int, data: bytes) -> list[bytes]:
        """The records in an answer."""
        return [data[2 * self.stride * each :][: 2 * self.words] for each in range(count)]


@dataclass(frozen=True, slots=True)
class FileShelf:
    """Records in files. `by_record`: numbers count records, each a group of its own; else registers, in one run."""

    file: int
    first: int
    per_file: int
    stride: int
    words: int
    most: int
    by_record: bool

    def ask(self, slot: int, count: int) -> FileRead:
        """The request for `count` records from place `slot` on, all of one file."""
        file, place = self.file + slot // self.per_file, slot % self.per_file
        if self.by_record:
            return FileRead(tuple(Group(file, self.first + place + each, self.words) for each in range(count)))
        words = (count - 1) * self.stride + self.words
        return FileRead((Group(file, self.first + place * self.stride, words),))

    def together(self, slot: int) -> int:
        """How many records from `slot` on may be asked for in one request."""
        return min(self.most, self.per_file - slot % self.per_file)

    def before(self, slot: int) -> int:
        """How many records up to and including `slot` may be asked for in one request."""
        return min(self.most, slot % self.per_file + 1)

    def records(self, count: int, data: bytes) -> list[bytes]:
        """The records in an answer."""
        step = self.words if self.by_record else self.stride
        return [data[2 * step * each :][: 2 * self.words] for each in range(count)]


Shelf = RegisterShelf | FileShelf
Ask = Read | FileRead


def most_groups(words: int) -> int:
    """How many records of `words` registers one request of function code 20 may ask for."""
    return min(MOST_BYTES // GROUP_REQUEST, MOST_BYTES // (GROUP_HEAD + 2 * words))


@dataclass(frozen=True, slots=True)
class Pointer:
    """The register that tells where the newest record is: its number, that of the next one, or how many there were."""

    register: Register
    means: str
    first: int


@dataclass(frozen=True, slots=True)
class Stamp:
    """The time of a record: register within it, and how it is written. `zone` is None where it is the plant's;
    `begins` where it is the beginning of the period at whose end the values were kept."""

    at: int
    format: MomentFormat
    order: Order
    zone: tzinfo | None
    begins: bool = False

    def zone_in(self, plant: tzinfo) -> tzinfo:
        """The zone that it is written in."""
        return UTC if self.format.is_utc else self.zone or plant


@dataclass(frozen=True, slots=True)
class Dated:
    """When a record was made. Not `certain` in the hours that the wall clock shows twice, or never."""

    time_ms: int
    certain: bool


@dataclass(frozen=True, slots=True)
class Checksum:
    """A checksum over the registers before it."""

    at: int
    kind: str

    def fits(self, record: bytes) -> bool:
        """Whether a record is whole; either byte of a CRC may come first."""
        before, held = record[: 2 * self.at], record[2 * self.at : 2 * self.at + 2]
        if self.kind == "sum16":
            return sum(to_words(before)) & 0xFFFF == int.from_bytes(held, "big")
        crc = crc16_modbus(before)
        return held in (crc, crc[::-1])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RecordTable:
    """Equal records, and which of them is the newest: "first", "search", or the register that tells it."""

    name: str
    shelf: Shelf
    count: int
    ring: bool
    newest: str | Pointer
    stamp: Stamp | None
    checksum: Checksum | None
    valid: tuple[Condition, ...]

    @property
    def words(self) -> int:
        """Registers of a record."""
        return self.shelf.words

    @property
    def moves(self) -> bool:
        """Whether its records move on when a new one is made."""
        return self.newest == FIRST

    @property
    def spacing_ms(self) -> int:
        """Usual time between two records; 0 where there is none."""
        return 0

    @property
    def behind_ms(self) -> int | None:
        """How long ago the oldest record may have been made; None where that is not known."""
        return None

    def slots(self, slot: int, most: int) -> int:
        """How many records from `slot` on, `most` at most, one request may ask for."""
        return max(1, min(most, self.shelf.together(slot), self.count - slot))

    def is_sound(self, record: bytes) -> bool:
        """Whether a record was ever written, and is whole."""
        if len(record) != 2 * self.words or is_blank(record):
            return False
        if self.checksum is not None and not self.checksum.fits(record):
            return False
        held = dict(enumerate(to_words(record)))
        return all(condition.holds(decode_registers(condition.register, held)) for condition in self.valid)

    def dated(self, record: bytes, zone: tzinfo, now_ms: int) -> Dated | None:
        """When a sound record was made, by its own time stamp; None where that is no time."""
        if self.stamp is None or not self.is_sound(record):
            return None
        stamp, own = self.stamp, self.stamp.zone_in(zone)
        moment = stamp.format.decode(arrange(record[2 * stamp.at :][: 2 * stamp.format.size], stamp.order))
        if moment is None:
            return None
        aware = moment.replace(tzinfo=own)
        certain = aware.utcoffset() == aware.replace(fold=1).utcoffset()
        time_ms = from_datetime(aware) // MS_NS
        if time_ms > now_ms + AHEAD_MS or (self.behind_ms is not None and time_ms < now_ms - self.behind_ms):
            return None
        return Dated(time_ms, certain)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Log(RecordTable):
    """One log of values, a record for each period. `make` has a record's values as points, whose registers count from
    the record's first."""

    period: Period
    make: Make
    program: Program

    @property
    def quantities(self) -> frozenset[Quantity]:
        """What its records hold."""
        return frozenset(point.quantity for point in self.make.points if point is not None)

    @property
    def reach_ms(self) -> int:
        """How far back it goes at most, where it was always written."""
        return self.count * self.period.longest_ms

    @property
    def spacing_ms(self) -> int:
        """Usual time between two records."""
        return self.period.mean_ms

    @property
    def behind_ms(self) -> int:
        """How long ago the oldest record may have been made."""
        return self.reach_ms + BEHIND_MS

    def dated(self, record: bytes, zone: tzinfo, now_ms: int) -> Dated | None:
        """At the end of which period a sound record was made, by its own time stamp; None where that is no time."""
        found = RecordTable.dated(self, record, zone, now_ms)
        if found is None or self.stamp is None or not self.stamp.begins:
            return found
        return Dated(self.period.add(found.time_ms, 1, self.stamp.zone_in(zone)), found.certain)

    def values(self, record: bytes, ct: Fraction, pt: Fraction) -> Sequence[tuple[Quantity, float]]:
        """The good values of a record, in base units."""
        found, statuses, _ = self.program.run(record, ct, pt)
        return [
            (point.quantity, float(value))
            for point, value, status in zip(self.make.points, found, statuses, strict=False)
            if point is not None and status == GOOD
        ]


def is_blank(record: bytes) -> bool:
    """Whether nothing was ever written: zeros or ones only."""
    return not record.strip(b"\0") or not record.strip(b"\xff")

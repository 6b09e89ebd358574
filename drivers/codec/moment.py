"""Dates and times as meters keep them: words of fields, packed bytes, IEC 60870-5-4, seconds since 1970."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from drivers.codec.bcd import from_bcd, to_bcd

FIELDS = ("year", "year2", "month", "day", "weekday", "hour", "minute", "second", "ms", "zero")
"""What a word, or one of its two bytes, may hold. year2 is the year of the century, weekday 1 for Monday."""
CENTURY = 2000
_LEAST = ("month", "day", "hour", "minute")
_CP56_WORDS = 4
_UNIX_WORDS = 2


@dataclass(frozen=True, slots=True)
class MomentFormat:
    """How a moment is written in registers.

    kind   "unix": seconds since 1970 UTC in two words; "cp56": IEC 60870-5-4 in four words, year in the first and
           milliseconds in the last; "fields": `words` say what each word holds
    words  for each word one field, or two of a byte each, high byte first
    bcd    the fields are decimal digits, a nibble each
    """

    kind: str
    words: tuple[tuple[str, ...], ...] = ()
    bcd: bool = False

    @property
    def size(self) -> int:
        """Number of words."""
        return {"unix": _UNIX_WORDS, "cp56": _CP56_WORDS}.get(self.kind, len(self.words))

    @property
    def is_utc(self) -> bool:
        """Whether it is UTC whatever the zone."""
        return self.kind == "unix"

    def decode(self, data: bytes) -> datetime | None:
        """The moment in big-endian bytes, without a zone; None where they are none."""
        try:
            if self.kind == "unix":
                return datetime.fromtimestamp(int.from_bytes(data, "big"), UTC).replace(tzinfo=None)
            return _from_cp56(data) if self.kind == "cp56" else self._from_fields(data)
        except (ValueError, OverflowError, OSError):
            return None

    def encode(self, moment: datetime) -> bytes:
        """Big-endian bytes of a moment, whose zone is not looked at."""
        if self.kind == "unix":
            seconds = int(moment.replace(tzinfo=UTC).timestamp())
            return seconds.to_bytes(2 * _UNIX_WORDS, "big")
        return _to_cp56(moment) if self.kind == "cp56" else self._to_fields(moment)

    def _from_fields(self, data: bytes) -> datetime | None:
        found: dict[str, int] = {}
        for word, (high, low) in zip(self.words, zip(data[::2], data[1::2], strict=True), strict=True):
            raws = (high << 8 | low,) if len(word) == 1 else (high, low)
            for name, raw in zip(word, raws, strict=True):
                value = from_bcd(raw) if self.bcd else raw
                if value is None:
                    return None
                found[name] = value
        year = found.get("year", found.get("year2", 0))
        second, extra_ms = divmod(found.get("ms", 0), 1000)
        return datetime(  # noqa: DTZ001 - registers have no zone
            year if year >= 100 else CENTURY + year,
            found["month"],
            found["day"],
            found["hour"],
            found["minute"],
            found.get("second", second),
            extra_ms * 1000,
        )

    def _to_fields(self, moment: datetime) -> bytes:
        values = _fields_of(moment)
        if not any("second" in word for word in self.words):
            values["ms"] += values["second"] * 1000
        data = bytearray()
        for word in self.words:
            for name in word:
                value = to_bcd(values[name]) if self.bcd else values[name]
                data += value.to_bytes(2 // len(word), "big")
        return bytes(data)


def fields_format(words: Sequence[str], *, bcd: bool = False) -> MomentFormat:
    """The format of words like `year` and `month day`; raises ValueError with what is wrong with them."""
    split = tuple(tuple(word.split()) for word in words)
    for word in split:
        unknown = [name for name in word if name not in FIELDS]
        if unknown or not 1 <= len(word) <= 2:
            raise ValueError(f"a word holds one or two of {', '.join(FIELDS)}")
        if len(word) == 2 and {"year", "ms"}.intersection(word):
            raise ValueError("year and ms take a whole word; a year in one byte is year2")
    names = [name for word in split for name in word if name != "zero"]
    if len(set(names)) != len(names):
        raise ValueError("a field stands twice")
    missing = [name for name in _LEAST if name not in names]
    if missing or not {"year", "year2"}.intersection(names):
        raise ValueError(f"{(missing or ['year'])[0]} is missing")
    return MomentFormat("fields", split, bcd)


def _fields_of(moment: datetime) -> dict[str, int]:
    return {
        "year": moment.year,
        "year2": moment.year % 100,
        "month": moment.month,
        "day": moment.day,
        "weekday": moment.isoweekday(),
        "hour": moment.hour,
        "minute": moment.minute,
        "second": moment.second,
        "ms": moment.microsecond // 1000,
        "zero": 0,
    }


def _from_cp56(data: bytes) -> datetime | None:
    """IEC 60870-5-4 6.8, octets in reverse order: year, month, weekday and day, hour, minute, milliseconds."""
    if data[5] & 0x80:  # IV: the device itself does not trust its clock
        return None
    year, month, day, hour, minute = data[1] & 0x7F, data[2] & 0x0F, data[3] & 0x1F, data[4] & 0x1F, data[5] & 0x3F
    start = datetime(CENTURY + year, month, day, hour, minute)  # noqa: DTZ001 - registers have no zone
    milliseconds = int.from_bytes(data[6:8], "big")
    return start + timedelta(milliseconds=milliseconds) if milliseconds < 60_000 else None


def _to_cp56(moment: datetime) -> bytes:
    milliseconds = moment.second * 1000 + moment.microsecond // 1000
    head = (0, moment.year % 100, moment.month, moment.isoweekday() << 5 | moment.day, moment.hour, moment.minute)
    return bytes(head) + milliseconds.to_bytes(2, "big")

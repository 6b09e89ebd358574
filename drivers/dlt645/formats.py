"""How DL/T 645 writes values: decimal digits low byte first, signed by the top bit, and moments of time digit by digit.

Exact both ways: a number is an integer of its last decimal place (`whole`), and a float only where it is shown.
What is no decimal digit (FF and the like) is how a meter says that it has no such value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from typing import Final

from drivers.codec import from_bcd, to_bcd

Value = int | float | str
_SIGN: Final = 0x80


class Kind(Enum):
    """What the bytes of a value are."""

    NUMBER = "number"
    """Decimal digits, low byte first."""
    DIGITS = "digits"
    """Decimal digits of a name (an address, a meter's number): leading zeros count."""
    TEXT = "text"
    """ASCII characters, the last one first."""
    BITS = "bits"
    """Binary, low byte first: a status word, a constant of a vendor."""
    BYTES = "bytes"
    """Bytes of a meaning of their own, shown in hexadecimal as they come."""
    MOMENT = "moment"
    """A point in time; `layout` names its bytes."""


@dataclass(frozen=True, slots=True)
class Format:
    """One value on the wire. `layout` of a moment names its bytes as they come: s m h W D M Y, and N for a table,
    zone or tariff that begins then."""

    size: int
    decimals: int = 0
    signed: bool = False
    kind: Kind = Kind.NUMBER
    layout: str = ""

    def whole(self, data: bytes) -> int | None:
        """The number in units of its last decimal place; None where the meter has none."""
        if self.kind is Kind.BITS:
            return int.from_bytes(data, "little")
        raw = int.from_bytes(data, "little")
        negative = False
        if self.signed and data:
            sign = _SIGN << 8 * (len(data) - 1)
            negative = bool(raw & sign)
            raw &= ~sign
        number = from_bcd(raw)
        return -number if number is not None and negative else number

    def decode(self, data: bytes) -> Value | None:
        """The value as it is shown; None where the meter has none."""
        match self.kind:
            case Kind.NUMBER:
                number = self.whole(data)
                return number if number is None or not self.decimals else number / 10**self.decimals
            case Kind.BITS:
                return int.from_bytes(data, "little")
            case Kind.DIGITS:
                digits = data[::-1].hex()
                return digits if digits.isdecimal() else None
            case Kind.TEXT:
                return _text(data)
            case Kind.BYTES:
                return data.hex().upper()
            case Kind.MOMENT:
                return _shown(self.layout, data)

    def encode(self, value: Value | datetime) -> bytes:
        """The bytes of `value`; raises ValueError, TypeError or OverflowError where this format cannot say it."""
        if isinstance(value, datetime):
            return bytes(to_bcd(_part(letter, value)) for letter in self.layout)
        match self.kind:
            case Kind.NUMBER:
                return self._number(value)
            case Kind.BITS:
                return int(value).to_bytes(self.size, "little")
            case Kind.DIGITS:
                return bytes.fromhex(str(value).rjust(2 * self.size, "0"))[::-1]
            case Kind.TEXT:
                return _sized(str(value).encode("ascii"), self.size).ljust(self.size)[::-1]
            case Kind.BYTES:
                return bytes.fromhex(str(value))
            case Kind.MOMENT:
                raise TypeError(f"{value!r} is no datetime")

    def _number(self, value: Value) -> bytes:
        scaled = Decimal(str(value)).scaleb(self.decimals)
        whole = int(scaled.to_integral_value(ROUND_HALF_UP))
        if whole < 0 and not self.signed:
            raise OverflowError(f"{value} is negative, and this format has no sign")
        data = bytearray(_sized(to_bcd(abs(whole)).to_bytes(max(self.size, 16), "big").lstrip(b"\0"), self.size))
        data = bytearray(bytes(data).rjust(self.size, b"\0")[::-1])
        if self.signed:
            if data[-1] & _SIGN:
                raise OverflowError(f"{value} is too large for {self.size} bytes with a sign")
            if whole < 0:
                data[-1] |= _SIGN
        return bytes(data)


def moment(layout: str, data: bytes) -> datetime | None:
    """The point in time, naive as the meter's own clock tells it; None where it is none or names no full date."""
    parts = _parts(layout, data)
    if parts is None or not {"Y", "M", "D"} <= parts.keys():
        return None
    try:
        return datetime(  # noqa: DTZ001 - a meter's clock knows no time zone; whoever reads the meter does
            2000 + parts["Y"], parts["M"], parts["D"], parts.get("h", 0), parts.get("m", 0), parts.get("s", 0)
        )
    except ValueError:
        return None


def number(digits: int, decimals: int = 0, *, signed: bool = False) -> Format:
    """A number of so many bytes and decimal places."""
    return Format(digits, decimals, signed)


def stamp(layout: str) -> Format:
    """A moment whose bytes are as `layout` names them."""
    return Format(len(layout), kind=Kind.MOMENT, layout=layout)


def text(size: int) -> Format:
    """So many characters."""
    return Format(size, kind=Kind.TEXT)


def digits(size: int) -> Format:
    """So many bytes of digits that are a name."""
    return Format(size, kind=Kind.DIGITS)


def bits(size: int) -> Format:
    """So many bytes of binary."""
    return Format(size, kind=Kind.BITS)


def opaque(size: int) -> Format:
    """So many bytes that only their vendor understands."""
    return Format(size, kind=Kind.BYTES)


ENERGY: Final = number(4, 2)
ENERGY_SIGNED: Final = number(4, 2, signed=True)
POWER: Final = number(3, 4, signed=True)
VOLTAGE: Final = number(2, 1)
CURRENT: Final = number(3, 3, signed=True)
FACTOR: Final = number(2, 3, signed=True)
PERCENT: Final = number(2, 2)
MONEY: Final = number(4, 2)
PRICE: Final = number(4, 4)
COUNT: Final = number(3)
TIME: Final = stamp("smh")
DATE: Final = stamp("WDMY")
CLOCK: Final = stamp("smhDMY")
"""Second to year, as in the clock broadcast and in event records."""
CLOCK_WEEKDAY: Final = stamp("smhWDMY")
MINUTE: Final = stamp("mhDMY")
STATUS: Final = bits(2)


def _sized(data: bytes, size: int) -> bytes:
    if len(data) > size:
        raise OverflowError(f"{len(data)} bytes do not fit {size}")
    return data


def _text(data: bytes) -> str | None:
    if not data.strip(b"\xff"):
        return None
    shown = data[::-1].decode("ascii", "replace").replace("�", "?").strip("\0 ")
    return "".join(char if char.isprintable() else "?" for char in shown)


def _parts(layout: str, data: bytes) -> dict[str, int] | None:
    parts: dict[str, int] = {}
    for letter, byte in zip(layout, data, strict=False):
        part = from_bcd(byte)
        if part is None:
            return None
        parts[letter] = part
    return parts if len(data) >= len(layout) else None


def _shown(layout: str, data: bytes) -> str | None:
    """Year to second, in that order, as far as the layout goes; told as it stands, possible or not."""
    parts = _parts(layout, data)
    if parts is None:
        return None
    date = [f"{parts[letter]:02}" for letter in "YMD" if letter in parts]
    if "Y" in parts:
        date[0] = "20" + date[0]
    elif len(date) == 1:
        date = [f"day {date[0]}"]
    time = [f"{parts[letter]:02}" for letter in "hms" if letter in parts]
    if len(time) == 1:
        time = [f"hour {time[0]}"]
    said = [word for word in ("-".join(date), ":".join(time)) if word]
    if "W" in parts:
        said.append(f"weekday {parts['W']}")
    if "N" in parts:
        said.append(f"number {parts['N']}")
    return " ".join(said)


def _part(letter: str, at: datetime) -> int:
    match letter:
        case "s":
            return at.second
        case "m":
            return at.minute
        case "h":
            return at.hour
        case "W":
            return at.isoweekday() % 7
        case "D":
            return at.day
        case "M":
            return at.month
        case "Y":
            return at.year % 100
    raise ValueError(f"a moment has no {letter}")

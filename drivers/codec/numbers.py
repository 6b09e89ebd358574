"""Types of values in registers: exact both ways, from and to big-endian bytes."""

from __future__ import annotations

import struct
from enum import Enum
from fractions import Fraction

from drivers.codec.bcd import from_bcd, from_mod10000, to_bcd, to_mod10000

Raw = int | float | str


class NumberType(Enum):
    """What a register or a run of registers holds; the value is the word used in profiles."""

    UINT8_HI = "uint8_hi"
    UINT8_LO = "uint8_lo"
    INT8_HI = "int8_hi"
    INT8_LO = "int8_lo"
    UINT16 = "uint16"
    INT16 = "int16"
    UINT32 = "uint32"
    INT32 = "int32"
    UINT64 = "uint64"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BOOL = "bool"
    BCD16 = "bcd16"
    BCD32 = "bcd32"
    BCD64 = "bcd64"
    MOD10000 = "mod10000"
    STRING = "string"

    @property
    def words(self) -> int:
        """Registers it takes; 0 where that is up to the profile."""
        return _SHAPES[self][1]

    @property
    def is_float(self) -> bool:
        """Whether its values are binary floating point."""
        return self in (NumberType.FLOAT32, NumberType.FLOAT64)

    @property
    def is_signed(self) -> bool:
        """Whether it is an integer in two's complement."""
        return self.value.startswith("int")

    @property
    def bits(self) -> int:
        """Bits of the value of an integer type, 0 of every other."""
        if "int8" in self.value:
            return 8
        return 16 * self.words if "int" in self.value else 0

    def format(self, words: int) -> str:
        """`struct` format of the big-endian value in `words` registers."""
        shape = _SHAPES[self][0]
        return f"{2 * words}s" if shape == "s" else shape


_SHAPES: dict[NumberType, tuple[str, int]] = {
    NumberType.UINT8_HI: ("Bx", 1),
    NumberType.UINT8_LO: ("xB", 1),
    NumberType.INT8_HI: ("bx", 1),
    NumberType.INT8_LO: ("xb", 1),
    NumberType.UINT16: ("H", 1),
    NumberType.INT16: ("h", 1),
    NumberType.UINT32: ("I", 2),
    NumberType.INT32: ("i", 2),
    NumberType.UINT64: ("Q", 4),
    NumberType.INT64: ("q", 4),
    NumberType.FLOAT32: ("f", 2),
    NumberType.FLOAT64: ("d", 4),
    NumberType.BOOL: ("H", 1),
    NumberType.BCD16: ("H", 1),
    NumberType.BCD32: ("I", 2),
    NumberType.BCD64: ("Q", 4),
    NumberType.MOD10000: ("s", 0),
    NumberType.STRING: ("s", 0),
}

BCD = frozenset({NumberType.BCD16, NumberType.BCD32, NumberType.BCD64})


def exact(number: float) -> Fraction:
    """The decimal number as it was written, not the nearest binary one."""
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def refine(kind: NumberType, unpacked: int | float | bytes) -> Raw | None:
    """What `struct` unpacked as the type's own value; None where no such value exists (a nibble above 9)."""
    if isinstance(unpacked, bytes):
        return from_mod10000(unpacked) if kind is NumberType.MOD10000 else decode_text(unpacked)
    if kind in BCD:
        return from_bcd(int(unpacked))
    return int(bool(unpacked)) if kind is NumberType.BOOL else unpacked


def decode(kind: NumberType, data: bytes) -> Raw | None:
    """Value of big-endian bytes, whose number must be that of the type; None where they are no such value."""
    (unpacked,) = struct.unpack(">" + kind.format(len(data) // 2), data)
    return refine(kind, unpacked)


def encode(kind: NumberType, value: Raw, words: int = 0) -> bytes:
    """Big-endian bytes of `value`; OverflowError, ValueError or TypeError where the type cannot hold it."""
    size = kind.words or words
    if kind is NumberType.STRING:
        data = str(value).encode("latin-1")
        if len(data) > 2 * size:
            raise OverflowError(f"{value!r} is longer than {2 * size} characters")
        return data.ljust(2 * size, b"\0")
    if isinstance(value, str):
        raise TypeError(f"{value!r} is no number")
    try:
        if kind.is_float:
            return struct.pack(">" + kind.format(size), value)
        whole = int(value)
        if kind is NumberType.MOD10000:
            return to_mod10000(whole, size)
        return struct.pack(">" + kind.format(size), to_bcd(whole) if kind in BCD else whole)
    except struct.error as error:
        raise OverflowError(f"{value} does not fit {kind.value}") from error


def decode_text(data: bytes) -> str:
    """Characters up to the first NUL, without the blanks that pad them; what is no ASCII becomes `?`."""
    text = data.split(b"\0", 1)[0].decode("ascii", "replace").replace("�", "?")
    return "".join(char if char.isprintable() else "?" for char in text).strip()

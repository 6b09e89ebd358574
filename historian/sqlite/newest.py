"""Newest values of packed days, as the catalogue notes them of each unit and measurement."""

from __future__ import annotations

import struct
import zlib

from historian.errors import DamagedHistory

ENTRY = struct.Struct("<HqdI")
"""Newest value of a column: column, ms, value in base units, status."""
_SUM = struct.Struct("<I")


def sealed(series: int, measurement: str, entries: bytes) -> bytes:
    """Entries of one unit with their check sum."""
    return entries + _SUM.pack(_check_sum(series, measurement, entries))


def unsealed(series: int, measurement: str, data: object) -> bytes:
    """The entries again; raises DamagedHistory. What was noted before there were check sums is taken as it is."""
    if isinstance(data, bytes):
        entries, told = data[: len(data) // ENTRY.size * ENTRY.size], data[len(data) // ENTRY.size * ENTRY.size :]
        if not told or (len(told) == _SUM.size and _SUM.unpack(told)[0] == _check_sum(series, measurement, entries)):
            return entries
    raise DamagedHistory("newest values of packed days have the wrong check sum")


def _check_sum(series: int, measurement: str, entries: bytes) -> int:
    return zlib.crc32(entries, zlib.crc32(f"{series}|{measurement}".encode()))

"""One unit-day of one measurement as a matrix, and as the bytes of a packed day.

Packed, a column is a stream of whole numbers: counters and decimal gauges as value x 10^scale, other floats as the
bits of a float32 or float64, whichever gives back every value bit for bit. The stream holds differences as zigzag
varints; a row without a value repeats the one before. zlib goes over the whole.

    u8 version, u32 rows, i64 first ms, i64 step ms (0: irregular), u32 bytes of times, u16 columns
    per column: u16 number, u8 coding, u8 flags, u32 bytes of stream, u32 runs
    times (irregular: differences as varints)
    per column: stream | flag 1: bits, which rows have a value | runs of (first row, rows, status) u32 each
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from historian.errors import DamagedHistory, WrongFormat
from historian.sqlite import varint

VERSION = 1
_HEAD = struct.Struct("<BIqqIH")
_COLUMN = struct.Struct("<HBBII")
_LARGEST_SCALE = 6
_FLOAT32 = 16
_FLOAT64 = 17
_HAS_GAPS = 1
_EXACT = float(2**53)
_MOST_ROWS = 8_640_000
_MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class DayBlock:
    """Readings of one unit: time_ms (n,) ascending and distinct; values, status, present (n, c).

    values are in base units, NaN where there is none; what is not `present` was not read at that time.
    """

    time_ms: NDArray[np.int64]
    columns: tuple[int, ...]
    values: NDArray[np.float64]
    status: NDArray[np.uint32]
    present: NDArray[np.bool_]

    def rows(self, places: NDArray[np.int64] | NDArray[np.bool_] | slice) -> DayBlock:
        """Only these rows."""
        return DayBlock(
            self.time_ms[places], self.columns, self.values[places], self.status[places], self.present[places]
        )


@dataclass(frozen=True, slots=True, eq=False)
class PackedColumn:
    """One column cut out of a packed day and not decoded yet."""

    time_ms: NDArray[np.int64]
    coding: int
    stream: bytes
    gaps: bytes | None
    runs: NDArray[np.uint32]


def pack(block: DayBlock) -> bytes:
    """The bytes of a day; `unpack` gives back every bit but columns in which nothing is present."""
    rows = len(block.time_ms)
    times, step = _pack_times(block.time_ms)
    kept = np.flatnonzero(block.present.any(axis=0)).tolist()
    values = np.ascontiguousarray(block.values[:, kept].T)
    has_value = ~np.isnan(values)
    numbers, codings = to_integers(fill(values, has_value))
    streams, lengths = varint.encode(_differences(numbers).ravel())
    sizes = lengths.reshape(len(kept), rows).sum(axis=1).tolist() if rows else [0] * len(kept)
    gappy = set(np.flatnonzero(~has_value.all(axis=1)).tolist())
    heads: list[bytes] = []
    body: list[bytes] = [times]
    place = 0
    for index, column in enumerate(kept):
        status = block.status[:, column]
        listed = block.present[:, column] & ((status != 0) | ~has_value[index])
        runs = _runs(status, listed)
        gaps = np.packbits(has_value[index]).tobytes() if index in gappy else b""
        flags = _HAS_GAPS if index in gappy else 0
        heads.append(_COLUMN.pack(block.columns[column], codings[index], flags, sizes[index], len(runs)))
        body += [streams[place : place + sizes[index]], gaps, runs.tobytes()]
        place += sizes[index]
    first = int(block.time_ms[0]) if rows else 0
    head = _HEAD.pack(VERSION, rows, first, step, len(times), len(kept))
    return zlib.compress(b"".join([head, *heads, *body]), 6)


def unpack(packed: bytes) -> DayBlock:
    """The day that was packed; raises DamagedHistory for any other bytes."""
    cuts = _cut(packed, None)
    columns = tuple(cuts)
    if not columns:
        time_ms = _cut_times(packed)
        empty = np.empty((len(time_ms), 0))
        return DayBlock(time_ms, (), empty, empty.astype(np.uint32), empty.astype(np.bool_))
    decoded = [decode([cut]) for cut in cuts.values()]
    return DayBlock(
        next(iter(cuts.values())).time_ms,
        columns,
        np.stack([values for values, _, _ in decoded], axis=1),
        np.stack([status for _, status, _ in decoded], axis=1),
        np.stack([present for _, _, present in decoded], axis=1),
    )


def check_sum(packed: bytes, key: int) -> int:
    """CRC-32 of a packed day and the row it stands in: another unit's or day's does not pass for it."""
    return zlib.crc32(packed, zlib.crc32(key.to_bytes(8, "little")))


def checked(packed: object, told: object, key: int) -> bytes:
    """The bytes, if they have this check sum; raises DamagedHistory.

    Days packed before the row was part of it have the bytes' alone.
    """
    if not isinstance(packed, bytes) or told not in (check_sum(packed, key), zlib.crc32(packed)):
        raise DamagedHistory("a packed day has the wrong check sum")
    return packed


def cut_column(packed: bytes, column: int) -> PackedColumn | None:
    """One column of a packed day, None where the day does not have it; raises DamagedHistory."""
    return _cut(packed, column).get(column)


def decode(
    cuts: list[PackedColumn],
) -> tuple[NDArray[np.float64], NDArray[np.uint32], NDArray[np.bool_]]:
    """Values, status and presence of the same column of several days, one after the other."""
    counts = [len(cut.time_ms) for cut in cuts]
    total = sum(counts)
    numbers = varint.decode(b"".join([cut.stream for cut in cuts]), total)
    values = _accumulate_floats(numbers, cuts, counts)
    status = np.zeros(total, np.uint32)
    present = np.ones(total, np.bool_)
    first = 0
    for cut, count in zip(cuts, counts, strict=True):
        if cut.gaps is not None:
            has_value = np.unpackbits(np.frombuffer(cut.gaps, np.uint8), count=count).astype(np.bool_)
            values[first : first + count][~has_value] = np.nan
            present[first : first + count] = has_value
        for start, length, code in cut.runs.tolist():
            status[first + start : first + start + length] = code
            present[first + start : first + start + length] = True
        first += count
    return values, status, present


def _pack_times(time_ms: NDArray[np.int64]) -> tuple[bytes, int]:
    steps = np.diff(time_ms)
    if not len(steps):
        return b"", 1
    if (steps == steps[0]).all():
        return b"", int(steps[0])
    return varint.encode(_differences(steps[None, :]).ravel())[0], 0


def _unpack_times(data: bytes, rows: int, first: int, step: int) -> NDArray[np.int64]:
    if step:
        return np.arange(rows, dtype=np.int64) * step + first
    steps = np.cumsum(varint.decode(data, rows - 1)) if rows else np.empty(0, np.int64)
    time_ms = np.empty(rows, np.int64)
    time_ms[:1] = first
    np.cumsum(steps, out=time_ms[1:])
    time_ms[1:] += first
    return time_ms


def fill(values: NDArray[np.float64], has_value: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Values with each gap filled from the row before, or the first value, or 0."""
    if has_value.all():
        return values
    rows = np.arange(values.shape[1])
    known = np.where(has_value, rows, -1)
    source = np.maximum.accumulate(known, axis=1)
    first = np.argmax(has_value, axis=1)[:, None]
    filled: NDArray[np.float64] = np.take_along_axis(values, np.where(source < 0, first, source), axis=1)
    filled[~has_value.any(axis=1)] = 0.0
    return filled


def to_integers(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], list[int]]:
    """Each column (a row here) as whole numbers, and the coding that gives back exactly its bits."""
    numbers = values.view(np.int64).copy()
    codings = np.full(len(values), _FLOAT64)
    open_ = np.ones(len(values), np.bool_)
    bits = values.view(np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        for scale in range(_LARGEST_SCALE + 1):
            places = np.flatnonzero(open_)
            if not len(places):
                return numbers, codings.tolist()
            power = 10.0**scale
            scaled = np.rint(values[places] * power)
            whole = scaled.astype(np.int64)
            fits = (np.abs(scaled) < _EXACT) & ((whole / power).view(np.int64) == bits[places])
            exact = fits.all(axis=1)
            done = places[exact]
            numbers[done] = whole[exact]
            codings[done] = scale
            open_[done] = False
        for place in np.flatnonzero(open_).tolist():
            single = values[place].astype(np.float32)
            if (single.astype(np.float64).view(np.int64) == bits[place]).all():
                numbers[place] = single.view(np.int32)
                codings[place] = _FLOAT32
    return numbers, codings.tolist()


def _differences(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    out = numbers.copy()
    out[:, 1:] -= numbers[:, :-1]
    return out


def _accumulate_floats(numbers: NDArray[np.int64], cuts: list[PackedColumn], counts: list[int]) -> NDArray[np.float64]:
    running = np.cumsum(numbers)
    ends = np.cumsum(counts)
    firsts = ends - counts
    before = np.zeros(len(cuts), np.int64)
    before[firsts > 0] = running[firsts[firsts > 0] - 1]
    running -= np.repeat(before, counts)
    codings = {cut.coding for cut in cuts}
    if len(codings) == 1:
        return to_floats(running, codings.pop())
    parts = np.split(running, ends[:-1])
    return np.concatenate([to_floats(part, cut.coding) for part, cut in zip(parts, cuts, strict=True)])


def to_floats(numbers: NDArray[np.int64], coding: int) -> NDArray[np.float64]:
    """The values that `to_integers` made these numbers of; raises DamagedHistory for an unknown coding."""
    if coding <= _LARGEST_SCALE:
        return numbers / 10.0**coding
    if coding == _FLOAT32:
        return numbers.astype(np.int32).view(np.float32).astype(np.float64)
    if coding == _FLOAT64:
        return numbers.view(np.float64).copy()
    raise DamagedHistory(f"a packed column has the unknown coding {coding}")


def _runs(status: NDArray[np.uint32], listed: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Runs of listed rows with one status: shape (n, 3) of first row, rows, status."""
    if not listed.any():
        return np.empty((0, 3), "<u4")
    code = np.where(listed, status.astype(np.int64), -1)
    starts = np.flatnonzero(np.diff(code, prepend=-2))
    lengths = np.diff(starts, append=len(code))
    kept = code[starts] >= 0
    return np.stack([starts[kept], lengths[kept], code[starts[kept]]], axis=1).astype("<u4")


def _open(packed: bytes) -> tuple[bytes, int, int, NDArray[np.int64], int]:
    """Inflated bytes, columns, where the column heads end, times, where the columns begin."""
    inflater = zlib.decompressobj()
    data = inflater.decompress(packed, _MOST_BYTES)
    if not inflater.eof or inflater.unused_data:
        raise DamagedHistory("a packed day does not end where it should")
    version, rows, first, step, time_bytes, columns = _HEAD.unpack_from(data)
    if version != VERSION:
        raise WrongFormat(f"a packed day has format {version}", hint="run the hub that wrote it, or a newer one")
    if rows > _MOST_ROWS:
        raise DamagedHistory(f"a packed day claims {rows} rows")
    heads_end = _HEAD.size + columns * _COLUMN.size
    body = heads_end + time_bytes
    return data, columns, heads_end, _unpack_times(data[heads_end:body], rows, first, step), body


def _cut(packed: bytes, wanted: int | None) -> dict[int, PackedColumn]:
    try:
        data, columns, heads_end, time_ms, place = _open(packed)
        rows = len(time_ms)
        cuts: dict[int, PackedColumn] = {}
        for index in range(columns):
            column, coding, flags, size, runs = _COLUMN.unpack_from(data, _HEAD.size + index * _COLUMN.size)
            bits = (rows + 7) // 8 if flags & _HAS_GAPS else 0
            if wanted is None or column == wanted:
                gaps_at, runs_at = place + size, place + size + bits
                gaps = data[gaps_at:runs_at] if bits else None
                table = np.frombuffer(data, "<u4", runs * 3, runs_at).reshape(runs, 3)
                cuts[column] = PackedColumn(time_ms, coding, data[place:gaps_at], gaps, table)
            place += size + bits + runs * 12
    except (zlib.error, struct.error, ValueError, OverflowError) as error:
        raise DamagedHistory(f"a packed day cannot be read ({error})") from error
    if heads_end > len(data) or (wanted is None and place != len(data)):
        raise DamagedHistory("a packed day has the wrong length")
    return cuts


def _cut_times(packed: bytes) -> NDArray[np.int64]:
    return _open(packed)[3]

"""Figures of a unit's day or month as bytes, many units at a time.

    u8 version, u8 buckets, u16 columns | u8 coding per column | zlib of the numbers

A column is one figure of one field. Its numbers are whole (value x 10^coding, or the bits of a float32 or float64, as
in packed days), gaps filled from the bucket before, as zigzag differences from bucket to bucket; their eight bytes lie
in planes, lowest first. COUNT and the mark COUNTED say where there is no figure.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from historian.errors import DamagedHistory, WrongFormat
from historian.rollups.figures import Figure, Figures, Floats, Mark, Shape
from historian.sqlite.block import fill, to_floats, to_integers

VERSION = 1
MOST_BUCKETS = 255
_HEAD = struct.Struct("<BBH")
_LEVEL = 1
_COUNTED = int(Mark.COUNTED)
_PLANES = 8


def encode(figures: Figures) -> list[bytes]:
    """The bytes of each unit's figures."""
    units, fields, kinds, buckets = figures.data.shape
    data = figures.data.copy()
    shape = figures.shape
    if Figure.DELTA in shape.figures:
        quality = data[:, :, shape.place(Figure.QUALITY), :]
        known = ~np.isnan(data[:, :, shape.place(Figure.DELTA), :])
        quality[...] = (quality.astype(np.int64) & ~_COUNTED) | np.where(known, _COUNTED, 0)
    columns = fields * kinds
    flat = np.ascontiguousarray(data.reshape(units * columns, buckets))
    numbers, codings = to_integers(fill(flat, ~np.isnan(flat)))
    steps = numbers.copy()
    steps[:, 1:] -= numbers[:, :-1]
    folded = (steps << 1) ^ (steps >> 63)
    planes = folded.view(np.uint8).reshape(units, columns * buckets, _PLANES).transpose(0, 2, 1)
    heads = np.array(codings, np.uint8).reshape(units, columns)
    head = _HEAD.pack(VERSION, buckets, columns)
    return [
        head + codings_of.tobytes() + zlib.compress(plane.tobytes(), _LEVEL)
        for codings_of, plane in zip(heads, planes, strict=True)
    ]


def decode(shape: Shape, fields: tuple[str, ...], packed: Sequence[bytes], buckets: int) -> Figures:
    """The figures of units that have the same fields and buckets; raises DamagedHistory."""
    columns = len(fields) * len(shape.figures)
    data = _numbers(packed, columns, buckets, None)
    found = Figures(shape, fields, data.reshape(len(packed), len(fields), len(shape.figures), buckets))
    _restore(found)
    return found


def decode_field(shape: Shape, fields: int, packed: Sequence[bytes], buckets: int, field: int) -> Figures:
    """The same of one of their fields only."""
    kinds = len(shape.figures)
    data = _numbers(packed, fields * kinds, buckets, range(field * kinds, (field + 1) * kinds))
    found = Figures(shape, ("",), data.reshape(len(packed), 1, kinds, buckets))
    _restore(found)
    return found


def inspect(packed: bytes) -> int:
    """How many buckets a unit's figures span; raises DamagedHistory."""
    if len(packed) < _HEAD.size:
        raise DamagedHistory("a rollup is cut short")
    version, buckets, _ = _HEAD.unpack_from(packed)
    if version != VERSION:
        raise WrongFormat(f"a rollup has format {version}", hint="run the hub that wrote it, or a newer one")
    return int(buckets)


def _numbers(packed: Sequence[bytes], columns: int, buckets: int, wanted: range | None) -> Floats:
    """Shape (units, columns or those wanted, buckets), gaps still filled."""
    size = columns * buckets
    body = _HEAD.size + columns
    head = _HEAD.pack(VERSION, buckets, columns)
    whole: list[bytes] = []
    for data in packed:
        if data[: _HEAD.size] != head:
            inspect(data)
            raise DamagedHistory("a rollup does not have the fields it should")
        try:
            plain = zlib.decompress(data[body:])
        except zlib.error as error:
            raise DamagedHistory(f"a rollup cannot be read ({error})") from error
        if len(plain) != size * _PLANES:
            raise DamagedHistory("a rollup has the wrong length")
        whole.append(plain)
    planes = np.frombuffer(b"".join(whole), np.uint8).reshape(len(packed), _PLANES, columns, buckets)
    codings = np.frombuffer(b"".join([data[_HEAD.size : body] for data in packed]), np.uint8)
    codings = codings.reshape(len(packed), columns)
    if wanted is not None:
        planes = planes[:, :, wanted.start : wanted.stop]
        codings = codings[:, wanted.start : wanted.stop]
    shape = (len(packed), planes.shape[2], buckets)
    folded = np.ascontiguousarray(planes.transpose(0, 2, 3, 1)).view(np.uint64).reshape(shape)
    steps = (folded >> np.uint64(1)).view(np.int64) ^ -((folded & np.uint64(1)).view(np.int64))
    numbers = np.cumsum(steps, axis=2)
    found = np.empty(shape)
    for coding in np.unique(codings).tolist():
        at = codings == coding
        found[at] = to_floats(numbers[at], coding)
    return found


def _restore(figures: Figures) -> None:
    """Take out what only filled gaps."""
    shape = figures.shape
    never = figures.of(Figure.COUNT) == 0
    for figure in (Figure.FIRST, Figure.LAST, Figure.LOW, Figure.HIGH, Figure.TOTAL):
        if figure in shape.figures:
            figures.of(figure)[never] = np.nan
    if Figure.DELTA in shape.figures:
        quality: NDArray[np.int64] = figures.of(Figure.QUALITY).astype(np.int64)
        figures.of(Figure.DELTA)[(quality & _COUNTED) == 0] = np.nan
        figures.of(Figure.QUALITY)[...] = quality & ~_COUNTED

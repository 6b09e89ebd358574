"""DataValues from columns to bytes (Part 6 5.2.2.17), without an object per value.

Values of one built-in type have one layout: they are written as rows of a byte matrix and scattered to their places.
Only texts are written one by one. What is written equals what asyncua's own encoder writes for the same DataValue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from address_space.model.clock import EPOCH_1601_TICKS
from address_space.model.quality import SEVERITY_BAD
from address_space.model.quantity import ALL, DataType
from address_space.model.value import Instants, Statuses, Values

TICK_NS = 100
"""Nanoseconds in one tick of an OPC UA DateTime."""
_TICK, _EPOCH = np.array(TICK_NS), np.array(EPOCH_1601_TICKS)
"""As arrays: numpy takes a number in Python's sense for one only after a look at its size."""
_US = 1_000_000
_US_TICKS = 10

TypeCodes = NDArray[np.uint8]
"""Built-in type ids, one per value."""
Bytes = NDArray[np.uint8]

TYPE_OF_QUANTITY: TypeCodes = np.array([quantity.value.data_type for quantity in ALL], np.uint8)
"""Built-in type by quantity code."""

NULL = 0
STATUS_CODE = 19
"""Built-in type of status codes as values, which no quantity has."""
_BODY: dict[int, np.dtype[Any]] = {
    NULL: np.dtype(np.uint8),
    DataType.BOOLEAN: np.dtype("u1"),
    DataType.UINT16: np.dtype("<u2"),
    DataType.INT32: np.dtype("<i4"),
    DataType.UINT32: np.dtype("<u4"),
    DataType.DOUBLE: np.dtype("<f8"),
    DataType.DATETIME: np.dtype("<i8"),
    STATUS_CODE: np.dtype("<u4"),
}
# as plain numbers: reaching a member through its enumeration costs as much as an array operation
_BOOLEAN, _DOUBLE, _DATETIME = int(DataType.BOOLEAN), int(DataType.DOUBLE), int(DataType.DATETIME)
_STRING, _LOCALIZED = int(DataType.STRING), int(DataType.LOCALIZED_TEXT)
_TEXTS = (_STRING, _LOCALIZED)
_HAS_VALUE, _HAS_STATUS, _HAS_SOURCE, _HAS_SERVER = 1, 2, 4, 8
_ENGLISH = b"\x03\x02\x00\x00\x00en"
"""Mask of a LocalizedText with locale and text, and the locale of all live texts."""


class Timestamps(IntEnum):
    """TimestampsToReturn (Part 4 7.40)."""

    SOURCE = 0
    SERVER = 1
    BOTH = 2
    NEITHER = 3

    @property
    def source(self) -> bool:
        """Whether source timestamps are wanted."""
        return self in (Timestamps.SOURCE, Timestamps.BOTH)

    @property
    def server(self) -> bool:
        """Whether server timestamps are wanted."""
        return self in (Timestamps.SERVER, Timestamps.BOTH)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Values to be written, same order in every column, shape (n,).

    types are built-in type ids; a NaN, a missing text or a bad status gives a null value; `texts` are by position.
    """

    types: TypeCodes
    values: Values
    status: Statuses
    source_ns: Instants
    server_ns: Instants
    texts: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """DataValues one behind the other, all of `width` bytes, or of different ones: then `ends` says where each ends."""

    buffer: bytes
    width: int
    ends: NDArray[np.int64] | None = None

    def pieces(self) -> list[bytes]:
        """Each DataValue by itself."""
        if self.ends is None:
            width = self.width
            return [self.buffer[start : start + width] for start in range(0, len(self.buffer), width or 1)]
        ends = self.ends.tolist()
        return [self.buffer[start:end] for start, end in zip([0, *ends], ends, strict=False)]


_STAMPS = {one: (one.source, one.server) for one in Timestamps}
_MASKS = {one: _HAS_VALUE | _HAS_STATUS | _HAS_SOURCE * one.source | _HAS_SERVER * one.server for one in Timestamps}
_FORMATS = {
    DataType.BOOLEAN: "?",
    DataType.UINT16: "H",
    DataType.INT32: "i",
    DataType.UINT32: "I",
    DataType.DOUBLE: "d",
    DataType.DATETIME: "q",
}
_ONE = {
    (one, int(kind)): Struct(f"<BB{form}I" + "q" * (one.source + one.server))
    for one in Timestamps
    for kind, form in _FORMATS.items()
}
_ONE_NULL = {one: Struct("<BBI" + "q" * (one.source + one.server)) for one in Timestamps}
_ONE_TAIL = {one: Struct("<I" + "q" * (one.source + one.server)) for one in Timestamps}


def encode(columns: Columns, timestamps: Timestamps, prefix: NDArray[np.uint32] | None = None) -> Encoded:
    """The DataValues of `columns`; `prefix` puts a UInt32 (a client handle) before each."""
    count = len(columns)
    if not count:
        return Encoded(b"", 0)
    kinds = columns.types
    if not _all_there(columns) or kinds[0] in _TEXTS:
        kinds = _kinds(columns)
    first = int(kinds[0])
    if first not in _TEXTS and bool((kinds == first).all()):
        rows = _rows(columns, slice(None), first, timestamps, prefix)
        return Encoded(rows.tobytes(), rows.dtype.itemsize)
    if kinds is columns.types:
        kinds = _kinds(columns)
    return _encode_mixed(columns, kinds, timestamps, prefix)


class Form:
    """Rows to be filled in again and again for `count` numbers of one type, all of which must be there."""

    __slots__ = ("_body", "_good", "_missing", "_none_missing", "_rows", "_stamps", "_status", "_ticks")

    def __init__(self, count: int, timestamps: Timestamps) -> None:
        rows = self._rows = np.empty(count, _LAYOUTS[_DOUBLE, timestamps, False])
        rows["mask"], rows["type"] = _mask(timestamps), _DOUBLE
        source, server = _STAMPS[timestamps]
        self._body, self._status = rows["body"], rows["status"]
        self._good = bytes(self._status.itemsize * count)
        self._stamps = (rows["source"] if source else None, rows["server"] if server else None)
        self._ticks = np.empty(count, np.int64)
        self._missing = np.empty(count, np.bool_)
        self._none_missing = bytes(count)

    def fill(self, columns: Columns) -> Encoded | None:
        """DataValues of `columns`, all of type Double; None where a value is missing."""
        np.isnan(columns.values, out=self._missing)
        quickly = columns.status.tobytes() == self._good and self._missing.tobytes() == self._none_missing
        if not quickly and not _all_there(columns):
            return None
        self._body[:] = columns.values
        self._status[:] = columns.status
        exact = self._ticks
        for place, moments_ns in zip(self._stamps, (columns.source_ns, columns.server_ns), strict=True):
            if place is not None:
                np.floor_divide(moments_ns, _TICK, out=exact)
                np.add(exact, _EPOCH, out=exact)
                place[:] = exact
        return Encoded(self._rows.tobytes(), self._rows.dtype.itemsize)


def encode_one(
    kind: int, value: float, status: int, source_ns: int, server_ns: int, text: str | None, timestamps: Timestamps
) -> bytes:
    """One DataValue, as `encode` writes it and quicker for a few; raises struct.error where a number has no room."""
    stamps = _STAMPS[timestamps]
    times = [ns // TICK_NS + EPOCH_1601_TICKS for ns, told in zip((source_ns, server_ns), stamps, strict=True) if told]
    mask = _MASKS[timestamps]
    is_text = kind in _TEXTS
    if status & SEVERITY_BAD or (text is None if is_text else value != value):
        return _ONE_NULL[timestamps].pack(mask, NULL, status, *times)
    if is_text:
        body = string(text or "") if kind == _STRING else localized_text(text or "")
        return bytes((mask, kind)) + body + _ONE_TAIL[timestamps].pack(status, *times)
    number: float | int = value
    if kind == _DATETIME:
        number = round(value * _US) * _US_TICKS + EPOCH_1601_TICKS
    elif kind == _BOOLEAN:
        number = value != 0
    elif kind != _DOUBLE:
        number = int(value)
    return _ONE[timestamps, kind].pack(mask, kind, number, status, *times)


def ticks(moments_ns: Instants) -> NDArray[np.int64]:
    """OPC UA DateTimes of instants."""
    return moments_ns // TICK_NS + EPOCH_1601_TICKS


def date_ticks(seconds: Values) -> NDArray[np.int64]:
    """OPC UA DateTimes of seconds since 1970, to the microsecond."""
    return np.rint(seconds * _US).astype(np.int64) * _US_TICKS + EPOCH_1601_TICKS


def localized_text(text: str) -> bytes:
    """Body of a LocalizedText in English, as drivers and engine write theirs."""
    return _ENGLISH + string(text)


def string(text: str) -> bytes:
    """Body of a String."""
    raw = text.encode("utf-8", "surrogateescape")
    return len(raw).to_bytes(4, "little") + raw


def _all_there(columns: Columns) -> bool:
    """Whether no value that is a number is missing."""
    return not (np.bitwise_or.reduce(columns.status) & SEVERITY_BAD or np.isnan(columns.values).any())


def _kinds(columns: Columns) -> TypeCodes:
    """Layout of each value: its built-in type, or NULL where there is no value to send."""
    absent = (columns.status & SEVERITY_BAD) != 0
    is_text = (columns.types == _STRING) | (columns.types == _LOCALIZED)
    absent |= np.isnan(columns.values) & ~is_text
    for position in np.flatnonzero(is_text & ~absent).tolist():
        absent[position] = position not in columns.texts
    return np.where(absent, NULL, columns.types)


def _layout(body: np.dtype[Any] | None, timestamps: Timestamps, *, prefixed: bool, split: bool) -> np.dtype[np.void]:
    """Row of one kind. A `split` row is what stands behind a text: its head is written with the text."""
    fields: list[tuple[str, np.dtype[Any]]] = []
    if not split:
        if prefixed:
            fields.append(("prefix", np.dtype("<u4")))
        fields += [("mask", np.dtype("u1")), ("type", np.dtype("u1"))]
        if body is not None:
            fields.append(("body", body))
    fields.append(("status", np.dtype("<u4")))
    if timestamps.source:
        fields.append(("source", np.dtype("<i8")))
    if timestamps.server:
        fields.append(("server", np.dtype("<i8")))
    return np.dtype(fields)


_LAYOUTS = {
    (int(kind), one, prefixed): _layout(body if kind != NULL else None, one, prefixed=prefixed, split=False)
    for kind, body in _BODY.items()
    for one in Timestamps
    for prefixed in (False, True)
}


def _mask(timestamps: Timestamps) -> int:
    return _MASKS[timestamps]


def _rows(
    columns: Columns,
    pick: slice | NDArray[np.int64],
    kind: int,
    timestamps: Timestamps,
    prefix: NDArray[np.uint32] | None,
) -> NDArray[np.void]:
    """Rows of the values at `pick`, all of one kind that has a fixed width."""
    status = columns.status[pick]
    rows = np.empty(len(status), _LAYOUTS[kind, timestamps, prefix is not None])
    if prefix is not None:
        rows["prefix"] = prefix[pick]
    rows["mask"] = _mask(timestamps)
    rows["type"] = kind
    if kind == _DATETIME:
        rows["body"] = date_ticks(columns.values[pick])
    elif kind == _BOOLEAN:
        rows["body"] = columns.values[pick] != 0
    elif kind != NULL:
        rows["body"] = columns.values[pick]
    _tails(rows, columns, pick, timestamps)
    return rows


def _tails(rows: NDArray[np.void], columns: Columns, pick: slice | NDArray[np.int64], timestamps: Timestamps) -> None:
    rows["status"] = columns.status[pick]
    source, server = _STAMPS[timestamps]
    if source:
        rows["source"] = ticks(columns.source_ns[pick])
    if server:
        rows["server"] = ticks(columns.server_ns[pick])


def _encode_mixed(
    columns: Columns, kinds: TypeCodes, timestamps: Timestamps, prefix: NDArray[np.uint32] | None
) -> Encoded:
    parts: list[tuple[NDArray[np.int64], Bytes]] = []
    texts: list[tuple[int, bytes]] = []
    sizes = np.empty(len(columns), np.int64)
    for kind in np.unique(kinds).tolist():
        pick = np.flatnonzero(kinds == kind)
        if kind in _TEXTS:
            tails = np.empty(len(pick), _layout(None, timestamps, prefixed=False, split=True))
            _tails(tails, columns, pick, timestamps)
            for position, tail in zip(pick.tolist(), tails, strict=True):
                written = _text(columns.texts[position], kind, timestamps, prefix, position) + tail.tobytes()
                texts.append((position, written))
                sizes[position] = len(written)
            continue
        rows = _rows(columns, pick, kind, timestamps, prefix)
        sizes[pick] = rows.dtype.itemsize
        parts.append((pick, rows.view(np.uint8).reshape(len(pick), rows.dtype.itemsize)))
    ends = np.cumsum(sizes)
    starts = ends - sizes
    out = np.empty(int(ends[-1]), np.uint8)
    for pick, matrix in parts:
        out[starts[pick][:, None] + np.arange(matrix.shape[1])] = matrix
    for position, written in texts:
        out[starts[position] : ends[position]] = np.frombuffer(written, np.uint8)
    return Encoded(out.tobytes(), 0, ends)


def _text(text: str, kind: int, timestamps: Timestamps, prefix: NDArray[np.uint32] | None, position: int) -> bytes:
    head = b"" if prefix is None else int(prefix[position]).to_bytes(4, "little")
    body = string(text) if kind == _STRING else localized_text(text)
    return head + bytes((_mask(timestamps), kind)) + body


def array_of(pieces: Sequence[bytes]) -> bytes:
    """An array of already written elements."""
    return len(pieces).to_bytes(4, "little") + b"".join(pieces)

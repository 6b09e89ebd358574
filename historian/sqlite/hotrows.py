"""Rows into a hot day, many to a statement: the interpreter lock is given up once a statement, not once a row, which
matters as soon as the event loop is busy on the other core.

A reading of a slot that has a row already is laid over it: it replaces the fields it brings and leaves the others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from historian.api import Readings
from historian.sqlite import rownumbers, rowstatus
from historian.sqlite.hotday import HotDay, Row
from historian.sqlite.rowsum import row_sums

SPOILT = 0x8000_0000
"""Status, Bad, of what stood in a row that is not what was written: its numbers are given up."""
_AT_ONCE = (256, 16, 1)
"""Rows a statement takes: a few different statements, which SQLite prepares once."""
_INTO = "INSERT INTO {}(p, ts, s, k, d) VALUES"
_OVER = "INSERT OR REPLACE INTO {}(p, ts, s, k, d) VALUES"
_STANDING = "WITH w(p, ts) AS (VALUES {}) SELECT d.* FROM w JOIN {} d ON d.p = w.p AND d.ts = w.ts"
_KEYS = 2
_WIDTH = 5


def store_rows(connection: sqlite3.Connection, day: HotDay, part: Readings, columns: tuple[int, ...]) -> int:
    """Write distinct slots of one day within a transaction, each field into its column; raises sqlite3.Error.

    Says how many rows that stood there were not what was written.
    """
    blobs = rowstatus.of_rows(columns, part.values, part.status)
    flat = _flat(part, columns, blobs, part.values)
    taken: list[range] = []
    for first, end in _statements(len(part.time_ms)):
        statement = f"{_INTO.format(day.name)} {_marks(end - first, _WIDTH)} ON CONFLICT DO NOTHING"
        if connection.execute(statement, flat[first * _WIDTH : end * _WIDTH]).rowcount < end - first:
            taken.append(range(first, end))
    if not taken:
        return 0
    return _lay_over(connection, day, part.rows(np.array(list(chain.from_iterable(taken)), np.int64)), columns)


def _lay_over(connection: sqlite3.Connection, day: HotDay, part: Readings, columns: tuple[int, ...]) -> int:
    """Write rows whose slots may be taken, with what stands there already."""
    found, places = _standing(connection, day, part)
    kept = day.checked(found)
    named = [_columns(row) for row in found]
    width = 1 + max(max(columns, default=-1), max((max(there, default=-1) for there in named), default=-1))
    shape = (len(part.time_ms), width)
    values, status, present = np.full(shape, np.nan), np.zeros(shape, np.uint32), np.zeros(shape, np.bool_)
    for row in np.setdiff1d(np.arange(len(found)), kept.at).tolist():
        present[places[row], named[row]] = True
        status[places[row], named[row]] = SPOILT
    at, known = places[kept.at][:, None], np.array(kept.block.columns, np.int64)
    values[at, known], status[at, known], present[at, known] = (
        kept.block.values,
        kept.block.status,
        kept.block.present,
    )
    values[:, columns], status[:, columns], present[:, columns] = part.values, part.status, True
    flat: list[object] = []
    for rows in _alike(present):
        every = tuple(np.flatnonzero(present[rows[0]]).tolist())
        cells = values[rows][:, every]
        flat += _flat(part.rows(rows), every, rowstatus.of_rows(every, cells, status[rows][:, every]), cells)
    for first, end in _statements(len(part.time_ms)):
        statement = f"{_OVER.format(day.name)} {_marks(end - first, _WIDTH)}"
        connection.execute(statement, flat[first * _WIDTH : end * _WIDTH])
    return kept.spoilt


def _standing(connection: sqlite3.Connection, day: HotDay, part: Readings) -> tuple[list[Row], NDArray[np.int64]]:
    """Rows that stand in the slots of these readings, and the reading of each."""
    slots = list(zip(part.series.tolist(), part.time_ms.tolist(), strict=True))
    flat = list(chain.from_iterable(slots))
    reading = {slot: place for place, slot in enumerate(slots)}
    found: list[Row] = []
    for first, end in _statements(len(slots)):
        query = _STANDING.format(_marks(end - first, _KEYS), day.name)
        found += connection.execute(query, flat[first * _KEYS : end * _KEYS]).fetchall()
    rows = [row for row in found if row[:_KEYS] in reading]
    return rows, np.array([reading[row[0], row[1]] for row in rows], np.int64)


def _alike(present: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Rows that have the same columns: no stored row has one of which it knows nothing, nor looks as if it had."""
    if (present == present[:1]).all():
        return [np.arange(len(present))]
    patterns, which = np.unique(np.packbits(present, axis=1), axis=0, return_inverse=True)
    return [np.flatnonzero(which.reshape(-1) == number) for number in range(len(patterns))]


def _columns(row: Row) -> list[int]:
    """Columns that a row has, as far as it tells."""
    numbers = row[-1]
    if not rownumbers.fits(numbers):
        return []
    layout = rownumbers.layout_of(numbers[: 1 + 2 * numbers[0]])
    return sorted(layout.whole + layout.others)


def _flat(
    part: Readings, columns: tuple[int, ...], blobs: Sequence[bytes | None], values: NDArray[np.float64]
) -> list[object]:
    """What statements are given, row by row."""
    sums = row_sums(part.measurement, part.series, part.time_ms, blobs, values.T, columns).tolist()
    rows = zip(
        part.series.tolist(), part.time_ms.tolist(), blobs, sums, rownumbers.encode(columns, values), strict=True
    )
    return list(chain.from_iterable(rows))


def _statements(rows: int) -> Iterator[tuple[int, int]]:
    """First row of each statement, and the one behind its last."""
    first = 0
    for at_once in _AT_ONCE:
        while rows - first >= at_once:
            yield first, first + at_once
            first += at_once


@lru_cache(maxsize=16)
def _marks(rows: int, width: int) -> str:
    return ", ".join([f"({', '.join('?' * width)})"] * rows)

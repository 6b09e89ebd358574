"""A hot day: the table that holds its rows, and rows of it as a matrix of those that pass their check sums.

Tables that format 1 made (`e_YYYYMMDD`, a column for each number, no check sums) are read as they are until they are
packed, and not written any more: what comes for such a day goes into a table beside.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from historian.errors import DamagedHistory
from historian.schema import Measurement
from historian.sqlite import rownumbers, rowstatus
from historian.sqlite.block import DayBlock
from historian.sqlite.files import DAY_MS, PREFIX, date_of
from historian.sqlite.rowsum import row_sums

Row = tuple[Any, ...]
"""As it stands in the table, which may be anything where the disk spoilt it."""
Damage = Callable[[str, str], None]
"""Told where something is damaged and what is wrong with it."""
HINT = "what is damaged is left out: check the disk, restore the file from a backup"

_NAME = re.compile(r"(rows_)?([ei])_(\d{4})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_MEASUREMENT = {letter: measurement for measurement, letter in PREFIX.items()}
_EPOCH = date(1970, 1, 1).toordinal()
_STATUS, _SUM, _NUMBERS = 2, 3, 4
_PLAIN_KEYS = 3
_COLUMNS = "(p INTEGER, ts INTEGER, s BLOB, k INTEGER, d BLOB, PRIMARY KEY(p, ts)) WITHOUT ROWID"


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """Rows that are what was written: `at` says which of those that were looked at, `spoilt` how many others there are.

    series  the unit's number of each row
    block   all columns that any of the rows has
    """

    series: NDArray[np.int64]
    block: DayBlock
    at: NDArray[np.int64]
    spoilt: int


@dataclass(frozen=True, slots=True)
class HotDay:
    """The table of a measurement and day (days since 1970); `plain` is one of format 1."""

    measurement: Measurement
    day: int
    plain: bool = False

    @property
    def name(self) -> str:
        """What it is called in the file."""
        return _name(self)

    @property
    def made(self) -> str:
        """The statement that makes the table; not for a plain one."""
        return f"CREATE TABLE IF NOT EXISTS {self.name}{_COLUMNS}"

    def fields(self, connection: sqlite3.Connection) -> str:
        """What, to group by, is the same of rows `d` that hold the same fields."""
        if not self.plain:
            return f"substr(d.d, 1, 2 * instr(x'{bytes(range(256)).hex()}', substr(d.d, 1, 1)) - 1)"
        names = [name for name, *_ in connection.execute(f"SELECT * FROM {self.name} LIMIT 0").description]  # noqa: S608
        return ", ".join(["d.p", *(f"d.{name} IS NULL" for name in names[_PLAIN_KEYS:])])

    def checked(self, rows: Sequence[Row], asked: NDArray[np.int64] | None = None) -> Checked:
        """Whole rows of the table, without those that are not what was written or of other units than asked for."""
        at = np.arange(len(rows))
        try:
            series, block, true = self._matrix(rows)
        except _NO_ROW:
            at = np.array([place for place, row in enumerate(rows) if self._can_be(row)], np.int64)
            series, block, true = self._matrix([rows[place] for place in at.tolist()])
        true &= (block.time_ms >= self.day * DAY_MS) & (block.time_ms < (self.day + 1) * DAY_MS)
        if asked is not None:
            true &= series == asked[0] if len(asked) == 1 else np.isin(series, asked)
        if not true.all():
            at, series, block = at[true], series[true], block.rows(true)
        return Checked(series, block, at, len(rows) - len(at))

    def _matrix(self, rows: Sequence[Row]) -> tuple[NDArray[np.int64], DayBlock, NDArray[np.bool_]]:
        """Unit of each row, the rows, and whether their sums fit; raises _NO_ROW where one holds what rows cannot."""
        fields: list[tuple[Any, ...]] = list(zip(*rows, strict=True)) or [()] * (_NUMBERS + 1)
        series, time_ms, blobs = np.array(fields[0], np.int64), np.array(fields[1], np.int64), fields[_STATUS]
        if self.plain:
            numbers = np.array(fields[_PLAIN_KEYS:], np.float64).reshape(len(fields) - _PLAIN_KEYS, len(rows))
        else:
            numbers = rownumbers.decode(fields[_NUMBERS])
        width = len(numbers)
        status, present = np.zeros((len(rows), width), np.uint32), ~np.isnan(numbers.T)
        known: dict[object, tuple[NDArray[np.uint32], NDArray[np.bool_]]] = {}
        for row, blob in enumerate(blobs):
            if blob is None:
                continue
            if blob not in known:
                known[blob] = _spread(blob, width)
            codes, listed = known[blob]
            status[row] = codes
            present[row] |= listed
        columns = tuple(range(width))
        true = np.ones(len(rows), np.bool_)
        if not self.plain:
            true = row_sums(self.measurement, series, time_ms, blobs, numbers, columns) == np.array(
                fields[_SUM], np.int64
            )
        return series, DayBlock(time_ms, columns, numbers.T, status, present), true

    def _can_be(self, row: Row) -> bool:
        try:
            rowstatus.decode(b"" if row[_STATUS] is None else row[_STATUS])
        except DamagedHistory:
            return False
        if self.plain:
            return all(cell is None or isinstance(cell, int | float) for cell in (*row[:_STATUS], *row[_PLAIN_KEYS:]))
        return all(isinstance(cell, int) for cell in (*row[:_STATUS], row[_SUM])) and rownumbers.fits(row[_NUMBERS])


def any_text(raw: bytes) -> str:
    """Text factory of connections that read hot days: there is no text in them, but what is spoilt may look like it."""
    return raw.decode("utf-8", "replace")


def spoilt_rows(count: int) -> DamagedHistory:
    """What is said of rows that are not what was written."""
    return DamagedHistory(f"{count} rows are not what was written (check sum, status or key)", hint=HINT)


def hot_days(connection: sqlite3.Connection) -> list[HotDay]:
    """The hot days of a month's file, ascending, a plain one before the one of the same day that goes over it.

    Raises DamagedHistory where a table is not made as the hub makes it.
    """
    tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
    found = [hot for hot in (_hot_day(name, made) for name, made in tables) if hot is not None]
    return sorted(found, key=lambda hot: (hot.day, not hot.plain))


@lru_cache(maxsize=1024)
def _hot_day(name: str, made: str) -> HotDay | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        day = date(int(match[3]), int(match[4]), int(match[5])).toordinal() - _EPOCH
    except ValueError as error:
        raise DamagedHistory(f"a table is named for a day that there is not ({error})") from error
    hot = HotDay(_MEASUREMENT[match[2]], day, plain=match[1] is None)
    if not hot.plain and str(made).replace('"', "") != f"CREATE TABLE {name}{_COLUMNS}":
        raise DamagedHistory(f"the table {name} is not made as the hub makes it")
    return hot


@lru_cache(maxsize=1024)
def _name(hot: HotDay) -> str:
    return f"{'' if hot.plain else 'rows_'}{PREFIX[hot.measurement]}_{date_of(hot.day):%Y%m%d}"


def _spread(blob: object, columns: int) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Status of each column, and where it is listed."""
    if not isinstance(blob, bytes):
        raise DamagedHistory("the status of a stored row is no status")
    status, listed = np.zeros(columns, np.uint32), np.zeros(columns, np.bool_)
    for code, mask in rowstatus.decode(blob):
        for column in range(columns):
            if mask >> column & 1:
                status[column] = code
                listed[column] = True
    return status, listed


_NO_ROW = (DamagedHistory, ValueError, TypeError, OverflowError)

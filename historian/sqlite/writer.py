"""The writing side of the embedded store. Everything here runs on the store's one writer thread.

Rows go out many to a statement: the interpreter lock is given up once a statement, not once a row, which matters as
soon as the event loop is busy on the other core.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np

from historian.api import Readings, SeriesIds
from historian.errors import DamagedHistory, StoreFailed
from historian.schema import Measurement
from historian.sqlite import rowstatus
from historian.sqlite.catalogue import Catalogue
from historian.sqlite.files import (
    DAY_MS,
    LAST_DAY,
    PREFIX,
    Month,
    StoreOptions,
    Table,
    connect,
    file_path,
    hot_table,
    hot_tables,
    month_of,
    not_let,
    translated,
)
from historian.sqlite.keeping import identity, kept_aside

ROWS_A_STATEMENT = 64
_OPEN_MONTHS = 3
_VARIABLES = 30_000
"""SQLite takes 32,766 variables a statement."""

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class MonthFile:
    """One month's file, open for writing. `widths` are the data columns of its hot tables."""

    def __init__(self, path: Path, options: StoreOptions) -> None:
        self.path = path
        self.connection = connect(path, cache_mb=options.cache_mb, synchronous="FULL")
        try:
            self.identity = identity(path)
            if options.max_file_mb:
                page_size = self.connection.execute("PRAGMA page_size").fetchone()[0]
                self.connection.execute(f"PRAGMA max_page_count = {options.max_file_mb * 1_048_576 // page_size}")
            self.connection.create_function("merge_status", 3, rowstatus.merge, deterministic=True)
            self.widths: dict[Table, int] = {}
            for measurement, day in hot_tables(self.connection):
                info = self.connection.execute(f"PRAGMA table_info({hot_table(measurement, day)})").fetchall()
                self.widths[measurement, day] = len(info) - 3
            for letter in PREFIX.values():
                self.connection.execute(
                    f"CREATE TABLE IF NOT EXISTS cold_{letter}(key INTEGER PRIMARY KEY, crc INTEGER, d BLOB)"
                )
        except BaseException:
            self.connection.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def widen(self, measurement: Measurement, day: int, width: int) -> None:
        """Make the table of a hot day, or give it more columns, outside of a transaction."""
        table = hot_table(measurement, day)
        known = self.widths.get((measurement, day))
        if known is not None and known >= width:
            return
        if known is None:
            columns = "".join(f", c{index} REAL" for index in range(width))
            self.connection.execute(
                f"CREATE TABLE IF NOT EXISTS {table}"
                f"(p INTEGER, ts INTEGER, s BLOB{columns}, PRIMARY KEY(p, ts)) WITHOUT ROWID"
            )
        else:
            for index in range(known, width):
                self.connection.execute(f"ALTER TABLE {table} ADD COLUMN c{index} REAL")
                self.widths[measurement, day] = index + 1
        self.widths[measurement, day] = width

    def close(self) -> None:
        """Release the file."""
        self.connection.close()


class Writer:
    """Writes readings; knows which months are open and which hot days were written since they began to be packed."""

    def __init__(self, folder: Path, options: StoreOptions) -> None:
        self.folder = folder
        self.options = options
        self.changes: dict[Table, int] = {}
        """Per hot day: how often it was written."""
        self.faults = 0
        """Files set aside because they are damaged."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_let(error, folder) from error
        self.catalogue = Catalogue(folder)
        self._months: OrderedDict[Month, MonthFile] = OrderedDict()

    def close(self) -> None:
        """Release all files."""
        with translated(str(self.folder)):
            for file in self._months.values():
                file.close()
            self._months.clear()
            self.catalogue.close()

    def series(self, units: Sequence[str]) -> SeriesIds:
        """Numbers of units, given out on first sight; raises HistoryError."""
        return self.catalogued(lambda catalogue: catalogue.series(units))

    def write(self, readings: Iterable[Readings]) -> None:
        """Store all, a transaction a month; raises HistoryError, after which the same may be written again."""
        by_month: dict[Month, list[tuple[Readings, int]]] = {}
        for part in readings:
            for piece, day in _by_day(part):
                by_month.setdefault(month_of(day), []).append((piece, day))
        for month, parts in by_month.items():
            try:
                self._write_month(month, parts)
            except DamagedHistory:
                self.set_aside(month)
                self._write_month(month, parts)

    def catalogued(self, work: Callable[[Catalogue], _Result]) -> _Result:
        """Ask the catalogue; where it turns out to be damaged, once more when it is made anew. Raises HistoryError.

        Damage there is none of a month's: it is told as what the store cannot do.
        """
        try:
            with translated(str(self.catalogue.path)):
                self.catalogue.stand()
                return work(self.catalogue)
        except DamagedHistory as error:
            try:
                self.catalogue.make_anew(error)
                with translated(str(self.catalogue.path)):
                    return work(self.catalogue)
            except DamagedHistory as again:
                raise StoreFailed(again.what, where=again.where, hint=again.hint) from error

    def month(self, month: Month) -> MonthFile:
        """The open file of a month; raises sqlite3.Error."""
        file = self._months.get(month)
        path = file_path(self.folder, month)
        if file is not None and identity(path) != file.identity:
            _log.error("history file was taken away while it was open, another is begun file=%s", path)
            self.forget(month)
            file = None
        if file is None:
            while len(self._months) >= _OPEN_MONTHS:
                self._months.popitem(last=False)[1].close()
            file = self._months[month] = MonthFile(path, self.options)
        self._months.move_to_end(month)
        return file

    def forget(self, month: Month) -> None:
        """Close a month's file."""
        file = self._months.pop(month, None)
        if file is not None:
            file.close()

    def set_aside(self, month: Month) -> None:
        """Rename a damaged file, so that writing can go on in a new one."""
        self.forget(month)
        path = file_path(self.folder, month)
        aside = kept_aside(path)
        self.faults += 1
        _log.error("damaged history file set aside file=%s as=%s", path, aside)

    def _write_month(self, month: Month, parts: list[tuple[Readings, int]]) -> None:
        placed = self.catalogued(
            lambda catalogue: [
                (part, day, catalogue.place(part.measurement, part.series, part.fields)) for part, day in parts
            ]
        )
        with translated(str(file_path(self.folder, month))):
            file = self.month(month)
            for part, day, places in placed:
                width = max((max(place.columns) + 1 for place in places), default=0)
                file.widen(part.measurement, day, width)
            with file.transaction() as connection:
                for part, day, places in placed:
                    table = (part.measurement, day)
                    self.changes[table] = self.changes.get(table, 0) + 1
                    for place in places:
                        _upsert(connection, hot_table(part.measurement, day), part, place.rows, place.columns)


def _by_day(part: Readings) -> Iterator[tuple[Readings, int]]:
    days = part.time_ms // DAY_MS
    for day in np.unique(days).tolist():
        if not 0 <= day <= LAST_DAY:
            raise StoreFailed(f"history cannot hold the time {int(part.time_ms[days == day][0])} ms")
        rows = np.flatnonzero(days == day)
        rows = rows[np.lexsort((part.time_ms[rows], part.series[rows]))]
        yield (
            Readings(
                part.measurement,
                part.fields,
                part.series[rows],
                part.time_ms[rows],
                part.values[rows],
                part.status[rows],
            ),
            day,
        )


def _upsert(
    connection: sqlite3.Connection, table: str, part: Readings, rows: np.ndarray, columns: tuple[int, ...]
) -> None:
    values = part.values[rows]
    blobs = rowstatus.of_rows(columns, values, part.status[rows])
    keys = (part.series[rows].tolist(), part.time_ms[rows].tolist(), blobs)
    flat = list(chain.from_iterable(zip(*keys, *values.T.tolist(), strict=True)))
    width = len(columns) + 3
    at_once = max(1, min(ROWS_A_STATEMENT, _VARIABLES // width))
    whole = len(rows) // at_once * at_once
    statement = _statement(table, columns, at_once)
    for first in range(0, whole * width, at_once * width):
        connection.execute(statement, flat[first : first + at_once * width])
    single = _statement(table, columns, 1)
    for first in range(whole * width, len(flat), width):
        connection.execute(single, flat[first : first + width])


@lru_cache(maxsize=256)
def _statement(table: str, columns: tuple[int, ...], rows: int) -> str:
    names = ", ".join(f"c{column}" for column in columns)
    row = f"({', '.join('?' * (len(columns) + 3))})"
    written = format(sum(1 << column for column in columns), "x")
    updates = ", ".join(f"c{column} = excluded.c{column}" for column in columns)
    return (
        f"INSERT INTO {table}(p, ts, s, {names}) VALUES {', '.join([row] * rows)} "  # noqa: S608 - name from a date
        "ON CONFLICT(p, ts) DO UPDATE SET s = CASE WHEN s IS NULL AND excluded.s IS NULL THEN NULL "
        f"ELSE merge_status(s, excluded.s, '{written}') END, {updates}"
    )

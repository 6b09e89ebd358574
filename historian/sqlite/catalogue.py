"""Which unit is which number, and which column holds which field: `catalogue.db`.

A unit's number is never reused. A unit's columns only ever grow at the end, so that every row of it, of whatever age,
is read by the newest layout; units alike share one layout. It is written with synchronous=FULL, before any row that
relies on it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from historian.api import SeriesIds
from historian.errors import WrongFormat
from historian.schema import Measurement
from historian.sqlite.files import connect

FORMAT = 1
FILE = "catalogue.db"
Fields = tuple[str, ...]

_TABLES = """
CREATE TABLE IF NOT EXISTS series(p INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS layout(id INTEGER PRIMARY KEY, fields TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS columns(p INTEGER, m TEXT, layout INTEGER NOT NULL, PRIMARY KEY(p, m)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS last(p INTEGER, m TEXT, d BLOB NOT NULL, PRIMARY KEY(p, m)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Rows that share one layout, and the column of each field."""

    rows: NDArray[np.int64]
    columns: tuple[int, ...]


class Catalogue:
    """The writing side of the catalogue; belongs to the writer's thread."""

    def __init__(self, folder: Path) -> None:
        """Raises WrongFormat, or sqlite3.Error."""
        self.path = folder / FILE
        self.connection = connect(self.path, cache_mb=8, synchronous="FULL")
        found = self.connection.execute("PRAGMA user_version").fetchone()[0]
        if found > FORMAT:
            self.connection.close()
            raise WrongFormat(
                f"the history has format {found}, this hub knows {FORMAT}",
                where=str(self.path),
                hint="run the newer hub, or give another folder",
            )
        self.connection.executescript(_TABLES)
        self.connection.execute(f"PRAGMA user_version = {FORMAT}")
        self._fields: dict[int, Fields] = {}
        self._layouts: dict[Fields, int] = {}
        for number, text in self.connection.execute("SELECT id, fields FROM layout"):
            self._remember(number, tuple(json.loads(text)))
        self._assigned = {measurement: np.zeros(64, np.int32) for measurement in Measurement}
        for series, measurement, layout in self.connection.execute("SELECT p, m, layout FROM columns"):
            self._grow(Measurement(measurement), series)[series] = layout
        self._columns: dict[tuple[int, Fields], tuple[int, ...] | None] = {}

    def close(self) -> None:
        """Release the file."""
        self.connection.close()

    def series(self, units: Sequence[str]) -> SeriesIds:
        """Numbers of units, given out on first sight."""
        execute = self.connection.execute
        listed = json.dumps(list(units))
        query = "SELECT s.p FROM json_each(?) w LEFT JOIN series s ON s.uid = w.value ORDER BY w.key"
        found = [row[0] for row in execute(query, (listed,))]
        if None in found:
            execute("INSERT OR IGNORE INTO series(uid) SELECT value FROM json_each(?) ORDER BY key", (listed,))
            found = [row[0] for row in execute(query, (listed,))]
        return np.array(found, np.int64)

    def place(self, measurement: Measurement, series: SeriesIds, fields: Fields) -> list[Placed]:
        """Columns of `fields` for each row's unit, extending layouts that lack some."""
        assigned = self._grow(measurement, int(series.max(initial=0)))
        layouts = assigned[series]
        placed: list[Placed] = []
        for layout in np.unique(layouts).tolist():
            rows = np.flatnonzero(layouts == layout)
            columns = self._columns_of(layout, fields)
            if columns is None:
                extended = self._extend(layout, fields)
                self._assign(measurement, np.unique(series[rows]), extended)
                columns = self._columns_of(extended, fields) or ()
            placed.append(Placed(rows, columns))
        return placed

    def width(self, layout: int) -> int:
        """How many columns a layout has."""
        return len(self._fields.get(layout, ()))

    def _columns_of(self, layout: int, fields: Fields) -> tuple[int, ...] | None:
        key = (layout, fields)
        if key not in self._columns:
            known = {field: index for index, field in enumerate(self._fields.get(layout, ()))}
            complete = all(field in known for field in fields)
            self._columns[key] = tuple(known[field] for field in fields) if complete else None
        return self._columns[key]

    def _extend(self, layout: int, fields: Fields) -> int:
        old = self._fields.get(layout, ())
        new = old + tuple(field for field in fields if field not in old)
        number = self._layouts.get(new)
        if number is None:
            cursor = self.connection.execute("INSERT INTO layout(fields) VALUES (?)", (json.dumps(new),))
            number = int(cursor.lastrowid or 0)
            self._remember(number, new)
        return number

    def _assign(self, measurement: Measurement, series: SeriesIds, layout: int) -> None:
        rows = [(number, measurement.value, layout) for number in series.tolist()]
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            self.connection.executemany("INSERT OR REPLACE INTO columns(p, m, layout) VALUES (?, ?, ?)", rows)
            self.connection.execute("COMMIT")
        except sqlite3.Error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        self._assigned[measurement][series] = layout

    def _remember(self, number: int, fields: Fields) -> None:
        self._fields[number] = fields
        self._layouts[fields] = number

    def _grow(self, measurement: Measurement, series: int) -> NDArray[np.int32]:
        assigned = self._assigned[measurement]
        if series >= len(assigned):
            grown = np.zeros(max(series + 1, 2 * len(assigned)), np.int32)
            grown[: len(assigned)] = assigned
            self._assigned[measurement] = assigned = grown
        return assigned

"""Which unit is which number, and which column holds which field: `catalogue.db`.

A unit's number is never reused. A unit's columns only ever grow at the end, so that every row of it, of whatever age,
is read by the newest layout; units alike share one layout. It is written with synchronous=FULL, before any row that
relies on it. What it says stands in the register too (`catalogue.log`), of which a damaged one is made anew.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from historian.api import SeriesIds
from historian.errors import DamagedHistory, HistoryError, StoreFailed, WrongFormat
from historian.schema import Measurement
from historian.sqlite.files import connect, listed, translated
from historian.sqlite.keeping import identity, kept_aside, rescued
from historian.sqlite.register import Contents, Register, summed

FORMAT = 2
"""2: rows of hot days have check sums. What 1 made is read as it is, until it is packed."""
FILE = "catalogue.db"
MANY = 10_000
"""Units after which the pages that were read for them are given back: a plant asks for all of its units once."""
Fields = tuple[str, ...]
_DAMAGED_KEPT = 3
_log = logging.getLogger(__name__)
_MEASUREMENTS = {measurement.value: measurement for measurement in Measurement}

_TABLES = """
CREATE TABLE IF NOT EXISTS series(p INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS layout(id INTEGER PRIMARY KEY, fields TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS columns(p INTEGER, m TEXT, layout INTEGER NOT NULL, PRIMARY KEY(p, m)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS last(p INTEGER, m TEXT, d BLOB NOT NULL, PRIMARY KEY(p, m)) WITHOUT ROWID;
"""


def fields_of(text: object) -> Fields:
    """Fields of a layout as the catalogue holds them; raises DamagedHistory where they cannot be that."""
    try:
        fields = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        fields = None
    if not isinstance(fields, list) or not all(isinstance(name, str) for name in fields):
        raise damaged(f"the catalogue holds the layout {text!r}")
    return tuple(fields)


def damaged(what: str, path: Path | str = FILE) -> DamagedHistory:
    """The error for a catalogue that says what cannot be."""
    return DamagedHistory(what, where=str(path), hint=f"start the hub: it makes {FILE} anew from its register")


def format_of(connection: sqlite3.Connection, path: Path) -> int:
    """The format that a catalogue says; raises WrongFormat for a newer hub's, sqlite3.Error."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > FORMAT:
        raise WrongFormat(
            f"the history has format {found}, this hub knows {FORMAT}",
            where=str(path),
            hint="run the newer hub, or give another folder",
        )
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Rows that share one layout, and the column of each field."""

    rows: NDArray[np.int64]
    columns: tuple[int, ...]


@dataclass(slots=True, eq=False)
class _Changes:
    """What one transaction adds, as the register tells it."""

    record: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    sum: int = 0

    def note(self, name: str, rows: list[tuple[Any, ...]]) -> None:
        """Rows of one table that are new, or say something else than before."""
        self.record[name] = rows
        self.sum ^= summed(rows)


def check_sum(connection: sqlite3.Connection) -> int:
    """Of all that a catalogue says of units and columns; raises sqlite3.Error."""
    queries = ("SELECT p, uid FROM series", "SELECT id, fields FROM layout", "SELECT p, m, layout FROM columns")
    total = 0
    for query in queries:
        total ^= summed(connection.execute(query))
    return total


class Catalogue:
    """The writing side of the catalogue; belongs to the writer's thread."""

    def __init__(self, folder: Path) -> None:
        """Raises HistoryError."""
        self.path = folder / FILE
        self._register = Register(folder)
        self._lacking: HistoryError | None = None
        """Why it is put aside and not made anew yet."""
        try:
            with translated(str(self.path)):
                self.connection = self._opened()
        except (DamagedHistory, StoreFailed) as error:
            self._make_anew(error)
            return
        try:
            with translated(str(self.path)):
                self._load()
                self._check()
        except (DamagedHistory, StoreFailed) as error:
            self.make_anew(error)

    def make_anew(self, error: HistoryError) -> None:
        """Put the damaged file aside and make it again of the register; raises HistoryError: `stand` tries again."""
        self._told(error)
        self._lacking = error
        self.connection.close()
        self._make_anew(error)
        self._lacking = None

    def _told(self, error: HistoryError) -> Contents:
        """What the register tells; raises DamagedHistory where that is nothing."""
        if isinstance(error, WrongFormat):
            raise error
        contents = self._register.contents()
        if contents is None:
            hint = f"restore {FILE} from a backup, or move the whole folder away to begin a new history"
            raise DamagedHistory(error.what, where=str(self.path), hint=hint) from error
        return contents

    def _make_anew(self, error: HistoryError) -> None:
        contents = self._told(error)
        aside = kept_aside(self.path, _DAMAGED_KEPT)
        with translated(str(self.path)):
            self.connection = self._opened()
            with self._transaction():
                many = self.connection.executemany
                many("INSERT OR IGNORE INTO series(p, uid) VALUES (?, ?)", sorted(contents.series.items()))
                many("INSERT OR IGNORE INTO layout(id, fields) VALUES (?, ?)", sorted(contents.layouts.items()))
                columns = ((number, name, layout) for (number, name), layout in contents.columns.items())
                many("INSERT OR IGNORE INTO columns(p, m, layout) VALUES (?, ?, ?)", columns)
            self._load()
            self._register.rewrite(self._contents())
        _log.error("damaged catalogue made anew from its register kept=%s error=%s", aside, error)

    def _check(self) -> None:
        """Compare with the register; one that is not there yet is begun."""
        (verdict,) = self.connection.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise damaged(f"the catalogue is damaged ({verdict})", self.path)
        told = self._register.check_sums()
        if not told:
            self._register.rewrite(self._contents())
        elif self._sum not in told:
            raise damaged("the catalogue says other than its register", self.path)

    def _contents(self) -> Contents:
        execute = self.connection.execute
        columns = {(number, name): layout for number, name, layout in execute("SELECT p, m, layout FROM columns")}
        series, layouts = execute("SELECT p, uid FROM series"), execute("SELECT id, fields FROM layout")
        return Contents(dict(series.fetchall()), dict(layouts.fetchall()), columns)

    def _opened(self) -> sqlite3.Connection:
        connection = connect(self.path, cache_mb=8, synchronous="FULL")
        try:
            if format_of(connection, self.path) != FORMAT:
                connection.executescript(_TABLES)
                connection.execute(f"PRAGMA user_version = {FORMAT}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _load(self) -> None:
        """Know what stands in the file."""
        self._identity = identity(self.path)
        self._fields: dict[int, Fields] = {}
        self._layouts: dict[Fields, int] = {}
        self._assigned = {measurement: np.zeros(64, np.int32) for measurement in Measurement}
        self._columns: dict[tuple[int, Fields], tuple[int, ...] | None] = {}
        for number, text in self.connection.execute("SELECT id, fields FROM layout"):
            self._remember(number, fields_of(text))
        (most,) = self.connection.execute("SELECT COALESCE(MAX(p), 0) FROM series").fetchone()
        for series, measurement, layout in self.connection.execute("SELECT p, m, layout FROM columns"):
            known = _MEASUREMENTS.get(measurement)
            if known is None or layout not in self._fields or not isinstance(series, int) or not 0 < series <= most:
                what = f"the catalogue assigns {measurement!r} of {series!r} to the layout {layout!r}"
                raise damaged(what, self.path)
            self._grow(known, series)[series] = layout
        self._sum = check_sum(self.connection)

    def stand(self) -> None:
        """See to it that the file is there under its name; raises HistoryError."""
        if self._lacking is not None:
            self.make_anew(self._lacking)
        elif identity(self.path) != self._identity:
            self.connection = rescued(self.connection, self.path, self._opened)
            self._load()

    def close(self) -> None:
        """Release the file."""
        self.connection.close()

    def series(self, units: Sequence[str]) -> SeriesIds:
        """Numbers of units, given out on first sight."""
        execute = self.connection.execute
        query = "SELECT s.p FROM json_each(?) w LEFT JOIN series s ON s.uid = w.value ORDER BY w.key"
        numbers: list[int] = []
        for part in listed(units):
            found = [row[0] for row in execute(query, (part,))]
            if None in found:
                with self._transaction() as changes:
                    (last,) = execute("SELECT COALESCE(MAX(p), 0) FROM series").fetchone()
                    execute("INSERT OR IGNORE INTO series(uid) SELECT value FROM json_each(?) ORDER BY key", (part,))
                    found = [row[0] for row in execute(query, (part,))]
                    fresh = execute("SELECT p, uid FROM series WHERE p > ?", (last,)).fetchall()
                    changes.note("series", fresh)
            numbers += found
        if len(units) > MANY:
            execute("PRAGMA shrink_memory")
        return np.array(numbers, np.int64)

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
            known = {name: index for index, name in enumerate(self._fields.get(layout, ()))}
            complete = all(name in known for name in fields)
            self._columns[key] = tuple(known[name] for name in fields) if complete else None
        return self._columns[key]

    def _extend(self, layout: int, fields: Fields) -> int:
        old = self._fields.get(layout, ())
        new = old + tuple(name for name in fields if name not in old)
        number = self._layouts.get(new)
        if number is None:
            text = json.dumps(new)
            with self._transaction() as changes:
                cursor = self.connection.execute("INSERT INTO layout(fields) VALUES (?)", (text,))
                number = int(cursor.lastrowid or 0)
                changes.note("layouts", [(number, text)])
            self._remember(number, new)
        return number

    def _assign(self, measurement: Measurement, series: SeriesIds, layout: int) -> None:
        rows = [(number, measurement.value, layout) for number in series.tolist()]
        known = zip(series.tolist(), self._assigned[measurement][series].tolist(), strict=True)
        with self._transaction() as changes:
            self.connection.executemany("INSERT OR REPLACE INTO columns(p, m, layout) VALUES (?, ?, ?)", rows)
            changes.note("columns", rows)
            changes.sum ^= summed((number, measurement.value, old) for number, old in known if old)
        self._assigned[measurement][series] = layout

    @contextmanager
    def _transaction(self) -> Iterator[_Changes]:
        """All or nothing, and in the register before it is in the file."""
        changes = _Changes()
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield changes
            if changes.record:
                self._register.append(changes.record, self._sum ^ changes.sum)
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        if changes.record:
            self._sum ^= changes.sum

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

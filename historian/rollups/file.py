"""Where rollups lie: one SQLite file, used from one thread at a time.

    q_e q_i  quarters of an hour, h_e h_i  hours: a row for each unit and local day, key = day << 32 | unit
    d_e d_i  days: a row for each unit and month, key = month << 32 | unit (months since year 0), 31 buckets
    dirty    hours of unit-days that wait to be computed again, as bits; doing: those that are being computed
    anomaly  registers that did not simply go on; untold: those of them that nobody was told of yet
    unrest   until when registers were not calm

e is energy, i is inst. A row carries the layout of its fields and its CRC-32.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from historian.calendar import Width
from historian.errors import DamagedHistory, WrongFormat
from historian.rollups import codec
from historian.rollups.figures import Figures, Shape, composed, empty
from historian.schema import Measurement
from historian.sqlite.files import PREFIX, connect, connect_reader, listed, not_let, translated
from historian.sqlite.keeping import DAMAGED_KEPT, identity, restored

FORMAT = 2
FILE = "rollups.db"
DAYS_A_MONTH = 31
_LETTER = {Width.QUARTER: "q", Width.HOUR: "h", Width.DAY: "d"}
_LOW = 0xFFFFFFFF
_TABLES = """
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unit(p INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS layout(id INTEGER PRIMARY KEY, fields TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS dirty(day INTEGER, p INTEGER, mask INTEGER NOT NULL, PRIMARY KEY(day, p)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS doing(day INTEGER, p INTEGER, mask INTEGER NOT NULL, PRIMARY KEY(day, p)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS anomaly(p INTEGER, field TEXT, t INTEGER, move TEXT NOT NULL, a REAL, b REAL, booked REAL,
  PRIMARY KEY(p, field, t)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS anomaly_time ON anomaly(t);
CREATE TABLE IF NOT EXISTS untold(p INTEGER, field TEXT, t INTEGER, PRIMARY KEY(p, field, t)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS untold_time ON untold(t);
CREATE TABLE IF NOT EXISTS unrest(p INTEGER, field TEXT, t INTEGER NOT NULL, PRIMARY KEY(p, field)) WITHOUT ROWID;
"""

Numbers = NDArray[np.int64]
Known = NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Rows of units that share their fields."""

    fields: tuple[str, ...]
    units: Numbers
    data: list[bytes]


class RollupFile:
    """Reads, and writes where it is opened for writing. `damaged` are rows found so, (width, period, unit)."""

    def __init__(self, path: Path, *, writing: bool) -> None:
        self.path = path
        self.damaged: list[tuple[Width, int, int]] = []
        self.unpruned = 0
        """Anomalies that were added since it was seen to that there are not too many."""
        self._layouts: dict[int, tuple[str, ...]] = {}
        self._numbers: dict[tuple[str, ...], int] = {}
        self._writing = writing
        if writing:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise not_let(error, path) from error
        self.connection = self._connected()
        try:
            self._identity = identity(path)
            found = self._format()
            if writing:
                self._begin(found)
        except BaseException:
            self.connection.close()
            raise

    def _connected(self) -> sqlite3.Connection:
        with translated(str(self.path)):
            return connect(self.path, cache_mb=32) if self._writing else connect_reader(self.path)

    def _format(self) -> int:
        with translated(str(self.path)):
            found: int = self.connection.execute("PRAGMA user_version").fetchone()[0]
        if found > FORMAT:
            raise WrongFormat(
                f"the rollups have format {found}, this hub knows {FORMAT}",
                where=str(self.path),
                hint="run the newer hub, or move the file away: rollups are computed again from the readings",
            )
        return found

    def _begin(self, found: int) -> None:
        with translated(str(self.path)):
            self.connection.executescript(_TABLES)
            if found == 1:
                self._without_what_was_booked()
            for letter in _LETTER.values():
                for measurement in PREFIX.values():
                    self.connection.execute(
                        f"CREATE TABLE IF NOT EXISTS {letter}_{measurement}"
                        "(key INTEGER PRIMARY KEY, l INTEGER NOT NULL, crc INTEGER NOT NULL, d BLOB NOT NULL)"
                    )
            self.connection.execute(f"PRAGMA user_version = {FORMAT}")

    def close(self) -> None:
        """Release the file."""
        self.connection.close()

    @property
    def stands(self) -> bool:
        """Whether it is still the file that has its name; raises HistoryError."""
        return identity(self.path) == self._identity

    def stand(self) -> None:
        """Have it under its name again with all it holds; raises HistoryError and then keeps what it has."""
        self.connection = restored(self.connection, self.path, self._connected, DAMAGED_KEPT)
        self._identity = identity(self.path)

    def reopen(self) -> None:
        """Open what has its name now; raises HistoryError and then keeps what it has."""
        before, self.connection = self.connection, self._connected()
        before.close()
        self._identity = identity(self.path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        with translated(str(self.path)):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    # names and notes

    def units(self, uids: Sequence[str]) -> Numbers:
        """Numbers of units, given out on first sight."""
        query = "SELECT s.p FROM json_each(?) w LEFT JOIN unit s ON s.uid = w.value ORDER BY w.key"
        unknown = "INSERT OR IGNORE INTO unit(uid) SELECT value FROM json_each(?) ORDER BY key"
        numbers: list[int] = []
        with translated(str(self.path)):
            for part in listed(uids):
                found = [row[0] for row in self.connection.execute(query, (part,))]
                if None in found:
                    self.connection.execute(unknown, (part,))
                    found = [row[0] for row in self.connection.execute(query, (part,))]
                numbers += found
        return np.array(numbers, np.int64)

    def known_numbers(self, uids: Sequence[str]) -> Numbers:
        """Numbers of units, -1 for one that never had one."""
        query = "SELECT ifnull(s.p, -1) FROM json_each(?) w LEFT JOIN unit s ON s.uid = w.value ORDER BY w.key"
        with translated(str(self.path)):
            found = self.connection.execute(query, (json.dumps(list(uids)),)).fetchall()
        return np.array([number for (number,) in found], np.int64)

    def let_go(self) -> None:
        """Give back the memory of pages that were read."""
        with translated(str(self.path)):
            self.connection.execute("PRAGMA shrink_memory")

    def known_units(self) -> dict[int, str]:
        """All units that ever had a number."""
        with translated(str(self.path)):
            return dict(self.connection.execute("SELECT p, uid FROM unit"))

    def note(self, name: str) -> int | str | None:
        """Something to remember."""
        with translated(str(self.path)):
            found = self.connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def remember(self, name: str, value: int | str) -> None:
        """Remember something."""
        with translated(str(self.path)):
            self.connection.execute("INSERT OR REPLACE INTO meta(name, value) VALUES (?, ?)", (name, value))

    def forget_all(self) -> None:
        """Drop all figures: they were made for another time zone. What registers did is the same in every zone.

        Runs in a transaction.
        """
        for table in self._tables():
            self.connection.execute(f"DELETE FROM {table}")  # noqa: S608 - name from an enumeration
        self.forget_notes()

    def forget_notes(self) -> None:
        """Drop what waits and what is noted of how far all is. Runs in a transaction."""
        for table in ("dirty", "doing", "meta"):
            self.connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant

    def forget(self, width: Width, measurement: Measurement, periods: Iterable[int]) -> None:
        """Drop the rows of these periods. Runs in a transaction."""
        query = f"DELETE FROM {_table(width, measurement)} WHERE key >= ? AND key <= ?"  # noqa: S608 - from an enumeration
        with translated(str(self.path)):
            self.connection.executemany(query, ((period << 32, period << 32 | _LOW) for period in periods))

    # figures

    def units_of(self, width: Width, measurement: Measurement, period: int, after: int, most: int) -> Numbers:
        """Units behind `after` that have a row of a period, in their order."""
        query = f"SELECT key FROM {_table(width, measurement)} WHERE key > ? AND key <= ? ORDER BY key LIMIT ?"  # noqa: S608
        low = period << 32
        with translated(str(self.path)):
            keys = self.connection.execute(query, (low | max(after, 0), low | _LOW, most)).fetchall()
        return np.array([key & _LOW for (key,) in keys], np.int64)

    def periods(self, width: Width, measurement: Measurement) -> range:
        """Periods of which there are rows, and all between them."""
        query = f"SELECT min(key) >> 32, max(key) >> 32 FROM {_table(width, measurement)}"  # noqa: S608
        with translated(str(self.path)):
            first, last = self.connection.execute(query).fetchone()
        return range(first, last + 1) if first is not None else range(0)

    def had(self, width: Width, measurement: Measurement, unit: int, periods: Sequence[int]) -> Numbers:
        """Those of the periods of which a unit has a row, ascending."""
        query = (
            f"SELECT t.key >> 32 FROM json_each(?) w JOIN {_table(width, measurement)} t ON t.key = w.value "  # noqa: S608
            "ORDER BY t.key"
        )
        with translated(str(self.path)):
            keys = json.dumps([period << 32 | unit for period in periods])
            found = self.connection.execute(query, (keys,)).fetchall()
        return np.array([period for (period,) in found], np.int64)

    def load(self, width: Width, measurement: Measurement, period: int, units: Numbers) -> list[Packed]:
        """Rows of units, by their fields; damaged ones are left out and listed."""
        query = (
            f"SELECT t.key, t.l, t.crc, t.d FROM json_each(?) w "  # noqa: S608 - name from an enumeration
            f"JOIN {_table(width, measurement)} t ON t.key = w.value"
        )
        groups: dict[int, tuple[list[int], list[bytes]]] = {}
        with translated(str(self.path)):
            keys = json.dumps([period << 32 | unit for unit in units.tolist()])
            for key, layout, crc, data in self.connection.execute(query, (keys,)):
                if zlib.crc32(data) != crc:
                    self.damaged.append((width, period, key & _LOW))
                    continue
                numbers, blobs = groups.setdefault(layout, ([], []))
                numbers.append(key & _LOW)
                blobs.append(data)
        return [
            Packed(self._fields(layout), np.array(numbers, np.int64), blobs)
            for layout, (numbers, blobs) in groups.items()
        ]

    def rows(
        self, width: Width, period: int, shape: Shape, units: Numbers, buckets: int
    ) -> list[tuple[Numbers, Figures]]:
        """Whole rows of units, by their fields."""
        found: list[tuple[Numbers, Figures]] = []
        for packed in self.load(width, shape.measurement, period, units):
            figures = self._decoded(width, period, shape, packed, buckets)
            if figures is not None:
                found.append((packed.units, figures))
        return found

    def splice(
        self, width: Width, period: int, buckets: int, first: int, units: Numbers, new: Figures, known: Known = None
    ) -> list[tuple[Numbers, Figures]]:
        """Put figures into the units' rows from bucket `first` on; gives the whole rows. Runs in a transaction.

        known  shape (units, fields), None for all: what is not known stays as it was
        """
        shape, count = new.shape, new.data.shape[3]
        rows: list[tuple[Numbers, Figures]] = []
        stored = np.zeros(len(units), np.bool_)
        order = np.argsort(units)
        for packed in self.load(width, shape.measurement, period, units):
            place = order[np.searchsorted(units[order], packed.units)]
            old = self._decoded(width, period, shape, packed, buckets)
            if old is None:
                continue
            stored[place] = True
            fields = (*packed.fields, *(field for field in new.fields if field not in packed.fields))
            whole = old if len(fields) == len(packed.fields) else widened(old, fields)
            columns = [fields.index(field) for field in new.fields]
            part = new.data[place]
            if known is not None:
                part = np.where(known[place][:, :, None, None], part, whole.data[:, columns, :, first : first + count])
            whole.data[:, columns, :, first : first + count] = part
            rows.append((packed.units, whole))
        fresh = np.flatnonzero(~stored)
        if len(fresh):
            whole = empty(shape, new.fields, len(fresh), buckets)
            part = whole.data[..., first : first + count]
            chosen = np.True_ if known is None else known[fresh][:, :, None, None]
            part[...] = np.where(chosen, new.data[fresh], part)
            rows.append((units[fresh], whole))
        for numbers, whole in rows:
            self._store(width, period, numbers, whole)
        return rows

    def compose_days(self, period: int, day_of_month: int, rows: Sequence[tuple[Numbers, Figures]]) -> list[Figures]:
        """From whole days of hours the day in the units' months. Runs in a transaction."""
        found: list[Figures] = []
        for numbers, hours in rows:
            day = composed(hours, np.zeros(1, np.int64))
            self.splice(Width.DAY, period, DAYS_A_MONTH, day_of_month - 1, numbers, day)
            found.append(day)
        return found

    def drop(self, width: Width, before_period: int) -> None:
        """Drop rows of earlier periods."""
        for measurement in PREFIX:
            with translated(str(self.path)):
                self.connection.execute(
                    f"DELETE FROM {_table(width, measurement)} WHERE key < ?",  # noqa: S608 - name from an enumeration
                    (before_period << 32,),
                )

    # inside

    def _without_what_was_booked(self) -> None:
        columns = [row[1] for row in self.connection.execute("PRAGMA table_info(anomaly)")]
        if "booked" not in columns:
            self.connection.execute("ALTER TABLE anomaly ADD COLUMN booked REAL")

    def _decoded(self, width: Width, period: int, shape: Shape, packed: Packed, buckets: int) -> Figures | None:
        try:
            return codec.decode(shape, packed.fields, packed.data, buckets)
        except DamagedHistory:
            self.damaged += [(width, period, unit) for unit in packed.units.tolist()]
            return None

    def _store(self, width: Width, period: int, units: Numbers, figures: Figures) -> None:
        layout = self._layout(figures.fields)
        rows = [
            (period << 32 | unit, layout, zlib.crc32(data), data)
            for unit, data in zip(units.tolist(), codec.encode(figures), strict=True)
        ]
        self.connection.executemany(
            f"INSERT OR REPLACE INTO {_table(width, figures.shape.measurement)} VALUES (?, ?, ?, ?)",  # noqa: S608
            rows,
        )

    def _fields(self, layout: int) -> tuple[str, ...]:
        if layout not in self._layouts:
            with translated(str(self.path)):
                found = self.connection.execute("SELECT fields FROM layout WHERE id = ?", (layout,)).fetchone()
            self._layouts[layout] = tuple(json.loads(found[0])) if found else ()
        return self._layouts[layout]

    def _layout(self, fields: tuple[str, ...]) -> int:
        known = self._numbers.get(fields)
        if known is None:
            text = json.dumps(fields)
            self.connection.execute("INSERT OR IGNORE INTO layout(fields) VALUES (?)", (text,))
            found = self.connection.execute("SELECT id FROM layout WHERE fields = ?", (text,)).fetchone()
            known = int(found[0])
            self._numbers[fields] = known
        return known

    def _tables(self) -> list[str]:
        return [_table(width, measurement) for width in _LETTER for measurement in PREFIX]


def widened(figures: Figures, fields: tuple[str, ...]) -> Figures:
    """The same with more fields behind, of which nothing is known."""
    units, known, _, buckets = figures.data.shape
    found = empty(figures.shape, fields, units, buckets)
    found.data[:, :known] = figures.data
    return found


def _table(width: Width, measurement: Measurement) -> str:
    return f"{_LETTER[width]}_{PREFIX[measurement]}"

"""The file of the gap ledger: `gaps.db`. Pages of bits, and what was set since they were written.

A commit is one row of the journal, so that what the ledger knew survives a crash; now and then the pages that changed
are written and the journal is emptied. Everything here runs on the ledger's one thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from historian.errors import WrongFormat
from historian.gaps.sheet import Rows
from historian.gaps.tracks import DAY_MS, Times, Track
from historian.schema import Measurement
from historian.sqlite.files import connect, connect_reader, listed, not_let, translated
from historian.sqlite.keeping import DAMAGED_KEPT, identity, restored

FORMAT = 1
FILE = "gaps.db"
OPEN_MS = 2**62
"""End of a duty that goes on."""
CACHE_MB = 4

_TABLES = """
CREATE TABLE IF NOT EXISTS unit(n INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS track(t INTEGER PRIMARY KEY, measurement TEXT NOT NULL, name TEXT NOT NULL,
    period_ms INTEGER NOT NULL, grace_ms INTEGER NOT NULL, UNIQUE(measurement, name));
CREATE TABLE IF NOT EXISTS seat(t INTEGER, row INTEGER, n INTEGER NOT NULL, PRIMARY KEY(t, row)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS duty(t INTEGER, row INTEGER, from_ms INTEGER, to_ms INTEGER NOT NULL,
    PRIMARY KEY(t, row, from_ms)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS slots(t INTEGER, day INTEGER, d BLOB NOT NULL, PRIMARY KEY(t, day)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS page(mark INTEGER, t INTEGER, day INTEGER, page INTEGER, d BLOB NOT NULL,
    PRIMARY KEY(mark, t, day, page)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal(id INTEGER PRIMARY KEY, mark INTEGER NOT NULL, t INTEGER NOT NULL,
    day INTEGER NOT NULL, rows BLOB NOT NULL, numbers BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS run(from_ms INTEGER PRIMARY KEY, to_ms INTEGER NOT NULL, ended INTEGER NOT NULL);
"""


class Sheeted(NamedTuple):
    """Which sheet: what its bits say, of which track, on which UTC day."""

    mark: int
    track: int
    day: int


class Entry(NamedTuple):
    """Bits that were set in a sheet."""

    sheet: Sheeted
    rows: Rows
    numbers: Rows


class Assigned(NamedTuple):
    """What changes on a track: units that get rows from `first_row` on, rows that are expected now, and no longer."""

    track: int
    first_row: int
    seated: Sequence[int]
    begun: Sequence[int]
    ended: Sequence[int]


class LedgerFile:
    """The connection. Raises HistoryError where the disk refuses."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        self._readonly = readonly
        if not readonly:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise not_let(error, path) from error
        self._db = self._connected()
        try:
            self._begin()
            self._identity = identity(path)
        except BaseException:
            self._db.close()
            raise

    def _begin(self) -> None:
        with translated(str(self.path)):
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found > FORMAT:
                raise WrongFormat(
                    f"the gap ledger has format {found}, this hub knows {FORMAT}",
                    where=str(self.path),
                    hint="run the newer hub, or move the file away: gaps are then counted from now on",
                )
            if not self._readonly:
                self._db.executescript(_TABLES)
                self._db.execute(f"PRAGMA user_version = {FORMAT}")

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def units(self, uids: Sequence[str]) -> Rows:
        """Numbers of units, given out on first sight."""
        unknown = "INSERT OR IGNORE INTO unit(uid) SELECT value FROM json_each(?) ORDER BY key"
        query = "SELECT n FROM json_each(?) w JOIN unit ON uid = w.value ORDER BY w.key"
        numbers = [np.empty(0, np.int64)]
        with translated(str(self.path)), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for part in listed(uids):
                self._db.execute(unknown, (part,))
                numbers.append(_flat(self._db.execute(query, (part,))))
        return np.concatenate(numbers)

    def all_units(self) -> Iterator[tuple[str, int]]:
        """Every unit ever seen, with its number."""
        with translated(str(self.path)):
            yield from self._db.execute("SELECT uid, n FROM unit")

    def let_go(self) -> None:
        """Give back the memory of pages that were read."""
        with translated(str(self.path)):
            self._db.execute("PRAGMA shrink_memory")

    def track(self, track: Track) -> int:
        """Number of a track, given out on first sight."""
        asked = (*track.key, track.period_ms, track.grace_ms)
        with translated(str(self.path)):
            self._db.execute(
                "INSERT INTO track(measurement, name, period_ms, grace_ms) VALUES (?, ?, ?, ?) "
                "ON CONFLICT(measurement, name) DO UPDATE SET grace_ms = excluded.grace_ms",
                asked,
            )
            found = self._db.execute("SELECT t FROM track WHERE measurement = ? AND name = ?", track.key).fetchone()
        return int(found[0])

    def tracks(self) -> dict[int, Track]:
        """Every track ever expected; those of schedules without a source."""
        with translated(str(self.path)):
            rows = self._db.execute("SELECT t, measurement, name, period_ms, grace_ms FROM track").fetchall()
        return {t: Track(Measurement(measurement), name, *numbers) for t, measurement, name, *numbers in rows}

    def seats(self, track: int) -> Rows:
        """Units by row of a track."""
        with translated(str(self.path)):
            return _flat(self._db.execute("SELECT n FROM seat WHERE t = ? ORDER BY row", (track,)))

    def duties(self, track: int) -> Times:
        """Row, beginning and end of each time of duty, shape (n, 3), ascending."""
        with translated(str(self.path)):
            asked = "SELECT row, from_ms, to_ms FROM duty WHERE t = ? ORDER BY row, from_ms"
            return _flat(self._db.execute(asked, (track,))).reshape(-1, 3)

    def assign(self, changes: Sequence[Assigned], at_ms: int) -> None:
        """Give units seats, and begin and end duties of rows, all or nothing: who goes from one track to another is
        expected on one of them whatever happens."""
        with translated(str(self.path)), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for track, first_row, seated, begun, ended in changes:
                rows = ((track, first_row + place, unit) for place, unit in enumerate(seated))
                self._db.executemany("INSERT INTO seat(t, row, n) VALUES (?, ?, ?)", rows)
                self._db.executemany(
                    "UPDATE duty SET to_ms = ? WHERE t = ? AND row = ? AND to_ms = ?",
                    ((at_ms, track, row, OPEN_MS) for row in ended),
                )
                self._db.executemany(
                    "INSERT OR REPLACE INTO duty(t, row, from_ms, to_ms) VALUES (?, ?, ?, ?)",
                    ((track, row, at_ms, OPEN_MS) for row in begun),
                )

    def slots(self, track: int, day: int) -> Times | None:
        """Slots of a schedule on a day, None where they were never noted."""
        with translated(str(self.path)):
            asked = "SELECT d FROM slots WHERE t = ? AND day = ?"
            found = self._db.execute(asked, (track, day)).fetchone()
        return None if found is None else np.frombuffer(found[0], "<i8").astype(np.int64)

    def keep_slots(self, noted: Sequence[tuple[int, int, Times]]) -> None:
        """Note slots of schedules (track, day, slots): bits are counted by them whatever becomes of the schedule."""
        if not noted:
            return
        with translated(str(self.path)), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            rows = ((track, day, slots.astype("<i8").tobytes()) for track, day, slots in noted)
            self._db.executemany("INSERT OR REPLACE INTO slots(t, day, d) VALUES (?, ?, ?)", rows)

    def is_marked(self, track: int, day: int) -> bool:
        """Whether any bit of a day was ever set."""
        asked = (
            "SELECT EXISTS(SELECT 1 FROM page WHERE t = ?1 AND day = ?2 "
            "UNION ALL SELECT 1 FROM journal WHERE t = ?1 AND day = ?2)"
        )
        with translated(str(self.path)):
            return bool(self._db.execute(asked, (track, day)).fetchone()[0])

    def pages(self, sheet: Sheeted, first: int = 0, last: int = 2**40) -> list[tuple[int, bytes]]:
        """Stored pages of a sheet, from `first` up to and including `last`."""
        with translated(str(self.path)):
            asked = "SELECT page, d FROM page WHERE mark = ? AND t = ? AND day = ? AND page BETWEEN ? AND ?"
            return self._db.execute(asked, (*sheet, first, last)).fetchall()

    def journal(self) -> list[Entry]:
        """What was set since the pages were written."""
        with translated(str(self.path)):
            rows = self._db.execute("SELECT mark, t, day, rows, numbers FROM journal ORDER BY id").fetchall()
        return [
            Entry(Sheeted(mark, track, day), _unpacked(at, "<u4"), _unpacked(numbers, "<u4"))
            for mark, track, day, at, numbers in rows
        ]

    def note(self, entries: Sequence[Entry], run_from_ms: int, now_ms: int) -> None:
        """Bits were set, and the hub is alive."""
        self._stand()
        with translated(str(self.path)), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO journal(mark, t, day, rows, numbers) VALUES (?, ?, ?, ?, ?)",
                ((*sheet, _packed(rows), _packed(numbers)) for sheet, rows, numbers in entries),
            )
            self._alive(run_from_ms, now_ms, ended=0)

    def save(
        self, pages: Sequence[tuple[Sheeted, int, bytes]], run_from_ms: int, now_ms: int, *, ended: bool = False
    ) -> None:
        """Write pages, which hold all that the journal has; `ended` says that the hub stops in order."""
        self._stand()
        with translated(str(self.path)), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR REPLACE INTO page(mark, t, day, page, d) VALUES (?, ?, ?, ?, ?)",
                ((*sheet, number, data) for sheet, number, data in pages),
            )
            self._db.execute("DELETE FROM journal")
            self._alive(run_from_ms, now_ms, ended=int(ended))

    def runs(self) -> list[tuple[int, int, bool]]:
        """When the hub ran, from and to, and whether it was stopped in order; ascending."""
        with translated(str(self.path)):
            rows = self._db.execute("SELECT from_ms, to_ms, ended FROM run ORDER BY from_ms").fetchall()
        return [(begin, end, bool(ended)) for begin, end, ended in rows]

    def forget(self, before_day: int) -> None:
        """Drop what is known of days before this one."""
        with translated(str(self.path)), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for table in ("page", "slots"):
                self._db.execute(f"DELETE FROM {table} WHERE day < ?", (before_day,))  # noqa: S608  # both names here
            self._db.execute("DELETE FROM run WHERE to_ms < ?", (before_day * DAY_MS,))

    def bytes_used(self) -> int:
        """Size of the stored pages."""
        with translated(str(self.path)):
            return int(self._db.execute("SELECT COALESCE(SUM(LENGTH(d)), 0) FROM page").fetchone()[0])

    def _stand(self) -> None:
        """Have a file that was taken away while it is open written out again."""
        if identity(self.path) != self._identity:
            self._db = restored(self._db, self.path, self._connected, DAMAGED_KEPT)
            self._identity = identity(self.path)

    def _connected(self) -> sqlite3.Connection:
        with translated(str(self.path)):
            return connect_reader(self.path) if self._readonly else connect(self.path, cache_mb=CACHE_MB)

    def _alive(self, from_ms: int, now_ms: int, ended: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO run(from_ms, to_ms, ended) VALUES (?, ?, ?)", (from_ms, now_ms, ended))


def _flat(rows: Iterable[Sequence[int]]) -> Rows:
    """All numbers of rows, one behind the other, without a list of them in between."""
    return np.fromiter(chain.from_iterable(rows), np.int64)


def _packed(numbers: Rows) -> bytes:
    return numbers.astype("<u4").tobytes()


def _unpacked(data: bytes, kind: str) -> Rows:
    return np.frombuffer(data, kind).astype(np.int64)

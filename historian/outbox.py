"""The file behind the spool: one SQLite table of parcels that wait, one of parcels that nobody takes.

Everything here runs on the spool's one thread. A transaction that ended is on the disk (synchronous FULL).
"""

from __future__ import annotations

import gzip
import json
import logging
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from historian import outbox_salvage
from historian.errors import DamagedHistory, StoreFailed, StoreFull, WrongFormat
from historian.outbox_reader import WAITING, dead_letters_of, readable, state_of
from historian.parcels import DeadLetter, Parcel, SpoolState, Verdict, Waiting
from historian.reserve import Reserve
from historian.schema import Measurement
from historian.sqlite.files import connect, translated
from historian.sqlite.keeping import Identity, identity, kept_aside, rescued

FORMAT = 1
CACHE_MB = 16
GZIP_LEVEL = 1
"""Higher levels cost several times the processor for a tenth of the size."""
SHED_TO = 0.95
"""Share of the ceiling down to which is shed at once, so that not every commit sheds."""
VACUUM_PAGES = 2000
SHEDDABLE = (Measurement.INST, Measurement.ENERGY)
"""What may be dropped when there is no more room, first first; events and commands never."""
DAMAGED_KEPT = 3
"""Damaged files that are kept aside."""
DEAD_SHARE = 0.1
"""Share of the ceiling that dead letters may take; beyond it the oldest go."""

_TABLES = """
CREATE TABLE IF NOT EXISTS q(
    id INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, measurement TEXT NOT NULL, n INTEGER NOT NULL,
    bytes INTEGER NOT NULL, t_min INTEGER NOT NULL, t_max INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    crc INTEGER NOT NULL, d BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS q_sink ON q(sink, id);
CREATE INDEX IF NOT EXISTS q_measurement ON q(measurement, id);
CREATE TABLE IF NOT EXISTS dead(
    id INTEGER PRIMARY KEY, sink TEXT NOT NULL, measurement TEXT NOT NULL, n INTEGER NOT NULL, error TEXT NOT NULL,
    at_ms INTEGER NOT NULL, d BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tally(name TEXT PRIMARY KEY, lines INTEGER NOT NULL);
"""

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class Outbox:
    """The open file. One that turns out to be damaged is put aside, and what can be read of it goes on in a new one;
    one that somebody took away is written out again."""

    def __init__(self, path: Path, ceiling_bytes: int, reserve_bytes: int = 0) -> None:
        self.path = path
        self._ceiling = ceiling_bytes
        self._reserve = Reserve(path.with_suffix(".reserve"), reserve_bytes)
        self._bytes = 0
        self._changes = 0
        self._identity: Identity = None
        self._last = 0
        """Highest number that is known: none is given out twice, whatever becomes of the file."""
        try:
            self._connection = self._connected()
        except WrongFormat:
            raise
        except (DamagedHistory, StoreFailed) as error:
            self._connection = self._begun_anew(error)
        self._take_stock()

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def append(self, parcels: Iterable[Parcel]) -> None:
        """Keep parcels; they are on the disk when this returns. Raises HistoryError."""
        rows = [_row(parcel) for parcel in parcels]
        self._mending(lambda: self._append(rows))

    def _append(self, rows: Sequence[tuple[str, str, int, int, int, int, int, bytes]]) -> None:
        if not self._reserve.take() and not self._reserve_again():
            what = "the disk is full: what waits is sent on, and nothing new is taken"
            raise StoreFull(what, where=str(self.path), hint="free space on the disk")
        with self._transaction():
            if self._foreign_changes() != self._changes:
                self._changes = self._foreign_changes()
                self._bytes = self._connection.execute(WAITING).fetchone()[2]
            self._insert(rows)
            added = sum(row[3] for row in rows)
            shed = self._shed(self._bytes + added - self._ceiling) if self._bytes + added > self._ceiling else 0
        self._bytes += added - shed

    def oldest(self, sink: str, parcels: int) -> list[Waiting]:
        """The first parcels that wait for a sink; those that cannot be read back become dead letters on the way."""
        while True:
            waiting, broken = self._mending(lambda: self._read(sink, parcels))
            if waiting:
                self._last = max(self._last, waiting[-1].id)
            if broken:
                _log.error("spool damaged parcels=%d path=%s", len(broken), self.path)
                self._with_reserve(partial(self._bury_damaged, broken))
            if waiting or not broken:
                return waiting

    def _read(self, sink: str, parcels: int) -> tuple[list[Waiting], list[tuple[int, str]]]:
        """Parcels, and what is wrong with those that cannot be read."""
        with translated(str(self.path)):
            found = self._connection.execute(
                "SELECT id, measurement, n, t_min, t_max, tries, crc, CAST(d AS BLOB) FROM q "
                "WHERE sink = ? ORDER BY id LIMIT ?",
                (sink, parcels),
            ).fetchall()
        waiting: list[Waiting] = []
        broken: list[tuple[int, str]] = []
        for number, measurement, count, first_ms, last_ms, tries, crc, blob in found:
            try:
                parcel = Parcel(sink, Measurement(measurement), _lines(blob, crc), *_numbers(count, first_ms, last_ms))
            except (DamagedHistory, ValueError) as error:
                broken.append((number, str(error)))
                continue
            waiting.append(Waiting(number, parcel, _whole(tries)))
        return waiting, broken

    def settle(self, verdict: Verdict, now_ms: int) -> None:
        """Do as the verdict says, all or nothing; where the disk is full, with the room kept back for it."""
        self._with_reserve(lambda: self._mending(lambda: self._settle(verdict, now_ms)))

    def _settle(self, verdict: Verdict, now_ms: int) -> None:
        freed = 0
        with self._transaction():
            freed += self._delete(verdict.done)
            self._connection.executemany(
                "UPDATE q SET tries = tries + 1 WHERE id = ?", ((number,) for number in verdict.tried)
            )
            for number, parcels in verdict.cut:
                freed += self._delete([number])
                rows = [_row(parcel) for parcel in parcels]
                self._insert(rows, tries=1)  # so that each goes alone, until what is wrong stands alone
                freed -= sum(row[3] for row in rows)
            freed += self._bury(verdict.dead, now_ms, damaged=False)
        self._bytes -= freed
        if freed > 0:
            with suppress(StoreFull), translated(str(self.path)):
                self._connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()

    def state(self) -> SpoolState:
        """How much waits and what was given up."""
        return self._mending(self._state)

    def _state(self) -> SpoolState:
        with translated(str(self.path)):
            return state_of(self._connection)

    def oldest_ms(self, measurements: Sequence[Measurement]) -> int:
        """Time of the oldest line of some measurements that waits, 0 where none does."""
        query = "SELECT min(t_min) FROM q WHERE measurement IN (SELECT value FROM json_each(?))"
        with translated(str(self.path)):
            found = self._connection.execute(query, (json.dumps([kind.value for kind in measurements]),)).fetchone()
        return int(found[0] or 0)

    def dead_letters(self, most: int) -> list[DeadLetter]:
        """The newest dead letters."""
        with translated(str(self.path)):
            return dead_letters_of(self._connection, most)

    def revive(self) -> int:
        """Put every readable dead letter back in the queue, for a sink that was mended; says how many lines."""
        with self._transaction():
            found = self._connection.execute("SELECT id, sink, measurement, n, d FROM dead").fetchall()
            lines = 0
            for number, sink, measurement, count, blob in found:
                text = readable(blob)
                if not text:
                    continue
                parcel = Parcel(sink, Measurement(measurement), text, count, *_times(text))
                self._insert([_row(parcel)], tries=1)  # alone, as it was refused
                self._connection.execute("DELETE FROM dead WHERE id = ?", (number,))
                lines += count
            self._bytes = self._connection.execute(WAITING).fetchone()[2]
        return lines

    # inside

    def _reserve_again(self) -> bool:
        """Give back what the log of the file takes, and keep room again where that is enough."""
        with suppress(StoreFull), translated(str(self.path)):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return self._reserve.take()

    def _foreign_changes(self) -> int:
        """Changes with every commit of another process (`joulehub history spool revive`), and with none of ours."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def _take_stock(self) -> None:
        with translated(str(self.path)):
            self._bytes = self._connection.execute(WAITING).fetchone()[2]
            self._last = max(self._last, self._connection.execute("SELECT COALESCE(MAX(id), 0) FROM q").fetchone()[0])
            self._changes = self._foreign_changes()
            self._identity = identity(self.path)

    def _mending(self, work: Callable[[], _Result]) -> _Result:
        """Do it; where the file is gone or damaged, once more with one that is whole."""
        if identity(self.path) != self._identity:
            self._connection = rescued(self._connection, self.path, self._connected)
            self._take_stock()
        try:
            return work()
        except DamagedHistory as error:
            self._connection.close()
            self._connection = self._begun_anew(error)
            self._take_stock()
            return work()

    def _with_reserve(self, work: Callable[[], None]) -> None:
        try:
            work()
        except StoreFull:
            if not self._reserve.release():
                raise
            work()

    def _begun_anew(self, error: Exception) -> sqlite3.Connection:
        """A new file with all that can be read of the damaged one, which is kept aside."""
        aside = kept_aside(self.path, DAMAGED_KEPT)
        connection = self._connected()
        with translated(str(self.path)):
            saved = outbox_salvage.salvage(aside, connection, self._last)
        _log.error("spool damaged, begun anew saved_parcels=%d kept=%s error=%s", saved, aside, error)
        return connection

    def _connected(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with translated(str(self.path)):
            connection = connect(self.path, cache_mb=CACHE_MB, synchronous="FULL")
            try:
                if not self._has_format(connection):
                    connection.executescript(_TABLES)
                    connection.execute(f"PRAGMA user_version = {FORMAT}")
                connection.execute(WAITING).fetchone()
            except BaseException:
                connection.close()
                raise
        return connection

    def _has_format(self, connection: sqlite3.Connection) -> bool:
        """Whether it is one already: then it is opened without writing, which a full disk does not allow."""
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, FORMAT):
            raise WrongFormat(
                f"the spool has format {version}, this hub knows {FORMAT}",
                where=str(self.path),
                hint="run the newer hub until the spool is empty, or move the file away",
            )
        return bool(version)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with translated(str(self.path)):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _insert(self, rows: Sequence[tuple[str, str, int, int, int, int, int, bytes]], tries: int = 0) -> None:
        self._connection.executemany(
            "INSERT INTO q(sink, measurement, n, bytes, t_min, t_max, crc, d, tries) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((*row, tries) for row in rows),
        )

    def _delete(self, numbers: Sequence[int]) -> int:
        freed = 0
        for number in numbers:
            row = self._connection.execute("DELETE FROM q WHERE id = ? RETURNING bytes", (number,)).fetchone()
            freed += _whole(row[0]) if row else 0
        return freed

    def _bury_damaged(self, broken: Sequence[tuple[int, str]]) -> None:
        with self._transaction():
            freed = self._bury(broken, 0, damaged=True)
        self._bytes -= freed

    def _bury(self, dead: Sequence[tuple[int, str]], now_ms: int, *, damaged: bool) -> int:
        """Make dead letters, within a transaction; says how many bytes wait no more."""
        freed = 0
        for number, error in dead:
            self._connection.execute(
                "INSERT OR REPLACE INTO dead SELECT id, sink, measurement, n, ?, ?, d FROM q WHERE id = ?",
                (error, now_ms, number),
            )
            row = self._connection.execute("SELECT n FROM q WHERE id = ?", (number,)).fetchone()
            freed += self._delete([number])
            if damaged and row is not None:
                self._count("damaged", _whole(row[0]))
        if dead:
            self._forget_dead()
        return freed

    def _forget_dead(self) -> None:
        """Give up the oldest dead letters where they take more room than they may."""
        most = int(self._ceiling * DEAD_SHARE)
        execute = self._connection.execute
        (size,) = execute("SELECT COALESCE(SUM(LENGTH(d)), 0) FROM dead").fetchone()
        lines = 0
        while size > most:
            oldest = "DELETE FROM dead WHERE id = (SELECT MIN(id) FROM dead) RETURNING n, LENGTH(d)"
            count, length = execute(oldest).fetchone()
            lines, size = lines + _whole(count), size - length
        if lines:
            self._count("dead", lines)
            _log.error("spool has too many dead letters, the oldest are given up lines=%d", lines)

    def _shed(self, over: int) -> int:
        """Drop the oldest of what may be dropped until at least `over` bytes and some reserve are free."""
        wanted = over + int(self._ceiling * (1 - SHED_TO))
        freed = 0
        for measurement in SHEDDABLE:
            lines = 0
            while freed < wanted:
                row = self._connection.execute(
                    "DELETE FROM q WHERE id = (SELECT MIN(id) FROM q WHERE measurement = ?) RETURNING n, bytes",
                    (measurement.value,),
                ).fetchone()
                if row is None:
                    break
                lines += row[0]
                freed += row[1]
            if lines:
                self._count(measurement.value, lines)
                _log.error("spool full, lines dropped measurement=%s lines=%d", measurement.value, lines)
        return freed

    def _count(self, name: str, lines: int) -> None:
        self._connection.execute(
            "INSERT INTO tally VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET lines = lines + excluded.lines",
            (name, lines),
        )


def _row(parcel: Parcel) -> tuple[str, str, int, int, int, int, int, bytes]:
    blob = gzip.compress(parcel.lines, GZIP_LEVEL, mtime=0)
    return (
        parcel.sink,
        parcel.measurement.value,
        parcel.count,
        len(blob),
        parcel.first_ms,
        parcel.last_ms,
        zlib.crc32(blob),
        blob,
    )


def _lines(blob: bytes, crc: int) -> bytes:
    if zlib.crc32(blob) != crc:
        raise DamagedHistory("the checksum does not fit")
    try:
        return gzip.decompress(blob)
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedHistory(f"cannot be unpacked ({error})") from error


def _numbers(*cells: object) -> list[int]:
    found = [cell for cell in cells if isinstance(cell, int)]
    if len(found) < len(cells):
        raise DamagedHistory("its row holds other than numbers")
    return found


def _whole(count: object) -> int:
    """A count of a row that may be damaged."""
    return count if isinstance(count, int) else 0


def _times(text: bytes) -> tuple[int, int]:
    """First and last time of lines, in ms; 0 where they have none."""
    ends = (line.rpartition(b" ")[2] for line in text.split(b"\n"))
    times = [int(end) for end in ends if end.isdigit()] or [0]
    return min(times), max(times)

"""Files of the embedded store: one SQLite file a month, named by it, and how each is opened.

`hist-YYYYMM.db` holds per UTC day a table `rows_e_YYYYMMDD` (energy) or `rows_i_YYYYMMDD` (inst), and the packed days
of the month in `cold_e` and `cold_i`.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path

from historian.errors import DamagedHistory, HistoryError, StoreBusy, StoreFailed, StoreFull
from historian.schema import Measurement
from historian.sqlite.shared_index import ReadingConnection, WritingConnection

DAY_MS = 86_400_000
PREFIX = {Measurement.ENERGY: "e", Measurement.INST: "i"}
"""Letter of the tables of each measurement that has rows of readings."""
LISTED = 20_000
"""Texts that are asked for at once."""

Month = str
"""YYYYMM."""

NOT_WRITABLE = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
    }
)
_UNLIKE = ("no such table", "no such column", "unsupported file format", "Could not decode to UTF-8")
"""How SQLite begins to say that a file is not made as the hub makes it."""
_ROOM = "free space on the disk or raise the file's ceiling"
_MEND = "mend the disk, or make the folder the hub's to write again; what waits is then written without a restart"
_INCREMENTAL = 2
_EPOCH = date(1970, 1, 1).toordinal()
FIRST_DAY = date(1970, 1, 1).toordinal() - _EPOCH
LAST_DAY = date(9999, 12, 31).toordinal() - _EPOCH
_FILE = re.compile(r"hist-((?:19[7-9]\d|[2-9]\d{3})(?:0[1-9]|1[0-2]))\.db")


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How the embedded store behaves.

    hot_days         days (today counted) that stay unpacked
    keep_days        at least so many days are kept, per measurement; 0 keeps for ever
    readers          threads that read
    cache_mb         page cache of the writing connection
    max_file_mb      ceiling of one month's file, 0 is none; beyond it writing fails as on a full disk
    """

    hot_days: int = 7
    keep_days_energy: int = 0
    keep_days_inst: int = 400
    readers: int = 2
    cache_mb: int = 64
    max_file_mb: int = 0

    def keep_days(self, measurement: Measurement) -> int:
        """How many days of a measurement are kept, 0 for ever."""
        return self.keep_days_energy if measurement is Measurement.ENERGY else self.keep_days_inst


def day_of(time_ms: int) -> int:
    """Days since 1970 of a time."""
    return time_ms // DAY_MS


def date_of(day: int) -> date:
    """Calendar date of a day, held within what a calendar knows."""
    return date.fromordinal(min(max(day, FIRST_DAY), LAST_DAY) + _EPOCH)


def month_of(day: int) -> Month:
    """Month of a day."""
    return date_of(day).strftime("%Y%m")


def first_day(month: Month) -> int:
    """First day of a month, as days since 1970."""
    return date(int(month[:4]), int(month[4:]), 1).toordinal() - _EPOCH


def cold_table(measurement: Measurement) -> str:
    """Name of the table of packed days."""
    return f"cold_{PREFIX[measurement]}"


def cold_key(series: int, day: int) -> int:
    """Row of a packed day: days of one unit lie side by side."""
    return series * 32 + date_of(day).day


def file_path(folder: Path, month: Month) -> Path:
    """The file of a month."""
    return folder / f"hist-{month}.db"


def months(folder: Path) -> list[Month]:
    """Months that have a file, ascending; raises StoreFull where the folder does not let look."""
    try:
        with os.scandir(folder) as entries:
            found = [_FILE.fullmatch(entry.name) for entry in entries if entry.is_file()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise not_let(error, folder) from error
    return sorted(match[1] for match in found if match)


def begins_ms(folder: Path) -> int | None:
    """A time before which nothing is stored, None where nothing is stored at all."""
    found = months(folder)
    return first_day(found[0]) * DAY_MS if found else None


def connect(path: Path, *, cache_mb: int, synchronous: str = "NORMAL") -> sqlite3.Connection:
    """A writing connection in autocommit mode; the file is made where there is none, and not written where there is."""
    connection = WritingConnection(path)
    try:
        if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != _INCREMENTAL:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA cache_size = {-1024 * cache_mb}")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.accompany(path)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


class Change(Enum):
    """Who may write to a file while it is read."""

    OTHERS = "others"
    NOBODY = "nobody"
    """Then nothing is needed beside the file: no room on the disk, and no right to write there."""


def waits_in_log(path: Path) -> bool:
    """Whether something was committed that is not in the file itself yet."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size > 0
    except OSError:
        return False


def connect_reader(path: Path, change: Change = Change.OTHERS) -> sqlite3.Connection:
    """A read-only connection, for one thread at a time."""
    uri = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if change is Change.NOBODY else ''}"
    connection = ReadingConnection(uri, path)
    try:
        connection.execute("PRAGMA cache_size = -8192")
        connection.begin()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def not_let(error: OSError, path: Path) -> StoreFull:
    """The historian's error for what a folder does not let the hub do."""
    what = f"history cannot be kept ({error.strerror or error})"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free space on the disk"
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        hint = "let the hub have more open files (`ulimit -n`, LimitNOFILE in systemd)"
    else:
        hint = "mend the folder: it must be there, and the hub's to read and write"
    return StoreFull(what, where=str(path), hint=hint)


def listed(texts: Sequence[str]) -> Iterator[str]:
    """Texts as JSON lists for `json_each`, in parts: SQLite keeps a copy of what each statement was asked last."""
    for first in range(0, len(texts), LISTED):
        yield json.dumps(list(texts[first : first + LISTED]))


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn SQLite's errors into the historian's."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, where) from error
    except UnicodeDecodeError as error:  # SQLite's own words on a damaged file hold bytes of it
        raise _damaged(error, where) from error


def translate(error: sqlite3.Error, where: str) -> HistoryError:
    """The historian's error for one of SQLite's."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in NOT_WRITABLE:
        what = f"history cannot be written ({error})"
        return StoreFull(what, where=where, hint=_ROOM if code == sqlite3.SQLITE_FULL else _MEND)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        what = f"history is held by someone else ({error})"
        return StoreBusy(what, where=where, hint="end the other process that writes to this folder")
    unlike = code == sqlite3.SQLITE_ERROR and str(error).startswith(_UNLIKE)
    if unlike or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _damaged(error, where)
    what = f"history could not be stored or read ({error})"
    return StoreFailed(what, where=where, hint="see the log; restore the file from a backup if it stays so")


def _damaged(error: Exception, where: str) -> DamagedHistory:
    what = f"the history file is damaged ({error})"
    return DamagedHistory(what, where=where, hint="its readings are skipped; restore the file from a backup")

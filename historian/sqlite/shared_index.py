"""Connections that outlive their disk: a disk that takes nothing more is an error of SQLite's, not the end of the hub.

Beside a file in WAL mode lies an index (`…-shm`) that SQLite maps into memory, so that many may read while one writes.
What is stored into such a map cannot fail with an error: where the file system refuses it (the file was made immutable,
the file system went read-only, the disk is broken) or the file was cut short, the kernel ends the process with SIGBUS.
So the index is touched, by its name, before SQLite would store into it, and nothing is left to be stored there by those
who only read. It is never opened here: to close any handle of it gives up the locks that the process holds on it.
What remains is a file that is made immutable in the very moment of a commit: SQLite writes and syncs the log first and
the index then, and asks nobody in between. Nothing that was committed is lost by that either.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

_CHANGES = (
    "BEGIN IMMEDIATE",
    "COMMIT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "REPLACE",
    "CREATE",
    "ALTER",
    "DROP",
    "PRAGMA wal_checkpoint",
    "PRAGMA incremental_vacuum",
    "PRAGMA user_version =",
)
_WAIT_S = 5.0


class _Index:
    """The index of a file, looked at by its name."""

    def __init__(self, path: Path) -> None:
        self._path = os.path.realpath(path) + "-shm"
        self._mapped: tuple[int, int] | None = None
        self._size = 0

    def know(self) -> None:
        """What SQLite has mapped by now is what stands under the name."""
        with suppress(OSError):
            found = os.stat(self._path)
            self._mapped, self._size = (found.st_dev, found.st_ino), found.st_size

    def whole(self) -> bool:
        """Whether it is as long as it was; where somebody cut it, it is made so again, and SQLite fills it anew.

        Raises sqlite3.OperationalError where the disk does not let that be done.
        """
        try:
            found = os.stat(self._path)
            if self._mapped != (found.st_dev, found.st_ino):
                return True  # not mapped yet, or another file has its name now
            if found.st_size < self._size:
                os.truncate(self._path, 0)  # of a half, SQLite would believe what it says
                os.truncate(self._path, self._size)
                return False
        except (FileNotFoundError, NotADirectoryError):
            return True  # what is mapped is there all the same
        except OSError as error:
            raise self._refused(error) from error
        self._size = found.st_size
        return True

    def touch(self) -> None:
        """Change it as a store into the map would; raises sqlite3.OperationalError where the disk refuses that."""
        try:
            os.utime(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> sqlite3.OperationalError:
        return _failed(f"{os.path.basename(self._path)}: {(error.strerror or str(error)).lower()}")

    def cut(self) -> sqlite3.OperationalError:
        """What is said where it was cut in the middle of a change."""
        return _failed(f"{os.path.basename(self._path)} was cut short by somebody")


class ReadingConnection(sqlite3.Connection):
    """A connection that only reads."""

    def __init__(self, uri: str, path: Path) -> None:
        self._index = _Index(path)
        super().__init__(uri, uri=True, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)

    def begin(self) -> None:
        """Once: open the file, which SQLite does not do before it is read; raises its errors."""
        self.execute("SELECT 1 FROM sqlite_master").fetchone()
        self._index.know()

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As SQLite does; raises its errors where the disk is broken."""
        if not self.in_transaction:
            self._index.whole()
        return super().execute(sql, parameters)


class WritingConnection(sqlite3.Connection):
    """A connection in autocommit mode that reads and writes; the file is made where there is none."""

    def __init__(self, path: Path) -> None:
        self._index = _Index(path)
        self._companion: sqlite3.Connection | None = None
        self._stand()
        super().__init__(path, timeout=_WAIT_S, isolation_level=None, cached_statements=128)

    def accompany(self, path: Path) -> None:
        """Once the file is in WAL mode: see to it that `close` is safe on a disk that refuses everything.

        The last connection that closes tidies up, which stores into the index; one that may only read does not.
        """
        uri = f"{path.resolve().as_uri()}?mode=ro"
        companion = sqlite3.connect(uri, uri=True, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        self._companion = companion
        companion.execute("SELECT 1 FROM sqlite_master").fetchall()
        self._index.know()

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As SQLite does; raises its errors where the disk refuses what is to be changed."""
        inside = self.in_transaction
        if not sql.startswith(_CHANGES if not inside else "COMMIT"):
            if not inside:
                self._index.whole()
            return super().execute(sql, parameters)
        self._stand()
        cursor = super().execute(sql, parameters)
        self._leave_nothing()
        return cursor

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """As SQLite does; raises its errors where the disk refuses what is to be changed."""
        if self.in_transaction:
            return super().executemany(sql, parameters)
        self._stand()
        cursor = super().executemany(sql, parameters)
        self._leave_nothing()
        return cursor

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        """As SQLite does; raises its errors where the disk refuses what is to be changed."""
        self._stand()
        cursor = super().executescript(sql_script)
        self._leave_nothing()
        return cursor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> Literal[False]:
        if self.in_transaction:
            try:
                self.execute("COMMIT" if kind is None else "ROLLBACK")
            except BaseException:
                if self.in_transaction:
                    self.execute("ROLLBACK")
                raise
        return False

    def close(self) -> None:
        """Release the file; tidied up beside it is only where the disk lets that be done."""
        companion, self._companion = self._companion, None
        if companion is None:
            super().close()
            return
        try:
            self._stand()
        except sqlite3.Error:
            super().close()
            companion.close()
        else:
            companion.close()
            super().close()

    def _stand(self) -> None:
        self._index.touch()
        if not self._index.whole() and self.in_transaction:
            raise self._index.cut()

    def _leave_nothing(self) -> None:
        """Read once, so that the index says where reading is up to: who reads next has nothing to store there."""
        if not self.in_transaction:
            with suppress(sqlite3.Error):
                super().execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()


def _failed(what: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    error.sqlite_errorname = "SQLITE_IOERR"
    return error

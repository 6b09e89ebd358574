"""The spool's file for reading only: what waits, and what was given up."""

from __future__ import annotations

import gzip
import sqlite3
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

from historian.parcels import DeadLetter, SpoolState
from historian.sqlite.files import connect_reader, translated

WAITING = "SELECT COUNT(*), COALESCE(SUM(n), 0), COALESCE(SUM(bytes), 0), MIN(t_min) FROM q"


class OutboxReader:
    """The file for reading only, beside a hub that writes to it. Use with `with`; raises HistoryError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with translated(str(path)):
            self._connection = connect_reader(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def state(self) -> SpoolState:
        """How much waits and what was given up."""
        with translated(str(self.path)):
            return state_of(self._connection)

    def dead_letters(self, most: int) -> list[DeadLetter]:
        """The newest dead letters."""
        with translated(str(self.path)):
            return dead_letters_of(self._connection, most)


def state_of(connection: sqlite3.Connection) -> SpoolState:
    """How much waits and what was given up."""
    parcels, lines, size, oldest_ms = connection.execute(WAITING).fetchone()
    dead = connection.execute("SELECT COALESCE(SUM(n), 0) FROM dead").fetchone()[0]
    tally = dict(connection.execute("SELECT name, lines FROM tally").fetchall())
    damaged = tally.pop("damaged", 0)
    return SpoolState(parcels, lines, size, oldest_ms or 0, dead, damaged, tally)


def dead_letters_of(connection: sqlite3.Connection, most: int) -> list[DeadLetter]:
    """The newest dead letters."""
    found = connection.execute(
        "SELECT id, sink, measurement, n, error, at_ms, d FROM dead ORDER BY id DESC LIMIT ?", (most,)
    ).fetchall()
    return [
        DeadLetter(number, sink, measurement, count, error, at_ms, readable(blob))
        for number, sink, measurement, count, error, at_ms, blob in found
    ]


def readable(blob: bytes) -> bytes:
    """Lines of a dead letter, empty where they cannot be read any more."""
    try:
        return gzip.decompress(blob)
    except (OSError, EOFError, zlib.error):
        return b""

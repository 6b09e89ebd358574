"""What can still be read of a damaged spool: parcels whose check sum fits, under their own numbers."""

from __future__ import annotations

import gzip
import io
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from historian.schema import Measurement

PATIENCE = 1000
"""So many numbers in a row that cannot be read are tried one by one, then steps grow."""
PAGE = 4096
_MAGIC = b"SQLite format 3\0"
_ALIKE = 12
_HEAD = {
    0: _MAGIC + PAGE.to_bytes(2, "big") + bytes([2, 2, 0, 64, 32, 32]),
    44: bytes([0, 0, 0, 4]),
    56: bytes([0, 0, 0, 1]),
}
"""SQLite's file format 1.3: magic, size of a page, WAL, shares of payload; schema format 4; UTF-8."""
_PAGES_AT = 28
_NEWEST = 200_000
"""Numbers that are looked at where the file does not say which there are."""
_ROW = "SELECT id, sink, measurement, n, bytes, t_min, t_max, tries, crc, CAST(d AS BLOB) FROM q "
_INSERT = (
    "INSERT OR REPLACE INTO q(id, sink, measurement, n, bytes, t_min, t_max, tries, crc, d) "
    "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def salvage(damaged: Path, into: sqlite3.Connection, last: int) -> int:
    """Copy what can be read; says how many parcels. `last` is a number up to which all were given out.

    Raises sqlite3.Error only where `into` cannot be written.
    """
    saved = 0
    highest = last
    source = _opened(damaged)
    into.execute("BEGIN IMMEDIATE")
    try:
        if source is not None:
            with closing(source):
                low, high = _span(source, last)
                highest = max(highest, high)
                for row in _rows(source, low, high):
                    into.execute(_INSERT, row)
                    saved += 1
                for name, lines in _tallies(source):
                    into.execute("INSERT OR REPLACE INTO tally VALUES(?, ?)", (name, lines))
                for letter in _letters(source):
                    into.execute("INSERT OR REPLACE INTO dead VALUES(?, ?, ?, ?, ?, ?, ?)", letter)
        into.execute("DELETE FROM sqlite_sequence WHERE name = 'q'")
        into.execute("INSERT INTO sqlite_sequence(name, seq) VALUES('q', ?)", (highest,))
        into.execute("COMMIT")
    except BaseException:
        if into.in_transaction:
            into.execute("ROLLBACK")
        raise
    return saved


def _opened(damaged: Path) -> sqlite3.Connection | None:
    try:
        _mend_head(damaged)
        connection = sqlite3.connect(damaged, isolation_level=None)
    except (OSError, sqlite3.Error, UnicodeDecodeError):
        return None
    connection.text_factory = bytes
    return connection


def _mend_head(damaged: Path) -> None:
    """Write anew what every SQLite file of the hub begins with, and how long the file is: so SQLite opens it at all.

    What was never such a file stays as it is.
    """
    with damaged.open("r+b") as file:
        begin = file.read(len(_MAGIC))
        pages = file.seek(0, io.SEEK_END) // PAGE
        if not pages or sum(map(int.__eq__, begin, _MAGIC)) < _ALIKE:
            return
        for at, constant in _HEAD.items():
            file.seek(at)
            file.write(constant)
        file.seek(_PAGES_AT)
        file.write(pages.to_bytes(4, "big"))


def _span(source: sqlite3.Connection, last: int) -> tuple[int, int]:
    """First and last number there may be."""
    low, high = 0, last
    with suppress(sqlite3.Error, UnicodeDecodeError):
        found = source.execute("SELECT seq FROM sqlite_sequence WHERE name = 'q'").fetchone()
        high = max(high, found[0] if found and isinstance(found[0], int) else 0)
    with suppress(sqlite3.Error, UnicodeDecodeError):
        found = source.execute("SELECT MAX(id) FROM q").fetchone()
        high = max(high, found[0] or 0)
    low = max(high - _NEWEST, 0)
    with suppress(sqlite3.Error, UnicodeDecodeError):
        found = source.execute("SELECT MIN(id) FROM q").fetchone()
        low = found[0] or low
    return low, high


def _rows(source: sqlite3.Connection, low: int, high: int) -> Iterator[tuple[object, ...]]:
    """Every parcel that is whole, in order; over what cannot be read it goes on number by number."""
    number, failures = low, 0
    while number <= high:
        try:
            row = source.execute(f"{_ROW}WHERE id >= ? ORDER BY id LIMIT 1", (number,)).fetchone()
        except (sqlite3.Error, UnicodeDecodeError):
            failures += 1
            number += 1 if failures < PATIENCE else failures // PATIENCE * 10
            continue
        if row is None or row[0] < number:
            return
        failures = 0
        number = row[0] + 1
        whole = _whole(row)
        if whole is not None:
            yield whole


def _whole(row: tuple[object, ...]) -> tuple[object, ...] | None:
    """The row with what stands beside its lines made good from them, None where the lines are spoilt."""
    number, sink, _, _, _, first_ms, last_ms, _, crc, blob = row
    if not isinstance(blob, bytes) or not isinstance(sink, bytes) or zlib.crc32(blob) != crc:
        return None
    try:
        text = gzip.decompress(blob)
        measurement = Measurement(text.partition(b",")[0].decode())
        name = sink.decode()
    except (OSError, EOFError, zlib.error, ValueError):
        return None
    times = [moment if isinstance(moment, int) else 0 for moment in (first_ms, last_ms)]
    return (number, name, measurement.value, text.count(b"\n") + 1, len(blob), *times, 1, crc, blob)


def _tallies(source: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    with suppress(sqlite3.Error, UnicodeDecodeError):
        for name, lines in source.execute("SELECT name, lines FROM tally"):
            if isinstance(name, bytes) and isinstance(lines, int) and name.isascii():
                yield name.decode(), lines


def _letters(source: sqlite3.Connection) -> Iterator[tuple[object, ...]]:
    with suppress(sqlite3.Error, UnicodeDecodeError):
        for row in source.execute("SELECT id, sink, measurement, n, error, at_ms, CAST(d AS BLOB) FROM dead"):
            number, *texts, blob = row
            if isinstance(blob, bytes) and all(isinstance(part, bytes | int) for part in texts):
                parts = [part.decode("utf-8", "replace") if isinstance(part, bytes) else part for part in texts]
                yield (number, *parts, blob)

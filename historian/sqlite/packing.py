"""Old days from rows into packed blobs, and what is older than is kept, away. Runs on the writer's thread, in steps.

Rows stay in the hot table until every unit of the day is packed, and the table is dropped in one transaction; a row in
both places is the same reading, and the hot one wins. A day that is written to while it is packed stays hot until the
next time.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress

import numpy as np
from numpy.typing import NDArray

from historian.errors import DamagedHistory, HistoryError
from historian.schema import Measurement
from historian.sqlite import block
from historian.sqlite.block import DayBlock
from historian.sqlite.files import (
    PREFIX,
    Month,
    cold_key,
    cold_table,
    connect_reader,
    file_path,
    first_day,
    month_of,
    months,
    not_let,
    translated,
)
from historian.sqlite.hotday import Checked, HotDay, Row, any_text, spoilt_rows
from historian.sqlite.keeping import SIDES
from historian.sqlite.newest import ENTRY, sealed, unsealed
from historian.sqlite.writer import MonthFile, Writer

ROWS_A_STEP = 20_000
PAGES_A_STEP = 2_000
_NEXT_MONTH = 32

_log = logging.getLogger(__name__)


def maintain(writer: Writer, today: int, kept_by: int) -> Iterator[None]:
    """Drop what is older than is kept, pack what is old, give room back. Each step is short; errors are logged.

    today, kept_by  days since 1970: what is packed counts by the first, what is given up by the second
    """
    for month in months(writer.folder):
        try:
            with translated(str(file_path(writer.folder, month))):
                yield from _retain(writer, month, kept_by)
                if file_path(writer.folder, month).exists():
                    yield from _pack_month(writer, month, today)
        except HistoryError as error:
            if isinstance(error, DamagedHistory):
                writer.damage(str(file_path(writer.folder, month)), error.what)
            _log.error("history upkeep failed file=%s error=%s", file_path(writer.folder, month), error)
            writer.forget(month)


def merge(old: DayBlock, new: DayBlock) -> DayBlock:
    """Both days in one; where both have a reading, the new one."""
    columns = tuple(sorted({*old.columns, *new.columns}))
    time_ms = np.union1d(old.time_ms, new.time_ms)
    shape = (len(time_ms), len(columns))
    values, status, present = np.full(shape, np.nan), np.zeros(shape, np.uint32), np.zeros(shape, np.bool_)
    for part in (old, new):
        rows = np.searchsorted(time_ms, part.time_ms)
        for index, column in enumerate(part.columns):
            taken = part.present[:, index]
            place = columns.index(column)
            values[rows[taken], place] = part.values[taken, index]
            status[rows[taken], place] = part.status[taken, index]
            present[rows[taken], place] = True
    return DayBlock(time_ms, columns, values, status, present)


def _retain(writer: Writer, month: Month, today: int) -> Iterator[None]:
    """Hot days go one by one; packed days go when the whole month has passed."""
    oldest = {measurement: _oldest_kept(writer, measurement, today) for measurement in PREFIX}
    month_end = first_day(month_of(first_day(month) + _NEXT_MONTH))
    if all(month_end <= day for day in oldest.values()):
        writer.forget(month)
        path = file_path(writer.folder, month)
        try:
            for suffix in ("", *SIDES):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise not_let(error, path) from error
        _log.info("history month dropped file=%s", path)
        yield
        return
    if first_day(month) >= max(oldest.values()):
        return
    file = writer.month(month)
    for hot in sorted(file.hot, key=lambda hot: hot.day):
        if hot.day < oldest[hot.measurement]:
            _drop(writer, file, hot)
            yield
    for measurement, day in oldest.items():
        if month_end <= day:
            with file.transaction() as connection:
                connection.execute(f"DELETE FROM {cold_table(measurement)}")  # noqa: S608 - name from an enumeration
            yield


def _oldest_kept(writer: Writer, measurement: Measurement, today: int) -> int:
    keep = writer.options.keep_days(measurement)
    return today - keep if keep else 0


def _pack_month(writer: Writer, month: Month, today: int) -> Iterator[None]:
    if first_day(month) > today - writer.options.hot_days:
        return
    file = writer.month(month)
    due = [hot for hot in file.hot if hot.day <= today - writer.options.hot_days]
    for hot in sorted(due, key=lambda hot: (hot.day, not hot.plain)):
        yield from _pack_day(writer, month, hot)
    file = writer.month(month)
    if not file.hot:
        while file.connection.execute("PRAGMA freelist_count").fetchone()[0]:
            file.connection.execute(f"PRAGMA incremental_vacuum({PAGES_A_STEP})").fetchall()
            yield
            file = writer.month(month)


def _pack_day(writer: Writer, month: Month, hot: HotDay) -> Iterator[None]:
    before = writer.changes.get(hot, 0)
    after = -1
    while rows := _next_units(writer.month(month), hot, after):
        found = hot.checked(rows)
        if found.spoilt or (np.diff(found.series) < 0).any():
            yield from _pack_spoilt_day(writer, month, hot)
            break
        _pack_units(writer, writer.month(month), hot, found)
        after = int(found.series[-1])
        yield
    if writer.changes.get(hot, 0) == before:
        _drop(writer, writer.month(month), hot)
    yield


def _pack_spoilt_day(writer: Writer, month: Month, hot: HotDay) -> Iterator[None]:
    """All rows in the order in which they lie: keys that are spoilt would lead past others."""
    path = file_path(writer.folder, month)
    given_up = 0
    with closing(connect_reader(path)) as connection:
        connection.text_factory = any_text
        cursor = connection.execute(f"SELECT * FROM {hot.name}")  # noqa: S608 - name from a date
        while rows := cursor.fetchmany(ROWS_A_STEP):
            found = hot.checked(rows)
            given_up += found.spoilt
            _pack_units(writer, writer.month(month), hot, found)
            yield
    if given_up:
        error = spoilt_rows(given_up)
        writer.damage(f"{path} {hot.name}", error.what)
        _log.error("spoilt rows given up file=%s table=%s error=%s", path, hot.name, error)


def _next_units(file: MonthFile, hot: HotDay, after: int) -> list[Row]:
    """All rows of the units behind `after`, as many whole units as a step takes and at least one."""
    if hot not in file.hot:
        return []
    connection = file.connection
    query = f"SELECT * FROM {hot.name} WHERE p > ? ORDER BY p, ts LIMIT ?"  # noqa: S608 - name from a date
    rows = connection.execute(query, (after, ROWS_A_STEP)).fetchall()
    if len(rows) < ROWS_A_STEP:
        return rows
    last = rows[-1][0]
    if rows[0][0] == last:
        one = f"SELECT * FROM {hot.name} WHERE p = ? ORDER BY ts"  # noqa: S608 - name from a date
        return connection.execute(one, (last,)).fetchall()
    while rows[-1][0] == last:
        rows.pop()
    return rows


def _pack_units(writer: Writer, file: MonthFile, hot: HotDay, found: Checked) -> None:
    if not len(found.series):
        return
    order = np.lexsort((found.block.time_ms, found.series))
    series = found.series[order]
    firsts = np.flatnonzero(np.diff(series, prepend=-1))
    newest: list[tuple[int, DayBlock]] = []
    packed: list[tuple[int, int, bytes]] = []
    for first, end in zip(firsts.tolist(), [*firsts.tolist()[1:], len(series)], strict=True):
        number = int(series[first])
        part = _distinct(found.block, order[first:end])
        newest.append((number, part))
        old = _packed_before(file, hot, number)
        data = block.pack(merge(old, part) if old is not None else part)
        key = cold_key(number, hot.day)
        packed.append((key, block.check_sum(data, key), data))
    with file.transaction() as connection:
        name = cold_table(hot.measurement)
        connection.executemany(f"INSERT OR REPLACE INTO {name}(key, crc, d) VALUES (?, ?, ?)", packed)  # noqa: S608
    writer.catalogued(lambda catalogue: _note_newest(catalogue.connection, hot.measurement, newest))


def _distinct(whole: DayBlock, rows: NDArray[np.int64]) -> DayBlock:
    """Rows in ascending order of time; of one time that is there twice the last."""
    time_ms = whole.time_ms[rows]
    again = time_ms[1:] == time_ms[:-1]
    if again.any():
        rows = rows[np.append(~again, np.ones(1, np.bool_))]
    return whole.rows(rows)


def _packed_before(file: MonthFile, hot: HotDay, series: int) -> DayBlock | None:
    query = f"SELECT crc, d FROM {cold_table(hot.measurement)} WHERE key = ?"  # noqa: S608 - name from an enumeration
    key = cold_key(series, hot.day)
    found = file.connection.execute(query, (key,)).fetchone()
    if found is None:
        return None
    try:
        return block.unpack(block.checked(found[1], found[0], key))
    except DamagedHistory as error:
        _log.error("damaged packed day replaced file=%s series=%d error=%s", file.path, series, error)
        return None


def _note_newest(
    connection: sqlite3.Connection, measurement: Measurement, parts: Sequence[tuple[int, DayBlock]]
) -> None:
    """Keep the newest value of each column where `latest` finds it without opening packed days."""
    entries: list[tuple[int, str, bytes]] = []
    for series, part in parts:
        query = "SELECT d FROM last WHERE p = ? AND m = ?"
        found = connection.execute(query, (series, measurement.value)).fetchone()
        noted = b""
        with suppress(DamagedHistory):  # then only what is packed now is known
            noted = unsealed(series, measurement.value, found[0]) if found else b""
        newest = {entry[0]: entry for entry in ENTRY.iter_unpack(noted)}
        has_value = ~np.isnan(part.values)
        rows = len(part.time_ms) - 1 - np.argmax(has_value[::-1], axis=0)
        for column in np.flatnonzero(has_value.any(axis=0)).tolist():
            row = int(rows[column])
            time_ms = int(part.time_ms[row])
            if column not in newest or newest[column][1] <= time_ms:
                value, status = float(part.values[row, column]), int(part.status[row, column])
                newest[column] = (column, time_ms, value, status)
        data = b"".join(ENTRY.pack(*entry) for _, entry in sorted(newest.items()))
        entries.append((series, measurement.value, sealed(series, measurement.value, data)))
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("INSERT OR REPLACE INTO last(p, m, d) VALUES (?, ?, ?)", entries)
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _drop(writer: Writer, file: MonthFile, hot: HotDay) -> None:
    file.connection.execute(f"DROP TABLE IF EXISTS {hot.name}")
    file.hot.discard(hot)
    writer.changes.pop(hot, None)

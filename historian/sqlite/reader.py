"""The reading side of the embedded store: one `Reader` a thread, with its own read-only connections.

A read goes month by month in the direction asked for and sees each month as of one instant, so that a day that is
being packed is never seen twice or not at all.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity, by_path
from historian.api import Series
from historian.errors import DamagedHistory
from historian.schema import Measurement, field_of, measurement_of
from historian.sqlite import block
from historian.sqlite.block import PackedColumn
from historian.sqlite.catalogue import FILE, fields_of, format_of
from historian.sqlite.files import (
    DAY_MS,
    NOT_WRITABLE,
    Change,
    Month,
    cold_table,
    connect_reader,
    day_of,
    file_path,
    first_day,
    month_of,
    months,
    translated,
    waits_in_log,
)
from historian.sqlite.hotday import Damage, HotDay, any_text, hot_days, spoilt_rows
from historian.sqlite.keeping import Identity, identity

_OPEN_MONTHS = 16
_MORE, _FEWEST = 4, 64
"""Where too few rows of a hot day have the value, so many times as many are read, and at least so many."""


class Column(NamedTuple):
    """Where a store keeps one variable."""

    measurement: Measurement
    series: int
    column: int


class Span(NamedTuple):
    """What is asked for: [start_ms, end_ms), and how many values of it at most, from which end."""

    start_ms: int
    end_ms: int
    missing: int
    newest_first: bool


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One column of part of a month: ascending, distinct times; base units."""

    time_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    status: NDArray[np.uint32]

    def within(self, span: Span) -> Piece:
        """What lies in the span."""
        first, last = np.searchsorted(self.time_ms, (span.start_ms, span.end_ms)).tolist()
        return Piece(self.time_ms[first:last], self.values[first:last], self.status[first:last])

    def ordered(self) -> Piece:
        """The same of rows in any order; of the same time one."""
        if (self.time_ms[1:] > self.time_ms[:-1]).all():
            return self
        time_ms, taken = np.unique(self.time_ms, return_index=True)
        return Piece(time_ms, self.values[taken], self.status[taken])


class Reader:
    """Reads for one thread. Damage is told to `damage`, on that thread, and skipped; everything else is raised as
    HistoryError."""

    def __init__(self, folder: Path, damage: Damage) -> None:
        self.folder = folder
        self._damage = damage
        self._catalogue: tuple[sqlite3.Connection, Identity] | None = None
        self._months: OrderedDict[Month, tuple[sqlite3.Connection, Identity]] = OrderedDict()
        self._still: set[Month] = set()
        """Months that are open as if nobody wrote to them, for one read only."""

    def close(self) -> None:
        """Release all files."""
        if self._catalogue is not None:
            self._catalogue[0].close()
            self._catalogue = None
        for connection, _ in self._months.values():
            connection.close()
        self._months.clear()

    def catalogue(self) -> sqlite3.Connection:
        """The open catalogue; raises sqlite3.Error, StoreFull, WrongFormat."""
        path = self.folder / FILE
        stands = identity(path)
        if self._catalogue is not None and self._catalogue[1] != stands:
            self._catalogue[0].close()
            self._catalogue = None
        if self._catalogue is None:
            connection = connect_reader(path)
            try:
                format_of(connection, path)
            except BaseException:
                connection.close()
                raise
            self._catalogue = (connection, stands)
        return self._catalogue[0]

    def locate(self, unit: NodeUid, quantity: Quantity) -> Column | None:
        """Where a variable is kept, None where it never was."""
        measurement = measurement_of(quantity)
        if measurement is None:
            return None
        query = (
            "SELECT s.p, l.fields FROM series s JOIN columns c ON c.p = s.p AND c.m = ? "
            "JOIN layout l ON l.id = c.layout WHERE s.uid = ?"
        )
        with translated(str(self.folder / FILE)):
            found = self.catalogue().execute(query, (measurement.value, unit)).fetchone()
        fields = fields_of(found[1]) if found else ()
        field = field_of(quantity)
        return Column(measurement, found[0], fields.index(field)) if field in fields else None

    def kept(self) -> dict[NodeUid, tuple[Quantity, ...]]:
        """Contract of `HistoryIndex.kept`."""
        query = (
            "SELECT s.uid, l.fields FROM series s JOIN columns c ON c.p = s.p JOIN layout l ON l.id = c.layout "
            "ORDER BY s.uid, c.m"
        )
        found: dict[NodeUid, tuple[Quantity, ...]] = {}
        layouts: dict[str, tuple[Quantity, ...]] = {}
        with translated(str(self.folder / FILE)):
            for uid, fields in self.catalogue().execute(query):
                if fields not in layouts:
                    named = map(by_path, fields_of(fields))
                    layouts[fields] = tuple(quantity for quantity in named if quantity is not None)
                unit = NodeUid(uid)
                found[unit] = found.get(unit, ()) + layouts[fields]
        return found

    def read(
        self, unit: NodeUid, quantity: Quantity, start_ms: int, end_ms: int, limit: int, *, newest_first: bool
    ) -> Series:
        """Contract of `HistoryReader.read_raw`."""
        column = self.locate(unit, quantity)
        pieces: list[Piece] = []
        if column is not None and start_ms < end_ms and limit > 0:
            span = Span(start_ms, end_ms, limit + 1, newest_first)
            for month in self._months_of(span):
                for piece in self._month_pieces(month, column, span):
                    pieces.append(piece)
                    span = span._replace(missing=span.missing - len(piece.time_ms))
                if span.missing <= 0:
                    break
        if newest_first:
            pieces.reverse()
        time_ms = np.concatenate([piece.time_ms for piece in pieces]) if pieces else np.empty(0, np.int64)
        values = np.concatenate([piece.values for piece in pieces]) if pieces else np.empty(0)
        status = np.concatenate([piece.status for piece in pieces]) if pieces else np.empty(0, np.uint32)
        step = slice(None, None, -1) if newest_first else slice(None)
        more = len(time_ms) > limit
        return Series(time_ms[step][:limit], values[step][:limit] / quantity.per_unit, status[step][:limit], more)

    @contextmanager
    def snapshot(self, month: Month) -> Iterator[sqlite3.Connection | None]:
        """A month as of one instant; None, and told as damage, where it cannot be read."""
        path = file_path(self.folder, month)
        connection = None
        try:
            with translated(str(path)):
                connection = self._open(month, path)
                if connection is not None:
                    connection.execute("BEGIN")
        except DamagedHistory as error:
            self._spoilt(month, error)
            connection = None
        if connection is None:
            yield None
            return
        try:
            with translated(str(path)):
                yield connection
        except DamagedHistory as error:
            self._spoilt(month, error)
        finally:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if month in self._still:
                self._forget(month)

    def told(self, place: str, error: DamagedHistory) -> None:
        """Pass on that a part is damaged."""
        self._damage(place, error.what)

    def _spoilt(self, month: Month, error: DamagedHistory) -> None:
        self._forget(month)
        self._damage(str(file_path(self.folder, month)), error.what)

    def _months_of(self, span: Span) -> list[Month]:
        first, last = month_of(day_of(span.start_ms)), month_of(day_of(span.end_ms - 1))
        found = [month for month in months(self.folder) if first <= month <= last]
        return found[::-1] if span.newest_first else found

    def _open(self, month: Month, path: Path) -> sqlite3.Connection | None:
        stands = identity(path)
        if stands is None:
            self._forget(month)
            return None
        known = self._months.get(month)
        if known is not None and known[1] == stands:
            self._months.move_to_end(month)
            return known[0]
        self._forget(month)
        while len(self._months) >= _OPEN_MONTHS:
            self._months.popitem(last=False)[1][0].close()
        try:
            connection = connect_reader(path)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in NOT_WRITABLE or waits_in_log(path):
                raise
            connection = connect_reader(path, Change.NOBODY)  # the disk has no room for what readers share
            self._still.add(month)
        connection.text_factory = any_text
        self._months[month] = (connection, stands)
        return connection

    def _forget(self, month: Month) -> None:
        self._still.discard(month)
        known = self._months.pop(month, None)
        if known is not None:
            known[0].close()

    def _month_pieces(self, month: Month, column: Column, span: Span) -> list[Piece]:
        """Pieces in the direction asked for, one a day or more, until nothing is missing."""
        first = max(day_of(span.start_ms), first_day(month))
        last = min(day_of(span.end_ms - 1), first_day(month) + 31)
        pieces: list[Piece] = []
        with self.snapshot(month) as connection:
            if connection is None:
                return pieces
            hot: dict[int, list[HotDay]] = {}
            for one in hot_days(connection):
                if one.measurement is column.measurement:
                    hot.setdefault(one.day, []).append(one)
            cold = self._cold_days(connection, month, column)
            days = sorted(day for day in hot.keys() | cold.keys() if first <= day <= last)
            if span.newest_first:
                days.reverse()
            while days and span.missing > 0:
                taken = _enough(days, span.missing)
                del days[: len(taken)]
                for piece in self._days(connection, month, column, taken, hot, cold, span):
                    pieces.append(piece)
                    span = span._replace(missing=span.missing - len(piece.time_ms))
        return pieces

    def _cold_days(self, connection: sqlite3.Connection, month: Month, column: Column) -> dict[int, int]:
        """Packed days of a variable's unit, and the row of each."""
        name = cold_table(column.measurement)
        low = column.series * 32
        query = f"SELECT key FROM {name} WHERE key >= ? AND key < ?"  # noqa: S608 - name from an enumeration
        keys = connection.execute(query, (low, low + 32)).fetchall()
        return {first_day(month) + key - low - 1: key for (key,) in keys}

    def _days(
        self,
        connection: sqlite3.Connection,
        month: Month,
        column: Column,
        days: list[int],
        hot: dict[int, list[HotDay]],
        cold: dict[int, int],
        span: Span,
    ) -> list[Piece]:
        cuts: dict[int, PackedColumn] = {}
        for day in days:
            if day in cold:
                cut = self._cut(connection, month, column, cold[day])
                if cut is not None:
                    cuts[day] = cut
        pieces = {day: piece.within(span) for day, piece in self._decoded(cuts, month).items()}
        for day in days:
            for table in hot.get(day, ()):
                piece = self._hot(connection, month, column, table, span)
                if piece is not None:
                    pieces[day] = _merged(pieces[day], piece) if day in pieces else piece
        return [pieces[day] for day in days if day in pieces]

    def _cut(self, connection: sqlite3.Connection, month: Month, column: Column, key: int) -> PackedColumn | None:
        query = f"SELECT crc, d FROM {cold_table(column.measurement)} WHERE key = ?"  # noqa: S608
        crc, data = connection.execute(query, (key,)).fetchone()
        try:
            return block.cut_column(block.checked(data, crc, key), column.column)
        except DamagedHistory as error:
            self._damage(self._place(month, column, key), error.what)
            return None

    def _place(self, month: Month, column: Column, key: int) -> str:
        return f"{file_path(self.folder, month)} {cold_table(column.measurement)} row {key}"

    def _decoded(self, cuts: dict[int, PackedColumn], month: Month) -> dict[int, Piece]:
        if not cuts:
            return {}
        try:
            values, status, present = block.decode(list(cuts.values()))
        except DamagedHistory as error:
            self._damage(str(file_path(self.folder, month)), error.what)
            return {}
        pieces: dict[int, Piece] = {}
        first = 0
        for day, cut in cuts.items():
            end = first + len(cut.time_ms)
            taken = present[first:end]
            if taken.all():
                pieces[day] = Piece(cut.time_ms, values[first:end], status[first:end])
            else:
                pieces[day] = Piece(cut.time_ms[taken], values[first:end][taken], status[first:end][taken])
            first = end
        return pieces

    def _hot(
        self, connection: sqlite3.Connection, month: Month, column: Column, hot: HotDay, span: Span
    ) -> Piece | None:
        """The first `missing` values, in the direction asked for, of a hot day; ascending."""
        query = (
            f"SELECT * FROM {hot.name} WHERE p = ? AND ts >= ? AND ts < ? "  # noqa: S608 - name from a date
            f"ORDER BY ts {'DESC' if span.newest_first else 'ASC'} LIMIT ?"
        )
        limit = span.missing
        while True:
            rows = connection.execute(query, (column.series, span.start_ms, span.end_ms, limit)).fetchall()
            found = hot.checked(rows, np.array([column.series]))
            has = column.column in found.block.columns
            present = found.block.present[:, column.column] if has else np.zeros(len(found.series), np.bool_)
            if len(rows) < limit or present.sum() >= span.missing:
                break
            limit = max(_MORE * limit, _FEWEST)
        if found.spoilt:
            self._damage(f"{file_path(self.folder, month)} {hot.name}", spoilt_rows(found.spoilt).what)
        if not present.any():
            return None
        part = found.block.rows(present)
        piece = Piece(part.time_ms, part.values[:, column.column], part.status[:, column.column])
        return piece.ordered()


def _enough(days: list[int], missing: int) -> list[int]:
    """As many days as are likely to hold `missing` values, at least one; the guess is a value a quarter hour."""
    return days[: max(1, min(len(days), missing * 900_000 // DAY_MS + 1))]


def _merged(cold: Piece, hot: Piece) -> Piece:
    """Both in one; where both have a reading, the hot one."""
    time_ms = np.concatenate([cold.time_ms, hot.time_ms])
    order = np.argsort(time_ms, kind="stable")
    ordered = time_ms[order]
    kept = order[np.append(ordered[1:] != ordered[:-1], np.ones(1 if len(ordered) else 0, np.bool_))]
    return Piece(
        time_ms[kept],
        np.concatenate([cold.values, hot.values])[kept],
        np.concatenate([cold.status, hot.status])[kept],
    )

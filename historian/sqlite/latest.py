"""The newest value of every variable of many units: from the hot days, newest first, and from what packing noted.

A late reading makes an old day hot again, so the newer of both counts.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from address_space.model.quality import Reason
from address_space.model.quantity import Quantity
from historian.api import Latest
from historian.errors import DamagedHistory
from historian.schema import Measurement, field_of, measurement_of
from historian.sqlite.catalogue import FILE, fields_of
from historian.sqlite.files import PREFIX, hot_table, hot_tables, months, translated
from historian.sqlite.newest import ENTRY, unsealed
from historian.sqlite.packing import rows_to_block, sound_rows
from historian.sqlite.reader import Reader

_ENTRIES = np.dtype([("column", "<u2"), ("time_ms", "<i8"), ("value", "<f8"), ("status", "<u4")])
_KEYS = 3
"""Columns of a hot table before its data: p, ts, s."""


def latest(reader: Reader, units: Sequence[NodeUid], quantities: Sequence[Quantity]) -> Latest:
    """Contract of `HistoryReader.latest`."""
    shape = (len(units), len(quantities))
    found = Latest(
        np.full(shape, np.nan), np.full(shape, Reason.NEVER_READ.status, np.uint32), np.zeros(shape, np.int64)
    )
    for measurement in PREFIX:
        places = [place for place, quantity in enumerate(quantities) if measurement_of(quantity) is measurement]
        if places and units:
            _Search(reader, measurement, units, [field_of(quantities[place]) for place in places], places, found).run()
    np.divide(found.values, [quantity.per_unit for quantity in quantities], out=found.values)
    return found


class _Search:
    """One search over one measurement; `column` is shape (units, fields), -1 where a unit has no such field."""

    def __init__(
        self,
        reader: Reader,
        measurement: Measurement,
        units: Sequence[NodeUid],
        fields: list[str],
        places: list[int],
        found: Latest,
    ) -> None:
        self.reader = reader
        self.measurement = measurement
        self.places = places
        self.found = found
        self.column: NDArray[np.int64] = np.full((len(units), len(fields)), -1, np.int64)
        self.rows: dict[int, int] = {}
        """Row in `found` by the unit's number."""
        query = (
            "SELECT w.key, s.p, c.layout FROM json_each(?) w JOIN series s ON s.uid = w.value "
            "JOIN columns c ON c.p = s.p AND c.m = ?"
        )
        with translated(str(reader.folder / FILE)):
            catalogue = reader.catalogue()
            layouts = {
                number: [known.index(field) if field in known else -1 for field in fields]
                for number, known in ((n, fields_of(text)) for n, text in catalogue.execute("SELECT * FROM layout"))
            }
            for row, series, layout in catalogue.execute(query, (json.dumps(list(units)), measurement.value)):
                self.rows[series] = row
                self.column[row] = layouts[layout]
        self.open = self.column >= 0
        """What is still looked for."""

    def run(self) -> None:
        """Fill in `found`."""
        self._noted()
        for month in reversed(months(self.reader.folder)):
            if not self.open.any():
                return
            with self.reader.snapshot(month) as connection:
                if connection is None:
                    continue
                tables = hot_tables(connection)
                for day in sorted((day for found, day in tables if found is self.measurement), reverse=True):
                    if self.open.any():
                        self._day(connection, hot_table(self.measurement, day))

    def _day(self, connection: sqlite3.Connection, table: str) -> None:
        wanted = [series for series, row in self.rows.items() if self.open[row].any()]
        width = len(connection.execute(f"PRAGMA table_info({table})").fetchall()) - 3
        newest = (
            f"SELECT d.* FROM json_each(?) w JOIN {table} d ON d.p = w.value "  # noqa: S608 - name from a date
            f"AND d.ts = (SELECT max(ts) FROM {table} WHERE p = w.value)"
        )
        rows = connection.execute(newest, (json.dumps(wanted),)).fetchall()
        self._take(rows)
        seen = [row[0] for row in rows]
        times = ", ".join(f"max(CASE WHEN c{index} IS NOT NULL THEN ts END)" for index in range(width))
        at = f"SELECT {times or 'NULL'} FROM {table} WHERE p = ?"  # noqa: S608 - name from a date
        one = f"SELECT * FROM {table} WHERE p = ? AND ts = ?"  # noqa: S608 - name from a date
        for series in seen:
            row = self.rows[series]
            if not self.open[row].any():
                continue
            columns = self.column[row][self.open[row]].tolist()
            stamps = connection.execute(at, (series,)).fetchone()
            needed = {stamps[column] for column in columns if column < width and stamps[column] is not None}
            for stamp in sorted(needed, reverse=True):
                self._take(connection.execute(one, (series, stamp)).fetchall())

    def _take(self, cells: Sequence[tuple[object, ...]]) -> None:
        """Rows of a hot table (p, ts, s, c0, c1, …), one a unit."""
        if not cells or len(cells[0]) == _KEYS:
            return
        try:
            block = rows_to_block(cells)
        except DamagedHistory as error:
            self.reader.told(f"{self.reader.folder} {self.measurement.value}", error)
            cells = sound_rows(cells)
            if not cells:
                return
            block = rows_to_block(cells)
        rows = np.array([self.rows[series] for series, *_ in cells if isinstance(series, int)], np.int64)
        column = self.column[rows]
        known = self.open[rows] & (column >= 0) & (column < len(block.columns))
        source = np.where(known, column, 0)
        values = np.take_along_axis(block.values, source, axis=1)
        status = np.take_along_axis(block.status, source, axis=1)
        at, index = np.nonzero(known & ~np.isnan(values))
        self._set(rows[at], index, block.time_ms[at], values[at, index], status[at, index])
        self.open[rows[at], index] = False

    def _noted(self) -> None:
        query = "SELECT l.p, l.d FROM json_each(?) w JOIN last l ON l.p = w.value AND l.m = ?"
        place = str(self.reader.folder / FILE)
        noted: list[tuple[int, bytes]] = []
        try:
            with translated(place):
                catalogue = self.reader.catalogue()
                found = catalogue.execute(query, (json.dumps(list(self.rows)), self.measurement.value))
                for series, data in found:
                    noted.append((series, self._unsealed(series, data)))
        except DamagedHistory as error:
            self.reader.told(place, error)
        entries = np.frombuffer(b"".join(data for _, data in noted), _ENTRIES)
        rows = np.repeat(
            np.array([self.rows[series] for series, _ in noted], np.int64),
            [len(data) // ENTRY.size for _, data in noted],
        )
        width = max(int(entries["column"].max(initial=0)), int(self.column.max(initial=0))) + 1
        field = np.full((len(self.column), width), -1, np.int64)
        at, index = np.nonzero(self.column >= 0)
        field[at, self.column[at, index]] = index
        wanted = field[rows, entries["column"]]
        kept = wanted >= 0
        taken = entries[kept]
        self._set(rows[kept], wanted[kept], taken["time_ms"], taken["value"], taken["status"])

    def _unsealed(self, series: int, data: object) -> bytes:
        try:
            return unsealed(series, self.measurement.value, data)
        except DamagedHistory as error:
            self.reader.told(f"{self.reader.folder / FILE} last row {series}", error)
            return b""

    def _set(
        self,
        rows: NDArray[np.int64],
        index: NDArray[np.int64],
        time_ms: NDArray[np.int64],
        values: NDArray[np.float64],
        status: NDArray[np.uint32],
    ) -> None:
        """Keep what is not older than what was found before."""
        places = np.array(self.places, np.int64)[index]
        newer = time_ms >= self.found.time_ms[rows, places]
        at = (rows[newer], places[newer])
        self.found.values[at] = values[newer]
        self.found.status[at] = status[newer]
        self.found.time_ms[at] = time_ms[newer]

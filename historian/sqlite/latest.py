"""The newest value of every variable of many units: from the hot days, newest first, and from what packing noted.

A late reading makes an old day hot again, so the newer of both counts.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from address_space.model.quality import Reason
from address_space.model.quantity import Quantity
from historian.api import Latest
from historian.errors import DamagedHistory
from historian.schema import Measurement, field_of, measurement_of
from historian.sqlite.catalogue import FILE, fields_of
from historian.sqlite.files import PREFIX, file_path, month_of, months, translated
from historian.sqlite.hotday import Checked, HotDay, Row, hot_days, spoilt_rows
from historian.sqlite.newest import ENTRY, unsealed
from historian.sqlite.reader import Reader

_UNITS = 500
"""So many are read at once where all rows of a day are."""
_ENTRIES = np.dtype([("column", "<u2"), ("time_ms", "<i8"), ("value", "<f8"), ("status", "<u4")])


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
                days = [day for day in hot_days(connection) if day.measurement is self.measurement]
                for _, tables in groupby(reversed(days), key=lambda day: day.day):
                    if self.open.any():
                        self._tables(connection, list(tables)[::-1])

    def _tables(self, connection: sqlite3.Connection, tables: Sequence[HotDay]) -> None:
        """All tables of one day: the newest is of either."""
        before, after = self.open, self.open.copy()
        for table in tables:
            self.open = before.copy()
            if table is tables[-1]:
                self._day(connection, table)
            else:
                self._under(connection, table, tables[-1])
            after &= self.open
        self.open = after

    def _under(self, connection: sqlite3.Connection, day: HotDay, over: HotDay) -> None:
        """A plain table without values over which lies by now that there is none."""
        query = (
            f"SELECT o.* FROM json_each(?) w JOIN {over.name} o ON o.p = w.value WHERE o.s IS NOT NULL "  # noqa: S608
            f"AND EXISTS (SELECT 1 FROM {day.name} d WHERE d.p = o.p AND d.ts = o.ts)"
        )
        above = self._checked(over, connection.execute(query, (json.dumps(self._wanted()),)).fetchall())
        none = above.block.present & np.isnan(above.block.values)
        some = np.flatnonzero(none.any(axis=1))
        slots = zip(above.series[some].tolist(), above.block.time_ms[some].tolist(), none[some], strict=True)
        emptied = {(unit, time_ms): columns for unit, time_ms, columns in slots}
        units = sorted({unit for unit, _ in emptied})
        whole = f"SELECT d.* FROM json_each(?) w JOIN {day.name} d ON d.p = w.value"  # noqa: S608 - name from a date
        for first in range(0, len(units), _UNITS):
            part = json.dumps(units[first : first + _UNITS])
            below = self._checked(day, connection.execute(whole, (part,)).fetchall())
            for row, slot in enumerate(zip(below.series.tolist(), below.block.time_ms.tolist(), strict=True)):
                if slot in emptied:
                    cells, columns = below.block.values[row], emptied[slot]
                    cells[: len(columns)][columns[: len(cells)]] = np.nan
            self._take(below)
        rows = [self.rows[unit] for unit in units]
        left = self.open[rows]
        self.open[rows] = False
        self._day(connection, day)
        self.open[rows] = left

    def _day(self, connection: sqlite3.Connection, day: HotDay) -> None:
        of_each = f"FROM json_each(?) w JOIN {day.name} d ON d.p = w.value"
        last = f"SELECT max(ts) FROM {day.name} WHERE p = w.value"  # noqa: S608 - name from a date
        newest = f"SELECT d.* {of_each} AND d.ts = ({last})"
        found = self._checked(day, connection.execute(newest, (json.dumps(self._wanted()),)).fetchall())
        self._take(found)
        if self.open.any() and not found.spoilt:
            alike = f"SELECT d.*, max(d.ts) {of_each} GROUP BY d.p, d.s, {day.fields(connection)}"
            rows = connection.execute(alike, (json.dumps(self._wanted()),)).fetchall()
            found = self._checked(day, [row[:-1] for row in rows])
            if not found.spoilt:
                self._take(found)
        if found.spoilt:  # what is whole need not be the newest of its kind
            wanted = self._wanted()
            for first in range(0, len(wanted), _UNITS):
                part = json.dumps(wanted[first : first + _UNITS])
                self._take(self._checked(day, connection.execute(f"SELECT d.* {of_each}", (part,)).fetchall()))

    def _wanted(self) -> list[int]:
        """Units of which something is open."""
        return [series for series, row in self.rows.items() if self.open[row].any()]

    def _checked(self, day: HotDay, rows: Sequence[Row]) -> Checked:
        checked = day.checked(rows, np.array(list(self.rows), np.int64))
        if checked.spoilt:
            place = f"{file_path(self.reader.folder, month_of(day.day))} {day.name}"
            self.reader.told(place, spoilt_rows(checked.spoilt))
        return checked

    def _take(self, checked: Checked) -> None:
        """Take what is open from rows of a hot day."""
        if not len(checked.series) or not checked.block.columns:
            return
        ascending = np.argsort(checked.block.time_ms, kind="stable")
        block = checked.block.rows(ascending)
        rows = np.array([self.rows[series] for series in checked.series[ascending].tolist()], np.int64)
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
        """Keep what is not older than what was found before; of the same place, what stands last."""
        places = np.array(self.places, np.int64)[index]
        newer = time_ms >= self.found.time_ms[rows, places]
        at = (rows[newer], places[newer])
        self.found.values[at] = values[newer]
        self.found.status[at] = status[newer]
        self.found.time_ms[at] = time_ms[newer]

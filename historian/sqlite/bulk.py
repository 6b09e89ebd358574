"""All readings of many units in a span of time, as matrices: what rollups and exports read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from historian.api import Rows
from historian.errors import DamagedHistory
from historian.schema import Measurement
from historian.sqlite import block
from historian.sqlite.catalogue import FILE, fields_of
from historian.sqlite.files import (
    Month,
    cold_key,
    cold_table,
    day_of,
    file_path,
    first_day,
    month_of,
    months,
    translated,
)
from historian.sqlite.hotday import hot_days, spoilt_rows
from historian.sqlite.reader import Reader

_COLD, _PLAIN, _HOT = 0, 1, 2
_LAST_DAY_OF_MONTH = 31


def read_rows(
    reader: Reader, units: Sequence[NodeUid], measurement: Measurement, start_ms: int, end_ms: int
) -> list[Rows]:
    """Contract of `RowReader.read_rows`."""
    if start_ms >= end_ms or not units:
        return []
    groups = _groups(reader, units, measurement)
    first, last = month_of(day_of(start_ms)), month_of(day_of(end_ms - 1))
    for month in (month for month in months(reader.folder) if first <= month <= last):
        with reader.snapshot(month) as connection:
            if connection is not None:
                _read_month(reader, connection, month, measurement, groups, (start_ms, end_ms))
    return [group.rows() for group in groups if group.pieces]


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Rows of one table; `source` says which of two readings of one slot counts."""

    source: int
    series: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    status: NDArray[np.uint32]
    present: NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class _Group:
    """Units of one layout, and what was found of them."""

    fields: tuple[str, ...]
    places: dict[int, int]
    """Place among the units asked for, by number."""
    pieces: list[_Piece]

    def add(self, source: int, series: NDArray[np.int64], found: block.DayBlock) -> None:
        width = len(self.fields)
        shape = (len(series), width)
        values, status, present = np.full(shape, np.nan), np.zeros(shape, np.uint32), np.zeros(shape, np.bool_)
        kept = [(place, column) for place, column in enumerate(found.columns) if column < width]
        if kept:
            places, columns = map(list, zip(*kept, strict=True))
            values[:, columns] = found.values[:, places]
            status[:, columns] = found.status[:, places]
            present[:, columns] = found.present[:, places]
        self.pieces.append(_Piece(source, series, found.time_ms, values, status, present))

    def rows(self) -> Rows:
        series = np.concatenate([piece.series for piece in self.pieces])
        numbers = np.array(sorted(self.places), np.int64)
        places = np.array([self.places[number] for number in numbers.tolist()], np.int64)
        unit = places[np.searchsorted(numbers, series)]
        time_ms = np.concatenate([piece.time_ms for piece in self.pieces])
        source = np.concatenate([np.full(len(piece.time_ms), piece.source) for piece in self.pieces])
        values = np.concatenate([piece.values for piece in self.pieces])
        status = np.concatenate([piece.status for piece in self.pieces])
        present = np.concatenate([piece.present for piece in self.pieces])
        order = np.lexsort((source, time_ms, unit))
        unit, time_ms = unit[order], time_ms[order]
        values, status, present = values[order], status[order], present[order]
        twice = (unit[1:] == unit[:-1]) & (time_ms[1:] == time_ms[:-1])
        if twice.any():
            for row in np.flatnonzero(twice).tolist():
                lacks = ~present[row + 1]
                values[row + 1, lacks] = values[row, lacks]
                status[row + 1, lacks] = status[row, lacks]
                present[row + 1, lacks] = present[row, lacks]
            kept = np.append(~twice, np.ones(1, np.bool_))
            unit, time_ms, values = unit[kept], time_ms[kept], values[kept]
            status, present = status[kept], present[kept]
        return Rows(self.fields, unit, time_ms, values, status, present)


def _groups(reader: Reader, units: Sequence[NodeUid], measurement: Measurement) -> list[_Group]:
    query = (
        "SELECT w.key, s.p, c.layout FROM json_each(?) w JOIN series s ON s.uid = w.value "
        "JOIN columns c ON c.p = s.p AND c.m = ?"
    )
    found: dict[int, _Group] = {}
    with translated(str(reader.folder / FILE)):
        catalogue = reader.catalogue()
        for place, series, layout in catalogue.execute(query, (json.dumps(list(units)), measurement.value)):
            if layout not in found:
                (text,) = catalogue.execute("SELECT fields FROM layout WHERE id = ?", (layout,)).fetchone()
                found[layout] = _Group(fields_of(text), {}, [])
            found[layout].places[series] = place
    return list(found.values())


def _read_month(
    reader: Reader,
    connection: sqlite3.Connection,
    month: Month,
    measurement: Measurement,
    groups: Sequence[_Group],
    span: tuple[int, int],
) -> None:
    start_ms, end_ms = span
    first = max(day_of(start_ms), first_day(month))
    last = min(day_of(end_ms - 1), first_day(month) + _LAST_DAY_OF_MONTH - 1)
    days = [day for day in range(first, last + 1) if month_of(day) == month]
    hot = [one for one in hot_days(connection) if one.measurement is measurement and first <= one.day <= last]
    for group in groups:
        numbers = sorted(group.places)
        _read_cold(reader, connection, month, (measurement, days, span), group, numbers)
        asked = np.array(numbers, np.int64)
        for day in hot:
            query = (
                f"SELECT d.* FROM json_each(?) w JOIN {day.name} d ON d.p = w.value "  # noqa: S608 - name from a date
                "WHERE d.ts >= ? AND d.ts < ?"
            )
            rows = connection.execute(query, (json.dumps(numbers), start_ms, end_ms)).fetchall()
            checked = day.checked(rows, asked)
            if checked.spoilt:
                reader.told(f"{file_path(reader.folder, month)} {day.name}", spoilt_rows(checked.spoilt))
            if len(checked.series):
                group.add(_PLAIN if day.plain else _HOT, checked.series, checked.block)


def _read_cold(
    reader: Reader,
    connection: sqlite3.Connection,
    month: Month,
    asked: tuple[Measurement, list[int], tuple[int, int]],
    group: _Group,
    numbers: Sequence[int],
) -> None:
    measurement, days, (start_ms, end_ms) = asked
    name = cold_table(measurement)
    keys = [cold_key(series, day) for series in numbers for day in days]
    query = f"SELECT c.key, c.crc, c.d FROM json_each(?) w JOIN {name} c ON c.key = w.value"  # noqa: S608
    for key, crc, data in connection.execute(query, (json.dumps(keys),)):
        try:
            found = block.unpack(block.checked(data, crc, key))
        except DamagedHistory as error:
            reader.told(f"{file_path(reader.folder, month)} {name} row {key}", error)
            continue
        low, high = np.searchsorted(found.time_ms, (start_ms, end_ms)).tolist()
        if low < high:
            part = found.rows(slice(low, high))
            group.add(_COLD, np.full(high - low, key // 32, np.int64), part)

"""History read back from InfluxDB: `HistoryReader` over InfluxQL, one code for 1, 2 and 3.

A line carries one quality for all its fields, so a value's status is what its line's bits leave open: good, estimated
or suspect. A field that a line does not have is no value; what was not read is a gap.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from address_space.model.ids import NodeUid
from address_space.model.quality import GOOD, Reason
from address_space.model.quantity import Quantity, by_path
from historian.api import Latest, Rows, Sample, Series
from historian.influx.query import InfluxQl, Result, literal, quoted
from historian.influx.server import InfluxServer, ServerOptions
from historian.schema import QUALITY_FIELD, Measurement, QualityFlag, field_of, measurement_of

THREADS = 2
LATEST_LINES = 5
"""Newest lines of a unit in which its latest values are looked for: poll classes write lines of their own."""
UNITS_A_QUERY = 200
_UNCERTAIN = 0x40000000
_DECIMALS = 6
"""Of base units: what was whole is whole again."""
_FIRST_MS, _LAST_MS = -9_000_000_000_000, 9_000_000_000_000
"""Beyond these, nanoseconds do not fit InfluxDB's 64 bits."""


class InfluxReader:
    """`HistoryReader` of one database. Close it in the end; raises HistoryError where the server does not answer."""

    def __init__(self, options: ServerOptions) -> None:
        self._server = InfluxServer(options)
        self._ql = InfluxQl(self._server, options.database)
        self._threads = ThreadPoolExecutor(THREADS, "influx-reader")

    async def close(self) -> None:
        """Release connections and threads."""
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)
        self._server.close()

    async def read_raw(
        self, point: NodeUid, quantity: Quantity, start_ms: int, end_ms: int, limit: int, *, newest_first: bool = False
    ) -> Series:
        """As `HistoryReader.read_raw`."""
        if limit <= 0:
            return _EMPTY
        start_ms, end_ms = max(start_ms, _FIRST_MS), min(end_ms, _LAST_MS)
        found = await self._select(
            point,
            quantity,
            f"time >= {start_ms}ms AND time < {end_ms}ms",
            f"ORDER BY time {'DESC' if newest_first else 'ASC'} LIMIT {limit + 1}",
        )
        times, values, status = found
        return Series(times[:limit], values[:limit], status[:limit], len(times) > limit)

    async def value_before(self, point: NodeUid, quantity: Quantity, time_ms: int) -> Sample | None:
        """As `HistoryReader.value_before`."""
        return _first(await self.read_raw(point, quantity, _FIRST_MS, time_ms + 1, 1, newest_first=True))

    async def value_after(self, point: NodeUid, quantity: Quantity, time_ms: int) -> Sample | None:
        """As `HistoryReader.value_after`."""
        return _first(await self.read_raw(point, quantity, time_ms, _LAST_MS, 1))

    async def bounds(self, point: NodeUid, quantity: Quantity) -> tuple[int, int] | None:
        """As `HistoryReader.bounds`."""
        first = await self.value_after(point, quantity, _FIRST_MS)
        last = await self.value_before(point, quantity, _LAST_MS)
        return (first.time_ms, last.time_ms) if first is not None and last is not None else None

    async def latest(self, units: Sequence[NodeUid], quantities: Sequence[Quantity]) -> Latest:
        """As `HistoryReader.latest`, from the newest lines of each unit."""
        shape = (len(units), len(quantities))
        found = Latest(np.full(shape, np.nan), np.zeros(shape, np.uint32), np.zeros(shape, np.int64))
        rows = {str(unit): row for row, unit in enumerate(units)}
        for measurement in (Measurement.ENERGY, Measurement.INST):
            columns = {
                field_of(quantity): column
                for column, quantity in enumerate(quantities)
                if measurement_of(quantity) is measurement
            }
            for at in range(0, len(units) if columns else 0, UNITS_A_QUERY):
                chosen = "|".join(re.escape(unit) for unit in units[at : at + UNITS_A_QUERY])
                fields = ", ".join(map(quoted, (*columns, QUALITY_FIELD)))
                statement = (
                    f"SELECT {fields} FROM {quoted(measurement.value)} WHERE point =~ /^({chosen})$/ "  # noqa: S608 - quoted
                    f"GROUP BY point ORDER BY time DESC LIMIT {LATEST_LINES}"
                )
                for series in await self._ask(statement):
                    _fill(found, rows[series.tags["point"]], columns, series)
        return found

    async def kept(self) -> Mapping[NodeUid, tuple[Quantity, ...]]:
        """As `HistoryIndex.kept`; every unit of a measurement may have all of its fields."""
        found: dict[NodeUid, tuple[Quantity, ...]] = {}
        for measurement in (Measurement.ENERGY, Measurement.INST):
            source = quoted(measurement.value)
            fields = [
                name for one in await self._ask(f"SHOW FIELD KEYS FROM {source}") for name in one.column("fieldKey")
            ]
            quantities = tuple(quantity for quantity in map(by_path, fields) if quantity is not None)
            for series in await self._ask(f"SHOW TAG VALUES FROM {source} WITH KEY = {quoted('point')}"):
                for unit in map(NodeUid, series.column("value")):
                    found[unit] = found.get(unit, ()) + quantities
        return dict(sorted(found.items()))

    async def read_rows(
        self, units: Sequence[NodeUid], measurement: Measurement, start_ms: int, end_ms: int
    ) -> list[Rows]:
        """As `RowReader.read_rows`."""
        found: list[Rows] = []
        start_ms, end_ms = max(start_ms, _FIRST_MS), min(end_ms, _LAST_MS)
        for at in range(0, len(units), UNITS_A_QUERY):
            part = units[at : at + UNITS_A_QUERY]
            places = {str(unit): at + place for place, unit in enumerate(part)}
            chosen = "|".join(re.escape(unit) for unit in part)
            statement = (
                f"SELECT * FROM {quoted(measurement.value)} WHERE point =~ /^({chosen})$/ "  # noqa: S608 - quoted
                f"AND time >= {start_ms}ms AND time < {end_ms}ms GROUP BY point, kind, site"
            )
            answer = await self._ask(statement)
            found += await asyncio.to_thread(rows_of, answer, places)
        return found

    async def begins(self) -> int | None:
        """As `RowReader.begins`."""
        first: list[int] = []
        for measurement in (Measurement.ENERGY, Measurement.INST):
            statement = f"SELECT * FROM {quoted(measurement.value)} ORDER BY time ASC LIMIT 1"  # noqa: S608 - quoted
            first += [int(series.values[0][0]) for series in await self._ask(statement) if series.values]
        return min(first, default=None)

    async def _select(self, point: NodeUid, quantity: Quantity, where: str, order: str) -> tuple[_Times, ...]:
        measurement = measurement_of(quantity)
        if measurement is None:
            return _NOTHING
        source = f"FROM {quoted(measurement.value)} WHERE point = {literal(point)} AND"
        # The field alone: with a second one, lines that lack the first would come too, and count against the limit.
        found = await self._ask(f"SELECT {quoted(field_of(quantity))} {source} {where} {order}")
        rows = [row for series in found for row in series.values]
        if not rows:
            return _NOTHING
        times, values = (np.array(column) for column in zip(*rows, strict=True))
        span = f"time >= {times.min()}ms AND time <= {times.max()}ms"
        marked = await self._ask(f"SELECT {quoted(QUALITY_FIELD)} {source} {span} AND {quoted(QUALITY_FIELD)} != 0")
        status = np.zeros(len(times), np.uint32)
        flags = {time: flag for series in marked for time, flag in series.values}
        for place in np.flatnonzero(np.isin(times, list(flags))).tolist() if flags else ():
            status[place] = status_of(int(flags[int(times[place])]))
        return times.astype(np.int64), values.astype(np.float64), status

    async def _ask(self, statement: str) -> list[Result]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ql.ask, statement)


def status_of(flags: int) -> int:
    """Status of a value that is there, from the quality bits of its line; bits of missing fields do not touch it."""
    if flags & QualityFlag.ESTIMATED:
        return Reason.SUBSTITUTED.status
    if flags & QualityFlag.SUSPECT:
        return _UNCERTAIN
    return GOOD


_Times = np.ndarray
_NOTHING = (np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint32))
_EMPTY = Series(*_NOTHING)


def rows_of(answer: Sequence[Result], places: Mapping[str, int]) -> list[Rows]:
    """Whole lines of many units in base units; units of the same fields together, and in order."""
    groups: dict[tuple[str, ...], list[tuple[int, Result]]] = {}
    for series in answer:
        groups.setdefault(series.columns, []).append((places[series.tags["point"]], series))
    found: list[Rows] = []
    for columns, group in groups.items():
        quantities = [(column, quantity) for column, name in enumerate(columns) if (quantity := by_path(name))]
        quality = columns.index(QUALITY_FIELD)
        unit = np.repeat([place for place, _ in group], [len(series.values) for _, series in group])
        lines = [line for _, series in group for line in series.values]
        whole = np.array(lines, np.float64)  # None becomes NaN
        if not len(lines) or not quantities:
            continue
        time_ms = np.array([line[0] for line in lines], np.int64)
        order = np.lexsort((time_ms, unit))
        taken = [column for column, _ in quantities]
        values = np.round(whole[:, taken] * [quantity.per_unit for _, quantity in quantities], _DECIMALS)[order]
        flags = np.nan_to_num(whole[:, quality]).astype(np.int64)[order]
        codes = {flag: status_of(flag) for flag in np.unique(flags).tolist()}
        status = np.array([codes[flag] for flag in flags.tolist()], np.uint32)
        present = ~np.isnan(values)
        some = np.flatnonzero(present.any(axis=0))  # a query for all fields names those that only others have
        found.append(
            Rows(
                tuple(columns[taken[place]] for place in some.tolist()),
                unit[order].astype(np.int64),
                time_ms[order],
                values[:, some],
                np.where(present, status[:, None], np.uint32(0)).astype(np.uint32)[:, some],
                present[:, some],
            )
        )
    return found


def _first(series: Series) -> Sample | None:
    if not len(series.time_ms):
        return None
    return Sample(int(series.time_ms[0]), float(series.values[0]), int(series.status[0]))


def _fill(found: Latest, row: int, columns: dict[str, int], series: Result) -> None:
    """Take from lines, newest first, what is not known yet."""
    places = {name: series.columns.index(name) for name in (*columns, QUALITY_FIELD)}
    for line in series.values:
        for name, column in columns.items():
            value = line[places[name]]
            if value is not None and not found.time_ms[row, column]:
                found.values[row, column] = value
                found.time_ms[row, column] = line[0]
                found.status[row, column] = status_of(int(line[places[QUALITY_FIELD]] or 0))

"""Lines of a CSV file of history, understood and checked: what is wrong is told by file, row and column."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple

import numpy as np

from address_space.model.ids import NodeUid
from address_space.model.quality import GOOD, Quality, quality_of
from address_space.model.quantity import Quantity, by_path
from config.errors import Location, Report
from historian.api import Row
from historian.schema import measurement_of
from server.cli.history_times import zoned_ms
from server.opcua.client import status_of

REQUIRED = ("time", "unit", "quantity", "value")
OPTIONAL = ("uom", "status")
MOST_MISTAKES = 1000
TELL_EVERY = 10_000
_BETWEEN = str.maketrans("", "", " .*·⋅")


class Line(NamedTuple):
    """One value in the shown unit, NaN where a reading failed."""

    time_ms: int
    unit: NodeUid
    quantity: Quantity
    value: float
    status: int


class LineReader:
    """Reads the files of one import; mistakes go to `report`, at most `MOST_MISTAKES` of them.

    known      units that there may be history of
    latest_ms  a time behind it is a mistake
    """

    def __init__(self, report: Report, known: Collection[NodeUid], latest_ms: int) -> None:
        self._report = report
        self._known = known
        self._latest_ms = latest_ms
        self._statuses: dict[str, int | None] = {"": GOOD}
        self._place = Location("")
        self._columns: Mapping[str, int] = {}

    def lines(self, path: Path, progress: Callable[[int], None] = lambda _: None) -> Iterator[Line]:
        """The lines without mistakes; tells `progress` now and then how many bytes are behind it. Raises OSError."""
        with path.open("rb") as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            self._place = Location(str(path), 1, 1)
            try:
                self._columns = self._header(next(rows, []))
                for row in rows if self._columns else ():
                    if len(self._report.problems) >= MOST_MISTAKES:
                        return
                    if rows.line_num % TELL_EVERY == 0:
                        progress(raw.tell())
                    self._place = Location(str(path), rows.line_num, 1)
                    line = self._line(row) if row else None
                    if line is not None:
                        yield line
            except (csv.Error, UnicodeDecodeError) as error:
                place = Location(str(path), rows.line_num or 1, 1)
                self._report.add(place, f"cannot be read: {error}", "save it as CSV in UTF-8")

    def _header(self, header: list[str]) -> Mapping[str, int]:
        """Column by name; empty, and told, where it cannot be used."""
        names = [name.strip().lower() for name in header]
        known = (*REQUIRED, *OPTIONAL)
        wrong = [f"there is no column {name!r}" for name in REQUIRED if name not in names]
        wrong += [f"no column is named {name!r}" for name in names if name not in known]
        wrong += [f"the column {name!r} is there twice" for name in known if names.count(name) > 1]
        for what in wrong:
            self._report.add(self._place, what, f"columns are {', '.join(known)}")
        return {} if wrong else {name: place for place, name in enumerate(names)}

    def _line(self, row: list[str]) -> Line | None:
        if len(row) != len(self._columns):
            what = f"the row has {len(row)} cells, the header {len(self._columns)}"
            self._report.add(self._place, what, "quote a cell that holds a comma")
            return None
        cells = {name: row[place].strip() for name, place in self._columns.items()}
        time_ms = self._time(cells["time"])
        unit = self._unit(cells["unit"])
        quantity = self._quantity(cells["quantity"], cells.get("uom", ""))
        status = self._status(cells.get("status", ""))
        value = self._value(cells["value"], status)
        if time_ms is None or unit is None or quantity is None or status is None or value is None:
            return None
        return Line(time_ms, unit, quantity, value, status)

    def _time(self, text: str) -> int | None:
        try:
            time_ms = zoned_ms(text)
        except (ValueError, OverflowError):
            self._wrong("time", f"{text!r} is no time with a zone", "write 2026-01-31T08:00:00Z or …+05:00")
            return None
        if time_ms < 0:
            self._wrong("time", f"{text} is before 1970", "correct the time")
            return None
        if time_ms > self._latest_ms:
            self._wrong("time", f"{text} lies in the future", "correct the time, or this machine's clock")
            return None
        return time_ms

    def _unit(self, text: str) -> NodeUid | None:
        unit = NodeUid(text)
        if unit not in self._known:
            self._wrong("unit", f"no unit has the id {text!r}", "use ids of the plant or of its history")
            return None
        return unit

    def _quantity(self, text: str, uom: str) -> Quantity | None:
        quantity = by_path(text)
        if quantity is None or measurement_of(quantity) is None:
            what = f"no quantity is named {text!r}" if quantity is None else f"{text} has no history"
            self._wrong("quantity", what, "names are as in node ids, as ActiveEnergyImport")
            return None
        own = quantity.unit.symbol if quantity.unit is not None else ""
        if uom and _plain(uom) != _plain(own):
            self._wrong("uom", f"{text} is told in {own or 'no unit'}, not in {uom}", "convert the values")
            return None
        return quantity

    def _status(self, text: str) -> int | None:
        if text not in self._statuses:
            self._statuses[text] = status_of(text)
        found = self._statuses[text]
        if found is None:
            self._wrong("status", f"no status is named {text!r}", "use names of OPC UA, as Good")
            return None
        return found

    def _value(self, text: str, status: int | None) -> float | None:
        if not text:
            if status is not None and quality_of(status) is not Quality.BAD:
                self._wrong("value", "there is no value", "give one, or a status that is Bad")
                return None
            return nan
        try:
            value = float(text)
        except ValueError:
            value = nan
        if not isfinite(value):
            self._wrong("value", f"{text!r} is no number", "write 1234.5")
            return None
        return value

    def _wrong(self, column: str, what: str, hint: str) -> None:
        at = self._columns.get(column, 0) + 1
        self._report.add(Location(self._place.file, self._place.line, at, column, column), what, hint)


def _plain(uom: str) -> str:
    """A unit of measure without what stands between its parts: kW·h is what most call kWh."""
    return uom.translate(_BETWEEN)


def rows_of(lines: Iterable[Line]) -> Iterator[Row]:
    """Lines as readings in base units: those of one unit and time that follow one another are one reading."""
    taken: dict[Quantity, Line] = {}
    for line in lines:
        last = next(iter(taken.values()), None)
        if last is not None and ((last.unit, last.time_ms) != (line.unit, line.time_ms) or line.quantity in taken):
            yield _row(taken)
            taken = {}
        taken[line.quantity] = line
    if taken:
        yield _row(taken)


def _row(taken: Mapping[Quantity, Line]) -> Row:
    lines = list(taken.values())
    values = np.array([base_value(line.value, line.quantity) for line in lines])
    return Row(
        lines[0].unit, lines[0].time_ms, list(taken), values, np.array([line.status for line in lines], np.uint32)
    )


def base_value(shown: float, quantity: Quantity) -> float:
    """The stored value that is shown as `shown`: a whole one where there is such."""
    value = shown * quantity.per_unit
    if not isfinite(value):
        return value
    whole = float(round(value))
    return whole if whole / quantity.per_unit == shown else value

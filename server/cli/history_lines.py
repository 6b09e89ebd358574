"""Values of a file of history, judged: what is wrong is told by file, row and column, whatever form the file has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from math import inf, isfinite, nan, nextafter
from pathlib import Path
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

import numpy as np

from address_space.model.ids import NodeUid
from address_space.model.quality import GOOD, Quality, quality_of
from address_space.model.quantity import Quantity, by_path
from config.errors import Location, Report
from historian.api import Row
from historian.schema import measurement_of
from server.cli.history_times import iso, zoned_ms
from server.opcua.client import status_of

REQUIRED = ("time", "unit", "quantity", "value")
OPTIONAL = ("uom", "status")
MOST_MISTAKES = 1000
"""More are only counted."""
_BETWEEN = str.maketrans("", "", " .*·⋅")
_SHOWN = 60
"""So many characters of a cell are told at the most."""
_DIGITS = 6
"""Decimals of a base unit that a meter may have."""
_FINE = 1e9
"""Below it such decimals are told apart."""
_UTC = ZoneInfo("UTC")


class Line(NamedTuple):
    """One value in the shown unit, NaN where a reading failed."""

    time_ms: int
    unit: NodeUid
    quantity: Quantity
    value: float
    status: int


class Cells(NamedTuple):
    """One row of a file, without blanks around its texts. What is not there is empty or None.

    time   as ISO 8601, or in ms
    value  as text, or as a number
    """

    time: str | int | None
    unit: str
    quantity: str
    value: str | float | None
    uom: str = ""
    status: str = ""


class FileLines(Protocol):
    """Reads the files of one form."""

    def lines(self, path: Path, progress: Callable[[int], None]) -> Iterator[Line]:
        """The lines without mistakes; tells `progress` now and then how many bytes are behind it. Raises OSError."""


class Checks:
    """Judges the rows of one import; mistakes go to `report`.

    known      units that there may be history of
    latest_ms  a time behind it is a mistake
    """

    def __init__(self, report: Report, known: Collection[NodeUid], latest_ms: int) -> None:
        self._report = report
        self._known = known
        self._latest_ms = latest_ms
        self._statuses: dict[str, int | None] = {"": GOOD}
        self._quantities: dict[tuple[str, str], Quantity] = {}
        self._file = ""
        self._row = 0
        self._columns: Mapping[str, int] = {}

    def header(self, names: Sequence[str], place: Location, hint: str = "") -> Mapping[str, int]:
        """Column by name of the file that is read from here on; empty, and told, where it cannot be used."""
        names = [name.strip().lower() for name in names]
        known = (*REQUIRED, *OPTIONAL)
        wrong = [f"there is no column {name!r}" for name in REQUIRED if name not in names]
        wrong += [f"no column is named {cut(name)}" for name in names if name not in known]
        wrong += [f"the column {name!r} is there twice" for name in known if names.count(name) > 1]
        for what in wrong:
            self._report.add(place, what, f"columns are {', '.join(known)}{hint}")
        self._file = place.file
        self._columns = {} if wrong else {name: at for at, name in enumerate(names)}
        return self._columns

    def wrong_row(self, place: Location, what: str, hint: str) -> None:
        """Tell what is wrong with a row, or with the file."""
        self._report.add(place, what, hint)

    def line(self, row: int, cells: Cells) -> Line | None:
        """What a row says; None, and told, where it has a mistake."""
        self._row = row
        time_ms = self._time(cells.time)
        unit = self._unit(cells.unit)
        quantity = self._quantity(cells.quantity, cells.uom)
        status = self._status(cells.status)
        value = self._value(cells.value, status)
        if time_ms is None or unit is None or quantity is None or status is None or value is None:
            return None
        return Line(time_ms, unit, quantity, value, status)

    def _time(self, given: str | int | None) -> int | None:
        try:
            time_ms = zoned_ms(given or "") if not isinstance(given, int) else given
        except (ValueError, OverflowError):
            what = f"{cut(given)} is no time with a zone" if given else "there is no time"
            self._wrong("time", what, "write 2026-01-31T08:00:00Z or …+05:00")
            return None
        if 0 <= time_ms <= self._latest_ms:
            return time_ms
        told = given if isinstance(given, str) else iso(time_ms, _UTC)
        if time_ms < 0:
            self._wrong("time", f"{told} is before 1970", "correct the time")
        else:
            self._wrong("time", f"{told} lies in the future", "correct the time, or this machine's clock")
        return None

    def _unit(self, text: str) -> NodeUid | None:
        unit = NodeUid(text)
        if unit not in self._known:
            self._wrong("unit", f"no unit has the id {cut(text)}", "use ids of the plant or of its history")
            return None
        return unit

    def _quantity(self, text: str, uom: str) -> Quantity | None:
        found = self._quantities.get((text, uom))
        if found is not None:
            return found
        quantity = by_path(text)
        if quantity is None or measurement_of(quantity) is None:
            what = f"no quantity is named {cut(text)}" if quantity is None else f"{text} has no history"
            self._wrong("quantity", what, "names are as in node ids, as ActiveEnergyImport")
            return None
        own = quantity.unit.symbol if quantity.unit is not None else ""
        if uom and _plain(uom) != _plain(own):
            self._wrong("uom", f"{text} is told in {own or 'no unit'}, not in {uom[:_SHOWN]}", "convert the values")
            return None
        self._quantities[text, uom] = quantity
        return quantity

    def _status(self, text: str) -> int | None:
        found = self._statuses.get(text)
        if found is None:
            found = status_of(text)
            if found is None:
                self._wrong("status", f"no status is named {cut(text)}", "use names of OPC UA, as Good")
            else:
                self._statuses[text] = found
        return found

    def _value(self, given: str | float | None, status: int | None) -> float | None:
        if given is None or given == "":
            if status is not None and quality_of(status) is not Quality.BAD:
                self._wrong("value", "there is no value", "give one, or a status that is Bad")
                return None
            return nan
        try:
            value = float(given) if isinstance(given, float) or "_" not in given else nan
        except ValueError:
            value = nan
        if isfinite(value):
            return value
        if isinstance(given, float):
            self._wrong("value", f"{given} is no number", "leave the cell empty where a reading failed")
        else:
            self._wrong("value", f"{cut(given)} is no number", "write 1234.5")
        return None

    def _wrong(self, column: str, what: str, hint: str) -> None:
        at = self._columns.get(column, 0) + 1
        self._report.add(Location(self._file, self._row, at, column, column), what, hint)


def cut(text: object) -> str:
    """A cell in quotes, as much of it as a person wants to see."""
    told = str(text)
    return repr(told if len(told) <= _SHOWN else f"{told[:_SHOWN]}…")


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
    """The stored value that is shown as `shown`, to the bit; of several a whole one or the shortest."""
    per_unit = quantity.per_unit
    value = shown * per_unit
    if per_unit == 1 or not value or not isfinite(value):
        return value  # also a zero with a sign
    whole = float(round(value))
    if whole / per_unit == shown:
        return whole
    if abs(value) < _FINE:
        decimal = round(value, _DIGITS)
        if decimal / per_unit == shown:
            return decimal
    near = (value, nextafter(value, inf), nextafter(value, -inf))
    same = [one for one in near if one / per_unit == shown]
    return min(same, key=lambda one: (not one.is_integer(), len(repr(one))), default=value)

"""Meter lists in CSV: read row by row, in bounded memory, with the row numbers a spreadsheet shows.

The delimiter is found from the header; UTF-8 with or without a byte order mark; blank rows and rows that begin with
`#` are skipped; with `;` or tab as delimiter numbers may have a decimal comma.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TextIO

from config.columns import COLUMN_NAMES, REQUIRED_COLUMNS
from config.document import position_of
from config.errors import Location, Report
from config.metering import MeterReader
from config.spelling import Spelling

Progress = Callable[[int, int], None]
"""Called with how many rows are read and how many there are in all meter lists together."""

PROGRESS_ROWS = 10_000
_CHUNK = 1 << 20
DELIMITERS = ",;\t"
_SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods")
_MAGIC = {
    b"PK": "a spreadsheet or archive",
    b"\xd0\xcf": "an old spreadsheet",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_SAVE_AS = "save it from the spreadsheet as CSV UTF-8"


class Tally:
    """Tells `progress` how many rows of many files are read."""

    def __init__(self, paths: Sequence[Path], progress: Progress | None) -> None:
        self._progress = progress
        self._total = sum(map(_lines_of, paths)) if progress is not None else 0
        self._finished = 0

    def reach(self, row: int) -> None:
        """The file in hand is read up to `row`."""
        if self._progress is not None:
            self._progress(min(self._finished + row, self._total), self._total)

    def finish(self, rows: int) -> None:
        """The file in hand is read; it had so many rows."""
        self.reach(rows)
        self._finished += rows


def read_sheet(path: Path, reader: MeterReader, report: Report, spelling: Spelling, tally: Tally) -> None:
    """Hand every row of the file to `reader`; whatever is wrong with the file itself is reported."""
    file = str(path)
    if path.suffix.lower() in _SPREADSHEETS:
        report.add(Location(file), f"{path.suffix} files are not read", _SAVE_AS)
        return
    try:
        with path.open("rb") as start:
            magic = _MAGIC.get(start.read(2))
        if magic is not None:
            report.add(Location(file), f"is {magic}, not CSV", _SAVE_AS)
            return
        with path.open(encoding="utf-8-sig", newline="") as text:
            _Sheet(text, file, reader, report, spelling, tally).read()
    except OSError as error:
        report.add(Location(file), f"cannot be read: {error.strerror}", "check that the file exists and is readable")
    except UnicodeDecodeError:
        line, column = _first_bad_byte(path)
        report.add(Location(file, line, column), "is not UTF-8 text", _SAVE_AS)


class _Lines:
    """Lines of a file with comment rows emptied; `fresh` says that the next line begins a row."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self.fresh = True

    def __iter__(self) -> Iterator[str]:
        for line in self._text:
            if self.fresh and line[0] == "#":
                yield "\n"
            else:
                self.fresh = False
                yield line


class _Sheet:
    def __init__(
        self,
        text: TextIO,
        file: str,
        reader: MeterReader,
        report: Report,
        spelling: Spelling,
        tally: Tally,
    ) -> None:
        self._text = text
        self._file = file
        self._reader = reader
        self._report = report
        self._spelling = spelling
        self._tally = tally
        self._row = 0

    def read(self) -> None:
        delimiter = self._delimiter()
        lines = _Lines(self._text)
        records = self._records(csv.reader(lines, delimiter=delimiter, strict=True), lines)
        header = next(records, None)
        if header is None:
            self._wrong_row("the file holds no rows", "write a header with at least " + ", ".join(REQUIRED_COLUMNS))
            return
        order = self._order(header)
        if order is None:
            return
        width, arrange, decimal_comma = len(header), itemgetter(*order), delimiter != ","
        add, file, strip = self._reader.add, self._file, str.strip
        for record in records:
            cells = [*map(strip, record)]
            if len(cells) != width:
                if len(cells) > width and any(cells[width:]):
                    self._wrong_row(
                        f"the row has {len(cells)} cells under {width} columns",
                        f"put a cell that contains {delimiter!r} in double quotes",
                    )
                    continue
                cells = (cells + [""] * width)[:width]
            cells.append("")
            add(arrange(cells), file, self._row, decimal_comma=decimal_comma)
            if self._row % PROGRESS_ROWS == 0:
                self._tally.reach(self._row)
        self._tally.finish(self._row)

    def _records(self, reader: Iterator[list[str]], lines: _Lines) -> Iterator[list[str]]:
        """Rows that hold anything; keeps count of all of them."""
        while True:
            lines.fresh = True
            self._row += 1
            try:
                record = next(reader)
            except StopIteration:
                self._row -= 1
                return
            except csv.Error as error:
                self._wrong_row(f"cannot be read: {error}", "check the double quotes of this row")
                continue
            if record and any(record):
                yield record

    def _delimiter(self) -> str:
        for line in self._text:
            if line.strip(" \t\r\n,;") and line[0] != "#":
                header = line
                break
        else:
            header = ""
        self._text.seek(0)
        return max(DELIMITERS, key=header.count)

    def _order(self, header: Sequence[str]) -> list[int] | None:
        """Where each known column stands in a row; the place behind the last cell is an empty one."""
        names = [cell.strip().casefold().replace(" ", "_") for cell in header]
        places: dict[str, int] = {}
        unknown: list[tuple[int, str]] = []
        for index, name in enumerate(names):
            if name in places:
                self._wrong_cell(name, f"the column {name!r} stands twice", "remove one of them")
            elif name in COLUMN_NAMES:
                places[name] = index
            elif name:
                unknown.append((index, header[index].strip()))
        for index, written in unknown:
            self._wrong_cell(
                written, f"{written!r} is no column of a meter list", self._spelling.hint(written, COLUMN_NAMES)
            )
            meant = self._spelling.nearest(written, COLUMN_NAMES)
            if meant:
                places.setdefault(meant, index)
        missing = [name for name in REQUIRED_COLUMNS if name not in places]
        for name in missing:
            self._wrong_cell(name, f"the column {name!r} is missing", "add it to the header and fill it in every row")
        return None if missing else [places.get(name, len(header)) for name in COLUMN_NAMES]

    def _wrong_cell(self, name: str, what: str, hint: str) -> None:
        self._report.add(Location(self._file, self._row, 0, name, column_name=name), what, hint)

    def _wrong_row(self, what: str, hint: str) -> None:
        self._report.add(Location(self._file, max(self._row, 1), 1), what, hint)


def _lines_of(path: Path) -> int:
    try:
        with path.open("rb") as data:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: data.read(_CHUNK), b""))
    except OSError:
        return 0  # told by `read_sheet`


def _first_bad_byte(path: Path) -> tuple[int, int]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return number, position_of(line[: error.start].decode("utf-8"))[1]
    return 0, 0

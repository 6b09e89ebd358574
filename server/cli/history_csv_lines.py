"""History read from CSV, also as spreadsheets save it: cells parted by semicolons or tabs, and then decimal commas."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from config.errors import Location
from server.cli.history_lines import Cells, Checks, Line

DELIMITERS = ",;\t"
MOST_CHARACTERS = 1 << 20
"""A row of more is no row."""
TELL_EVERY = 10_000
_CHUNK = 1 << 16
_MAGIC = {
    b"PK": "a spreadsheet or archive",
    b"\xd0\xcf": "an old spreadsheet",
    b"\x1f\x8b": "compressed",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]*,[0-9]+([eE][-+]?[0-9]+)?")
_SAVE_AS = "save it as CSV in UTF-8"


class _TooLong(Exception):
    """A row has more characters than a row may have."""


class CsvLines:
    """Reads CSV files of one import."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks

    def lines(self, path: Path, progress: Callable[[int], None] = lambda _: None) -> Iterator[Line]:
        """The lines without mistakes; tells `progress` now and then how many bytes are behind it. Raises OSError."""
        file = str(path)
        with path.open("rb") as raw:
            head = raw.read(_CHUNK)
            foreign = _MAGIC.get(head[:2]) or ("no text" if b"\0" in head else None)
            if foreign is not None:
                self._checks.wrong_row(Location(file), f"is {foreign}, not CSV", _SAVE_AS)
                return
            raw.seek(0)
            with io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
                records = _Records(text)
                try:
                    for number, line in enumerate(self._lines(file, records)):
                        if number % TELL_EVERY == 0:
                            progress(raw.tell())
                        yield line
                except csv.Error as error:
                    what, hint = f"cannot be read: {error}", "check the double quotes of this row"
                    self._checks.wrong_row(Location(file, records.row, 1), what, hint)
                except _TooLong:
                    what = f"the row has more than {MOST_CHARACTERS} characters"
                    hint = "write one value a line, and close double quotes"
                    self._checks.wrong_row(Location(file, records.row, 1), what, hint)
                except UnicodeDecodeError:
                    self._checks.wrong_row(Location(file, _first_bad_row(path), 1), "is not UTF-8 text", _SAVE_AS)

    def _lines(self, file: str, records: _Records) -> Iterator[Line]:
        delimiter = records.delimiter()
        rows = records.rows(delimiter)
        header = next(rows, [])
        while header and not header[-1].strip():
            header.pop()
        columns = self._checks.header(header, Location(file, 1, 1))
        if not columns:
            return
        width = len(header)
        time, unit, quantity, value = (columns[name] for name in ("time", "unit", "quantity", "value"))
        uom, status = columns.get("uom", width), columns.get("status", width)
        for row in rows:
            cells = [*map(str.strip, row)]
            if len(cells) != width:
                if not any(cells):
                    continue
                if len(cells) < width or any(cells[width:]):
                    self._wrong_width(Location(file, records.row, 1), cells, width, delimiter)
                    continue
                del cells[width:]
            elif not any(cells):
                continue
            cells.append("")
            given = cells[value]
            if delimiter != "," and _DECIMAL_COMMA.fullmatch(given):
                given = given.replace(",", ".")
            line = self._checks.line(
                records.row, Cells(cells[time], cells[unit], cells[quantity], given, cells[uom], cells[status])
            )
            if line is not None:
                yield line

    def _wrong_width(self, place: Location, cells: Sequence[str], width: int, delimiter: str) -> None:
        hint = f"quote a cell that holds {delimiter!r}" + (", and write 1234.5" if delimiter == "," else "")
        self._checks.wrong_row(place, f"the row has {len(cells)} cells, the header {width}", hint)


class _Records:
    """Rows of a text, in bounded memory; `row` is the line at which the row in hand begins."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._first = ""
        self._length = 0
        self.row = 1

    def delimiter(self) -> str:
        """What parts the cells of the header; asked for before `rows`."""
        self._first = self._text.readline(MOST_CHARACTERS)
        return max(DELIMITERS, key=self._first.count)

    def rows(self, delimiter: str) -> Iterator[list[str]]:
        """All rows that are not blank, the header first. Raises csv.Error, UnicodeDecodeError, _TooLong."""
        reader = csv.reader(self._lines(), delimiter=delimiter, strict=True)
        for row in reader:
            if row:
                yield row
            self._length = 0
            self.row = reader.line_num + 1

    def _lines(self) -> Iterator[str]:
        line = self._first
        while line:
            self._length += len(line)
            if self._length >= MOST_CHARACTERS:
                raise _TooLong
            yield line
            line = self._text.readline(MOST_CHARACTERS)


def _first_bad_row(path: Path) -> int:
    """The row with the first byte that is no UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    row = 1
    with path.open("rb") as raw:
        try:
            for chunk in iter(lambda: raw.read(_CHUNK), b""):
                row += decoder.decode(chunk).count("\n")
        except UnicodeDecodeError as error:
            row += error.object[: error.start].count(b"\n")
    return row

"""The register: the catalogue once more, as a text file that only grows, from which a damaged one is made anew.

Each line is a record with its CRC-32 before it, and on the disk before the catalogue commits what it says. It carries
the check sum of the whole catalogue as it is then, so that damage there is found without reading the register.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from historian.sqlite.files import not_let

FILE = "catalogue.log"
_TAIL = 1 << 16


@dataclass(slots=True, eq=False)
class Contents:
    """What a catalogue says: numbers of units, fields of layouts, the layout of each measurement and unit."""

    series: dict[int, str] = field(default_factory=dict)
    layouts: dict[int, str] = field(default_factory=dict)
    columns: dict[tuple[int, str], int] = field(default_factory=dict)

    def take(self, record: dict[str, Any]) -> None:
        """What a later record says counts."""
        for number, uid in record.get("series", ()):
            self.series[number] = uid
        for number, text in record.get("layouts", ()):
            self.layouts[number] = text
        for number, measurement, layout in record.get("columns", ()):
            self.columns[number, measurement] = layout

    def check_sum(self) -> int:
        """The same as the catalogue's that says the same."""
        total = summed(self.series.items()) ^ summed(self.layouts.items())
        return total ^ summed((number, name, layout) for (number, name), layout in self.columns.items())


def summed(rows: Iterable[Sequence[object]]) -> int:
    """Check sum of rows in any order: that of two sets of rows is one exclusive or the other."""
    total = 0
    for row in rows:
        total ^= zlib.crc32("|".join(map(str, row)).encode("utf-8", "surrogatepass"))
    return total


class Register:
    """The file; belongs to the writer's thread. Raises StoreFull where the disk does not write."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def append(self, record: dict[str, Any], check_sum: int) -> None:
        """A record, on the disk when this returns; a line that a crash cut short is ended first."""
        try:
            with self.path.open("ab") as file:
                cut = file.tell() and not self._ends_whole()
                file.write((b"\n" if cut else b"") + _line(record, check_sum))
                file.flush()
                os.fdatasync(file.fileno())
        except OSError as error:
            raise not_let(error, self.path) from error

    def rewrite(self, contents: Contents) -> None:
        """Begin anew with all that a catalogue says."""
        record = {
            "series": list(contents.series.items()),
            "layouts": list(contents.layouts.items()),
            "columns": [(number, name, layout) for (number, name), layout in contents.columns.items()],
        }
        draft = self.path.with_name(f"{self.path.name}.new")
        try:
            with draft.open("wb") as file:
                file.write(_line(record, contents.check_sum()))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            raise not_let(error, self.path) from error

    def check_sums(self) -> list[int]:
        """What the newest records say of the whole catalogue, newest first; empty where there is no register."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - _TAIL, 0))
                lines = file.read().splitlines()
                if size > _TAIL and not any(_record(line) for line in lines):
                    file.seek(0)
                    lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise not_let(error, self.path) from error
        found = [record["sum"] for record in map(_record, reversed(lines)) if record is not None]
        return found[:2]

    def contents(self) -> Contents | None:
        """All that can be read of it, None where that is nothing."""
        contents = Contents()
        try:
            with self.path.open("rb") as file:
                for line in file:
                    record = _record(line)
                    if record is not None:
                        contents.take(record)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise not_let(error, self.path) from error
        return contents if contents.series else None

    def _ends_whole(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"


def _line(record: dict[str, Any], check_sum: int) -> bytes:
    body = json.dumps({**record, "sum": check_sum}, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _record(line: bytes) -> dict[str, Any] | None:
    """What a line says, None where it is damaged."""
    told, _, body = line.rstrip(b"\n").partition(b" ")
    if told != b"%08x" % zlib.crc32(body):
        return None
    found: dict[str, Any] = json.loads(body)
    return found

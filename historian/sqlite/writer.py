"""The writing side of the embedded store. Everything here runs on the store's one writer thread."""

from __future__ import annotations

import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from historian.api import Readings, SeriesIds
from historian.errors import DamagedHistory, StoreFailed, StoreFull
from historian.sqlite.catalogue import Catalogue
from historian.sqlite.files import (
    DAY_MS,
    LAST_DAY,
    PREFIX,
    Month,
    StoreOptions,
    connect,
    file_path,
    month_of,
    not_let,
    translated,
)
from historian.sqlite.hotday import Damage, HotDay, any_text, hot_days
from historian.sqlite.hotrows import store_rows
from historian.sqlite.keeping import identity, kept_aside

_OPEN_MONTHS = 3

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class MonthFile:
    """One month's file, open for writing. `hot` are its hot days."""

    def __init__(self, path: Path, options: StoreOptions) -> None:
        self.path = path
        self.connection = connect(path, cache_mb=options.cache_mb, synchronous="FULL")
        try:
            self.identity = identity(path)
            if options.max_file_mb:
                page_size = self.connection.execute("PRAGMA page_size").fetchone()[0]
                self.connection.execute(f"PRAGMA max_page_count = {options.max_file_mb * 1_048_576 // page_size}")
            self.connection.text_factory = any_text
            self.hot = set(hot_days(self.connection))
            for letter in PREFIX.values():
                self.connection.execute(
                    f"CREATE TABLE IF NOT EXISTS cold_{letter}(key INTEGER PRIMARY KEY, crc INTEGER, d BLOB)"
                )
        except BaseException:
            self.connection.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def make(self, day: HotDay) -> None:
        """Make the table of a hot day where there is none, outside of a transaction."""
        if day not in self.hot:
            self.connection.execute(day.made)
            self.hot.add(day)

    def close(self) -> None:
        """Release the file."""
        self.connection.close()


class Writer:
    """Writes readings; knows which months are open and which hot days were written since they began to be packed."""

    def __init__(self, folder: Path, options: StoreOptions, damage: Damage) -> None:
        """Raises HistoryError."""
        self.folder = folder
        self.options = options
        self.damage = damage
        self.changes: dict[HotDay, int] = {}
        """Per hot day: how often it was written."""
        self.faults = 0
        """Files set aside because they are damaged."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_let(error, folder) from error
        self.catalogue = Catalogue(folder)
        self._months: OrderedDict[Month, MonthFile] = OrderedDict()

    def close(self) -> None:
        """Release all files."""
        with translated(str(self.folder)):
            for file in self._months.values():
                file.close()
            self._months.clear()
            self.catalogue.close()

    def series(self, units: Sequence[str]) -> SeriesIds:
        """Numbers of units, given out on first sight; raises HistoryError."""
        return self.catalogued(lambda catalogue: catalogue.series(units))

    def write(self, readings: Iterable[Readings]) -> None:
        """Store all, a transaction a month; raises HistoryError, after which the same may be written again."""
        by_month: dict[Month, list[tuple[Readings, int]]] = {}
        for part in readings:
            for piece, day in _by_day(part):
                by_month.setdefault(month_of(day), []).append((piece, day))
        for month, parts in by_month.items():
            try:
                self._write_month(month, parts)
            except DamagedHistory:
                self.set_aside(month)
                self._write_month(month, parts)

    def catalogued(self, work: Callable[[Catalogue], _Result]) -> _Result:
        """Ask the catalogue; where it turns out to be damaged, once more when it is made anew. Raises HistoryError.

        Damage there is none of a month's: what is to be written waits until somebody mends it.
        """
        try:
            with translated(str(self.catalogue.path)):
                self.catalogue.stand()
                return work(self.catalogue)
        except DamagedHistory as error:
            try:
                self.catalogue.make_anew(error)
                with translated(str(self.catalogue.path)):
                    return work(self.catalogue)
            except DamagedHistory as again:
                raise StoreFull(again.what, where=again.where, hint=again.hint) from error

    def month(self, month: Month) -> MonthFile:
        """The open file of a month; raises sqlite3.Error."""
        file = self._months.get(month)
        path = file_path(self.folder, month)
        if file is not None and identity(path) != file.identity:
            _log.error("history file was taken away while it was open, another is begun file=%s", path)
            self.forget(month)
            file = None
        if file is None:
            while len(self._months) >= _OPEN_MONTHS:
                self._months.popitem(last=False)[1].close()
            file = self._months[month] = MonthFile(path, self.options)
        self._months.move_to_end(month)
        return file

    def forget(self, month: Month) -> None:
        """Close a month's file."""
        file = self._months.pop(month, None)
        if file is not None:
            file.close()

    def set_aside(self, month: Month) -> None:
        """Rename a damaged file, so that writing can go on in a new one."""
        self.forget(month)
        path = file_path(self.folder, month)
        aside = kept_aside(path)
        self.faults += 1
        _log.error("damaged history file set aside file=%s as=%s", path, aside)

    def _write_month(self, month: Month, parts: list[tuple[Readings, int]]) -> None:
        placed = self.catalogued(
            lambda catalogue: [
                (part, HotDay(part.measurement, day), catalogue.place(part.measurement, part.series, part.fields))
                for part, day in parts
            ]
        )
        with translated(str(file_path(self.folder, month))):
            file = self.month(month)
            for _, day, _ in placed:
                file.make(day)
            with file.transaction() as connection:
                for part, day, places in placed:
                    self.changes[day] = self.changes.get(day, 0) + 1
                    for place in places:
                        rows = part if len(places) == 1 else part.rows(place.rows)
                        spoilt = store_rows(connection, day, rows, place.columns)
                        if spoilt:
                            what = f"{spoilt} rows that a reading was added to were not what was written"
                            self.damage(f"{file.path} {day.name}", what)


def _by_day(part: Readings) -> Iterator[tuple[Readings, int]]:
    days = part.time_ms // DAY_MS
    for day in np.unique(days).tolist():
        if not 0 <= day <= LAST_DAY:
            raise StoreFailed(f"history cannot hold the time {int(part.time_ms[days == day][0])} ms")
        rows = np.flatnonzero(days == day)
        rows = rows[np.lexsort((part.time_ms[rows], part.series[rows]))]
        series, time_ms = part.series[rows], part.time_ms[rows]
        again = (series[1:] == series[:-1]) & (time_ms[1:] == time_ms[:-1])
        if again.any():
            rows = rows[np.append(~again, np.ones(1, np.bool_))]  # of one slot the reading that came last
        yield part.rows(rows), day

"""Hours of unit-days that wait to be computed again, in the rollups' file: what a crash must not make forgotten."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from historian.rollups.file import RollupFile
from historian.sqlite.files import translated

MARK = "INSERT INTO dirty(day, p, mask) {} ON CONFLICT(day, p) DO UPDATE SET mask = mask | excluded.mask"


@dataclass(frozen=True, slots=True)
class Mark:
    """Hours of one unit's day that wait, as bits."""

    day: int
    unit: int
    hours: int


class WaitingHours:
    """The tables `dirty` and `doing`; used from the file's thread."""

    def __init__(self, file: RollupFile) -> None:
        self._file = file

    def mark(self, marks: Sequence[tuple[int, int, int]]) -> None:
        """Hours (bits) of (day, unit) wait to be computed again; durable on return."""
        with self._file.transaction():
            self._file.connection.executemany(MARK.format("VALUES (?, ?, ?)"), marks)

    def take(self, most: int, before_day: int) -> list[Mark]:
        """Unit-days of one day that wait for the same hours; they are kept as being done until `done`."""
        with self._file.transaction():
            first = self._file.connection.execute(
                "SELECT day, mask FROM dirty WHERE day < ? ORDER BY day, p LIMIT 1", (before_day,)
            ).fetchone()
            if first is None:
                return []
            day, hours = first
            units = self._file.connection.execute(
                "SELECT p FROM dirty WHERE day = ? AND mask = ? ORDER BY p LIMIT ?", (day, hours, most)
            ).fetchall()
            taken = [(day, unit, hours) for (unit,) in units]
            self._file.connection.executemany("INSERT OR REPLACE INTO doing(day, p, mask) VALUES (?, ?, ?)", taken)
            self._file.connection.executemany("DELETE FROM dirty WHERE day = ? AND p = ?", [key[:2] for key in taken])
        return [Mark(*key) for key in taken]

    def done(self) -> None:
        """What was taken is computed."""
        with translated(str(self._file.path)):
            self._file.connection.execute("DELETE FROM doing")

    def undo(self) -> None:
        """What was taken could not be computed: it waits again."""
        with self._file.transaction():
            self._file.connection.execute(MARK.format("SELECT day, p, mask FROM doing WHERE true"))
            self._file.connection.execute("DELETE FROM doing")

    def days(self, unit: int) -> list[int]:
        """Days of which hours of a unit wait."""
        query = "SELECT day FROM dirty WHERE p = ?1 UNION SELECT day FROM doing WHERE p = ?1"
        with translated(str(self._file.path)):
            return [day for (day,) in self._file.connection.execute(query, (unit,))]

    def count(self, units: Sequence[str] | None = None, first_day: int = 0, last_day: int = 1 << 31) -> int:
        """Unit-days that wait, of some units where given."""
        chosen = ""
        values: list[object] = [first_day, last_day] * 2
        if units is not None:
            chosen = " WHERE p IN (SELECT u.p FROM json_each(?) w JOIN unit u ON u.uid = w.value)"
            values.append(json.dumps(list(units)))
        both = " UNION ALL ".join(
            f"SELECT p FROM {table} WHERE day BETWEEN ? AND ?"  # noqa: S608 - a constant
            for table in ("dirty", "doing")
        )
        with translated(str(self._file.path)):
            found: int = self._file.connection.execute(f"SELECT count(*) FROM ({both}){chosen}", values).fetchone()[0]  # noqa: S608
        return found

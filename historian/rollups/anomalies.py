"""Registers that did not simply go on, in the rollups' file: what was found, and what nobody was told of yet."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from historian.counters import Move
from historian.rollups.file import Numbers, RollupFile
from historian.sqlite.files import translated

MOST = 100_000
"""So many are kept, and a few more at times: the newest."""
_HORIZON = "anomalies_from_ms"
"""Older ones were given up."""
_OF = "p IN (SELECT value FROM json_each(?)) AND field IN (SELECT value FROM json_each(?)) AND t >= ? AND t < ?"


@dataclass(frozen=True, slots=True)
class Jump:
    """A register that did not simply go on, in base units; `booked` is what of it is consumption, None if unknown."""

    unit: int
    field: str
    time_ms: int
    move: str
    before: float
    value: float
    booked: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Units with anomalies of some time, ascending: how many, and the newest of each. Shape (n,) each."""

    units: Numbers
    count: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    field: Sequence[str]
    move: Sequence[str]
    numbers: NDArray[np.float64]
    """What the newest one's register showed before and then, and what was booked, shape (n, 3)."""

    def of(self, unit: int) -> tuple[int, Jump] | None:
        """Of one unit."""
        place = int(np.searchsorted(self.units, unit))
        if place == len(self.units) or int(self.units[place]) != unit:
            return None
        before, value, booked = self.numbers[place].tolist()
        known = booked if booked == booked else None
        newest = Jump(unit, self.field[place], int(self.time_ms[place]), self.move[place], before, value, known)
        return int(self.count[place]), newest


class AnomalyTable:
    """The tables `anomaly` and `untold`; used from the file's thread."""

    def __init__(self, file: RollupFile) -> None:
        self._file = file

    def replace(
        self,
        units: Numbers,
        fields: Sequence[str],
        span: tuple[int, int],
        found: Sequence[Jump],
        news_ms: int = 0,
    ) -> tuple[list[Jump], bool]:
        """What is known of units' registers in a span; those of them that are new, and whether anything changed.

        New ones since `news_ms` wait to be told, ones that are there no longer do not. Runs in a transaction.
        """
        connection = self._file.connection
        if not found and not self._any(span):
            return [], False
        horizon = self._file.note(_HORIZON)
        kept = [jump for jump in found if not isinstance(horizon, int) or jump.time_ms >= horizon]
        key = (json.dumps(units.tolist()), json.dumps(list(fields)), *span)
        rows = connection.execute(f"SELECT p, field, t, move FROM anomaly WHERE {_OF}", key)  # noqa: S608 - a constant
        old = {(unit, field, time_ms): move for unit, field, time_ms, move in rows}
        now = {(jump.unit, jump.field, jump.time_ms): jump.move for jump in kept}
        gone = [one for one, move in old.items() if now.get(one) != move]
        for table in ("anomaly", "untold"):
            connection.executemany(f"DELETE FROM {table} WHERE p = ? AND field = ? AND t = ?", gone)  # noqa: S608
        connection.executemany(
            "INSERT OR REPLACE INTO anomaly(p, field, t, move, a, b, booked) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(jump.unit, jump.field, jump.time_ms, jump.move, jump.before, jump.value, jump.booked) for jump in kept],
        )
        new = [jump for jump in kept if old.get((jump.unit, jump.field, jump.time_ms)) != jump.move]
        connection.executemany(
            "INSERT OR IGNORE INTO untold(p, field, t) VALUES (?, ?, ?)",
            [(jump.unit, jump.field, jump.time_ms) for jump in new if jump.time_ms >= news_ms],
        )
        self._file.unpruned += len(new)
        if self._file.unpruned > MOST // 100:
            self._prune()
        return new, bool(new or gone)

    def units(self, span: tuple[int, int]) -> Numbers:
        """Units of which there is anything in [start, end), ascending."""
        query = "SELECT DISTINCT p FROM anomaly WHERE t >= ? AND t < ? ORDER BY p"
        rows = self._file.connection.execute(query, span).fetchall()
        return np.array([unit for (unit,) in rows], np.int64)

    def listed(
        self, uids: Sequence[str] | None, span: tuple[int, int], moves: Sequence[Move], most: int
    ) -> list[tuple[str, Jump]]:
        """The newest of a time, of some units or of all, and of some kinds."""
        return self._select(
            "(?1 IS NULL OR u.uid IN (SELECT value FROM json_each(?1))) AND a.t >= ?2 AND a.t < ?3 "
            "AND a.move IN (SELECT value FROM json_each(?4)) ORDER BY a.t DESC, u.uid, a.field LIMIT ?5",
            (
                None if uids is None else json.dumps(list(uids)),
                *span,
                json.dumps([move.value for move in moves]),
                most,
            ),
        )

    def untold(self, most: int) -> list[tuple[str, Jump]]:
        """The oldest that nobody was told of."""
        return self._select(
            "EXISTS (SELECT 1 FROM untold n WHERE n.p = a.p AND n.field = a.field AND n.t = a.t) "
            "AND a.t >= (SELECT min(t) FROM untold) ORDER BY a.t, a.p, a.field LIMIT ?",
            (most,),
        )

    def told(self, keys: Iterable[tuple[str, str, int]]) -> None:
        """These (unit, field, time) were told."""
        with self._file.transaction():
            self._file.connection.executemany(
                "DELETE FROM untold WHERE p = (SELECT p FROM unit WHERE uid = ?) AND field = ? AND t = ?", keys
            )

    def found_since(self, since_ms: int) -> Found:
        """Units with anomalies since a time."""
        # of a query with one max() SQLite gives the other columns of the row that has it
        query = "SELECT p, count(*), max(t), field, move, a, b, booked FROM anomaly WHERE t >= ? GROUP BY p ORDER BY p"
        whole, numbers = array("q"), array("d")
        field: list[str] = []
        move: list[str] = []
        words: dict[str, str] = {}  # each text once, however many rows have it
        with translated(str(self._file.path)):
            for unit, count, time_ms, name, kind, *shown in self._file.connection.execute(query, (since_ms,)):
                whole.extend((unit, count, time_ms))
                numbers.extend(nan if one is None else one for one in shown)
                field.append(words.setdefault(name, name))
                move.append(words.setdefault(kind, kind))
        integers = np.frombuffer(whole, np.int64).reshape(-1, 3) if whole else np.empty((0, 3), np.int64)
        reals = np.frombuffer(numbers, np.float64).reshape(-1, 3) if numbers else np.empty((0, 3))
        return Found(integers[:, 0].copy(), integers[:, 1].copy(), integers[:, 2].copy(), field, move, reals)

    def glitching(self) -> Numbers:
        """Units of which there is a glitch at all, ascending."""
        query = "SELECT DISTINCT p FROM anomaly WHERE move = ? ORDER BY p"
        with translated(str(self._file.path)):
            rows = self._file.connection.execute(query, (Move.GLITCH.value,)).fetchall()
        return np.array([unit for (unit,) in rows], np.int64)

    def glitches(self, unit: int, field: str, span: tuple[int, int]) -> NDArray[np.int64]:
        """When a register's readings of [start, end) were glitches, ascending."""
        query = "SELECT t FROM anomaly WHERE p = ? AND field = ? AND t >= ? AND t < ? AND move = ? ORDER BY t"
        with translated(str(self._file.path)):
            rows = self._file.connection.execute(query, (unit, field, *span, Move.GLITCH.value)).fetchall()
        return np.array([time_ms for (time_ms,) in rows], np.int64)

    # inside

    def _any(self, span: tuple[int, int]) -> bool:
        query = "SELECT 1 FROM anomaly WHERE t >= ? AND t < ? LIMIT 1"
        return self._file.connection.execute(query, span).fetchone() is not None

    def _select(self, where: str, values: Sequence[object]) -> list[tuple[str, Jump]]:
        # a file that an older hub wrote has no column `booked`
        query = f"SELECT u.uid, a.* FROM anomaly a JOIN unit u ON u.p = a.p WHERE {where}"  # noqa: S608 - constants
        with translated(str(self._file.path)):
            rows = self._file.connection.execute(query, values).fetchall()
        return [(row[0], Jump(*row[1:])) for row in rows]

    def _prune(self) -> None:
        connection = self._file.connection
        self._file.unpruned = 0
        found = connection.execute("SELECT t FROM anomaly ORDER BY t DESC LIMIT 1 OFFSET ?", (MOST - 1,)).fetchone()
        if found is None:
            return
        (horizon,) = found
        for table in ("anomaly", "untold"):
            connection.execute(f"DELETE FROM {table} WHERE t < ?", (horizon,))  # noqa: S608 - a constant
        self._file.remember(_HORIZON, horizon)

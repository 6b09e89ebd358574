"""Until when registers were not calm, in the rollups' file: what a reading says then depends on more than the last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from historian.api import Rows
from historian.calendar import LAST_MS
from historian.counters import calm, follows
from historian.rollups.beside import Register
from historian.rollups.figures import usable
from historian.rollups.file import RollupFile
from historian.rollups.repair import Around
from historian.sqlite.files import translated

STILL = LAST_MS
"""It is not calm yet."""


class UnrestTable:
    """The table `unrest`; used from the file's thread."""

    def __init__(self, file: RollupFile) -> None:
        self._file = file

    def note(self, unit: int, until_ms: Mapping[str, int], seen_ms: int, *, newest: bool) -> int:
        """Until when a unit is not calm, with what is known now of some of its registers. Runs in a transaction.

        seen_ms  time of the last reading that was looked at
        newest   whether nothing is known of later ones
        """
        connection = self._file.connection
        old = dict(connection.execute("SELECT field, t FROM unrest WHERE p = ?", (unit,)))
        for field, time_ms in until_ms.items():
            before = old.get(field, 0)
            known = before <= seen_ms or (before == STILL and newest)
            old[field] = time_ms if known else max(before, time_ms)
            if old[field] != before:
                connection.execute(
                    "INSERT OR REPLACE INTO unrest(p, field, t) VALUES (?, ?, ?)", (unit, field, old[field])
                )
        return max(old.values(), default=0)

    def until(self) -> dict[int, int]:
        """Until when each unit is not calm; nothing of those that always were."""
        with translated(str(self._file.path)):
            return dict(self._file.connection.execute("SELECT p, max(t) FROM unrest GROUP BY p"))


def unrest(registers: Sequence[Register], rows: Rows, around: Mapping[str, Around]) -> tuple[dict[str, int], int]:
    """Until when registers are not calm by their readings: 0 where all simply follow, `STILL` where the last do not.
    And the time of the last reading."""
    until: dict[str, int] = {}
    seen_ms, counts = 0, usable(rows)
    for place, register in enumerate(registers):
        if register.field not in around:
            continue
        before, after = around[register.field]
        at = np.flatnonzero(counts[:, place])
        outside = np.array([(sample.time_ms, sample.value) for sample in (*before, *after)]).reshape(-1, 2)
        cut = len(before)
        times = np.concatenate([outside[:cut, 0], rows.time_ms[at], outside[cut:, 0]]).astype(np.int64)
        values = np.concatenate([outside[:cut, 1], rows.values[at, place], outside[cut:, 1]])
        odd = np.flatnonzero(~follows(times, values, register.limits, register.changes))
        quiet = np.flatnonzero(calm(times, values, register.limits, register.changes))
        behind = quiet[quiet > odd[-1]] if len(odd) else quiet
        until[register.field] = 0 if not len(odd) else int(times[behind[0]]) if len(behind) else STILL
        seen_ms = max([seen_ms, *times[-1:].tolist()])
    return until, seen_ms

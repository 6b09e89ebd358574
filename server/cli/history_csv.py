"""The CSV form of history: one value a line, as `history export` writes and `history import` reads it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from server.cli.history_rows import Page, status_word

COLUMNS = ("time", "unit", "quantity", "value", "uom", "status")
"""`uom` is the unit of measure; `value` is empty where a reading failed."""
HEADER = ",".join(COLUMNS) + "\n"
GOOD = "Good"


class CsvRows:
    """Pages as lines of CSV. Ids, names and units of measure need no quotes: none has a comma, quote or newline."""

    def __init__(self, times: Callable[[NDArray[np.int64]], list[str]]) -> None:
        self._times = times
        self._statuses = {0: GOOD}

    def lines(self, page: Page) -> list[str]:
        """One line a value, each with its newline."""
        heads = [f",{page.unit},{quantity.path}," for quantity in page.quantities]
        tails = [f",{quantity.unit.symbol if quantity.unit is not None else ''}," for quantity in page.quantities]
        known = self._statuses
        for code in np.unique(page.status).tolist():
            if code not in known:
                known[code] = status_word(code)
        rows = zip(
            self._times(page.time_ms),
            page.which.tolist(),
            page.values.tolist(),
            page.status.tolist(),
            strict=True,
        )
        return [
            f"{time}{heads[which]}{value!r}{tails[which]}{known[status]}\n"
            if value == value
            else f"{time}{heads[which]}{tails[which]}{known[status]}\n"
            for time, which, value, status in rows
        ]

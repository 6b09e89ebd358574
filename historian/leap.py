"""What is too old to be kept, asked of a clock that may be wrong: a leap forward alone gives nothing up."""

from __future__ import annotations

import json
import logging
import os
import threading
from contextlib import suppress
from pathlib import Path

FILE = "retention.json"
LEAP_DAYS = 2
"""Further than that the clock comes forward between two upkeeps only where it was set, or the hub was away."""
DOUBT_DAYS = 7
"""So many days the clock must go on from where it leapt to before it is believed."""

_log = logging.getLogger(__name__)


class LeapGuard:
    """Days since 1970 by which retention may count, kept over restarts in `folder`. May be used from any thread."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._is_read = False
        self._believed: int | None = None
        self._leapt: int | None = None
        """First and last day of the clock that is in doubt."""
        self._doubted: int | None = None

    def day(self, today: int) -> int:
        """Today, or the last day that was believed while today is too far from it."""
        with self._lock:
            if not self._is_read:
                self._read()
            before = self._known()
            self._judge(today)
            if before != self._known():
                self._write()
            return self._believed if self._believed is not None else today

    def _judge(self, today: int) -> None:
        if self._believed is None or today <= self._believed + LEAP_DAYS:
            self._believed, self._leapt, self._doubted = today, None, None
        elif self._leapt is None or self._doubted is None or not 0 <= today - self._doubted <= LEAP_DAYS:
            self._leapt = self._doubted = today
            what = "the clock is far ahead of the last upkeep, old history is kept until it has gone on from there"
            _log.warning("%s ahead_days=%d doubt_days=%d", what, today - self._believed, DOUBT_DAYS)
        elif today >= self._leapt + DOUBT_DAYS:
            self._believed, self._leapt, self._doubted = today, None, None
        else:
            self._doubted = today

    def _known(self) -> dict[str, int | None]:
        return {"believed": self._believed, "leapt": self._leapt, "doubted": self._doubted}

    def _read(self) -> None:
        self._is_read = True
        with suppress(OSError, ValueError, AttributeError):
            found = json.loads(self._path.read_text("ascii"))
            days = [found.get(name) for name in self._known()]
            self._believed, self._leapt, self._doubted = (day if isinstance(day, int) else None for day in days)

    def _write(self) -> None:
        """Where the disk does not take it, it is known until the hub ends."""
        draft = self._path.with_name(f"{FILE}.new")
        with suppress(OSError):
            with draft.open("w", encoding="ascii") as file:
                json.dump(self._known(), file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)

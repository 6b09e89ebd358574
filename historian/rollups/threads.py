"""The rollups' file behind two threads: one that writes, and one that reads beside it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from historian.calendar import Width
from historian.errors import DamagedHistory, HistoryError, WrongFormat
from historian.owned import Owned
from historian.rollups.file import RollupFile
from historian.sqlite.keeping import DAMAGED_KEPT, kept_aside

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class FileThreads:
    """Each thread has its own connection; what is asked of one thread is done in turn.

    A file that is taken away while it is open is written out again before the next write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        closed = "the rollups are not open"
        self._writing: Owned[RollupFile] = Owned("history-rollups", closed, str(path))
        self._reading: Owned[RollupFile] = Owned("history-rollups-reader", closed, str(path))
        self._read_lock = threading.Lock()
        """Held by who reads, and while the file is written out again."""
        self._is_away = False

    async def open(self) -> None:
        """Open or make the file; raises HistoryError."""
        try:
            await self._writing.open(lambda: _opened(self.path, writing=True))
            await self._reading.open(lambda: _opened(self.path, writing=False))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what was asked for and release the file; a second call does nothing."""
        for owned in (self._reading, self._writing):  # the last to go takes the log into the file
            await owned.close(RollupFile.close)

    async def write(self, work: Callable[[RollupFile], _Result]) -> _Result:
        """What the work gives on the writing thread."""

        def written(file: RollupFile) -> _Result:
            self._stand(file)
            return work(file)

        return await self._writing.run(written)

    async def read(self, work: Callable[[RollupFile], _Result]) -> _Result:
        """What the work gives on the reading thread."""

        def read(file: RollupFile) -> _Result:
            with self._read_lock:
                return work(file)

        return await self._reading.run(read)

    def take_damaged(self) -> list[tuple[Width, int, int]]:
        """Rows that were found damaged since the last call: width, period, unit."""
        found: list[tuple[Width, int, int]] = []
        for file in (self._writing.thing, self._reading.thing):
            if file is None:
                continue
            damaged, file.damaged = file.damaged, []
            found += damaged
        return found

    def _stand(self, file: RollupFile) -> None:
        try:
            reading = self._reading.thing
            if reading is None or (file.stands and reading.stands):
                return
            with self._read_lock:
                if not file.stands:
                    file.stand()
                reading.reopen()
        except HistoryError as error:  # what is open goes on, and it is tried again
            if not self._is_away:
                _log.error("rollups were taken away and cannot be written out again error=%s", error)
            self._is_away = True
        else:
            self._is_away = False


def _opened(path: Path, *, writing: bool) -> RollupFile:
    try:
        return RollupFile(path, writing=writing)
    except WrongFormat:
        raise
    except DamagedHistory as error:
        if not writing:
            raise
        aside = kept_aside(path, DAMAGED_KEPT)
        _log.error("damaged rollups set aside, they are computed again as=%s error=%s", aside, error)
        return RollupFile(path, writing=writing)

"""The rollups' file behind two threads: one that writes, and one that reads beside it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from historian.calendar import Width
from historian.errors import DamagedHistory, HistoryError, StoreClosed, WrongFormat
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
        self._writing: ThreadPoolExecutor | None = None
        self._reading: ThreadPoolExecutor | None = None
        self._files: list[RollupFile] = []
        self._read_lock = threading.Lock()
        """Held by who reads, and while the file is written out again."""
        self._is_away = False

    async def open(self) -> None:
        """Open or make the file; raises HistoryError."""
        self._writing = ThreadPoolExecutor(1, "history-rollups")
        self._reading = ThreadPoolExecutor(1, "history-rollups-reader")
        loop = asyncio.get_running_loop()
        try:
            for thread, writing in ((self._writing, True), (self._reading, False)):
                self._files.append(await loop.run_in_executor(thread, _opened, self.path, writing))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what was asked for and release the file; a second call does nothing."""
        threads, files = (self._writing, self._reading), self._files
        self._writing = self._reading = None
        self._files = []
        loop = asyncio.get_running_loop()
        for place, thread in reversed(list(enumerate(threads))):  # the last to go takes the log into the file
            if thread is not None:
                if place < len(files):
                    await loop.run_in_executor(thread, files[place].close)
                await loop.run_in_executor(None, thread.shutdown)

    async def write(self, work: Callable[[RollupFile], _Result]) -> _Result:
        """What the work gives on the writing thread."""

        def written(file: RollupFile) -> _Result:
            self._stand(file)
            return work(file)

        return await self._on(self._writing, 0, written)

    async def read(self, work: Callable[[RollupFile], _Result]) -> _Result:
        """What the work gives on the reading thread."""

        def read(file: RollupFile) -> _Result:
            with self._read_lock:
                return work(file)

        return await self._on(self._reading, 1, read)

    def take_damaged(self) -> list[tuple[Width, int, int]]:
        """Rows that were found damaged since the last call: width, period, unit."""
        found: list[tuple[Width, int, int]] = []
        for file in self._files:
            damaged, file.damaged = file.damaged, []
            found += damaged
        return found

    def _stand(self, file: RollupFile) -> None:
        try:
            if len(self._files) < 2 or all(each.stands for each in self._files):
                return
            with self._read_lock:
                if not file.stands:
                    file.stand()
                self._files[1].reopen()
        except HistoryError as error:  # what is open goes on, and it is tried again
            if not self._is_away:
                _log.error("rollups were taken away and cannot be written out again error=%s", error)
            self._is_away = True
        else:
            self._is_away = False

    async def _on(
        self, thread: ThreadPoolExecutor | None, place: int, work: Callable[[RollupFile], _Result]
    ) -> _Result:
        if thread is None or place >= len(self._files):
            raise StoreClosed("the rollups are not open", where=str(self.path))
        return await asyncio.get_running_loop().run_in_executor(thread, work, self._files[place])


def _opened(path: Path, writing: bool) -> RollupFile:  # noqa: FBT001 - run_in_executor takes no keywords
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

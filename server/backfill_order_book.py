"""The file of orders as a running hub has it: on a thread of its own, opened anew when it is changed under the hub."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from address_space.model import NS, Clock
from historian.errors import DamagedHistory, WrongFormat
from historian.gaps.order_file import OrderFile
from historian.owned import Owned

log = logging.getLogger(__name__)

_MS = NS // 1000
_Result = TypeVar("_Result")


class OrderBook:
    """A damaged file is kept aside and begun anew; opened, it makes no file before it is asked for anything."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._file: Owned[_File] = Owned("backfill-orders", "the orders are not open", str(path))

    async def open(self) -> None:
        """Begin to answer."""
        await self._file.open(lambda: _File(self._path, self._clock))

    async def close(self) -> None:
        """Finish what was asked for and release the file; a second call does nothing."""
        await self._file.close(lambda file: file.close())

    async def run(self, work: Callable[[OrderFile], _Result]) -> _Result:
        """What the work gives; raises HistoryError."""
        return await self._file.run(lambda file: file.worked(work))

    async def let_go(self) -> None:
        """Release the file until it is asked for again."""
        await self._file.run(lambda file: file.close())


class _File:
    """What belongs to the thread."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._file: OrderFile | None = None
        self._seen: tuple[int, int, int] | None = None

    def worked(self, work: Callable[[OrderFile], _Result]) -> _Result:
        """What the work gives; where it meets damage the file is set aside, and the error goes on."""
        try:
            return work(self._opened())
        except WrongFormat:
            raise
        except DamagedHistory:
            self._set_aside()
            raise

    def close(self) -> None:
        """Release it; `worked` opens it again."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _opened(self) -> OrderFile:
        if self._file is not None and (self._seen is None or self._stands() != self._seen):
            self.close()  # taken away, be it while it was opened, or written over, which SQLite does not notice
        if self._file is None:
            self._file = OrderFile(self._path)
            self._seen = self._stands()
        return self._file

    def _stands(self) -> tuple[int, int, int] | None:
        """Which file there is and when anybody last wrote into it, not its log; None where there is none."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _set_aside(self) -> None:
        """A damaged file is kept under another name, and begun anew; where its folder does not let, it stays."""
        self.close()
        aside = self._path.with_suffix(f".damaged-{self._clock.now_ns() // _MS}")
        with suppress(OSError):
            self._path.replace(aside)
            log.error("backfill orders damaged, begun anew kept_as=%s", aside.name)
            for ending in ("-wal", "-shm"):
                Path(f"{self._path}{ending}").unlink(missing_ok=True)

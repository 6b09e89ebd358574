"""Something that belongs to one thread, as a connection to SQLite does: made, used and released there, in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from historian.errors import StoreClosed

_Thing = TypeVar("_Thing")
_Result = TypeVar("_Result")


class Owned(Generic[_Thing]):
    """The thing and its thread, whose name is `thread`. While there is none, `closed` and `where` are said instead."""

    def __init__(self, thread: str, closed: str, where: str = "") -> None:
        self._name = thread
        self._closed = closed
        self._where = where
        self._thread: ThreadPoolExecutor | None = None
        self._thing: _Thing | None = None

    @property
    def thing(self) -> _Thing | None:
        """What other threads may look at, with care; None while it is not open."""
        return self._thing

    async def open(self, make: Callable[[], _Thing]) -> None:
        """Make it; whatever that raises leaves nothing behind."""
        thread = ThreadPoolExecutor(1, self._name)
        try:
            self._thing = await asyncio.get_running_loop().run_in_executor(thread, make)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        self._thread = thread

    def begin(self, work: Callable[[_Thing], _Result]) -> asyncio.Future[_Result]:
        """What the work gives, after all that was asked for before; raises StoreClosed."""
        if self._thread is None or self._thing is None:
            raise StoreClosed(self._closed, where=self._where)
        return asyncio.get_running_loop().run_in_executor(self._thread, work, self._thing)

    async def run(self, work: Callable[[_Thing], _Result]) -> _Result:
        """The same, waited for."""
        return await self.begin(work)

    async def close(self, release: Callable[[_Thing], None]) -> None:
        """Finish what was asked for and release it; a second call does nothing."""
        thread, thing = self._thread, self._thing
        self._thread = self._thing = None
        if thread is not None and thing is not None:
            loop = asyncio.get_running_loop()
            try:
                await loop.run_in_executor(thread, release, thing)
            finally:
                await loop.run_in_executor(None, thread.shutdown)

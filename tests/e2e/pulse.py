"""How long the event loop of a test was held up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

BEAT_S = 0.002


class Pulse:
    """Felt while a body runs, or from `start` to `stop`."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._beating: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Feel it from now on; what was before is forgotten."""
        self.longest_s = 0.0
        if self._beating is None:
            self._beating = asyncio.create_task(self._beat(), name="pulse")

    async def stop(self) -> None:
        """Feel it no more."""
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating

    @asynccontextmanager
    async def felt(self) -> AsyncIterator[None]:
        """Feel it while the body runs."""
        self.start()
        try:
            yield
        finally:
            await self.stop()

    async def _beat(self) -> None:
        while True:
            before = perf_counter()
            await asyncio.sleep(BEAT_S)
            self.longest_s = max(self.longest_s, perf_counter() - before - BEAT_S)

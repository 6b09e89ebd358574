"""A hub that serves as long as a test looks at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.app import Hub


@asynccontextmanager
async def running(hub: Hub, patience_s: float) -> AsyncIterator[None]:
    stop, ready = asyncio.Event(), asyncio.Event()
    serving = asyncio.ensure_future(hub.run(stop, ready.set))
    try:
        async with asyncio.timeout(patience_s):
            await ready.wait()
        yield
    finally:
        stop.set()
        async with asyncio.timeout(patience_s):
            await serving

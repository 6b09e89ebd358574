"""The hub of the soak, started as `joulehub run` starts it, with its log in a file and its inside to be counted."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from config.settings import load_settings
from historian.sqlite import StoreOptions
from server import history
from server.app import Hub, draw
from server.cli.logs import set_up_logging
from server.cli.loop import run_loop
from tests.scale.commands import arguments, obey, say

PAGE_CACHE_MB = 4
"""Instead of 64: SQLite's page cache fills as the file grows, for hours, and would hide what else grows."""


def census(hub: Hub) -> dict[str, Any]:
    """What is there at the moment."""
    inside = hub.opcua._iserver
    kept = hub.history
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "blocks": sys.getallocatedblocks(),
        "sessions": inside.session_count,
        "subscriptions": len(inside.subscription_service.hub_subscriptions()),
        "items": inside.subscription_service.item_count,
        "applied": hub.engine.values_applied,
        "committed": 0 if kept is None else kept.recorder.counters.committed,
    }


async def serve(hub: Hub) -> None:
    """Run the hub and obey until the parent ends."""
    stop, ready = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(hub.run(stop, ready.set), name="hub")
        waiting = tasks.create_task(ready.wait(), name="ready")
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not running.done():
            say({"url": hub.opcua.endpoint_urls[0]})
            await obey({"census": lambda: census(hub)})
        stop.set()


def main() -> None:
    """Start the hub of the configuration given."""
    given = arguments()
    log = os.open(given["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, sys.stderr.fileno())
    history.StoreOptions = partial(StoreOptions, cache_mb=PAGE_CACHE_MB)
    settings = load_settings(Path(given["config"]))
    set_up_logging(settings.log.level, settings.log.format)
    run_loop(serve(Hub(draw(settings))))


if __name__ == "__main__":
    main()

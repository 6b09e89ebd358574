"""`python -m tests.scale.profiling`: where the hub's own time goes, part by part, for one kind of request at a time.

A profile makes Python slower and C not, so shares are told, no times; the loop's own work and what the kernel does
before it hands over are not seen at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from asyncua import ua
from rich.console import Console
from rich.table import Table

from tests.scale.browsing import OBJECTS_A_REQUEST, description
from tests.scale.bulk_read import read_request
from tests.scale.client import BenchClient
from tests.scale.contenders import Measured, Model, hub
from tests.scale.measure import ROOT
from tests.scale.notifications import PERIOD_S, Load, Subscriber
from tests.scale.plants import VARIABLES, node_id, unit_id

UNITS = 100
SECONDS = 2.0
SHOWN = 0.03
_SENDING = ("send", "write")
"""Functions that call uvloop, whose own functions a profile does not see."""
Work = Callable[[], Awaitable[None]]
Prepare = Callable[[BenchClient, int], Awaitable[Work]]
"""Makes ready what is not to be profiled."""


def reading(nodes: int) -> Prepare:
    """Poll the same list."""

    async def prepare(client: BenchClient, namespace: int) -> Work:
        ids = [ua.NodeId(node_id(number), namespace) for number in range(nodes)]
        encoded = client.encode(read_request(ids, ua.TimestampsToReturn.Both))
        return lambda: _again(client, encoded)

    return prepare


async def browsing(client: BenchClient, namespace: int) -> Work:
    """Browse a hundred objects a request."""
    request = ua.BrowseRequest()
    ids = [ua.NodeId(unit_id(number), namespace) for number in range(OBJECTS_A_REQUEST)]
    request.Parameters.NodesToBrowse = [description(one) for one in ids]
    encoded = client.encode(request)
    return lambda: _again(client, encoded)


async def notified(client: BenchClient, _: int) -> Work:
    """Be told of a thousand items."""
    subscriber = Subscriber(client)
    await subscriber.subscribe(Load("", UNITS // 2 * VARIABLES))

    async def work() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(subscriber.receive(), SECONDS)

    return work


CASES: dict[str, Prepare] = {
    "read of 1 node": reading(1),
    "read of 100 nodes": reading(100),
    "notifications, 1,000 items": notified,
    "browse of 100 objects": browsing,
}


async def _again(client: BenchClient, encoded: bytes) -> None:
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        await client.send(encoded)


async def profile(server: Measured, prepare: Prepare) -> Counter[str]:
    """Own seconds by part of the program."""
    async with BenchClient(server.url) as client:
        namespace = await client.plant_namespace()
        work = await prepare(client, namespace)
        server("profile", on=True)
        await work()
        found = server("profile", on=False)["own"]
    parts: Counter[str] = Counter()
    for file, name, own in found:
        parts[_part(file, name)] += own
    return parts


def _part(file: str, name: str) -> str:
    """A module of the hub, a library, or the socket."""
    path = Path(file)
    if name in _SENDING:
        return "sending: the loop's write and the kernel"
    if path.is_relative_to(ROOT) and ".venv" not in path.parts:
        return str(path.relative_to(ROOT))
    if "numpy" in file or "numpy" in name or "ufunc" in name or "ndarray" in name:
        return "numpy"
    if "asyncio" in file or "asyncio" in name:
        return "event loop"
    return "built-in functions of Python" if file == "~" else "libraries"


def main() -> None:
    """Print one table for each kind of request."""
    logging.disable(logging.CRITICAL)
    console = Console(width=None if sys.stdout.isatty() else 100)
    with hub(Model(UNITS)) as server:
        for name, prepare in CASES.items():
            if prepare is notified:
                server("pace", every_s=PERIOD_S, units=UNITS // 2)
            parts = asyncio.run(profile(server, prepare))
            server("pace", every_s=0, units=0)
            whole = sum(parts.values())
            shown = Table(title=name, title_justify="left")
            shown.add_column("share", justify="right")
            shown.add_column("where")
            for part, own in parts.most_common():
                if own / whole >= SHOWN:
                    shown.add_row(f"{own / whole:.0%}", part)
            console.print(shown)


if __name__ == "__main__":
    main()

"""A whole hub in a process of its own, started as `joulehub run` starts it, with its phases timed."""

from __future__ import annotations

import time

_BEGAN = time.perf_counter()

import asyncio  # noqa: E402
import logging  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, ParamSpec, TypeVar  # noqa: E402

from config.settings import load_settings  # noqa: E402
from server import app, heap  # noqa: E402
from server.cli.loop import run_loop  # noqa: E402
from tests.scale.commands import arguments, obey, say  # noqa: E402
from tests.scale.plants import readings  # noqa: E402

_IMPORTED = time.perf_counter()
P = ParamSpec("P")
R = TypeVar("R")


class Phases:
    """Wall time of each phase of the start."""

    def __init__(self) -> None:
        self.spent = {"import": _IMPORTED - _BEGAN}

    def timed(self, name: str, work: Callable[P, R]) -> Callable[P, R]:
        """`work`, whose time is noted under `name`."""

        def run(*given: P.args, **named: P.kwargs) -> R:
            began = time.perf_counter()
            try:
                return work(*given, **named)
            finally:
                self.spent[name] = time.perf_counter() - began

        return run


class Updates:
    """New readings of the first units, applied at a fixed pace."""

    def __init__(self, hub: app.Hub) -> None:
        self._hub = hub
        self._task: asyncio.Task[None] | None = None
        self.values = 0

    def fill(self) -> None:
        """One reading of every unit."""
        self._hub.engine.apply(readings(self._hub.plant, len(self._hub.plant.units), self._hub.clock.now_ns(), 1))

    def pace(self, every_s: float, units: int) -> None:
        """Apply readings of `units` units every so many seconds; 0 stops."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if every_s:
            self._task = asyncio.get_running_loop().create_task(self._run(every_s, units), name="updates")

    async def _run(self, every_s: float, units: int) -> None:
        hub = self._hub
        sets = [readings(hub.plant, units, hub.clock.now_ns(), seed) for seed in range(4)]
        turn = 0
        due = time.perf_counter()
        while True:
            hub.engine.apply(sets[turn % len(sets)])
            turn += 1
            self.values += sum(len(batch.handles) for batch in sets[0])
            due = max(due + every_s, time.perf_counter())
            await asyncio.sleep(due - time.perf_counter())


class Profiled:
    """Own time by function, while it is switched on."""

    def __init__(self) -> None:
        self._profile: Any = None

    def switch(self, on: bool) -> dict[str, Any]:
        """Begin anew, or end with [file, function, own seconds] of each function."""
        import cProfile  # not at the top: what the start imports is timed
        import pstats

        if on:
            self._profile = cProfile.Profile(builtins=True)
            self._profile.enable()
            return {}
        self._profile.disable()
        stats: dict[tuple[str, int, str], Any] = pstats.Stats(self._profile).stats  # type: ignore[attr-defined]
        return {"own": [[file, name, own] for (file, _, name), (_, _, own, _, _) in stats.items()]}


async def serve(hub: app.Hub, phases: Phases) -> None:
    """Run the hub and obey until the parent ends."""
    stop = asyncio.Event()
    ready = asyncio.Event()
    updates = Updates(hub)
    profiled = Profiled()

    def counters() -> dict[str, Any]:
        recorder = None if hub.history is None else hub.history.recorder
        return {
            "applied": hub.engine.values_applied,
            "readings": hub.engine.readings_applied,
            "updated": updates.values,
            "requests": sum(poller.channel.tally.requests for poller in hub.pollers),
            "committed": 0 if recorder is None else recorder.counters.committed,
            "online": hub.engine.online_share()[0],
        }

    began = time.perf_counter()
    running = asyncio.create_task(hub.run(stop, ready.set), name="hub")
    waiting = asyncio.create_task(ready.wait(), name="ready")
    await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    phases.spent["opc ua start"] = time.perf_counter() - began
    say({"phases": phases.spent, "url": hub.opcua.endpoint_urls[0], "handles": hub.plant.size})
    await obey({"fill": updates.fill, "pace": updates.pace, "counters": counters, "profile": profiled.switch})
    updates.pace(0, 0)
    stop.set()
    await running


def main() -> None:
    """Start the hub of the configuration given."""
    heap.prepare()
    phases = Phases()
    app.load_plant = phases.timed("config load", app.load_plant)
    app.assemble = phases.timed("assembly", app.assemble)
    blueprint = app.draw(load_settings(Path(arguments()["config"])))
    began = time.perf_counter()
    hub = app.Hub(blueprint)
    del blueprint  # as `joulehub run` does: the files' own rows are not kept while the hub runs
    phases.spent["build"] = time.perf_counter() - began
    run_loop(serve(hub, phases))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    main()

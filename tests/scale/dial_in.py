"""Gateways that dial in, by the thousand: what one cycle through all their meters costs the hub, and what it costs to
keep their connections."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.ports import free_port
from tests.scale.measure import Child, Figure
from tests.scale.plants import PlantFiles
from tests.scale.size import Size
from tests.scale.table import Row

NAME = "dial-in"
GATEWAYS = {Size.FULL: 1_000, Size.QUICK: 100, Size.TINY: 5}
METERS_A_GATEWAY = {Size.FULL: 100, Size.QUICK: 100, Size.TINY: 10}
CYCLE_S = 1_800.0
HEARTBEAT_S = 60.0
IDLE_S = {Size.FULL: 10.0, Size.QUICK: 5.0, Size.TINY: 1.0}
PATIENCE_S = 300.0
LOOK_S = 0.25
_MB = 1_000_000


def run(size: Size, step: Callable[[str], None]) -> list[Row]:
    """One whole cycle as fast as it goes, then the connections alone with their heartbeats."""
    gateways, meters = GATEWAYS[size], GATEWAYS[size] * METERS_A_GATEWAY[size]
    step(f"{gateways:,} gateways dial in, {meters:,} meters")
    port = free_port()
    plant = PlantFiles(meters, free_port(), meters_a_channel=METERS_A_GATEWAY[size], poll_s=CYCLE_S, modems_at=port)
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        config = str(plant.write(Path(folder) / "plant"))
        with (
            Child("hub_child", config=config) as hub,
            Child("gateways_child", port=port, gateways=gateways, heartbeat_s=HEARTBEAT_S) as far,
        ):
            before_s, began = hub.cpu_s, time.perf_counter()
            far("dial")
            _wait(hub, meters)
            cycle_s, wall_s = hub.cpu_s - before_s, time.perf_counter() - began
            asked = far("answered")["answered"]
            counted_s, began = hub.cpu_s, time.perf_counter()
            time.sleep(IDLE_S[size])
            idle = (hub.cpu_s - counted_s) / (time.perf_counter() - began)
            rss = hub.rss_bytes / _MB
    what = f"{gateways:,} gateways × {METERS_A_GATEWAY[size]} meters"
    return [
        Row(
            NAME,
            f"One cycle, {what}",
            "s CPU",
            Figure.once(cycle_s),
            note=f"{cycle_s / meters * 1e6:.0f} µs a meter with history; {asked:,} exchanges in {wall_s:.0f} s",
        ),
        Row(
            NAME,
            f"Share of a core at a cycle of 30 minutes, {what}",
            "%",
            Figure.once(100.0 * (cycle_s / CYCLE_S + idle)),
            goal=100.0,
            note=f"of it {100 * idle:.1f} % between polls, connections kept and a heartbeat a minute from each",
        ),
        Row(NAME, f"Resident memory, {what}", "MB", Figure.once(rss)),
    ]


def _wait(hub: Child, meters: int) -> None:
    """Until every meter was read once."""
    deadline = time.perf_counter() + PATIENCE_S
    while (done := hub("counters")["readings"]) < meters:
        if time.perf_counter() > deadline:
            raise RuntimeError(f"{done:,} of {meters:,} meters were read within {PATIENCE_S:.0f} s")
        time.sleep(LOOK_S)

"""`python -m tests.scale.soak`: a hub under faults, broken lines and clients that come and go, as long as wanted."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.interop.relay import Relay
from tests.ports import free_port
from tests.scale.measure import Child
from tests.scale.soak_audit import Auditor
from tests.scale.soak_client import Identity, Tally, forever
from tests.scale.soak_gauge import Gauge
from tests.scale.soak_ledger import Findings
from tests.scale.soak_line import Scissors
from tests.scale.soak_outcome import Hardness, Outcome, log_levels
from tests.scale.soak_plant import WATCHED, SoakPlant
from tests.scale.soak_visitors import Crowd, Explorer, Reader
from tests.scale.soak_watcher import Watcher

SETTLE_S = 3.0
LEFT = ("sessions", "subscriptions", "items")
FEW, MANY = 10, 100
"""Queue of an item whose client is always there, and of one whose line is cut."""


async def soak(hardness: Hardness, folder: Path) -> Outcome:
    """Run it. The samples (soak.csv), the present state (state.json), hub.log and the plant stay in `folder`."""
    plant = SoakPlant(hardness.meters, [free_port() for _ in range(hardness.buses)], free_port())
    config = str(plant.write(folder / "plant"))
    with ExitStack() as stack:
        meters = stack.enter_context(
            Child(
                "soak_meters_child",
                config=config,
                seed=hardness.seed,
                fault_every_s=hardness.fault_every_s,
                plug_every_s=hardness.plug_every_s,
            )
        )
        hub = stack.enter_context(Child("soak_hub_child", config=config, log=str(folder / "hub.log")))
        relay = stack.enter_context(Relay(plant.port))
        return await Stage(hardness, folder, plant, meters, hub, relay).play()


class Stage:
    """Everybody who takes part in a soak."""

    def __init__(
        self, hardness: Hardness, folder: Path, plant: SoakPlant, meters: Child, hub: Child, relay: Relay
    ) -> None:
        self._hardness = hardness
        self._folder = folder
        self._meters = meters
        self._hub = hub
        self._relay = relay
        self._findings, self._tally = Findings(), Tally()
        findings, tally, seed = self._findings, self._tally, hardness.seed
        url, points = hub.ready["url"], list(plant.points())
        cut_url = f"{relay.url}/joulehub"
        identity = Identity.make(folder)
        self._watchers = [
            Watcher("all", url, points, findings, tally, queue=FEW),
            Watcher("sealed", url, points[1::10], findings, tally, queue=FEW, identity=identity),
            Watcher("cut", cut_url, points[:: len(WATCHED)] + points[2::10], findings, tally, queue=MANY),
        ]
        self._auditor = Auditor(url, self._watchers, meters, findings, tally, hardness.audit_every_s)
        self._gauge = Gauge(hub, folder / "soak.csv", hardness.sample_s)
        chance = random.Random(seed)
        crowd = [Crowd(url, plant.port, points, identity, tally, seed + one) for one in range(hardness.crowd)]
        self._others = {
            "gauge": self._gauge.run,
            "auditor": self._auditor.run,
            "reader": Reader(url, points, identity, tally, chance).run,
            "explorer": Explorer(url, plant.units, points, None, tally, chance).run,
            "scissors": Scissors(relay, hardness.cut_every_s, seed).run,
            **{f"crowd {number}": one.run for number, one in enumerate(crowd)},
        }

    async def play(self) -> Outcome:
        """Let it go on for as long as it shall, then settle everything."""
        began = time.monotonic()
        watching = [
            asyncio.create_task(forever(one.name, self._tally, one.run), name=one.name) for one in self._watchers
        ]
        others = [
            asyncio.create_task(forever(name, self._tally, work), name=name) for name, work in self._others.items()
        ]
        try:
            while (left_s := self._hardness.minutes * 60 - (time.monotonic() - began)) > 0:
                await asyncio.sleep(min(self._hardness.sample_s, left_s))
                if self._hub.process.poll() is not None:
                    raise RuntimeError(f"the hub ended; see {self._folder / 'hub.log'}")
                state = json.dumps(self._outcome(time.monotonic() - began).as_data(), indent=1)
                (self._folder / "state.json").write_text(state)
            seconds = time.monotonic() - began
            await _end(others)
            played = await asyncio.to_thread(self._meters, "played")
            await asyncio.sleep(SETTLE_S)
            await self._auditor.last()
        finally:
            await _end([*watching, *others])
        outcome = self._outcome(seconds)
        outcome.played, outcome.left = played, await self._left()
        return outcome

    async def _left(self) -> dict[str, float]:
        """What the hub still holds when all clients are gone, at the latest after the longest of their lifetimes."""
        deadline = time.monotonic() + self._hardness.leave_s
        while True:
            census = await asyncio.to_thread(self._hub, "census")
            left = {name: census[name] for name in LEFT}
            if not any(left.values()) or time.monotonic() >= deadline:
                return left
            await asyncio.sleep(SETTLE_S)

    def _outcome(self, seconds: float) -> Outcome:
        return Outcome(
            seconds=seconds,
            gauge=self._gauge,
            findings=self._findings,
            tally=self._tally,
            log=log_levels(self._folder / "hub.log"),
            cuts=self._relay.cuts,
            reconnects={watcher.name: watcher.reconnects for watcher in self._watchers},
            republished=sum(watcher.republished for watcher in self._watchers),
        )


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak and report; 1 where a change was missed, what was told is wrong, or clients that are gone left something."""
    given = _parser().parse_args(arguments)
    logging.disable(logging.CRITICAL)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="joulehub-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    sys.stderr.write(f"{given.minutes:g} minutes; samples, state and the hub's log: {folder}\n")
    outcome = asyncio.run(soak(Hardness(given.minutes, given.meters, seed=given.seed), folder))
    if given.json:
        json.dump(outcome.as_data(), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(outcome.as_text())
    return 0 if outcome.right else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.scale.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--meters", type=int, default=200, help="how many meters, on ten buses (200)")
    parser.add_argument("--seed", type=int, default=1, help="another seed plays other faults")
    parser.add_argument("--folder", type=Path, help="a new folder for samples, log and plant")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())

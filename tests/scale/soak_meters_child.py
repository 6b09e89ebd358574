"""The meters of the soak in a process of their own: they misbehave by a seeded plan, and keep the books."""

from __future__ import annotations

import asyncio
import logging
import random
from pathlib import Path
from typing import Any

from address_space.model import NS, Quantity, SystemClock
from config.settings import load_settings
from drivers.profiles import load_library
from drivers.simulators import (
    Dropped,
    EveryNth,
    ExceptionAnswer,
    Fault,
    Fleet,
    Garbage,
    Late,
    Silent,
    Slow,
    WrongCheck,
    WrongLength,
    WrongUnit,
)
from server.app import draw, site_profiles
from server.cli.loop import run_loop
from server.simulation import fleet_of
from tests.scale.commands import arguments, obey, say

BOOKS_BACK_S = 6
"""How much older than its arrival a value may be: the second it was counted in, and the slowest answer."""
_QUANTITIES = {quantity.path: quantity for quantity in Quantity}


class Mischief:
    """Faults and pulled plugs; the same seed plays the same plan."""

    def __init__(self, fleet: Fleet, seed: int, fault_every_s: float, plug_every_s: float) -> None:
        self._fleet = fleet
        self._random = random.Random(seed)
        self._fault_every_s = fault_every_s
        self._plug_every_s = plug_every_s
        self.faults: dict[str, int] = {}
        self.plugs = 0

    async def faults_by_turns(self) -> None:
        """Every now and then a meter begins to misbehave, and stops after a while."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(self._fault_every_s * self._random.uniform(0.5, 1.5))
                tasks.create_task(self._misbehave(), name="fault")

    async def plugs_by_turns(self) -> None:
        """Every now and then a whole bus is away."""
        while True:
            await asyncio.sleep(self._plug_every_s * self._random.uniform(0.7, 1.3))
            endpoint = self._random.choice(list(self._fleet.servers))
            self.plugs += 1
            await self._fleet.stop(endpoint)
            await asyncio.sleep(self._plug_every_s * self._random.uniform(0.05, 0.15))
            await self._fleet.start(endpoint)

    async def _misbehave(self) -> None:
        meter = self._fleet.meter(self._random.choice(list(self._fleet.meters)))
        fault = self._any_fault()
        if meter.fault is not None:
            return
        name = type(fault).__name__
        self.faults[name] = self.faults.get(name, 0) + 1
        meter.fault = fault
        await asyncio.sleep(self._fault_every_s * self._random.uniform(1, 10))
        meter.fault = None

    def _any_fault(self) -> Fault:
        when = EveryNth(self._random.randint(1, 4))
        faults: list[Fault] = [
            Silent(when),
            Slow(self._random.uniform(0.05, 0.25), when),
            Slow(self._random.uniform(0.4, 1.0), when),
            WrongLength(self._random.choice((-2, -1, 1, 4)), when),
            WrongCheck(when),
            WrongUnit(self._random.randint(1, 9), when),
            ExceptionAnswer(self._random.choice((2, 4, 6, 11)), when),
            Dropped(self._random.randint(0, 9), when),
            Garbage(self._random.randint(1, 64), when),
            Late(when),
        ]
        return self._random.choice(faults)


class Auditor:
    """Compares what clients were told with the books."""

    def __init__(self, fleet: Fleet) -> None:
        self._books = fleet.books

    def wrong(self, meter: str, quantity: str, samples: list[tuple[int, float]]) -> dict[str, Any]:
        """Those of the samples (arrival in ns, value in base units) that the meter never counted to around then."""
        return {"wrong": [sample for sample in samples if not self._right(meter, _QUANTITIES[quantity], *sample)]}

    def _right(self, meter: str, quantity: Quantity, at_ns: int, value: float) -> bool:
        return any(self._books.value(meter, quantity, at_ns - back * NS) == value for back in range(BOOKS_BACK_S + 1))


async def play(fleet: Fleet, given: dict[str, Any]) -> None:
    """Play until the parent ends."""
    mischief = Mischief(fleet, given["seed"], given["fault_every_s"], given["plug_every_s"])
    auditor = Auditor(fleet)
    async with fleet, asyncio.TaskGroup() as tasks:
        playing = [
            tasks.create_task(mischief.faults_by_turns(), name="faults"),
            tasks.create_task(mischief.plugs_by_turns(), name="plugs"),
        ]
        say({"meters": len(fleet.meters)})
        await obey({"wrong": auditor.wrong, "played": lambda: {"faults": mischief.faults, "plugs": mischief.plugs}})
        for task in playing:
            task.cancel()


def main() -> None:
    """Play the plant of the configuration given."""
    given = arguments()
    settings = load_settings(Path(given["config"]))
    library = load_library(*site_profiles(settings.plant))
    run_loop(play(fleet_of(draw(settings, library=library), library, SystemClock()), given))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    main()

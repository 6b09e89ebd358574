"""A recorder's far side in a process of its own: readings into the spool, the spool to InfluxDB, until it is killed.

Each reading has a slot of its own; a line of standard output says which slots were accepted.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import numpy as np

from address_space.model import SystemClock
from address_space.model.ids import NodeUid
from historian.api import Readings
from historian.forwarder import Forwarder
from historian.influx import InfluxSink, LineWriter, ServerOptions, Tags
from historian.schema import Measurement
from historian.spool import Spool
from tests.scale.commands import arguments, say

FIRST_MS = 1_700_000_000_000
UNITS = 20


async def write(folder: Path, url: str, database: str, first: int, slots: int, most: int) -> None:
    """Accept slots from `first` on, `slots` at a time, until killed or `most` are accepted and forwarded."""
    clock = SystemClock()
    sink = InfluxSink("influx", ServerOptions(url, database, timeout_s=2.0))
    async with Spool(folder, clock) as spool, asyncio.TaskGroup() as tasks:
        writer = LineWriter(spool, ["influx"], lambda _: Tags("electricity"))
        ids = await writer.series([NodeUid(f"m{number}") for number in range(UNITS)])
        forwarder = Forwarder(spool, sink, clock)
        running = tasks.create_task(forwarder.run(), name="forwarder")
        say({"ready": True})
        for at in range(first, most, slots):
            readings = [_slot(ids, slot) for slot in range(at, at + slots)]
            await writer.write(readings)
            say({"accepted": at + slots})
        while (await spool.state()).parcels:
            await clock.sleep(0.05)
        state = await spool.state()
        say({"drained": True, "dead": state.dead, "damaged": state.damaged, "shed": sum(state.shed.values())})
        running.cancel()
    await sink.close()


def _slot(ids: np.ndarray, slot: int) -> Readings:
    times = np.full(UNITS, FIRST_MS + slot * 1000)
    values = np.full((UNITS, 1), float(slot))
    return Readings(Measurement.ENERGY, ("ActiveEnergyImport",), ids, times, values, np.zeros((UNITS, 1), np.uint32))


def main() -> None:
    """As the parent says."""
    given = arguments()
    given["folder"] = Path(given["folder"])
    asyncio.run(write(**given))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    main()

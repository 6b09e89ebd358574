"""A hub's history with rollups that runs as fast as it can until it is killed. Arguments: folder, first ms, slots."""

import asyncio
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from address_space.model import NS, ManualClock, NodeUid, Plant
from historian.api import Readings
from historian.calendar import Days
from historian.rollups import Ratings, RollupOptions, Rollups
from historian.schema import Measurement
from historian.sqlite import SqliteStore

QUARTER_MS = 900_000
UNITS = [NodeUid(f"m{number}") for number in range(20)]


async def main(folder: Path, first_ms: int, slots: int) -> None:
    clock = ManualClock(first_ms * NS // 1000)
    options = RollupOptions(units_a_step=7)
    rollups = Rollups(
        folder,
        clock,
        store := SqliteStore(folder, clock),
        Days(ZoneInfo("Europe/Berlin")),
        Ratings(Plant([], [])),
        options,
    )
    async with store, rollups:
        writer = rollups.tap(store)
        ids = await writer.series(UNITS)
        for slot in range(slots):
            time_ms = first_ms + slot * QUARTER_MS
            late_ms = first_ms - (slot + 1) * QUARTER_MS
            for moment in (time_ms, late_ms):
                value = (moment // QUARTER_MS) * 100.0 + np.arange(len(UNITS))[:, None]
                await writer.write(
                    [
                        Readings(
                            Measurement.ENERGY,
                            ("ActiveEnergyImport",),
                            ids,
                            np.full(len(ids), moment),
                            value,
                            np.zeros((len(ids), 1), np.uint32),
                        )
                    ]
                )
            clock.jump(QUARTER_MS / 1000)
            sys.stdout.write(f"{slot}\n")
            sys.stdout.flush()
            if slot % 3 == 0:
                await rollups.catch_up()
        sys.stdin.read()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))

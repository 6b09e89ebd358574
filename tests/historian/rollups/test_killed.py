"""What a hub that is killed in the middle leaves behind is computed by the next one."""

import random
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from address_space.model import NS, ManualClock, NodeUid, Plant, Quantity
from historian.calendar import Days, Width
from historian.rollups import Ratings, RollupOptions, Rollups
from historian.sqlite import SqliteStore

ROOT = Path(__file__).parents[3]
CHILD = Path(__file__).with_name("killed_child.py")
IMPORT = Quantity.ACTIVE_ENERGY_IMPORT
FIRST_MS = 1_830_290_400_000
QUARTER_MS, HOUR_MS, DAY_MS = 900_000, 3_600_000, 86_400_000
SLOTS = 4000


@pytest.mark.parametrize("seed", range(4))
async def test_a_kill_in_the_middle_of_a_rollup_leaves_nothing_wrong(tmp_path: Path, seed: int) -> None:
    told = _killed(tmp_path, random.Random(seed).randint(20, 120))
    now_ms = FIRST_MS + told * QUARTER_MS
    clock = ManualClock((now_ms + HOUR_MS) * NS // 1000)
    zone = ZoneInfo("Europe/Berlin")
    store = SqliteStore(tmp_path, clock)
    rollups = Rollups(tmp_path, clock, store, Days(zone), Ratings(Plant([], [])), RollupOptions())
    first_ms, last_ms = FIRST_MS - told * QUARTER_MS, FIRST_MS + told * QUARTER_MS
    begin_ms, end_ms = -(-first_ms // HOUR_MS) * HOUR_MS, last_ms // HOUR_MS * HOUR_MS
    async with store, rollups:
        await rollups.catch_up()
        units = [NodeUid(f"m{number}") for number in range(20)]
        for buckets in await rollups.buckets_of_many(units, IMPORT, begin_ms, end_ms, Width.HOUR):
            assert buckets.delta.tolist() == [0.4] * ((end_ms - begin_ms) // HOUR_MS)
            assert (buckets.quality == 0).all()
        assert await rollups.settled(units, begin_ms, end_ms)


def _killed(folder: Path, slots: int) -> int:
    """Kill the child once it has told of so many slots; gives the last slot it told of."""
    command = [sys.executable, str(CHILD), str(folder), str(FIRST_MS), str(SLOTS)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=_env()
    ) as child:
        assert child.stdout is not None
        told = 0
        for line in child.stdout:
            told = int(line)
            if told >= slots:
                break
        child.kill()
    return told


def _env() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "PATH": ""}

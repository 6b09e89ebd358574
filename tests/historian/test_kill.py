"""Death by `kill -9`: what `flush` acknowledged is there afterwards."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from address_space.model import ManualClock, NodeUid, Quantity
from historian.sqlite import SqliteStore

IMPORT = Quantity.ACTIVE_ENERGY_IMPORT
T0 = 1_800_000_000
PROGRAM = """
import asyncio, sys
from pathlib import Path
import numpy as np
from address_space.model import *
from historian.recorder import Recorder
from historian.sqlite import SqliteStore, StoreOptions

T0 = 1_800_000_000

async def main():
    template = Template("t", [PointSpec(Quantity.ACTIVE_ENERGY_IMPORT), PointSpec(Quantity.ACTIVE_POWER)])
    plant = Plant([], [MeteringUnit(NodeUid("a"), "a", None, template)])
    clock = SystemClock()
    status = np.zeros(2, np.uint32)
    async with SqliteStore(Path(sys.argv[1]), ManualClock(2_500_000_000 * NS), StoreOptions(hot_days=1)) as store:
        async with Recorder(store, plant, clock) as recorder:
            for slot in range(1_000_000):
                ns = (T0 + 3600 * slot) * NS
                recorder.offer(Batch(UnitHandle(0), np.arange(2), np.array([slot, 1.0]), status, ns, ns, ns))
                if slot % 7 == 6:
                    await recorder.flush()
                    print(slot, flush=True)
                if slot % 210 == 209:
                    await store.maintain()

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 20, 60, 150])
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, lines: int) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, cwd=root, env={**os.environ}, text=True
    ) as hub:
        assert hub.stdout is not None
        last = 0
        for _ in range(lines):
            last = int(hub.stdout.readline())
        hub.send_signal(signal.SIGKILL)
        for line in hub.stdout:
            last = int(line)

    async def read() -> list[float]:
        async with SqliteStore(tmp_path, ManualClock()) as store:
            found = await store.read_raw(NodeUid("a"), IMPORT, 0, 2**60, 10**6)
            assert store.damage == {}
            return (found.values * 1000).round().tolist()

    values = asyncio.run(read())
    assert values[: last + 1] == list(range(last + 1))
    assert values == list(range(len(values)))
    for path in tmp_path.glob("*.db"):
        file = sqlite3.connect(path)
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        file.close()

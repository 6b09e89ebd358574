"""All files of a store are cut to nothing while it is open, and put back from a backup: it then goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from address_space.model import NS, ManualClock, NodeUid, Quantity
from historian.api import Readings
from historian.errors import StoreFull
from historian.schema import Measurement
from historian.sqlite import SqliteStore

T0 = 1_800_000_000
UNIT = NodeUid("m1")
POWER = Quantity.ACTIVE_POWER


async def write(store: SqliteStore, *seconds: int) -> None:
    series = np.repeat(await store.series([UNIT]), len(seconds))
    times = np.array([(T0 + second) * 1000 for second in seconds], np.int64)
    values = np.array([[float(second)] for second in seconds])
    status = np.zeros((len(seconds), 1), np.uint32)
    await store.write([Readings(Measurement.INST, (POWER.value.path,), series, times, values, status)])


async def seconds_of(store: SqliteStore) -> list[int]:
    found = await store.read_raw(UNIT, POWER, 0, 2**60, 100)
    return [time // 1000 - T0 for time in found.time_ms.tolist()]


async def test_what_is_to_be_written_is_refused_for_now_until_the_catalogue_is_back(tmp_path: Path) -> None:
    folder, backup = tmp_path / "history", tmp_path / "backup"
    async with SqliteStore(folder, ManualClock(T0 * NS)) as store:
        await write(store, 1, 2)
        assert await seconds_of(store) == [1, 2]
        assert store._writer.thing is not None
        for file in (store._writer.thing.catalogue.connection, *_months(store)):
            await store._write(lambda _, file=file: file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        backup.mkdir()
        for path in (*folder.glob("*.db"), folder / "catalogue.log"):
            shutil.copy(path, backup / path.name)
        for path in folder.iterdir():
            with path.open("r+b") as file:
                file.truncate()
        for _ in range(3):
            with pytest.raises(StoreFull) as refused:
                await write(store, 3)
            assert "backup" in refused.value.hint
        for path in backup.iterdir():
            shutil.copy(path, folder / f"{path.name}.new").replace(folder / path.name)
        await write(store, 3)
        assert await seconds_of(store) == [1, 2, 3]


def _months(store: SqliteStore) -> list[object]:
    assert store._writer.thing is not None
    return [month.connection for month in store._writer.thing._months.values()]

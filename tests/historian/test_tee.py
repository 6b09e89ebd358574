"""Two stores behind one recorder see the same readings, each by its own numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from address_space.model.clock import ManualClock
from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity
from historian.api import Readings
from historian.errors import HistoryError
from historian.schema import Measurement
from historian.sqlite import SqliteStore
from historian.tee import Tee

CLOCK = ManualClock(1_800_000_000_000_000_000)
UNITS = [NodeUid("m1"), NodeUid("m2"), NodeUid("m3")]


def readings(series: np.ndarray, slot_ms: int) -> Readings:
    values = np.arange(len(series), dtype=float).reshape(-1, 1) * 1000
    return Readings(
        Measurement.ENERGY,
        ("ActiveEnergyImport",),
        series,
        np.full(len(series), slot_ms),
        values,
        np.zeros((len(series), 1), np.uint32),
    )


async def test_both_stores_have_every_reading_under_the_right_unit(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "a", CLOCK) as one, SqliteStore(tmp_path / "b", CLOCK) as other:
        await other.series([NodeUid("x"), NodeUid("m3")])
        tee = Tee([one, other])
        ids = await tee.series(UNITS)
        await tee.write([readings(ids, 1_800_000_000_000)])
        later = await tee.series([NodeUid("m9"), *UNITS])
        await tee.write([readings(later, 1_800_000_060_000)])
        for store in (one, other):
            for number, unit in enumerate(UNITS):
                found = await store.read_raw(unit, Quantity.ACTIVE_ENERGY_IMPORT, 0, 2**45, 10)
                assert found.values.tolist() == [float(number), float(number + 1)]


async def test_what_fails_ends_the_write_before_the_next_store(tmp_path: Path) -> None:
    broken = SqliteStore(tmp_path / "a", CLOCK)
    async with SqliteStore(tmp_path / "b", CLOCK) as other:
        tee = Tee([broken, other])
        with pytest.raises(HistoryError):
            await tee.write([readings(np.array([0]), 1)])

"""What the history knows of slots that were read before the hub was stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from address_space.model import NS, ManualClock, MeteringUnit, NodeUid, Plant, PointSpec, Quantity, Template
from address_space.model.ids import UnitHandle
from historian.api import Readings
from historian.schema import Measurement, field_of
from historian.sqlite import SqliteStore
from server.memory import SlotMemory

IMPORT, EXPORT, POWER = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_ENERGY_EXPORT, Quantity.ACTIVE_POWER
SLOT_MS = 1_798_761_600_000


def plant() -> Plant:
    template = Template("t", [PointSpec(IMPORT), PointSpec(EXPORT), PointSpec(POWER)])
    return Plant((), [MeteringUnit(NodeUid(f"m{n}"), f"m{n}", None, template) for n in range(3)])


async def write(store: SqliteStore, unit: str, quantity: Quantity, time_ms: int) -> None:
    series = await store.series([NodeUid(unit)])
    shape = (1, 1)
    reading = Readings(
        Measurement.ENERGY,
        (field_of(quantity),),
        series,
        np.array([time_ms]),
        np.ones(shape),
        np.zeros(shape, np.uint32),
    )
    await store.write([reading])


async def test_the_newest_slot_of_any_of_the_variables_counts(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path, ManualClock(SLOT_MS * NS // 1000)) as store:
        await write(store, "m0", IMPORT, SLOT_MS)
        await write(store, "m0", EXPORT, SLOT_MS - 900_000)
        await write(store, "m1", EXPORT, SLOT_MS - 900_000)
        units = [UnitHandle(n) for n in range(3)]
        memory = SlotMemory(store, plant())
        both = await memory.last_slots_ns([(unit, (0, 1)) for unit in units])
        assert list(both) == [SLOT_MS * 1_000_000, (SLOT_MS - 900_000) * 1_000_000, 0]
        apart = await memory.last_slots_ns([(units[0], (1,)), (units[1], (0,)), (units[0], (2,))])
        assert list(apart) == [(SLOT_MS - 900_000) * 1_000_000, 0, 0]


async def test_a_history_that_cannot_be_read_knows_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, ManualClock(SLOT_MS * NS // 1000))
    assert list(await SlotMemory(store, plant()).last_slots_ns([(UnitHandle(0), (0,))])) == [0]

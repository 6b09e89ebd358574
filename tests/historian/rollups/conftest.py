from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from address_space.model import NS, ManualClock, NodeUid, Plant, PointSpec, Quantity, Template
from address_space.model.hierarchy import MeteringUnit
from historian.api import Readings
from historian.calendar import Days, Width
from historian.rollups import Ratings, RollupOptions, Rollups
from historian.rollups.limits import Changes, unchanged
from historian.schema import Measurement, field_of, measurement_of
from historian.sqlite import SqliteStore, StoreOptions

IMPORT, REACTIVE, VOLTAGE = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.REACTIVE_ENERGY_IMPORT, Quantity.VOLTAGE
HOUR = 3_600_000
UNITS = tuple(NodeUid(f"m{number}") for number in range(1, 6))


def plant_of(units: Sequence[NodeUid], *, rated_power_kw: float = 50.0) -> Plant:
    points = [PointSpec(IMPORT, rollover=1_000_000.0), PointSpec(REACTIVE), PointSpec(VOLTAGE)]
    template = Template("meter", points)
    attributes = {"rated_power_kw": rated_power_kw}
    return Plant([], [MeteringUnit(uid, uid, None, template, attributes=attributes) for uid in units])


class Bench:
    """A store, rollups of it, and a clock that the test sets."""

    def __init__(
        self,
        folder: Path,
        zone: str,
        options: RollupOptions,
        changes: Changes = unchanged,
        rated_power_kw: float = 50.0,
    ) -> None:
        self.folder = folder
        self.clock = ManualClock(0)
        self.days = Days(ZoneInfo(zone))
        self.store = SqliteStore(folder, self.clock, StoreOptions())
        ratings = Ratings(plant_of(UNITS, rated_power_kw=rated_power_kw))
        self.rollups = Rollups(folder, self.clock, self.store, self.days, ratings, options, changes=changes)
        self.writer = self.rollups.tap(self.store)

    async def open(self, now_ms: int) -> "Bench":
        self.at(now_ms)
        await self.store.open()
        await self.rollups.open()
        return self

    async def close(self) -> None:
        await self.rollups.close()
        await self.store.close()

    async def restarted(self) -> "Bench":
        now_ms = self.clock.now_ns() * 1000 // NS
        await self.close()
        other = Bench(self.folder, self.days.zone.key, self.rollups.options)
        return await other.open(now_ms)

    def at(self, time_ms: int) -> None:
        self.clock.jump((time_ms * NS // 1000 - self.clock.now_ns()) / NS)

    async def put(
        self, unit: NodeUid, quantity: Quantity, times: Sequence[int], values: Sequence[float], status: int = 0
    ) -> None:
        measurement = measurement_of(quantity)
        assert measurement in (Measurement.ENERGY, Measurement.INST)
        series = np.repeat(await self.writer.series([unit]), len(times))
        codes = np.full((len(times), 1), status, np.uint32)
        await self.writer.write(
            [
                Readings(
                    measurement,
                    (field_of(quantity),),
                    series,
                    np.array(times, np.int64),
                    np.array(values, float)[:, None],
                    codes,
                )
            ]
        )

    async def settle(self, now_ms: int) -> None:
        self.at(now_ms)
        await self.rollups.catch_up()

    async def deltas(
        self, unit: NodeUid, start_ms: int, end_ms: int, width: Width = Width.HOUR, quantity: Quantity = IMPORT
    ) -> list[float | None]:
        found = await self.rollups.buckets(unit, quantity, start_ms, end_ms, width)
        return [None if value != value else value for value in found.delta.tolist()]


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(
        *,
        zone: str = "Europe/Berlin",
        options: RollupOptions | None = None,
        changes: Changes = unchanged,
        rated_power_kw: float = 50.0,
    ) -> Bench:
        options = options if options is not None else RollupOptions()
        benches.append(Bench(tmp_path, zone, options, changes, rated_power_kw))
        return benches[-1]

    yield make
    for bench in benches:
        await bench.close()


@pytest.fixture
def bench(made: Callable[..., Bench]) -> Bench:
    return made()

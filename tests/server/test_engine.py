"""The engine: readings and reports to the live table, subscribers and the recorder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from address_space.model import (
    GOOD,
    NS,
    Batch,
    HierarchyNode,
    LiveTable,
    ManualClock,
    MeteringUnit,
    MeterState,
    NodeKind,
    NodeUid,
    Plant,
    PointSpec,
    Quantity,
    Reason,
    Template,
    UnitHandle,
)
from address_space.model.ids import point_id
from address_space.model.state_watch import StateChange
from drivers.api import Exchange
from server.engine import QUEUE_LIMIT, Engine

ENERGY, POWER = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_POWER


class Watched:
    """Stands where subscribers are: remembers what it was told."""

    def __init__(self) -> None:
        self.verified: list[int] = []
        self.changed: list[int] = []

    def touch(self, handles: np.ndarray, changed: np.ndarray) -> None:
        self.verified.extend(handles.tolist())
        self.changed.extend(handles[changed].tolist())


class Kept:
    """Stands where the recorder is."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def offer(self, batch: Batch) -> None:
        self.batches.append(batch)


class Bench:
    """An engine over three meters of two points each (10 s and 60 s), the third of them disabled."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        template = Template("meter", [PointSpec(ENERGY, poll_s=60.0), PointSpec(POWER, poll_s=10.0)])
        units = [
            MeteringUnit(NodeUid(f"m{i}"), f"Meter {i}", NodeUid("f1"), template, enabled=i != 2) for i in range(3)
        ]
        self.plant = Plant([HierarchyNode(NodeUid("f1"), NodeKind.FEEDER, "Feeder")], units)
        self.live = LiveTable(self.plant, self.clock.now_ns())
        self.watched = Watched()
        self.kept = Kept()
        self.engine = Engine(self.plant, self.live, self.watched, self.kept, self.clock)

    def batch(self, unit: int, energy_wh: float, power_w: float, status: int = GOOD) -> Batch:
        first = self.plant.first_handle(UnitHandle(unit))
        now = self.clock.now_ns()
        return Batch(
            UnitHandle(unit),
            np.array([first, first + 1]),
            np.array([energy_wh, power_w]),
            np.array([status, status], np.uint32),
            now,
            now,
            now,
        )

    def report(self, unit: int, error: str = "", *, lost: bool = False, reason: Reason = Reason.FRESH) -> Exchange:
        return Exchange(UnitHandle(unit), self.clock.now_ns(), 12.0, reason, error, int(bool(error)), 0.99, lost)

    def read(self, unit: int, quantity: Quantity) -> tuple[object, int]:
        handle = self.plant.handle(point_id(NodeUid(f"m{unit}"), quantity.path))
        assert handle is not None
        value = self.live.read(handle)
        return value.value, value.status


async def test_a_reading_is_shown_in_units_recorded_in_base_units_and_told_once() -> None:
    bench = Bench()
    reading = bench.batch(0, 123_456, 2_500)
    bench.engine.apply([reading, bench.report(0)])
    assert bench.read(0, ENERGY) == (123.456, GOOD)
    assert bench.read(0, POWER) == (2.5, GOOD)
    assert bench.read(0, Quantity.QUALITY) == (int(MeterState.ONLINE), GOOD)
    assert bench.read(0, Quantity.ONLINE) == (True, GOOD)
    assert bench.read(0, Quantity.SUCCESS_RATE) == (99.0, GOOD)
    assert bench.kept.batches == [reading]
    bench.watched.changed.clear()
    bench.engine.apply([bench.batch(0, 123_456, 2_600)])
    assert bench.watched.changed == [bench.plant.first_handle(UnitHandle(0)) + 1]


async def test_before_the_first_polling_the_hub_says_so_and_a_disabled_unit_is_out_of_service() -> None:
    bench = Bench()
    assert bench.read(0, Quantity.QUALITY) == (int(MeterState.NEVER_POLLED), GOOD)
    assert bench.read(0, ENERGY) == (None, Reason.NEVER_READ.status)
    assert bench.read(0, Quantity.LAST_SUCCESS) == (None, Reason.NEVER_READ.status)
    assert bench.read(2, Quantity.QUALITY) == (int(MeterState.DISABLED), GOOD)
    assert bench.read(2, ENERGY) == (None, Reason.OUT_OF_SERVICE.status)
    assert bench.engine.online_share() == (0, 2)


async def test_a_good_value_beyond_eu_range_is_shown_as_uncertain() -> None:
    bench = Bench()
    bench.engine.apply([bench.batch(0, 5, 900_000)])
    assert bench.read(0, POWER) == (900.0, Reason.RANGE_EXCEEDED.status)


async def test_loss_holds_counters_drops_gauges_and_the_next_reading_heals() -> None:
    bench = Bench()
    bench.engine.apply([bench.batch(0, 1_000, 500), bench.report(0)])
    bench.engine.apply([bench.report(0, "no answer within 1 s", lost=True, reason=Reason.TIMEOUT)])
    assert bench.read(0, ENERGY) == (1.0, Reason.HELD.status)
    assert bench.read(0, POWER) == (None, Reason.TIMEOUT.status)
    assert bench.read(0, Quantity.QUALITY)[0] == int(MeterState.COMM_LOST)
    assert bench.read(0, Quantity.LAST_ERROR) == ("no answer within 1 s", GOOD)
    await bench.clock.advance(901)
    bench.engine.age()
    assert bench.read(0, ENERGY) == (None, Reason.TIMEOUT.status)
    bench.engine.apply([bench.batch(0, 1_001, 510), bench.report(0)])
    assert bench.read(0, ENERGY) == (1.001, GOOD)
    assert bench.read(0, Quantity.QUALITY)[0] == int(MeterState.ONLINE)
    assert bench.live.lost[0] == 0


async def test_loss_and_recovery_in_one_group_end_healed() -> None:
    bench = Bench()
    bench.engine.apply(
        [
            bench.report(0, "no answer", lost=True, reason=Reason.TIMEOUT),
            bench.batch(0, 7_000, 100),
            bench.report(0),
        ]
    )
    assert bench.read(0, ENERGY) == (7.0, GOOD)
    assert bench.read(0, Quantity.QUALITY)[0] == int(MeterState.ONLINE)


async def test_what_is_not_refreshed_turns_stale_by_its_own_period() -> None:
    bench = Bench()
    bench.engine.apply([bench.batch(0, 1_000, 500), bench.report(0)])
    await bench.clock.advance(31)
    bench.engine.age()
    assert bench.read(0, POWER) == (0.5, Reason.STALE.status)
    assert bench.read(0, ENERGY) == (1.0, GOOD)
    assert bench.read(0, Quantity.QUALITY)[0] == int(MeterState.STALE)


async def test_readings_pass_through_the_queue_in_order_and_a_full_queue_makes_the_poller_wait() -> None:
    bench = Bench()
    for number in range(QUEUE_LIMIT):
        await bench.engine.deliver(bench.batch(0, number, number))
    waiting = asyncio.ensure_future(bench.engine.deliver(bench.batch(0, QUEUE_LIMIT, 1)))
    await asyncio.sleep(0)
    assert not waiting.done()
    running = asyncio.ensure_future(bench.engine.run())
    await waiting
    await bench.engine.drained()
    running.cancel()
    assert len(bench.kept.batches) == QUEUE_LIMIT + 1
    assert bench.read(0, ENERGY) == (QUEUE_LIMIT / 1000, GOOD)


async def test_a_reading_that_cannot_be_applied_is_counted_and_stops_nothing() -> None:
    bench = Bench()
    broken = Batch(UnitHandle(1), np.array([10**9]), np.array([1.0]), np.array([GOOD], np.uint32), NS, NS, NS)
    running = asyncio.ensure_future(bench.engine.run())
    await bench.engine.deliver(broken)
    await bench.engine.deliver(bench.batch(0, 42_000, 1))
    await bench.engine.drained()
    running.cancel()
    assert bench.engine.rejected == 1
    assert bench.read(0, ENERGY) == (42.0, GOOD)


class Told:
    """Stands where events of states are made."""

    def __init__(self) -> None:
        self.changes: list[StateChange] = []

    def tell(self, changes: Sequence[StateChange]) -> None:
        self.changes.extend(changes)


def test_a_state_that_changes_between_two_readings_is_told_and_nothing_else_is():
    clock = ManualClock()
    template = Template("relay", [PointSpec(POWER), PointSpec(Quantity.SWITCH_STATE)])
    plant = Plant([], [MeteringUnit(NodeUid(f"m{i}"), "", None, template) for i in range(2)])
    live, told = LiveTable(plant, clock.now_ns()), Told()
    engine = Engine(plant, live, Watched(), None, clock, told)
    relay = plant.handle(point_id(NodeUid("m1"), "Switch.State"))
    assert relay is not None
    live.restore(np.array([relay]), np.array([1.0]), np.array([clock.now_ns()]), {})

    def read(state: float, power: float, status: int = GOOD) -> None:
        now, handles = clock.now_ns(), np.array([relay - 1, relay])
        codes = np.full(2, status, np.uint32)
        engine.apply([Batch(UnitHandle(1), handles, np.array([power, state]), codes, now, now, now)])

    for state, power in ((2.0, 1.0), (2.0, 2.0)):
        read(state, power)
    read(1.0, 3.0, Reason.SUBSTITUTED.status)
    read(2.0, 4.0)
    assert told.changes == []
    read(1.0, 5.0)
    assert told.changes == [StateChange(UnitHandle(1), Quantity.SWITCH_STATE, 2, 1)]

"""Clocks that jump and readings that come twice: a slot is one reading, in the store and in InfluxDB."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from address_space.model import NS, HierarchyNode, ManualClock, MeteringUnit, NodeKind, NodeUid, Quantity
from address_space.model.plant import Plant
from address_space.model.point import PointSpec, Template
from address_space.model.value import Batch
from historian.forwarder import Answer, Forwarder, Reply
from historian.influx import LineWriter, Tags
from historian.recorder import Recorder
from historian.spool import Spool
from historian.sqlite import SqliteStore
from historian.tee import Tee
from tests.historian.influx.answers import points

T0 = 1_800_000_000
QUARTER_S = 900
REGISTER = Quantity.ACTIVE_ENERGY_IMPORT
UNIT, SITE = NodeUid("m1"), NodeUid("site")
FOREVER_MS = 2**45


class Shelf:
    """InfluxDB as far as it matters here: the same series and time is the same point, the last one wins."""

    name = "influx"

    def __init__(self) -> None:
        self.kept: dict[int, float] = {}
        self.lines = 0
        self.replies: list[Reply] = []

    async def post(self, lines: bytes) -> Reply:
        found = points(lines)
        self.lines += len(found)
        self.kept.update((point.time, point.fields["ActiveEnergyImport"]) for point in found)
        return self.replies.pop(0) if self.replies else Reply(Answer.STORED)


class Bench:
    """A recorder before both stores, and a poller's clock."""

    def __init__(self, store: SqliteStore, spool: Spool, recorder: Recorder, clock: ManualClock, plant: Plant) -> None:
        self.store, self.recorder, self.clock, self._plant = store, recorder, clock, plant
        self.shelf = Shelf()
        self.forwarder = Forwarder(spool, self.shelf, clock)
        self.expected: dict[int, float] = {}

    async def read(self, value: float, *, slot_ns: int | None = None) -> None:
        """A reading for the slot in which the clock stands, or for another."""
        now_ns = self.clock.now_ns()
        at_ns = now_ns // (QUARTER_S * NS) * (QUARTER_S * NS) if slot_ns is None else slot_ns
        handles = self._plant.first_handle(0) + np.arange(1, dtype=np.int64)  # type: ignore[arg-type]
        numbers = np.array([value * REGISTER.per_unit])
        self.recorder.offer(Batch(0, handles, numbers, np.zeros(1, np.uint32), now_ns, now_ns, at_ns))  # type: ignore[arg-type]
        await self.recorder.flush()
        self.expected[at_ns // 1_000_000] = value

    async def agreed(self) -> None:
        """Both stores hold each slot once, with its last value."""
        await self.forwarder.drain()
        kept = await self.store.read_raw(UNIT, REGISTER, 0, FOREVER_MS, 100_000)
        assert dict(zip(kept.time_ms.tolist(), kept.values.tolist(), strict=True)) == self.expected
        assert kept.time_ms.tolist() == sorted(self.expected)
        assert self.shelf.kept == self.expected
        counters = self.recorder.counters
        assert (counters.lost, counters.dropped_energy, counters.pending) == (0, 0, 0)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock = ManualClock(T0 * NS)
    template = Template("t", [PointSpec(REGISTER)])
    plant = Plant([HierarchyNode(SITE, NodeKind.SITE, "Site")], [MeteringUnit(UNIT, "One", SITE, template)])
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SqliteStore(tmp_path / "history", clock))
        spool = await stack.enter_async_context(Spool(tmp_path / "spool", clock))
        writer = Tee([store, LineWriter(spool, ["influx"], lambda _: Tags("electricity"))])
        recorder = await stack.enter_async_context(Recorder(writer, plant, clock))
        yield Bench(store, spool, recorder, clock, plant)


@pytest.mark.parametrize("jump_s", [-7200, -86_400 * 3, -1, 1, 7200, 86_400 * 400])
async def test_after_a_jump_of_the_clock_and_back_every_slot_is_one_reading(bench: Bench, jump_s: int) -> None:
    for number in range(6):
        await bench.read(100.0 + number)
        await bench.clock.advance(QUARTER_S)
    bench.clock.jump(jump_s)
    for number in range(6):
        await bench.read(106.0 + number)
        await bench.clock.advance(QUARTER_S)
    bench.clock.jump(-jump_s)
    for number in range(6):
        await bench.read(112.0 + number)
        await bench.clock.advance(QUARTER_S)
    await bench.agreed()


async def test_a_reading_that_is_delivered_again_and_again_is_one(bench: Bench) -> None:
    for _ in range(5):
        await bench.read(100.0, slot_ns=T0 * NS)
    await bench.agreed()
    assert len(bench.expected) == 1
    assert bench.shelf.lines == 5


async def test_lines_whose_acknowledgement_was_lost_are_sent_again_and_are_the_same_points(bench: Bench) -> None:
    bench.shelf.replies = [Reply(Answer.LATER, "the connection broke")] * 3
    for number in range(4):
        await bench.read(100.0 + number, slot_ns=(T0 + number * QUARTER_S) * NS)
    for _ in range(3):
        await bench.forwarder.drain()
    await bench.agreed()
    assert bench.shelf.lines > 4


async def test_the_age_of_what_waits_follows_no_jump(bench: Bench) -> None:
    await bench.read(100.0)
    bench.clock.jump(-86_400)
    assert bench.recorder.counters.lag_s == 0.0
    bench.clock.jump(86_400 * 365)
    assert bench.recorder.counters.lag_s == 0.0

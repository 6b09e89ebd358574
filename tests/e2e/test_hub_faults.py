"""What goes wrong around the hub: the wall clock, the disk, the processor, and a restart."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import Client, ua
from stand import ENERGY, POLL_S, POWER, Post, Sample, Stand, Watch

from address_space.model import NS, SystemClock
from address_space.model.clock import from_datetime
from config.errors import ConfigErrors
from drivers.simulators import Silent
from server.errors import DataUnwritable

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR_S = 3600
POINTS = [f"{meter}.{quantity}" for meter in ("a1", "a2", "b1") for quantity in (ENERGY, POWER)]
POSTS = [
    Post("a1", "a"),
    Post("a2", "a", 2),
    Post("b1", "b"),
    *(Post(f"c{number}", "c", number) for number in (1, 2, 3)),
]
USABLE = {"Good", "UncertainLastUsableValue"}
SETTLE_S = 5.0


class SteppedClock(SystemClock):
    """The machine's clock with a wall that can be set."""

    def __init__(self) -> None:
        self.ahead_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back."""
        self.ahead_ns += round(seconds * NS)


async def _all_good(watch: Watch, points: Sequence[str] = POINTS, count: int = 3) -> None:
    """Return once each point was Good `count` times more."""
    for _ in range(count):
        marks = {point: watch.mark(point) for point in points}
        await asyncio.gather(*(watch.status(point, "Good", marks[point]) for point in points))


async def _history(client: Client, point: str, since_ns: int) -> list[Sample]:
    node = client.get_node(ua.NodeId(point, 2))
    start = datetime.fromtimestamp(since_ns / NS, UTC)
    found = await node.read_raw_history(start, datetime.fromtimestamp(since_ns / NS + 300, UTC))
    return [
        Sample(one.Value.Value, one.StatusCode.value, from_datetime(one.SourceTimestamp), 0, 0)
        for one in found
        if one.SourceTimestamp is not None and one.StatusCode.value == 0
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stand(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    """A running hub whose wall clock can be set; every test leaves it well."""
    async with Stand(tmp_path_factory.mktemp("stand"), POSTS, clock=SteppedClock()) as running:
        await running.start_hub()
        yield running


def _lost(stand: Stand) -> int:
    assert stand.hub is not None
    return sum(int(poller.health.lost.sum()) for poller in stand.hub.pollers)


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S])
async def test_a_step_of_the_wall_clock_leaves_every_meter_read_and_no_time_ahead(stand: Stand, step_s: int) -> None:
    clock = stand.clock
    assert isinstance(clock, SteppedClock)
    async with stand.client() as client, stand.watching(client, POINTS) as watch:
        await _all_good(watch)
        marks = {point: watch.mark(point) for point in POINTS}
        clock.step(step_s)
        stepped_ns = clock.now_ns()
        await _all_good(watch, count=5)
        for point in POINTS:
            before, after = watch.samples[point][: marks[point]], watch.since(point, marks[point])
            assert {sample.name for sample in after} <= USABLE
            fresh = [sample for sample in after if abs(sample.source_ns - stepped_ns) < 60 * NS]
            assert (fresh[0].source_ns - stepped_ns) / NS <= SETTLE_S + stand.slip_s
            assert len(fresh) >= 4
            for one in (before, fresh):
                assert all(a.source_ns <= b.source_ns for a, b in pairwise(one))
            assert all(sample.source_ns <= min(sample.server_ns, clock.now_ns()) + NS for sample in fresh)
        assert _lost(stand) == 0
        assert await _history(client, POINTS[0], stepped_ns - 5 * NS)


async def test_a_stalled_event_loop_loses_no_meter_and_no_value_turns_bad(stand: Stand) -> None:
    async with stand.client() as client, stand.watching(client, POINTS) as watch:
        await _all_good(watch)
        marks = {point: watch.mark(point) for point in POINTS}
        for _ in range(2):
            asyncio.get_running_loop().call_soon(time.sleep, 1.0)
            await _all_good(watch)
        for point in POINTS:
            assert {sample.name for sample in watch.since(point, marks[point])} <= USABLE
        assert _lost(stand) == 0


async def test_a_full_disk_stops_no_value_and_what_waited_is_stored_when_there_is_room(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    assert stand.hub is not None
    assert stand.hub.history is not None
    store, recorder = stand.hub.history.store, stand.hub.history.recorder
    assert store is not None
    began_ns = stand.clock.now_ns()
    month = datetime.fromtimestamp(began_ns / NS, UTC).strftime("%Y%m")

    async def pages(limit: int) -> None:
        pragma = f"PRAGMA max_page_count = {limit}"
        await store._write(lambda writer: writer.month(month).connection.execute(pragma).fetchall())

    async with stand.client() as client, stand.watching(client, POINTS) as watch:
        await _all_good(watch)
        await recorder.flush()
        await pages(1)  # SQLite makes of it the pages there are: the next new page finds the disk full
        async with asyncio.timeout(120):
            while recorder.fault is None:
                await _all_good(watch, count=1)
        await _all_good(watch, count=5)
        assert "history cannot be written" in caplog.text
        assert recorder.counters.pending > 0
        await pages(1_000_000)
        await _all_good(watch, count=2)
        await recorder.flush()
        assert "history can be written again" in caplog.text
        counters = recorder.counters
        assert (counters.lost, counters.dropped_energy, counters.dropped_inst) == (0, 0, 0)
        for point in POINTS:
            seen = [sample.value for sample in watch.samples[point] if sample.name == "Good"]
            stored = [one.value for one in await _history(client, point, began_ns - 10 * NS)]
            assert _contains(stored, seen[:-1]), (point, seen, stored)


def _contains(stored: Sequence[object], seen: Sequence[object]) -> bool:
    """Whether `seen` stands in `stored` without a gap."""
    return any(list(stored[at : at + len(seen)]) == list(seen) for at in range(len(stored) - len(seen) + 1))


async def test_a_data_folder_that_cannot_be_written_is_a_clear_error_at_the_start(tmp_path: Path) -> None:
    async with Stand(tmp_path, POSTS) as stand:
        (tmp_path / "data").write_text("in the way")
        with pytest.raises(DataUnwritable, match="data") as caught:
            await stand.start_hub()
        assert caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_read_only_data_folder_is_a_clear_error_at_the_start(tmp_path: Path) -> None:
    async with Stand(tmp_path, POSTS) as stand:
        (tmp_path / "data").mkdir(mode=0o555)
        with pytest.raises(DataUnwritable, match="cannot be written"):
            await stand.start_hub()


async def test_an_address_that_cannot_exist_is_refused_with_its_place_and_never_polled(tmp_path: Path) -> None:
    async with Stand(tmp_path, [Post("a1", "a"), Post("a2", "a", 2)]) as stand:
        sheet = tmp_path / "meters.csv"
        sheet.write_text(sheet.read_text().replace(",a,2,", ",a,900,"))
        with pytest.raises(ConfigErrors) as caught:
            stand.draw()
        assert "meters.csv:3" in str(caught.value)
        assert "900" in str(caught.value)


async def test_after_a_restart_the_last_values_stand_with_their_own_times_until_the_next_polling(
    tmp_path: Path,
) -> None:
    async with Stand(tmp_path, POSTS, hold_s=60.0) as stand:
        await stand.start_hub()
        async with stand.client() as client, stand.watching(client, POINTS) as watch:
            await _all_good(watch)
        await stand.stop_hub()
        last = {point: [s for s in watch.samples[point] if s.name == "Good"][-1] for point in POINTS}
        for post in POSTS:
            stand.fleet.meter(post.id).fault = Silent()
        await stand.start_hub()
        began_ns = stand.clock.now_ns()
        async with stand.client() as client, stand.watching(client, POINTS) as watch:
            restored = {point: await watch.status(point, "UncertainInitialValue", 0) for point in POINTS}
            for point, sample in restored.items():
                assert sample.value is not None
                assert sample.value >= last[point].value or POWER in point
                assert last[point].source_ns - POLL_S * NS <= sample.source_ns
                assert sample.source_ns < began_ns - NS // 2
            held = await watch.status(POINTS[0], "UncertainNoCommunicationLastUsableValue", 0)
            assert (held.value, held.source_ns) == (restored[POINTS[0]].value, restored[POINTS[0]].source_ns)
            await watch.status(POINTS[1], "BadNoCommunication", 0)
            steps = [sample.name for sample in watch.samples[POINTS[0]]]
            wanted = ["UncertainInitialValue", "UncertainNoCommunicationLastUsableValue"]
            assert [step for step in steps if step != "BadWaitingForInitialData"] == wanted
            for post in POSTS:
                stand.fleet.meter(post.id).fault = None
            await _all_good(watch)

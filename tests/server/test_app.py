"""The whole hub in one process, over simulated meters on real sockets."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from address_space.model import GOOD, Batch, NodeUid, Quantity, Reason, SystemClock, UnitHandle
from address_space.model.ids import PointId
from drivers.simulators import Silent
from historian.errors import HistoryError, StoreClosed
from historian.sqlite import SqliteStore
from server.app import Hub
from server.errors import CannotListen, DataUnwritable, PartFailed

PATIENCE_S = 240.0
"""How long a test waits for what should come within a second."""
ENERGY = Quantity.ACTIVE_ENERGY_IMPORT


@asynccontextmanager
async def running(hub: Hub) -> AsyncIterator[Hub]:
    """The hub, serving; stopped in order at the end."""
    stop, ready = asyncio.Event(), asyncio.Event()
    serving = asyncio.ensure_future(hub.run(stop, ready.set))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait((serving, waiting := asyncio.ensure_future(ready.wait())), return_when="FIRST_COMPLETED")
            waiting.cancel()
        if serving.done():
            await serving
        yield hub
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE_S):
            await serving


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds, which other tasks bring about."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.01)


def status(hub: Hub, point: str) -> int:
    handle = hub.plant.handle(PointId(point))
    assert handle is not None
    return int(hub.live.status[handle])


def value(hub: Hub, point: str) -> float:
    handle = hub.plant.handle(PointId(point))
    assert handle is not None
    return float(hub.live.value[handle])


def stored(hub: Hub) -> SqliteStore:
    assert hub.history is not None
    assert hub.history.store is not None
    return SqliteStore(hub.history.store.folder, SystemClock())


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def remembered(site) -> Hub:
    """A hub that read every meter once, stored that, and has ended."""
    hub = Hub(site.draw())
    assert hub.history is not None
    async with hub.history:
        now_ns = hub.clock.now_ns()
        for block in hub.plant.blocks:
            size = block.template.measured
            for unit in range(block.units):
                handles = block.first_handle + unit * block.template.width + np.arange(size)
                values, good = np.full(size, 1000.0), np.full(size, GOOD, np.uint32)
                hub.engine.apply(
                    [Batch(UnitHandle(block.first_unit + unit), handles, values, good, now_ns, now_ns, now_ns)]
                )
    return hub


async def test_what_meters_hold_is_shown_and_all_of_it_is_in_the_store_after_a_stop(site) -> None:
    site.write({"a": ["m1", "m2"], "b": ["m3"]})
    hub = Hub(site.draw())
    async with site.fleet(), running(hub):
        await until(lambda: hub.engine.online_share() == (3, 3) and hub.engine.readings_applied > 20)
        assert status(hub, "m1.VoltageL1") == GOOD
        assert 150 < value(hub, "m1.VoltageL1") < 300
    assert hub.history is not None
    counters = hub.history.recorder.counters
    assert counters.accepted == counters.committed > 0
    assert (counters.lost, counters.dropped_energy, counters.dropped_inst) == (0, 0, 0)
    async with stored(hub) as store:
        latest = await store.latest([NodeUid("m1"), NodeUid("m2"), NodeUid("m3")], [ENERGY])
        assert latest.values[:, 0].tolist() == [value(hub, f"{unit}.{ENERGY.path}") for unit in ("m1", "m2", "m3")]
    assert port_is_free(site.port)


async def test_readings_that_wait_in_the_queue_when_the_hub_stops_are_applied_and_stored(site) -> None:
    site.write({"a": ["m1"]})
    hub = Hub(site.draw())
    held = asyncio.Event()
    hub.engine.run = held.wait  # type: ignore[method-assign, assignment]  # an engine that is behind
    async with site.fleet(), running(hub):
        await until(lambda: not hub.engine._queue.empty())
        assert hub.engine.readings_applied == 0
    assert hub.engine.readings_applied > 0
    assert hub.history is not None
    assert hub.history.recorder.counters.committed == hub.history.recorder.counters.accepted > 0


async def test_a_stop_waits_for_no_meter_that_is_silent(site) -> None:
    channels = {f"c{number}": [f"m{number}a", f"m{number}b"] for number in range(8)}
    site.write(channels, options="timeout_ms: 60000")
    hub = Hub(site.draw())
    async with site.fleet() as fleet:
        for meter in fleet.meters.values():
            meter.fault = Silent()
        async with running(hub):
            await until(lambda: sum(meter.requests > 0 for meter in fleet.meters.values()) == len(channels))
    assert hub.engine.readings_applied == 0


async def test_a_stop_before_anything_happened_is_a_stop(site) -> None:
    site.write({"a": ["m1"]})
    stop = asyncio.Event()
    stop.set()
    async with asyncio.timeout(PATIENCE_S):
        await Hub(site.draw()).run(stop)
    assert port_is_free(site.port)


async def test_after_a_restart_the_last_values_are_shown_as_initial_ones_with_their_own_time(site) -> None:
    site.write({"a": ["m1"]})
    first = await remembered(site)
    second = Hub(site.draw())
    assert second.history is not None
    assert second.history.store is not None
    async with second.history.store:
        await second._restore(second.history.store)
    point = f"m1.{ENERGY.path}"
    assert status(second, point) == Reason.RESTORED.status
    assert value(second, point) == value(first, point)
    handle = second.plant.handle(PointId(point))
    assert abs(int(second.live.source_ns[handle] - first.live.source_ns[handle])) < 1_000_000_000
    assert status(second, "m1.Communication.LastSuccess") == Reason.NEVER_READ.status


async def test_restored_values_are_there_before_a_dead_line_can_be_noticed(site) -> None:
    site.write({"a": ["m1"]})
    first = await remembered(site)
    second = Hub(site.draw())
    async with running(second):
        await until(lambda: status(second, f"m1.{ENERGY.path}") == Reason.HELD.status)
        assert value(second, f"m1.{ENERGY.path}") == value(first, f"m1.{ENERGY.path}")


async def test_a_fresh_reading_is_never_overwritten_and_only_what_was_restored_is_touched(site) -> None:
    site.write({"a": ["m1", "m2"]})
    await remembered(site)
    second = Hub(site.draw())
    block = second.plant.blocks[0]
    handles = np.arange(block.template.measured)
    fresh = np.full(handles.size, 7.0)
    now_ns = second.clock.now_ns()
    second.live.apply(handles, fresh, np.full(handles.size, GOOD, np.uint32), now_ns, now_ns)
    touched: list[int] = []
    second.opcua.projection.touch = lambda found, _: touched.extend(found.tolist())  # type: ignore[method-assign]
    assert second.history is not None
    assert second.history.store is not None
    async with second.history.store:
        await second._restore(second.history.store)
    assert second.live.value[handles].tolist() == fresh.tolist()
    assert (second.live.status[handles] == GOOD).all()
    assert touched
    assert min(touched) >= block.template.width


async def test_a_port_that_is_taken_is_said_in_a_sentence_and_leaves_nothing_open(site) -> None:
    site.write({"a": ["m1"]})
    hub = Hub(site.draw())
    with socket.socket() as other:
        other.bind(("127.0.0.1", site.port))
        other.listen()
        with pytest.raises(CannotListen, match=f"127.0.0.1:{site.port}: address already in use; .*opcua.port"):
            await hub.run(asyncio.Event())
    assert hub.history.store is not None
    with pytest.raises(StoreClosed):
        await hub.history.store.latest([NodeUid("m1")], [ENERGY])


async def test_a_data_folder_that_cannot_be_made_is_said_in_a_sentence(site) -> None:
    site.write({"a": ["m1"]})
    shutil.rmtree(site.folder / "data")
    (site.folder / "data").write_text("a file where a folder should be")
    with pytest.raises(DataUnwritable, match="data folder"):
        await Hub(site.draw()).run(asyncio.Event())


async def test_a_store_that_cannot_open_stops_the_start_with_its_own_sentence(site) -> None:
    site.write({"a": ["m1"]})
    (site.folder / "data" / "history").write_text("no folder")
    with pytest.raises((DataUnwritable, HistoryError), match="history"):
        await Hub(site.draw()).run(asyncio.Event())
    assert port_is_free(site.port)


async def test_a_part_that_fails_for_good_stops_the_hub_in_order_and_is_named(site, caplog) -> None:
    site.write({"a": ["m1"], "b": ["m2"]})
    hub = Hub(site.draw())

    async def break_down() -> None:
        await until(lambda: hub.engine.readings_applied > 3)
        raise RuntimeError("the cable burnt")

    hub.pollers[1].run = break_down  # type: ignore[method-assign]
    async with site.fleet():
        with pytest.raises(PartFailed, match="'poll-b' failed: RuntimeError: the cable burnt"):
            async with asyncio.timeout(PATIENCE_S):
                await hub.run(asyncio.Event())
    assert "part failed part=poll-b" in caplog.text
    assert hub.history is not None
    assert hub.history.recorder.counters.committed == hub.history.recorder.counters.accepted > 0
    assert hub.history.store is not None
    with pytest.raises(StoreClosed):
        await hub.history.store.latest([NodeUid("m1")], [ENERGY])
    assert port_is_free(site.port)


async def test_without_history_the_hub_runs_and_keeps_nothing(site) -> None:
    site.write({"a": ["m1"]}, history="enabled = false")
    hub = Hub(site.draw())
    async with site.fleet(), running(hub):
        await until(lambda: hub.engine.online_share() == (1, 1))
    assert hub.history is None
    assert not (site.folder / "data" / "history").exists()


async def test_meters_that_vanish_and_come_back_turn_bad_and_heal_without_a_restart(site) -> None:
    site.write({"a": ["m1"], "b": ["m2"]}, options="timeout_ms: 500")
    hub = Hub(site.draw())
    async with site.fleet() as fleet, running(hub):
        await until(lambda: hub.engine.online_share() == (2, 2))
        fleet.meter("m1").fault = Silent()
        await until(lambda: status(hub, f"m1.{ENERGY.path}") == Reason.HELD.status)
        assert status(hub, "m1.VoltageL1") == Reason.TIMEOUT.status
        await until(lambda: status(hub, "m2.VoltageL1") == GOOD)
        fleet.meter("m1").fault = None
        await until(lambda: hub.engine.online_share() == (2, 2) and status(hub, "m1.VoltageL1") == GOOD)

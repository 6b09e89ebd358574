"""What is missing of a unit's history, as a client sees it below `Communication`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import numpy as np
from asyncua import Client, ua

from address_space.model import NodeUid, Quantity
from address_space.model.quality import GOOD
from address_space.nodes.shape_units import OF_DAY
from drivers.simulators.faults import Silent
from historian.api import Row
from historian.gaps import ledger
from server.app import Hub
from tests.server.backfill_rig import PATIENCE_S, START_MS, Shifted

MINUTE_MS = 60_000
MINUTES = 6
IMPORT = Quantity.ACTIVE_ENERGY_IMPORT


async def shown(client: Client, unit: str) -> dict[str, object]:
    """The day of a unit, None where it is Bad."""
    nodes = [ua.NodeId(f"{unit}.Communication.{name}", 2) for name in OF_DAY]
    found = await client.uaclient.read_attributes(nodes, ua.AttributeIds.Value)
    return {
        name: value.Value.Value if value.StatusCode.is_good() else None
        for name, value in zip(OF_DAY, found, strict=True)
    }


async def until_missing(client: Client, unit: str, missing: int) -> dict[str, object]:
    """The day of a unit once so many slots are missing."""
    async with asyncio.timeout(PATIENCE_S):
        while (found := await shown(client, unit))["SlotsMissing"] != missing:  # noqa: ASYNC110  # polled
            await asyncio.sleep(0.05)
    return found


async def test_an_outage_of_a_meter_is_missing_of_it_alone_until_late_readings_come(site, monkeypatch) -> None:
    monkeypatch.setattr(ledger, "SAVE_S", 0.05)
    monkeypatch.setattr(ledger, "COUNT_PAUSE", 1)
    site.write({"a": ["m1"], "b": ["m2"]})
    clock = Shifted(START_MS)
    hub = Hub(site.draw(), clock)
    assert hub.history is not None
    assert hub.backfill is not None
    poller = next(each for each in hub.pollers if each.channel.id == "b")
    stop, ready = asyncio.Event(), asyncio.Event()
    fleet = site.fleet()
    fleet.meter("m1").fault = Silent()
    async with fleet, asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(hub.run(stop, ready.set))
        await ready.wait()
        unit = hub.plant.unit_of[NodeUid("m2")]
        while not poller.device(unit).requests:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0.01)
        for _ in range(MINUTES):
            clock.shift(1 / 60)
            await poller.read_now(unit)
        await hub.history.recorder.flush()
        slots = [START_MS + number * MINUTE_MS for number in range(1, MINUTES - 1)]
        async with Client(f"opc.tcp://127.0.0.1:{site.port}", timeout=60) as client:
            found = await until_missing(client, "m1", 2 * len(slots))
            began = datetime(2026, 11, 22, 8, 5, tzinfo=UTC) + timedelta(minutes=1)
            assert found == {
                "SlotsExpected": 2 * len(slots),
                "SlotsMissing": 2 * len(slots),
                "SlotsFilled": 0,
                "Completeness": 0.0,
                "LastGap": began,
            }
            of_other = {**found, "SlotsMissing": 0, "Completeness": 100.0, "LastGap": None}
            assert await shown(client, "m2") == of_other
            late = [Row(NodeUid("m1"), slot, [IMPORT], np.array([7.0]), np.array([GOOD], np.uint32)) for slot in slots]
            assert await hub.backfill.accept(late) == len(slots)
            await hub.history.recorder.flush()
            found = await until_missing(client, "m1", len(slots))
            assert (found["SlotsFilled"], found["Completeness"], found["LastGap"]) == (len(slots), 50.0, began)
            assert await shown(client, "m2") == of_other
        stop.set()

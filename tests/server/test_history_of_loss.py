"""What history says of the time in which a meter did not answer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from asyncua import Client, ua

from address_space.model import MeterState, NodeUid, Reason, UnitHandle
from drivers.simulators.faults import Silent
from server.app import Hub
from tests.server.running import running

PATIENCE_S = 300.0
POWER, ENERGY = "m1.ActivePower", "m1.ActiveEnergyImport"


async def until(hub: Hub, unit: UnitHandle, state: MeterState) -> None:
    """Return once the unit is in this state."""
    async with asyncio.timeout(PATIENCE_S):
        while hub.engine.state_of(unit)[0] is not state:  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.01)


async def raw(client: Client, point: str) -> list[ua.DataValue]:
    """The stored entries of a point, oldest first."""
    now = datetime.now(UTC)
    details = ua.ReadRawModifiedDetails(False, now - timedelta(hours=1), now + timedelta(seconds=1), 100_000, False)
    asked = ua.HistoryReadValueId(ua.NodeId(point, 2), None, ua.QualifiedName(), None)
    parameters = ua.HistoryReadParameters(details, ua.TimestampsToReturn.Both, False, [asked])
    (answer,) = await client.uaclient.history_read(parameters)
    return list(answer.HistoryData.DataValues)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_trend_ends_where_the_meter_was_lost_once_each_time_and_registers_go_on(site, times: int) -> None:
    site.write({"a": ["m1"]}, history="commit_interval_s = 0.05")
    hub = Hub(site.draw())
    unit = hub.plant.unit_of[NodeUid("m1")]
    fleet = site.fleet()
    meter = fleet.meter("m1")
    async with fleet, running(hub, PATIENCE_S):
        assert hub.history is not None
        await until(hub, unit, MeterState.ONLINE)
        for _ in range(times):
            well, meter.fault = meter.fault, Silent()
            await until(hub, unit, MeterState.COMM_LOST)
            meter.fault = well
            await until(hub, unit, MeterState.ONLINE)
        await hub.engine.drained()
        await hub.history.recorder.flush()
        async with Client(f"opc.tcp://127.0.0.1:{site.port}", timeout=60) as client:
            power, energy = await raw(client, POWER), await raw(client, ENERGY)
    ended = [place for place, entry in enumerate(power) if not entry.StatusCode.is_good()]
    assert [power[place].StatusCode.value for place in ended] == [Reason.TIMEOUT.status] * times
    assert all(power[place].Value.Value is None for place in ended)
    assert all(power[place - 1].StatusCode.is_good() and power[place + 1].StatusCode.is_good() for place in ended)
    assert len(energy) > times
    assert all(entry.StatusCode.is_good() for entry in energy)


async def test_a_meter_that_never_answered_has_its_loss_in_history(site) -> None:
    site.write({"a": ["m1"]}, history="commit_interval_s = 0.05")
    hub = Hub(site.draw())
    fleet = site.fleet()
    fleet.meter("m1").fault = Silent()
    async with fleet, running(hub, PATIENCE_S):
        assert hub.history is not None
        await until(hub, hub.plant.unit_of[NodeUid("m1")], MeterState.COMM_LOST)
        await hub.engine.drained()
        await hub.history.recorder.flush()
        async with Client(f"opc.tcp://127.0.0.1:{site.port}", timeout=60) as client:
            (entry,) = await raw(client, POWER)
    assert entry.StatusCode.value == Reason.TIMEOUT.status

"""ReadNow against simulated meters on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from asyncua.crypto.permission_rules import UserRole

from address_space.model.clock import to_datetime
from drivers.simulators import Silent
from server.app import Hub
from server.opcua import CallContext, HubUser

PATIENCE_S = 240.0
SOMEBODY = CallContext(HubUser(role=UserRole.User, name="operator"))


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds, which other tasks bring about."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.01)


async def test_a_unit_is_read_at_once_and_one_that_is_silent_is_told(site) -> None:
    site.write({"a": ["m1", "m2"]}, options="timeout_ms: 1000")
    hub = Hub(site.draw())
    stop, ready = asyncio.Event(), asyncio.Event()
    async with site.fleet() as fleet:
        serving = asyncio.ensure_future(hub.run(stop, ready.set))
        try:
            await until(lambda: hub.engine.online_share() == (2, 2))
            before = hub.engine.readings_applied
            online, read_at = await hub.on_demand.read_now("m1", SOMEBODY)
            assert online
            assert abs((to_datetime(hub.clock.now_ns()) - read_at).total_seconds()) < PATIENCE_S
            assert hub.engine.readings_applied > before
            for meter in fleet.meters.values():
                meter.fault = Silent()
            online, _ = await hub.on_demand.read_now("m2", SOMEBODY)
            assert not online
        finally:
            stop.set()
            async with asyncio.timeout(PATIENCE_S):
                await serving


@pytest.mark.parametrize(("uid", "reached"), [("m1", True), ("f1", False), ("nothing", False)])
def test_only_polled_units_can_be_read(site, uid: str, reached: bool) -> None:
    site.write({"a": ["m1"]})
    assert Hub(site.draw()).on_demand.reaches(uid) is reached

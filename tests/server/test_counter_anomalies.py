"""What registers did beside going on, from a simulated meter to a client's eye: variables, events and raw history."""

from __future__ import annotations

import asyncio
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import Client, ua

from address_space.model import NodeUid
from drivers.simulators import Fleet
from drivers.simulators.faults import Forced
from historian.counters import Move
from server.app import Hub
from tests.server.backfill_rig import PATIENCE_S, PERIODS, QUARTER_MS, START_MS, Shifted

REGISTER = 0x0048
GLITCH, RESET, REPLACED, READINGS = 6, 12, 18, 25
FIRST_MS = START_MS // QUARTER_MS * QUARTER_MS
EVENT_TYPE = ua.NodeId(4007, 3)
NOT_ACCURATE = 0x4093_0000


def shown(place: int) -> float:
    """The register in kWh at a reading."""
    if place == GLITCH:
        return 0.0
    if place < RESET:
        return 1000.0 + 0.25 * place
    if place < REPLACED:
        return 0.5 + 0.25 * (place - RESET)
    return 77000.0 + 0.25 * (place - REPLACED)


def time_of(place: int) -> datetime:
    return datetime.fromtimestamp(FIRST_MS / 1000, UTC) + timedelta(minutes=15 * place)


class Told:
    """The events that a client heard of."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def event_notification(self, event: Any) -> None:
        self.events.append(event)

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        """A value; nobody asks for one."""


class Works:
    """A hub with two meters, read every quarter of an hour of a clock that is shifted by hand."""

    def __init__(self, site: Any) -> None:
        site.write({"a": ["m1"], "b": ["m2"]})
        plant = site.folder / "plant.yaml"
        plant.write_text(plant.read_text().replace("channel: a,", "channel: a, rated_power_kw: 40,"))
        settings = site.folder / "hub.toml"
        text = settings.read_text()
        settings.write_text(text[: text.index("[polling.periods]")] + PERIODS)
        self.site = site
        self.clock = Shifted(START_MS)
        self.hub = Hub(site.draw(), self.clock)

    async def read(self, fleet: Fleet, place: int) -> None:
        """The meter shows what it shall, and is read a quarter of an hour after the last time."""
        words = struct.unpack(">HH", struct.pack(">f", shown(place)))
        fleet.meter("m1").fault = Forced(REGISTER, words, table=4)
        if place:
            self.clock.shift(0.25)
        for poller in self.hub.pollers:
            if poller.channel.id == "a":
                await poller.read_now(self.hub.plant.unit_of[NodeUid("m1")])
        await self.settle()

    async def line_up(self) -> None:
        """The line of the first meter is open: from then on whoever asks is answered."""
        poller = next(each for each in self.hub.pollers if each.channel.id == "a")
        while not poller.channel.up:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0.01)

    async def settle(self) -> None:
        """Everything that was read is stored, computed and told."""
        assert self.hub.history is not None
        assert self.hub.history.rollups is not None
        assert self.hub.counter_events is not None
        await self.hub.engine.drained()
        await self.hub.history.recorder.flush()
        await self.hub.history.rollups.catch_up()
        await self.hub.counter_events.tell()

    async def values(self, client: Client, *names: str) -> list[Any]:
        """Values of variables, the status where it is Bad."""
        await self.hub.reports.refresh()
        nodes = [ua.NodeId(name, 2) for name in names]
        found = await client.uaclient.read_attributes(nodes, ua.AttributeIds.Value)
        return [one.Value.Value if one.StatusCode.is_good() else one.StatusCode.name for one in found]


OF_UNIT = ("CounterAnomalies", "LastCounterAnomaly", "LastCounterAnomalyTime")
OF_SYSTEM = ("CounterRollovers", "CounterResets", "CounterReplacements", "CounterGlitches")
ALL = (
    (GLITCH, Move.GLITCH, 3, 300, 1001.25, 0.0, 0.0),
    (RESET, Move.RESET, 1, 500, 1002.75, 0.5, 0.5),
    (REPLACED, Move.REPLACED, 2, 600, 1.75, 77000.0, 0.0),
)


@pytest.fixture
def works(site: Any) -> Works:
    return Works(site)


def told_of(events: list[Any]) -> list[tuple[Any, ...]]:
    return [
        (
            round((event.Time.replace(tzinfo=UTC) - time_of(0)) / timedelta(minutes=15)),
            event.Anomaly,
            event.Severity,
            event.OldValue,
            event.NewValue,
            event.Booked,
        )
        for event in events
    ]


async def test_a_client_sees_what_a_register_did_and_is_told_of_it_once(works: Works) -> None:
    hub = works.hub
    stop, ready = asyncio.Event(), asyncio.Event()
    heard = Told()
    async with works.site.fleet() as fleet, asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(hub.run(stop, ready.set))
        await ready.wait()
        await works.line_up()
        async with Client(f"opc.tcp://127.0.0.1:{works.site.port}", timeout=60) as client:
            unit = client.get_node(ua.NodeId("m1", 2))
            subscription = await client.create_subscription(50, heard)
            await subscription.subscribe_events(unit, [client.get_node(EVENT_TYPE)])
            await works.read(fleet, 0)
            nothing = [0, "BadWaitingForInitialData", "BadWaitingForInitialData"]
            assert await works.values(client, *(f"m1.Communication.{name}" for name in OF_UNIT)) == nothing
            for place in range(1, READINGS):
                await works.read(fleet, place)
            works.clock.shift(1)
            await works.settle()
            while len(heard.events) < len(ALL):  # noqa: ASYNC110  # no event
                await asyncio.sleep(0.02)
            expected = [(place, code, severity, *rest) for place, _, code, severity, *rest in ALL]
            assert told_of(heard.events) == expected
            first = heard.events[0]
            assert first.SourceNode == unit.nodeid
            assert (first.Quantity, first.Suppressed) == ("ActiveEnergyImport", 0)
            assert first.EngineeringUnits.DisplayName.Text == "kW·h"
            assert "the reading 0.000 kW·h does not fit, 1001.250 kW·h before it" in first.Message.Text
            count, words, when = await works.values(client, *(f"m1.Communication.{name}" for name in OF_UNIT))
            assert (count, when.replace(tzinfo=UTC)) == (3, time_of(REPLACED))
            assert "1.750 kW·h before and 77000.000 kW·h then; nothing booked" in words.Text
            assert await works.values(client, *(f"m2.Communication.{name}" for name in OF_UNIT)) == nothing
            assert await works.values(client, *(f"system.History.{name}" for name in OF_SYSTEM)) == [0, 1, 1, 1]
            register = client.get_node(ua.NodeId("m1.ActiveEnergyImport", 2))
            raw = (await register.read_raw_history(time_of(0), time_of(READINGS)))[:READINGS]
            assert [one.Value.Value for one in raw] == [shown(place) for place in range(READINGS)]
            assert {place: one.StatusCode.value for place, one in enumerate(raw) if one.StatusCode.value} == {
                GLITCH: NOT_ACCURATE
            }
        stop.set()
        await running
        await nobody_is_told_again(works, [event.EventId for event in heard.events])


async def nobody_is_told_again(works: Works, known: list[bytes]) -> None:
    """After a restart, and after the rollups were lost, nobody is told again; what was told can be read."""
    for lost in (False, True):
        if lost:
            for file in (works.site.folder / "data" / "history").glob("rollups.db*"):
                file.unlink()
        works.hub = Hub(works.site.draw(), works.clock)
        stop, ready = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(works.hub.run(stop, ready.set))
            await ready.wait()
            await works.settle()
            assert works.hub.history is not None
            assert works.hub.history.rollups is not None
            assert len(await works.hub.history.rollups.anomalies()) == len(ALL)
            async with Client(f"opc.tcp://127.0.0.1:{works.site.port}", timeout=60) as client:
                unit = client.get_node(ua.NodeId("m1", 2))
                event_type = client.get_node(EVENT_TYPE)
                found = await unit.read_event_history(time_of(0), time_of(READINGS), 0, [event_type])
                assert [event.EventId for event in found] == known
                expected = [(place, code, severity, *rest) for place, _, code, severity, *rest in ALL]
                assert told_of(found) == expected
                (count,) = await works.values(client, "m1.Communication.CounterAnomalies")
                assert count == len(ALL)
            stop.set()

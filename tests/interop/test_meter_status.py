"""Relay, valve and condition of a meter, events of their changes and the health of lines, as node-opcua sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from test_events_methods import Foreign, require_node

from address_space.model import (
    GOOD,
    Batch,
    HierarchyNode,
    LiveTable,
    MeteringUnit,
    NodeKind,
    NodeUid,
    Plant,
    PointSpec,
    Quantity,
    SystemClock,
    Template,
    UnitHandle,
)
from foreign import ForeignClient, Town, until
from historian.events import EventLog
from server.engine import Engine
from server.opcua import HubServer, OpcUaOptions, StatusEvents

pytestmark = pytest.mark.interop

POINTS = (Quantity.SWITCH_STATE, Quantity.VALVE_STATE, Quantity.TAMPER, Quantity.COVER_OPEN_COUNT)
FIELDS = ["EventType", "SourceNode", "Message", "Severity", "3:Quantity", "3:OldValue", "3:NewValue"]


class Meter:
    """One meter with a relay and a valve, an engine, and a server."""

    def __init__(self, folder: Path) -> None:
        clock = self.clock = SystemClock()
        template = Template("meter", [PointSpec(quantity) for quantity in POINTS])
        unit = MeteringUnit(NodeUid("m1"), "Meter 1", NodeUid("north"), template)
        plant = Plant([HierarchyNode(NodeUid("north"), NodeKind.REGION, "North")], [unit])
        live = LiveTable(plant, clock.now_ns())
        options = OpcUaOptions(folder, host="127.0.0.1", port=0, allow_none=True, allow_anonymous=True)
        self.log = EventLog(folder / "history", clock)
        self.server = HubServer(plant, live, options, None, clock, event_log=self.log)
        events = StatusEvents(plant, self.server.aspace.model, self.server.events.post, clock)
        self.engine = Engine(plant, live, self.server.projection, None, clock, events)

    def read(self, *values: float) -> None:
        """A reading of all points arrives."""
        now, status = self.clock.now_ns(), np.full(len(values), GOOD, np.uint32)
        self.engine.apply([Batch(UnitHandle(0), np.arange(len(values)), np.array(values), status, now, now, now)])


@pytest_asyncio.fixture
async def meter(tmp_path: Path) -> AsyncIterator[Meter]:
    require_node()
    made = Meter(tmp_path)
    await made.server.start()
    async with made.log:
        yield made
        await made.server.stop()


async def read(client: Foreign, *names: str, attribute: str = "Value") -> list[Any]:
    nodes = [f"ns=2;s=m1.{name}" for name in names]
    return [answer["value"] for answer in (await client("read", nodeIds=nodes, attribute=attribute))["answers"]]


@pytest.mark.asyncio
async def test_states_are_browsed_read_and_explained(meter: Meter) -> None:
    meter.read(2.0, 1.0, 1.0, 7.0)
    names = ("Switch.State", "Valve.State", "Status.Tamper", "Status.CoverOpenCount")
    async with Foreign() as client:
        await client("connect", url=meter.server.endpoint_urls[0])
        assert await read(client, *names) == [2, 1, True, 7]
        kinds = await read(client, *names[:3], attribute="DataType")
        assert kinds == ["ns=3;i=3003", "ns=3;i=3004", "ns=0;i=1"]
        texts = await client("read", nodeIds=["ns=3;i=6010", "ns=2;s=m1.Status.Tamper.TrueState"])
        assert texts["answers"][0]["value"][2]["text"] == "Closed"
        assert texts["answers"][1]["value"]["text"] == "Yes"
        found = await client("translate", start="ns=2;s=m1", path="/3:Switch/3:State")
        assert found["targets"] == ["ns=2;s=m1.Switch.State"]


@pytest.mark.asyncio
async def test_a_change_of_state_can_be_read_again_later(meter: Meter) -> None:
    meter.read(2.0, 1.0, 0.0, 7.0)
    meter.read(1.0, 1.0, 0.0, 7.0)
    await meter.log.flush()
    async with Foreign() as client:
        await client("connect", url=meter.server.endpoint_urls[0])
        now = meter.clock.now_ns() // 1_000_000
        for node in ("i=2253", "ns=2;s=north", "ns=2;s=m1"):
            told = await client("eventHistory", nodeId=node, start=now - 60_000, end=now + 60_000, fields=FIELDS)
            assert told["status"] == "Good"
            (event,) = told["events"]
            assert event["3:Quantity"] == "Switch.State"
            assert (event["3:OldValue"], event["3:NewValue"]) == (2, 1)
            assert "Closed" in event["Message"]["text"]
        early = await client("eventHistory", nodeId="ns=2;s=m1", start=1000, end=2000, fields=FIELDS)
        assert (early["status"], early["events"]) == ("GoodNoData", [])


@pytest.mark.asyncio
async def test_a_change_of_state_is_an_event_at_the_server_with_its_text_and_both_values(meter: Meter) -> None:
    meter.read(2.0, 1.0, 0.0, 7.0)
    async with Foreign() as client:
        await client("connect", url=meter.server.endpoint_urls[0])
        heard = await client("listen", nodeId="i=2253", fields=FIELDS, types="BaseEventType")
        assert heard["status"] == "Good"
        meter.read(2.0, 1.0, 0.0, 7.0)
        meter.read(1.0, 1.0, 1.0, 8.0)
        notes = (await client("notes", id=heard["id"], atLeast=3))["notes"]
    assert {(note[0], note[1]) for note in notes} == {("ns=3;i=4006", "ns=2;s=m1")}
    told = {note[4]: (note[2]["text"], *note[3:4], *note[5:]) for note in notes}
    assert told == {
        "Switch.State": ("Relay state: Open (was: Closed)", 600, 2, 1),
        "Status.Tamper": ("Tamper: Yes (was: No)", 700, False, True),
        "Status.CoverOpenCount": ("Cover openings: 8 (was: 7)", 700, 7, 8),
    }


def test_the_health_of_lines_and_devices_is_read_and_subscribed_to(town: Town, client: ForeignClient) -> None:
    line, device = "ns=2;s=system.Drivers.bus-a", "ns=2;s=m0000.Communication"

    def values(*nodes: str) -> list[Any]:
        return [answer.get("value") for answer in client("read", nodeIds=list(nodes))["answers"]]

    state = (f"{line}.State", f"{line}.DevicesOnline", f"{line}.DevicesTotal", f"{device}.State")
    until(lambda: values(*state) == [1, 12, 12, 1], 40, "the line is online with all its devices")
    requests, errors, rate, load = values(
        *(f"{line}.{name}" for name in ("Requests", "Errors", "SuccessRate", "Utilisation"))
    )
    assert requests > 12
    assert errors == 0
    assert rate > 90
    assert 0 < load <= 100
    watched = client("subscribe", nodeIds=[f"{line}.State", f"{device}.State", f"{line}.Requests"])
    first = client("notes", id=watched["id"], atLeast=3)["notes"]
    assert {(note["index"], note["value"]) for note in first} >= {(0, 1), (1, 1)}
    town.meters["bus-a"].stop()
    until(lambda: values(f"{line}.State", f"{device}.State", f"{line}.DevicesOffline") == [3, 3, 12], 60, "offline")
    assert values(f"{line}.LastError")[0]["text"]
    until(lambda: any(session and "ended=" in session for session in values(f"{line}.Sessions")[0]), 60, "ended")
    town.start_meters("bus-a")
    until(lambda: values(*state)[:3] == [1, 12, 12], 40, "all are back")
    assert values(f"{line}.Reconnects")[0] >= 1
    heard: set[tuple[int, int]] = set()

    def hear() -> bool:
        heard.update((note["index"], note["value"]) for note in client("notes", id=watched["id"])["notes"])
        return {(0, 3), (0, 1), (1, 3), (1, 1)} <= heard

    until(hear, 120, "lost and back, of the line and of the device")
    assert len({count for index, count in heard if index == 2}) > 1

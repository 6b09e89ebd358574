"""Events that meters recorded: node-opcua finds their type, hears one, and reads all of them in the history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from test_events_methods import Foreign, require_node

from address_space.model import LiveTable, NodeUid, SystemClock
from address_space.model.quantity import Names
from address_space.model.units import UNITS
from drivers.event_archive import EventBook, EventCode, LogEvent
from historian.events import EventLog
from server.opcua import HubServer, MeterLogEvents, OpcUaOptions
from tests.historian.rollups.conftest import UNITS as METERS
from tests.historian.rollups.conftest import plant_of

pytestmark = [pytest.mark.interop, pytest.mark.asyncio]

M1: NodeUid = METERS[0]
DAY_MS = 86_400_000
SAG = Names("Voltage sag", "Провал напряжения", "Kuchlanish tushishi", "电压暂降")
BOOK = EventBook("sags", None, {7: EventCode(SAG, 450, active=True)}, UNITS["VLT"], 900.0)
PROPERTIES = ("3:Log", "3:Code", "3:Active", "3:Value", "0:EngineeringUnits", "3:Record")
FIELDS = ["EventType", "SourceNode", "Message", "Severity", *(name.removeprefix("0:") for name in PROPERTIES)]


class Works:
    """A server whose clients are told what meters recorded."""

    def __init__(self, folder: Path) -> None:
        clock, plant = SystemClock(), plant_of(METERS)
        self.now_ms = clock.now_ns() // 1_000_000
        self.log = EventLog(folder / "history", clock)
        options = OpcUaOptions(folder, host="127.0.0.1", port=0, allow_none=True, allow_anonymous=True)
        self.server = HubServer(plant, LiveTable(plant, clock.now_ns()), options, None, clock, event_log=self.log)
        model, hub = self.server.aspace.model, self.server.events
        self.events = MeterLogEvents(model, hub.post, hub.file, self.log, clock)

    async def recorded(self, code: int, age_ms: int, value: float | None) -> None:
        """A meter has recorded an event."""
        event = LogEvent(self.now_ms - age_ms, code, value, age_ms.to_bytes(8, "big"), code)
        assert await self.events.tell(M1, BOOK, [(event, 0)], b"place", lost=False)


@pytest_asyncio.fixture
async def works(tmp_path: Path) -> AsyncIterator[Works]:
    require_node()
    made = Works(tmp_path)
    await made.server.start()
    async with made.log:
        yield made
        await made.server.stop()


async def browsed(client: Foreign, node: str, reference: str) -> dict[str, str]:
    (answer,) = (await client("browse", nodeIds=[node], reference=reference))["answers"]
    return {found["browseName"]: found["nodeId"] for found in answer["references"]}


async def test_what_meters_recorded_is_heard_and_read_in_the_history(works: Works) -> None:
    async with Foreign() as client:
        await client("connect", url=works.server.endpoint_urls[0])
        kind = (await browsed(client, "i=2041", "i=45"))["3:MeterLogEventType"]
        assert set(PROPERTIES) <= set(await browsed(client, kind, "i=46"))
        heard = await client("listen", nodeId="i=2253", fields=FIELDS, types="BaseEventType")
        assert heard["status"] == "Good"
        await works.recorded(9, 40 * DAY_MS, None)
        await works.recorded(7, DAY_MS, 187.5)
        (note,) = (await client("notes", id=heard["id"], atLeast=1))["notes"]
        told = dict(zip(FIELDS, note, strict=True))
        assert (told["EventType"], told["SourceNode"], told["Severity"]) == (kind, "ns=2;s=m1", 450)
        assert told["Message"]["text"] == "Voltage sag: begins, 187.5 V (recorded in the log sags)"
        assert [told[name] for name in ("3:Log", "3:Code", "3:Active", "3:Value", "3:Record")] == [
            "sags",
            7,
            True,
            187.5,
            7,
        ]
        assert told["EngineeringUnits"]["displayName"]["text"] == "V"
        span = {"start": works.now_ms - 50 * DAY_MS, "end": works.now_ms + 1000}
        kept = await client("eventHistory", nodeId="ns=2;s=m1", fields=FIELDS, **span)
        assert [event["3:Code"] for event in kept["events"]] == [9, 7]
        old = kept["events"][0]
        assert (old["Severity"], old["3:Value"], old["EngineeringUnits"]) == (300, None, None)
        assert old["Message"]["text"] == "event 0x0009 (recorded in the log sags)"

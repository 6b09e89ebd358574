"""What registers did beside going on: node-opcua finds the type of the event, hears it and reads the unit's counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from test_events_methods import Foreign, require_node

from address_space.model import LiveTable, NodeUid, SystemClock
from address_space.nodes import Report
from historian.events import EventLog
from historian.rollups import RollupOptions
from server.opcua import CounterEvents, CounterWords, HubServer, OpcUaOptions
from server.reports import counter_values
from tests.historian.rollups.conftest import HOUR, IMPORT, UNITS, Bench, plant_of

pytestmark = [pytest.mark.interop, pytest.mark.asyncio]

M1 = UNITS[0]
START = 1_803_859_200_000
"""2027-03-01T08:00Z."""
QUARTER = 900_000
GLITCH = 6
PROPERTIES = ("3:Quantity", "3:Anomaly", "3:OldValue", "3:NewValue", "3:Booked", "0:EngineeringUnits", "3:Suppressed")
FIELDS = ["EventType", "SourceNode", "Message", "Severity", *(name.removeprefix("0:") for name in PROPERTIES)]
COUNTS = [f"ns=2;s=m1.Communication.{name}" for name in ("CounterAnomalies", "LastCounterAnomaly")]


class Works:
    """A meter whose register has one glitch, the rollups that find it, and a server."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder / "history", "Europe/Berlin", RollupOptions())
        plant = plant_of(UNITS)
        options = OpcUaOptions(folder, host="127.0.0.1", port=0, allow_none=True, allow_anonymous=True)
        self.log = EventLog(folder / "history", self.bench.clock)
        live = LiveTable(plant, START * 1_000_000)
        self.server = HubServer(plant, live, options, None, SystemClock(), event_log=self.log)
        model, post = self.server.aspace.model, self.server.events.post
        self.events = CounterEvents(plant, model, post, self.bench.rollups, self.log, self.bench.clock)
        self.server.report_with(self.report)

    def report(self, identifier: str) -> Report:
        found = self.bench.rollups.recent.of(NodeUid(identifier.partition(".")[0]))
        return Report(counter_values(found, CounterWords()), self.bench.clock.now_ns())

    async def read(self) -> None:
        """The register is read for three hours, and what it did is told."""
        places = range(13)
        values = [0.0 if place == GLITCH else 1_000_000.0 + 250.0 * place for place in places]
        await self.bench.put(M1, IMPORT, [START + place * QUARTER for place in places], values)
        await self.bench.settle(START + 4 * HOUR)
        await self.events.tell()


@pytest_asyncio.fixture
async def works(tmp_path: Path) -> AsyncIterator[Works]:
    require_node()
    made = Works(tmp_path)
    await made.bench.open(START)
    await made.server.start()
    async with made.log:
        yield made
        await made.server.stop()
    await made.bench.close()


async def browsed(client: Foreign, node: str, reference: str) -> dict[str, str]:
    (answer,) = (await client("browse", nodeIds=[node], reference=reference))["answers"]
    return {found["browseName"]: found["nodeId"] for found in answer["references"]}


async def test_a_glitch_is_an_event_of_a_type_that_can_be_browsed_and_is_counted(works: Works) -> None:
    async with Foreign() as client:
        await client("connect", url=works.server.endpoint_urls[0])
        kind = (await browsed(client, "i=2041", "i=45"))["3:CounterAnomalyEventType"]
        assert set(PROPERTIES) <= set(await browsed(client, kind, "i=46"))

        async def counts() -> list[Any]:
            return [answer["value"] for answer in (await client("read", nodeIds=COUNTS))["answers"]]

        assert await counts() == [0, None]
        heard = await client("listen", nodeId="i=2253", fields=FIELDS, types="BaseEventType")
        assert heard["status"] == "Good"
        await works.read()
        (note,) = (await client("notes", id=heard["id"], atLeast=1))["notes"]
        told = dict(zip(FIELDS, note, strict=True))
        assert (told["EventType"], told["SourceNode"], told["Severity"]) == (kind, "ns=2;s=m1", 300)
        assert "the reading 0.000 kW·h does not fit" in told["Message"]["text"]
        assert told["3:Quantity"] == "ActiveEnergyImport"
        assert [told[name] for name in ("3:Anomaly", "3:OldValue", "3:NewValue", "3:Booked")] == [3, 1001.25, 0, 0]
        assert told["EngineeringUnits"]["displayName"]["text"] == "kW·h"
        count, last = await counts()
        assert count == 1
        assert last["text"] == told["Message"]["text"]

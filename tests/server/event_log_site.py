"""A site with one Modbus meter that records events, its simulated meter, and a hub for it: a whole one with a client
that reads them, or one without OPC UA, which polls, looks for events and keeps them.

As a program it runs the latter until it is killed: `python -m tests.server.event_log_site FOLDER`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from asyncua import Client, ua

from address_space.model import Batch, NodeUid, SystemClock
from address_space.nodes import TypeModel
from config.settings import load_settings
from drivers.api import Exchange
from drivers.channel import Channel
from drivers.poller import Poller, PollPolicy
from drivers.simulators import Fleet
from drivers.transport import Lines
from historian.events import EventLog, StoredEvent
from server.app import Blueprint, Hub, draw
from server.meter_events import MeterEvents
from server.opcua import MeterLogEvents, event_record
from server.opcua.event import Event
from tests.server.backfill_rig import PATIENCE_S

POINT = NodeUid("m1")
EVENT_TYPE = ua.NodeId(4008, 3)
PROFILE = """\
profile: test/recorder
vendor: Test
model: Recorder
protocol: modbus
source: [{{document: this test}}]
points:
  ActiveEnergyImport: {{at: 0, type: uint32, unit: Wh}}
  VoltageL1: {{at: 2, type: uint16, scale: 0.1, unit: V}}
modbus:
  max_words: 100
  event_logs:
    alarms:
      {where}
      every: {every}
      time: {{at: 0, format: [year2 month, day hour, minute second], bcd: true}}
      code: {{at: 3, type: uint16}}
      value: {{at: 4, type: uint16, scale: 0.1, unit: V, sentinels: [0xFFFF]}}
      checksum: {{at: 5, kind: crc16}}
      codes:
        0x01:
          text: {{en: Cover open, ru: Крышка открыта, uz: Qopqoq ochiq, zh: 表盖打开}}
          severity: 700
          state: begins
        0x81: {{text: {{en: Cover open, ru: Крышка открыта}}, severity: 100, state: ends}}
        0x02: {{text: Voltage sag, severity: 400}}
"""
RING = """at: 0x4000
      words: 6
      count: 40
      newest: {at: 0x0310, type: uint16, means: next}"""
FILE = """file: 7
      words: 6
      count: 40
      newest: {at: 0x0310, type: uint32, means: total}"""
FIELDS = (
    "EventType",
    "SourceNode",
    "Time",
    "Message",
    "Severity",
    "EventId",
    "ReceiveTime",
    "3:Log",
    "3:Code",
    "3:Active",
    "3:Value",
    "EngineeringUnits",
    "3:Record",
)


def write(site: Any, where: str = RING, *, framer: str = "tcp", every: str = "1s") -> None:
    """The site's files, with the profile of such a log; its one meter keeps Tashkent's time."""
    file = site.folder / "profiles" / "test" / "recorder.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(PROFILE.format(where=where, every=every), encoding="utf-8")
    options = f"timeout_ms: 1000, framer: {framer}"
    site.write({"a": [POINT]}, profile="test/recorder", options=options, plant="time_zone: Asia/Tashkent")


async def until(condition: Callable[[], bool]) -> None:
    """Return once this is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.01)


def ago(seconds: float) -> datetime:
    """A whole second of the past."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=seconds)


def record(fleet: Fleet, code: int, at: datetime, value: float | None = None) -> None:
    """Have the meter record an event."""
    fleet.meter(POINT).record_event("alarms", code, value, round(at.timestamp()) * 1_000_000_000)


async def read_events(client: Client, node: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Events of the meters' logs that HistoryRead tells at a node, with their fields."""
    operands = []
    for path in FIELDS:
        namespace, _, name = path.rpartition(":")
        base = EVENT_TYPE if namespace or name == "EngineeringUnits" else ua.NodeId(ua.ObjectIds.BaseEventType)
        operands.append(ua.SimpleAttributeOperand(base, [ua.QualifiedName(name, int(namespace or 0))], 13))
    details = ua.ReadEventDetails(0, start, end, ua.EventFilter(operands))
    wanted = ua.HistoryReadValueId(ua.NodeId.from_string(node), None, ua.QualifiedName(), None)
    params = ua.HistoryReadParameters(details, ua.TimestampsToReturn.Both, False, [wanted])
    (result,) = await client.uaclient.history_read(params)
    told = [dict(zip(FIELDS, (one.Value for one in event.EventFields), strict=True)) for event in _events(result)]
    return [event for event in told if event["EventType"] == EVENT_TYPE]


def _events(result: Any) -> list[Any]:
    return list(result.HistoryData.Events) if result.StatusCode.is_good() and result.HistoryData is not None else []


def client_of(hub: Hub, locale: str = "en") -> Client:
    """A client that speaks a language."""
    client = Client(hub.opcua.endpoint_urls[0], timeout=60)
    client._locale = [locale]
    return client


class Rig:
    """The hub without OPC UA. `async with` runs it; what it would tell clients is `posted`."""

    def __init__(self, blueprint: Blueprint, look_s: float = 0.05) -> None:
        clock, assembly = SystemClock(), blueprint.assembly
        self.posted: list[Event] = []
        self.log = EventLog(blueprint.settings.data_dir / "history", clock)
        self.lines = Lines(clock)
        (bus,) = assembly.buses
        driver = bus.plugin.create(bus.config.id, bus.options, self.lines)
        channel = Channel(bus.config.id, driver, bus.plugin.line(bus.options), clock)
        self.poller = Poller(channel, bus.devices, self, clock, PollPolicy(backoff_max_s=0.5, first_scan_s=0.1))
        self.unit = assembly.plant.unit_of[POINT]
        teller = MeterLogEvents(TypeModel(), self.post, self.file, self.log, clock)
        self.events = MeterEvents(assembly.plant, [self.poller], teller, clock, look_s=look_s)
        self._stack = AsyncExitStack()

    def post(self, event: Event) -> bytes:
        self.posted.append(event)
        self.file(event)
        return event.event_id

    def file(self, event: Event) -> None:
        body = event_record.written(event, event.time_ns)
        self.log.offer(lambda: StoredEvent(event.time_ns, event.source.to_string(), body))

    async def deliver(self, batch: Batch) -> None:
        """Nobody looks at it."""

    async def report(self, exchange: Exchange) -> None:
        """Nobody looks at it."""

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.log)
        await self._stack.enter_async_context(self.lines)
        tasks = await self._stack.enter_async_context(asyncio.TaskGroup())
        for name, work in {"poll": self.poller.run, "events": self.events.run, "log": self.log.run}.items():
            self._stack.callback(tasks.create_task(work(), name=name).cancel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def told(self, count: int) -> None:
        """Return once so many events were told since the start."""
        await until(lambda: self.events.state.told >= count)

    async def looked(self) -> None:
        """Return once the log was looked at two times more, and nothing was told."""
        before = self.events.state
        await until(lambda: self.events.state.asked >= before.asked + 4)
        assert self.events.state.told == before.told


async def kept(data_dir: Path) -> list[Event]:
    """Events of the meters' logs that a hub has kept, in the order of time; it may have been killed."""
    async with EventLog(data_dir / "history", SystemClock()) as log:
        events = [event_record.read(one.body)[0] for one in await log.read(0, 1 << 62, 1_000_000)]
    return [event for event in events if event.type == EVENT_TYPE]


@asynccontextmanager
async def doomed(folder: Path) -> AsyncIterator[None]:
    """A hub in a process of its own, which is killed at the end."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.server.event_log_site",
        str(folder),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert program.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert await program.stdout.readline() == b"told\n"
        yield
    finally:
        program.kill()
        await program.wait()


async def _serve(folder: Path) -> None:
    async with Rig(draw(load_settings(folder / "hub.toml"))) as rig:
        await rig.told(1)
        print("told", flush=True)  # whoever started it waits for this
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))

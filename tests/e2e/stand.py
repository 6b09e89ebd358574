"""A whole hub in one process: simulated meters with faults, the real hub, and an OPC UA client that watches it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncua import Client, ua
from pulse import Pulse

from address_space.model import NS, Clock, SystemClock
from address_space.model.clock import from_datetime
from config.settings import HubSettings
from drivers.profiles import load_library
from drivers.simulators import Endpoint, Fleet, Framing, SimulatedMeter
from server.app import Blueprint, Hub, draw
from tests.ports import free_port

PROFILE = """
profile: bench/meter
vendor: Bench
model: Meter
protocol: modbus
source: [{document: made for tests}]
modbus: {fc: 3, order: ABCD}
points:
  ActiveEnergyImport: {at: 0, type: uint32, unit: Wh, class: fast, counter: {max: 4294967296}}
  ReactiveEnergyImport: {at: 2, type: uint64, unit: varh, class: fast, optional: true}
  ActivePower: {at: 6, type: float32, unit: kW, class: fast}
  VoltageL1: {at: 8, type: uint16, unit: V, scale: 0.1, class: fast, sentinels: [0xFFFF], faults: [0xFFFE]}
"""
ENERGY, POWER, VOLTAGE = "ActiveEnergyImport", "ActivePower", "VoltageL1"
REGISTERS = {ENERGY: 0, POWER: 6, VOLTAGE: 8}
SHOWN = (ENERGY, POWER, VOLTAGE, "ReactiveEnergyImport")

POLL_S = 0.2
HOLD_S = 3.0
TIMEOUT_S = 0.15
BACKOFF_S = 1.0
LOST_AFTER = 4
PUBLISH_MS = 100.0
START_S = 120.0
PATIENCE_S = 60.0
CALM_S = 0.12
"""A machine that held up the event loop no longer than this let no meter time out that answered."""

GOOD = 0


@dataclass(frozen=True, slots=True)
class Post:
    """One meter of a stand and the channel it hangs on."""

    id: str
    channel: str
    address: int = 1
    framing: Framing = Framing.TCP
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """What the client was told of one variable, and when."""

    value: Any
    status: int
    source_ns: int
    server_ns: int
    arrived_ns: int

    @property
    def name(self) -> str:
        """Name of the status code."""
        return ua.status_codes.get_name_and_doc(self.status)[0]


def sample_of(data: ua.DataValue, arrived_ns: int) -> Sample:
    """What the client holds; fails where a timestamp is missing, which no status excuses."""
    assert data.SourceTimestamp is not None, data
    assert data.ServerTimestamp is not None, data
    status = data.StatusCode.value if data.StatusCode is not None else GOOD
    value = data.Value.Value if data.Value is not None else None
    return Sample(value, status, from_datetime(data.SourceTimestamp), from_datetime(data.ServerTimestamp), arrived_ns)


class Watch:
    """Every sample that a subscription brought, in order, by point. A handler of an asyncua subscription."""

    def __init__(self, clock: Clock) -> None:
        self.samples: dict[str, list[Sample]] = {}
        self._clock = clock
        self._news = asyncio.Event()

    def datachange_notification(self, node: Any, _: Any, data: Any) -> None:
        """The client's callback."""
        sample = sample_of(data.monitored_item.Value, self._clock.now_ns())
        self.samples.setdefault(node.nodeid.Identifier, []).append(sample)
        self._news.set()

    def mark(self, point: str) -> int:
        """Where the samples to come will begin."""
        return len(self.samples.get(point, ()))

    def since(self, point: str, mark: int) -> list[Sample]:
        """Samples from a mark on."""
        return self.samples.get(point, [])[mark:]

    async def until(
        self, point: str, wanted: Callable[[Sample], bool], mark: int, within_s: float = PATIENCE_S, what: str = ""
    ) -> Sample:
        """The first sample from `mark` on that is wanted."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for sample in self.since(point, mark):
                        if wanted(sample):
                            return sample
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            seen = [(sample.name, sample.value) for sample in self.since(point, mark)][-8:]
            raise AssertionError(f"{point}: not within {within_s:g} s: {what or wanted}; last seen {seen}") from None

    async def status(self, point: str, name: str, mark: int, within_s: float = PATIENCE_S) -> Sample:
        """The first sample from `mark` on with this status."""
        return await self.until(point, lambda sample: sample.name == name, mark, within_s, name)


class Stand:
    """Meters, hub and client. `async with` them; `hub` may be stopped and started again in between."""

    def __init__(
        self, folder: Path, posts: Sequence[Post], *, clock: Clock | None = None, hold_s: float = HOLD_S
    ) -> None:
        self.folder = folder
        self.posts = tuple(posts)
        self.clock = clock if clock is not None else SystemClock()
        self.hold_s = hold_s
        self.port = free_port()
        self.url = f"opc.tcp://127.0.0.1:{self.port}"
        profiles = folder / "profiles" / "bench"
        profiles.mkdir(parents=True, exist_ok=True)
        (profiles / "meter.yaml").write_text(PROFILE)
        self.library = load_library(folder / "profiles")
        self.endpoints = {post.channel: Endpoint(framing=post.framing, name=post.channel) for post in posts}
        self.fleet = Fleet(map(self._meter, posts), SystemClock())
        self.hub: Hub | None = None
        self.pulse = Pulse()
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Stand:
        await self.fleet.__aenter__()
        self._write()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop_hub()
        await self.fleet.stop_all()

    def draw(self) -> Hub:
        """A hub of this plant, not running."""
        return Hub(self._blueprint(), self.clock)

    def _blueprint(self) -> Blueprint:
        settings = HubSettings.model_validate(
            {
                "plant": self.folder,
                "data_dir": self.folder / "data",
                "opcua": {
                    "host": "127.0.0.1",
                    "port": self.port,
                    "allow_none_security": True,
                    "allow_anonymous": True,
                },
                "history": {"commit_interval_s": 0.1},
                "polling": {
                    "hold_s": self.hold_s,
                    "comm_lost_after": LOST_AFTER,
                    "backoff_max_s": BACKOFF_S,
                    "periods": {"fast": POLL_S, "normal": POLL_S, "slow": POLL_S},
                },
            }
        )
        return draw(settings, library=self.library)

    async def start_hub(self, hub: Hub | None = None) -> Hub:
        """Run a hub until `stop_hub`; a hub that fails to start raises here."""
        self.hub = hub if hub is not None else self.draw()
        self._stop = asyncio.Event()
        ready = asyncio.Event()
        self._running = asyncio.create_task(self.hub.run(self._stop, ready.set), name="hub")
        waiting = asyncio.create_task(ready.wait(), name="ready")
        await asyncio.wait((self._running, waiting), timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._running.done():
            failed, self._running = self._running, None
            await failed
        assert ready.is_set(), "the hub did not get ready"
        self.pulse.start()
        return self.hub

    @property
    def slip_s(self) -> float:
        """What a busy machine may have added to any time since the hub was ready."""
        return 4 * self.pulse.longest_s

    @property
    def calm(self) -> bool:
        """Whether the machine kept the times that are tested."""
        return self.pulse.longest_s < CALM_S

    async def stop_hub(self) -> None:
        """Stop the hub and have whatever it died of."""
        running, self._running = self._running, None
        await self.pulse.stop()
        self._stop.set()
        if running is not None:
            await running

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """A connected client."""
        async with Client(self.url, timeout=60) as client:
            yield client

    @asynccontextmanager
    async def watching(self, client: Client, points: Iterable[str]) -> AsyncIterator[Watch]:
        """A subscription to every reading of these points."""
        watch = Watch(self.clock)
        subscription = await client.create_subscription(PUBLISH_MS, watch)
        every = ua.DataChangeFilter(ua.DataChangeTrigger.StatusValueTimestamp, 0, 0.0)
        nodes = [client.get_node(ua.NodeId(point, 2)) for point in points]
        requests = []
        for handle, node in enumerate(nodes, 1):
            parameters = ua.MonitoringParameters(handle, 0.0, QueueSize=100, DiscardOldest=True)
            parameters.Filter = every
            item = ua.ReadValueId(node.nodeid, ua.AttributeIds.Value)
            requests.append(ua.MonitoredItemCreateRequest(item, ua.MonitoringMode.Reporting, parameters))
        answers = await subscription.create_monitored_items(requests)
        assert all(isinstance(answer, int) for answer in answers), answers
        try:
            yield watch
        finally:
            await subscription.delete()

    async def read(self, client: Client, point: str) -> Sample:
        """One value as it stands."""
        wanted = ua.ReadValueId(ua.NodeId(point, 2), ua.AttributeIds.Value)
        request = ua.ReadParameters(0.0, ua.TimestampsToReturn.Both, [wanted])
        (found,) = await client.uaclient.read(request)
        return sample_of(found, self.clock.now_ns())

    def books_wh(self, meter: str, source_ns: int) -> set[int]:
        """What the meter's energy register may have shown in an answer received then and asked for just before."""
        seconds = range(int((source_ns - round((TIMEOUT_S + self.slip_s) * NS)) // NS), source_ns // NS + 1)
        return {self.fleet.books.energy_wh(meter, second * NS) % 2**32 for second in seconds}

    def _meter(self, post: Post) -> SimulatedMeter:
        profile, endpoint = self.library.get("bench/meter"), self.endpoints[post.channel]
        # Registers are primary values; a ratio of 400 stands for a load that every second moves the counter.
        return SimulatedMeter(post.id, profile, endpoint, str(post.address), (400.0, 1.0))

    def _write(self) -> None:
        options = {
            "host": "127.0.0.1",
            "timeout_ms": TIMEOUT_S * 1000,
            "gap_ms": 0,
        }
        channels = []
        for name, endpoint in self.endpoints.items():
            own = options | {"port": self.fleet.port(endpoint), "framer": endpoint.framing.value}
            given = ", ".join(f"{key}: {value}" for key, value in own.items())
            channels.append(f"  {name}: {{driver: modbus, options: {{{given}}}}}")
        lines = [
            "name: Stand",
            "time_zone: Asia/Tashkent",
            "hierarchy:",
            "  - {id: north, kind: region, name: North}",
            "channels:",
            *channels,
            "meters: meters.csv",
        ]
        (self.folder / "plant.yaml").write_text("\n".join(lines) + "\n")
        rows = ["id,name,parent,profile,channel,address,ct,pt,enabled"]
        rows += [
            f"{post.id},{post.id},north,bench/meter,{post.channel},{post.address},400,1,{str(post.enabled).lower()}"
            for post in self.posts
        ]
        (self.folder / "meters.csv").write_text("\n".join(rows) + "\n")

"""The device side of the driver contract, in memory: a bus whose devices do what a test tells them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from address_space.model.clock import NS, ManualClock
from address_space.model.ids import UnitHandle
from address_space.model.quality import GOOD, Reason
from address_space.model.value import Batch
from drivers.api import Confirmation, Device, Exchange, Reading, ReadPlan, Request, WriteOutcome, WriteRequest
from drivers.errors import BadFrame, ChannelDown, DeviceRefused, NoAnswer

SPLIT = 10
"""Offsets of one request: 0-9 are read by request 0, 10-19 by request 1, …"""


@dataclass
class Behaviour:
    """What a device does. `mute` are requests it never answers, `spoil` how many answers arrive broken."""

    latency_s: float = 0.01
    dead: bool = False
    hangs: bool = False
    refuses: bool = False
    unreached: bool = False
    drops_line: bool = False
    spoil: int = 0
    mute: set[int] = field(default_factory=set)
    device_time_ns: int | None = None
    bug: Exception | None = None


@dataclass(frozen=True)
class Sent:
    """One exchange as the wire saw it."""

    start_ns: int
    end_ns: int
    address: str
    key: Any


class ScriptedDriver:
    """A driver over devices in memory."""

    def __init__(self, clock: ManualClock, timeout_s: float = 1.0) -> None:
        self.clock = clock
        self.timeout_s = timeout_s
        self.devices: defaultdict[str, Behaviour] = defaultdict(Behaviour)
        self.sent: list[Sent] = []
        self.openable = True
        self.opening_hangs = False
        self.opens: list[int] = []
        self.closes = 0
        self.plans = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self._connected = False

    async def open(self) -> None:
        self.opens.append(self.clock.monotonic_ns())
        if self.opening_hangs:
            await asyncio.get_running_loop().create_future()
        if not self.openable:
            raise ChannelDown("nobody listens there", where="test line")
        self._connected = True

    async def close(self) -> None:
        self.closes += 1
        self._connected = False

    @property
    def connected(self) -> bool:
        return self._connected

    def cut(self) -> None:
        """Somebody pulls the plug."""
        self._connected = False
        self.openable = False

    def plan(self, device: Device, offsets: Sequence[int]) -> ReadPlan:
        self.plans += 1
        keys = sorted({offset // SPLIT for offset in offsets})
        return ReadPlan(tuple(offsets), tuple(Request(key, f"block {key}") for key in keys))

    async def request(self, device: Device, request: Request) -> Any:
        return await self._on_the_wire(device, request.key, lambda: self.clock.monotonic_ns())

    def decode(self, device: Device, plan: ReadPlan, answers: Mapping[Request, Any]) -> Reading:
        behaviour = self.devices[device.address]
        if behaviour.bug is not None:
            raise behaviour.bug
        by_key = {request.key: answer for request, answer in answers.items()}
        got = [by_key[offset // SPLIT] for offset in plan.offsets]
        failed = [isinstance(one, Reason) for one in got]
        values = np.where(failed, np.nan, np.array(plan.offsets, np.float64))
        status = np.array([one.status if isinstance(one, Reason) else GOOD for one in got], np.uint32)
        return Reading(values, status, device_time_ns=behaviour.device_time_ns)

    async def write(self, device: Device, request: WriteRequest) -> WriteOutcome:
        return await self._on_the_wire(device, request.key, lambda: WriteOutcome(acknowledged=True))

    async def confirm(self, device: Device, key: Any) -> Confirmation:
        done = Confirmation(reached=True, state="done")
        return await self._on_the_wire(device, f"confirm {key}", lambda: done)

    async def probe(self, device: Device) -> str:
        return await self._on_the_wire(device, "probe", lambda: f"meter {device.address}")

    def count(self, address: str) -> int:
        """How many exchanges this device was asked for."""
        return sum(1 for sent in self.sent if sent.address == address)

    def times(self, address: str) -> list[float]:
        """When, in seconds since the start."""
        return [sent.start_ns / NS for sent in self.sent if sent.address == address]

    async def _on_the_wire(self, device: Device, key: Any, answer: Callable[[], Any]) -> Any:
        start_ns = self.clock.monotonic_ns()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._behave(device, key, answer)
        finally:
            self.in_flight -= 1
            self.sent.append(Sent(start_ns, self.clock.monotonic_ns(), device.address, key))

    async def _behave(self, device: Device, key: Any, answer: Callable[[], Any]) -> Any:
        behaviour = self.devices[device.address]
        if behaviour.hangs:
            await asyncio.get_running_loop().create_future()
        if behaviour.drops_line:
            self._connected = False
            raise ChannelDown("connection reset", where="test line")
        if behaviour.dead or key in behaviour.mute:
            await self.clock.sleep(self.timeout_s)
            raise NoAnswer("silence", where=device.name)
        await self.clock.sleep(behaviour.latency_s)
        if behaviour.refuses:
            raise DeviceRefused("illegal address", code=2, reason=Reason.NOT_SUPPORTED)
        if behaviour.unreached:
            raise DeviceRefused("gateway target failed to respond", code=11, reason=Reason.TIMEOUT)
        if behaviour.spoil:
            behaviour.spoil -= 1
            raise BadFrame("checksum", where=device.name)
        return answer()


class Collector:
    """A sink that keeps everything. While `gate` is closed, `deliver` waits; `broken` makes it fail."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.reports: list[Exchange] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken: Exception | None = None

    async def deliver(self, batch: Batch) -> None:
        await self.gate.wait()
        if self.broken is not None:
            raise self.broken
        self.batches.append(batch)

    async def report(self, exchange: Exchange) -> None:
        if self.broken is not None:
            raise self.broken
        self.reports.append(exchange)

    def of(self, unit: int) -> list[Exchange]:
        """Reports of one unit."""
        return [report for report in self.reports if report.unit == unit]

    def read(self, unit: int) -> list[Batch]:
        """Batches of one unit."""
        return [batch for batch in self.batches if batch.unit == unit]


def _device(number: int) -> Device:
    return Device(UnitHandle(number), number * 100, f"m{number}", "profile", str(number))


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work)
        try:
            yield task
        finally:
            task.cancel()


@pytest.fixture
def clock() -> ManualClock:
    """Starts at a round hour, so that slots are easy to name."""
    return ManualClock(1_800_000_000 * NS)


@pytest.fixture
def driver(clock: ManualClock) -> ScriptedDriver:
    """Devices in memory, one driver."""
    return ScriptedDriver(clock)


@pytest.fixture
def new_driver(clock: ManualClock) -> Callable[[], ScriptedDriver]:
    """Further drivers on the same clock."""
    return lambda: ScriptedDriver(clock)


@pytest.fixture
def new_sink() -> type[Collector]:
    """Makes sinks."""
    return Collector


@pytest.fixture
def sink(new_sink: type[Collector]) -> Collector:
    """Keeps what pollers deliver."""
    return new_sink()


@pytest.fixture
def device() -> Callable[[int], Device]:
    """Device by number: unit n, handles from n × 100, address "n"."""
    return _device


@pytest.fixture
def running() -> Callable[[Coroutine[Any, Any, None]], AbstractAsyncContextManager[asyncio.Task[None]]]:
    """Run something beside the test, cancelled at the end of the block."""
    return _running


@pytest.fixture
def begun() -> Callable[[Awaitable[Any]], Awaitable[asyncio.Future[Any]]]:
    """Start something and let it go as far as it gets without time passing."""

    async def begin(work: Awaitable[Any]) -> asyncio.Future[Any]:
        future = asyncio.ensure_future(work)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        for _ in range(20):
            await asyncio.sleep(0)
        return future

    return begin

"""How much of a serial line's time is used: 30 meters at 9600 baud, line timing simulated, and the budget beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from address_space.model import UnitHandle
from address_space.model.clock import Clock, SystemClock
from address_space.model.value import Batch
from drivers.api import Device, DriverPlugin, Exchange, Paced
from drivers.budget import Wire as BudgetWire
from drivers.budget import channel_budget
from drivers.channel import Channel
from drivers.codec import crc16_modbus
from drivers.dlt645 import plugin as dlt645
from drivers.modbus import plugin as modbus
from drivers.poller import PollClass, PolledDevice, Poller, PollPolicy
from drivers.profiles import load_library
from drivers.simulators.bus import SimulatedBus, Station
from drivers.simulators.dlt645 import Dlt645Station
from drivers.simulators.faults import FaultState, Silent
from drivers.simulators.meter import Installation
from drivers.simulators.wire import DLT645, MODBUS_RTU, Wire
from drivers.transport import LineOptions, Lines, Link, PairLink, SerialSettings, pair
from tests.scale.measure import Figure
from tests.scale.size import Size
from tests.scale.table import Better, Row

NAME = "bus"
METERS = 30
BAUD = 9600
WARM_S = 2.0
ROUNDS = {Size.FULL: 3, Size.QUICK: 2, Size.TINY: 1}
ROUND_S = {Size.FULL: 20.0, Size.QUICK: 8.0, Size.TINY: 3.0}
SHARE_GOAL = 90.0
BUDGET_GOAL = 10.0
PERIOD_S = 0.5
"""Much shorter than a round over all meters takes, so that the line is never free for want of work."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A bus of meters of one make, of each of which so many points are read."""

    name: str
    plugin: DriverPlugin
    profile: str
    options: dict[str, object]
    wire: Wire
    station: Callable[[int], Station]
    address: Callable[[int], str]
    points: int = 1000


class RtuStation:
    """A Modbus meter all of whose registers hold 0."""

    def __init__(self, unit: int) -> None:
        self.unit = unit
        self.fault_state = FaultState()

    def answer(self, request: bytes, now_ns: int) -> bytes | None:
        """Zeros, as many as were asked for."""
        if request[0] != self.unit:
            return None
        size = 2 * int.from_bytes(request[4:6], "big")
        body = bytes((self.unit, request[1], size)) + bytes(size)
        return body + crc16_modbus(body)


class CountedEnd:
    """The far end of a line, with the bytes that went over it."""

    def __init__(self, link: PairLink) -> None:
        self._link = link
        self.carried = 0

    def send(self, data: bytes) -> None:
        """Send and count."""
        self.carried += len(data)
        self._link.send(data)

    async def receive(self, limit_s: float) -> bytes:
        """Receive and count."""
        data = await self._link.receive(limit_s)
        self.carried += len(data)
        return data

    def close(self) -> None:
        """Part."""
        self._link.close()


class Counter:
    """A sink that counts readings."""

    def __init__(self) -> None:
        self.read: dict[int, int] = {}

    async def deliver(self, batch: Batch) -> None:
        """One reading."""
        self.read[batch.unit] = self.read.get(batch.unit, 0) + 1

    async def report(self, exchange: Exchange) -> None:
        """Not looked at."""


class OneLine(Lines):
    """Lines of which there is one."""

    def __init__(self, link: Link, clock: Clock) -> None:
        super().__init__(clock)
        self._link = link

    def link(self, channel: str, options: LineOptions) -> Link:
        """That one."""
        return self._link


@dataclass(frozen=True, slots=True)
class Measured:
    """What a round showed. Shares are of its time; `allowed` is what exchanges had to take on such a line."""

    allowed: float
    transmitting: float
    cycle_s: float
    budget_cycle_s: float


def protocols() -> Iterator[Protocol]:
    """The buses that are measured."""
    yield Protocol(
        "Modbus RTU",
        modbus,
        "eastron/sdm630",
        {"transport": "serial", "device": "simulated", "framer": "rtu", "timeout_ms": 300},
        MODBUS_RTU,
        RtuStation,
        str,
    )
    yield Protocol(
        "DL/T 645",
        dlt645,
        "generic/dlt645-2007-three-phase",
        {"transport": "serial", "device": "simulated", "parity": "even", "timeout_ms": 300},
        DLT645,
        lambda number: Dlt645Station(Installation(f"m{number}"), f"{number:012d}"),
        lambda number: f"{number:012d}",
        points=12,
    )


def run(size: Size, say: Callable[[str], None]) -> list[Row]:
    """Rows of every protocol."""
    rows: list[Row] = []
    for protocol in protocols():
        say(f"{METERS} meters on one line, {protocol.name}")
        full = [asyncio.run(measure(protocol, ROUND_S[size])) for _ in range(ROUNDS[size])]
        half = asyncio.run(measure(protocol, ROUND_S[size], dead=METERS // 2))
        rows += _rows(protocol, full, half)
    return rows


async def measure(protocol: Protocol, seconds: float, dead: int = 0) -> Measured:
    """Poll such a bus as fast as it goes, with so many meters dead."""
    clock = SystemClock()
    options = protocol.plugin.options(baud=BAUD, **protocol.options)
    settings: SerialSettings = options.serial
    near, far = pair("bus")
    near.tune(settings)
    profile = load_library().get(protocol.profile)
    compiled = protocol.plugin.compile(profile)
    every = (PollClass(PERIOD_S, tuple(range(min(len(profile.points), protocol.points)))),)
    devices = [
        PolledDevice(Device(UnitHandle(n), n * 1000, f"m{n}", compiled, protocol.address(n + 1)), every)
        for n in range(METERS)
    ]
    pace = protocol.plugin.pace(options, compiled) if isinstance(protocol.plugin, Paced) else None
    if pace is None:
        raise TypeError(f"{protocol.name} does not say its pace")
    bus = SimulatedBus(clock, settings, turnaround_s=pace.answer_s)
    for n in range(METERS):
        station = protocol.station(n + 1)
        if n < dead:
            station.fault_state.set((Silent(),), clock.now_ns())
        bus.attach(protocol.wire, station)
    end, sink = CountedEnd(far), Counter()
    driver = protocol.plugin.create("bus", options, OneLine(near, clock))
    line = protocol.plugin.line(options)
    budget = channel_budget("bus", devices, driver.plan, lambda _: pace, BudgetWire(settings), line)
    poller = Poller(Channel("bus", driver, line, clock), devices, sink, clock, PollPolicy(first_scan_s=WARM_S / 2))
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(bus.serve(end), name="bus")
        polling = tasks.create_task(poller.run(), name="poll")
        await clock.sleep(WARM_S + seconds * (dead > 0))
        requests, carried, read, begun_ns = bus.requests, end.carried, dict(sink.read), clock.monotonic_ns()
        await clock.sleep(seconds)
        elapsed_s = (clock.monotonic_ns() - begun_ns) / 1e9
        exchanges, carried = bus.requests - requests, end.carried - carried
        polling.cancel()
        serving.cancel()
    asked = METERS * len(driver.plan(devices[0].device, every[0].offsets).requests)
    readings = [sink.read.get(n, 0) - read.get(n, 0) for n in range(dead, METERS)]
    gap_s = max(pace.gap_s, pace.silence_characters * settings.character_s)
    transmitting_s = carried * settings.character_s
    return Measured(
        (transmitting_s + exchanges * (pace.answer_s + gap_s)) / elapsed_s,
        transmitting_s / elapsed_s,
        elapsed_s * (len(readings) / max(sum(readings), 1) if dead else asked / max(exchanges, 1)),
        budget.cycle_s,
    )


def _rows(protocol: Protocol, full: Sequence[Measured], half: Measured) -> list[Row]:
    what = f"{protocol.name}, {METERS} meters at {BAUD} baud"
    cycle_s = Figure.of([each.cycle_s for each in full])
    off = [abs(each.budget_cycle_s / each.cycle_s - 1) * 100 for each in full]
    sending = Figure.of([each.transmitting * 100 for each in full]).value
    return [
        Row(
            NAME,
            f"{what}: line time used of what the line allows",
            "%",
            Figure.of([each.allowed * 100 for each in full]),
            goal=SHARE_GOAL,
            better=Better.MORE,
            note=f"bytes, the meters' time to answer, gaps; bytes alone {sending:.0f} %",
        ),
        Row(
            NAME,
            f"{what}: all read in, beside the budget of `joulehub check`",
            "% off",
            Figure.of(off),
            goal=BUDGET_GOAL,
            note=f"measured {cycle_s.value:.2f} s, reckoned {full[0].budget_cycle_s:.2f} s",
        ),
        Row(
            NAME,
            f"{what}, half of them dead: the others read in",
            "s",
            Figure.once(half.cycle_s),
            note=f"half of all take {cycle_s.value / 2:.1f} s; dead ones may take a quarter of the line",
        ),
    ]

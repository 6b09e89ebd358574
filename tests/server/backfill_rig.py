"""A market with one DL/T 645 meter, and a hub for it without OPC UA: polling, history, ledger and backfill.

As a program it runs such a hub until it is killed: `python -m tests.server.backfill_rig FOLDER TIME_MS [DAYS]`; gaps
of so many days are looked for (62).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from address_space.model import Batch, NodeUid, Quantity, SystemClock
from address_space.model.clock import NS
from config.settings import load_settings
from drivers.api import Exchange
from drivers.channel import Channel
from drivers.poller import Poller, PollPolicy
from drivers.simulators.bus import SimulatedBus
from drivers.simulators.dlt645 import Dlt645Station, Manners
from drivers.simulators.meter import Installation
from drivers.simulators.ports import TcpPort
from drivers.simulators.wire import DLT645
from drivers.transport import Lines
from server.app import Blueprint, draw
from server.backfill import Backfill, BackfillOptions
from server.expected import expected
from server.history import History

PATIENCE_S = 240.0
QUARTER_MS = 900_000
HOUR_MS = 3_600_000
POINT = NodeUid("m1")
ADDRESS = "202611220017"
START_MS = round(datetime(2026, 11, 22, 8, 5, tzinfo=UTC).timestamp()) * 1000
PLANT = """\
name: Market
time_zone: Asia/Tashkent
hierarchy: [{{id: f1, kind: feeder}}]
channels:
  bus1: {{driver: {driver}, options: {{host: 127.0.0.1, port: {port}, timeout_ms: 1000, gap_ms: 0}}}}
metering_units:
  - {{id: m1, parent: f1, profile: generic/dlt645-2007-three-phase, channel: bus1, address: "{address}"}}
"""
PERIODS = "[polling.periods]\nfast = 900\nnormal = 900\nslow = 900\nconfig = 900\n"


class Shifted(SystemClock):
    """The machine's clock, some hours off."""

    def __init__(self, start_ms: int) -> None:
        self.ahead_ns = start_ms * (NS // 1000) - super().now_ns()

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns

    def now_ms(self) -> int:
        return self.now_ns() // (NS // 1000)

    def shift(self, hours: float) -> None:
        self.ahead_ns += round(hours * 3600 * NS)


class Gateway:
    """The site's files, its one bus behind a gateway, and the clock of all. `async with` has the gateway listen.

    plant  text of plant.yaml, with the gateway's {port} in it
    """

    def __init__(self, site, bus: SimulatedBus, clock: Shifted, plant: str, **names: object) -> None:
        site.write({"bus1": ["m1"]})
        self.clock = clock
        self.folder: Path = site.folder
        self.line = TcpPort(bus, port=site.ports["bus1"])
        (self.folder / "plant.yaml").write_text(plant.format(port=self.line.port, **names), encoding="utf-8")
        settings = self.folder / "hub.toml"
        text = settings.read_text(encoding="utf-8")
        settings.write_text(text[: text.index("[polling.periods]")] + PERIODS, encoding="utf-8")

    async def __aenter__(self) -> Self:
        await self.line.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.line.stop()

    def draw(self) -> Blueprint:
        """The site's blueprint."""
        return draw(load_settings(self.folder / "hub.toml"))


class Market(Gateway):
    """The same with a meter of DL/T 645."""

    def __init__(
        self, site, manners: Manners | None = None, *, driver: str = "dlt645", turnaround_s: float = 0.0
    ) -> None:
        clock = Shifted(START_MS)
        self.station = Dlt645Station(Installation("m1"), ADDRESS, manners)
        self.bus = SimulatedBus(clock, turnaround_s=turnaround_s)
        self.bus.attach(DLT645, self.station, self.station.wire_address)
        super().__init__(site, self.bus, clock, PLANT, driver=driver, address=ADDRESS)
        self._drawn: Blueprint | None = None

    @property
    def orders(self) -> Path:
        """The file of orders."""
        return self.folder / "data" / "history" / "orders.db"

    def draw(self) -> Blueprint:
        """The site's blueprint, drawn once."""
        if self._drawn is None:
            self._drawn = super().draw()
        return self._drawn

    def counted(self, time_ms: int, quantity: Quantity = Quantity.ACTIVE_ENERGY_IMPORT) -> int:
        """What the meter shows of a register: whole steps of 10 Wh."""
        value = self.station.supply.values(time_ms // 1000)[quantity.code]
        assert value is not None
        return int(value) // 10 * 10


class Rig:
    """The hub. `async with` runs it."""

    def __init__(self, blueprint: Blueprint, clock: Shifted, *, look_s: float = 0.1, days: int = 62) -> None:
        settings, assembly = blueprint.settings, blueprint.assembly
        self.clock = clock
        plan = expected(assembly)
        self.history = History(settings.history, settings.data_dir, assembly.plant, clock, plan)
        self.lines = Lines(clock)
        bus = assembly.buses[0]
        driver = bus.plugin.create(bus.config.id, bus.options, self.lines)
        self.channel = Channel(bus.config.id, driver, bus.plugin.line(bus.options), clock)
        self.poller = Poller(self.channel, bus.devices, self, clock, PollPolicy(first_scan_s=0.2))
        self.unit = assembly.plant.unit_of[POINT]
        assert self.history.reader is not None
        self.reader = self.history.reader
        self.backfill = Backfill(
            assembly.plant,
            plan,
            [self.poller],
            self.history.ledger,
            self.history.recorder,
            self.reader,
            clock,
            BackfillOptions(days=days, look_s=look_s, settle_s=10.0),
        )
        self._stack = AsyncExitStack()

    async def deliver(self, batch: Batch) -> None:
        self.history.recorder.offer(batch)

    async def report(self, exchange: Exchange) -> None:
        """Nobody looks at it."""

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.history)
        await self._stack.enter_async_context(self.lines)
        tasks = await self._stack.enter_async_context(asyncio.TaskGroup())
        for name, work in {"poll": self.poller.run, "backfill": self.backfill.run, **self.history.parts}.items():
            self._stack.callback(tasks.create_task(work(), name=name).cancel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def polled(self) -> int:
        """Return once the meter was read, and its slot."""
        await self.until(lambda: self.history.recorder.counters.committed > 0)
        return self.clock.now_ms() // QUARTER_MS * QUARTER_MS

    async def missing(self) -> int:
        """How many slots are missing that may still be filled."""
        now_ms = self.clock.now_ms()
        found = await self.history.ledger.missing(now_ms - 40 * 24 * HOUR_MS, now_ms, [POINT])
        return sum(len(slots) for _, _, slots in found)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once this is so."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110  # what is waited for has no event
                await asyncio.sleep(0.01)

    async def filled(self) -> None:
        """Return once nothing is missing that could be had."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.missing():  # noqa: ASYNC110  # no event
                await asyncio.sleep(0.05)
        await self.history.recorder.flush()

    async def stored(self, quantity: Quantity = Quantity.ACTIVE_ENERGY_IMPORT) -> dict[int, float]:
        """Good values in the history, in base units, by time."""
        kept = await self.reader.read_raw(POINT, quantity, 0, 2**45, 100_000)
        every = zip(
            kept.time_ms.tolist(), (kept.values * quantity.per_unit).tolist(), kept.status.tolist(), strict=True
        )
        return {time: round(value, 3) for time, value, status in every if not status}


def quarters(first_ms: int, end_ms: int) -> list[int]:
    """Slots from a first one on, before an end."""
    return list(range(first_ms, end_ms, QUARTER_MS))


async def outage(gateway: Gateway, hours: float) -> tuple[int, int]:
    """A hub that read the meter once, and was then down; the slots it read before and would read now."""
    async with Rig(gateway.draw(), gateway.clock, look_s=1e6) as rig:
        begun = await rig.polled()
    gateway.clock.shift(hours)
    return begun, gateway.clock.now_ms() // QUARTER_MS * QUARTER_MS


@asynccontextmanager
async def doomed(gateway: Gateway, *arguments: str) -> AsyncIterator[None]:
    """A hub in a process of its own, which is killed at the end."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.server.backfill_rig",
        str(gateway.folder),
        str(gateway.clock.now_ms()),
        *arguments,
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert program.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert await program.stdout.readline() == b"ready\n"
        yield
    finally:
        program.kill()
        await program.wait()


async def _serve(folder: Path, time_ms: int, days: int = 62) -> None:
    async with Rig(draw(load_settings(folder / "hub.toml")), Shifted(time_ms), days=days):
        print("ready", flush=True)  # whoever started it waits for this
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), *map(int, sys.argv[2:])))

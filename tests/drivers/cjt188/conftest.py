"""A simulated bus of CJ/T 188 meters in memory, and the driver that reads it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from address_space.model.clock import NS, ManualClock
from address_space.model.ids import UnitHandle
from address_space.model.quantity import Quantity
from drivers.api import Device
from drivers.cjt188 import Cjt188Driver, CompiledProfile, Options, compile_profile
from drivers.profiles import ProfileLibrary, load_library
from drivers.simulators.bus import SimulatedBus
from drivers.simulators.cjt188 import CJT188, Cjt188Station
from drivers.transport import PairLink, pair
from tests.drivers.profile_text import profile_of

GOLDEN = Path(__file__).parents[2] / "golden" / "cjt188"
NOON_NS = 1_782_900_000 * NS
WATER = """\
points:
  Volume: {di: 0x901F, field: cumulative, unit: m3}
"""


def compiled(text: str = WATER) -> CompiledProfile:
    """A profile from the part of its file that matters to a test."""
    return compile_profile(profile_of("cjt188", f"medium: water\n{text}"))


def device(profile: CompiledProfile, address: str = "1", unit: int = 1) -> Device:
    return Device(UnitHandle(unit), 0, f"meter {unit}", profile, address)


@dataclass
class Bench:
    """Stations on a bus, the driver at its other end, and their clock, which stands still unless it is advanced."""

    clock: ManualClock
    bus: SimulatedBus
    near: PairLink
    driver: Cjt188Driver
    sent: list[bytes] = field(default_factory=list)

    def attach(self, station: Cjt188Station) -> Cjt188Station:
        self.bus.attach(CJT188, station, station.wire_address)
        return station

    async def values(self, meter: Device) -> dict[Quantity, tuple[float, int]]:
        """One reading of all points: value and status by quantity; raises what the driver raises."""
        points = meter.profile.points
        plan = self.driver.plan(meter, tuple(range(len(points))))
        answers = {request: await self.driver.request(meter, request) for request in plan.requests}
        reading = self.driver.decode(meter, plan, answers)
        found = zip(points, reading.values.tolist(), reading.status.tolist(), strict=True)
        return {point.quantity: (value, status) for point, value, status in found if point is not None}


class _Recorded:
    """A link that keeps what is sent."""

    def __init__(self, link: PairLink, sent: list[bytes]) -> None:
        self._link = link
        self._sent = sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def send(self, data: bytes) -> None:
        self._sent.append(data)
        self._link.send(data)


@contextlib.asynccontextmanager
async def _bench(**options: Any) -> AsyncIterator[Bench]:
    clock = ManualClock(NOON_NS)
    near, far = pair()
    bus = SimulatedBus(clock)
    chosen = Options.model_validate({"host": "nowhere", "port": 1, "timeout_ms": 300, **options})
    sent: list[bytes] = []
    driver = Cjt188Driver("bus", chosen, _Recorded(near, sent), clock)  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(bus.serve(far), name="bus")
        await driver.open()
        yield Bench(clock, bus, near, driver, sent)
        await driver.close()
        far.close()
        serving.cancel()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with _bench() as made:
        yield made


@pytest.fixture
def benches() -> Callable[..., contextlib.AbstractAsyncContextManager[Bench]]:
    """Makes benches with other options."""
    return _bench


@pytest.fixture(scope="session")
def library() -> ProfileLibrary:
    return load_library()


@pytest.fixture(scope="session")
def vectors() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((GOLDEN / "frames.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(name="compiled")
def compiled_fixture() -> Callable[..., CompiledProfile]:
    return compiled


@pytest.fixture(name="device")
def device_fixture() -> Callable[..., Device]:
    return device


@pytest.fixture
def golden_folder() -> Path:
    return GOLDEN

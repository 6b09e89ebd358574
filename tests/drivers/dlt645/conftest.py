"""A meter made of frames, at the far end of a pair: it answers what it holds, and whatever a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from address_space.model.clock import NS, SystemClock
from address_space.model.ids import UnitHandle
from drivers.api import Device, Reading
from drivers.dlt645 import CompiledProfile, Dlt645Driver, Options, compile_profile
from drivers.dlt645.frame import Decoder, Frame, encode
from drivers.errors import ChannelDown
from drivers.transport import PairLink, pair
from tests.drivers.profile_text import profile_of

ADDRESS = "123456789012"
NOON_NS = 1_795_345_200 * NS
"""2026-11-22 11:00:00 UTC, 16:00:00 in Tashkent."""


def compiled_text(text: str) -> CompiledProfile:
    return compile_profile(profile_of("dlt645", text))


def device_of(profile: CompiledProfile, address: str = ADDRESS, ratio: tuple[float, float] = (1.0, 1.0)) -> Device:
    return Device(UnitHandle(7), 0, "meter 7", profile, address, ratio)


class FixedTime(SystemClock):
    """Real waits, but a wall clock that stands at noon."""

    def now_ns(self) -> int:
        return NOON_NS


@dataclass
class FrameMeter:
    """Data by identifier as its bytes go over the wire before 33H is added, and a log of what was asked.

    refuse    error bytes by identifier; what is neither held nor refused is "no such data"
    writes    error byte of every write, None takes them
    before    bytes sent ahead of each answer; spoil changes the answer's bytes; mute answers nothing
    """

    link: PairLink
    address: str = ADDRESS
    di_size: int = 4
    holds: dict[int, bytes] = field(default_factory=dict)
    refuse: dict[int, int] = field(default_factory=dict)
    pieces: dict[int, list[bytes]] = field(default_factory=dict)
    writes: int | None = None
    before: bytes = b""
    spoil: Callable[[bytes], bytes] = lambda frame: frame
    mute: bool = False
    asked: list[Frame] = field(default_factory=list)
    wrong_number: int = 0

    def read_identifiers(self) -> list[str]:
        reads = (0x11,) if self.di_size == 4 else (0x01,)
        size = self.di_size
        return [frame.data[size - 1 :: -1].hex().upper() for frame in self.asked if frame.control in reads]

    async def serve(self) -> None:
        decoder = Decoder()
        with contextlib.suppress(ChannelDown):
            while True:
                for frame in decoder.feed(await self.link.receive(3600)):
                    if isinstance(frame, Frame):
                        self.asked.append(frame)
                        answer = None if self.mute else self.answer(frame)
                        if answer is not None:
                            self.link.send(self.before + self.spoil(encode(answer, 2)))

    def answer(self, frame: Frame) -> Frame | None:
        if frame.control == 0x13:
            return Frame(self.address, 0x93, bytes.fromhex(self.address)[::-1])
        if frame.control in (0x11, 0x01):
            return self._read(frame)
        if frame.control in (0x12, 0x02):
            return self._follow(frame)
        if frame.control == 0x08:
            return None
        if self.writes is not None:
            return Frame(self.address, frame.control | 0xC0, bytes([self.writes]))
        return Frame(self.address, frame.control | 0x80)

    def _read(self, frame: Frame) -> Frame:
        di = int.from_bytes(frame.data[: self.di_size], "little")
        head = frame.data[: self.di_size]
        if di in self.pieces:
            return Frame(self.address, frame.control | 0xA0, head + self.pieces[di][0])
        if di in self.holds:
            return Frame(self.address, frame.control | 0x80, head + self.holds[di])
        return Frame(self.address, frame.control | 0xC0, bytes([self.refuse.get(di, 0x02)]))

    def _follow(self, frame: Frame) -> Frame:
        head, number = frame.data[: self.di_size], frame.data[self.di_size :]
        pieces = self.pieces[int.from_bytes(head, "little")]
        place = number[0] if number else len([each for each in self.asked if each.control == frame.control])
        more = 0x20 if place + 1 < len(pieces) else 0
        tail = bytes([(number[0] + self.wrong_number) & 0xFF]) if number else b""
        return Frame(self.address, frame.control | 0x80 | more, head + pieces[place] + tail)


@dataclass
class Bench:
    """A meter, and the driver that talks to it."""

    meter: FrameMeter
    driver: Dlt645Driver
    clock: FixedTime

    async def read(self, profile: CompiledProfile, **how: Any) -> Reading:
        """One reading of all points; raises what the driver raises."""
        device = device_of(profile, **how)
        plan = self.driver.plan(device, tuple(range(len(profile.points))))
        answers = {request: await self.driver.request(device, request) for request in plan.requests}
        return self.driver.decode(device, plan, answers)


@contextlib.asynccontextmanager
async def open_bench(**options: Any) -> AsyncIterator[Bench]:
    near, far = pair()
    clock = FixedTime()
    given = {"host": "meter", "port": 1, "timeout_ms": 500, "gap_ms": 0, "time_zone": "Asia/Tashkent", **options}
    driver = Dlt645Driver("bus", Options.model_validate(given), near, clock)
    meter = FrameMeter(far)
    await driver.open()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(meter.serve(), name="meter")
        try:
            yield Bench(meter, driver, clock)
        finally:
            await driver.close()
            serving.cancel()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with open_bench() as made:
        yield made


@pytest.fixture(name="open_bench")
def open_bench_fixture() -> Any:
    return open_bench


@pytest.fixture(name="compiled")
def compiled_fixture() -> Callable[[str], CompiledProfile]:
    return compiled_text


@pytest.fixture(name="device_of")
def device_fixture() -> Callable[..., Device]:
    return device_of

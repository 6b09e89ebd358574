"""What a meter kept, asked of the simulated one: load records and freezes against its own books."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from address_space.model.clock import NS, SystemClock
from address_space.model.ids import UnitHandle
from address_space.model.quality import GOOD, Reason
from address_space.model.quantity import Kind, Quantity
from drivers.api import Device, EarlierRatio
from drivers.archive import Archive, Archived, Book
from drivers.channel import Channel, Lane
from drivers.dlt645 import Options, plugin
from drivers.dlt645.driver import Dlt645Driver
from drivers.errors import DeviceRefused
from drivers.profiles import load_library
from drivers.simulators.bus import SimulatedBus
from drivers.simulators.dlt645 import Dlt645Station, Manners
from drivers.simulators.meter import Installation
from drivers.simulators.wire import DLT645
from drivers.transport import pair

LIBRARY = load_library()
ADDRESS = "202611220017"
THREE = "generic/dlt645-2007-three-phase"
QUARTER_MS, HOUR_MS, DAY_MS = 900_000, 3_600_000, 86_400_000
NOW_MS = round(datetime(2026, 11, 22, 8, 7, tzinfo=UTC).timestamp()) * 1000
RATIO = (40.0, 2.0)


class Standing(SystemClock):
    """Real waits; the wall clock stands."""

    def now_ns(self) -> int:
        return NOW_MS * (NS // 1000)


class Site:
    def __init__(self, channel: Channel, station: Dlt645Station, device: Device) -> None:
        self.channel, self.station, self.device = channel, station, device
        self.exchanges = 0

    @property
    def driver(self) -> Archive:
        assert isinstance(self.channel.driver, Archive)
        return self.channel.driver

    def book(self, name: str) -> Book:
        return next(book for book in self.driver.books(self.device) if book.name == name)

    async def read(self, book: Book, start_ms: int, end_ms: int) -> list[Archived]:
        """Everything that a book tells of a time."""
        found: list[Archived] = []
        while start_ms < end_ms:
            request = self.driver.recall(self.device, book, start_ms, end_ms, NOW_MS)
            if request is None:
                break
            self.exchanges += 1
            answer = await self.channel.exchange(self.device, request, Lane.FILL)
            told = self.driver.recalled(self.device, request, answer)
            if not told.again:
                assert told.told_ms > start_ms
                start_ms = told.told_ms
                found += told.values
        return found

    def shown(self, quantity: Quantity, time_ms: int) -> float:
        """What the meter's register holds, on the primary side."""
        value = self.station.supply.values(time_ms // 1000)[quantity.code]
        assert value is not None
        return float(value)


@contextlib.asynccontextmanager
async def meter(manners: Manners | None = None, profile: str = THREE):
    clock = Standing()
    bus = SimulatedBus(clock)
    station = Dlt645Station(Installation("m17", ratio=RATIO), ADDRESS, manners)
    bus.attach(DLT645, station, station.wire_address)
    near, far = pair()
    options = Options.model_validate({"host": "b", "port": 1, "timeout_ms": 200, "gap_ms": 0})
    driver = Dlt645Driver("bus", options, near, clock)
    compiled = plugin.compile(LIBRARY.get(profile))
    device = Device(UnitHandle(7), 0, "meter 7", compiled, ADDRESS, RATIO, ZoneInfo("Asia/Tashkent"))
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(bus.serve(far), name="bus")
        async with Channel("bus", driver, plugin.line(options), clock) as channel:
            yield Site(channel, station, device)
        serving.cancel()


def times(values: list[Archived]) -> list[int]:
    return sorted({value.time_ms for value in values})


@pytest.mark.parametrize("most_data", [200, 40])
async def test_load_records_tell_every_quarter_what_the_meter_counted(most_data: int) -> None:
    start = NOW_MS // QUARTER_MS * QUARTER_MS - 5 * HOUR_MS
    async with meter(Manners(most_data=most_data)) as site:
        values = await site.read(site.book("load records of class 4"), start, NOW_MS)
        assert times(values) == list(range(start, NOW_MS, QUARTER_MS))
        step = Fraction(10) * 40 * 2
        for value in values:
            assert value.status == GOOD
            assert value.value % step == 0
            assert 0 <= site.shown(value.quantity, value.time_ms) - value.value < step
        assert {value.quantity for value in values} >= {Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_ENERGY_EXPORT}
        assert site.exchanges == 9


async def test_a_load_record_has_the_ratio_of_its_own_time() -> None:
    start = NOW_MS // QUARTER_MS * QUARTER_MS - 2 * HOUR_MS
    change = start + HOUR_MS
    async with meter() as site:
        site.device = replace(site.device, earlier=EarlierRatio(change * (NS // 1000), (20.0, 2.0)))
        values = await site.read(site.book("load records of class 4"), start, NOW_MS)
        assert times(values) == list(range(start, NOW_MS, QUARTER_MS))
        for value in values:
            known = value.value * (2 if value.time_ms < change else 1)
            assert 0 <= site.shown(value.quantity, value.time_ms) - known < Fraction(10) * 40 * 2


async def test_gauges_come_from_the_records_of_their_class() -> None:
    start = NOW_MS // QUARTER_MS * QUARTER_MS - HOUR_MS
    async with meter() as site:
        found: list[Archived] = []
        for number in (1, 2, 3):
            found += await site.read(site.book(f"load records of class {number}"), start, start + 1)
        assert times(found) == [start]
        assert {"VoltageL1", "CurrentL3", "ActivePower", "PowerFactorL2"} <= {value.quantity.path for value in found}
        for value in found:
            assert value.quantity.kind is not Kind.COUNTER
            assert value.value == pytest.approx(site.shown(value.quantity, start), rel=0.02, abs=10)


@pytest.mark.parametrize(
    ("name", "step_ms", "offset_ms"),
    [("hourly freeze 01", HOUR_MS, 0), ("daily freeze 01", DAY_MS, 5 * HOUR_MS)],
)
async def test_freezes_lie_on_the_hours_and_days_of_the_meter(name: str, step_ms: int, offset_ms: int) -> None:
    end = (NOW_MS + offset_ms) // step_ms * step_ms - offset_ms
    start = end - 4 * step_ms
    async with meter() as site:
        values = await site.read(site.book(name), start, end)
        assert times(values) == list(range(start, end, step_ms))
        totals = {value.time_ms: value.value for value in values if value.quantity is Quantity.ACTIVE_ENERGY_IMPORT}
        for time_ms, value in totals.items():
            assert 0 <= site.shown(Quantity.ACTIVE_ENERGY_IMPORT, time_ms) - value < 800
        assert {value.quantity for value in values} >= {Quantity.ACTIVE_ENERGY_IMPORT_T1}


async def test_what_lies_beyond_a_meters_freezes_is_told_as_nothing() -> None:
    async with meter() as site:
        end = NOW_MS // HOUR_MS * HOUR_MS
        assert await site.read(site.book("hourly freeze 01"), end - 70 * HOUR_MS, end - 66 * HOUR_MS) == []
        assert site.driver.recall(site.device, site.book("daily freeze 01"), 0, DAY_MS, NOW_MS) is None
        between = end - HOUR_MS
        assert site.driver.recall(site.device, site.book("hourly freeze 01"), between + 1, end, NOW_MS) is None


async def test_a_meter_without_a_book_refuses_it() -> None:
    absent = frozenset({0x05040101, 0x05040001})
    async with meter(Manners(absent=absent)) as site:
        with pytest.raises(DeviceRefused) as caught:
            await site.read(site.book("hourly freeze 01"), NOW_MS - 2 * HOUR_MS, NOW_MS)
        assert caught.value.reason is Reason.NOT_SUPPORTED


async def test_meters_of_1997_have_no_books() -> None:
    async with meter(Manners(version="1997"), "generic/dlt645-1997") as site:
        assert list(site.driver.books(site.device)) == []


async def test_only_records_of_the_time_that_was_asked_for_are_told() -> None:
    start = NOW_MS // QUARTER_MS * QUARTER_MS - 2 * HOUR_MS
    async with meter() as site:
        values = await site.read(site.book("load records of class 4"), start + QUARTER_MS, start + 2 * QUARTER_MS)
        assert times(values) == [start + QUARTER_MS]
        assert np.isfinite([value.value for value in values]).all()

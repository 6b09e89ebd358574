"""What a simulated Modbus meter kept, asked over real connections: every kind of log against the meter's own books."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from address_space.model.clock import NS, SystemClock
from address_space.model.ids import UnitHandle
from address_space.model.quality import GOOD, Reason
from address_space.model.quantity import Quantity
from drivers.api import Device, EarlierRatio
from drivers.archive import Archive, Archived, Book
from drivers.channel import Channel
from drivers.errors import BadFrame, DeviceRefused
from drivers.modbus import ModbusDriver, Options, compile_profile, plugin
from drivers.profiles import Profile
from drivers.profiles.build import build_profile
from drivers.profiles.document import parse_document
from drivers.simulators import Endpoint, ExceptionAnswer, Fleet, Framing, Garbage, SimulatedMeter, WrongLength
from drivers.simulators.unit import ModbusUnit
from drivers.transport import Lines
from tests.drivers.modbus.log_rig import DAY_MS, HOUR_MS, QUARTER_MS

PAGE = Path(__file__).parents[3] / "docs" / "profiles.md"
NOW_MS = round(datetime(2026, 11, 22, 8, 7, tzinfo=UTC).timestamp()) * 1000
TASHKENT = ZoneInfo("Asia/Tashkent")
IMPORT, VOLTAGE = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.VOLTAGE_L1
HEAD = """\
profile: test/logger
vendor: Test
model: Logger
protocol: modbus
source: [{document: this test}]
points:
  ActiveEnergyImport: {at: 0, type: uint32, unit: Wh}
  VoltageL1: {at: 2, type: uint16, scale: 0.1, unit: V}
"""


def on_the_page() -> str:
    """The example of logs in the documentation."""
    return "modbus:\n" + PAGE.read_text(encoding="utf-8").split("```yaml\nmodbus:\n")[1].split("```")[0]


def profile_of(text: str) -> Profile:
    return build_profile(parse_document(HEAD + text, "logger.yaml"))


def with_log(log: str) -> Profile:
    return profile_of(f"modbus:\n  max_words: 125\n  logs:\n    log: {log}\n")


class Standing(SystemClock):
    """Real waits; the wall clock is moved by hand."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def now_ns(self) -> int:
        return self.ms * (NS // 1000)


@dataclass
class Site:
    """A meter, and a channel to it. So much time goes by with each exchange."""

    clock: Standing
    channel: Channel
    unit: ModbusUnit
    device: Device
    exchanges: int = 0
    step_ms: int = 0

    @property
    def driver(self) -> Archive:
        assert isinstance(self.channel.driver, Archive)
        return self.channel.driver

    def book(self, name: str = "log") -> Book:
        return next(book for book in self.driver.books(self.device) if book.name == name)

    async def read(self, book: Book, start_ms: int, end_ms: int) -> list[Archived]:
        """Everything that a book tells of a time."""
        found: list[Archived] = []
        while start_ms < end_ms:
            request = self.driver.recall(self.device, book, start_ms, end_ms, self.clock.ms)
            if request is None:
                break
            self.exchanges += 1
            before = self.unit.fault_state.requests
            answer = await self.channel.exchange(self.device, request)
            self.clock.ms += self.step_ms
            assert self.unit.fault_state.requests - before <= 1, "more than one frame in an exchange"
            told = self.driver.recalled(self.device, request, answer)
            if not told.again:
                assert told.told_ms > start_ms
                start_ms = told.told_ms
                found += told.values
        return found

    def counted(self, time_ms: int, quantity: Quantity = IMPORT) -> float:
        value = self.unit.values(time_ms // 1000)[quantity.code]
        assert value is not None
        return float(value)


@contextlib.asynccontextmanager
async def meter(
    profile: Profile, framing: Framing = Framing.TCP, ratio: tuple[float, float] = (1.0, 1.0)
) -> AsyncIterator[Site]:
    clock = Standing()
    endpoint = Endpoint(framing=framing)
    fleet = Fleet([SimulatedMeter("m1", profile, endpoint, "1", ratio)], clock)
    async with fleet:
        options = Options.model_validate(
            {
                "host": "127.0.0.1",
                "port": fleet.port(endpoint),
                "framer": framing.value,
                "timeout_ms": 3000,
                "gap_ms": 0,
            }
        )
        driver = ModbusDriver("bus", options, Lines(clock).link("bus", options), clock)
        device = Device(UnitHandle(7), 0, "meter 1", compile_profile(profile), "1", ratio, TASHKENT)
        unit = fleet.meter("m1").device
        assert isinstance(unit, ModbusUnit)
        async with Channel("bus", driver, plugin.line(options), clock) as channel:
            yield Site(clock, channel, unit, device)


def times(values: list[Archived], quantity: Quantity = IMPORT) -> list[int]:
    return [value.time_ms for value in values if value.quantity is quantity]


@pytest.mark.parametrize("framing", list(Framing))
async def test_every_book_tells_what_the_meter_counted(framing: Framing) -> None:
    async with meter(profile_of(on_the_page()), framing) as site:
        books = {book.name: book for book in site.driver.books(site.device)}
        assert list(books) == ["load_profile", "last_hours", "last_days"]
        assert [book.last_resort for book in books.values()] == [False, False, True]
        midnight = NOW_MS // DAY_MS * DAY_MS - 5 * HOUR_MS
        wanted = {
            "load_profile": list(
                range(NOW_MS // QUARTER_MS * QUARTER_MS - 2 * DAY_MS, NOW_MS - 42 * HOUR_MS, QUARTER_MS)
            ),
            "last_hours": list(range(NOW_MS // HOUR_MS * HOUR_MS - 2 * DAY_MS, NOW_MS, HOUR_MS)),
            "last_days": list(range(midnight - 20 * DAY_MS, NOW_MS, DAY_MS)),
        }
        for name, slots in wanted.items():
            values = await site.read(books[name], slots[0], slots[-1] + 1)
            assert times(values) == slots
            for value in values:
                assert value.status == GOOD
                if value.quantity is IMPORT:
                    assert value.value == site.counted(value.time_ms)
                else:
                    assert value.value == pytest.approx(site.counted(value.time_ms, VOLTAGE), abs=0.051)
        assert times(await site.read(books["load_profile"], midnight, midnight + 1), VOLTAGE) == [midnight]


WAYS = {
    "registers of a file": "{file: 3, numbers: registers, first: 100, words: 4, stride: 5, count: 500, newest: "
    "{at: 0x100, type: uint16, means: next, first: 1}",
    "records of a file": "{file: 9, words: 4, count: 500, at_once: 7, first: 1, newest: search",
    "several files": "{file: 2, words: 4, count: 500, per_file: 60, at_once: 35, newest: "
    "{at: 0x100, type: uint16, means: newest}",
    "input registers": "{at: 0x2000, fc: 4, words: 4, stride: 6, count: 500, newest: "
    "{at: 0x100, fc: 4, type: uint32, means: total}",
    "the newest first": "{at: 0x2000, words: 4, count: 500, newest: first",
}
STAMPS = {
    "unix": "{at: 0, format: unix}",
    "unix, low word first": "{at: 0, format: unix, order: CDAB}",
    "its own zone": "{at: 0, format: [year2 month, day hour, minute second], zone: Europe/Berlin}",
    "bcd": "{at: 0, format: [month day, year2 hour, minute second], bcd: true}",
    "utc": "{at: 0, format: [year2 month, day hour, minute second], zone: utc}",
}


def way_of(way: str, stamp: str, energy: int = 2) -> Profile:
    return with_log(
        f"{WAYS[way].replace('words: 4', f'words: {energy + 2}')}, period: 15min, time: {stamp}, "
        f"values: {{ActiveEnergyImport: {{at: {energy}, type: uint32}}}}}}"
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("began_h", [10_000, 30, 0])
async def test_every_way_to_keep_a_log_is_read(way: str, began_h: int) -> None:
    async with meter(way_of(way, STAMPS["unix"])) as site:
        site.unit.log_keeper.begun_ms = NOW_MS - began_h * HOUR_MS
        start = NOW_MS // QUARTER_MS * QUARTER_MS - 2 * DAY_MS
        values = await site.read(site.book(), start, NOW_MS)
        assert {value.time_ms: value.value for value in values} == {
            time_ms: site.counted(time_ms)
            for time_ms in range(start, NOW_MS, QUARTER_MS)
            if time_ms >= NOW_MS - began_h * HOUR_MS
        }


@pytest.mark.parametrize("stamp", STAMPS)
@pytest.mark.parametrize("marks", ["end", "begin"])
async def test_every_way_to_write_a_time_is_read(stamp: str, marks: str) -> None:
    size = 2 if "unix" in stamp else 3
    profile = way_of("records of a file", STAMPS[stamp][:-1] + f", marks: {marks}}}", size)
    async with meter(profile) as site:
        start = NOW_MS // QUARTER_MS * QUARTER_MS - 3 * HOUR_MS
        values = await site.read(site.book(), start, NOW_MS)
        assert {value.time_ms: value.value for value in values} == {
            time_ms: site.counted(time_ms) for time_ms in range(start, NOW_MS, QUARTER_MS)
        }


async def test_months_are_those_of_the_meters_zone() -> None:
    log = "{at: 0x5000, words: 2, count: 12, newest: first, period: 1mo, values: "
    async with meter(with_log(log + "{ActiveEnergyImport: {at: 0, type: uint32}}}")) as site:
        firsts = [datetime(2026, month, 1, tzinfo=TASHKENT) for month in range(6, 12)]
        slots = [round(first.timestamp()) * 1000 for first in firsts]
        values = await site.read(site.book(), slots[0], NOW_MS)
        assert {value.time_ms: value.value for value in values} == {slot: site.counted(slot) for slot in slots}


async def test_values_are_multiplied_with_the_ratio_of_their_time() -> None:
    log = "{file: 1, words: 4, count: 500, newest: search, period: 15min, time: {at: 0, format: unix}, values: "
    profile = with_log(log + "{ActiveEnergyImport: {at: 2, type: uint32, ratio: ptct}}}")
    async with meter(profile, ratio=(40.0, 2.0)) as site:
        start = NOW_MS // QUARTER_MS * QUARTER_MS - HOUR_MS
        change = start + 2 * QUARTER_MS
        site.device = replace(site.device, earlier=EarlierRatio(change * (NS // 1000), (20.0, 2.0)))
        values = await site.read(site.book(), start, NOW_MS)
        assert times(values) == list(range(start, NOW_MS, QUARTER_MS))
        for value in values:
            known = value.value * (2 if value.time_ms < change else 1)
            assert 0 <= site.counted(value.time_ms) - known < 80


async def test_a_meter_without_its_log_refuses_it() -> None:
    profile = way_of("records of a file", STAMPS["unix"])
    bare = profile_of("modbus: {max_words: 125}\n")
    async with meter(bare) as site:
        site.device = replace(site.device, profile=compile_profile(profile))
        with pytest.raises(DeviceRefused) as caught:
            await site.read(site.book(), NOW_MS - HOUR_MS, NOW_MS)
        assert caught.value.reason is Reason.NOT_SUPPORTED
        assert "exception 1" in str(caught.value)


async def test_a_profile_without_logs_has_no_books() -> None:
    async with meter(profile_of("modbus: {max_words: 125}\n")) as site:
        assert not site.driver.books(site.device)


@pytest.mark.parametrize("fault", [WrongLength(1), WrongLength(-3), Garbage(30)])
async def test_a_wrong_answer_is_told_and_the_search_goes_on_later(fault) -> None:
    async with meter(way_of("records of a file", STAMPS["unix"])) as site:
        start = NOW_MS // QUARTER_MS * QUARTER_MS - HOUR_MS
        site.unit.fault_state.set((fault,), site.clock.now_ns())
        with pytest.raises(BadFrame):
            await site.read(site.book(), start, NOW_MS)
        site.unit.fault_state.set((), site.clock.now_ns())
        assert len(times(await site.read(site.book(), start, NOW_MS))) == 5


async def test_a_busy_meter_is_no_meter_without_a_log() -> None:
    async with meter(way_of("records of a file", STAMPS["unix"])) as site:
        site.unit.fault_state.set((ExceptionAnswer(6),), site.clock.now_ns())
        with pytest.raises(DeviceRefused) as caught:
            await site.read(site.book(), NOW_MS - HOUR_MS, NOW_MS)
        assert caught.value.reason is not Reason.NOT_SUPPORTED
        assert caught.value.retryable


# records without a time

DAYS = (
    "{at: 0x6000, words: 2, count: 31, newest: first, period: 1d, values: {ActiveEnergyImport: {at: 0, type: uint32}}}"
)
MIDNIGHT_MS = NOW_MS // DAY_MS * DAY_MS - 5 * HOUR_MS
CLOCK = "  clock: {at: 0x0300, format: cp56}\n"


async def test_undated_records_are_not_asked_for_about_midnight_where_the_meters_clock_is_unknown() -> None:
    async with meter(with_log(DAYS)) as site:
        site.clock.ms = MIDNIGHT_MS + 50 * 60_000
        with pytest.raises(DeviceRefused, match="a period ends about now") as caught:
            await site.read(site.book(), MIDNIGHT_MS - 3 * DAY_MS, MIDNIGHT_MS)
        assert caught.value.reason is not Reason.NOT_SUPPORTED
        assert site.exchanges == 0
        site.clock.ms = MIDNIGHT_MS + 70 * 60_000
        values = await site.read(site.book(), MIDNIGHT_MS - 3 * DAY_MS, MIDNIGHT_MS)
        assert {value.time_ms: value.value for value in values} == {
            at: site.counted(at) for at in range(MIDNIGHT_MS - 3 * DAY_MS, MIDNIGHT_MS, DAY_MS)
        }


@pytest.mark.parametrize("off_s", [-200.0, 200.0])
@pytest.mark.parametrize("minute", [-2, 0, 2])
async def test_undated_records_are_those_of_the_meters_own_midnights(off_s: float, minute: int) -> None:
    profile = profile_of(f"modbus:\n  max_words: 125\n{CLOCK}  logs:\n    log: {DAYS}\n")
    async with meter(profile) as site:
        site.unit.clock_off_s = off_s
        site.clock.ms = MIDNIGHT_MS + minute * 60_000
        values = await site.read(site.book(), MIDNIGHT_MS - 3 * DAY_MS, MIDNIGHT_MS)
        assert {value.time_ms: value.value for value in values} == {
            at: site.counted(at - round(off_s * 1000)) for at in range(MIDNIGHT_MS - 3 * DAY_MS, MIDNIGHT_MS, DAY_MS)
        }


@pytest.mark.parametrize("before_s", [30, 90])
async def test_undated_records_that_move_on_while_they_are_read_are_read_again(before_s: int) -> None:
    profile = profile_of(f"modbus:\n  max_words: 125\n{CLOCK}  logs:\n    log: {DAYS}\n")
    async with meter(profile) as site:
        site.clock.ms, site.step_ms = MIDNIGHT_MS - before_s * 1000, 60_000
        values = await site.read(site.book(), MIDNIGHT_MS - 3 * DAY_MS, MIDNIGHT_MS)
        assert {value.time_ms: value.value for value in values} == {
            at: site.counted(at) for at in range(MIDNIGHT_MS - 3 * DAY_MS, MIDNIGHT_MS, DAY_MS)
        }


async def test_a_meter_whose_clock_is_wrong_has_no_undated_records() -> None:
    profile = profile_of(f"modbus:\n  max_words: 125\n{CLOCK}  logs:\n    log: {DAYS}\n")
    async with meter(profile) as site:
        site.unit.clock_off_s = 2 * 3600.0
        with pytest.raises(DeviceRefused, match="off by minutes"):
            await site.read(site.book(), MIDNIGHT_MS - DAY_MS, MIDNIGHT_MS)


async def test_a_midnight_that_passes_while_the_registers_are_read_is_noticed() -> None:
    profile = profile_of(f"modbus:\n  max_words: 125\n{CLOCK}  logs:\n    log: {DAYS}\n")
    async with meter(profile) as site:
        site.clock.ms = MIDNIGHT_MS - 1500
        book, start = site.book(), MIDNIGHT_MS - 3 * DAY_MS
        found: list[Archived] = []
        while start < MIDNIGHT_MS - DAY_MS:
            request = site.driver.recall(site.device, book, start, MIDNIGHT_MS - DAY_MS, site.clock.ms)
            assert request is not None
            told = site.driver.recalled(site.device, request, await site.channel.exchange(site.device, request))
            site.clock.ms += 1000
            if not told.again:
                start = told.told_ms
                found += told.values
        assert {value.time_ms: value.value for value in found} == {
            at: site.counted(at) for at in (MIDNIGHT_MS - 3 * DAY_MS, MIDNIGHT_MS - 2 * DAY_MS)
        }


async def test_an_undated_ring_that_goes_on_while_it_is_read_is_read_again() -> None:
    log = (
        "{at: 0x6000, words: 2, count: 96, newest: {at: 0x100, type: uint16, means: next}, period: 15min, "
        "values: {ActiveEnergyImport: {at: 0, type: uint32}}}"
    )
    profile = profile_of(f"modbus:\n  max_words: 125\n{CLOCK}  logs:\n    log: {log}\n")
    async with meter(profile) as site:
        end = NOW_MS // QUARTER_MS * QUARTER_MS + QUARTER_MS
        site.clock.ms = end - 2500
        book, start = site.book(), end - HOUR_MS
        found: list[Archived] = []
        while start < end - QUARTER_MS:
            request = site.driver.recall(site.device, book, start, end - QUARTER_MS, site.clock.ms)
            assert request is not None
            told = site.driver.recalled(site.device, request, await site.channel.exchange(site.device, request))
            site.clock.ms += 1000
            if not told.again:
                start = told.told_ms
                found += told.values
        assert {value.time_ms: value.value for value in found} == {
            at: site.counted(at) for at in range(end - HOUR_MS, end - QUARTER_MS, QUARTER_MS)
        }


async def test_two_searches_of_one_meter_do_not_disturb_each_other() -> None:
    async with meter(way_of("records of a file", STAMPS["unix"])) as site:
        book = site.book()
        begun = NOW_MS // QUARTER_MS * QUARTER_MS - 20 * HOUR_MS
        spans = [(begun, begun + 1), (begun + HOUR_MS, begun + HOUR_MS + 1)]
        found: dict[int, float] = {}
        for _ in range(60):
            for start, end in list(spans):
                request = site.driver.recall(site.device, book, start, end, site.clock.ms)
                assert request is not None
                told = site.driver.recalled(site.device, request, await site.channel.exchange(site.device, request))
                if not told.again:
                    spans.remove((start, end))
                    found.update({value.time_ms: value.value for value in told.values})
        assert found == {at: site.counted(at) for at in (begun, begun + HOUR_MS)}

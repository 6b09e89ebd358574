"""A meter of 2007 whose bytes are put together here by hand, and not by the hub's own codecs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from address_space.model.clock import NS, SystemClock
from address_space.model.ids import UnitHandle
from address_space.model.quantity import Quantity
from drivers.api import Device
from drivers.archive import Archived, Book
from drivers.dlt645 import Dlt645Driver, Options, plugin
from drivers.errors import ChannelDown
from drivers.profiles import load_library
from drivers.transport import PairLink, pair

LIBRARY = load_library()
ADDRESS = "202611220017"
NO_SUCH_DATA = 0x02
ZONE = ZoneInfo("Asia/Tashkent")
DATE, TIME = bytes.fromhex("01010004"), bytes.fromhex("02010004")
Record = tuple[bytes, bytes]


def bcd(number: int, size: int) -> bytes:
    """Decimal digits, low byte first."""
    return bytes.fromhex(f"{number:0{2 * size}d}")[::-1]


def minute(local: datetime) -> bytes:
    """Minute, hour, day, month, year."""
    return b"".join(bcd(part, 1) for part in (local.minute, local.hour, local.day, local.month, local.year % 100))


def framed(control: int, data: bytes) -> bytes:
    """A whole frame of this meter: 33H added, sum behind."""
    body = b"\x68" + bytes.fromhex(ADDRESS)[::-1] + b"\x68" + bytes((control, len(data)))
    body += bytes((byte + 0x33) % 256 for byte in data)
    return b"\xfe\xfe" + body + bytes((sum(body) % 256, 0x16))


def record(stamp: bytes, of_class: int, values: bytes) -> bytes:
    """A load record with all six parts, of which one is filled."""
    parts = [values if number == of_class else b"" for number in range(1, 7)]
    return sealed(stamp, b"".join(part + b"\xaa" for part in parts))


def sealed(stamp: bytes, parts: bytes) -> bytes:
    """A load record: A0 A0, length, time, parts, sum, E5."""
    made = b"\xa0\xa0" + bytes((5 + len(parts),)) + stamp + parts
    return made + bytes((sum(made) % 256, 0xE5))


def energies(*hundredths: int) -> bytes:
    """Registers with two decimals."""
    return b"".join(bcd(each, 4) for each in hundredths)


@dataclass
class HandMeter:
    """What it holds, by the order in which it was written.

    now       what its clock shows
    loads     load records of each class: time stamp and record, as they lie in the ring
    freezes   by what froze them: moment and values by identifier byte, the newest first
    answers   data of an answer by what a request begins with (whole data, low byte first), or an error byte
    before    called with each request before it is answered
    """

    now: datetime
    loads: dict[int, list[Record]] = field(default_factory=dict)
    freezes: dict[int, list[tuple[datetime, dict[int, bytes]]]] = field(default_factory=dict)
    answers: dict[bytes, bytes | int] = field(default_factory=dict)
    before: Callable[[bytes], None] = lambda _: None
    break_off_after: int | None = None
    asked: list[bytes] = field(default_factory=list)

    async def serve(self, link: PairLink) -> None:
        """Answer until the line is closed."""
        heard = b""
        with contextlib.suppress(ChannelDown):
            while True:
                heard += await link.receive(3600)
                begin = heard.find(b"\x68")
                if begin < 0 or len(heard) < begin + 12 or len(heard) < begin + 12 + heard[begin + 9]:
                    continue
                control, size = heard[begin + 8], heard[begin + 9]
                data = bytes((byte - 0x33) % 256 for byte in heard[begin + 10 : begin + 10 + size])
                heard = b""
                answer = self._answer(control, data)
                if answer is not None:
                    link.send(answer)

    def _answer(self, control: int, data: bytes) -> bytes | None:
        self.asked.append(data)
        self.before(data)
        if control == 0x12:
            return None
        found = self._data(data)
        if isinstance(found, int):
            return framed(control | 0xC0, bytes((found,)))
        if self.break_off_after is not None and data[3] == 0x06:
            return framed(control | 0xA0, data[:4] + found[: self.break_off_after])
        return framed(control | 0x80, data[:4] + found)

    def _data(self, data: bytes) -> bytes | int:
        if (fixed := next((self.answers[each] for each in self.answers if data.startswith(each)), None)) is not None:
            return fixed
        if data[:4] == DATE:
            weekday = self.now.isoweekday() % 7
            return b"".join(bcd(each, 1) for each in (weekday, self.now.day, self.now.month, self.now.year % 100))
        if data[:4] == TIME:
            return b"".join(bcd(each, 1) for each in (self.now.second, self.now.minute, self.now.hour))
        if data[3] == 0x06:
            return self._load(data)
        return self._frozen(data) if data[3] == 0x05 else NO_SUCH_DATA

    def _load(self, data: bytes) -> bytes | int:
        """00: the oldest ones, 01: from a time on, as they lie."""
        ring = self.loads.get(data[2], [])
        first = 0
        if data[0] == 1:
            asked = data[9:4:-1]
            first = next((place for place, (stamp, _) in enumerate(ring) if stamp[::-1] >= asked), len(ring))
        count = int(data[4:5].hex())
        return b"".join(made for _, made in ring[first : first + count]) or NO_SUCH_DATA

    def _frozen(self, data: bytes) -> bytes | int:
        nth, what, mode = data[0], data[1], data[2]
        kept = self.freezes.get(mode, [])
        if not 1 <= nth <= len(kept):
            return NO_SUCH_DATA
        at, values = kept[nth - 1]
        return minute(at) if what == 0 else values.get(what, NO_SUCH_DATA)

    def keep(self, of_class: int, at: datetime, values: bytes) -> None:
        """Write a load record behind the others."""
        self.loads.setdefault(of_class, []).append((minute(at), record(minute(at), of_class, values)))


class Standing(SystemClock):
    """Real waits; the wall clock shows what it is told."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def now_ns(self) -> int:
        return self.now_ms * (NS // 1000)


@dataclass
class Talking:
    """A hand-made meter and the driver that asks it."""

    meter: HandMeter
    driver: Dlt645Driver
    device: Device
    clock: Standing
    zone: tzinfo
    requests: int = 0

    def ms(self, local: datetime) -> int:
        """When the meter's clock shows this, of two times the first."""
        return round(local.replace(tzinfo=self.zone).astimezone(UTC).timestamp() * 1000)

    def book(self, name: str) -> Book:
        """A book by its name."""
        return next(book for book in self.driver.books(self.device) if book.name == name)

    async def read(self, name: str, start_ms: int, end_ms: int) -> dict[int, dict[Quantity, float]]:
        """Good values that a book tells of a time, asked for as the hub does: where it told nothing yet."""
        found: dict[int, dict[Quantity, float]] = {}
        for value in await self.told(name, start_ms, end_ms):
            if value.status == 0:
                of_time = found.setdefault(value.time_ms, {})
                assert of_time.get(value.quantity, value.value) == value.value
                of_time[value.quantity] = value.value
        return found

    async def told(self, name: str, start_ms: int, end_ms: int) -> list[Archived]:
        """Everything that a book tells of a time."""
        found: list[Archived] = []
        book, now_ms = self.book(name), self.clock.now_ms
        while start_ms < end_ms:
            request = self.driver.recall(self.device, book, start_ms, end_ms, now_ms)
            if request is None:
                break
            frames = len(self.meter.asked)
            answer = await self.driver.request(self.device, request)
            assert len(self.meter.asked) == frames + 1, "one exchange, so that others pass between any two"
            self.requests += 1
            told = self.driver.recalled(self.device, request, answer)
            found += told.values
            if not told.again:
                assert told.told_ms > start_ms
                start_ms = told.told_ms
        return found


@contextlib.asynccontextmanager
async def talking(
    now: datetime, zone: tzinfo = ZONE, profile: str = "generic/dlt645-2007-three-phase", **changes: object
) -> AsyncIterator[Talking]:
    """A meter whose clock and the hub's show the same local time."""
    near, far = pair()
    clock = Standing(round(now.replace(tzinfo=zone).timestamp() * 1000))
    options = Options.model_validate({"host": "m", "port": 1, "timeout_ms": 150, "gap_ms": 0})
    driver = Dlt645Driver("bus", options, near, clock)
    device = Device(UnitHandle(7), 0, "meter 7", plugin.compile(LIBRARY.get(profile)), ADDRESS, (1.0, 1.0), zone)
    made = Talking(HandMeter(now), driver, replace(device, **changes), clock, zone)  # type: ignore[arg-type]
    await driver.open()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(made.meter.serve(far), name="meter")
        try:
            yield made
        finally:
            await driver.close()
            serving.cancel()


def every(first: datetime, count: int, minutes: int = 15) -> list[datetime]:
    """Local times with so many minutes between them."""
    return [first + timedelta(minutes=minutes * place) for place in range(count)]

"""Logs without a line: a device's memory as a list, and searches that run against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC

from drivers.modbus import CompiledProfile, compile_profile
from drivers.modbus.log_reader import Known, Page
from drivers.modbus.log_search import Search
from drivers.modbus.logs import Ask, FileShelf, Log, Pointer, RegisterShelf
from drivers.modbus.plan import Read
from drivers.profiles.build import build_profile
from drivers.profiles.document import parse_document

HEAD = """\
profile: test/meter
vendor: Test
model: Meter
protocol: modbus
source: [{document: this test}]
points:
  ActiveEnergyImport: {at: 0, type: uint32, unit: Wh}
  VoltageL1: {at: 2, type: uint16, scale: 0.1, unit: V}
"""
POINTER = 0x7000
SHELF = 0x1000
QUARTER_MS, HOUR_MS, DAY_MS = 900_000, 3_600_000, 86_400_000


def profile_of(logs: str, *, section: str = "", head: str = HEAD) -> CompiledProfile:
    """A profile with these logs, given as the lines below `logs:` without their first indentation."""
    text = "".join(f"    {line}\n" for line in logs.strip("\n").splitlines())
    return compile_profile(build_profile(parse_document(f"{head}modbus:\n{section}  logs:\n{text}", "meter.yaml")))


def log_of(logs: str, **how: str) -> Log:
    """The only log of such a profile."""
    (log,) = profile_of(logs, **how).makes[0].logs
    return log


def stamped(newest: str, count: int, *, most: int = 4, extra: str = "") -> Log:
    """A log of records of four registers in registers: seconds since 1970, and the register of energy."""
    return log_of(
        f"""
log:
  at: {SHELF}
  words: 4
  count: {count}
  max_words: {4 * most}
  newest: {newest}
  period: 15min
  {extra}
  time: {{at: 0, format: unix}}
  values:
    ActiveEnergyImport: {{at: 2, type: uint32}}
"""
    )


def pointing(means: str, first: int = 0) -> str:
    """A pointer register."""
    return f"{{at: {POINTER}, type: uint32, means: {means}, first: {first}}}"


def record(time_ms: int | None, energy: int) -> bytes:
    """A record, or one that was never written."""
    if time_ms is None:
        return b"\xff" * 8
    return (time_ms // 1000).to_bytes(4, "big") + energy.to_bytes(4, "big")


@dataclass
class Memory:
    """A device's log: all records it ever made, oldest first. `lost` are places whose record is broken; `refuses`
    says what it does when it is asked for what was never written."""

    log: Log
    made: list[bytes]
    lost: set[int] = field(default_factory=set)
    refuses: bool = False
    asked: list[Ask] = field(default_factory=list)

    def slots(self) -> list[bytes]:
        count, made = self.log.count, self.made
        blank = b"\xff" * (2 * self.log.words)
        if self.log.moves:
            held = (made[::-1] + [blank] * count)[:count]
        elif self.log.ring:
            held = [blank] * count
            for number in range(max(0, len(made) - count), len(made)):
                held[number % count] = made[number]
        else:
            held = (made[:count] + [blank] * count)[:count]
        return [b"\xfe" * len(each) if place in self.lost else each for place, each in enumerate(held)]

    def answer(self, ask: Ask) -> bytes | None:
        self.asked.append(ask)
        pointer = self.log.newest
        if isinstance(ask, Read) and ask.address == POINTER:
            assert isinstance(pointer, Pointer)
            total, count = len(self.made), self.log.count
            value = {"total": total, "next": total % count, "newest": (total - 1) % count if total else 0xFFFFFFFF}
            if not self.log.ring:
                total = min(total, count)
                value = {"total": total, "next": total, "newest": total - 1 if total else 0xFFFFFFFF}
            shown = value[pointer.means] + (pointer.first if value[pointer.means] != 0xFFFFFFFF else 0)
            return (shown if pointer.means != "total" else total).to_bytes(4, "big")
        shelf, slots = self.log.shelf, self.slots()
        if isinstance(shelf, RegisterShelf):
            assert isinstance(ask, Read)
            first, count = (ask.address - shelf.address) // shelf.stride, ask.words // shelf.stride
        else:
            assert isinstance(shelf, FileShelf)
            assert not isinstance(ask, Read)
            first, count = ask.groups[0].number, len(ask.groups)
        told = slots[first : first + count]
        assert len(told) == count, f"{ask} lies outside the log"
        blank = b"\xff" * (2 * self.log.words)
        return None if self.refuses and blank in told else b"".join(told)


def look(
    memory: Memory,
    known: Known,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    during: Iterator[None] | None = None,
) -> Page:
    """Run one search; `during` goes on once after each answer."""
    steps = Search(memory.log, known, (start_ms, end_ms), UTC, lambda: now_ms, None, "meter").steps()
    data: bytes | None = None
    try:
        ask = next(steps)
        while True:
            data = memory.answer(ask)
            if during is not None:
                next(during, None)
            ask = steps.send(data)
    except StopIteration as ended:
        page: Page = ended.value
        return page


def everything(
    memory: Memory,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    during: Iterator[None] | None = None,
    known: Known | None = None,
) -> dict[int, int]:
    """All that a log tells of a time, by time."""
    known = known or Known()
    found: dict[int, int] = {}
    while start_ms < end_ms:
        page = look(memory, known, start_ms, end_ms, now_ms, during=during)
        assert not page.refused
        assert page.told_ms > start_ms
        for time_ms, data in page.records:
            if start_ms <= time_ms < end_ms:
                found.setdefault(time_ms, int.from_bytes(data[4:], "big"))
        start_ms = -(-page.told_ms // QUARTER_MS) * QUARTER_MS
    return found


def numbers(times: Sequence[int]) -> list[bytes]:
    """Records at these times whose energy is their number."""
    return [record(time_ms, number) for number, time_ms in enumerate(times, 1)]

"""Logs of events without a line: a simulated meter's places, and walks that run against them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from drivers.modbus.event_logs import EventTable
from drivers.modbus.event_walk import EventPage, EventWalk
from drivers.modbus.log_reader import Known
from drivers.modbus.logs import Ask
from drivers.modbus.plan import Read
from drivers.simulators.modbus_event_log import EventJournal
from drivers.simulators.pdu import Refused
from drivers.simulators.record_shelf import RecordShelf
from tests.drivers.modbus.log_rig import HEAD, profile_of

START_MS = round(datetime(2026, 11, 22, 8, 0, tzinfo=UTC).timestamp()) * 1000
COUNT = 20
POINTER = "{at: 0x7000, type: uint32, means: %s, first: %d}"
WAYS = {
    "next": f"at: 0x1000\nwords: 5\nnewest: {POINTER % ('next', 0)}\nmax_words: 15",
    "newest, from 1": f"at: 0x1000\nfc: 4\nwords: 5\nstride: 8\nnewest: {POINTER % ('newest', 1)}",
    "total": f"at: 0x1000\nwords: 5\nnewest: {POINTER % ('total', 0)}\nmax_words: 5",
    "search": "at: 0x1000\nwords: 5\nnewest: search\nmax_words: 20",
    "first": "at: 0x1000\nwords: 5\nnewest: first\nmax_words: 30",
    "records of a file": f"file: 4\nwords: 5\nfirst: 1\nnewest: {POINTER % ('next', 0)}",
    "several at once": f"file: 4\nwords: 5\nat_once: 7\nnewest: {POINTER % ('total', 0)}",
    "registers of a file": "file: 4\nwords: 5\nnumbers: registers\nnewest: search\nmax_words: 20",
    "several files": f"file: 4\nwords: 5\nat_once: 4\nper_file: 6\nnewest: {POINTER % ('newest', 0)}",
    "no ring": f"at: 0x1000\nwords: 5\nring: false\nnewest: {POINTER % ('next', 0)}",
}


def table_of(way: str, extra: str = "", count: int = COUNT) -> EventTable:
    """A log of events of five registers: seconds since 1970, a number, a value, a checksum."""
    lines = [
        *WAYS.get(way, way).splitlines(),
        f"count: {count}",
        "time: {at: 0, format: unix}",
        "code: {at: 2, type: uint16}",
        "value: {at: 3, type: uint16, scale: 0.1, unit: V}",
        "checksum: {at: 4, kind: sum16}",
        *extra.splitlines(),
    ]
    text = "event_logs:\n    log:\n" + "".join(f"      {line}\n" for line in lines)
    section = f"  {text}"
    (table,) = profile_of("{}", section=section, head=HEAD).makes[0].event_logs
    return table


@dataclass
class Meter:
    """A meter's log; `asked` are the requests that it got."""

    table: EventTable
    known: Known = field(default_factory=Known)
    asked: list[Ask] = field(default_factory=list)
    refuses: bool = False

    def __post_init__(self) -> None:
        self.journal = EventJournal(self.table, UTC)
        self.shelf = RecordShelf(self.table, self.journal)

    def add(self, *codes: int, after_s: int = 0, step_s: int = 60) -> None:
        """Record events, a minute apart."""
        for place, code in enumerate(codes):
            self.journal.add(code, START_MS + (after_s + place * step_s) * 1000, code)

    def answer(self, ask: Ask) -> bytes | None:
        """What it says."""
        self.asked.append(ask)
        try:
            if isinstance(ask, Read):
                data = self.shelf.read_words(ask.fc, ask.address, ask.words, 0)
            else:
                parts = [self.shelf.read_file(group.file, group.number, group.words, 0) for group in ask.groups]
                data = None if None in parts else b"".join(part for part in parts if part is not None)
        except Refused:
            return None
        assert data is not None, f"{ask} lies outside the log"
        blank = b"\xff" * (2 * self.table.words)
        return None if self.refuses and blank in data else data

    def walk(
        self,
        marks: Collection[bytes] = (),
        during: Iterator[None] | None = None,
        now_ms: int = START_MS + 86_400_000,
    ) -> EventPage:
        """Run one walk; `during` goes on once after each answer."""
        steps = EventWalk(self.table, self.known, marks, UTC, lambda: now_ms, "meter").steps()
        try:
            ask = next(steps)
            while True:
                data = self.answer(ask)
                if during is not None:
                    next(during, None)
                ask = steps.send(data)
        except StopIteration as ended:
            page: EventPage = ended.value
            return page


def codes(page: EventPage) -> list[int]:
    """The numbers of the events, newest first."""
    return [event.code for event in page.events]

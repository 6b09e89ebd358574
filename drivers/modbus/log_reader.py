"""Reading a log one request after the other, whoever sends them: places and ages of records, and the newest one.

What reads is a generator: it yields what is to be read and is sent the registers, or None where the device says that
it has no such record.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, NamedTuple

from drivers.codec import to_words
from drivers.errors import BadFrame
from drivers.modbus.decode import decode_registers
from drivers.modbus.logs import SEARCH, Ask, Pointer, RecordTable
from drivers.modbus.plan import Read

MOST_TURNS: Final = 40
"""Reads after which a search leads nowhere: halving takes 16 of the longest log."""
GUESSES: Final = 4
"""Reads at the place that the time between records suggests, before what is left is halved."""


@dataclass(frozen=True, slots=True)
class Page:
    """Records found, each with the time it is of, ascending; all that there are up to, not including, `told_ms`.

    refused  the device has no such log
    """

    records: Sequence[tuple[int, bytes]]
    told_ms: int
    refused: bool = False


REFUSED: Final = Page((), 0, refused=True)


@dataclass(slots=True)
class Known:
    """What is known of one device's log: where its newest record is, how many there are, when one of them was made, and
    what a pointer told that counts all of them."""

    newest: int | None = None
    held: int = 0
    total: int | None = None
    anchor: tuple[int, int] | None = None
    answered: bool = False

    def forget(self) -> None:
        """Where records lie."""
        self.newest = self.anchor = None


class Found(NamedTuple):
    """A record that was read: how many are newer, and when it was made, None where it is none."""

    age: int
    time_ms: int | None
    certain: bool
    data: bytes


class _Edge:
    """Where a log that is filled in turn breaks off: `low` is the last place known not to be older than its first
    record, `high` the next one known to be older, or empty (`guessed`)."""

    def __init__(self, times: Sequence[tuple[int, int | None]], count: int) -> None:
        self.low, self.low_ms = next((slot, time_ms) for slot, time_ms in times if time_ms is not None)
        self.high = self._count = count
        self.guessed = False
        self._first_ms = self.low_ms
        self.learn(times)

    def learn(self, times: Sequence[tuple[int, int | None]]) -> None:
        """Places that were read, ascending, and the times of their records."""
        newer = [(slot, time_ms) for slot, time_ms in times if time_ms is not None and time_ms >= self._first_ms]
        older = [slot for slot, time_ms in times if time_ms is not None and time_ms < self._first_ms]
        if newer and newer[-1][0] > self.low:
            self.low, self.low_ms = newer[-1]
            if self.low >= self.high and self.guessed:
                self.high, self.guessed = self._count, False
        if older:
            self.high, self.guessed = min(self.high, older[0]), False
        empty = {slot for slot, time_ms in times if time_ms is None}
        last = times[-1][0]
        if last in empty and last < self.high:
            self.high, self.guessed = last, True
        while self.high - 1 > self.low and self.high - 1 in empty:
            self.high -= 1


class LogReader:
    """Reads one device's log. `end_ms` is up to when its records are wanted, `now_ms` tells the hub's time."""

    def __init__(
        self, log: RecordTable, known: Known, end_ms: int, zone: tzinfo, now_ms: Callable[[], int], where: str
    ) -> None:
        self.log = log
        self.known = known
        self.zone = zone
        self.now_ms = now_ms
        self.where = where
        self._end_ms = end_ms
        self._ages_from: int | None = None
        """The place that ages count from while the newest record is not known yet."""

    def find_newest(self) -> Generator[Ask, bytes | None, Page | None]:
        """Learn where the newest record is; a page where there is none."""
        log, known = self.log, self.known
        if isinstance(log.newest, Pointer):
            return (yield from self._read_pointer(log.newest))
        if log.newest == SEARCH:
            return (yield from self._search_newest())
        known.newest, known.held = 0, log.count
        return None

    def _read_pointer(self, pointer: Pointer) -> Generator[Ask, bytes | None, Page | None]:
        log, known = self.log, self.known
        held: dict[int, int] = {}
        for address, count in pointer.register.runs:
            words = yield Read(pointer.register.fc, address, count)
            if words is None:
                return REFUSED
            held.update(enumerate(to_words(words), address))
        value = decode_registers(pointer.register, held)
        if value == (1 << pointer.register.type.bits) - 1:
            return Page((), self._end_ms)  # all ones: there is no record yet
        told = int(value) - pointer.first if isinstance(value, int) else -1
        if pointer.means == "total":
            known.total = told + pointer.first
            known.held = min(max(known.total, 0), log.count)
            newest = (told + pointer.first - 1) % log.count if log.ring else known.held - 1
        else:
            newest = told - (pointer.means == "next")
            if log.ring and newest == -1 and told == 0:
                newest = log.count - 1
            known.held = log.count if log.ring else newest + 1
        if known.held <= 0 or newest < 0:
            return Page((), self._end_ms)
        if newest >= log.count:
            raise BadFrame(
                f"the log {log.name} has {log.count} records and its pointer tells {value}",
                where=self.where,
                hint="compare count and newest of the log with the manual",
            )
        known.newest = newest
        return None

    def _search_newest(self) -> Generator[Ask, bytes | None, Page | None]:
        """The last record that is not older than the first one, by halving what lies between."""
        log, known = self.log, self.known
        self._ages_from = log.count - 1
        begin = yield from self.read(log.count - 1)
        if begin is None:
            return REFUSED
        times = self._times(begin)
        if all(time_ms is None for _, time_ms in times):
            self._ages_from = known.newest = None
            return Page((), self._end_ms)
        edge = _Edge(times, log.count)
        behind = log.slots(0, log.count)
        for turn in range(MOST_TURNS):
            if edge.high - edge.low > 1:
                slot = (edge.low + edge.high) // 2
                if log.spacing_ms and turn < GUESSES:
                    by_time = edge.low + (self.now_ms() - edge.low_ms) // log.spacing_ms
                    slot = min(max(by_time, edge.low + 1), edge.high - 1)
            elif edge.guessed and edge.high + behind // 2 < log.count:
                slot = min(edge.high + behind, log.count - 1)  # are there newer ones behind what is empty or broken?
                behind *= 2
            else:
                break
            found = yield from self.read(log.count - 1 - slot)
            if found is None:
                return REFUSED
            edge.learn(self._times(found))
        else:
            raise BadFrame(
                f"the newest record of the log {log.name} cannot be found",
                where=self.where,
                hint="compare count, words and time of the log with the manual",
            )
        self._ages_from = None
        known.newest, known.anchor = edge.low, (edge.low, edge.low_ms)
        known.held = log.count if log.ring else edge.low + 1
        return None

    def _times(self, found: Iterable[Found]) -> list[tuple[int, int | None]]:
        return [(self.slot(each.age), each.time_ms) for each in found]

    @property
    def _newest(self) -> int:
        return (self.known.newest or 0) if self._ages_from is None else self._ages_from

    def slot(self, age: int) -> int:
        """Place of the record of which so many are newer."""
        if self.log.moves:
            return age
        slot = self._newest - age
        return slot % self.log.count if self.log.ring else slot

    def age(self, slot: int) -> int:
        """How many records are newer than that of a place."""
        if self.log.moves:
            return slot
        age = self._newest - slot
        return age % self.log.count if self.log.ring else max(age, 0)

    def read(self, age: int) -> Generator[Ask, bytes | None, list[Found] | None]:
        """The record of an age and as many newer ones as come with it, oldest first; None where the device has no
        record at all. Of those that it refuses only the first is told, as none."""
        log, known = self.log, self.known
        if log.moves:
            count = log.slots(0, age + 1)
            slot = age - count + 1
            count = min(count, log.slots(slot, count))
        else:
            slot = self.slot(age)
            count = log.slots(slot, age + 1)
        data = yield log.shelf.ask(slot, count)
        if data is None and count > 1:  # it may be that only some of them are not there
            slot, count = self.slot(age), 1
            data = yield log.shelf.ask(slot, count)
        if data is None:
            if not known.answered and log.stamp is not None:
                return None
            return [Found(age, None, certain=False, data=b"")]
        known.answered = True
        records = log.shelf.records(count, data)
        if log.moves:
            records.reverse()
        now_ms = self.now_ms()
        found: list[Found] = []
        for place, record in enumerate(records):
            dated = log.dated(record, self.zone, now_ms)
            time_ms = dated.time_ms if dated is not None else None
            found.append(Found(age - place, time_ms, certain=dated is not None and dated.certain, data=record))
            if time_ms is not None:
                known.anchor = (self.slot(age - place), time_ms)
        return found

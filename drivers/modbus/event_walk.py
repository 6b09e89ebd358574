"""Reading a log of events from its newest record back to those that are known, one request after the other.

Records have no period, so that nothing but the log itself tells where one lies. One that is not whole is left out; it
is read again as long as no known one is newer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from drivers.errors import BadFrame
from drivers.event_archive import LogEvent
from drivers.modbus.event_logs import EventTable
from drivers.modbus.log_reader import Known, LogReader
from drivers.modbus.logs import AHEAD_MS, Ask, FileShelf, Pointer, is_blank

TRIES: Final = 3
"""How often reading begins anew because the records moved on meanwhile."""
BLANKS: Final = 4
"""So many empty places in a row are the end of what was written."""
MOST_NUMBER_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class EventPage:
    """What a walk found, newest first; `met`, `full` and `ahead` as in `RecalledEvents`.

    refused  the device has no such log
    """

    events: Sequence[LogEvent] = ()
    met: bool = False
    full: bool = False
    ahead: int = 0
    refused: bool = False


WalkSteps = Generator[Ask, bytes | None, EventPage]


class EventWalk:
    """One walk through a device's log, until records whose marks are `known`. `now_ms` tells the hub's time."""

    def __init__(
        self,
        table: EventTable,
        known: Known,
        marks: Collection[bytes],
        zone: tzinfo,
        now_ms: Callable[[], int],
        where: str,
    ) -> None:
        self._table = table
        self._known = known
        self._marks = marks
        self._zone = zone
        self._now_ms = now_ms
        self._where = where
        self._reader = LogReader(table, known, 0, zone, now_ms, where)
        self._begin()

    def steps(self) -> WalkSteps:
        """The walk. Raises BadFrame where the log contradicts itself, or never stands still."""
        for _ in range(TRIES):
            self._begin()
            told = yield from self._reader.find_newest()
            if told is not None:
                return EventPage(refused=told.refused)
            held = self._known.held
            page = yield from self._backwards()
            if page is not None and not (yield from self._went_round(page, held)):
                return page
        raise BadFrame(
            f"the log {self._table.name} changes while it is read",
            where=self._where,
            hint="compare count, words and newest of the log with the manual",
        )

    def _begin(self) -> None:
        self._found: list[LogEvent] = []
        self._met_ms: int | None = None
        self._blanks = 0
        self._has_room = False
        self._ahead = 0

    def _backwards(self) -> Generator[Ask, bytes | None, EventPage | None]:
        """Record after record; None where they moved meanwhile."""
        age, single, held = 0, 0, self._known.held
        first: tuple[Ask, bytes | None] | None = None
        ask: Ask | None = None
        while age < held:
            slot, count = self._run(age, 1 if single else held - age)
            ask = self._table.shelf.ask(slot, count)
            data = yield ask
            if data is None and count > 1:  # it may be that only some of them are not there
                single = count
                continue
            if data is None and not self._known.answered:
                return EventPage(refused=True)
            first = first or (ask, data)
            single = max(single - 1, 0)
            records = [b""] if data is None else self._table.shelf.records(count, data)
            self._known.answered |= data is not None
            if not self._table.moves:
                records.reverse()
            for place, record in enumerate(records):
                if self._ends(record, age + place):
                    return (yield from self._whole(first, ask, full=False))
            age += count
        return (yield from self._whole(first, ask, full=held >= self._table.count and not self._has_room))

    def _went_round(self, page: EventPage, held: int) -> Generator[Ask, bytes | None, bool]:
        """Whether a ring that was not full when reading began has gone on at its start since. What it wrote at its
        last ones was not read then."""
        table = self._table
        if page.met or not page.events or not table.ring or held >= table.count:
            return False
        yield from self._reader.find_newest()
        return (self._known.total or 0) > table.count

    def _run(self, age: int, most: int) -> tuple[int, int]:
        """First place and number of the records from an age on that come in one answer."""
        slot = self._reader.slot(age)
        if self._table.moves:
            return slot, self._table.slots(slot, most)
        count = max(min(self._table.shelf.before(slot), most), 1)
        return slot - count + 1, count

    def _ends(self, record: bytes, age: int) -> bool:
        """Take a record in; whether no older one is wanted."""
        if is_blank(record):
            self._blanks += 1
            self._has_room = True
            return self._blanks >= BLANKS
        self._blanks = 0
        event = self._table.event(record, self._zone)
        if event is None:
            return False
        if event.time_ms > self._now_ms() + AHEAD_MS:
            self._ahead += 1
            return False
        if self._met_ms is not None and event.time_ms != self._met_ms:
            return True
        self._found.append(event._replace(number=self._number(age)))
        if self._met_ms is None and event.mark in self._marks:
            self._met_ms = event.time_ms
        return False

    def _whole(
        self, first: tuple[Ask, bytes | None] | None, last: Ask | None, *, full: bool
    ) -> Generator[Ask, bytes | None, EventPage | None]:
        """The page, where records that move did not move between the first and the last answer."""
        if self._table.moves and first is not None and first[0] != last:
            again = yield first[0]
            if again != first[1]:
                return None
        return EventPage(self._found, self._met_ms is not None, full, self._ahead)

    def _number(self, age: int) -> int | None:
        """Which record it is: as a pointer to all that were ever written counts, else by its place."""
        table, pointer = self._table, self._table.newest
        if table.moves:
            return None
        if isinstance(pointer, Pointer):
            if pointer.means == "total" and self._known.total is not None:
                return (self._known.total - age) % (1 << min(pointer.register.type.bits, MOST_NUMBER_BITS))
            return self._reader.slot(age) + pointer.first
        shelf = table.shelf
        if isinstance(shelf, FileShelf) and shelf.by_record and shelf.per_file >= table.count:
            return self._reader.slot(age) + shelf.first
        return self._reader.slot(age)

"""Asks one meter for what it kept itself and puts what it told into the history, where nothing good is yet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np

from address_space.model import NS, Clock, Quantity
from address_space.model.ids import NodeUid, UnitHandle
from address_space.model.quality import GOOD, Reason
from address_space.model.quantity import by_path
from drivers.api import Device
from drivers.archive import Archive, Archived, Book
from drivers.channel import Lane
from drivers.errors import DeviceRefused, DriverError
from drivers.poller import Poller
from historian.api import HistoryReader, Row
from historian.gaps import GapLedger, Plan, Track
from historian.gaps.tracks import Times
from historian.recorder import Recorder

BELIEVED_S = 86_400.0
"""How long a meter is believed to lack a book that it refused."""
LOOKED_AT = 100
BESIDE_MS = 100 * 86_400_000
"""Readings beside a gap, and the time, in which a good one is looked for."""
_MS = NS // 1000
_BAD = 0x80000000

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Want:
    """Missing slots of one track of a unit, and what is expected at them."""

    track: Track
    quantities: frozenset[Quantity]
    slots: Times
    told: dict[int, dict[Quantity, Archived]] = field(default_factory=dict)
    """What the meter told of its slots; what a better book told stays."""
    _by: dict[tuple[int, Quantity], str] = field(default_factory=dict)
    """Which book told it first."""
    _disputed: set[int] = field(default_factory=set)

    def take(self, values: Iterable[Archived], book: str) -> None:
        """Keep good values of a book that lie on missing slots; of two that differ neither is kept."""
        for value in values:
            if value.quantity in self.quantities and value.status == GOOD and _has(self.slots, value.time_ms):
                key = value.time_ms, value.quantity
                by = self._by.setdefault(key, book)
                known = self.told.get(value.time_ms, {}).get(value.quantity)
                if known is None and value.time_ms not in self._disputed:
                    self.told.setdefault(value.time_ms, {})[value.quantity] = value
                elif known is not None and by == book and known.value != value.value:
                    self.drop(value.time_ms)

    def drop(self, slot_ms: int) -> None:
        """Believe no book what it tells of this slot."""
        self._disputed.add(slot_ms)
        self.told.pop(slot_ms, None)


@dataclass(frozen=True, slots=True)
class Filled:
    """What came of asking: slots that have a reading now, and slots of which the memory told nothing.

    whole     whether everything was asked for; where it was broken off, no slot counts as lacking
    answered  whether any book told anything, and be it that there is nothing
    refusal   what the meter said where it refused a book, now or lately; empty where it refused none
    """

    filled: int
    lacking: int
    whole: bool
    answered: bool
    refusal: str


@dataclass(frozen=True, slots=True)
class _Read:
    """What came of asking one book; `whole` and the others as in `Filled`."""

    refusal: str
    answered: bool
    whole: bool = True


def always() -> bool:
    """Nothing breaks it off."""
    return True


class MeterMemory:
    """One for all meters. `accept` takes readings that were told late, whoever tells them."""

    def __init__(self, plan: Plan, ledger: GapLedger, recorder: Recorder, reader: HistoryReader, clock: Clock) -> None:
        self.asked = 0
        """Exchanges since the start."""
        self._plan = plan
        self._ledger = ledger
        self._recorder = recorder
        self._reader = reader
        self._clock = clock
        self._refused: dict[tuple[UnitHandle, str], tuple[int, str]] = {}

    def wants(self, point: NodeUid, tracks: Iterable[tuple[Track, Times]], span_ms: int) -> list[Want]:
        """The oldest of these missing slots, so many milliseconds of them, by track."""
        there = [(track, slots) for track, slots in tracks if len(slots)]
        end_ms = min((int(slots[0]) for _, slots in there), default=0) + span_ms
        made = [Want(track, self._expected(point, track), slots[slots < end_ms]) for track, slots in there]
        return [want for want in made if len(want.slots)]

    def forgive(self, device: Device, books: Iterable[Book]) -> None:
        """Ask a meter again for what it refused."""
        for book in books:
            self._refused.pop((device.unit, book.name), None)

    async def fill(
        self,
        poller: Poller,
        driver: Archive,
        device: Device,
        point: NodeUid,
        wants: Sequence[Want],
        go_on: Callable[[], bool] = always,
    ) -> Filled:
        """Ask every book for what is missing, record what came, and give up what did not.

        It is in the history once the recorder is flushed. Where `go_on` is no longer true, or the meter falls silent,
        what came so far is recorded and nothing given up. Raises DriverError, HistoryError.
        """
        refusal, answered, whole = "", False, True
        try:
            for book in driver.books(device):
                until_ns, said = self._refused.get((device.unit, book.name), (0, ""))
                if self._clock.monotonic_ns() >= until_ns:
                    came = await self._read(poller, driver, device, book, wants, go_on)
                    said, answered, whole = came.refusal, answered or came.answered, came.whole
                refusal = refusal or said
                if not whole:
                    break
        except DriverError:
            for want in wants:
                await self._record(point, want)
            raise
        filled = lacking = 0
        for want in wants:
            recorded = await self._record(point, want)
            filled += len(recorded)
            absent = want.slots[~np.isin(want.slots, recorded)]
            if whole and len(absent):
                await self._ledger.lacking(point, want.track, absent)
                lacking += len(absent)
        return Filled(filled, lacking, whole, answered, refusal)

    async def accept(self, rows: Sequence[Row]) -> int:
        """Record readings of the past; values that are stored already, and good, stay. Returns how many rows had
        anything new."""
        kept = 0
        for row in rows:
            fresh = await self._unstored(row)
            if fresh is not None:
                await self._ledger.filling(row.point, np.array([row.slot_ms], np.int64))
                self._recorder.offer_row(fresh)
                kept += 1
        return kept

    def _expected(self, point: NodeUid, track: Track) -> frozenset[Quantity]:
        of_track = (each.fields for each in self._plan[point] if each.track.key == track.key)
        found = (by_path(name) for fields in of_track for name in fields)
        return frozenset(quantity for quantity in found if quantity is not None)

    async def _read(
        self,
        poller: Poller,
        driver: Archive,
        device: Device,
        book: Book,
        wants: Sequence[Want],
        go_on: Callable[[], bool],
    ) -> _Read:
        """Ask for everything of one book that is missing, one exchange after the other."""
        slots = _slots(wants, book, self._clock.now_ns() // _MS)
        at = 0
        while at < len(slots):
            if not go_on():
                return _Read("", at > 0, whole=False)
            now_ms = self._clock.now_ns() // _MS
            request = driver.recall(device, book, int(slots[at]), int(slots[-1]) + 1, now_ms)
            if request is None:
                break
            self.asked += 1
            try:
                answer = await poller.channel.exchange(device, request, Lane.FILL)
            except DeviceRefused as error:
                if error.reason is not Reason.NOT_SUPPORTED:
                    raise
                until_ns = self._clock.monotonic_ns() + round(BELIEVED_S * NS)
                self._refused[device.unit, book.name] = until_ns, str(error)
                return _Read(str(error), answered=False)
            recalled = driver.recalled(device, request, answer)
            for want in wants:
                want.take(recalled.values, book.name)
            if not recalled.again:
                at = int(np.searchsorted(slots, max(recalled.told_ms, int(slots[at]) + 1)))
        return _Read("", at > 0)

    async def _record(self, point: NodeUid, want: Want) -> Times:
        """Offer what is not stored yet; returns the slots that have a reading then."""
        await self._doubt(point, want)
        kept: list[int] = []
        for slot_ms, told in sorted(want.told.items()):
            values = np.array([value.value for value in told.values()])
            status = np.array([value.status for value in told.values()], np.uint32)
            if await self.accept([Row(point, slot_ms, list(told), values, status)]):
                kept.append(slot_ms)
            elif await self._is_stored(point, want, slot_ms):
                # The hub was killed between the commit of the history and that of the ledger.
                await self._ledger.stored(point, want.track, np.array([slot_ms], np.int64))
                kept.append(slot_ms)
        return np.array(kept, np.int64)

    async def _doubt(self, point: NodeUid, want: Want) -> None:
        """Drop what a register that only goes on cannot have shown between what is stored before and behind it: it is
        of another meter, or of another time. Where it began anew in between, it must fit one of them. One record
        alone may be a fault of the meter's memory; of several none is believed, for all may be as wrong."""
        told = [value for values in want.told.values() for value in values.values() if value.step]
        wrong: set[int] = set()
        for quantity in {value.quantity for value in told}:
            values = [value for value in told if value.quantity is quantity]
            first_ms, last_ms = min(value.time_ms for value in values), max(value.time_ms for value in values)
            before = await self._beside(point, quantity, max(first_ms - BESIDE_MS, 0), first_ms, newest_first=True)
            after = await self._beside(point, quantity, last_ms + 1, last_ms + BESIDE_MS, newest_first=False)
            wrong.update(value.time_ms for value in values if not _lies_between(value, before, after))
        if wrong:
            what = "backfill does not believe the meter unit=%s track=%s wrong=%d of=%d from_ms=%d"
            log.warning(what, point, want.track.name, len(wrong), len(want.told), min(wrong))
        for slot_ms in wrong if len(wrong) == 1 else set(want.told) if wrong else ():
            want.drop(slot_ms)

    async def _beside(
        self, point: NodeUid, quantity: Quantity, start_ms: int, end_ms: int, *, newest_first: bool
    ) -> float | None:
        """The good value next to a time, in base units; None where none is near."""
        found = await self._reader.read_raw(point, quantity, start_ms, end_ms, LOOKED_AT, newest_first=newest_first)
        good = np.flatnonzero((found.status < _BAD) & ~np.isnan(found.values))
        return float(found.values[good[0]]) * quantity.per_unit if len(good) else None

    async def _is_stored(self, point: NodeUid, want: Want, slot_ms: int) -> bool:
        """Whether the history has a reading of a slot that is good as a whole."""
        good = 0
        for quantity in want.quantities:
            stored = await self._reader.read_raw(point, quantity, slot_ms, slot_ms + 1, 1)
            if len(stored.values):
                status = int(stored.status[0])
                if status < _BAD and not np.isnan(stored.values[0]):
                    good += 1
                elif status != Reason.NOT_SUPPORTED.status:
                    return False
        return good > 0

    async def _unstored(self, row: Row) -> Row | None:
        """What of a row has no good value in the history yet."""
        fresh: list[int] = []
        for place, quantity in enumerate(row.quantities):
            stored = await self._reader.read_raw(row.point, quantity, row.slot_ms, row.slot_ms + 1, 1)
            if not (len(stored.values) and not np.isnan(stored.values[0]) and stored.status[0] < _BAD):
                fresh.append(place)
        if not fresh:
            return None
        quantities = [row.quantities[place] for place in fresh]
        return Row(row.point, row.slot_ms, quantities, row.values[fresh], row.status[fresh])


def _slots(wants: Sequence[Want], book: Book, now_ms: int) -> Times:
    """Missing slots for which a book is worth asking, ascending."""
    found: set[int] = set()
    for want in wants:
        if want.quantities & book.quantities:
            slots = want.slots.tolist()
            found.update(slots if not book.last_resort else set(slots) - want.told.keys())
    every = np.array(sorted(found), np.int64)
    return every[every >= now_ms - book.reach_ms]


def _lies_between(value: Archived, before: float | None, after: float | None) -> bool:
    low = -inf if before is None else before - value.step
    high = inf if after is None else after + value.step
    return low <= value.value <= high if low <= high else value.value >= low or value.value <= high


def _has(slots: Times, time_ms: int) -> bool:
    at = int(np.searchsorted(slots, time_ms))
    return at < len(slots) and int(slots[at]) == time_ms

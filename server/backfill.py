"""Fills gaps of the history from what meters kept themselves while nobody read them.

One worker a channel, oldest gaps first because a meter's memory is a ring. It asks only meters that answer, on the
lane behind polling; what it learns goes the ordinary way through the recorder.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from address_space.model import NS, Clock, Plant, Quantity
from address_space.model.ids import NodeUid, UnitHandle
from address_space.model.quality import GOOD, Reason
from address_space.model.quantity import by_path
from drivers.api import Device
from drivers.archive import Archive, Archived, Book
from drivers.channel import Lane
from drivers.errors import ChannelDown, DeviceRefused, DriverError
from drivers.health import DeviceState
from drivers.poller import Poller
from historian.api import HistoryReader, Row
from historian.errors import HistoryError
from historian.gaps import GapLedger, Plan, Track
from historian.gaps.tracks import Times
from historian.recorder import Recorder

log = logging.getLogger(__name__)

UNITS_AT_ONCE = 200
"""Units whose gaps are looked up together."""
AT_ONCE_MS = 6 * 3_600_000
"""What is asked of one unit before the next one's turn, and recorded together."""
PAUSE_FIRST_S = 60.0
PAUSE_LAST_S = 3600.0
"""How long a meter that did not answer is left alone: it doubles from the one to the other."""
BELIEVED_S = 86_400.0
"""How long a meter is believed to lack a book that it refused."""
_MS = NS // 1000
_DAY_MS = 86_400_000
_SOUND = (DeviceState.ONLINE, DeviceState.DEGRADED)


@dataclass(frozen=True, slots=True)
class BackfillOptions:
    """How gaps are filled.

    days      how far back gaps are looked for
    look_s    time between two looks at the ledger
    settle_s  how old a slot must be before a meter is asked: its record may not be made yet
    """

    days: int = 62
    look_s: float = 60.0
    settle_s: float = 120.0


@dataclass(frozen=True, slots=True)
class BackfillState:
    """Since the start: exchanges with meters, how many of them failed, slots filled and slots given up."""

    asked: int = 0
    failed: int = 0
    filled: int = 0
    lacking: int = 0


@dataclass(slots=True, eq=False)
class _Want:
    """Missing slots of one track of a unit, and what is expected at them."""

    track: Track
    quantities: frozenset[Quantity]
    slots: Times
    told: dict[int, dict[Quantity, Archived]] = field(default_factory=dict)
    """What the meter told of its slots; what a better book told stays."""

    def take(self, values: Iterable[Archived]) -> None:
        """Keep good values that lie on missing slots."""
        for value in values:
            if value.quantity in self.quantities and value.status == GOOD and _has(self.slots, value.time_ms):
                self.told.setdefault(value.time_ms, {}).setdefault(value.quantity, value)


class Backfill:
    """`run` until cancelled. `accept` takes readings that were told late, whoever tells them."""

    def __init__(
        self,
        plant: Plant,
        plan: Plan,
        pollers: Sequence[Poller],
        ledger: GapLedger,
        recorder: Recorder,
        reader: HistoryReader,
        clock: Clock,
        options: BackfillOptions | None = None,
    ) -> None:
        self.options = options if options is not None else BackfillOptions()
        self.state = BackfillState()
        self._plant = plant
        self._plan = plan
        self._pollers = pollers
        self._ledger = ledger
        self._recorder = recorder
        self._reader = reader
        self._clock = clock
        self._refused: dict[tuple[UnitHandle, str], int] = {}
        self._pauses: dict[UnitHandle, tuple[float, int]] = {}

    async def run(self) -> None:
        """Look for gaps and fill them."""
        async with asyncio.TaskGroup() as tasks:
            for poller in self._pollers:
                if isinstance(poller.channel.driver, Archive):
                    tasks.create_task(self._serve(poller, poller.channel.driver), name=f"backfill-{poller.channel.id}")

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

    # one channel

    async def _serve(self, poller: Poller, driver: Archive) -> None:
        units = [unit.id for unit in self._plant.units if unit.channel == poller.channel.id and unit.id in self._plan]
        while True:
            asked = 0
            for first in range(0, len(units), UNITS_AT_ONCE):
                try:
                    asked += await self._fill_all(poller, driver, units[first : first + UNITS_AT_ONCE])
                except (HistoryError, ChannelDown) as error:
                    log.debug("backfill waits channel=%s error=%s", poller.channel.id, error)
            if not asked:
                await self._clock.sleep(self.options.look_s)

    async def _fill_all(self, poller: Poller, driver: Archive, points: Sequence[NodeUid]) -> int:
        """Fill the oldest missing hours of each unit; returns how many units had one and answered."""
        now_ms = self._clock.now_ns() // _MS
        end_ms = now_ms - round(self.options.settle_s * 1000)
        sound = [point for point in points if self._may_ask(poller, driver, self._plant.unit_of[point])]
        if not sound:
            return 0
        missing: defaultdict[NodeUid, list[tuple[Track, Times]]] = defaultdict(list)
        for point, track, slots in await self._ledger.missing(end_ms - self.options.days * _DAY_MS, end_ms, sound):
            missing[point].append((track, slots))
        answered = 0
        for point, tracks in missing.items():
            unit = self._plant.unit_of[point]
            first_ms = min(int(slots[0]) for _, slots in tracks)
            wants = [
                _Want(track, self._expected(point, track), slots[slots < first_ms + AT_ONCE_MS])
                for track, slots in tracks
            ]
            try:
                await self._fill(poller, driver, point, [want for want in wants if len(want.slots)])
            except ChannelDown:
                raise
            except DriverError as error:
                self.state = replace(self.state, failed=self.state.failed + 1)
                pause_s = min(2 * self._pauses.get(unit, (PAUSE_FIRST_S / 2, 0))[0], PAUSE_LAST_S)
                self._pauses[unit] = (pause_s, self._clock.monotonic_ns() + round(pause_s * NS))
                log.debug("backfill put off unit=%s for_s=%.0f error=%s", point, pause_s, error)
            else:
                self._pauses.pop(unit, None)
                answered += 1
        await self._recorder.flush()
        return answered

    def _may_ask(self, poller: Poller, driver: Archive, unit: UnitHandle) -> bool:
        if self._clock.monotonic_ns() < self._pauses.get(unit, (0.0, 0))[1]:
            return False
        return poller.device(unit).state in _SOUND and bool(driver.books(poller.target(unit)))

    def _expected(self, point: NodeUid, track: Track) -> frozenset[Quantity]:
        of_track = (each.fields for each in self._plan[point] if each.track.key == track.key)
        found = (by_path(name) for fields in of_track for name in fields)
        return frozenset(quantity for quantity in found if quantity is not None)

    # one meter

    async def _fill(self, poller: Poller, driver: Archive, point: NodeUid, wants: Sequence[_Want]) -> None:
        """Ask every book for what is missing, record what came, and give up what did not."""
        device = poller.target(self._plant.unit_of[point])
        for book in driver.books(device):
            if self._clock.monotonic_ns() >= self._refused.get((device.unit, book.name), 0):
                await self._read(poller, driver, device, book, wants)
        for want in wants:
            recorded = await self._record(point, want)
            lacking = want.slots[~np.isin(want.slots, recorded)]
            if len(lacking):
                await self._ledger.lacking(point, want.track, lacking)
            self.state = replace(
                self.state,
                filled=self.state.filled + len(want.slots) - len(lacking),
                lacking=self.state.lacking + len(lacking),
            )

    async def _read(self, poller: Poller, driver: Archive, device: Device, book: Book, wants: Sequence[_Want]) -> None:
        """Ask for everything of one book that is missing, one exchange after the other."""
        now_ms = self._clock.now_ns() // _MS
        slots = _slots(wants, book, now_ms)
        at = 0
        while at < len(slots):
            request = driver.recall(device, book, int(slots[at]), int(slots[-1]) + 1, now_ms)
            if request is None:
                return
            self.state = replace(self.state, asked=self.state.asked + 1)
            try:
                answer = await poller.channel.exchange(device, request, Lane.FILL)
            except DeviceRefused as error:
                if error.reason is not Reason.NOT_SUPPORTED:
                    raise
                self._refused[device.unit, book.name] = self._clock.monotonic_ns() + round(BELIEVED_S * NS)
                return
            recalled = driver.recalled(device, request, answer)
            for want in wants:
                want.take(recalled.values)
            at = int(np.searchsorted(slots, max(recalled.told_ms, int(slots[at]) + 1)))

    async def _record(self, point: NodeUid, want: _Want) -> Times:
        """Offer what is not stored yet; returns the slots for which there was anything."""
        rows = [
            Row(
                point,
                slot_ms,
                list(told),
                np.array([value.value for value in told.values()]),
                np.array([value.status for value in told.values()], np.uint32),
            )
            for slot_ms, told in sorted(want.told.items())
        ]
        kept = [row.slot_ms for row in rows if await self.accept([row])]
        return np.array(kept, np.int64)

    async def _unstored(self, row: Row) -> Row | None:
        """What of a row has no good value in the history yet."""
        fresh: list[int] = []
        for place, quantity in enumerate(row.quantities):
            stored = await self._reader.read_raw(row.point, quantity, row.slot_ms, row.slot_ms + 1, 1)
            if not (len(stored.values) and not np.isnan(stored.values[0]) and stored.status[0] >> 31 == 0):
                fresh.append(place)
        if not fresh:
            return None
        quantities = [row.quantities[place] for place in fresh]
        return Row(row.point, row.slot_ms, quantities, row.values[fresh], row.status[fresh])


def _slots(wants: Sequence[_Want], book: Book, now_ms: int) -> Times:
    """Missing slots for which a book is worth asking, ascending."""
    found: set[int] = set()
    for want in wants:
        if want.quantities & book.quantities:
            slots = want.slots.tolist()
            found.update(slots if not book.last_resort else set(slots) - want.told.keys())
    every = np.array(sorted(found), np.int64)
    return every[every >= now_ms - book.reach_ms]


def _has(slots: Times, time_ms: int) -> bool:
    at = int(np.searchsorted(slots, time_ms))
    return at < len(slots) and int(slots[at]) == time_ms

"""Looks for events that meters recorded themselves, and has each told once.

One worker a channel, on the lane behind polling, one exchange at a time. A meter is asked when it answers for the first
time or again, and from time to time while it does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from address_space.model import NS, Clock, Plant
from address_space.model.ids import NodeUid, UnitHandle
from address_space.model.quality import Reason
from drivers.api import Device
from drivers.channel import Lane
from drivers.errors import BadFrame, ChannelDown, DeviceRefused, DriverError
from drivers.event_archive import EventArchive, EventBook, LogEvent, RecalledEvents
from drivers.poller import Poller
from historian.errors import HistoryError
from server.event_places import in_parts, known_marks

log = logging.getLogger(__name__)

PAUSE_FIRST_S = 60.0
PAUSE_LAST_S = 3600.0
"""How long a meter that did not answer is left alone: it doubles from the one to the other. While events cannot be kept
every meter is for the former."""
REFUSED_S = 3600.0
"""How long a meter is believed to have no such log; an empty one may be refused too."""
WITHOUT_S = 86_400.0
"""After how long it is looked again whether a meter has logs of events: what make it is may only be learnt later."""
AT_ONCE = 500
"""Events that are told together."""
BREATHE_EVERY = 500
"""Meters after which other tasks get the processor while it is looked which of them have such logs."""


class Teller(Protocol):
    """Who tells clients."""

    async def place(self, point: NodeUid, book: EventBook) -> bytes:
        """Up to where the log of a unit was told."""

    async def tell(
        self, point: NodeUid, book: EventBook, events: Sequence[tuple[LogEvent, int]], place: bytes, *, lost: bool
    ) -> bool:
        """Tell new events and note the place; False where that cannot be done now, and nothing was told."""


@dataclass(frozen=True, slots=True)
class MeterEventsState:
    """Since the start: exchanges with meters, events told, logs that overran, how many looks failed."""

    asked: int = 0
    told: int = 0
    overrun: int = 0
    failed: int = 0


class MeterEvents:
    """`run` until cancelled."""

    def __init__(
        self, plant: Plant, pollers: Sequence[Poller], teller: Teller, clock: Clock, *, look_s: float = 2.0
    ) -> None:
        self.state = MeterEventsState()
        self._plant = plant
        self._pollers = pollers
        self._teller = teller
        self._clock = clock
        self._look_s = look_s
        self._pauses: dict[UnitHandle, float] = {}
        self._broken_off: set[UnitHandle] = set()
        """Whose reading will go on where it was: what was recorded since is looked for after that."""
        self._refusing: set[tuple[UnitHandle, str]] = set()
        self._ahead: set[tuple[UnitHandle, str]] = set()

    async def run(self) -> None:
        """Look, again and again."""
        async with asyncio.TaskGroup() as tasks:
            for poller in self._pollers:
                driver = poller.channel.driver
                if isinstance(driver, EventArchive):
                    tasks.create_task(self._serve(poller, driver), name=f"meter-events-{poller.channel.id}")

    async def _serve(self, poller: Poller, driver: EventArchive) -> None:
        health, units = poller.health, poller.units
        able = np.zeros(len(units), np.bool_)
        for row, unit in enumerate(units.tolist()):
            able[row] = driver.may_record_events(poller.target(unit))
            if row % BREATHE_EVERY == BREATHE_EVERY - 1:
                await asyncio.sleep(0)
        if not able.any():
            return
        due_ns = np.zeros(len(units), np.int64)
        since_ns = np.full(len(units), -1, np.int64)
        while True:
            due_ns[health.since_ns != since_ns] = 0  # it was lost, or has come back
            since_ns[:] = health.since_ns
            sound = able & (health.pollings > 0) & (health.failures == 0) & ~health.lost
            due = np.flatnonzero(sound & (due_ns <= self._clock.monotonic_ns()))
            for row in due.tolist():
                if health.failures[row] or health.lost[row]:
                    continue  # since the others were read
                unit = UnitHandle(int(units[row]))
                try:
                    rest_s = await self._look(poller, driver, unit)
                except (HistoryError, ChannelDown) as error:
                    log.debug("meters' events wait channel=%s error=%s", poller.channel.id, error)
                    break
                due_ns[row] = self._clock.monotonic_ns() + round(rest_s * NS)
            await self._clock.sleep(self._look_s)

    async def _look(self, poller: Poller, driver: EventArchive, unit: UnitHandle) -> float:
        """Have told what is new in all logs of a meter; returns after how many seconds to look again."""
        point = self._plant.units[unit].id
        device = poller.target(unit)
        rest_s = WITHOUT_S
        failed: DriverError | None = None
        for book in driver.event_books(device):
            try:
                rest_s = min(rest_s, await self._read(poller, driver, device, point, book))
            except HistoryError:
                raise
            except ChannelDown:
                self._broken_off.add(unit)
                raise
            except DeviceRefused as error:
                if error.reason is not Reason.NOT_SUPPORTED:
                    failed = failed or error
                    continue
                self._say_refused(unit, point, book, error)
                rest_s = min(rest_s, max(REFUSED_S, book.every_s))
            except BadFrame as error:  # its other logs may be in order
                failed = failed or error
            except DriverError as error:
                return self._leave_alone(unit, error)
            except Exception as error:  # what one meter tells must never take the hub down
                log.exception("meter's events failed unit=%s log=%s", point, book.name)
                return self._leave_alone(unit, error)
            else:
                self._refusing.discard((unit, book.name))
        if failed is not None:
            return self._leave_alone(unit, failed)
        self._pauses.pop(unit, None)
        if unit in self._broken_off:
            self._broken_off.discard(unit)
            return self._look_s
        return rest_s

    async def _read(
        self, poller: Poller, driver: EventArchive, device: Device, point: NodeUid, book: EventBook
    ) -> float:
        known = known_marks(await self._teller.place(point, book))
        while True:
            request = driver.recall_events(device, book, known.keys())
            self.state = replace(self.state, asked=self.state.asked + 1)
            answer = await poller.channel.exchange(device, request, Lane.FILL)
            found = driver.recalled_events(device, request, answer)
            if not found.again:
                break
        self._say_ahead(device.unit, point, book, found.ahead)
        lost = self._overran(point, book, found) if known and not found.met else False
        for part, place in in_parts(found.events, known, AT_ONCE):
            if not await self._teller.tell(point, book, part, place, lost=lost):
                return PAUSE_FIRST_S
            self.state = replace(self.state, told=self.state.told + len(part), overrun=self.state.overrun + lost)
            lost = False
        return book.every_s

    def _overran(self, point: NodeUid, book: EventBook, found: RecalledEvents) -> bool:
        """Whether records were overwritten before they were read; said once, as what is known is met the next time."""
        if not found.events:
            return False
        if not (found.full and book.endless):
            log.info("meter's event log was begun anew unit=%s log=%s records=%d", point, book.name, len(found.events))
            return False
        log.warning("meter's event log overran unit=%s log=%s records=%d", point, book.name, len(found.events))
        return True

    def _say_refused(self, unit: UnitHandle, point: NodeUid, book: EventBook, error: DeviceRefused) -> None:
        if (unit, book.name) not in self._refusing:
            self._refusing.add((unit, book.name))
            log.info("meter refuses its event log unit=%s log=%s error=%s", point, book.name, error)

    def _say_ahead(self, unit: UnitHandle, point: NodeUid, book: EventBook, count: int) -> None:
        if not count:
            self._ahead.discard((unit, book.name))
        elif (unit, book.name) not in self._ahead:
            self._ahead.add((unit, book.name))
            what = "meter's events lie in the future, its clock is wrong unit=%s log=%s records=%d"
            log.warning(what, point, book.name, count)

    def _leave_alone(self, unit: UnitHandle, error: Exception) -> float:
        level = logging.DEBUG if unit in self._pauses else logging.INFO
        log.log(level, "meter's events put off unit=%s error=%s", self._plant.units[unit].id, error)
        self.state = replace(self.state, failed=self.state.failed + 1)
        pause_s = min(2 * self._pauses.get(unit, PAUSE_FIRST_S / 2), PAUSE_LAST_S)
        self._pauses[unit] = pause_s
        self._broken_off.add(unit)
        return pause_s

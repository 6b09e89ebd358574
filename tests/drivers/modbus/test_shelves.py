"""Searches in logs that go on from request to request, whatever the device makes of single ones."""

from __future__ import annotations

from datetime import UTC

import pytest

from address_space.model.ids import UnitHandle
from drivers.errors import DriverError, NoAnswer
from drivers.modbus.event_walk import EventPage, EventWalk, WalkSteps
from drivers.modbus.logs import Ask
from drivers.modbus.plan import Read
from drivers.modbus.refusals import refusal
from drivers.modbus.shelves import MOST_FAILURES, Shelves
from tests.drivers.modbus.event_rig import START_MS, Meter, codes, table_of

FAILURES = [refusal(4, "meter"), refusal(6, "meter"), NoAnswer("no answer", where="meter")]


class Desk:
    """A walk through a meter's log that fails wherever it touches one register."""

    def __init__(self, error: DriverError, failing: int) -> None:
        self.meter = Meter(table_of("next"))
        self.shelves = Shelves()
        self.failures = 0
        self._error = error
        self._failing = failing

    def begin(self) -> WalkSteps:
        known = self.shelves.known(UnitHandle(1), self.meter.table)
        return EventWalk(self.meter.table, known, (), UTC, lambda: START_MS + 86_400_000, "meter").steps()

    async def read(self, ask: Ask) -> bytes:
        assert isinstance(ask, Read)
        if ask.address <= self._failing < ask.address + ask.words:
            self.failures += 1
            raise self._error
        data = self.meter.answer(ask)
        assert data is not None
        return data

    async def look(self) -> EventPage | None:
        return await self.shelves.look("log", self.begin, self.read, patient=True)


@pytest.mark.parametrize("error", FAILURES)
async def test_a_record_that_can_never_be_read_does_not_hide_the_others(error: DriverError) -> None:
    desk = Desk(error, 0x1000 + 5 * 4)
    desk.meter.add(*range(1, 11))
    page, raised = None, 0
    while page is None and raised < 99:
        try:
            page = await desk.look()
        except DriverError:
            raised += 1
    assert page is not None
    assert codes(page) == [10, 9, 8, 7, 6, 4, 3, 2, 1]
    assert desk.failures == 2 * MOST_FAILURES  # with its neighbours, and alone


@pytest.mark.parametrize("error", FAILURES)
async def test_a_log_that_never_answers_says_so_again_and_again(error: DriverError) -> None:
    desk = Desk(error, 0x7000)
    for _ in range(3 * MOST_FAILURES):
        with pytest.raises(type(error)):
            await desk.look()

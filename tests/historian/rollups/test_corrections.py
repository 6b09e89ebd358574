"""Whatever comes late, again or as a failed reading, rollups say what the stored readings say when computed at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from historian.calendar import edges
from historian.rollups import Afresh, Anomaly, Ratings, Rollups
from tests.historian.rollups.conftest import UNITS, Bench, plant_of
from tests.historian.rollups.corrections import (
    BAD,
    DAY_SLOTS,
    GRACE,
    QUANTITIES,
    SLOT,
    Act,
    History,
    Now,
    Put,
    Restart,
    Step,
    history_of,
    played,
)
from tests.historian.rollups.test_afresh import same

M1 = UNITS[0]
ONE_PAGE = 100_000
LEVEL = 5_000_000.0


async def compared(folder: Path, history: History) -> None:
    """Rollups after all that happened, those that a new file has, and what is computed from all readings at once."""
    bench = await played(folder / "hub", history)
    ratings = Ratings(plant_of(UNITS, rated_power_kw=history.rated_power_kw))
    anew = Rollups(folder, bench.clock, bench.store, bench.days, ratings, history.options)
    try:
        await anew.open()
        await anew.tap(bench.store).series([M1])
        await anew.catch_up()
        await _same(bench, anew, ratings, history)
    finally:
        await anew.close()
        await bench.close()


async def _same(bench: Bench, anew: Rollups, ratings: Ratings, history: History) -> None:
    begin = history.start_ms - 2 * DAY_SLOTS * SLOT
    end = history.start_ms + (history.slots + 2 * DAY_SLOTS) * SLOT
    zone = ZoneInfo(history.zone)
    assert await bench.rollups.settled([M1], begin, end)
    for quantity in QUANTITIES:
        limits = ratings.limits(ratings.bounds([M1], (quantity.path,)), 0, 0)
        afresh = Afresh(bench.store, M1, quantity, zone, limits, quarters=history.quarters, page=ONE_PAGE)
        for width in bench.rollups.widths:
            kept = await bench.rollups.buckets(M1, quantity, begin, end, width)
            at_once = await afresh.buckets(edges(begin, end, width, zone), width)
            assert at_once is not None
            same(kept, at_once)
            same(await anew.buckets(M1, quantity, begin, end, width), at_once)
    assert _keys(await bench.rollups.anomalies(most=ONE_PAGE)) == _keys(await anew.anomalies(most=ONE_PAGE))


def _keys(anomalies: Sequence[Anomaly]) -> list[tuple[object, ...]]:
    return sorted((one.quantity.path, one.time_ms, one.move.value, one.value, one.booked) for one in anomalies)


@pytest.mark.parametrize("seed", [2, 5, 6, 7, 10, 12, 13, 15, 19, 20])
async def test_rollups_of_any_history_are_what_its_readings_say(tmp_path: Path, seed: int) -> None:
    await compared(tmp_path, history_of(seed))


def read(*slots: int, failed: bool = False) -> Put:
    """Readings of a register that counts 10 Wh a slot."""
    return Put((0,), [(slot, (None if failed else LEVEL + 10 * slot,), BAD if failed else 0) for slot in slots])


def late(*puts: Put, rest: Sequence[Act] = ()) -> list[Act]:
    """Stored and computed, one after the other, when all is over."""
    acts: list[Act] = [Now(40 * DAY_SLOTS * SLOT)]
    for put in puts:
        acts += [put, Step()]
    return [*acts, *rest]


SPARSE = (5, 100, 260, 410, 700)


@pytest.mark.parametrize("gone", [(100, 260), (5, 100), (700, 410), SPARSE], ids=str)
@pytest.mark.parametrize("together", [True, False], ids=["together", "one by one"])
async def test_neighbours_that_failed_ones_take_the_place_of_are_booked_no_more(
    tmp_path: Path, gone: tuple[int, ...], together: bool
) -> None:
    puts = [read(*gone, failed=True)] if together else [read(slot, failed=True) for slot in gone]
    await compared(tmp_path, History(late(read(*SPARSE), *puts)))


@pytest.mark.parametrize("slot", [150, 155, 156])
async def test_a_day_that_begins_between_two_readings_loses_nothing(tmp_path: Path, slot: int) -> None:
    """A register that is read a little before midnight, at slot 156, and not in the first hour behind it."""
    await compared(tmp_path, History(late(read(20, slot, slot + 40, slot + 300))))


async def test_what_is_put_in_between_far_away_is_not_missing_beside_another_register(tmp_path: Path) -> None:
    voltage = Put((2,), [(slot, (230.0,), 0) for slot in range(0, 700, 3)])
    other = Put((1,), [(slot, (1000.0 + slot,), 0) for slot in range(0, 700, 3)])
    again = Put((1,), [(slot, (1000.0 + slot,), 0) for slot in range(200, 400, 3)])
    await compared(tmp_path, History(late(read(*SPARSE), voltage, other, again)))


@pytest.mark.parametrize("rated_power_kw", [50.0, 0.0])
@pytest.mark.parametrize("then", [True, False], ids=["true", "failed"])
async def test_a_wrong_reading_that_is_corrected_later_is_forgotten_on_both_sides(
    tmp_path: Path, rated_power_kw: float, then: bool
) -> None:
    slots = list(range(10, 860, 70))
    for wrong in (0.0, LEVEL + 9e6):
        acts = late(read(*slots), Put((0,), [(slots[3], (wrong,), 0)]), read(slots[3], failed=not then))
        history = History(acts, rated_power_kw=rated_power_kw)
        await compared(tmp_path / str(wrong), history)


@pytest.mark.parametrize("steps", [1, 3, 4, 5])
async def test_a_reading_that_comes_while_its_day_is_closed_is_in_the_day(tmp_path: Path, steps: int) -> None:
    gauge = Put((2,), [(slot, (230.0,), 0) for slot in range(0, 300, 30)])
    more = Put((2,), [(slot, (250.0,), 0) for slot in (40, 290)])
    acts = [gauge, Now(300 * SLOT), Step(), Now(DAY_SLOTS * 2 * SLOT + GRACE), Step(steps), more, Step(1), Restart()]
    await compared(tmp_path, History(acts))


async def test_days_that_were_not_closed_yet_are_closed_after_the_first_restart(tmp_path: Path) -> None:
    for steps in (4, 5, 6):
        gauge = Put((2,), [(slot, (230.0,), 0) for slot in (148, 429, 566)])
        acts = [gauge, Now(170_300_000), Step(steps), Restart()]
        history = History(acts, 2 * DAY_SLOTS, "Asia/Kathmandu", (2027, 1, 30))
        await compared(tmp_path / str(steps), history)


async def test_a_register_that_steps_back_by_rounding_books_alike_wherever_one_begins(tmp_path: Path) -> None:
    shown = [100.0, 100, 99, 99, 100, 99, 99, 99, 99, 99, 99, 100, 101, 100, 103]
    register = Put((0,), [(20 + 60 * place, (LEVEL + value,), 0) for place, value in enumerate(shown)])
    for place in (1, 4, 5):
        gone = Put((0,), [(20 + 60 * place, (None,), BAD)])
        await compared(tmp_path / str(place), History(late(register, gone), 4 * DAY_SLOTS))

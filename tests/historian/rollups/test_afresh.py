"""What is computed from readings in pages is what the hub keeps, whatever the registers did."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from address_space.model.quantity import Quantity
from historian.buckets import Buckets
from historian.calendar import Width, edges
from historian.counters import Limits, Move, RatioChange
from historian.errors import DamagedHistory
from historian.rollups import Afresh, KeptRollups, Ratings, RollupOptions
from historian.rollups.booking import Bounds
from historian.rollups.file import FILE
from historian.rollups.limits import unchanged
from tests.historian.rollups.conftest import HOUR, IMPORT, UNITS, VOLTAGE, Bench, plant_of

M1 = UNITS[0]
BERLIN = ZoneInfo("Europe/Berlin")
STEP = 600_000
GRACE = 200_000
DAY = 24 * HOUR


def local(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=BERLIN).astimezone(UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


def readings(start_ms: int, end_ms: int, seed: int, change: RatioChange | None) -> tuple[list[int], list[float]]:
    """A register that rolls over, is reset and replaced, glitches, and has gaps and another ratio from a time on."""
    random = np.random.default_rng(seed)
    times = np.arange(start_ms, end_ms + 1, STEP)
    values = np.cumsum(random.integers(0, 3000, len(times))).astype(float) + 999_999_000_000 % 1_000_000_000
    places = np.sort(random.choice(np.arange(20, len(times) - 20), 9, replace=False))
    while np.diff(places).min() < 12:
        places = np.sort(random.choice(np.arange(20, len(times) - 20), 9, replace=False))
    kinds = random.permutation(["over", "reset", "exchange", "zero", "spike", "back", "gap", "gap", "zero"]).tolist()
    kept = np.ones(len(times), np.bool_)
    for place, kind in zip(places.tolist(), kinds, strict=True):
        if kind == "over":
            values[place:] -= values[place] - 200
            values[:place] += 1_000_000_000 - 100 - values[place - 1]
        elif kind == "reset":
            values[place:] -= values[place] - 50
        elif kind == "exchange":
            values[place:] += 44_000_000 if values[place] < 500_000_000 else -44_000_000
        elif kind == "gap":
            kept[place : place + int(random.integers(2, 10))] = False
    for place, kind in zip(places.tolist(), kinds, strict=True):
        if kind in ("zero", "spike", "back"):
            values[place] = {"zero": 0.0, "spike": 9e8, "back": max(values[place] - 5e6, 1.0)}[kind]
    values %= 1_000_000_000
    if change is not None:
        values[times >= change.at_ms] *= change.factor
    return times[kept].tolist(), values[kept].tolist()


def same(one: Buckets, other: Buckets) -> None:
    for field in fields(Buckets):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        differ = np.flatnonzero(~((mine == theirs) | (np.isnan(mine) & np.isnan(theirs))))
        assert not len(differ), (field.name, [(place, mine[place], theirs[place]) for place in differ[:5].tolist()])


@pytest.mark.parametrize("wrong", [1, 2, 3])
@pytest.mark.parametrize("kind", ["zero", "reset", "exchange"])
@pytest.mark.parametrize("place", range(8, 14))
async def test_wrong_readings_beside_a_border_are_judged_alike_in_hours_pages_and_at_once(
    bench: Bench, place: int, kind: str, wrong: int
) -> None:
    start = local(2027, 3, 1, 8)
    times = list(range(start, start + 6 * HOUR, STEP))
    values = [50_000_000.0 + 500 * number for number in range(len(times))]
    after = place + wrong
    if kind != "zero":
        values[after:] = [value - values[after] + (700 if kind == "reset" else 9e6) for value in values[after:]]
    for number in range(wrong):
        values[place + number] = 0.0 if kind == "zero" else 3e8 * (number + 1)
    await bench.open(start)
    for time, value in zip(times, values, strict=True):
        await bench.put(M1, IMPORT, [time], [value])
        await bench.settle(time + GRACE)
    end = start + 5 * HOUR
    await bench.settle(end + HOUR)
    kept = await bench.rollups.buckets(M1, IMPORT, start, end, Width.HOUR)
    ratings = Ratings(plant_of(UNITS))
    limits = ratings.limits(ratings.bounds([M1], (IMPORT.path,)), 0, 0)
    for page in (7, 10_000):
        afresh = Afresh(bench.store, M1, IMPORT, BERLIN, limits, page=page)
        computed = await afresh.buckets(edges(start, end, Width.HOUR, BERLIN), Width.HOUR)
        assert computed is not None
        same(computed, kept)
    lost = {"zero": 0, "reset": (wrong + 1) * 500 - 700, "exchange": (wrong + 1) * 500}[kind]
    assert np.nansum(kept.delta) == pytest.approx((15_000 - lost) / 1000)


@pytest.mark.parametrize("spike", [3e8, 0.0], ids=["spike", "zero"])
@pytest.mark.parametrize("place", range(8, 14))
async def test_without_a_rating_a_wrong_reading_beside_a_border_is_in_no_hour(
    made: Callable[..., Bench], place: int, spike: float
) -> None:
    start = local(2027, 3, 1, 8)
    times = list(range(start, start + 6 * HOUR, STEP))
    values = [50_000_000.0 + 500 * number for number in range(len(times))]
    values[place] = spike
    bench = await made(rated_power_kw=0.0).open(start)
    for time, value in zip(times, values, strict=True):
        await bench.put(M1, IMPORT, [time], [value])
        await bench.settle(time + GRACE)
    end = start + 5 * HOUR
    await bench.settle(end + HOUR)
    kept = await bench.rollups.buckets(M1, IMPORT, start, end, Width.HOUR)
    assert kept.delta.tolist() == [3.0] * 5
    (told,) = await bench.rollups.anomalies([M1], start, end)
    assert (told.move, told.time_ms) == (Move.GLITCH, times[place])


@pytest.mark.parametrize("quarters", [False, True], ids=["hours", "quarters"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("middle", [(2027, 3, 28), (2027, 10, 31)], ids=["23 hours", "25 hours"])
async def test_pages_of_readings_give_what_the_hub_keeps(
    made: Callable[..., Bench], seed: int, middle: tuple[int, int, int], *, quarters: bool
) -> None:
    year, month, day = middle
    start, end = local(year, month, day - 1), local(year, month, day) + 2 * DAY
    change = RatioChange(local(year, month, day, 14, 23), 2.0) if seed % 2 else None
    changes = (lambda _: {IMPORT.path: [change]}) if change is not None else unchanged
    bench = await made(options=RollupOptions(quarters=quarters), changes=changes).open(start)
    times, values = readings(start, end, seed, change)
    for low in range(0, len(times), 30):
        await bench.put(M1, IMPORT, times[low : low + 30], values[low : low + 30])
        await bench.put(M1, VOLTAGE, times[low : low + 30], [value % 500 for value in values[low : low + 30]])
        await bench.settle(times[low : low + 30][-1] + GRACE)
    await bench.settle(end + 2 * DAY)
    widths = bench.rollups.widths
    ratings = Ratings(plant_of(UNITS))
    bounds: Bounds = ratings.bounds([M1], (IMPORT.path,))
    # all at once and late, as after the file was lost: the same again
    await bench.put(M1, IMPORT, times, values)
    await bench.settle(end + 2 * DAY)
    for quantity in (IMPORT, VOLTAGE):
        own = [change] if change is not None and quantity is IMPORT else []
        afresh = Afresh(
            bench.store, M1, quantity, BERLIN, ratings.limits(bounds, 0, 0), own, quarters=quarters, page=17
        )
        for width in widths:
            borders = edges(start, end, width, BERLIN)
            kept = await bench.rollups.buckets(M1, quantity, start, end, width)
            computed = await afresh.buckets(borders, width)
            assert computed is not None
            same(computed, kept)
    with KeptRollups(bench.folder) as file:
        for width in widths:
            borders = edges(start, end, width, BERLIN)
            assert file.tells(M1, IMPORT, borders, width).tolist() == (borders[1:] <= end + 2 * DAY - GRACE).tolist()
            same(file.buckets(M1, IMPORT, borders, width), await bench.rollups.buckets(M1, IMPORT, start, end, width))


async def test_an_hour_of_more_readings_than_a_page_is_one_hour(bench: Any) -> None:
    start = local(2027, 2, 1)
    await bench.open(start)
    times = list(range(start, start + 2 * HOUR, 60_000))
    await bench.put(M1, IMPORT, times, [1000.0 * place for place in range(len(times))])

    afresh = Afresh(bench.store, M1, IMPORT, BERLIN, Limits(), page=7)
    found = await afresh.buckets(edges(start, start + 2 * HOUR, Width.HOUR, BERLIN), Width.HOUR)
    assert found is not None
    assert (found.delta.tolist(), found.count.tolist()) == ([60.0, 59.0], [60, 60])


async def test_what_has_no_history_has_no_buckets(bench: Any) -> None:
    start = local(2027, 2, 1)
    await bench.open(start)

    afresh = Afresh(bench.store, M1, Quantity.LAST_ERROR, BERLIN, Limits())
    assert await afresh.buckets(edges(start, start + HOUR, Width.HOUR, BERLIN), Width.HOUR) is None


async def test_buckets_that_wait_or_lie_ahead_are_not_told_by_the_file(bench: Any) -> None:
    start = local(2027, 2, 1)
    await bench.open(start)
    times = list(range(start, start + 3 * DAY, HOUR))
    await bench.put(M1, IMPORT, times, [1000.0 * place for place in range(len(times))])
    await bench.settle(start + 3 * DAY - 2 * HOUR)
    borders = edges(start, start + 3 * DAY, Width.DAY, BERLIN)
    with KeptRollups(bench.folder) as file:
        assert file.tells(M1, IMPORT, borders, Width.DAY).tolist() == [True, True, False]
        assert not file.tells(UNITS[1], IMPORT, borders, Width.DAY).any()
        assert 0 <= start - file.begins(M1, IMPORT) < 32 * DAY
        assert file.begins(UNITS[1], IMPORT) is None
    await bench.put(M1, IMPORT, [start + 60_000], [1.0])
    with KeptRollups(bench.folder) as file:
        assert file.tells(M1, IMPORT, borders, Width.DAY).tolist() == [False, False, False]
    await bench.settle(start + 4 * DAY)
    with KeptRollups(bench.folder) as file:
        assert file.tells(M1, IMPORT, borders, Width.DAY).tolist() == [True, True, True]


async def test_a_damaged_row_is_told_by_nobody_until_the_hub_has_made_it_again(bench: Any) -> None:
    start = local(2027, 2, 1)
    await bench.open(start)
    times = list(range(start, start + 2 * DAY, HOUR))
    await bench.put(M1, IMPORT, times, [1000.0 * place for place in range(len(times))])
    await bench.settle(start + 3 * DAY)
    with sqlite3.connect(bench.folder / FILE) as file:
        file.execute("UPDATE h_e SET crc = crc + 1")
    file.close()
    borders = edges(start, start + DAY, Width.HOUR, BERLIN)
    with KeptRollups(bench.folder) as kept:
        assert kept.tells(M1, IMPORT, borders, Width.HOUR).all()
        kept.buckets(M1, IMPORT, borders, Width.HOUR)
        assert not kept.tells(M1, IMPORT, borders, Width.HOUR).any()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all, but long enough to be taken for one" * 40)
    with pytest.raises(DamagedHistory):
        KeptRollups(tmp_path)

"""Simulated meters, what their books say, and what the rollups make of their readings."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from address_space.model import NodeUid, Quantity
from drivers.simulators.meter import Installation, Meter
from historian.calendar import Width
from historian.counters import Move
from historian.schema import QualityFlag

IMPORT = Quantity.ACTIVE_ENERGY_IMPORT
M1, M2 = NodeUid("m1"), NodeUid("m2")
BERLIN = ZoneInfo("Europe/Berlin")
QUARTER, HOUR, DAY = 900_000, 3_600_000, 86_400_000
GRACE = 200_000


def local(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=BERLIN).astimezone(UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


class Book:
    """The register of one simulated meter, in Wh."""

    def __init__(self, name: str = "m1") -> None:
        self._meter = Meter(Installation(name))

    def at(self, time_ms: int) -> float:
        value = self._meter.values(time_ms // 1000)[IMPORT.code]
        assert value is not None
        return value

    def readings(self, start_ms: int, end_ms: int, step_ms: int = QUARTER) -> tuple[list[int], list[float]]:
        times = list(range(start_ms, end_ms + 1, step_ms))
        return times, [self.at(time) for time in times]


def booked(book: Book, edges: list[int]) -> list[float]:
    return [(book.at(end) - book.at(begin)) / 1000 for begin, end in pairwise(edges)]


async def read_all(
    bench: Any, book: Book, start_ms: int, end_ms: int, *, chunk_ms: int = HOUR, step_ms: int = QUARTER
) -> None:
    """As a running hub: readings as they are made, rollups now and then."""
    for begin in range(start_ms, end_ms, chunk_ms):
        times, values = book.readings(begin, min(begin + chunk_ms, end_ms), step_ms)
        await bench.put(M1, IMPORT, times, values)
        await bench.settle(times[-1] + GRACE)


@pytest.mark.parametrize(
    ("day", "hours"),
    [((2027, 3, 28), 23), ((2027, 10, 31), 25), ((2027, 6, 15), 24)],
    ids=["spring", "autumn", "summer"],
)
async def test_days_of_any_length_say_what_the_books_say(bench: Any, day: tuple[int, int, int], hours: int) -> None:
    book = Book()
    first = datetime(*day, tzinfo=BERLIN) - timedelta(days=1)
    start, end = local(first.year, first.month, first.day), local(day[0], day[1], day[2]) + hours * HOUR
    await bench.open(start)
    await read_all(bench, book, start, end + DAY, chunk_ms=3 * HOUR)
    edges = list(range(end - hours * HOUR, end + 1, HOUR))
    assert await bench.deltas(M1, edges[0], end) == booked(book, edges)
    days = await bench.deltas(M1, start, end, Width.DAY)
    assert days == booked(book, [start, edges[0], end])
    assert sum(await bench.deltas(M1, edges[0], end)) == pytest.approx(days[1], abs=1e-9)


async def test_weeks_sum_up_to_the_difference_of_the_register(bench: Any) -> None:
    book = Book()
    start, end = local(2027, 9, 27), local(2027, 11, 8)
    await bench.open(start)
    await read_all(bench, book, start, end, chunk_ms=DAY, step_ms=HOUR // 2)
    total = (book.at(end) - book.at(start)) / 1000
    for width in (Width.HOUR, Width.DAY):
        assert round(sum(await bench.deltas(M1, start, end, width)) * 1000) == round(total * 1000)
    october = await bench.deltas(M1, local(2027, 10, 1), local(2027, 11, 1), Width.MONTH)
    assert october == booked(book, [local(2027, 10, 1), local(2027, 11, 1)])


async def test_what_an_outage_hides_is_shared_out_by_time_and_marked(bench: Any) -> None:
    book = Book()
    start = local(2027, 2, 1)
    await bench.open(start)
    await read_all(bench, book, start, start + 6 * HOUR)
    back = start + 3 * DAY + 20 * 60_000
    await read_all(bench, book, back, back + 5 * HOUR)
    end = start + 3 * DAY + 5 * HOUR
    found = await bench.rollups.buckets(M1, IMPORT, start, end, Width.HOUR)
    assert not np.isnan(found.delta).any()
    gap = slice(6, 3 * 24 + 1)
    assert (found.quality[gap] & int(QualityFlag.ESTIMATED) != 0).all()
    assert (found.quality[:6] == 0).all()
    spread = found.delta[6 : 3 * 24]
    assert spread.max() - spread.min() <= 0.0011
    await bench.settle(end + HOUR + GRACE)
    whole = await bench.deltas(M1, start, end + HOUR)
    assert round(sum(value or 0.0 for value in whole) * 1000) == book.at(back + 5 * HOUR) - book.at(start)


async def test_readings_that_fail_for_a_while_change_nothing_of_what_is_booked(bench: Any) -> None:
    book = Book()
    start = local(2027, 2, 1)
    await bench.open(start)
    times, values = book.readings(start, start + 2 * DAY)
    bad = [DAY // 2 < time - start < DAY for time in times]
    for at in range(0, len(times), 8):
        for time, value, fails in list(zip(times, values, bad, strict=True))[at : at + 8]:
            await bench.put(M1, IMPORT, [time], [np.nan if fails else value], 0x80310000 if fails else 0)
        await bench.settle(times[min(at + 7, len(times) - 1)] + GRACE)
    await bench.settle(start + 2 * DAY + GRACE)
    found = await bench.rollups.buckets(M1, IMPORT, start, start + 2 * DAY, Width.HOUR)
    assert round(found.delta.sum() * 1000) == book.at(times[-1]) - book.at(start)
    assert found.quality[13] & int(QualityFlag.MISSING)
    assert found.quality[13] & int(QualityFlag.ESTIMATED)


async def test_a_month_that_comes_late_is_booked_as_if_it_had_come_in_time(bench: Any) -> None:
    book = Book()
    start = local(2027, 1, 1)
    await bench.open(start)
    times, values = book.readings(start, start + 40 * DAY, HOUR // 2)
    early = [time < start + 2 * DAY or time > start + 33 * DAY for time in times]
    await bench.put(M1, IMPORT, *_chosen(times, values, early))
    await bench.settle(times[-1] + GRACE)
    guessed = await bench.rollups.buckets(M1, IMPORT, start + 10 * DAY, start + 11 * DAY, Width.HOUR)
    assert (guessed.quality & int(QualityFlag.ESTIMATED) != 0).all()
    await bench.put(M1, IMPORT, *_chosen(times, values, [not value for value in early]))
    assert not await bench.rollups.settled([M1], start + 10 * DAY, start + 11 * DAY)
    await bench.settle(times[-1] + GRACE)
    assert await bench.rollups.settled([M1], start + 10 * DAY, start + 11 * DAY)
    edges = list(range(start, start + 40 * DAY + 1, HOUR))
    found = await bench.rollups.buckets(M1, IMPORT, start, edges[-1], Width.HOUR)
    assert found.delta.tolist() == booked(book, edges)
    assert (found.quality == 0).all()
    january = await bench.deltas(M1, start, start + DAY, Width.MONTH)
    assert january == booked(book, [start, local(2027, 2, 1)])


def _chosen(times: list[int], values: list[float], which: list[bool]) -> tuple[list[int], list[float]]:
    kept = [(time, value) for time, value, keep in zip(times, values, which, strict=True) if keep]
    return [time for time, _ in kept], [value for _, value in kept]


async def test_a_register_that_rolls_over_is_booked_on(bench: Any) -> None:
    start = local(2027, 2, 1)
    await bench.open(start)
    times = list(range(start, start + 4 * HOUR + 1, QUARTER))
    top = 1_000_000_000
    values = [(top - 5000 + 1000 * place) % top for place in range(len(times))]
    for time, value in zip(times, values, strict=True):
        await bench.put(M1, IMPORT, [time], [value])
        await bench.settle(time + GRACE)
    found = await bench.rollups.buckets(M1, IMPORT, start, start + 4 * HOUR, Width.HOUR)
    assert found.delta.tolist() == [4.0, 4.0, 4.0, 4.0]
    assert [bool(flag & int(QualityFlag.ROLLOVER)) for flag in found.quality] == [False, True, False, False]
    assert [anomaly.move for anomaly in await bench.rollups.anomalies([M1])] == [Move.ROLLOVER]


@pytest.mark.parametrize("spike", [0.0, 9.9e8, 4000.0], ids=["zero", "spike", "backwards"])
async def test_a_glitch_is_never_booked_but_marked_and_told(bench: Any, spike: float) -> None:
    book = Book()
    start = local(2027, 2, 1)
    await bench.open(start)
    times, values = book.readings(start, start + 6 * HOUR)
    values = [value + 500_000 for value in values]
    values[13] = spike
    for time, value in zip(times, values, strict=True):
        await bench.put(M1, IMPORT, [time], [value])
        await bench.settle(time + GRACE)
    found = await bench.rollups.buckets(M1, IMPORT, start, start + 6 * HOUR, Width.HOUR)
    assert found.delta.tolist() == booked(book, list(range(start, start + 6 * HOUR + 1, HOUR)))
    assert [bool(flag & int(QualityFlag.SUSPECT)) for flag in found.quality] == [False] * 3 + [True] + [False] * 2
    assert spike / 1000 not in (*found.first.tolist(), *found.last.tolist())
    told = await bench.rollups.anomalies([M1])
    assert [(anomaly.move, anomaly.time_ms, anomaly.value) for anomaly in told] == [
        (Move.GLITCH, times[13], spike / 1000)
    ]
    raw = await bench.store.read_raw(M1, IMPORT, times[13], times[13] + 1, 1)
    assert raw.values.tolist() == [spike / 1000]


@pytest.mark.parametrize(("shown", "move"), [(0.0, Move.RESET), (77_000_000.0, Move.REPLACED)])
async def test_a_reset_and_another_meter_are_told_apart_and_not_booked(bench: Any, shown: float, move: Move) -> None:
    book = Book()
    start = local(2027, 2, 1)
    await bench.open(start)
    times, values = book.readings(start, start + 8 * HOUR)
    change = 18
    offset = values[change] - shown
    values = [value + 5e6 if place < change else value - offset for place, value in enumerate(values)]
    for time, value in zip(times, values, strict=True):
        await bench.put(M1, IMPORT, [time], [value])
        await bench.settle(time + GRACE)
    found = await bench.rollups.buckets(M1, IMPORT, start, start + 8 * HOUR, Width.HOUR)
    true = book.at(times[-1]) - book.at(start)
    hidden = book.at(times[change]) - book.at(times[change - 1])
    assert round(found.delta.sum() * 1000) == true - hidden
    assert [anomaly.move for anomaly in await bench.rollups.anomalies([M1])] == [move]
    assert found.quality[4] & int(QualityFlag.SUSPECT)


async def test_two_runs_over_the_same_readings_say_the_same(bench: Any) -> None:
    book = Book()
    start = local(2027, 10, 29)
    await bench.open(start)
    times, values = book.readings(start, start + 4 * DAY)
    values = [value + 1e6 for value in values]
    values[50], values[120], values[200] = 0.0, 5e8, 3.0
    await read_odd(bench, times, values)
    once = await bench.rollups.buckets(M1, IMPORT, start, start + 4 * DAY, Width.HOUR)
    # every reading again, in another order: all hours are opened again
    order = np.random.default_rng(3).permutation(len(times)).tolist()
    for at in range(0, len(order), 50):
        part = order[at : at + 50]
        await bench.put(M1, IMPORT, [times[place] for place in part], [values[place] for place in part])
        await bench.settle(times[-1] + GRACE)
    twice = await bench.rollups.buckets(M1, IMPORT, start, start + 4 * DAY, Width.HOUR)
    for name in ("first", "last", "delta", "count", "quality"):
        assert np.array_equal(getattr(once, name), getattr(twice, name), equal_nan=True), name


async def read_odd(bench: Any, times: list[int], values: list[float]) -> None:
    for at in range(0, len(times), 4):
        await bench.put(M1, IMPORT, times[at : at + 4], values[at : at + 4])
        await bench.settle(times[min(at + 3, len(times) - 1)] + GRACE)


async def test_a_hub_that_was_away_goes_on_where_it_was(bench: Any) -> None:
    book = Book()
    start = local(2027, 2, 1)
    await bench.open(start)
    await read_all(bench, book, start, start + 5 * HOUR)
    times, values = book.readings(start + 5 * HOUR, start + 8 * HOUR)
    bench.at(times[-1])
    await bench.put(M1, IMPORT, times, values)
    other = await bench.restarted()
    try:
        await other.settle(start + 8 * HOUR + GRACE)
        edges = list(range(start, start + 8 * HOUR + 1, HOUR))
        assert await other.deltas(M1, start, start + 8 * HOUR) == booked(book, edges)
    finally:
        await other.close()

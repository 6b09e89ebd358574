"""What registers did beside going on: listed, told once, and gone again where late readings undo it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from address_space.model import NodeUid, Quantity
from historian.api import Readings
from historian.counters import Move
from historian.errors import DamagedHistory, WrongFormat
from historian.rollups import Anomaly, KeptRollups, Ratings, RollupLines, Rollups, anomalies
from historian.rollups.anomalies import AnomalyTable
from historian.rollups.file import FILE, RollupFile
from historian.rollups.judged import GLITCH_STATUS, JudgedReader
from historian.schema import Measurement, QualityFlag, quality_flags
from tests.historian.rollups.conftest import HOUR, IMPORT, REACTIVE, UNITS, Bench, plant_of

M1, M2 = UNITS[0], UNITS[1]
QUARTER = 900_000
GRACE = 200_000
DAY = 24 * HOUR
START = 1_803_859_200_000
"""2027-03-01T08:00Z."""


def told(found: Sequence[Anomaly]) -> list[tuple[str, Move, int, float, float, float | None]]:
    return [(one.point, one.move, (one.time_ms - START) // QUARTER, one.before, one.value, one.booked) for one in found]


async def read(bench: Bench, values: Sequence[float], unit: NodeUid = M1, first: int = 0) -> None:
    """A reading every quarter of an hour, in Wh, each settled before the next comes."""
    for place, value in enumerate(values, first):
        time = START + place * QUARTER
        await bench.put(unit, IMPORT, [time], [value])
        await bench.settle(time + GRACE)


def going_on(count: int, first: float = 1_000_000.0) -> list[float]:
    return [first + 250.0 * place for place in range(count)]


async def glitched(bench: Bench) -> list[float]:
    """Four hours with one glitch, settled."""
    await bench.open(START)
    values = going_on(17)
    values[6] = 0.0
    await read(bench, values)
    return values


GLITCH = ("m1", Move.GLITCH, 6, 1001.25, 0.0, 0.0)


async def test_each_kind_says_what_the_register_showed_and_what_was_booked(bench: Bench) -> None:
    await bench.open(START)
    top = 1_000_000_000.0
    over = [top - 500 + 250 * place if place < 2 else 250.0 * (place - 2) for place in range(9)]
    await read(bench, over, M2)
    values = going_on(24)
    values[6] = 0.0
    values[10:] = [200.0 + 250 * place for place in range(14)]
    values[18:] = [77_000_000.0 + 250 * place for place in range(6)]
    await read(bench, values, first=0)
    assert told(await bench.rollups.anomalies()) == [
        ("m1", Move.REPLACED, 18, 1.95, 77_000.0, 0.0),
        ("m1", Move.RESET, 10, 1002.25, 0.2, 0.2),
        GLITCH,
        ("m2", Move.ROLLOVER, 2, 999_999.75, 0.0, 0.25),
    ]
    assert told(await bench.rollups.anomalies([M2])) == [("m2", Move.ROLLOVER, 2, 999_999.75, 0.0, 0.25)]
    span = (START + 6 * QUARTER, START + 10 * QUARTER)
    assert told(await bench.rollups.anomalies(None, *span)) == [GLITCH]
    assert told(await bench.rollups.anomalies(moves=[Move.GLITCH])) == [GLITCH]
    assert len(await bench.rollups.anomalies(most=2)) == 2
    assert bench.rollups.found == {Move.ROLLOVER: 1, Move.RESET: 1, Move.REPLACED: 1, Move.GLITCH: 1}


async def test_what_was_told_is_not_told_again_when_its_hours_are_opened_again_or_the_hub_restarts(
    bench: Bench, made: Callable[..., Bench]
) -> None:
    values = await glitched(bench)
    found = await bench.rollups.untold(10)
    assert told(found) == [GLITCH]
    await bench.rollups.told(found)
    await read(bench, values[4:9], first=4)
    await bench.put(M1, IMPORT, [START + 6 * QUARTER + 60_000], [values[5] + 300])
    await bench.settle(START + DAY)
    assert await bench.rollups.untold(10) == []
    assert bench.rollups.found[Move.GLITCH] == 1
    again = await bench.restarted()
    await again.settle(START + 2 * DAY)
    assert told(await again.rollups.anomalies()) == [GLITCH]
    assert await again.rollups.untold(10) == []
    assert sum(again.rollups.found.values()) == 0
    await again.close()
    elsewhere = await made(zone="Asia/Tashkent").open(START + 2 * DAY)
    await elsewhere.settle(START + 3 * DAY)
    assert told(await elsewhere.rollups.anomalies()) == [GLITCH]
    assert await elsewhere.rollups.untold(10) == []


async def test_what_nobody_was_told_of_before_a_restart_is_told_after_it(bench: Bench) -> None:
    await glitched(bench)
    again = await bench.restarted()
    assert told(await again.rollups.untold(10)) == [GLITCH]
    await again.close()


async def test_a_glitch_that_a_late_reading_undoes_is_gone(bench: Bench) -> None:
    values = await glitched(bench)
    await bench.rollups.recent.refresh()
    recent = bench.rollups.recent.of(M1)
    assert recent is not None
    assert (recent.count, told([recent.last])) == (1, [GLITCH])  # type: ignore[list-item]
    await bench.put(M1, IMPORT, [START + 6 * QUARTER], [values[5] + 250])
    await bench.settle(START + DAY)
    assert await bench.rollups.anomalies() == []
    assert await bench.rollups.untold(10) == []
    await bench.rollups.recent.refresh()
    assert bench.rollups.recent.of(M1).count == 0  # type: ignore[union-attr]


async def test_a_jump_that_a_late_reading_makes_a_glitch_is_told_as_that(bench: Bench) -> None:
    await bench.open(START)
    values = going_on(12)
    await read(bench, values[:5])
    await read(bench, [0.0, 250.0], first=5)
    await bench.settle(START + 2 * HOUR + GRACE)
    (jump,) = await bench.rollups.untold(10)
    assert jump.move is Move.RESET
    await bench.rollups.told([jump])
    await read(bench, [values[6], *values[7:]], first=6)
    await bench.settle(START + DAY)
    assert [(one.move, one.time_ms) for one in await bench.rollups.anomalies()] == [(Move.GLITCH, jump.time_ms)]
    assert [one.move for one in await bench.rollups.untold(10)] == [Move.GLITCH]


async def test_what_happened_long_ago_is_listed_and_is_no_news(bench: Bench) -> None:
    await bench.open(START + 40 * DAY)
    values = going_on(17)
    values[6] = 0.0
    await bench.put(M1, IMPORT, [START + place * QUARTER for place in range(17)], values)
    await bench.settle(START + 40 * DAY)
    assert told(await bench.rollups.anomalies()) == [GLITCH]
    assert await bench.rollups.untold(10) == []
    await bench.rollups.recent.refresh()
    assert bench.rollups.recent.of(M1).count == 0  # type: ignore[union-attr]


async def test_what_is_recent_grows_old(bench: Bench) -> None:
    await glitched(bench)
    await bench.settle(START + 33 * DAY)
    await bench.rollups.recent.refresh()
    assert bench.rollups.recent.of(M1).count == 0  # type: ignore[union-attr]


async def test_only_the_newest_are_kept_and_older_ones_do_not_come_again(bench: Bench, monkeypatch: Any) -> None:
    monkeypatch.setattr(anomalies, "MOST", 3)
    await bench.open(START)
    values = going_on(33)
    for place in (3, 8, 13, 18, 23):
        values[place] = 0.0
    await read(bench, values)
    places = [(one.time_ms - START) // QUARTER for one in await bench.rollups.anomalies()]
    assert places == [23, 18, 13]
    await read(bench, values[1:11], first=1)
    await bench.settle(START + DAY)
    places = [(one.time_ms - START) // QUARTER for one in await bench.rollups.anomalies()]
    assert places == [23, 18, 13]
    assert bench.rollups.found[Move.GLITCH] == 5


async def test_a_glitch_among_the_readings_before_an_hour_makes_nothing_of_that_hour_odd(bench: Bench) -> None:
    await bench.open(START)
    values = going_on(33)
    for place in range(3, 31, 5):
        values[place] = 0.0
    await read(bench, values)
    assert {one.move for one in await bench.rollups.anomalies()} == {Move.GLITCH}
    assert sum(await bench.deltas(M1, START, START + 8 * HOUR)) == 8.0  # type: ignore[arg-type]


@pytest.mark.parametrize("killed", [False, True], ids=["untouched", "killed on the way"])
async def test_a_file_of_an_older_hub_keeps_its_anomalies(bench: Bench, *, killed: bool) -> None:
    await glitched(bench)
    await bench.close()
    with sqlite3.connect(bench.folder / FILE) as file:
        for index in ("anomaly_time", "untold_time"):
            file.execute(f"DROP INDEX {index}")
        file.execute("DELETE FROM untold" if killed else "DROP TABLE untold")
        file.execute("ALTER TABLE anomaly DROP COLUMN booked")
        if killed:
            file.execute("ALTER TABLE anomaly ADD COLUMN booked REAL")
        file.execute("PRAGMA user_version = 1")
    file.close()
    again = await Bench(bench.folder, "Europe/Berlin", bench.rollups.options).open(START + HOUR)
    assert told(await again.rollups.anomalies()) == [(*GLITCH[:5], None)]
    assert await again.rollups.untold(10) == []
    await again.close()


async def test_a_register_without_a_rating_books_nothing_for_a_step_to_what_it_cannot_show(bench: Bench) -> None:
    ratings = Ratings(plant_of(UNITS, rated_power_kw=0.0))
    rollups = Rollups(bench.folder, bench.clock, bench.store, bench.days, ratings)
    bench.rollups, bench.writer = rollups, rollups.tap(bench.store)
    await bench.open(START)
    values = going_on(17)
    await read(bench, [*values[:6], *(value + 2_000_000_000 for value in values[6:])])
    assert told(await bench.rollups.anomalies()) == [(M1, Move.REPLACED, 6, 1001.25, 2_001_001.5, 0.0)]
    assert await bench.deltas(M1, START, START + 4 * HOUR) == [1.0, 0.75, 1.0, 1.0]


async def test_news_that_could_not_be_looked_at_are_looked_at_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await glitched(bench)
    recent = bench.rollups.recent
    bench.at(START + DAY)
    with monkeypatch.context() as broken:
        broken.setattr(AnomalyTable, "glitching", _broken)
        with pytest.raises(DamagedHistory):
            await recent.refresh()
    assert await recent.refresh()
    assert not await recent.refresh()


def _broken(_: AnomalyTable) -> None:
    raise DamagedHistory("a page is damaged", where="here", hint="none")


async def test_a_file_of_a_newer_hub_is_neither_written_nor_read(bench: Bench) -> None:
    await glitched(bench)
    await bench.close()
    with sqlite3.connect(bench.folder / FILE) as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    for opened in (lambda: KeptRollups(bench.folder), lambda: RollupFile(bench.folder / FILE, writing=True)):
        with pytest.raises(WrongFormat, match="format 99, this hub knows") as refused:
            opened()
        assert "run the newer hub" in str(refused.value)


async def test_a_glitch_is_read_as_uncertain_and_stays_stored_as_it_was(bench: Bench) -> None:
    values = await glitched(bench)
    await bench.put(M1, REACTIVE, [START + 6 * QUARTER], [5.0])
    await bench.settle(START + DAY)
    await bench.rollups.recent.refresh()
    reader = JudgedReader(bench.store, bench.rollups.recent)
    at = START + 6 * QUARTER
    for newest_first in (False, True):
        found = await reader.read_raw(M1, IMPORT, START, START + DAY, 100, newest_first=newest_first)
        marked = found.time_ms[found.status != 0].tolist()
        assert (marked, found.status.max()) == ([at], GLITCH_STATUS)
    assert (await reader.value_before(M1, IMPORT, at)).status == GLITCH_STATUS  # type: ignore[union-attr]
    assert (await reader.value_after(M1, IMPORT, at + 1)).status == 0  # type: ignore[union-attr]
    stored = await bench.store.read_raw(M1, IMPORT, START, START + DAY, 100)
    assert stored.values.tolist() == [value / 1000 for value in values]
    assert not stored.status.any()
    assert (await reader.read_raw(M1, REACTIVE, START, START + DAY, 9)).status.tolist() == [0]
    assert (await reader.read_raw(M2, IMPORT, START, START + DAY, 9)).time_ms.tolist() == []
    assert await reader.bounds(M1, IMPORT) == await bench.store.bounds(M1, IMPORT)
    assert np.isnan((await reader.latest([M1], [Quantity.VOLTAGE])).values).all()


class Written:
    """What would go to a database."""

    def __init__(self) -> None:
        self.groups: list[Readings] = []

    async def series(self, units: Sequence[NodeUid]) -> np.ndarray:
        return np.arange(len(units))

    async def write(self, readings: Sequence[Readings]) -> None:
        self.groups += readings


async def test_hours_for_other_databases_say_that_they_are_suspect(bench: Bench) -> None:
    written = Written()
    lines = RollupLines(written)
    rollups = Rollups(bench.folder, bench.clock, bench.store, bench.days, Ratings(plant_of(UNITS)), lines=lines)
    bench.rollups, bench.writer = rollups, rollups.tap(bench.store)
    await glitched(bench)
    found: dict[int, int] = {}
    for group in written.groups:
        if group.measurement is Measurement.ENERGY_1H:
            for time_ms, codes in zip(group.time_ms.tolist(), group.status.tolist(), strict=True):
                bits = [int(quality_flags(code)) for code in codes]
                found[(time_ms - START) // HOUR] = bits[0] | bits[1]
    assert [found[hour] & int(QualityFlag.SUSPECT) for hour in range(4)] == [0, int(QualityFlag.SUSPECT), 0, 0]

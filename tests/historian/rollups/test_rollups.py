import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from address_space.model import NodeUid, Quantity
from historian.calendar import Width
from historian.counters import RatioChange
from historian.errors import HistoryError
from historian.rollups import RollupOptions

IMPORT, REACTIVE, VOLTAGE = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.REACTIVE_ENERGY_IMPORT, Quantity.VOLTAGE
M1 = NodeUid("m1")
QUARTER, HOUR, DAY = 900_000, 3_600_000, 86_400_000


def ms(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


T0 = ms(2027, 1, 3, 23)
"""Midnight in Berlin."""


async def test_an_hour_says_what_its_register_went_on_by(bench: Any) -> None:
    await bench.open(T0)
    times = list(range(T0, T0 + 3 * HOUR + 1, QUARTER))
    await bench.put(M1, IMPORT, times, [1000.0 * place for place in range(len(times))])
    await bench.settle(T0 + 3 * HOUR + 200_000)
    found = await bench.rollups.buckets(M1, IMPORT, T0, T0 + 3 * HOUR, Width.HOUR)
    assert found.delta.tolist() == [4.0, 4.0, 4.0]
    assert found.first.tolist() == [0.0, 4.0, 8.0]
    assert found.last.tolist() == [3.0, 7.0, 11.0]
    assert found.count.tolist() == [4, 4, 4]
    assert found.quality.tolist() == [0, 0, 0]
    assert await bench.rollups.settled([M1], T0, T0 + 3 * HOUR)
    assert not await bench.rollups.settled([M1], T0, T0 + 4 * HOUR)


async def test_gauges_keep_their_bounds_and_mean(bench: Any) -> None:
    await bench.open(T0)
    await bench.put(M1, VOLTAGE, [T0, T0 + QUARTER, T0 + 2 * QUARTER], [229.7, 231.4, 230.1])
    await bench.settle(T0 + HOUR + 200_000)
    found = await bench.rollups.buckets(M1, VOLTAGE, T0, T0 + HOUR, Width.HOUR)
    assert (found.low[0], found.high[0], found.last[0]) == (229.7, 231.4, 230.1)
    assert np.isclose(found.mean[0], (229.7 + 231.4 + 230.1) / 3)
    assert np.isnan(found.delta[0])


async def test_quarters_are_kept_where_they_are_wanted_and_hours_are_made_of_them(made: Callable[..., Any]) -> None:
    bench = made(options=RollupOptions(quarters=True))
    await bench.open(T0)
    times = list(range(T0, T0 + 2 * HOUR + 1, QUARTER // 3))
    await bench.put(M1, IMPORT, times, [100.0 * place for place in range(len(times))])
    await bench.settle(T0 + 2 * HOUR + 200_000)
    assert await bench.deltas(M1, T0, T0 + 2 * HOUR, Width.QUARTER) == [0.3] * 8
    assert await bench.deltas(M1, T0, T0 + 2 * HOUR) == [1.2, 1.2]


@pytest.mark.parametrize("table", ["h_e", "d_e"])
async def test_a_damaged_row_is_made_again(bench: Any, table: str) -> None:
    await bench.open(T0)
    times = list(range(T0, T0 + 2 * DAY + 1, QUARTER))
    await bench.put(M1, IMPORT, times, [1000.0 * place for place in range(len(times))])
    await bench.settle(T0 + 2 * DAY + 200_000)
    width, before = (Width.HOUR, [4.0] * 24) if table == "h_e" else (Width.DAY, [96.0])
    assert await bench.deltas(M1, T0, T0 + DAY, width) == before
    with sqlite3.connect(bench.folder / "rollups.db") as connection:
        connection.execute(f"UPDATE {table} SET d = zeroblob(10)")  # noqa: S608 - a parameter
    connection.close()
    assert await bench.deltas(M1, T0, T0 + DAY, width) == [None] * len(before)
    await bench.rollups.catch_up()
    assert await bench.deltas(M1, T0, T0 + DAY, width) == before
    assert (await bench.rollups.state()).damaged


async def test_another_time_zone_has_everything_computed_anew(bench: Any, made: Callable[..., Any]) -> None:
    await bench.open(T0)
    times = list(range(T0, T0 + 2 * DAY + 1, QUARTER))
    await bench.put(M1, IMPORT, times, [1000.0 * place for place in range(len(times))])
    await bench.settle(T0 + 2 * DAY + 200_000)
    await bench.close()
    other = made(zone="Asia/Tashkent")
    await other.open(T0 + 2 * DAY + 200_000)
    await other.rollups.catch_up()
    midnight = T0 - 4 * HOUR + DAY
    assert await other.deltas(M1, midnight, midnight + DAY, Width.DAY) == [96.0]


@pytest.mark.parametrize("left", [b"", b"no database at all" * 500], ids=["lost", "damaged"])
async def test_a_file_that_is_lost_or_damaged_is_made_again(bench: Any, made: Callable[..., Any], left: bytes) -> None:
    await bench.open(T0)
    times = list(range(T0, T0 + 2 * DAY + 1, QUARTER))
    await bench.put(M1, IMPORT, times, [1000.0 * place for place in range(len(times))])
    await bench.settle(T0 + 2 * DAY + 200_000)
    await bench.close()
    for path in bench.folder.glob("rollups.db*"):
        path.unlink()
    if left:
        (bench.folder / "rollups.db").write_bytes(left)
    other = made()
    await other.open(T0 + 2 * DAY + 200_000)
    await other.rollups.tap(other.store).series([M1])
    await other.rollups.catch_up()
    assert await other.deltas(M1, T0, T0 + 2 * DAY, Width.DAY) == [96.0, 96.0]


async def test_readings_that_the_store_refuses_open_nothing(bench: Any) -> None:
    await bench.open(T0)
    await bench.put(M1, IMPORT, [T0], [0.0])
    await bench.settle(T0 + HOUR + 200_000)
    before = (await bench.rollups.state()).open_units
    with pytest.raises(HistoryError):
        await bench.put(M1, IMPORT, [T0 + 2 * HOUR, 2**60], [0.0, 1.0])
    assert (await bench.rollups.state()).open_units == before


async def test_what_is_not_read_for_a_day_keeps_the_shares_it_has(bench: Any) -> None:
    """A register that is read once a day beside one that comes late every quarter."""
    await bench.open(T0)
    await bench.put(M1, REACTIVE, [T0, T0 + DAY], [0.0, 24_000.0])
    await bench.put(M1, IMPORT, [T0, T0 + DAY], [0.0, 96_000.0])
    await bench.settle(T0 + DAY + HOUR + 200_000)
    assert await bench.deltas(M1, T0, T0 + DAY, quantity=REACTIVE) == [1.0] * 24
    times = list(range(T0 + 6 * HOUR, T0 + 12 * HOUR + 1, QUARTER))
    await bench.put(M1, IMPORT, times, [(time - T0) / QUARTER * 1000.0 for time in times])
    await bench.settle(T0 + DAY + HOUR + 200_000)
    assert await bench.deltas(M1, T0, T0 + DAY, quantity=REACTIVE) == [1.0] * 24
    assert await bench.deltas(M1, T0, T0 + DAY) == [4.0] * 24


async def test_a_change_of_transformers_from_a_date_on_is_no_jump(made: Callable[..., Any]) -> None:
    change = T0 + 2 * HOUR - QUARTER // 2
    bench = made(changes=lambda _uid: {IMPORT.path: [RatioChange(change, 2.0)]})
    await bench.open(T0)
    times = list(range(T0, T0 + 4 * HOUR + 1, QUARTER))
    secondary = [1000.0 * place for place in range(len(times))]
    values = [value * (2.0 if time >= change else 1.0) for time, value in zip(times, secondary, strict=True)]
    await bench.put(M1, IMPORT, times, values)
    await bench.settle(T0 + 4 * HOUR + 200_000)
    found = await bench.deltas(M1, T0, T0 + 4 * HOUR)
    assert (found[0], found[2], found[3]) == (4.0, 8.0, 8.0)
    assert found[1] == 5.0
    assert await bench.rollups.anomalies() == []

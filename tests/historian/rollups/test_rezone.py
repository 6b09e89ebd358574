"""Another time zone for a plant whose oldest readings are gone already."""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from historian.calendar import Days, Width
from tests.historian.rollups.conftest import HOUR, IMPORT, UNITS, VOLTAGE

M1, M2 = UNITS[:2]
BERLIN, PARIS, TASHKENT, UTC = "Europe/Berlin", "Europe/Paris", "Asia/Tashkent", "UTC"
FIRST = "2026-01-30"
DAY = 24 * HOUR
WH_AN_HOUR = 1000.0


def midnight(day: str, zone: str) -> int:
    return Days(ZoneInfo(zone)).start(int(np.datetime64(day, "D").astype(int)))


async def kept_of(made: Callable[..., Any], zone: str) -> Any:
    """Rollups of 30 January to 5 March, hour by hour, of which only March's readings are left."""
    bench = made(zone=zone)
    begin, end = midnight(FIRST, UTC), midnight("2026-03-05", UTC)
    await bench.open(begin)
    times = list(range(begin, end + 1, HOUR))
    for unit, factor in ((M1, 1.0), (M2, 3.0)):
        await bench.put(unit, IMPORT, times, [factor * WH_AN_HOUR * place for place in range(len(times))])
        await bench.put(unit, VOLTAGE, times, [230.0 + factor] * len(times))
    await bench.settle(end + 200_000)
    await bench.close()
    for name in ("202601", "202602"):
        for path in bench.folder.glob(f"hist-{name}.db*"):
            path.unlink()
    return bench


async def opened(made: Callable[..., Any], zone: str) -> Any:
    bench = made(zone=zone)
    await bench.open(midnight("2026-03-05", UTC) + 300_000)
    await bench.rollups.catch_up()
    return bench


async def days_of(bench: Any, zone: str, first: str, last: str, unit: Any = M1) -> list[float | None]:
    return await bench.deltas(unit, midnight(first, zone), midnight(last, zone), Width.DAY)


async def test_days_whose_readings_are_gone_stay_in_a_zone_with_the_same_hours(made: Callable[..., Any]) -> None:
    await kept_of(made, BERLIN)
    bench = await opened(made, PARIS)
    assert await days_of(bench, PARIS, "2026-01-31", "2026-03-05") == [24.0] * 33
    assert await days_of(bench, PARIS, "2026-01-31", "2026-03-05", M2) == [72.0] * 33
    hours = await bench.deltas(M1, midnight("2026-02-10", PARIS), midnight("2026-02-11", PARIS))
    assert hours == [1.0] * 24
    voltage = await bench.rollups.buckets(
        M1, VOLTAGE, midnight("2026-02-10", PARIS), midnight("2026-02-11", PARIS), Width.DAY
    )
    assert voltage.count.tolist() == [24]


@pytest.mark.parametrize("zone", [TASHKENT, "America/New_York", "Asia/Kathmandu", UTC])
async def test_days_with_readings_are_computed_anew_and_the_others_stay_as_they_were_told(
    made: Callable[..., Any], zone: str
) -> None:
    await kept_of(made, BERLIN)
    bench = await opened(made, zone)
    assert await days_of(bench, zone, "2026-01-31", "2026-03-01") == [24.0] * 29
    assert await days_of(bench, zone, "2026-03-02", "2026-03-04") == [24.0] * 2
    assert (await days_of(bench, zone, "2026-03-01", "2026-03-02"))[0] in (24.0, 25.0)
    if zone != UTC:
        hours = await bench.deltas(M1, midnight("2026-02-10", zone), midnight("2026-02-11", zone))
        assert set(hours) == {None}


async def test_what_comes_late_and_starts_that_follow_leave_the_days_that_stay_alone(made: Callable[..., Any]) -> None:
    await kept_of(made, BERLIN)
    bench = await opened(made, TASHKENT)
    late = midnight("2026-02-10", TASHKENT) + HOUR
    await bench.put(M1, IMPORT, [late], [5.0])
    await bench.put(M1, VOLTAGE, [late], [0.0])
    await bench.settle(midnight("2026-03-05", UTC) + 2 * HOUR)
    await bench.close()
    again = await opened(made, TASHKENT)
    assert await days_of(again, TASHKENT, "2026-01-31", "2026-03-01") == [24.0] * 29
    assert await days_of(again, TASHKENT, "2026-03-02", "2026-03-04") == [24.0] * 2


async def test_there_and_back_again_the_days_are_the_same(made: Callable[..., Any]) -> None:
    await kept_of(made, BERLIN)
    await (await opened(made, TASHKENT)).close()
    bench = await opened(made, BERLIN)
    assert await days_of(bench, BERLIN, "2026-01-31", "2026-03-01") == [24.0] * 29
    assert await days_of(bench, BERLIN, "2026-03-02", "2026-03-05") == [24.0] * 3


async def test_without_any_readings_left_all_days_stay(made: Callable[..., Any]) -> None:
    bench = await kept_of(made, BERLIN)
    for path in bench.folder.glob("hist-*.db*"):
        path.unlink()
    other = await opened(made, TASHKENT)
    assert await days_of(other, TASHKENT, "2026-01-31", "2026-03-04") == [24.0] * 32


async def test_the_seam_is_told(made: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    await kept_of(made, BERLIN)
    await opened(made, PARIS)
    assert "old=Europe/Berlin new=Europe/Paris days_kept_before=2026-03-02" in caplog.text

"""Consumption from rollups is what the readings say, or is left to them."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity
from historian.aggregates import Aggregate, Configuration, Counting, Intervals, Processed, Raw, calculate
from historian.api import Series
from historian.buckets import Buckets, consumption, summarised
from historian.calendar import Width, edges
from historian.counters import Limits, advances
from server.opcua.history_rollups import RolledUp
from server.opcua.history_variable import Variable

BEGIN_MS = 1_780_272_000_000
HOUR_MS = 3_600_000
COUNTING = Counting(Limits(rollover=1_000_000.0, resolution=1.0), (), 1000.0)
VARIABLE = Variable(NodeUid("m1"), Quantity.ACTIVE_ENERGY_IMPORT, stepped=True, counting=COUNTING)


class Kept:
    """Rollups of one register, made when they are asked for."""

    def __init__(self, times_ms: np.ndarray, shown: np.ndarray, status: np.ndarray, *, settled: bool = True) -> None:
        self.series = Series(times_ms, shown, status)
        self.is_settled = settled

    async def buckets(self, point: str, quantity: Quantity, start_ms: int, end_ms: int, width: Width) -> Buckets:
        bounds = np.array(edges(start_ms, end_ms, width, ZoneInfo("UTC")), np.int64)
        told = summarised(self.series, bounds)
        usable = ~np.isnan(self.series.values)
        base = np.rint(self.series.values[usable] * 1000)
        amounts, flags = consumption(advances(self.series.time_ms[usable], base, COUNTING.limits), bounds)
        return Buckets(
            told.start_ms,
            told.first,
            told.last,
            told.low,
            told.high,
            told.mean,
            amounts / 1000,
            told.count,
            told.quality | flags,
        )

    async def buckets_of_many(
        self, points: Sequence[str], quantity: Quantity, start_ms: int, end_ms: int, width: Width
    ) -> list[Buckets]:
        return [await self.buckets(point, quantity, start_ms, end_ms, width) for point in points]

    async def settled(self, points: Sequence[str], start_ms: int, end_ms: int) -> bool:
        return self.is_settled


def register(hours: int, *, missing: Sequence[int] = (), bad: Sequence[int] = ()) -> Kept:
    """A register read every quarter hour that rolls over on its way."""
    times = BEGIN_MS + np.arange(hours * 4 + 1, dtype=np.int64) * HOUR_MS // 4
    shown = (990_000 + np.cumsum(np.random.default_rng(3).integers(0, 900, len(times)))) % 1_000_000 / 1000
    status = np.zeros(len(times), np.uint32)
    shown[list(bad)], status[list(bad)] = np.nan, 0x80310000
    there = ~np.isin(np.arange(len(times)), missing)
    return Kept(times[there], shown[there], status[there])


def spans(first_hour: int, last_hour: int, width_ms: int = HOUR_MS, *, reverse: bool = False) -> Intervals:
    edges_ms = np.arange(BEGIN_MS + first_hour * HOUR_MS, BEGIN_MS + last_hour * HOUR_MS + 1, width_ms)
    return Intervals(edges_ms * 1_000_000, reverse=reverse)


async def told(kept: Kept, asked: Intervals, aggregate: Aggregate = Aggregate.DELTA_BOUNDS) -> Processed | None:
    return await RolledUp(kept, tuple(Width)).processed(aggregate, VARIABLE, asked)


@pytest.mark.parametrize("width_ms", [HOUR_MS // 4, HOUR_MS, 24 * HOUR_MS])
@pytest.mark.parametrize("reverse", [False, True])
async def test_rollups_tell_what_the_readings_tell(width_ms: int, reverse: bool) -> None:
    kept = register(24 * 5)
    asked = spans(24, 72, width_ms, reverse=reverse)
    series = kept.series
    raw = Raw(series.time_ms * 1_000_000, series.values, series.status, Configuration())
    wanted = calculate(Aggregate.DELTA_BOUNDS, raw, asked, Configuration(), stepped=True, counting=COUNTING)
    found = await told(kept, asked)
    assert found is not None
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-9)
    assert (found.status == wanted.status).all()
    assert (found.time_ns == wanted.time_ns).all()


async def test_what_is_doubtful_is_left_to_the_readings() -> None:
    whole = register(48)
    assert await told(whole, spans(3, 20)) is not None
    assert await told(register(48, missing=[40]), spans(3, 20)) is None
    assert await told(register(48, bad=[42]), spans(3, 20)) is None
    assert await told(whole, spans(0, 20)) is None
    assert await told(whole, spans(3, 49)) is None
    whole.is_settled = False
    assert await told(whole, spans(3, 20)) is None


async def test_what_is_no_bucket_and_no_consumption_is_left_to_the_readings() -> None:
    kept = register(48)
    assert await told(kept, spans(3, 20, HOUR_MS // 3)) is None
    assert await told(kept, spans(3, 21, 2 * HOUR_MS)) is None
    shifted = spans(3, 20)
    assert await told(kept, Intervals(shifted.edges_ns + 1)) is None
    assert await told(kept, Intervals(shifted.edges_ns, cut=0)) is None
    assert await told(kept, shifted, Aggregate.MAXIMUM) is None

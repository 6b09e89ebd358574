"""What a register went on by across a reading that failed is booked in every hour that it belongs to."""

from __future__ import annotations

import numpy as np
import pytest

from address_space.model.quality import Reason
from historian.api import Readings
from historian.schema import Measurement, field_of
from tests.historian.rollups.conftest import HOUR, IMPORT, REACTIVE, UNITS, VOLTAGE, Bench

M1 = UNITS[0]
START = 1_803_859_200_000
"""2027-03-01T08:00Z."""
QUARTER = 900_000
GRACE = 200_000
NAN = float("nan")


async def read_on(bench: Bench, start_ms: int, end_ms: int, *failing: int) -> None:
    """A register that counts 100 Wh a quarter is read each quarter, but where it fails; each hour is computed."""
    for time_ms in range(start_ms, end_ms + 1, QUARTER):
        failed = time_ms in failing
        value = NAN if failed else 5_000.0 + (time_ms - START) // QUARTER * 100
        await bench.put(M1, IMPORT, [time_ms], [value], Reason.TIMEOUT.status if failed else 0)
        await bench.settle(time_ms + GRACE)


async def test_a_reading_that_fails_on_the_hour_loses_nothing(bench: Bench) -> None:
    await bench.open(START)
    await read_on(bench, START, START + 2 * HOUR, START + HOUR)
    assert await bench.deltas(M1, START, START + 2 * HOUR) == [0.4, 0.4]


async def test_gauges_that_are_read_before_registers_lose_nothing(bench: Bench) -> None:
    await bench.open(START)
    await read_on(bench, START, START + HOUR - QUARTER)
    await bench.put(M1, VOLTAGE, [START + HOUR + 1000], [230.0])
    await bench.settle(START + HOUR + GRACE)
    await read_on(bench, START + HOUR + QUARTER, START + 2 * HOUR)
    assert await bench.deltas(M1, START, START + 2 * HOUR) == [0.4, 0.4]


@pytest.mark.parametrize("failing", [1, 2, 3, 5])
async def test_one_register_that_fails_beside_another_loses_nothing(bench: Bench, failing: int) -> None:
    await bench.open(START)
    (series,) = await bench.writer.series([M1])
    for place in range(13):
        time_ms, failed = START + place * QUARTER, 4 <= place < 4 + failing
        value = 5_000.0 + place * 100
        values = np.array([[NAN if failed else value, 2 * value]])
        status = np.array([[Reason.TIMEOUT.status if failed else 0, 0]], np.uint32)
        fields = (field_of(IMPORT), field_of(REACTIVE))
        await bench.writer.write(
            [Readings(Measurement.ENERGY, fields, np.array([series]), np.array([time_ms]), values, status)]
        )
        await bench.settle(time_ms + GRACE)
    assert await bench.deltas(M1, START, START + 3 * HOUR) == [0.4, 0.4, 0.4]
    assert await bench.deltas(M1, START, START + 3 * HOUR, quantity=REACTIVE) == [0.8, 0.8, 0.8]

"""Many units read at once say what each says alone, from hot days, packed days and days that are both."""

from pathlib import Path

import numpy as np

from address_space.model import NS, ManualClock, NodeUid, Quantity
from historian.api import Readings
from historian.schema import Measurement
from historian.sqlite import SqliteStore, StoreOptions

IMPORT, EXPORT = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_ENERGY_EXPORT
DAY, HOUR = 86_400_000, 3_600_000
T0 = 1_798_761_600_000
UNITS = [NodeUid(f"m{number}") for number in range(5)]
NOBODY = NodeUid("nobody")


async def write(
    store: SqliteStore, units: list[NodeUid], times: list[int], fields: tuple[str, ...], first: float
) -> None:
    ids = await store.series(units)
    shape = (len(units) * len(times), len(fields))
    values = first + np.arange(shape[0] * shape[1], dtype=np.float64).reshape(shape)
    values[::7, 0] = np.nan
    status = np.where(np.isnan(values), 0x80310000, 0).astype(np.uint32)
    moments = np.tile(np.array(times, np.int64), len(units))
    await store.write([Readings(Measurement.ENERGY, fields, np.repeat(ids, len(times)), moments, values, status)])


async def test_many_units_are_read_as_each_alone_is(tmp_path: Path) -> None:
    clock = ManualClock(T0 * NS // 1000)
    async with SqliteStore(tmp_path, clock, StoreOptions(hot_days=2)) as store:
        times = list(range(T0, T0 + 35 * DAY, 6 * HOUR))
        await write(store, UNITS[:3], times, (IMPORT.path, EXPORT.path), 10.0)
        await write(store, UNITS[3:], times[::2], (EXPORT.path,), 70_000.0)
        clock.jump(34 * 86_400)
        await store.maintain()
        await write(store, UNITS[1:2], times[4:9], (EXPORT.path,), 5.0)
        await write(store, UNITS[1:2], [time + 60_000 for time in times[4:9]], (IMPORT.path,), 6.0)
        span = (T0 + HOUR, T0 + 34 * DAY)
        found = await store.read_rows([*UNITS, NOBODY], Measurement.ENERGY, *span)
        seen = set()
        for rows in found:
            assert (np.lexsort((rows.time_ms, rows.unit)) == np.arange(len(rows.unit))).all()
            for place in np.unique(rows.unit).tolist():
                seen.add(place)
                for column, field in enumerate(rows.fields):
                    quantity = IMPORT if field == IMPORT.path else EXPORT
                    alone = await store.read_raw(UNITS[place], quantity, *span, 10_000)
                    taken = (rows.unit == place) & rows.present[:, column]
                    assert np.array_equal(rows.time_ms[taken], alone.time_ms)
                    assert np.array_equal(rows.values[taken, column] / quantity.per_unit, alone.values, equal_nan=True)
                    assert np.array_equal(rows.status[taken, column], alone.status)
        assert seen == set(range(5))

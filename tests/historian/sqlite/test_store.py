import asyncio
import logging
import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from address_space.model import NS, ManualClock, NodeUid, Quantity
from historian.api import Readings, Series
from historian.errors import StoreClosed, StoreFailed, StoreFull, WrongFormat
from historian.schema import Measurement, field_of, measurement_of
from historian.sqlite import SqliteStore, StoreOptions

IMPORT, EXPORT, POWER = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_ENERGY_EXPORT, Quantity.ACTIVE_POWER
DAY = 86_400_000
T0 = 1_798_761_600_000
"""2027-01-01T00:00Z in ms."""
FOREVER = 2**60
M1, M2 = NodeUid("m1"), NodeUid("m2")
TIMEOUT = 0x80310000


def clock_at(time_ms: int) -> ManualClock:
    return ManualClock(time_ms * NS // 1000)


async def put(
    store: SqliteStore, unit: NodeUid, time_ms: int, values: dict[Quantity, float | None], status: int = 0
) -> None:
    series = await store.series([unit])
    for measurement in (Measurement.ENERGY, Measurement.INST):
        cells = {field_of(q): v for q, v in values.items() if measurement_of(q) is measurement}
        if cells:
            row = np.array([[np.nan if v is None else v for v in cells.values()]])
            codes = np.full(row.shape, status, np.uint32)
            await store.write([Readings(measurement, tuple(cells), series, np.array([time_ms]), row, codes)])


async def days_of_upkeep(store: SqliteStore, clock: ManualClock, days: int) -> None:
    for _ in range(days):
        await clock.advance(86_400)
        await store.maintain()


async def put_many(store: SqliteStore, unit: NodeUid, times: np.ndarray, values: np.ndarray) -> None:
    series = np.repeat(await store.series([unit]), len(times))
    status = np.zeros((len(times), 1), np.uint32)
    await store.write(
        [Readings(Measurement.ENERGY, (field_of(IMPORT),), series, times, values[:, None].astype(float), status)]
    )


def files(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


def triples(series: Series) -> list[tuple[int, float | None, int]]:
    rows = zip(series.time_ms.tolist(), series.values.tolist(), series.status.tolist(), strict=True)
    return [(time, None if value != value else value, status) for time, value, status in rows]


async def test_what_was_written_is_read_back_in_shown_units_with_status_and_time(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path, clock_at(T0)) as store:
        await put(store, M1, T0, {IMPORT: 1500.0, POWER: 230.5})
        await put(store, M1, T0 + 1000, {IMPORT: None}, TIMEOUT)
        await put(store, M1, T0 + 2000, {IMPORT: 1501.0}, 0x408F0000)
        found = await store.read_raw(M1, IMPORT, T0, FOREVER, 100)
        assert triples(found) == [(T0, 1.5, 0), (T0 + 1000, None, TIMEOUT), (T0 + 2000, 1.501, 0x408F0000)]
        assert not found.more
        assert triples(await store.read_raw(M1, POWER, T0, FOREVER, 100)) == [(T0, 0.2305, 0)]
        assert triples(await store.read_raw(M2, POWER, T0, FOREVER, 100)) == []
        assert triples(await store.read_raw(M1, EXPORT, T0, FOREVER, 100)) == []


async def test_poll_classes_of_one_slot_make_one_row_and_the_same_slot_twice_is_one_reading(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path, clock_at(T0)) as store:
        await put(store, M1, T0, {IMPORT: 1000.0})
        await put(store, M1, T0, {EXPORT: None}, TIMEOUT)
        await put(store, M1, T0, {IMPORT: 2000.0})
        assert triples(await store.read_raw(M1, IMPORT, 0, FOREVER, 9)) == [(T0, 2.0, 0)]
        assert triples(await store.read_raw(M1, EXPORT, 0, FOREVER, 9)) == [(T0, None, TIMEOUT)]
        await put(store, M1, T0, {EXPORT: 7.0})
        assert triples(await store.read_raw(M1, EXPORT, 0, FOREVER, 9)) == [(T0, 0.007, 0)]


async def test_reads_go_both_ways_over_hot_and_packed_days_and_months_with_a_limit(tmp_path: Path) -> None:
    clock = clock_at(T0 + 45 * DAY)
    async with SqliteStore(tmp_path, clock) as store:
        times = T0 + np.arange(45 * 4) * (DAY // 4)
        await put_many(store, M1, times, np.arange(180) * 1000)
        await store.maintain()
        with sqlite3.connect(tmp_path / "hist-202701.db") as file:
            names = {row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        file.close()
        assert names == {"cold_e", "cold_i"}
        whole = await store.read_raw(M1, IMPORT, 0, FOREVER, 1000)
        assert whole.time_ms.tolist() == times.tolist()
        assert whole.values.tolist() == list(range(180))
        part = await store.read_raw(M1, IMPORT, int(times[3]), int(times[150]), 1000)
        assert part.values.tolist() == list(range(3, 150))
        cut = await store.read_raw(M1, IMPORT, int(times[100]), FOREVER, 50)
        assert (cut.values.tolist(), cut.more) == (list(range(100, 150)), True)
        back = await store.read_raw(M1, IMPORT, 0, int(times[150]), 100, newest_first=True)
        assert (back.values.tolist(), back.more) == (list(range(149, 49, -1)), True)
        exact = await store.read_raw(M1, IMPORT, 0, FOREVER, 180)
        assert (len(exact.values), exact.more) == (180, False)
        assert await store.bounds(M1, IMPORT) == (times[0], times[-1])


async def test_paging_by_the_next_start_gives_every_value_once(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path, clock_at(T0 + 20 * DAY)) as store:
        times = T0 + np.arange(20 * 24) * 3_600_000
        await put_many(store, M1, times, np.arange(480))
        await store.maintain()
        start, found = T0, []
        while True:
            page = await store.read_raw(M1, IMPORT, start, FOREVER, 37)
            found += page.time_ms.tolist()
            if not page.more:
                break
            start = found[-1] + 1
        assert found == times.tolist()


async def test_bounding_values_are_found_across_gaps(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path, clock_at(T0 + 100 * DAY)) as store:
        await put(store, M1, T0, {IMPORT: 1000.0})
        await put(store, M1, T0 + 90 * DAY, {IMPORT: 2000.0})
        await store.maintain()
        assert await store.value_before(M1, IMPORT, T0 - 1) is None
        assert await store.value_before(M1, IMPORT, T0) == (T0, 1.0, 0)
        assert await store.value_before(M1, IMPORT, T0 + 50 * DAY) == (T0, 1.0, 0)
        assert await store.value_after(M1, IMPORT, T0 + 1) == (T0 + 90 * DAY, 2.0, 0)
        assert await store.value_after(M1, IMPORT, T0 + 91 * DAY) is None
        assert await store.bounds(M2, IMPORT) is None


async def test_a_late_reading_of_a_packed_day_joins_it(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path, clock_at(T0 + 20 * DAY)) as store:
        await put(store, M1, T0, {IMPORT: 1000.0, EXPORT: 5.0})
        await put(store, M1, T0 + 2000, {IMPORT: 3000.0})
        await store.maintain()
        await put(store, M1, T0 + 1000, {IMPORT: 2000.0})
        await put(store, M1, T0 + 2000, {IMPORT: 3001.0})
        expected = [(T0, 1.0, 0), (T0 + 1000, 2.0, 0), (T0 + 2000, 3.001, 0)]
        assert triples(await store.read_raw(M1, IMPORT, 0, FOREVER, 9)) == expected
        await store.maintain()
        assert triples(await store.read_raw(M1, IMPORT, 0, FOREVER, 9)) == expected
        assert triples(await store.read_raw(M1, EXPORT, 0, FOREVER, 9)) == [(T0, 0.005, 0)]


async def test_a_restart_keeps_numbers_and_columns_and_numbers_are_never_reused(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path, clock_at(T0)) as store:
        first = (await store.series([M1, M2])).tolist()
        await put(store, M1, T0, {IMPORT: 1000.0})
    async with SqliteStore(tmp_path, clock_at(T0)) as store:
        await put(store, M1, T0 + 1000, {EXPORT: 7.0, IMPORT: 2000.0})
        await put(store, M2, T0 + 1000, {EXPORT: 9.0})
        assert triples(await store.read_raw(M1, IMPORT, 0, FOREVER, 9)) == [(T0, 1.0, 0), (T0 + 1000, 2.0, 0)]
        assert triples(await store.read_raw(M1, EXPORT, 0, FOREVER, 9)) == [(T0 + 1000, 0.007, 0)]
        assert triples(await store.read_raw(M2, EXPORT, 0, FOREVER, 9)) == [(T0 + 1000, 0.009, 0)]
        again = (await store.series([NodeUid("new"), M2, M1])).tolist()
        assert again[1:] == first[::-1]
        assert again[0] not in first


async def test_the_latest_values_come_from_hot_rows_and_packed_days_alike(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path, clock_at(T0 + 20 * DAY)) as store:
        await put(store, M1, T0, {IMPORT: 1000.0, EXPORT: 5.0, POWER: 100.0})
        await put(store, M2, T0, {IMPORT: 4000.0}, 0x40940000)
        await store.maintain()
        await put(store, M1, T0 + 19 * DAY, {IMPORT: 2000.0})
        await put(store, M1, T0 + 19 * DAY + 1000, {POWER: 300.0})
        await put(store, M1, T0 + 19 * DAY + 2000, {IMPORT: None, POWER: None}, TIMEOUT)
        await put(store, M1, T0 - DAY, {EXPORT: 1.0})
        found = await store.latest([M2, NodeUid("nobody"), M1], [POWER, IMPORT, EXPORT])
        late = T0 + 19 * DAY
        assert found.time_ms.tolist() == [[0, T0, 0], [0, 0, 0], [late + 1000, late, T0]]
        assert np.array_equal(found.values[2], [0.3, 2.0, 0.005])
        assert found.values[0, 1] == 4.0
        assert found.status[0, 1] == 0x40940000
        assert np.isnan(found.values[1]).all()


async def test_days_go_when_they_are_older_than_is_kept_and_months_as_files(tmp_path: Path) -> None:
    clock = clock_at(T0 + 5 * DAY)
    options = StoreOptions(hot_days=3, keep_days_energy=60, keep_days_inst=10)
    async with SqliteStore(tmp_path, clock, options) as store:
        for day in range(5):
            await put(store, M1, T0 + day * DAY, {IMPORT: 1000.0 * day, POWER: 1.0})
        for _ in range(3):
            await store.maintain()
            await clock.advance(86_400)
        await days_of_upkeep(store, clock, 50)
        assert triples(await store.read_raw(M1, POWER, 0, FOREVER, 9)) == []
        assert len((await store.read_raw(M1, IMPORT, 0, FOREVER, 9)).values) == 5
        await days_of_upkeep(store, clock, 60)
        assert triples(await store.read_raw(M1, IMPORT, 0, FOREVER, 9)) == []
        assert not files(tmp_path, "hist-*")
        await put(store, M1, T0, {IMPORT: 8000.0})
        assert triples(await store.read_raw(M1, IMPORT, 0, FOREVER, 9)) == [(T0, 8.0, 0)]


async def test_a_damaged_packed_day_is_reported_once_and_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with SqliteStore(tmp_path, clock_at(T0 + 20 * DAY)) as store:
        for day in range(3):
            await put(store, M1, T0 + day * DAY, {IMPORT: 1000.0 * day})
        await store.maintain()
        file = sqlite3.connect(tmp_path / "hist-202701.db")
        file.execute("UPDATE cold_e SET d = CAST(x'00' || substr(d, 2) AS BLOB) WHERE key % 32 = 2")
        file.commit()
        file.close()
        with caplog.at_level(logging.ERROR):
            for _ in range(2):
                assert (await store.read_raw(M1, IMPORT, 0, FOREVER, 9)).values.tolist() == [0.0, 2.0]
        assert len(store.damage) == 1
        assert "check sum" in caplog.text
        assert caplog.text.count("damaged history skipped") == 1


async def test_a_damaged_file_is_skipped_by_readers_and_set_aside_by_the_writer(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path, clock_at(T0)) as store:
        await put(store, M1, T0, {IMPORT: 1000.0})
        await put(store, M1, T0 + 40 * DAY, {IMPORT: 2000.0})
    path = tmp_path / "hist-202701.db"
    path.write_bytes(b"no database at all" * 1000)
    async with SqliteStore(tmp_path, clock_at(T0)) as store:
        assert triples(await store.read_raw(M1, IMPORT, 0, FOREVER, 9)) == [(T0 + 40 * DAY, 2.0, 0)]
        assert str(path) in store.damage
        await put(store, M1, T0 + 1000, {IMPORT: 3000.0})
        assert (await store.read_raw(M1, IMPORT, 0, FOREVER, 9)).values.tolist() == [3.0, 2.0]
        assert (await store.latest([M1], [IMPORT])).values.tolist() == [[2.0]]
    assert files(tmp_path, "hist-202701.db.damaged-1")


async def test_a_full_file_is_a_clear_error_and_the_rest_stays_readable(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path, clock_at(T0), StoreOptions(max_file_mb=1)) as store:
        await put(store, M1, T0, {IMPORT: 1000.0})
        times = T0 + 1000 + np.arange(80_000) * 1000
        with pytest.raises(StoreFull, match="free space") as caught:
            await put_many(store, M1, times, np.random.default_rng(1).random(80_000))
        assert caught.value.retryable
        assert triples(await store.read_raw(M1, IMPORT, 0, FOREVER, 9)) == [(T0, 1.0, 0)]


async def test_reads_go_on_while_rows_are_written_and_days_packed(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path, clock_at(T0 + 20 * DAY)) as store:
        times = T0 + np.arange(12 * 96) * 900_000
        await put_many(store, M1, times, np.arange(len(times)) * 1000)
        seen: list[int] = []

        async def read() -> None:
            while not done:
                found = await store.read_raw(M1, IMPORT, T0, T0 + 12 * DAY, 10_000)
                assert np.array_equal(found.values, np.arange(len(times)))
                seen.append(len(found.values))

        async def write() -> None:
            nonlocal done
            for step in range(20):
                await put_many(store, M2, T0 + 20 * DAY + np.arange(500) + 500 * step, np.ones(500))
            await store.maintain()
            done = True

        done = False
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read(), name="reads")
            tasks.create_task(read(), name="reads too")
            tasks.create_task(write(), name="writes")
        assert len(seen) > 2
        assert store.damage == {}
        assert len((await store.read_raw(M2, IMPORT, 0, FOREVER, 20_000)).values) == 10_000


async def test_history_of_a_newer_hub_is_refused(tmp_path: Path) -> None:
    file = sqlite3.connect(tmp_path / "catalogue.db")
    file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(WrongFormat, match="newer hub"):
        async with SqliteStore(tmp_path, clock_at(T0)):
            pass


async def test_a_closed_store_and_an_impossible_time_are_refused(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path, clock_at(T0)) as store:
        with pytest.raises(StoreFailed, match="cannot hold the time"):
            await put(store, M1, -5, {IMPORT: 1.0})
    with pytest.raises(StoreClosed):
        await store.read_raw(M1, IMPORT, 0, 1, 1)
    await store.close()


VALUE = st.one_of(st.none(), st.integers(0, 10**9).map(float), st.floats(-1e6, 1e6).map(lambda v: v + 0.0))
CELLS = st.dictionaries(st.sampled_from([IMPORT, EXPORT, POWER]), VALUE, min_size=1)
SLOT = st.integers(0, 40 * 3)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "write", "write", "pack", "restart"]),
        st.sampled_from([M1, M2]),
        SLOT,
        CELLS,
        st.sampled_from([0, 0, TIMEOUT, 0x40940000]),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, SLOT, SLOT, st.integers(1, 10))
def test_the_store_agrees_with_a_dictionary(
    steps: list[tuple[str, NodeUid, int, dict[Quantity, float | None], int]], low: int, high: int, limit: int
) -> None:
    async def run(folder: Path) -> None:
        model: dict[tuple[NodeUid, Quantity], dict[int, tuple[float | None, int]]] = {}
        store = SqliteStore(folder, clock_at(T0 + 25 * DAY), StoreOptions(keep_days_inst=0))
        await store.open()
        for kind, unit, slot, cells, status in steps:
            if kind == "pack":
                await store.maintain()
            elif kind == "restart":
                await store.close()
                await store.open()
            else:
                time_ms = T0 + slot * (DAY // 3)
                await put(store, unit, time_ms, cells, status)
                for quantity, value in cells.items():
                    shown = None if value is None else value / quantity.per_unit
                    model.setdefault((unit, quantity), {})[time_ms] = (shown, status)
        start, end = T0 + low * (DAY // 3), T0 + high * (DAY // 3)
        for (unit, quantity), stored in model.items():
            expected = [(time, *stored[time]) for time in sorted(stored)]
            assert triples(await store.read_raw(unit, quantity, 0, FOREVER, 1000)) == expected
            between = [row for row in expected if start <= row[0] < end]
            found = await store.read_raw(unit, quantity, start, end, limit)
            assert triples(found) == between[:limit]
            assert found.more == (len(between) > limit)
            found = await store.read_raw(unit, quantity, start, end, limit, newest_first=True)
            assert triples(found) == between[::-1][:limit]
            newest = [row for row in expected if row[1] is not None][-1:]
            latest = await store.latest([unit], [quantity])
            if newest:
                assert (latest.time_ms[0, 0], latest.values[0, 0], latest.status[0, 0]) == newest[0]
            else:
                assert np.isnan(latest.values[0, 0])
        await store.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_a_store_that_is_open_for_reading_only_writes_nothing_and_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="no history"):
        await SqliteStore(tmp_path / "nowhere", ManualClock(), read_only=True).open()
    assert not (tmp_path / "nowhere").exists()
    async with SqliteStore(tmp_path, ManualClock()) as store:
        await store.series([NodeUid("a")])
    async with SqliteStore(tmp_path, ManualClock(), read_only=True) as store:
        assert await store.kept() == {}
        with pytest.raises(StoreClosed, match="reading only"):
            await store.series([NodeUid("b")])


async def test_a_clock_that_leaps_years_forward_gives_up_nothing_and_then_goes_on(tmp_path: Path) -> None:
    clock = clock_at(T0 + 5 * DAY)
    options = StoreOptions(hot_days=3, keep_days_energy=10, keep_days_inst=10)
    async with SqliteStore(tmp_path, clock, options) as store:
        for day in range(5):
            await put(store, M1, T0 + day * DAY, {IMPORT: 1000.0 * day, POWER: 1.0})
        await store.maintain()
        await clock.advance(9 * 365 * 86_400)
        await put(store, M1, T0 + 9 * 365 * DAY, {IMPORT: 5.0})
        await store.maintain()
        assert len((await store.read_raw(M1, IMPORT, 0, FOREVER, 99)).values) == 6
    clock = clock_at(T0 + 6 * DAY)
    async with SqliteStore(tmp_path, clock, options) as store:
        await store.maintain()
        assert len((await store.read_raw(M1, IMPORT, 0, FOREVER, 99)).values) == 6
        await days_of_upkeep(store, clock, 60)
        left = (await store.read_raw(M1, IMPORT, 0, FOREVER, 99)).time_ms.tolist()
        assert left == [T0 + 9 * 365 * DAY], "what is too old goes; what lies ahead is not old"


async def test_what_was_written_is_on_the_disk_when_write_returns(tmp_path: Path) -> None:
    full = 2
    async with SqliteStore(tmp_path, clock_at(T0)) as store:
        await put(store, M1, T0, {IMPORT: 1.0})
        file = await store._write(lambda writer: writer.month("202701").connection)
        assert await store._write(lambda _: file.execute("PRAGMA synchronous").fetchone()[0]) == full
        assert await store._write(lambda writer: writer.catalogue.connection.execute("PRAGMA synchronous").fetchone()[0]) == full  # noqa: E501  # fmt: skip

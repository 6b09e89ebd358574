"""Rows of days that are not packed yet: what the disk made something else of is told and left out, never believed."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from address_space.model import NS, ManualClock, NodeUid, Quantity
from historian.api import Readings
from historian.errors import WrongFormat
from historian.schema import Measurement, field_of, measurement_of
from historian.sqlite import SqliteStore, StoreOptions, packing, rownumbers
from historian.sqlite.catalogue import FILE, FORMAT
from historian.sqlite.hotday import HotDay, any_text, hot_days
from historian.sqlite.rowsum import row_sums

IMPORT, POWER, VOLTAGE = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_POWER, Quantity.VOLTAGE_L1
EXPORT = Quantity.ACTIVE_ENERGY_EXPORT
QUANTITIES = (IMPORT, EXPORT, POWER, VOLTAGE)
DAY, HOUR = 86_400_000, 3_600_000
T0 = 1_798_761_600_000
"""2027-01-01T00:00Z in ms."""
FOREVER = 2**60
DAYS, SLOTS = 2, 12
UNITS = [NodeUid(f"m{number}") for number in range(6)]
TIMEOUT = 0x80310000
MONTH = "hist-202701.db"
Found = dict[tuple[NodeUid, Quantity, int], tuple[float, int]]


def opened(folder: Path, days: int = DAYS) -> SqliteStore:
    return SqliteStore(folder, ManualClock((T0 + days * DAY) * NS // 1000), StoreOptions(hot_days=3))


async def fill(store: SqliteStore, day: int) -> None:
    chance = np.random.default_rng(day)
    series = np.repeat(await store.series(UNITS), SLOTS)
    times = np.tile(T0 + day * DAY + np.arange(SLOTS) * HOUR, len(UNITS))
    for measurement in (Measurement.ENERGY, Measurement.INST):
        fields = tuple(field_of(one) for one in QUANTITIES if measurement_of(one) is measurement)
        values = chance.integers(0, 10**9, (len(series), len(fields))) / (1 if measurement is Measurement.ENERGY else 7)
        status = np.where(chance.random(values.shape) < 0.1, TIMEOUT, 0).astype(np.uint32)
        values[status != 0] = np.nan
        await store.write([Readings(measurement, fields, series, times, values, status)])


async def put(store: SqliteStore, unit: NodeUid, time_ms: int, values: dict[Quantity, float]) -> None:
    cells = np.array([list(values.values())])
    fields = tuple(field_of(quantity) for quantity in values)
    series, times = await store.series([unit]), np.array([time_ms])
    await store.write([Readings(Measurement.ENERGY, fields, series, times, cells, np.zeros(cells.shape, np.uint32))])


async def told(store: SqliteStore) -> Found:
    """Everything, value by value, as one reads it and as many are read at once; both say the same or less."""
    found: Found = {}
    for unit in UNITS:
        for quantity in QUANTITIES:
            one = await store.read_raw(unit, quantity, 0, FOREVER, 10**6)
            for time, value, status in zip(one.time_ms.tolist(), one.values, one.status.tolist(), strict=True):
                found[unit, quantity, time] = (float(value), status)
    many: Found = {}
    for measurement in (Measurement.ENERGY, Measurement.INST):
        for rows in await store.read_rows(UNITS, measurement, 0, FOREVER):
            for column, field in enumerate(rows.fields):
                (quantity,) = (one for one in QUANTITIES if field_of(one) == field)
                for row in np.flatnonzero(rows.present[:, column]).tolist():
                    value = float(rows.values[row, column]) / quantity.per_unit
                    key = UNITS[rows.unit[row]], quantity, int(rows.time_ms[row])
                    many[key] = (value, int(rows.status[row, column]))
    assert same(many, {key: found.get(key, value) for key, value in many.items()})
    return found | many


def same(found: Found, truth: Found) -> bool:
    """Whether all that is found is true."""
    return all(key in truth and np.array_equal(cell, truth[key], equal_nan=True) for key, cell in found.items())


def change(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / MONTH)) as file:
        assert file.execute(statement).rowcount != 0
        file.commit()


@pytest.fixture
async def whole(tmp_path: Path) -> Path:
    """A closed store of hot days."""
    async with opened(tmp_path / "whole") as store:
        for day in range(DAYS):
            await fill(store, day)
    return tmp_path / "whole"


@pytest.mark.parametrize("first", range(0, 48, 12))
async def test_a_flipped_bit_never_makes_another_reading(tmp_path: Path, whole: Path, first: int) -> None:
    async with opened(whole) as store:
        truth = await told(store)
    data = (whole / MONTH).read_bytes()
    for seed in range(first, first + 12):
        chance = random.Random(seed)
        spoilt = bytearray(data)
        spoilt[chance.randrange(4096, len(data))] ^= 1 << chance.randrange(8)
        folder = tmp_path / f"{seed}"
        shutil.copytree(whole, folder)
        (folder / MONTH).write_bytes(spoilt)
        damage: dict[str, str] = {}
        async with opened(folder) as store:
            hot = await told(store)
            latest = await store.latest(UNITS, QUANTITIES)
            damage |= store.damage
        async with opened(folder, 20) as store:
            await store.maintain()
            packed = await told(store)
            damage |= store.damage
        shutil.rmtree(folder)
        assert same(hot, truth), f"seed {seed}"
        assert same(packed, truth), f"seed {seed}"
        assert len(packed) == len(truth) or damage, f"seed {seed}: what is lost is told"
        for (row, column), time in np.ndenumerate(latest.time_ms):
            cell = (float(latest.values[row, column]), int(latest.status[row, column]))
            assert not time or cell == truth[UNITS[row], QUANTITIES[column], int(time)], f"seed {seed}"


def test_no_bit_of_a_row_flips_unnoticed(tmp_path: Path) -> None:
    day, path = HotDay(Measurement.ENERGY, T0 // DAY), tmp_path / "month.db"
    series, times = np.arange(1, 4), np.full(3, T0 + HOUR)
    values, blobs = (
        np.array([[12345.0, 0.0, 1e9], [2.0, 0.1, 7.0], [0.0, np.nan, -1.5]]),
        [None, None, b"\1\0\1\x80\1\2"],
    )
    sums = row_sums(day.measurement, series, times, blobs, values.T, (0, 1, 2))
    with closing(sqlite3.connect(path)) as file:
        file.execute(day.made)
        rows = zip(
            series.tolist(), times.tolist(), blobs, sums.tolist(), rownumbers.encode((0, 1, 2), values), strict=True
        )
        file.executemany(f"INSERT INTO {day.name} VALUES (?, ?, ?, ?, ?)", rows)  # noqa: S608 - name from a date
        file.commit()
        expected = file.execute(f"SELECT * FROM {day.name}").fetchall()  # noqa: S608 - name from a date
    truth = day.checked(expected)
    assert truth.series.tolist() == [1, 2, 3]
    assert np.array_equal(truth.block.values, values, equal_nan=True)
    data = path.read_bytes()
    begin, end = data.index(expected[2][4]) - 40, data.index(expected[0][4]) + len(expected[0][4])
    changed = 0
    for bit in range(begin * 8, end * 8):
        spoilt = bytearray(data)
        spoilt[bit // 8] ^= 1 << bit % 8
        path.write_bytes(spoilt)
        with closing(sqlite3.connect(path)) as file:
            file.text_factory = any_text
            try:
                found = file.execute(f"SELECT * FROM {day.name}").fetchall()  # noqa: S608 - name from a date
            except sqlite3.DatabaseError:
                continue
        checked = day.checked(found)
        changed += found != expected
        assert len(checked.series) + checked.spoilt == len(found)
        kept = truth.block.rows(checked.series - 1)
        assert np.array_equal(checked.block.time_ms, kept.time_ms), f"bit {bit}"
        assert np.array_equal(checked.block.values, kept.values, equal_nan=True), f"bit {bit}"
        assert np.array_equal(checked.block.status, kept.status), f"bit {bit}"
    assert changed > 8 * 60


async def test_rows_that_changed_places_are_not_taken_for_each_others(whole: Path) -> None:
    async with opened(whole) as store:
        truth = await told(store)
    change(whole, "DELETE FROM rows_i_20270102 WHERE p = 3")
    change(whole, "INSERT INTO rows_i_20270102 SELECT * FROM rows_e_20270102 WHERE p = 3")
    change(whole, "DELETE FROM rows_e_20270102 WHERE p = 4")
    change(whole, "INSERT INTO rows_e_20270102 SELECT p, ts + 86400000, s, k, d FROM rows_e_20270101 WHERE p = 4")
    change(whole, "INSERT INTO rows_e_20270102 SELECT p, ts, s, k, d FROM rows_e_20270101 WHERE p = 5")
    async with opened(whole) as store:
        found = await told(store)
        assert same(found, truth)
        gone = {(unit, measurement_of(quantity)) for unit, quantity, _ in truth.keys() - found.keys()}
        assert gone == {(UNITS[2], Measurement.INST), (UNITS[3], Measurement.ENERGY)}
        assert {place.split()[-1] for place in store.damage} == {"rows_i_20270102", "rows_e_20270102"}


async def test_a_reading_laid_over_a_spoilt_row_is_kept_and_makes_nothing_of_it_good(whole: Path) -> None:
    change(whole, "UPDATE rows_e_20270102 SET d = CAST(substr(d, 1, length(d) - 1) || X'5A' AS BLOB) WHERE p = 1")
    time = T0 + DAY
    async with opened(whole) as store:
        await put(store, UNITS[0], time, {IMPORT: 7000.0})
        assert any("a reading was added to" in what for what in store.damage.values())
    async with opened(whole) as store:
        new = await store.read_raw(UNITS[0], IMPORT, time, time + 1, 9)
        old = await store.read_raw(UNITS[0], EXPORT, time, time + 1, 9)
        assert (new.values.tolist(), new.status.tolist()) == ([7.0], [0])
        assert np.isnan(old.values).tolist() == [True]
        assert old.status.tolist() == [0x8000_0000], "Bad"
        assert not store.damage, "the row that stands there now is whole"


async def test_the_latest_value_is_the_newest_that_is_not_spoilt(whole: Path) -> None:
    last = T0 + DAY + 22 * HOUR
    async with opened(whole) as store:
        for hour, value in enumerate((1000.0, 2000.0, 3000.0)):
            await put(store, UNITS[1], last + hour * HOUR // 2, {IMPORT: value})
    change(whole, f"UPDATE rows_e_20270102 SET k = k + 1 WHERE p = 2 AND ts > {last}")  # noqa: S608 - the test's own
    async with opened(whole) as store:
        found = await store.latest(UNITS, [IMPORT])
        assert (found.values[1, 0], found.time_ms[1, 0]) == (1.0, last)
        assert (found.time_ms > T0 + DAY).all()
        assert store.damage


async def test_a_unit_whose_newest_row_lacks_a_field_is_found_further_back(whole: Path) -> None:
    last = T0 + DAY + 22 * HOUR
    async with opened(whole) as store:
        await put(store, UNITS[1], last, {IMPORT: 1000.0, EXPORT: 9000.0})
        for hour in (1, 2):
            await put(store, UNITS[1], last + hour * HOUR // 2, {IMPORT: 2000.0 * hour})
        found = await store.latest([UNITS[1]], [IMPORT, EXPORT])
        assert (found.values.tolist(), found.time_ms.tolist()) == ([[4.0, 9.0]], [[last + HOUR, last]])


async def test_a_field_added_to_rows_of_different_fields_hides_no_latest_value(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        series = np.repeat(await store.series(UNITS[:1]), 2)
        for quantity, times in ((POWER, [T0]), (VOLTAGE, [T0 + 1]), (Quantity.VOLTAGE_L2, [T0, T0 + 1])):
            cells, none = np.ones((len(times), 1)), np.zeros((len(times), 1), np.uint32)
            fields = (field_of(quantity),)
            await store.write([Readings(Measurement.INST, fields, series[: len(times)], np.array(times), cells, none)])
        found = await store.latest(UNITS[:1], [POWER, VOLTAGE, Quantity.VOLTAGE_L2])
        assert found.time_ms.tolist() == [[T0, T0 + 1, T0 + 1]]


@pytest.mark.parametrize("spoil", ["k = k + 1", "p = 1000000", "s = 'text'"])
async def test_a_spoilt_row_leads_packing_past_no_other(
    whole: Path, spoil: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(packing, "ROWS_A_STEP", 5)
    time = T0 + 11 * HOUR
    async with opened(whole) as store:
        truth = await told(store)
    change(whole, f"UPDATE rows_e_20270101 SET {spoil} WHERE p = 2 AND ts = {time}")  # noqa: S608 - the test's own
    async with opened(whole, 20) as store:
        await store.maintain()
        found = await told(store)
        assert same(found, truth)
        assert {(unit, time) for unit, _, time in truth.keys() - found.keys()} == {(UNITS[1], time)}
        assert any(place.endswith("rows_e_20270101") for place in store.damage)
    assert "spoilt rows given up" in caplog.text
    assert "check the disk" in caplog.text
    with closing(sqlite3.connect(whole / MONTH)) as file:
        assert hot_days(file) == []


async def test_a_table_that_is_not_made_as_the_hub_makes_it_is_told(whole: Path) -> None:
    change(whole, "DROP TABLE rows_e_20270102")
    change(whole, "CREATE TABLE rows_e_20270102(p INTEGER, ts INTEGER, s BLOB, d BLOB, k INTEGER, PRIMARY KEY(p, ts))")
    async with opened(whole) as store:
        await told(store)
        assert any("not made as the hub makes it" in what for what in store.damage.values())


async def made_by_format_1(folder: Path) -> Found:
    """A store as the format without check sums had it, with one hot day."""
    async with opened(folder) as store:
        await fill(store, 0)
        truth = await told(store)
    with closing(sqlite3.connect(folder / MONTH)) as file:
        for day in hot_days(file):
            plain = HotDay(day.measurement, day.day, plain=True)
            rows = file.execute(f"SELECT p, ts, s, d FROM {day.name}").fetchall()  # noqa: S608 - name from a date
            cells = [[None if np.isnan(cell) else cell for cell in rownumbers.decode([row[3]])[:, 0]] for row in rows]
            file.execute(
                f"CREATE TABLE {plain.name}(p INTEGER, ts INTEGER, s BLOB, c0 REAL, c1 REAL, PRIMARY KEY(p, ts)) "
                "WITHOUT ROWID"
            )
            file.executemany(
                f"INSERT INTO {plain.name} VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - name from a date
                [(*row[:3], *found) for row, found in zip(rows, cells, strict=True)],
            )
            file.execute(f"DROP TABLE {day.name}")
        file.commit()
    with closing(sqlite3.connect(folder / FILE)) as file:
        file.execute("PRAGMA user_version = 1")
    return truth


async def test_a_store_without_check_sums_is_read_written_and_packed(tmp_path: Path) -> None:
    truth = await made_by_format_1(tmp_path)
    async with SqliteStore(tmp_path, ManualClock(), read_only=True) as store:
        found = await told(store)
        assert found.keys() == truth.keys()
        assert same(found, truth)
    async with opened(tmp_path) as store:
        assert same(await told(store), truth)
        await put(store, UNITS[0], T0 + 3 * HOUR, {IMPORT: 5000.0})
        await put(store, UNITS[0], T0 + 3 * HOUR + 1, {EXPORT: 6000.0})
        truth[UNITS[0], IMPORT, T0 + 3 * HOUR] = (5.0, 0)
        truth[UNITS[0], EXPORT, T0 + 3 * HOUR + 1] = (6.0, 0)
        found = await told(store)
        assert found.keys() == truth.keys()
        assert same(found, truth)
        for column, quantity in enumerate((IMPORT, EXPORT)):
            newest = max(
                time
                for unit, one, time in truth
                if (unit, one) == (UNITS[0], quantity) and truth[unit, one, time][1] == 0
            )
            assert (await store.latest(UNITS[:1], [IMPORT, EXPORT])).time_ms[0, column] == newest
        assert not store.damage
    async with opened(tmp_path, 20) as store:
        await store.maintain()
        found = await told(store)
        assert found.keys() == truth.keys()
        assert same(found, truth)
    with closing(sqlite3.connect(tmp_path / MONTH)) as file:
        assert hot_days(file) == []


async def test_a_value_without_check_sum_that_was_overwritten_with_none_is_not_the_latest(tmp_path: Path) -> None:
    truth = await made_by_format_1(tmp_path)
    emptied = UNITS[:3]
    async with opened(tmp_path) as store:
        for unit in emptied:
            newest = max(
                time for one, what, time in truth if (one, what) == (unit, IMPORT) and not truth[one, what, time][1]
            )
            await put(store, unit, newest, {IMPORT: np.nan})
            truth[unit, IMPORT, newest] = (np.nan, 0)
        found = await store.latest(UNITS, [IMPORT, EXPORT])
        for (row, column), time in np.ndenumerate(found.time_ms):
            key = UNITS[row], (IMPORT, EXPORT)[column]
            values = [one for one in truth if one[:2] == key and not np.isnan(truth[one][0])]
            assert time == max(one[2] for one in values)
            assert found.values[row, column] == truth[*key, int(time)][0]


async def test_hubs_that_know_no_check_sums_are_told_by_the_format(whole: Path) -> None:
    with closing(sqlite3.connect(whole / FILE)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (FORMAT,) == (2,)
        file.execute(f"PRAGMA user_version = {FORMAT + 1}")
    for read_only in (False, True):
        with pytest.raises(WrongFormat, match="run the newer hub"):
            async with SqliteStore(whole, ManualClock(), read_only=read_only) as store:
                await store.read_raw(UNITS[0], IMPORT, 0, FOREVER, 9)


async def test_of_two_readings_of_a_slot_in_one_write_the_last_counts(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        series = np.repeat(await store.series(UNITS[:1]), 3)
        times, values = np.array([T0, T0 + 1, T0]), np.array([[1000.0], [2000.0], [3000.0]])
        field = (field_of(IMPORT),)
        await store.write([Readings(Measurement.ENERGY, field, series, times, values, np.zeros((3, 1), np.uint32))])
        found = await store.read_raw(UNITS[0], IMPORT, 0, FOREVER, 9)
        assert found.values.tolist() == [3.0, 2.0]


async def test_a_field_that_few_rows_have_is_found_behind_all_the_others(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await put(store, UNITS[0], T0, {EXPORT: 1000.0})
        series, times = np.repeat(await store.series(UNITS[:1]), 900), T0 + 1 + np.arange(900)
        cells = Readings(
            Measurement.ENERGY, (field_of(IMPORT),), series, times, np.ones((900, 1)), np.zeros((900, 1), np.uint32)
        )
        await store.write([cells])
        found = await store.value_before(UNITS[0], EXPORT, T0 + DAY - 1)
        assert found == (T0, 1.0, 0)


async def test_what_is_refused_says_what_to_do(whole: Path) -> None:
    change(whole, "UPDATE rows_e_20270102 SET k = k + 1")
    async with opened(whole) as store:
        assert await store.read_rows(UNITS, Measurement.ENERGY, T0 + DAY, FOREVER) == []
        (what,) = store.damage.values()
        assert what == f"{len(UNITS) * SLOTS} rows are not what was written (check sum, status or key)"

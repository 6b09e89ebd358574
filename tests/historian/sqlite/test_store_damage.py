"""An embedded store whose files are spoilt, taken away or foreign: it opens, says so, and goes on."""

from __future__ import annotations

import random
import shutil
import sqlite3
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from address_space.model import NS, ManualClock, NodeUid, Quantity
from historian.api import Readings
from historian.errors import DamagedHistory, HistoryError, StoreFull, WrongFormat
from historian.schema import Measurement, field_of, measurement_of
from historian.sqlite import SqliteStore, StoreOptions
from historian.sqlite.catalogue import FILE, FORMAT
from historian.sqlite.register import FILE as REGISTER

DAY = 86_400_000
T0 = 1_798_761_600_000
"""2027-01-01T00:00Z in ms."""
FOREVER = 2**60
DAYS, SLOTS = 6, 8
QUANTITIES = (Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_POWER, Quantity.VOLTAGE_L1)
UNITS = [NodeUid(f"m{number}") for number in range(12)]
OPTIONS = StoreOptions(hot_days=3)
Told = dict[tuple[NodeUid, Quantity], dict[int, tuple[float, int]]]


def opened(folder: Path) -> SqliteStore:
    return SqliteStore(folder, ManualClock((T0 + DAYS * DAY) * NS // 1000), OPTIONS)


def found(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


def month_of(folder: Path) -> Path:
    (path,) = found(folder, "hist-*.db")
    return path


async def fill(store: SqliteStore, day: int) -> None:
    series = np.repeat(await store.series(UNITS), SLOTS)
    times = np.tile(T0 + day * DAY + np.arange(SLOTS) * 900_000, len(UNITS))
    for measurement in (Measurement.ENERGY, Measurement.INST):
        fields = tuple(field_of(one) for one in QUANTITIES if measurement_of(one) is measurement)
        values = (series * 1e6 + times % 10**6)[:, None] + np.arange(len(fields))
        await store.write([Readings(measurement, fields, series, times, values, np.zeros(values.shape, np.uint32))])


async def refusal(work: Callable[[], Awaitable[object]]) -> HistoryError | None:
    """What is refused; every other exception passes."""
    try:
        await work()
    except HistoryError as error:
        return error
    return None


async def told(store: SqliteStore) -> Told:
    found: Told = {}
    for unit in UNITS:
        for quantity in QUANTITIES:
            one = await store.read_raw(unit, quantity, 0, FOREVER, 10**6)
            rows = zip(one.time_ms.tolist(), one.values.tolist(), one.status.tolist(), strict=True)
            found[unit, quantity] = {time: (value, status) for time, value, status in rows}
    return found


@pytest.fixture
async def whole(tmp_path: Path) -> Path:
    """A closed store with packed and hot days."""
    async with opened(tmp_path / "whole") as store:
        for day in range(DAYS):
            await fill(store, day)
        await store.maintain()
    return tmp_path / "whole"


def one_bit(data: bytearray, chance: random.Random) -> bytearray:
    data[chance.randrange(68, len(data))] ^= 1 << chance.randrange(8)
    return data


def one_page(data: bytearray, chance: random.Random) -> bytearray:
    first = chance.randrange(len(data) // 4096) * 4096
    for _ in range(40):
        data[first + chance.randrange(68, 4096)] = chance.randrange(256)
    return data


def cut(data: bytearray, chance: random.Random) -> bytearray:
    return data[: chance.randrange(len(data))]


def foreign(_: bytearray, chance: random.Random) -> bytearray:
    return bytearray(chance.randbytes(9000))


@pytest.mark.parametrize("spoil", [one_bit, one_page, cut, foreign])
async def test_a_spoilt_catalogue_costs_nothing(
    tmp_path: Path, whole: Path, spoil: Callable[[bytearray, random.Random], bytearray]
) -> None:
    async with opened(whole) as store:
        expected = await told(store)
    data = (whole / FILE).read_bytes()
    for seed in range(12):
        folder = tmp_path / f"{seed}"
        shutil.copytree(whole, folder)
        (folder / FILE).write_bytes(spoil(bytearray(data), random.Random(seed)))
        async with opened(folder) as store:
            assert await told(store) == expected, f"seed {seed}"
            found = await store.latest(UNITS, QUANTITIES)
            assert (found.time_ms == T0 + (DAYS - 1) * DAY + (SLOTS - 1) * 900_000).all(), f"seed {seed}"
            assert (await store.series([NodeUid("fresh")]))[0] == len(UNITS) + 1, "no number is given twice"
        shutil.rmtree(folder)


async def test_a_catalogue_that_is_lost_is_made_anew_of_the_register_and_the_other_way_round(whole: Path) -> None:
    async with opened(whole) as store:
        expected = await told(store)
    for name in (FILE, REGISTER):
        (whole / name).unlink()
        async with opened(whole) as store:
            assert await told(store) == expected
            assert (await store.series(UNITS)).tolist() == list(range(1, len(UNITS) + 1))


async def test_a_register_whose_end_a_crash_cut_off_is_no_damage(whole: Path) -> None:
    data = (whole / REGISTER).read_bytes()
    (whole / REGISTER).write_bytes(data + b'00000000 {"series":[[13,"m')
    async with opened(whole) as store:
        await store.series([NodeUid("m99")])
    (whole / FILE).unlink()
    async with opened(whole) as store:
        assert (await store.series([NodeUid("m99")])).tolist() == [13]


async def test_a_spoilt_catalogue_without_register_says_what_to_do(whole: Path) -> None:
    (whole / FILE).write_bytes(b"nothing at all" * 500)
    (whole / REGISTER).unlink()
    with pytest.raises(DamagedHistory, match=r"restore catalogue\.db from a backup"):
        await opened(whole).open()
    assert (whole / FILE).read_bytes().startswith(b"nothing"), "what there is stays"


async def test_a_catalogue_of_a_newer_hub_is_left_alone(whole: Path) -> None:
    file = sqlite3.connect(whole / FILE)
    file.execute(f"PRAGMA user_version = {FORMAT + 1}")
    file.close()
    with pytest.raises(WrongFormat, match="run the newer hub"):
        await opened(whole).open()
    assert not found(whole, "*.damaged*")


@pytest.mark.parametrize("spoil", [one_bit, one_page, cut, foreign])
async def test_a_spoilt_month_is_read_as_far_as_it_goes_and_written_again(
    tmp_path: Path, whole: Path, spoil: Callable[[bytearray, random.Random], bytearray]
) -> None:
    path = month_of(whole)
    data = path.read_bytes()
    for seed in range(12):
        folder = tmp_path / f"{seed}"
        shutil.copytree(whole, folder)
        (folder / path.name).write_bytes(spoil(bytearray(data), random.Random(seed)))
        async with opened(folder) as store:
            await told(store)
            await store.latest(UNITS, QUANTITIES)
            await store.read_rows(UNITS, Measurement.ENERGY, 0, FOREVER)
            await store.maintain()
            for day in (DAYS, DAYS + 1):
                await fill(store, day)
                await fill(store, day)
            found = await store.read_raw(UNITS[0], QUANTITIES[0], T0 + (DAYS + 1) * DAY, FOREVER, 99)
            assert len(found.values) == SLOTS, f"seed {seed}"
        shutil.rmtree(folder)


async def test_packed_days_that_changed_places_are_not_taken_for_each_others(whole: Path) -> None:
    path = month_of(whole)
    file = sqlite3.connect(path)
    file.execute("DELETE FROM cold_e WHERE key = 2 * 32 + 1")
    file.execute("UPDATE cold_e SET key = 2 * 32 + 1 WHERE key = 1 * 32 + 1")
    file.commit()
    file.close()
    async with opened(whole) as store:
        found = await store.read_raw(UNITS[1], QUANTITIES[0], T0, T0 + DAY, 99)
        rows = await store.read_rows([UNITS[1]], Measurement.ENERGY, T0, T0 + DAY)
        assert not len(found.values)
        assert not rows
        assert any("cold_e" in place for place in store.damage)


@pytest.mark.parametrize(
    "change",
    ["s = X'0102'", "s = 'text'", "s = 7", "s = 0", "k = 'many'", "k = k + 1", "d = X'00'", "d = 'text'", "d = NULL"],
)
async def test_a_spoilt_row_spoils_no_other_and_keeps_nothing_from_being_packed(whole: Path, change: str) -> None:
    path = month_of(whole)
    file = sqlite3.connect(path)
    last = T0 + (DAYS - 1) * DAY
    file.execute(f"UPDATE rows_e_20270106 SET {change} WHERE p = 1 AND ts = ?", (last,))  # noqa: S608 - the test's own
    file.commit()
    file.close()
    async with opened(whole) as store:
        found = await store.read_raw(UNITS[0], QUANTITIES[0], last, FOREVER, 99)
        assert len(found.values) == SLOTS - 1
        assert store.damage
        (rows,) = await store.read_rows([UNITS[0]], Measurement.ENERGY, last, FOREVER)
        assert len(rows.time_ms) == SLOTS - 1
        assert (await store.latest(UNITS, QUANTITIES)).time_ms.min() == last + (SLOTS - 1) * 900_000
    async with SqliteStore(whole, ManualClock((T0 + 20 * DAY) * NS // 1000), OPTIONS) as store:
        await store.maintain()
        assert len((await store.read_raw(UNITS[0], QUANTITIES[0], last, FOREVER, 99)).values) == SLOTS - 1
        assert len((await store.read_raw(UNITS[1], QUANTITIES[0], last, FOREVER, 99)).values) == SLOTS


async def test_a_slot_whose_status_is_spoilt_is_written_over_and_takes_nothing_with_it(whole: Path) -> None:
    path = month_of(whole)
    file = sqlite3.connect(path)
    file.execute("UPDATE rows_i_20270106 SET s = X'01' WHERE p = 1")
    file.commit()
    file.close()
    async with opened(whole) as store:
        series = (await store.series(UNITS))[:1]
        moment = np.array([T0 + (DAYS - 1) * DAY])
        cell, good = np.array([[5.0]]), np.zeros((1, 1), np.uint32)
        await store.write([Readings(Measurement.INST, (field_of(QUANTITIES[1]),), series, moment, cell, good)])
        written = await store.read_raw(UNITS[0], QUANTITIES[1], int(moment[0]), FOREVER, 1)
        beside = await store.read_raw(UNITS[0], QUANTITIES[2], int(moment[0]), int(moment[0]) + 1, 1)
        assert written.status.tolist() == [0]
        assert beside.status.tolist() == [0x8000_0000], "nobody takes it for good"


async def test_a_folder_that_is_deleted_under_the_hub_is_begun_again_with_the_same_numbers(whole: Path) -> None:
    async with opened(whole) as store:
        await fill(store, DAYS)
        shutil.rmtree(whole)
        for day in (DAYS + 1, DAYS + 2):
            await fill(store, day)
        assert len((await store.read_raw(UNITS[3], QUANTITIES[0], 0, FOREVER, 99)).values) == 2 * SLOTS
        assert (await store.series([NodeUid("fresh"), UNITS[11]])).tolist() == [13, 12]
    async with opened(whole) as store:
        assert len((await store.read_raw(UNITS[3], QUANTITIES[0], 0, FOREVER, 99)).values) == 2 * SLOTS
        assert (await store.series([NodeUid("fresh"), UNITS[11]])).tolist() == [13, 12]


async def test_foreign_files_in_the_folder_are_nobodys_history(whole: Path) -> None:
    for name in ("hist-000000.db", "hist-202713.db", "hist-999999.db", "hist-20270.db", "notes.txt"):
        (whole / name).write_bytes(b"something else")
    (whole / "hist-202702.db").mkdir()
    async with opened(whole) as store:
        assert await store.begins() == T0
        assert len((await store.read_raw(UNITS[0], QUANTITIES[0], 0, FOREVER, 99)).values) == DAYS * SLOTS
        await store.maintain()


async def test_a_table_named_for_a_day_that_there_is_not_is_told(whole: Path) -> None:
    path = month_of(whole)
    file = sqlite3.connect(path)
    file.execute("CREATE TABLE e_20270231(p, ts, s)")
    file.close()
    async with opened(whole) as store:
        await told(store)
        assert any("day that there is not" in what for what in store.damage.values())
        await store.maintain()


async def test_without_wal_index_and_with_a_cut_wal_what_was_committed_before_is_read(tmp_path: Path) -> None:
    store = opened(tmp_path / "live")
    await store.open()
    await fill(store, 0)
    await fill(store, 1)
    shutil.copytree(tmp_path / "live", tmp_path / "crashed")
    await store.close()
    (wal,) = (tmp_path / "crashed").glob("hist-*-wal")
    wal.write_bytes(wal.read_bytes()[:-5000])
    for side in (tmp_path / "crashed").glob("*-shm"):
        side.unlink()
    async with opened(tmp_path / "crashed") as again:
        found = await again.read_raw(UNITS[0], QUANTITIES[0], 0, FOREVER, 99)
        assert len(found.values) >= SLOTS
        await fill(again, 1)
        assert len((await again.read_raw(UNITS[0], QUANTITIES[0], 0, FOREVER, 99)).values) == 2 * SLOTS


async def test_a_file_stands_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "history").write_text("a file")
    with pytest.raises(StoreFull, match="mend the folder"):
        await opened(tmp_path / "history").open()


async def test_noted_newest_values_that_are_spoilt_are_not_told(whole: Path) -> None:
    file = sqlite3.connect(whole / FILE)
    (data,) = file.execute("SELECT d FROM last WHERE p = 1 AND m = 'energy'").fetchone()
    spoilt = bytearray(data)
    struct.pack_into("<d", spoilt, 10, 1e9)
    file.execute("UPDATE last SET d = ? WHERE p = 1 AND m = 'energy'", (bytes(spoilt),))
    file.commit()
    file.close()
    month = sqlite3.connect(month_of(whole))
    for day in (4, 5, 6):
        month.execute(f"DROP TABLE IF EXISTS rows_e_2027010{day}")
    month.commit()
    month.close()
    async with opened(whole) as store:
        found = await store.latest(UNITS[:2], QUANTITIES[:1])
        assert found.time_ms[0, 0] == 0
        assert found.time_ms[1, 0] > 0
        assert store.damage


async def test_every_error_of_a_spoilt_store_is_the_historians(tmp_path: Path, whole: Path) -> None:
    path = month_of(whole)
    data = path.read_bytes()
    for seed in range(30):
        folder = tmp_path / f"{seed}"
        shutil.copytree(whole, folder)
        chance = random.Random(1000 + seed)
        spoilt = bytearray(data)
        for _ in range(60):
            spoilt[chance.randrange(100, len(spoilt))] = chance.randrange(256)
        (folder / path.name).write_bytes(spoilt)
        async with opened(folder) as store:
            for work in (
                lambda: told(store),
                lambda: store.latest(UNITS, QUANTITIES),
                lambda: store.read_rows(UNITS, Measurement.INST, 0, FOREVER),
                store.maintain,
                lambda: fill(store, DAYS - 1),
                lambda: fill(store, DAYS),
            ):
                error = await refusal(work)
                assert error is None or error.hint, str(error)
        shutil.rmtree(folder)

"""A spool whose file is spoilt, taken away or replaced: it goes on, and what can be read still reaches the sink."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from address_space.model.clock import ManualClock
from historian.errors import StoreFull
from historian.forwarder import Forwarder
from historian.schema import Measurement
from historian.spool import FILE, Parcel, Spool, SpoolOptions, Verdict
from tests.historian.heap import Heap

CLOCK = ManualClock(1_800_000_000_000_000_000)
PAGE = 4096
PARCELS = 60
LINES = 200
SEEDS = 15
OPTIONS = SpoolOptions(10**9, 0)


def parcel(number: int, measurement: Measurement = Measurement.ENERGY, sink: str = "influx") -> Parcel:
    lines = [b"%s,point=m%d v=%d.0 %d" % (measurement.value.encode(), line, number, number) for line in range(LINES)]
    return Parcel(sink, measurement, b"\n".join(lines), LINES, number, number)


EVERY_LINE = {line for number in range(PARCELS + 1) for line in parcel(number).lines.split(b"\n")}


@pytest.fixture
async def whole(tmp_path: Path) -> Path:
    """The file of a spool in which parcels wait."""
    async with Spool(tmp_path / "whole", CLOCK, OPTIONS) as box:
        for number in range(PARCELS):
            await box.append([parcel(number)])
    return tmp_path / "whole" / FILE


async def sent_after(folder: Path) -> set[bytes]:
    """What reaches a sink from a spool that took one parcel more."""
    heap = Heap()
    async with Spool(folder, CLOCK, OPTIONS) as box:
        await box.append([parcel(PARCELS)])
        await Forwarder(box, heap, CLOCK).drain()
        state = await box.state()
        assert state.parcels == 0
    return heap.kept


async def append_until_full(box: Spool) -> None:
    for number in range(2000):
        await box.append([parcel(number)])


def bytes_of(path: Path) -> bytes:
    return path.read_bytes()


def spoil_file(path: Path, data: bytes | bytearray) -> None:
    path.write_bytes(data)


def names(folder: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


def one_bit(data: bytearray, chance: random.Random) -> bytearray:
    data[chance.randrange(100, len(data))] ^= 1 << chance.randrange(8)
    return data


def one_page(data: bytearray, chance: random.Random) -> bytearray:
    first = chance.randrange(1, len(data) // PAGE) * PAGE
    for _ in range(40):
        data[first + chance.randrange(120)] = chance.randrange(256)
    return data


def cut(data: bytearray, chance: random.Random) -> bytearray:
    return data[: chance.randrange(len(data) // 2, len(data))]


@pytest.mark.parametrize(("spoil", "at_most"), [(one_bit, 0.01), (one_page, 0.3), (cut, 0.8)])
async def test_a_spoilt_spool_takes_and_sends_on_and_never_sends_what_nobody_wrote(
    tmp_path: Path, whole: Path, spoil: Callable[[bytearray, random.Random], bytearray], at_most: float
) -> None:
    data = bytes_of(whole)
    lost = 0
    for seed in range(SEEDS):
        folder = tmp_path / f"{spoil.__name__}-{seed}"
        folder.mkdir()
        (folder / FILE).write_bytes(spoil(bytearray(data), random.Random(seed)))
        sent = await sent_after(folder)
        assert sent <= EVERY_LINE, f"seed {seed}: lines that nobody wrote"
        assert set(parcel(PARCELS).lines.split(b"\n")) <= sent, f"seed {seed}: what came after the damage is lost"
        lost += (len(EVERY_LINE) - len(sent)) // LINES
        shutil.rmtree(folder)
    assert lost <= at_most * SEEDS * PARCELS


async def test_damage_met_while_running_puts_the_file_aside_and_numbers_are_not_given_twice(
    tmp_path: Path, whole: Path
) -> None:
    async with Spool(whole.parent, CLOCK, OPTIONS) as box:
        waiting = await box.oldest("influx", 3)
        await box._outbox.run(lambda outbox: outbox._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        data = bytearray(bytes_of(whole))
        for page in range(2, len(data) // PAGE):
            if data[page * PAGE] in (2, 5, 10, 13):  # pages of tables and indexes
                data[page * PAGE : page * PAGE + 8] = b"\xff" * 8
        spoil_file(whole, data)
        await box._outbox.run(lambda outbox: outbox._connection.execute("PRAGMA shrink_memory").fetchall())
        await box.append([parcel(PARCELS)])
        (fresh,) = [one for one in await box.oldest("influx", 999) if one.parcel.first_ms == PARCELS]
        assert fresh.id > max(one.id for one in waiting)
        await box.settle(Verdict(done=[one.id for one in waiting]))
        assert parcel(PARCELS) in [one.parcel for one in await box.oldest("influx", 999)]
    assert whole.with_name(f"{FILE}.damaged-1").exists()


async def test_a_parcel_of_a_measurement_that_nobody_knows_stops_nobody(tmp_path: Path, whole: Path) -> None:
    file = sqlite3.connect(whole)
    file.execute("UPDATE q SET measurement = 'enerhy' WHERE id = 1")
    file.execute("UPDATE q SET n = 'many' WHERE id = 2")
    file.commit()
    file.close()
    sent = await sent_after(whole.parent)
    assert len(sent) == len(EVERY_LINE) - 2 * LINES
    async with Spool(whole.parent, CLOCK, OPTIONS) as box:
        assert {letter.id for letter in await box.dead_letters()} == {1, 2}


async def test_a_spool_whose_folder_is_deleted_under_it_keeps_what_it_took(tmp_path: Path, whole: Path) -> None:
    async with Spool(whole.parent, CLOCK, OPTIONS) as box:
        await box.append([parcel(PARCELS)])
        shutil.rmtree(whole.parent)
        await box.append([parcel(PARCELS + 1)])
        assert (await box.state()).parcels == PARCELS + 2
    async with Spool(whole.parent, CLOCK, OPTIONS) as box:
        found = [one.parcel for one in await box.oldest("influx", 999)]
    assert found == [parcel(number) for number in range(PARCELS + 2)]


async def test_a_spool_that_is_replaced_while_it_is_open_goes_on_with_what_stands_there(
    tmp_path: Path, whole: Path
) -> None:
    async with Spool(tmp_path / "other", CLOCK, OPTIONS) as other:
        await other.append([parcel(777)])
    async with Spool(whole.parent, CLOCK, OPTIONS) as box:
        await box.append([parcel(PARCELS)])
        (tmp_path / "other" / FILE).replace(whole)
        await box.append([parcel(778)])
        assert [one.parcel for one in await box.oldest("influx", 999)] == [parcel(777), parcel(778)]


async def test_damaged_spools_do_not_pile_up(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / FILE).write_bytes(b"no database %d" % number * 400)
        async with Spool(tmp_path, CLOCK, OPTIONS) as box:
            await box.append([parcel(number)])
    assert names(tmp_path, "*.damaged-*") == [f"{FILE}.damaged-{number}" for number in (4, 5, 6)]


async def test_what_a_sink_refuses_for_good_is_bounded_and_what_is_given_up_is_counted(tmp_path: Path) -> None:
    async with Spool(tmp_path, CLOCK, SpoolOptions(100_000, 0)) as box:
        for number in range(200):
            body = random.Random(number).randbytes(1000).hex().encode()
            await box.append([Parcel("influx", Measurement.INST, b"inst v=" + body, 1, number, number)])
            (one,) = await box.oldest("influx", 1)
            await box.settle(Verdict(dead=[(one.id, "no")]))
        state = await box.state()
        letters = await box.dead_letters(999)
        assert state.dead == len(letters) > 0
        assert state.shed == {"dead": 200 - state.dead}
        assert sum(len(letter.lines) for letter in letters) < 20_000
        assert max(letter.id for letter in letters) == 200, "the newest stay"


async def test_a_settled_verdict_is_whole_or_not_there(tmp_path: Path) -> None:
    async with Spool(tmp_path, CLOCK, OPTIONS) as box:
        await box.append([parcel(1), parcel(2)])
        await box._outbox.run(lambda outbox: outbox._connection.execute("CREATE TRIGGER t BEFORE INSERT ON dead BEGIN "
                                                                 "SELECT RAISE(ABORT, 'no'); END"))  # fmt: skip
        halves = [parcel(3), parcel(4)]
        with pytest.raises(Exception, match="no"):
            await box.settle(Verdict(cut=[(1, halves)], dead=[(2, "refused")]))
        assert [one.parcel for one in await box.oldest("influx", 99)] == [parcel(1), parcel(2)]


async def test_a_spool_is_opened_on_a_disk_that_does_not_let_write(tmp_path: Path, whole: Path) -> None:
    async with Spool(whole.parent, CLOCK, OPTIONS) as box:
        await box._outbox.run(lambda outbox: outbox._connection.execute("PRAGMA max_page_count = 1").fetchall())
        assert len(await box.oldest("influx", 999)) == PARCELS
        wal = whole.with_name(f"{FILE}-wal")
        assert not wal.exists() or not wal.stat().st_size, "opening and reading wrote nothing"
        with pytest.raises(StoreFull):
            await append_until_full(box)

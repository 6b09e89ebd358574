"""The spool on a real file: what was accepted is there after any end, and bounds are kept in the right order."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from address_space.model.clock import ManualClock
from historian.errors import StoreClosed, StoreFull
from historian.schema import Measurement
from historian.spool import FILE, Parcel, Spool, SpoolOptions, Verdict

CLOCK = ManualClock(1_800_000_000_000_000_000)


def parcel(
    number: int, measurement: Measurement = Measurement.INST, *, sink: str = "influx", lines: int = 10
) -> Parcel:
    """Lines that no two parcels share, and that do not pack well."""
    body = "\n".join(f"{measurement.value},point=m{number} v={hash((number, line))}i {line}" for line in range(lines))
    return Parcel(sink, measurement, body.encode(), lines, number, number + lines)


def spool(folder: Path, ceiling: int = 1_000_000) -> Spool:
    return Spool(folder, CLOCK, SpoolOptions(ceiling))


async def test_what_was_accepted_is_there_after_reopening(tmp_path: Path) -> None:
    async with spool(tmp_path) as first:
        await first.append([parcel(1), parcel(2)])
    async with spool(tmp_path) as again:
        assert [one.parcel for one in await again.oldest("influx", 9)] == [parcel(1), parcel(2)]
        assert (await again.state()).lines == 20


async def test_each_sink_sees_its_own_and_the_oldest_first(tmp_path: Path) -> None:
    async with spool(tmp_path) as box:
        await box.append([parcel(1), parcel(2, sink="other"), parcel(3)])
        assert [one.parcel for one in await box.oldest("influx", 1)] == [parcel(1)]
        assert [one.parcel for one in await box.oldest("other", 9)] == [parcel(2, sink="other")]
        assert await box.oldest("nobody", 9) == []


async def test_appends_at_the_same_time_share_commits_and_all_arrive(tmp_path: Path) -> None:
    async with spool(tmp_path) as box:
        await asyncio.gather(*(box.append([parcel(number)]) for number in range(200)))
        assert (await box.state()).parcels == 200


async def test_an_append_that_is_cancelled_takes_nobody_elses_parcels_with_it(tmp_path: Path) -> None:
    async with spool(tmp_path) as box:
        tasks = [asyncio.create_task(box.append([parcel(number)])) for number in range(20)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results[1:]] == [type(None)] * 19
        kept = {one.parcel.first_ms for one in await box.oldest("influx", 99)}
        assert kept >= set(range(1, 20))


async def test_a_verdict_removes_cuts_and_buries(tmp_path: Path) -> None:
    async with spool(tmp_path) as box:
        await box.append([parcel(number) for number in range(4)])
        done, tried, dead, cut = [one.id for one in await box.oldest("influx", 9)]
        await box.settle(Verdict([done], [tried], [(dead, "no such field")], [(cut, [parcel(7), parcel(8)])]))
        left = await box.oldest("influx", 9)
        assert [(one.parcel.first_ms, one.tries) for one in left] == [(1, 1), (7, 1), (8, 1)]
        (letter,) = await box.dead_letters()
        assert (letter.error, letter.count, letter.lines) == ("no such field", 10, parcel(2).lines)
        assert await box.revive() == 10
        assert [one.parcel.lines for one in await box.oldest("influx", 9)][-1] == parcel(2).lines
        assert (await box.state()).dead == 0


async def test_a_full_spool_sheds_gauges_first_then_counters_and_never_events(tmp_path: Path) -> None:
    async with spool(tmp_path, ceiling=4_000) as box:
        await box.append([parcel(number, Measurement.EVENT) for number in range(3)])
        await box.append([parcel(number, Measurement.ENERGY) for number in range(10, 14)])
        await box.append([parcel(number, Measurement.INST) for number in range(20, 26)])
        for number in range(30, 50):
            await box.append([parcel(number, Measurement.ENERGY)])
        state = await box.state()
        left = [one.parcel for one in await box.oldest("influx", 99)]
        assert state.bytes <= 4_000
        assert state.shed[Measurement.INST.value] == 60
        assert 0 < state.shed[Measurement.ENERGY.value] < 240
        assert [one.first_ms for one in left if one.measurement is Measurement.EVENT] == [0, 1, 2]
        energy = [one.first_ms for one in left if one.measurement is Measurement.ENERGY]
        assert energy == list(range(50 - len(energy), 50))
        assert state.lines + sum(state.shed.values()) == 10 * 33


async def test_the_count_of_what_waits_survives_reopening(tmp_path: Path) -> None:
    async with spool(tmp_path) as box:
        await box.append([parcel(number) for number in range(5)])
        before = (await box.state()).bytes
    async with spool(tmp_path, ceiling=before - 1) as again:
        await again.append([parcel(6)])
        state = await again.state()
        assert state.bytes < before
        assert state.shed


async def test_a_parcel_that_cannot_be_read_back_is_put_aside_and_the_next_ones_go_on(tmp_path: Path) -> None:
    async with spool(tmp_path) as box:
        await box.append([parcel(1), parcel(2), parcel(3)])
    with sqlite3.connect(tmp_path / FILE) as file:
        (blob,) = file.execute("SELECT d FROM q WHERE id = 2").fetchone()
        file.execute("UPDATE q SET d = ? WHERE id = 2", (blob[:20] + bytes([blob[20] ^ 1]) + blob[21:],))
    file.close()
    async with spool(tmp_path) as again:
        assert [one.parcel for one in await again.oldest("influx", 9)] == [parcel(1), parcel(3)]
        (letter,) = await again.dead_letters()
        assert "checksum" in letter.error
        assert (await again.state()).damaged == 10


async def test_a_file_that_is_no_spool_is_kept_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database at all" * 400)
    async with spool(tmp_path) as box:
        await box.append([parcel(1)])
        assert (await box.state()).parcels == 1
    assert (tmp_path / f"{FILE}.damaged-1").read_bytes().startswith(b"this is no database")


async def test_a_full_disk_refuses_what_it_cannot_keep_and_keeps_what_it_took(tmp_path: Path) -> None:
    async with spool(tmp_path) as box:
        await box.append([parcel(1)])
        await box._outbox.run(lambda one: one._connection.execute("PRAGMA max_page_count = 1").fetchall())
        with pytest.raises(StoreFull) as refused:
            await _fill(box)
        assert refused.value.retryable
        assert "free space" in str(refused.value)
        kept = (await box.state()).parcels
        assert (await box.oldest("influx", 1))[0].parcel == parcel(1)
        await box._outbox.run(lambda one: one._connection.execute("PRAGMA max_page_count = 1000000").fetchall())
        await box.append([parcel(300)])
        assert (await box.state()).parcels == kept + 1


async def _fill(box: Spool) -> None:
    for number in range(2, 200):
        await box.append([parcel(number, lines=500)])


async def test_a_closed_spool_says_so(tmp_path: Path) -> None:
    box = spool(tmp_path)
    with pytest.raises(StoreClosed):
        await box.append([parcel(1)])

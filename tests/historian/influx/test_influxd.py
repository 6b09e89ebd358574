"""Writing to and reading from a real InfluxDB 1.x, with its plug pulled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from address_space.model.clock import SystemClock
from address_space.model.ids import NodeUid
from address_space.model.quality import Reason
from address_space.model.quantity import Quantity
from historian.api import Readings
from historian.forwarder import Answer, Forwarder
from historian.influx import (
    InfluxQl,
    InfluxReader,
    InfluxServer,
    InfluxSink,
    LineWriter,
    ServerOptions,
    Tags,
    Version,
    set_up,
)
from historian.influx.query import quoted
from historian.schema import Measurement
from historian.spool import Parcel, Spool, Verdict

FIELDS = ("ActiveEnergyImport", "ActiveEnergyExport")
START_MS = 1_800_000_000_000


@pytest.fixture
def server(influxd, request: pytest.FixtureRequest) -> InfluxServer:
    database = "db_" + request.node.name.partition("[")[0][-40:]
    made = InfluxServer(ServerOptions(influxd.url, database))
    InfluxQl(made, database).ask(f"CREATE DATABASE {quoted(database)}")
    return made


@pytest.fixture
async def sink(server: InfluxServer) -> AsyncIterator[InfluxSink]:
    made = InfluxSink("influx", server.options)
    yield made
    await made.close()


def count(server: InfluxServer) -> int:
    found = InfluxQl(server, server.options.database).ask("SELECT COUNT(q) FROM energy")
    return int(found[0].column("count")[0]) if found else 0


def readings(slot: int, units: int = 50) -> Readings:
    values = np.arange(units * 2, dtype=float).reshape(units, 2) + slot * 1000
    times = np.full(units, START_MS + slot * 1000)
    return Readings(Measurement.ENERGY, FIELDS, np.arange(units), times, values, np.zeros((units, 2), np.uint32))


async def writer_into(spool: Spool, units: int = 50) -> LineWriter:
    writer = LineWriter(spool, ["influx"], lambda _: Tags("electricity", "north 1"))
    await writer.series([NodeUid(f"m{number}") for number in range(units)])
    return writer


def test_the_server_tells_its_version(server: InfluxServer) -> None:
    version, named = server.version()
    assert version in (Version.V1_OLD, Version.V1)
    assert named.startswith("1.")


async def test_readings_arrive_once_however_often_they_are_sent(
    server: InfluxServer, sink: InfluxSink, tmp_path: Path
) -> None:
    async with Spool(tmp_path, SystemClock()) as spool:
        writer = await writer_into(spool)
        forwarder = Forwarder(spool, sink, SystemClock())
        for _ in range(3):
            await writer.write([readings(slot) for slot in range(4)])
            await forwarder.drain()
    assert count(server) == 200
    (found,) = InfluxQl(server, server.options.database).ask("SELECT ActiveEnergyImport FROM energy WHERE point = 'm7'")
    assert found.column("ActiveEnergyImport") == [0.014, 1.014, 2.014, 3.014]
    assert found.column("time") == [START_MS + 1000 * slot for slot in range(4)]


async def test_a_bad_line_is_put_aside_and_all_good_ones_are_stored(
    server: InfluxServer, sink: InfluxSink, tmp_path: Path
) -> None:
    async with Spool(tmp_path, SystemClock()) as spool:
        await (await writer_into(spool)).write([readings(0)])
        (waiting,) = await spool.oldest("influx", 1)
        lines = waiting.parcel.lines.split(b"\n")
        lines[10] = b"energy,point=m10 ActiveEnergyImport= 1800000000000"
        lines[30] = b'energy,point=m30 ActiveEnergyImport="text" 1800000000000'
        await spool.settle(Verdict(cut=[(waiting.id, [replace(waiting.parcel, lines=b"\n".join(lines))])]))
        await Forwarder(spool, sink, SystemClock()).drain()
        letters = {letter.lines: letter.error for letter in await spool.dead_letters()}
    assert set(letters) == {lines[10], lines[30]}
    assert "missing field value" in letters[lines[10]]
    assert "field type conflict" in letters[lines[30]]
    assert count(server) == 48


async def test_a_post_beyond_the_servers_limit_is_too_large(sink: InfluxSink) -> None:
    line = b"energy,point=m1 ActiveEnergyImport=1,q=0i 18000000000%05d"
    body = b"\n".join(line % number for number in range(70_000))
    assert len(body) > 3_000_000
    assert (await sink.post(body)).answer is Answer.TOO_LARGE


async def test_a_missing_database_is_a_denial_that_keeps_everything(influxd) -> None:
    sink = InfluxSink("influx", ServerOptions(influxd.url, "nowhere"))
    try:
        reply = await sink.post(b"energy,point=m1 q=0i 1")
    finally:
        await sink.close()
    assert reply.answer is Answer.DENIED
    assert "nowhere" in reply.detail


async def test_pulling_the_plug_of_the_server_loses_nothing(
    influxd, server: InfluxServer, sink: InfluxSink, tmp_path: Path
) -> None:
    async with Spool(tmp_path, SystemClock()) as spool:
        writer = await writer_into(spool)
        forwarder = Forwarder(spool, sink, SystemClock())
        await writer.write([readings(0)])
        await forwarder.drain()
        influxd.kill()
        try:
            for slot in range(1, 20):
                await writer.write([readings(slot)])
            await forwarder.drain()
            assert forwarder.state.trouble
            assert (await spool.state()).lines == 19 * 50
        finally:
            influxd.start()
        await forwarder.drain()
        assert (await spool.state()).lines == 0
    assert count(server) == 20 * 50


async def test_what_was_written_reads_back_as_from_any_store(
    server: InfluxServer, sink: InfluxSink, tmp_path: Path
) -> None:
    uid, imported, power = NodeUid("m7"), Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_POWER
    gauges = Readings(
        Measurement.INST,
        ("ActivePower",),
        np.array([7, 7]),
        np.array([START_MS + 500, START_MS + 9_500]),
        np.array([[1500.0], [np.nan]]),
        np.array([[Reason.SUBSTITUTED.status], [Reason.TIMEOUT.status]], np.uint32),
    )
    async with Spool(tmp_path, SystemClock()) as spool:
        await (await writer_into(spool)).write([*(readings(slot) for slot in range(10)), gauges])
        await Forwarder(spool, sink, SystemClock()).drain()
    reader = InfluxReader(server.options)
    try:
        whole = await reader.read_raw(uid, imported, START_MS, START_MS + 60_000, 100)
        assert whole.time_ms.tolist() == [START_MS + 1000 * slot for slot in range(10)]
        assert whole.values.tolist() == [slot + 0.014 for slot in range(10)]
        assert not whole.more
        part = await reader.read_raw(uid, imported, START_MS, START_MS + 60_000, 3, newest_first=True)
        assert part.time_ms.tolist() == [START_MS + 1000 * slot for slot in (9, 8, 7)]
        assert part.more
        measured = await reader.read_raw(uid, power, START_MS, START_MS + 60_000, 100)
        assert (measured.values.tolist(), measured.status.tolist()) == ([1.5], [Reason.SUBSTITUTED.status])
        assert await reader.bounds(uid, imported) == (START_MS, START_MS + 9_000)
        assert await reader.value_before(uid, imported, START_MS + 4_999) == (START_MS + 4_000, 4.014, 0)
        assert await reader.value_after(uid, imported, START_MS + 4_001) == (START_MS + 5_000, 5.014, 0)
        assert await reader.value_after(uid, imported, START_MS + 9_001) is None
        latest = await reader.latest([NodeUid("m8"), NodeUid("nobody"), uid], [imported, power])
        assert latest.values[:, 0].tolist()[::2] == [9.016, 9.014]
        assert latest.time_ms.tolist() == [[START_MS + 9_000, 0], [0, 0], [START_MS + 9_000, START_MS + 500]]
    finally:
        await reader.close()


async def test_a_long_answer_comes_in_chunks_and_is_one_series(server: InfluxServer, sink: InfluxSink) -> None:
    body = "\n".join(f"energy,point=m1 ActiveEnergyImport={number} {START_MS + number}" for number in range(25_000))
    assert (await sink.post(body.encode())).answer is Answer.STORED
    (found,) = InfluxQl(server, server.options.database).ask("SELECT ActiveEnergyImport FROM energy")
    assert found.column("ActiveEnergyImport") == list(range(25_000))


async def test_what_is_older_than_the_retention_is_put_aside_in_one_go(
    server: InfluxServer, sink: InfluxSink, tmp_path: Path
) -> None:
    set_up(server, 30)
    async with Spool(tmp_path, SystemClock()) as spool:
        old = b"\n".join(b"energy,point=m1 ActiveEnergyImport=%d 1500000000000" % number for number in range(1000))
        await spool.append([Parcel("influx", Measurement.ENERGY, old, 1000, START_MS, START_MS)])
        await (await writer_into(spool)).write([readings(0)])
        forwarder = Forwarder(spool, sink, SystemClock())
        await forwarder.drain()
        state = await spool.state()
        letters = await spool.dead_letters()
    assert (state.lines, state.dead, count(server)) == (0, 1000, 50)
    assert [letter.count for letter in letters] == [1000]
    assert forwarder.state.posts < 10


def test_set_up_may_be_run_again_and_sets_the_retention(influxd) -> None:
    made = InfluxServer(ServerOptions(influxd.url, "by_set_up"))
    for days in (0, 1, 30, 30):
        assert set_up(made, days).version.startswith("1.")
    (policies,) = InfluxQl(made, "by_set_up").ask('SHOW RETENTION POLICIES ON "by_set_up"')
    assert dict(zip(policies.column("name"), policies.column("duration"), strict=True)) == {"autogen": "720h0m0s"}

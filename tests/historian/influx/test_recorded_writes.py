"""What becomes of lines by the answers that InfluxDB 1.8.10, 2.7.12 and 2.9.1 really gave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from address_space.model.clock import ManualClock
from historian.forwarder import Answer, Forwarder, Reply
from historian.influx import InfluxSink, ServerOptions
from historian.schema import Measurement
from historian.spool import Parcel, Spool
from tests.historian.influx import recorded
from tests.historian.influx.answers import V2, V16, V18, Asked, Kind, Replayed, Said
from tests.historian.influx.recorded import EVERY, TWOS, V29

WRITE = "/api/v2/write"
PAIR = b"energy,point=m7 A=1.0 2\nenergy,point=m7 A=1.0 5"


async def posted(server: Replayed, lines: bytes, org: str = "works", database: str = "plant") -> Reply:
    sink = InfluxSink("influx", ServerOptions(server.url, database, org))
    try:
        return await sink.post(lines)
    finally:
        await sink.close()


@pytest.mark.parametrize(
    ("kind", "said", "answer"),
    [
        (V18, "OLD_18", Answer.ALL_REFUSED),
        (V18, "CLASH_18", Answer.ALL_REFUSED),
        (V18, "BROKEN_18", Answer.REFUSED),
        (V18, "READER_18", Answer.DENIED),
        (V18, "STRANGER_18", Answer.DENIED),
        (V18, "NOBODY_18", Answer.DENIED),
        (V18, "NO_DATABASE_18", Answer.DENIED),
        (V18, "LARGE_18", Answer.TOO_LARGE),
        *(
            (kind, said, answer)
            for kind in TWOS.values()
            for said, answer in (
                ("OLD_2", Answer.ALL_REFUSED),
                ("CLASH_2", Answer.ALL_REFUSED),
                ("BROKEN_2", Answer.REFUSED),
                ("BROKEN_TWICE_2", Answer.REFUSED),
                ("BEYOND_TIME_2", Answer.REFUSED),
                ("STRANGER_2", Answer.DENIED),
                ("READER_2", Answer.DENIED),
                ("INACTIVE_2", Answer.DENIED),
                ("NO_BUCKET_2", Answer.DENIED),
                ("NO_ORG_2", Answer.DENIED),
            )
        ),
    ],
    ids=lambda value: value.named if isinstance(value, Kind) else str(value),
)
async def test_what_real_servers_said_is_understood(kind: Kind, said: str, answer: Answer) -> None:
    told: Said = getattr(recorded, said)
    with Replayed(kind) as server:
        server.on("POST", WRITE, told)
        reply = await posted(server, PAIR)
    words = json.loads(told.body)
    assert reply.answer is answer
    assert reply.detail == f"{told.status} {words.get('error') or words['message']}"


@pytest.mark.parametrize(("kind", "said"), [(V18, recorded.OLD_18), (V2, recorded.OLD_2), (V29, recorded.CLASH_2)])
async def test_some_lines_that_are_refused_are_looked_for_among_the_others(kind: Kind, said: Said) -> None:
    with Replayed(kind) as server:
        server.on("POST", WRITE, said)
        assert (await posted(server, PAIR + b"\nenergy,point=m8 A=1.0 5")).answer is Answer.REFUSED


async def test_a_post_beyond_the_retention_is_put_aside_whole_and_not_line_by_line(tmp_path: Path) -> None:
    """5,000 lines one by one were 9,999 posts and 12 s on 2.9.1."""

    def answer(asked: Asked) -> Said:
        told = recorded.OLD_2.body.replace(b"dropped=2", b"dropped=%d" % (asked.body.count(b"\n") + 1))
        return Said(422, told, recorded.OLD_2.headers)

    body = b"\n".join(b"energy,point=m7 A=1.0 %d" % number for number in range(5000))
    with Replayed(V2) as server:
        server.on("POST", WRITE, answer)
        sink = InfluxSink("influx", ServerOptions(server.url, "plant", "works"))
        async with Spool(tmp_path, ManualClock()) as spool:
            for part in (body, b"energy,point=m7 A=1.0 1"):
                count = part.count(b"\n") + 1
                await spool.append([Parcel("influx", Measurement.ENERGY, part, count, 0, 5000)])
            forwarder = Forwarder(spool, sink, ManualClock())
            await forwarder.drain()
            state = await spool.state()
            letters = await spool.dead_letters()
        await sink.close()
    assert (state.lines, state.dead) == (0, 5001)
    assert forwarder.state.posts == 2
    assert forwarder.state.dead_lines == 5001
    assert all("Retention Policy Lower Bound" in letter.error for letter in letters)


@pytest.mark.parametrize("kind", TWOS.values(), ids=TWOS)
async def test_no_line_is_put_aside_because_nobody_said_the_organisation(kind: Kind) -> None:
    """Version 2 answers 400, as to lines that are wrong."""
    with Replayed(kind) as server:
        server.on("POST", WRITE, recorded.ORG_NOT_SAID_2)
        reply = await posted(server, PAIR, org="")
        assert server.requests(WRITE) == []
    assert reply.answer is Answer.DENIED
    assert "history.influx.org" in reply.detail


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("kind", EVERY.values(), ids=EVERY)
async def test_no_line_is_put_aside_because_of_a_proxys_page(kind: Kind, status: int) -> None:
    page = Said(status, b"<html><h1>400 Bad Request</h1>nginx</html>", {"Content-Type": "text/html; charset=utf-8"})
    with Replayed(kind) as server:
        server.on("POST", WRITE, page)
        assert (await posted(server, PAIR)).answer is Answer.LATER


async def test_a_server_that_was_upgraded_meanwhile_is_found_out_after_the_trouble() -> None:
    with Replayed(V18) as server:
        server.on("GET", "/ping", V18.ping, V2.ping)
        server.on("POST", WRITE, Said(204), recorded.STRANGER_2, Said(204))
        sink = InfluxSink("influx", ServerOptions(server.url, "plant", "works"))
        assert [(await sink.post(PAIR)).answer for _ in range(3)] == [Answer.STORED, Answer.DENIED, Answer.STORED]
        await sink.close()
        assert [asked.query["bucket"] for asked in server.requests(WRITE)] == ["plant/autogen"] * 2 + ["plant"]


@pytest.mark.parametrize("kind", [V16, V18, V2], ids=["1.6", "1.8", "2"])
async def test_a_retention_policy_may_be_named_behind_the_database(kind: Kind) -> None:
    path = "/write" if kind is V16 else WRITE
    with Replayed(kind) as server:
        server.on("POST", path, Said(204))
        assert (await posted(server, PAIR, database="plant/year")).answer is Answer.STORED
        (asked,) = server.requests(path)
    place = {name: asked.query.get(name) for name in ("db", "rp", "bucket")}
    assert place == (
        {"db": "plant", "rp": "year", "bucket": None}
        if kind is V16
        else {"db": None, "rp": None, "bucket": "plant/year"}
    )

"""What the hub writes to InfluxDB 1.6, 1.8, 2 and 3, and what becomes of it by each one's answers."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from address_space.model.clock import ManualClock
from address_space.model.ids import NodeUid
from historian.api import Readings
from historian.forwarder import Answer, Forwarder, Reply
from historian.influx import Credentials, InfluxSink, LineWriter, ServerOptions, Tags
from historian.schema import Measurement
from historian.spool import Parcel, Spool
from tests.historian.influx.answers import (
    KINDS,
    V2,
    V3,
    V16,
    V18,
    Asked,
    Kind,
    Point,
    Replayed,
    Said,
    point,
    points,
    said,
)

START_MS = 1_800_000_000_000
WRITES = {"1.6": "/write", "1.8": "/api/v2/write", "2": "/api/v2/write", "3": "/api/v2/write"}
SECRET = "s3cr3t-t0k3n"  # noqa: S105 - a made-up one
STORED = Said(204)
POISON = (
    "not a line at all",
    f"energy,point=m9 ActiveEnergyImport=text,q=0i {START_MS}",
    f"energy,point=mx Clash=1.0 {START_MS}",
)
"""Two lines that no server can read, and one whose field has another type on this server."""


class Shelf:
    """Stores lines as one version does when some in a post are bad: 1 and 2 as real ones did, 3 by contract."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self.kept: dict[tuple[str, tuple[tuple[str, str], ...], int], Point] = {}
        self.posts: list[bytes] = []

    def __call__(self, asked: Asked) -> Said:
        self.posts.append(asked.body)
        good, broken, clashing = [], [], []
        for number, line in enumerate(asked.body.decode().split("\n"), 1):
            try:
                read = point(line)
            except ValueError:
                broken.append((number, line))
                continue
            (clashing if "Clash" in read.fields else good).append(read)
        if broken and self._kind is V2:
            text = "\n".join(f"unable to parse '{line}': missing fields" for _, line in broken)
            return said(400, {"code": "invalid", "message": text})
        for read in good:
            self.kept[read.measurement, tuple(sorted(read.tags.items())), read.time] = read
        if not broken and not clashing:
            return STORED
        clash = (
            'partial write: field type conflict: input field "Clash" on measurement "energy" is type float, '
            "already exists as type string dropped=1"
        )
        if self._kind is V2:
            return said(
                422, {"code": "unprocessable entity", "message": f"failure writing points to database: {clash}"}
            )
        if self._kind is V3:
            told = [{"original_line": line, "line_number": at, "error_message": "invalid"} for at, line in broken]
            return said(400, {"error": "partial write of line protocol occurred", "data": told})
        text = f"partial write: unable to parse '{broken[0][1]}': invalid field format dropped=0" if broken else clash
        return said(400, {"error": text})


@pytest.fixture(params=KINDS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(version: str) -> Iterator[Replayed]:
    with Replayed(KINDS[version]) as made:
        yield made


@asynccontextmanager
async def sink_of(url: str, **options: object) -> AsyncIterator[InfluxSink]:
    made = InfluxSink("influx", ServerOptions(url, "plant", **{"org": "works", **options}))  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.close()


def lines(count: int, at: int = 0) -> list[str]:
    return [f"energy,point=m{number} ActiveEnergyImport={number}.5,q=0i {START_MS + at}" for number in range(count)]


async def waiting(spool: Spool, body: list[str]) -> None:
    text = "\n".join(body).encode()
    await spool.append([Parcel("influx", Measurement.ENERGY, text, len(body), START_MS, START_MS)])


async def emptied(forwarder: Forwarder, spool: Spool) -> None:
    for _ in range(100):
        await forwarder.drain()
        if not (await spool.state()).lines:
            return
    raise AssertionError("the spool is never empty")


async def test_bad_lines_alone_are_put_aside_whatever_the_version_does_with_the_good_ones(
    tmp_path: Path, server: Replayed, version: str
) -> None:
    shelf = Shelf(KINDS[version])
    server.on("POST", WRITES[version], shelf)
    body = lines(40)
    for number, bad in enumerate(POISON):
        body.insert(7 + 11 * number, bad)
    async with Spool(tmp_path, ManualClock()) as spool, sink_of(server.url) as sink:
        await waiting(spool, body)
        await waiting(spool, lines(10, at=1000))
        await emptied(Forwarder(spool, sink, ManualClock()), spool)
        dead = await spool.dead_letters()
    assert sorted(letter.lines.decode() for letter in dead) == sorted(POISON)
    assert all(letter.error.startswith(("400", "422")) for letter in dead)
    assert len(shelf.kept) == 50
    assert {read.time for read in shelf.kept.values()} == {START_MS, START_MS + 1000}


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (204, Answer.STORED),
        (200, Answer.LATER),
        (400, Answer.REFUSED),
        (422, Answer.REFUSED),
        (413, Answer.TOO_LARGE),
        (401, Answer.DENIED),
        (403, Answer.DENIED),
        (429, Answer.LATER),
        (500, Answer.LATER),
        (502, Answer.LATER),
        (503, Answer.LATER),
        (504, Answer.LATER),
        (418, Answer.LATER),
    ],
)
async def test_every_status_means_the_same_on_every_version(
    server: Replayed, version: str, status: int, answer: Answer
) -> None:
    server.on("POST", WRITES[version], STORED if status == 204 else KINDS[version].problem(status, "so it is", "code"))
    async with sink_of(server.url) as sink:
        reply = await sink.post(b"energy q=0i 1")
    assert reply.answer is answer
    assert answer is Answer.STORED or status == 200 or "so it is" in reply.detail
    assert reply.answer is Answer.STORED or reply.detail.startswith(str(status))
    assert len(server.requests(WRITES[version])) == 1, "the forwarder tries again, and nobody else"


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        (V16, said(404, {"error": 'database not found: "plant"'})),
        (V18, said(404, {"error": 'database not found: "plant"'})),
        (V2, said(404, {"code": "not found", "message": 'bucket "plant" not found'})),
        (V2, said(404, {"code": "not found", "message": 'organization name "-" not found'})),
        (V3, said(404, {"error": "database not found: plant"})),
    ],
)
async def test_a_bucket_that_is_missing_is_told_and_all_is_kept(tmp_path: Path, kind: Kind, missing: Said) -> None:
    with Replayed(kind) as server:
        path = "/write" if kind is V16 else "/api/v2/write"
        server.on("POST", path, missing)
        async with Spool(tmp_path, ManualClock()) as spool, sink_of(server.url) as sink:
            await waiting(spool, lines(5))
            forwarder = Forwarder(spool, sink, ManualClock())
            await forwarder.drain()
            assert (await spool.state()).lines == 5
        assert forwarder.state.denied
        assert "not found" in forwarder.state.trouble
        assert [asked.path for asked in server.asked if asked.method == "POST"] == [path]


async def test_a_server_without_the_newer_api_is_written_to_as_before_and_found_out_once() -> None:
    """What calls itself 1.8 and has no such route, as some that speak InfluxDB's protocol do."""
    with Replayed(V18) as server:
        server.on("POST", "/write", STORED)
        async with sink_of(server.url) as sink:
            assert [(await sink.post(b"energy q=0i 1")).answer for _ in range(3)] == [Answer.STORED] * 3
        assert [asked.path for asked in server.asked] == ["/ping", "/api/v2/write", "/write", "/write", "/write"]


async def test_a_proxy_that_knew_no_path_for_a_while_does_not_change_the_way_for_good() -> None:
    nowhere = Said(404, b"<html><h1>404 Not Found</h1>nginx</html>", {"Content-Type": "text/html"})
    with Replayed(V2) as server:
        server.on("POST", "/api/v2/write", nowhere, STORED)
        server.on("POST", "/write", nowhere)
        async with sink_of(server.url) as sink:
            assert (await sink.post(b"energy q=0i 1")).answer is Answer.DENIED
            assert (await sink.post(b"energy q=0i 1")).answer is Answer.STORED
        assert [asked.path for asked in server.asked][-2:] == ["/ping", "/api/v2/write"]


async def test_a_post_that_is_too_large_is_halved_until_it_fits(tmp_path: Path, server: Replayed, version: str) -> None:
    shelf = Shelf(KINDS[version])
    most = 1000
    large = KINDS[version].problem(413, "max request size exceeded", "request too large")
    server.on("POST", WRITES[version], lambda asked: large if len(asked.body) > most else shelf(asked))
    async with Spool(tmp_path, ManualClock()) as spool, sink_of(server.url) as sink:
        await waiting(spool, lines(100))
        await emptied(Forwarder(spool, sink, ManualClock()), spool)
        assert (await spool.state()).dead == 0
    assert len(shelf.kept) == 100
    assert max(map(len, shelf.posts)) <= most


@pytest.mark.parametrize(
    ("told", "seconds"), [("7", 7.0), ("0", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0), ("-3", 0.0)]
)
async def test_a_server_that_asks_to_be_left_alone_is(
    server: Replayed, version: str, told: str, seconds: float
) -> None:
    busy = KINDS[version].problem(429, "too many requests", "too many requests")
    server.on("POST", WRITES[version], Said(429, busy.body, {**busy.headers, "Retry-After": told}))
    async with sink_of(server.url) as sink:
        reply = await sink.post(b"energy q=0i 1")
    assert reply == Reply(Answer.LATER, reply.detail, seconds)


@pytest.mark.parametrize("how", ["reset", "slow"])
async def test_a_connection_that_breaks_or_is_slow_loses_nothing(
    tmp_path: Path, server: Replayed, version: str, how: str
) -> None:
    """The server has stored what it could not acknowledge any more: the same again changes nothing."""
    shelf, release = Shelf(KINDS[version]), threading.Event()
    lost = {"yet": True}

    def answer(asked: Asked) -> Said:
        stored = shelf(asked)
        if lost.pop("yet", False):
            return Said(400, b"x" * 5, cut=True) if how == "reset" else Said(204, hold=release)
        return stored

    server.on("POST", WRITES[version], answer)
    async with Spool(tmp_path, ManualClock()) as spool, sink_of(server.url, timeout_s=0.3) as sink:
        await waiting(spool, lines(20))
        forwarder = Forwarder(spool, sink, ManualClock())
        await forwarder.drain()
        assert (await spool.state()).lines == 20
        assert forwarder.state.trouble
        assert not forwarder.state.denied
        release.set()
        await emptied(forwarder, spool)
        assert (await spool.state()).dead == 0
    assert len(shelf.kept) == 20
    assert len(shelf.posts) == 2
    assert not forwarder.state.trouble


async def test_nobody_at_the_address_is_told_as_such() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with sink_of(url, timeout_s=1.0) as sink:
            reply = await sink.post(b"energy q=0i 1")
    assert reply.answer is Answer.LATER
    assert "refused" in reply.detail


async def test_a_server_that_is_starting_is_asked_again() -> None:
    with Replayed(V18) as server:
        server.on("GET", "/ping", Said(503, b"starting"), V18.ping)
        server.on("POST", "/api/v2/write", STORED)
        async with sink_of(server.url) as sink:
            assert (await sink.post(b"energy q=0i 1")).answer is Answer.LATER
            assert (await sink.post(b"energy q=0i 1")).answer is Answer.STORED


async def test_a_token_that_not_even_ping_takes_is_a_denial() -> None:
    with Replayed(V3) as server:
        server.on("GET", "/ping", said(401, {"error": "the request was not authenticated"}))
        async with sink_of(server.url) as sink:
            reply = await sink.post(b"energy q=0i 1")
    assert reply.answer is Answer.DENIED
    assert "not authenticated" in reply.detail


UNITS = [NodeUid(name) for name in ("m1", "north feeder, 2=a", "Счётчик-3")]


async def written(spool: Spool, sink: InfluxSink) -> tuple[Readings, Forwarder]:
    """Readings of odd names, numbers and qualities on their way through spool and sink."""
    writer = LineWriter(spool, ["influx"], lambda unit: Tags("electricity", "site one"))
    values = np.array([[1.0, 0.1], [2.0**53, np.nan], [np.nan, np.nan]])
    status = np.array([[0, 0], [0, 0x80310000], [0x80310000, 0x80310000]], np.uint32)
    fields = ("ActiveEnergyImport", "ActiveEnergyExport")
    series = await writer.series(UNITS)
    readings = Readings(Measurement.ENERGY, fields, series, np.full(3, START_MS), values, status)
    await writer.write([readings])
    forwarder = Forwarder(spool, sink, ManualClock())
    await emptied(forwarder, spool)
    return readings, forwarder


@pytest.mark.parametrize("compress", [False, True])
async def test_an_independent_reader_finds_in_the_body_what_was_read(
    tmp_path: Path, server: Replayed, version: str, compress: bool
) -> None:
    server.on("POST", WRITES[version], STORED)
    async with Spool(tmp_path, ManualClock()) as spool, sink_of(server.url, compress=compress) as sink:
        readings, _ = await written(spool, sink)
    (asked,) = server.requests(WRITES[version])
    found = {read.tags["point"]: read for read in points(asked.body)}
    assert list(found) == UNITS
    for row, unit in enumerate(UNITS):
        assert found[unit].tags == {"point": unit, "kind": "electricity", "site": "site one"}
        assert (found[unit].measurement, found[unit].time) == ("energy", START_MS)
        expected = {
            field: value / 1000
            for field, value in zip(readings.fields, readings.values[row].tolist(), strict=True)
            if value == value
        }
        assert {name: value for name, value in found[unit].fields.items() if name != "q"} == expected
    assert [found[unit].fields["q"] for unit in UNITS] == [0, 3, 3]
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert headers.get("content-encoding", "identity") == ("gzip" if compress else "identity")
    names = {"1.6": {"db": "plant"}, "1.8": {"bucket": "plant/autogen"}}.get(version, {"bucket": "plant"})
    assert {name: asked.query.get(name) for name in names} == names
    assert asked.query["precision"] == "ms"
    assert "/health" not in {one.path for one in server.asked}, "1.6 has none, and 3 answers in another form"


BASIC = "Basic aHViOnMzY3IzdC10MGszbg=="
USER = Credentials(username="hub", password=SECRET)


@pytest.mark.parametrize(
    ("version", "credentials", "expected"),
    [
        *((version, Credentials(token=SECRET), {f"Token {SECRET}"}) for version in KINDS),
        ("1.6", USER, {BASIC}),
        ("1.8", USER, {BASIC, f"Token hub:{SECRET}"}),
    ],
    ids=["token-1.6", "token-1.8", "token-2", "token-3", "user-1.6", "user-1.8"],
)
async def test_credentials_go_in_the_header_and_nowhere_else(
    tmp_path: Path,
    server: Replayed,
    version: str,
    credentials: Credentials,
    expected: set[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    denied = KINDS[version].problem(401, "unauthorized access", "unauthorized")
    server.on("POST", WRITES[version], STORED, denied)
    async with Spool(tmp_path, ManualClock()) as spool, sink_of(server.url, credentials=credentials) as sink:
        _, forwarder = await written(spool, sink)
        await waiting(spool, lines(1))
        await forwarder.drain()
        told = (repr(forwarder.state), repr(credentials), repr(ServerOptions(server.url, "plant", "", credentials)))
    assert forwarder.state.denied
    for asked in server.asked:
        sent = {name.lower(): value for name, value in asked.headers.items()}
        assert sent["authorization"] in expected
        assert SECRET not in asked.path + json.dumps(dict(asked.query)) + asked.body.decode()
    assert SECRET not in "".join(told) + caplog.text


async def test_two_posts_are_under_way_at_once(tmp_path: Path) -> None:
    """InfluxDB 3 answers a post only when its log was written, up to a second later."""
    together, release = threading.Semaphore(0), threading.Event()

    def answer(_: Asked) -> Said:
        together.release()
        return Said(204, hold=release)

    with Replayed(V3) as server:
        server.on("POST", "/api/v2/write", answer)
        async with Spool(tmp_path, ManualClock()) as spool, sink_of(server.url) as sink:
            for number in range(3):
                await waiting(spool, lines(4000, at=number))
            draining = asyncio.ensure_future(Forwarder(spool, sink, ManualClock()).drain())
            for _ in range(2):
                assert await asyncio.to_thread(together.acquire, timeout=60)
            release.set()
            await draining
            assert (await spool.state()).lines == 0

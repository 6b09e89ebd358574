"""Answers of what is no InfluxDB, or of one that is out of its mind: nothing counts as stored, and nothing ends."""

from __future__ import annotations

import pytest

from historian.forwarder import Answer
from historian.influx import InfluxSink, ServerOptions
from tests.historian.influx.answers import V2, V16, Kind, Replayed, Said

HTML = {"Content-Type": "text/html"}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(("kind", "path"), [(V16, "/write"), (V2, "/api/v2/write")], ids=["1.6", "2"])
@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (Said(200, b"<html>log in here</html>", HTML), Answer.LATER),
        (Said(200, b'{"error":"could not be completed"}', JSON), Answer.LATER),
        (Said(302, headers={"Location": "/login"}), Answer.LATER),
        (Said(307, headers={"Location": "/login"}), Answer.LATER),
        (Said(500, b"\xff\xfe\x00", JSON), Answer.LATER),
        (Said(500, b"[1, 2]", JSON), Answer.LATER),
        (Said(503, b"", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), Answer.LATER),
        (Said(429, b"", {"Retry-After": "nan"}), Answer.LATER),
        (Said(500, b"no gzip", {"Content-Encoding": "gzip"}), Answer.LATER),
        (Said(400, b"null", JSON), Answer.REFUSED),
    ],
    ids=lambda one: f"{one.status}-{one.body[:8]!r}" if isinstance(one, Said) else "",
)
async def test_only_a_204_is_stored_and_nothing_is_raised(kind: Kind, path: str, said: Said, answer: Answer) -> None:
    with Replayed(kind) as server:
        server.on("POST", path, said)
        server.on("GET", "/login", Said(200, b"<html></html>", HTML))
        server.on("POST", "/login", Said(200, b"<html></html>", HTML))
        sink = InfluxSink("influx", ServerOptions(server.url, "plant", org="works", timeout_s=5))
        try:
            assert (await sink.post(b"energy q=0i 1")).answer is answer
            server.on("POST", path, Said(204))
            assert (await sink.post(b"energy q=0i 1")).answer is Answer.STORED
        finally:
            await sink.close()

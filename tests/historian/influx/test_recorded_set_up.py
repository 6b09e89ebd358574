"""Set-up and queries by the answers that InfluxDB 1.8.10, 2.7.12 and 2.9.1 really gave."""

from __future__ import annotations

import json

import pytest

from historian.errors import StoreDenied, StoreFailed
from historian.influx import Credentials, InfluxQl, InfluxServer, ServerOptions, SetUp, set_up
from tests.historian.influx import recorded
from tests.historian.influx.answers import V2, V16, V18, Kind, Replayed, Said
from tests.historian.influx.recorded import EVERY, TWOS, bucket, lacks, mapping

DAY_S = 86_400
FOUND = recorded.listed({"links": {}, "buckets": [{"id": "0c2d", "name": "plant"}]})


@pytest.fixture(params=TWOS)
def server(request: pytest.FixtureRequest) -> Replayed:
    """A version 2 with the organisation, and without the bucket."""
    made = Replayed(TWOS[request.param])
    made.on("GET", "/api/v2/orgs", recorded.ORGS)
    made.on("GET", "/api/v2/buckets", recorded.NO_SUCH_BUCKET)
    made.on("POST", "/api/v2/buckets", bucket(0))
    made.on("GET", "/api/v2/dbrps", recorded.NO_MAPPING, mapping("plant", "0c2d"))
    return made


def done_on(server: Replayed, days: int = 0, database: str = "plant") -> SetUp:
    made = InfluxServer(ServerOptions(server.url, database, "works", Credentials("s3cr3t")))
    try:
        return set_up(made, days)
    finally:
        made.close()


def rule_sent(server: Replayed, path: str) -> object:
    return json.loads(server.requests(path)[-1].body)["retentionRules"]


def test_a_bucket_that_the_server_maps_by_itself_is_not_mapped_again(server: Replayed) -> None:
    with server:
        done = done_on(server)
        assert [asked.method for asked in server.requests("/api/v2/dbrps")] == ["GET", "GET"]
    assert done.steps == ("bucket plant made", "kept for ever")


@pytest.mark.parametrize("days", [0, 30])
def test_the_retention_of_a_bucket_that_is_there_can_be_lifted_again(server: Replayed, days: int) -> None:
    """No rule at all leaves what was set before, and answers 200."""
    with server:
        server.on("GET", "/api/v2/buckets", FOUND)
        server.on("GET", "/api/v2/dbrps", mapping("plant", "0c2d"))
        server.on("PATCH", "/api/v2/buckets/0c2d", bucket(days * DAY_S))
        done = done_on(server, days)
        assert rule_sent(server, "/api/v2/buckets/0c2d") == [{"type": "expire", "everySeconds": days * DAY_S}]
    assert done.steps == ("bucket plant was there", f"retention {days}d" if days else "kept for ever")


def test_a_retention_of_less_than_a_week_shortens_the_shards_that_would_be_longer(server: Replayed) -> None:
    def answer(asked: object) -> Said:
        return bucket(DAY_S, DAY_S) if b"shardGroupDurationSeconds" in getattr(asked, "body", b"") else refused

    refused = recorded.SHARDS_TOO_LONG
    with server:
        server.on("GET", "/api/v2/buckets", FOUND)
        server.on("GET", "/api/v2/dbrps", mapping("plant", "0c2d"))
        server.on("PATCH", "/api/v2/buckets/0c2d", answer)
        assert done_on(server, 1).steps == ("bucket plant was there", "retention 1d")


@pytest.mark.parametrize(("days", "shards"), [(1, " SHARD DURATION 1d"), (6, " SHARD DURATION 1d"), (7, "")])
@pytest.mark.parametrize("kind", [V16, V18], ids=["1.6", "1.8"])
def test_version_1_gets_shorter_shards_likewise(kind: Kind, days: int, shards: str) -> None:
    """1.6.7 and 1.8.10: "retention policy duration must be greater than the shard duration"."""
    with Replayed(kind) as server:
        server.on("POST", "/query", Said(200, b'{"results":[{"statement_id":0}]}\n'))
        done_on(server, days)
        statement = server.requests("/query")[-1].form["q"]
    assert statement == f'ALTER RETENTION POLICY "autogen" ON "plant" DURATION {days}d{shards} DEFAULT'


def test_a_mapping_that_leads_to_another_bucket_is_told_before_anything_is_made(server: Replayed) -> None:
    with server:
        server.on("GET", "/api/v2/dbrps", mapping("plant", "9f9f", virtual=False))
        with pytest.raises(StoreFailed, match="from another bucket") as caught:
            done_on(server)
        assert not [asked for asked in server.asked if asked.method != "GET"]
    assert "history.influx.database" in caught.value.hint


def test_a_bucket_named_for_a_database_and_its_policy_is_mapped_as_the_default_one(server: Replayed) -> None:
    """The virtual mapping of "joulehub/autogen" is not the default one, and SHOW finds nothing by it."""
    virtual = mapping("joulehub", "0c2d", default=False)
    with server:
        server.on("GET", "/api/v2/dbrps", recorded.NO_MAPPING, virtual)
        server.on("POST", "/api/v2/dbrps", bucket(0))
        done = done_on(server, database="joulehub/autogen")
        made = json.loads(server.requests("/api/v2/dbrps")[-1].body)
    assert (made["database"], made["retention_policy"], made["default"]) == ("joulehub", "autogen", True)
    assert done.steps[-1] == "mapped for InfluxQL"


@pytest.mark.parametrize(
    ("method", "path", "answer", "error", "hint"),
    [
        ("GET", "/api/v2/orgs", recorded.STRANGER_2, StoreDenied, "wrong or has expired"),
        ("GET", "/api/v2/orgs", recorded.NO_ORGS, StoreFailed, "read:orgs"),
        ("GET", "/api/v2/orgs", recorded.NO_SUCH_ORG, StoreFailed, "history.influx.org"),
        ("POST", "/api/v2/buckets", lacks("write:orgs/0a1b/buckets"), StoreDenied, "write:buckets"),
        ("POST", "/api/v2/buckets", recorded.BUCKET_NAME_TAKEN, StoreFailed, "history.influx.database"),
        ("POST", "/api/v2/dbrps", lacks("read:orgs/0a1b/buckets/0c2d"), StoreDenied, "read:buckets"),
    ],
)
def test_what_a_token_lacks_is_told_by_what_the_server_really_says(
    server: Replayed, method: str, path: str, answer: Said, error: type[StoreFailed], hint: str
) -> None:
    with server:
        server.on("GET", "/api/v2/dbrps", recorded.NO_MAPPING)
        server.on(method, path, answer)
        with pytest.raises(StoreFailed) as caught:
            done_on(server)
    assert type(caught.value) is error
    assert hint in caught.value.hint
    assert "s3cr3t" not in str(caught.value)


def ask(server: Replayed, database: str = "plant") -> InfluxQl:
    return InfluxQl(InfluxServer(ServerOptions(server.url, database, "works")), database)


@pytest.mark.parametrize("kind", EVERY.values(), ids=EVERY)
def test_a_database_that_is_missing_or_hidden_is_told_with_what_helps(kind: Kind) -> None:
    with Replayed(kind) as server:
        server.on("POST", "/query", recorded.NO_SUCH_DATABASE)
        with pytest.raises(StoreFailed, match="database not found: plant") as caught:
            ask(server).ask("SELECT A FROM energy")
    assert "history setup" in caught.value.hint
    assert "right to read" in caught.value.hint


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (recorded.ASKED_BY_STRANGER_2, StoreDenied, "Unauthorized"),
        (recorded.STRANGER_2, StoreDenied, "unauthorized access"),
        (recorded.NO_SYNTAX_2, StoreFailed, "found FRO"),
    ],
)
def test_what_version_2_says_to_queries_is_understood(answer: Said, error: type[StoreFailed], words: str) -> None:
    with Replayed(V2) as server:
        server.on("POST", "/query", answer)
        with pytest.raises(error, match=words) as caught:
            ask(server).ask("SELECT A FRO")
    assert type(caught.value) is error


@pytest.mark.parametrize("kind", EVERY.values(), ids=EVERY)
def test_chunks_as_they_came_are_one_series(kind: Kind) -> None:
    with Replayed(kind) as server:
        server.on("POST", "/query", recorded.CHUNKS_2)
        (found,) = ask(server).ask("SELECT A FROM energy")
    assert found.values == [[1, 1], [2, 1], [3, 1]]


def test_queries_name_the_policy_that_stands_behind_the_database() -> None:
    with Replayed(V18) as server:
        server.on("POST", "/query", Said(200, b'{"results":[{"statement_id":0}]}\n'))
        ask(server, "plant/year").ask("SELECT A FROM energy")
        ask(server).ask("SELECT A FROM energy")
        asked = [one.form for one in server.requests("/query")]
    assert [(form["db"], form.get("rp")) for form in asked] == [("plant", "year"), ("plant", None)]

"""Making the place where history goes: database, bucket and retention, each server version in its own way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote

from historian.errors import StoreDenied, StoreFailed
from historian.influx.query import InfluxQl, quoted
from historian.influx.server import DENIED, RETENTION_POLICY, InfluxServer, Version, told

_DAY_S = 86_400
_RIGHTS = {
    "/api/v2/orgs": "the right to read organisations (read:orgs)",
    "GET /api/v2/buckets": "the right to read buckets (read:buckets)",
    "/api/v2/buckets": "the right to write buckets (write:buckets)",
    "GET /api/v2/dbrps": "the right to read mappings (read:dbrp)",
    "/api/v2/dbrps": "the right to write mappings (write:dbrp)",
    "database": "an admin token",
}
"""What a token lacks that is refused something, by what it was refused."""


@dataclass(frozen=True, slots=True)
class SetUp:
    """What was found and done, for a person. `steps` in order."""

    version: str
    steps: tuple[str, ...]


def set_up(server: InfluxServer, keep_days: int) -> SetUp:
    """Make what is missing and set its retention (0 days: for ever). May be run again; raises HistoryError."""
    version, named = server.version()
    makers = {Version.V1_OLD: _v1, Version.V1: _v1, Version.V2: _v2, Version.V3: _v3}
    return SetUp(named, tuple(makers[version](server, keep_days)))


def _v1(server: InfluxServer, keep_days: int) -> list[str]:
    database = server.options.database
    ql = InfluxQl(server, database)
    ql.ask(f"CREATE DATABASE {quoted(database)}")
    duration = f"{keep_days}d" if keep_days else "INF"
    ql.ask(f"ALTER RETENTION POLICY {quoted(RETENTION_POLICY)} ON {quoted(database)} DURATION {duration} DEFAULT")
    return [f"database {database}", f"retention {duration}"]


def _v2(server: InfluxServer, keep_days: int) -> list[str]:
    options = server.options
    if not options.org:
        raise StoreFailed("InfluxDB 2 wants an organisation", where=server.url, hint="set history.influx.org")
    org_id = _one(server, f"/api/v2/orgs?org={quote(options.org)}", "orgs", options.org)
    rules: object = [{"type": "expire", "everySeconds": keep_days * _DAY_S}] if keep_days else []
    found = _listed(server, f"/api/v2/buckets?name={quote(options.database)}&orgID={org_id}", "buckets")
    steps = []
    if found:
        bucket_id = str(found[0]["id"])
        _sent(server, "PATCH", f"/api/v2/buckets/{bucket_id}", {"retentionRules": rules})
        steps.append(f"bucket {options.database} was there; retention set")
    else:
        body: dict[str, object] = {"orgID": org_id, "name": options.database, "retentionRules": rules}
        bucket_id = str(_sent(server, "POST", "/api/v2/buckets", body)["id"])
        steps.append(f"bucket {options.database} made")
    mapped = _listed(server, f"/api/v2/dbrps?orgID={org_id}&db={quote(options.database)}", "content")
    if not mapped:
        mapping: dict[str, object] = {
            "orgID": org_id,
            "bucketID": bucket_id,
            "database": options.database,
            "retention_policy": RETENTION_POLICY,
            "default": True,
        }
        _sent(server, "POST", "/api/v2/dbrps", mapping)
        steps.append("mapped for InfluxQL")
    return steps


def _v3(server: InfluxServer, keep_days: int) -> list[str]:
    database = server.options.database
    body: dict[str, object] = {"db": database}
    if keep_days:
        body["retention_period"] = f"{keep_days}d"
    answer = server.request(
        "POST",
        "/api/v3/configure/database",
        body=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )
    if answer.status == 409:
        return [f"database {database} was there; its retention was left as it is"]
    if answer.status >= 300:
        raise _refused(server, f"making database {database}", answer.status, told(answer))
    return [f"database {database}", f"retention {keep_days} days" if keep_days else "kept for ever"]


def _listed(server: InfluxServer, path: str, key: str) -> list[dict[str, object]]:
    answer = server.request("GET", path)
    if answer.status == 404:
        return []
    if answer.status >= 300:
        raise _refused(server, f"GET {path.partition('?')[0]}", answer.status, told(answer))
    found = _read(server, answer.data).get(key)
    return list(found) if isinstance(found, list) else []


def _one(server: InfluxServer, path: str, key: str, name: str) -> str:
    found = _listed(server, path, key)
    if not found:
        raise StoreFailed(f"there is no organisation {name!r}", where=server.url, hint="check history.influx.org")
    return str(found[0]["id"])


def _sent(server: InfluxServer, method: str, path: str, body: dict[str, object]) -> dict[str, object]:
    answer = server.request(method, path, body=json.dumps(body), headers={"Content-Type": "application/json"})
    if answer.status >= 300:
        raise _refused(server, f"{method} {path}", answer.status, told(answer))
    return _read(server, answer.data) if answer.data else {}


def _refused(server: InfluxServer, what: str, status: int, words: str) -> StoreFailed:
    """401: nobody is let in like that; 403 (on 2 also 404): it is, without the right to do this."""
    told_so = f"InfluxDB refuses {what}: {status} {words}"
    if status == 401:
        return StoreDenied(told_so, where=server.url, hint="the token (or user and password) is wrong or has expired")
    if status in DENIED:
        right = next((needed for part, needed in _RIGHTS.items() if part in what), "an administrator's rights")
        return StoreDenied(told_so, where=server.url, hint=f"for setting up the token needs {right}")
    return StoreFailed(told_so, where=server.url, hint="see the server's log")


def _read(server: InfluxServer, body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise StoreFailed(
            "InfluxDB's answer cannot be read", where=server.url, hint="check the address: is it a proxy's?"
        )
    return found

"""Making the place where history goes: database, bucket and retention, each server version in its own way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote

from historian.errors import StoreDenied, StoreFailed
from historian.influx.query import InfluxQl, quoted
from historian.influx.server import DENIED, RETENTION_POLICY, InfluxServer, Version, place_of, told

_DAY_S = 86_400
_WEEK_DAYS = 7
"""How long a shard of a database is that keeps for ever; what keeps less needs shorter ones."""
_RIGHTS = {
    "/api/v2/orgs": "the right to read the organisation (read:orgs)",
    "GET /api/v2/buckets": "the right to read buckets (read:buckets)",
    "/api/v2/buckets": "the right to write buckets (write:buckets)",
    "/api/v2/dbrps": "the rights to read and write buckets (read:buckets, write:buckets)",
    "database": "an admin token",
}
"""What a token lacks that is refused something, by what it was refused."""
_LACKS = " is unauthorized"
"""How version 2 ends its 401 to a token that lacks a right: "write:orgs/0a1b/buckets is unauthorized"."""


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
    name, policy = place_of(server.options.database)
    ql = InfluxQl(server, server.options.database)
    ql.ask(f"CREATE DATABASE {quoted(name)}")
    duration = f"{keep_days}d" if keep_days else "INF"
    short = " SHARD DURATION 1d" if 0 < keep_days < _WEEK_DAYS else ""
    default = "" if policy else " DEFAULT"
    changed = f"{quoted(policy or RETENTION_POLICY)} ON {quoted(name)}"
    ql.ask(f"ALTER RETENTION POLICY {changed} DURATION {duration}{short}{default}")
    return [f"database {name}", f"retention {duration}" if keep_days else "kept for ever"]


def _v2(server: InfluxServer, keep_days: int) -> list[str]:
    options = server.options
    if not options.org:
        raise StoreFailed("InfluxDB 2 wants an organisation", where=server.url, hint="set history.influx.org")
    org_id = _organisation(server, options.org)
    rule: dict[str, object] = {"type": "expire", "everySeconds": keep_days * _DAY_S}  # no rule would change nothing
    if 0 < keep_days < _WEEK_DAYS:
        rule["shardGroupDurationSeconds"] = _DAY_S
    found = _listed(server, f"/api/v2/buckets?name={quote(options.database)}&orgID={org_id}", "buckets")
    bucket_id = str(found[0]["id"]) if found else ""
    mapped_id = _mapped(server, org_id)
    if mapped_id not in ("", bucket_id):
        raise StoreFailed(
            f"InfluxQL reads {options.database!r} from another bucket ({mapped_id}) than would be written to",
            where=server.url,
            hint="choose another history.influx.database, or delete that mapping (`influx v1 dbrp delete`)",
        )
    if found:
        _sent(server, "PATCH", f"/api/v2/buckets/{bucket_id}", {"retentionRules": [rule]})
        steps = [f"bucket {options.database} was there"]
    else:
        body: dict[str, object] = {"orgID": org_id, "name": options.database, "retentionRules": [rule]}
        bucket_id = str(_sent(server, "POST", "/api/v2/buckets", body)["id"])
        steps = [f"bucket {options.database} made"]
        mapped_id = _mapped(server, org_id)  # newer servers map a bucket by themselves
    steps.append(f"retention {keep_days}d" if keep_days else "kept for ever")
    if not mapped_id:
        name, policy = place_of(options.database)
        mapping: dict[str, object] = {
            "orgID": org_id,
            "bucketID": bucket_id,
            "database": name,
            "retention_policy": policy or RETENTION_POLICY,
            "default": True,
        }
        _sent(server, "POST", "/api/v2/dbrps", mapping)
        steps.append("mapped for InfluxQL")
    return steps


def _mapped(server: InfluxServer, org_id: str) -> str:
    """The bucket from which InfluxQL reads by default, as SHOW always does; empty where there is none."""
    name, _ = place_of(server.options.database)
    mappings = _listed(server, f"/api/v2/dbrps?orgID={org_id}&db={quote(name)}", "content")
    return next((str(one.get("bucketID", "")) for one in mappings if one.get("default")), "")


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


def _organisation(server: InfluxServer, name: str) -> str:
    found = _listed(server, f"/api/v2/orgs?org={quote(name)}", "orgs")
    if not found:  # to a token that may not read it, version 2 tells none
        raise StoreFailed(
            f"there is no organisation {name!r} that the token may read",
            where=server.url,
            hint="check history.influx.org, and that the token has the right to read it (read:orgs)",
        )
    return str(found[0]["id"])


def _sent(server: InfluxServer, method: str, path: str, body: dict[str, object]) -> dict[str, object]:
    answer = server.request(method, path, body=json.dumps(body), headers={"Content-Type": "application/json"})
    if answer.status >= 300:
        raise _refused(server, f"{method} {path}", answer.status, told(answer))
    return _read(server, answer.data) if answer.data else {}


def _refused(server: InfluxServer, what: str, status: int, words: str) -> StoreFailed:
    """401: nobody is let in like that; 403, on 2 a 401 that names the right: it is, without the right to do this."""
    told_so = f"InfluxDB refuses {what}: {status} {words}"
    if status in DENIED and (status != 401 or words.endswith(_LACKS)):
        right = next((needed for part, needed in _RIGHTS.items() if part in what), "an administrator's rights")
        return StoreDenied(told_so, where=server.url, hint=f"for setting up the token needs {right}")
    if status == 401:
        return StoreDenied(told_so, where=server.url, hint="the token (or user and password) is wrong or has expired")
    hint = "check history.influx.database and history.influx.retention_days, or see the server's log"
    return StoreFailed(told_so, where=server.url, hint=hint)


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

"""What real servers answered, word by word: InfluxDB OSS 1.8.10, 2.7.12 and 2.9.1, recorded on 2026-11-22.

2.9.1 gave the same status, headers and bodies as 2.7.12 to all that is here, but for its name. Ids are shortened.
"""

from __future__ import annotations

import json
from dataclasses import replace

from tests.historian.influx.answers import V2, V18, Kind, Said

V29 = Kind("v2.9.1", replace(V2.ping, headers={**V2.ping.headers, "X-Influxdb-Version": "v2.9.1"}), V2.unknown)
TWOS = {"2.7.12": V2, "2.9.1": V29}
EVERY = {"1.8.10": V18, **TWOS}


def one(status: int, text: str, kind: str = "json", **headers: str) -> Said:
    """An answer of 1.8.10; where it refuses a write, a header repeats the words."""
    return Said(status, text.encode(), {"Content-Type": f"application/{kind}", **headers})


def two(status: int, code: str, message: str, *, pretty: bool = False) -> Said:
    """A refusal of 2.x: a line of JSON without a newline, or tabs and lines where orgs, buckets and mappings answer."""
    body: dict[str, str] = {"code": code, "message": message}
    text = json.dumps(body, indent="\t") if pretty else json.dumps(body, separators=(",", ":"))
    return Said(
        status, text.encode(), {"Content-Type": "application/json; charset=utf-8", "X-Platform-Error-Code": code}
    )


def listed(body: object) -> Said:
    """What 2.x has of something."""
    return Said(200, json.dumps(body, indent="\t").encode(), {"Content-Type": "application/json; charset=utf-8"})


CLASH = (
    'partial write: field type conflict: input field "A" on measurement "energy" is type {}, already exists as type {}'
)

# 1.8.10, /api/v2/write

OLD_18 = one(400, '{"error":"partial write: points beyond retention policy dropped=2"}\n')
CLASH_18 = one(400, json.dumps({"error": CLASH.format("string", "float") + " dropped=2"}) + "\n")
BROKEN_18 = one(400, '{"error":"partial write: unable to parse \'not a line\': invalid field format dropped=0"}\n')
READER_18 = one(403, '{"error":"\\"reader\\" user is not authorized to write to database \\"plant\\""}\n')
STRANGER_18 = one(401, '{"error":"authorization failed"}\n', **{"Www-Authenticate": 'Basic realm="InfluxDB"'})
NOBODY_18 = one(
    401,
    '{"error":"unable to parse authentication credentials"}\n',
    **{"Www-Authenticate": 'Basic realm="InfluxDB"'},
)
NO_DATABASE_18 = one(404, '{"error":"database not found: \\"nowhere\\""}\n')
LARGE_18 = one(413, '{"error":"Request Entity Too Large"}\n', Connection="close")

# 2.7.12 and 2.9.1, /api/v2/write

_FAILED = "failure writing points to database: "
_BOUND = "dropped because it violates a Retention Policy Lower Bound at 2026-10-23T16:21:15.271656081Z"
OLD_2 = two(
    422,
    "unprocessable entity",
    f"{_FAILED}partial write: dropped 2 points outside retention policy of duration 720h0m0s - oldest point "
    f"energy,point=m7 at 1970-01-01T00:00:00.002Z {_BOUND}, newest point energy,point=m7 at 1970-01-01T00:00:00.005Z "
    f"{_BOUND} dropped=2 for database: bff5cba5 for retention policy: autogen",
)
CLASH_2 = two(422, "unprocessable entity", _FAILED + CLASH.format("string", "float") + " dropped=2")
BROKEN_2 = two(400, "invalid", "unable to parse 'not a line': invalid field format")
BROKEN_TWICE_2 = two(
    400,
    "invalid",
    "unable to parse 'energy,point=m9 A=text 2': invalid boolean\nunable to parse 'not a line': invalid field format",
)
BEYOND_TIME_2 = two(
    400,
    "invalid",
    "unable to parse 'energy,point=m6 A=1.0 99999999999999': time outside range "
    "-9223372036854775806 - 9223372036854775806",
)
STRANGER_2 = two(401, "unauthorized", "unauthorized access")
READER_2 = two(403, "forbidden", "insufficient permissions for write")
INACTIVE_2 = two(403, "forbidden", "insufficient permissions for write: token is inactive")
NO_BUCKET_2 = two(404, "not found", 'bucket "nowhere" not found')
NO_ORG_2 = two(404, "not found", 'organization name "nobody" not found')
ORG_NOT_SAID_2 = two(400, "invalid", "Please provide either orgID or org")

# 2.7.12 and 2.9.1, /query

ASKED_BY_STRANGER_2 = two(401, "unauthorized", "Unauthorized")
NO_SUCH_DATABASE = Said(
    200, b'{"results":[{"statement_id":0,"error":"database not found: plant"}]}\n', {"Content-Type": "application/json"}
)
"""1.8.10 too; on 2 also for a token that may write the bucket and not read it."""
NO_SYNTAX_2 = two(400, "invalid", "failed to parse query: found FRO, expected FROM at line 1, char 10")
CHUNKS_2 = Said(
    200,
    b'{"results":[{"statement_id":0,"series":[{"name":"energy","columns":["time","A"],"values":[[1,1],[2,1]],'
    b'"partial":true}],"partial":true}]}\n'
    b'{"results":[{"statement_id":0,"series":[{"name":"energy","columns":["time","A"],"values":[[3,1]]}]}]}\n',
    {"Content-Type": "application/json"},
)

# 2.7.12 and 2.9.1, set-up

ORGS = listed({"links": {"self": "/api/v2/orgs"}, "orgs": [{"id": "0a1b", "name": "works", "description": ""}]})
NO_ORGS = listed({"links": {"self": "/api/v2/orgs"}, "orgs": []})
"""To a token that may not read the organisation."""
NO_SUCH_ORG = two(404, "not found", 'organization name "works" not found', pretty=True)
NO_SUCH_BUCKET = two(404, "not found", 'bucket "plant" not found', pretty=True)
BUCKET_NAME_TAKEN = two(422, "conflict", "bucket with name plant already exists", pretty=True)
SHARDS_TOO_LONG = two(
    422,
    "unprocessable entity",
    "shard-group duration must also be updated to be smaller than new retention duration",
    pretty=True,
)


def lacks(right: str) -> Said:
    """A token that is known and lacks a right gets 401 and not 403."""
    return two(401, "unauthorized", f"{right} is unauthorized", pretty=True)


def bucket(seconds: int, shards: int = 604_800) -> Said:
    """A bucket as it is told after it was made or changed."""
    rule = {"type": "expire", "everySeconds": seconds, "shardGroupDurationSeconds": shards}
    made = {"id": "0c2d", "orgID": "0a1b", "type": "user", "name": "plant", "retentionRules": [rule]}
    return replace(listed(made), status=201)


def mapping(database: str, bucket_id: str, *, default: bool = True, virtual: bool = True) -> Said:
    """The mappings of a database; both versions make a virtual one for every bucket by themselves."""
    entry = {"id": bucket_id, "database": database, "retention_policy": "autogen", "default": default}
    return listed({"content": [{**entry, "virtual": virtual, "orgID": "0a1b", "bucketID": bucket_id}]})


NO_MAPPING = listed({"content": []})

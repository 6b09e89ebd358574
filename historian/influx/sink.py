"""Writing to InfluxDB: influxdb-client where the server has its API, /write where it has not."""

from __future__ import annotations

import asyncio
import gzip
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService

from historian.errors import HistoryError, StoreDenied
from historian.forwarder import Answer, Reply
from historian.influx.server import RETENTION_POLICY, InfluxServer, ServerOptions, Version, place_of, told, words_of
from historian.influx.silence import why_silent

NOT_FOUND = 404
TAKEN = 204
_ANSWERS = {
    400: Answer.REFUSED,
    422: Answer.REFUSED,
    413: Answer.TOO_LARGE,
    401: Answer.DENIED,
    403: Answer.DENIED,
    NOT_FOUND: Answer.DENIED,
}
THREADS = 4
_DROPPED = re.compile(r"partial write: .* dropped=(\d+)", re.DOTALL)
"""How 1 and 2 tell how many lines of a post they could read and did not store."""


class InfluxSink:
    """`Sink` into one database or bucket. Close it in the end."""

    def __init__(self, name: str, options: ServerOptions) -> None:
        self._name = name
        self._options = options
        self._server = InfluxServer(options)
        self._threads = ThreadPoolExecutor(THREADS, f"influx-{name}")
        self._version: Version | None = Version.V1_OLD if options.api == "v1" else None
        self._client: Any = None
        self._writer: Any = None

    @property
    def name(self) -> str:
        """Name in the spool."""
        return self._name

    async def post(self, lines: bytes) -> Reply:
        """Send once; what goes wrong is part of the answer."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._post, lines)

    async def close(self) -> None:
        """Release connections and threads."""
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        self._threads.shutdown()
        if self._client is not None:
            self._client.close()
        self._server.close()

    def _post(self, lines: bytes) -> Reply:
        """Send; after trouble the version is asked for again: the server may have been replaced, or it was a proxy."""
        try:
            reply = self._sent(self._version or self._server.version()[0], lines)
            if reply.answer in (Answer.DENIED, Answer.LATER) and self._options.api != "v1":
                self._version = None
            return reply
        except StoreDenied as error:
            return Reply(Answer.DENIED, str(error))
        except HistoryError as error:
            return Reply(Answer.LATER, str(error))

    def _sent(self, version: Version, lines: bytes) -> Reply:
        if version is Version.V2 and not self._options.org:  # its 400 would look as if the lines were wrong
            return Reply(Answer.DENIED, "InfluxDB 2 wants an organisation: set history.influx.org")
        reply = self._post_v2(version, lines) if version.writes_v2 else None
        if reply is None:
            version, reply = Version.V1_OLD, self._post_plain(lines)
        self._version = version
        return reply

    def _post_v2(self, version: Version, lines: bytes) -> Reply | None:
        """By influxdb-client; None where the server has no such API after all."""
        bucket = self._options.database
        if version is Version.V1 and "/" not in bucket:
            bucket = f"{bucket}/{RETENTION_POLICY}"
        try:
            _, status, _ = self._write_api().post_write_with_http_info(
                self._options.org, bucket, lines, precision="ms", content_type="text/plain; charset=utf-8"
            )
        except ApiException as error:
            if error.status == NOT_FOUND and not _is_influx(error):
                return None
            words = words_of(error.body) if error.body else str(error.reason)
            return _reply(int(error.status or 0), words, error.headers, lines)
        except urllib3.exceptions.HTTPError as error:
            return Reply(Answer.LATER, f"InfluxDB does not answer: {why_silent(error)}")
        except UnicodeError as error:  # the client takes every answer for text
            return Reply(Answer.LATER, f"the answer is none of InfluxDB: {error}")
        return _taken(status)

    def _post_plain(self, lines: bytes) -> Reply:
        database, policy = place_of(self._options.database)
        query = urlencode({"db": database, **({"rp": policy} if policy else {}), "precision": "ms"})
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        body = lines
        if self._options.compress:
            body = gzip.compress(lines, 1)
            headers["Content-Encoding"] = "gzip"
        answer = self._server.request("POST", f"/write?{query}", body=body, headers=headers)
        if answer.status < 300:
            return _taken(answer.status)
        return _reply(answer.status, told(answer), answer.headers, lines)

    def _write_api(self) -> Any:
        if self._writer is None:
            options = self._options
            token = options.credentials.token
            if not token and options.credentials.username:
                token = f"{options.credentials.username}:{options.credentials.password}"
            self._client = InfluxDBClient(
                options.url,
                token,
                org=options.org or "-",
                timeout=round(options.timeout_s * 1000),
                enable_gzip=options.compress,
                verify_ssl=options.verify,
                ssl_ca_cert=options.ca_file or None,
                connection_pool_maxsize=THREADS,
            )
            service: Any = WriteService
            self._writer = service(self._client.api_client)
        return self._writer


def _taken(status: int) -> Reply:
    """Every InfluxDB says 204 to what it stored; a portal, a proxy or another server may say 200 to anything."""
    if status == TAKEN:
        return Reply(Answer.STORED)
    return Reply(Answer.LATER, f"{status}, where InfluxDB would say {TAKEN}: look what stands at the address")


def _reply(status: int, detail: str, headers: Any, lines: bytes) -> Reply:
    answer = _ANSWERS.get(status, Answer.LATER)
    if answer is Answer.REFUSED:
        if _drops_all(detail, lines):
            answer = Answer.ALL_REFUSED
        elif "html" in (headers or {}).get("Content-Type", ""):
            answer = Answer.LATER  # a proxy's page: InfluxDB has not seen the lines
    return Reply(answer, f"{status} {detail}".strip(), _retry_after(headers))


def _drops_all(detail: str, lines: bytes) -> bool:
    """Whether the server says of every line that it will not have it: beyond the retention, or of another type."""
    found = _DROPPED.search(detail)
    return found is not None and int(found[1]) == lines.count(b"\n") + 1


def _retry_after(headers: Any) -> float:
    try:
        return max(float((headers or {}).get("Retry-After", 0) or 0), 0.0)
    except (TypeError, ValueError):
        return 0.0


def _is_influx(error: ApiException) -> bool:
    """Whether a 404 comes from the API itself (a bucket that is missing) and not from a server without it."""
    return "not found" in str(error.body or "") and "page not found" not in str(error.body or "")

"""Writing to InfluxDB: influxdb-client where the server has its API, /write where it has not."""

from __future__ import annotations

import asyncio
import gzip
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from historian.errors import HistoryError, StoreDenied
from historian.forwarder import Answer, Reply
from historian.influx.server import RETENTION_POLICY, InfluxServer, ServerOptions, Version, told

NOT_FOUND = 404
_ANSWERS = {
    400: Answer.REFUSED,
    422: Answer.REFUSED,
    413: Answer.TOO_LARGE,
    401: Answer.DENIED,
    403: Answer.DENIED,
    NOT_FOUND: Answer.DENIED,
}
THREADS = 4


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
        try:
            if self._version is None:
                self._version, _ = self._server.version()
            if self._version.writes_v2:
                reply = self._post_v2(lines)
                if reply is not None:
                    return reply
                self._version = Version.V1_OLD
            reply = self._post_plain(lines)
            if reply.answer is Answer.DENIED and self._options.api != "v1":
                self._version = None  # asked again: what stands there may have been another server, or a proxy
            return reply
        except StoreDenied as error:
            return Reply(Answer.DENIED, str(error))
        except HistoryError as error:
            return Reply(Answer.LATER, str(error))

    def _post_v2(self, lines: bytes) -> Reply | None:
        """By influxdb-client; None where the server has no such API after all."""
        try:
            self._write_api().write(self._bucket, self._options.org, lines, write_precision="ms")
        except ApiException as error:
            if error.status == NOT_FOUND and not _is_influx(error):
                return None
            return _reply(int(error.status or 0), str(error.message or error.reason), _retry_after(error.headers))
        except urllib3.exceptions.HTTPError as error:
            return Reply(Answer.LATER, f"InfluxDB does not answer: {error}")
        return Reply(Answer.STORED)

    def _post_plain(self, lines: bytes) -> Reply:
        query = urlencode({"db": self._options.database, "precision": "ms"})
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self._options.compress:
            lines = gzip.compress(lines, 1)
            headers["Content-Encoding"] = "gzip"
        answer = self._server.request("POST", f"/write?{query}", body=lines, headers=headers)
        if answer.status < 300:
            return Reply(Answer.STORED)
        return _reply(answer.status, told(answer), _retry_after(answer.headers))

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
            self._writer = self._client.write_api(write_options=SYNCHRONOUS)
        return self._writer

    @property
    def _bucket(self) -> str:
        database = self._options.database
        return f"{database}/{RETENTION_POLICY}" if self._version is Version.V1 and "/" not in database else database


def _reply(status: int, detail: str, retry_after_s: float) -> Reply:
    answer = _ANSWERS.get(status, Answer.LATER)
    return Reply(answer, f"{status} {detail}".strip(), retry_after_s)


def _retry_after(headers: Any) -> float:
    try:
        return max(float((headers or {}).get("Retry-After", 0) or 0), 0.0)
    except (TypeError, ValueError):
        return 0.0


def _is_influx(error: ApiException) -> bool:
    """Whether a 404 comes from the API itself (a bucket that is missing) and not from a server without it."""
    return "not found" in str(error.body or "") and "page not found" not in str(error.body or "")

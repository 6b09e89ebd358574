"""One InfluxDB server: how it is reached, which version it is, and what that means."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import urlencode

import urllib3

from historian.errors import StoreDenied, StoreFailed, StoreUnreachable
from historian.influx.silence import why_silent

TIMEOUT_S = 10.0
RETENTION_POLICY = "autogen"
DENIED = frozenset({401, 403})
_WORDS = 1000


class Version(Enum):
    """What differs between servers, as far as the hub is concerned."""

    V1_OLD = "1.6/1.7"
    """No /api/v2/write."""
    V1 = "1.8+"
    V2 = "2"
    V3 = "3"

    @property
    def writes_v2(self) -> bool:
        """Whether /api/v2/write exists."""
        return self is not Version.V1_OLD


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """A token (2, 3) or user and password (1). Never shown."""

    token: str = ""
    username: str = ""
    password: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The Authorization header, empty without credentials."""
        if self.token:
            return {"Authorization": f"Token {self.token}"}
        if self.username:
            made: Mapping[str, str] = urllib3.make_headers(basic_auth=f"{self.username}:{self.password}")
            return {"Authorization": made["authorization"]}
        return {}

    def __repr__(self) -> str:
        return f"Credentials({'token' if self.token else 'user' if self.username else 'none'})"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How one server is reached.

    url       "http://10.0.0.7:8086"
    database  name of the database (1, 3) or bucket (2); "meters/autogen" is a database of 1 with its retention policy,
              and what its bucket is called after an upgrade to 2
    org       organisation (2)
    api       "auto" asks the server, "v1" writes to /write whatever it says
    ca_file   certificates to trust instead of the system's; `verify` False trusts anybody (never do)
    """

    url: str
    database: str
    org: str = ""
    credentials: Credentials = field(default_factory=Credentials)
    api: str = "auto"
    ca_file: str = ""
    verify: bool = True
    compress: bool = False
    timeout_s: float = TIMEOUT_S


class InfluxServer:
    """Requests to one server, from any thread. Raises StoreUnreachable where it does not answer."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.url = options.url.rstrip("/")
        verification: dict[str, Any] = {}
        if self.url.startswith("https:"):
            required = ssl.CERT_REQUIRED if options.verify else ssl.CERT_NONE
            verification = {"cert_reqs": required, "ca_certs": options.ca_file or None}
        self._pool = urllib3.PoolManager(maxsize=8, retries=False, **verification)

    def version(self) -> tuple[Version, str]:
        """The kind of server, and what it calls itself; raises HistoryError."""
        answer = self.request("GET", "/ping")
        if answer.status in DENIED:
            raise StoreDenied(
                f"InfluxDB does not let the hub in: {answer.status} {told(answer)}",
                where=self.url,
                hint="check the token, or user and password",
            )
        if answer.status >= 500:
            raise StoreUnreachable(
                f"InfluxDB is not ready: {answer.status} {told(answer)}", where=self.url, hint="wait, or see its log"
            )
        named = answer.headers.get("X-Influxdb-Version", "") or _named(answer.data)
        return version_of(named), named

    def request(
        self,
        method: str,
        path: str,
        *,
        fields: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """One request with the credentials, its answer read whole; raises StoreUnreachable."""
        ca_file = self.options.ca_file
        if ca_file and not os.access(ca_file, os.R_OK):
            raise StoreUnreachable(
                f"the certificates of InfluxDB cannot be read: {ca_file}",
                where=self.url,
                hint="check history.influx.ca_file",
            )
        every = {**self.options.credentials.headers, **(headers or {})}
        if fields is not None:
            every["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            return self._pool.request(
                method,
                self.url + path,
                body=urlencode(fields) if fields is not None else body,
                headers=every,
                timeout=self.options.timeout_s,
            )
        except urllib3.exceptions.HTTPError as error:
            raise StoreUnreachable(
                f"InfluxDB does not answer: {why_silent(error)}",
                where=self.url,
                hint="check that it runs, the address and the network",
            ) from error

    def close(self) -> None:
        """Drop idle connections."""
        self._pool.clear()


def version_of(named: str) -> Version:
    """From what a server calls itself ("1.6.7~rc0", "v2.7.1", "3.2.0"); raises StoreFailed where it is none."""
    digits = named.strip().lstrip("v").partition("-")[0].partition("~")[0].split(".")
    try:
        major, minor = int(digits[0]), int(digits[1])
    except (ValueError, IndexError):
        raise StoreFailed(
            f"the server does not say that it is InfluxDB ({named or 'no version'})",
            hint="check the address; behind a proxy, let the header X-Influxdb-Version pass",
        ) from None
    if major == 1:
        return Version.V1 if minor >= 8 else Version.V1_OLD
    return Version.V2 if major == 2 else Version.V3


def place_of(database: str) -> tuple[str, str]:
    """Database and retention policy (empty: the default one) that InfluxQL finds a database or bucket under."""
    name, _, policy = database.partition("/")
    return name, policy


def told(answer: urllib3.BaseHTTPResponse) -> str:
    """The server's own words on what it refuses."""
    return words_of(answer.data)


def words_of(body: bytes | str) -> str:
    """The server's own words in the body of a refusal."""
    try:
        found = json.loads(body)
    except ValueError:
        text = body if isinstance(body, str) else body.decode("utf-8", "replace")
        return text.strip()[:_WORDS]
    if isinstance(found, dict):
        return str(found.get("error") or found.get("message") or found)[:_WORDS]
    return str(found)[:_WORDS]


def _named(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("version", "")) if isinstance(found, dict) else ""

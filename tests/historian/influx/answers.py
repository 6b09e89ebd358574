"""A real HTTP server that answers as InfluxDB 1.8, 2 and 3 do, and an independent reader of lines.

What 1.6.7, 1.8.10, 2.7.12 and 2.9.1 say was recorded (recorded.py has it word by word); 3 is by its published contract.
"""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Said:
    """One answer. `parts` are sent as chunks; `cut` ends the connection in the middle, `hold` waits for an event."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[bytes, ...] = ()
    cut: bool = False
    hold: threading.Event | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


Answerer = Callable[[Asked], Said]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a version's servers say alike to everything: headers, /ping, a path that they do not have."""

    named: str
    ping: Said
    unknown: Said

    def problem(self, status: int, text: str, code: str = "") -> Said:
        """A refusal in this version's form."""
        body = {"code": code, "message": text} if self.named.startswith("v2") else {"error": text}
        return said(status, body)


def said(status: int, body: object, headers: Mapping[str, str] | None = None) -> Said:
    """JSON with its newline, as Go writes it."""
    return Said(status, json.dumps(body).encode() + b"\n", {"Content-Type": "application/json", **(headers or {})})


V16 = Kind(
    "1.6.7~rc0",
    Said(204, headers={"X-Influxdb-Build": "OSS", "X-Influxdb-Version": "1.6.7~rc0"}),
    Said(404, b"404 page not found\n", {"Content-Type": "text/plain; charset=utf-8"}),
)
V18 = Kind(
    "1.8.10",
    Said(204, headers={"X-Influxdb-Build": "OSS", "X-Influxdb-Version": "1.8.10"}),
    Said(404, b"404 page not found\n", {"Content-Type": "text/plain; charset=utf-8"}),
)
V2 = Kind(
    "v2.7.12",
    Said(204, headers={"X-Influxdb-Build": "OSS", "X-Influxdb-Version": "v2.7.12"}),
    said(404, {"code": "not found", "message": "path not found"}),
)
V3 = Kind(
    "3.2.1",
    said(
        200,
        {"version": "3.2.1", "revision": "1ca3168bee", "process_id": "f3d3d3fb-fc55-4ec1-bd4b-a6dde3cb1f2e"},
        {"x-influxdb-version": "3.2.1", "x-influxdb-build": "Core"},
    ),
    said(404, {"error": "not found"}),
)
KINDS = {"1.6": V16, "1.8": V18, "2": V2, "3": V3}


class Replayed:
    """The server; use with `with`. `on` says what is answered where, the last answer again and again."""

    def __init__(self, kind: Kind, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.kind = kind
        self.asked: list[Asked] = []
        self._routes: dict[tuple[str, str], list[Said | Answerer]] = {}
        self._lock = threading.Lock()
        replayed = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                replayed._serve(self)

            do_POST = do_PATCH = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign,assignment]
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_port
        self.url = f"{'https' if tls is not None else 'http'}://{host}:{self.port}"
        self.on("GET", "/ping", kind.ping)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def on(self, method: str, path: str, *answers: Said | Answerer) -> None:
        self._routes[method, path] = list(answers)

    def requests(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == path]

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        asked = Asked(handler.command, parts.path, query, dict(handler.headers.items()), body)
        with self._lock:
            self.asked.append(asked)
            answers = self._routes.get((asked.method, asked.path), [self.kind.unknown])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        made = answer if isinstance(answer, Said) else answer(asked)
        if made.hold is not None:
            made.hold.wait(30)
        self._send(handler, made)

    def _send(self, handler: BaseHTTPRequestHandler, made: Said) -> None:
        handler.send_response(made.status)
        headers = {"X-Influxdb-Version": self.kind.named, **made.headers}
        if made.parts:
            headers["Transfer-Encoding"] = "chunked"
        elif made.status != 204:
            headers["Content-Length"] = str(len(made.body) + (10 if made.cut else 0))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        for part in made.parts:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        if made.parts and not made.cut:
            handler.wfile.write(b"0\r\n\r\n")
        handler.wfile.write(made.body if not made.parts else b"")
        if made.cut:
            handler.wfile.flush()
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            handler.close_connection = True


# an independent reader of line protocol


@dataclass(frozen=True, slots=True)
class Point:
    """One line, read by its grammar and not by how the hub writes it."""

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, float | int]
    time: int


def points(body: bytes) -> list[Point]:
    """All lines of a body; raises ValueError where one is no line protocol."""
    return [point(line) for line in body.decode("utf-8").split("\n")]


def point(line: str) -> Point:
    """One line; raises ValueError where it is none."""
    head, fields, time = _split(line, " ")
    name, *tags = _split(head, ",")
    pairs = [_split(tag, "=") for tag in tags]
    found = {}
    for pair in _split(fields, ","):
        key, text = _split(pair, "=")
        value: float | int = int(text[:-1]) if text.endswith("i") else float(text)
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"{text} cannot be stored")
        found[_plain(key)] = value
    if not found:
        raise ValueError("a line needs a field")
    return Point(_plain(name), {_plain(key): _plain(value) for key, value in pairs}, found, int(time))


def _split(text: str, at: str) -> list[str]:
    """At separators that no backslash goes before."""
    parts, begin, escaped = [], 0, False
    for place, letter in enumerate(text):
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == at:
            parts.append(text[begin:place])
            begin = place + 1
    parts.append(text[begin:])
    if not all(parts):
        raise ValueError(f"{text!r} has an empty part")
    return parts


def _plain(text: str) -> str:
    for special in (",", "=", " "):
        text = text.replace(f"\\{special}", special)
    return text

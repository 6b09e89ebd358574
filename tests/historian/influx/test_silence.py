"""Why InfluxDB does not answer is said in words, without a library's names, for requests and for what is written."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from historian.errors import StoreUnreachable
from historian.influx import InfluxServer, InfluxSink, ServerOptions

Behaviour = Callable[[socket.socket], None]


@contextmanager
def server(behave: Behaviour) -> Iterator[str]:
    """A port whose every connection is handed to `behave`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    taken, _ = listening.accept()
                except OSError:
                    return
                with taken:
                    behave(taken)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def says(text: bytes) -> Behaviour:
    def behave(taken: socket.socket) -> None:
        taken.recv(65_536)
        taken.sendall(text)

    return behave


def until_it_goes(text: bytes) -> Behaviour:
    def behave(taken: socket.socket) -> None:
        taken.recv(65_536)
        taken.sendall(text)
        while taken.recv(65_536):
            pass

    return behave


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"


@pytest.mark.parametrize(
    ("behave", "scheme", "why"),
    [
        (says(b""), "http", "it closed the connection without an answer"),
        (says(b"220 mail.example ESMTP\r\n"), "http", "what it sent is not HTTP"),
        (says(HALF), "http", "its answer was cut short"),
        (until_it_goes(b""), "http", "nothing came within the time allowed"),
        (until_it_goes(HALF), "http", "nothing came within the time allowed"),
        (
            says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            "https",
            "no encrypted connection can be made (wrong version number)",
        ),
    ],
)
async def test_what_happened_to_a_request_is_said_in_words(behave: Behaviour, scheme: str, why: str) -> None:
    with server(behave) as url:
        options = ServerOptions(url.replace("http", scheme), "plant", timeout_s=0.3)
        with pytest.raises(StoreUnreachable) as told:
            InfluxServer(options).request("GET", "/ping")
        assert told.value.what == f"InfluxDB does not answer: {why}"
        await the_sink_says(options, why)


async def test_a_port_where_nobody_listens_and_a_name_that_nobody_has_are_said_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    for host, why in (
        (f"127.0.0.1:{port}", "connection refused"),
        ("influx.invalid:8086", "the name of its machine cannot be resolved"),
    ):
        options = ServerOptions(f"http://{host}", "plant", api="v2", timeout_s=2.0)
        with pytest.raises(StoreUnreachable) as told:
            InfluxServer(options).request("GET", "/ping")
        assert told.value.what == f"InfluxDB does not answer: {why}"
        await the_sink_says(options, why)


async def the_sink_says(options: ServerOptions, why: str) -> None:
    sink = InfluxSink("influx", options)
    try:
        reply = await sink.post(b"energy q=0i 1")
    finally:
        await sink.close()
    assert why in reply.detail
    assert "HTTPConnection" not in reply.detail

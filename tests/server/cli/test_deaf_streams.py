"""A hub whose standard streams nobody takes anything from: it serves all the same."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.cli import main

PATIENCE_S = 60.0


@contextmanager
def stream(how: str) -> Iterator[int]:
    """A descriptor to write to: on a full disk, a pipe whose reader is gone, or one that nobody empties."""
    if how == "full disk":
        number = os.open("/dev/full", os.O_WRONLY)
        yield number
        os.close(number)
        return
    reading, number = os.pipe()
    if how == "broken pipe":
        os.close(reading)
    else:
        os.set_blocking(number, False)
        fcntl.fcntl(number, fcntl.F_SETPIPE_SZ, 4096)
        os.write(number, bytes(4096))
        os.set_blocking(number, True)
    yield number
    os.close(number)
    if how != "broken pipe":
        os.close(reading)


def answers(port: int, capsys: pytest.CaptureFixture[str]) -> bool:
    if main(["read", "m1", "--url", f"opc.tcp://127.0.0.1:{port}", "--json"]):
        capsys.readouterr()
        return False
    return bool(json.loads(capsys.readouterr().out))


def wait_for_an_answer(process: subprocess.Popen[bytes], port: int, capsys: pytest.CaptureFixture[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not answers(port, capsys):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("how", ["broken pipe", "pipe that nobody empties"])
def test_a_hub_whose_log_is_taken_by_nobody_answers_and_ends_well(
    site, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    site.write({"a": ["m1"]})
    with stream("full disk") as out, stream(how) as log:
        command = [sys.executable, "-m", "server.cli", "run", "--config", str(site.folder)]
        with subprocess.Popen(command, stdout=out, stderr=log) as hub:
            try:
                wait_for_an_answer(hub, site.port, capsys)
                hub.send_signal(signal.SIGTERM)
                assert hub.wait(PATIENCE_S) == 0
            finally:
                hub.kill()


def test_a_hub_without_standard_streams_gives_their_places_to_nothing_else(
    site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.write({"a": ["m1"]})
    command = [sys.executable, "-m", "server.cli", "run", "--config", str(site.folder)]
    with subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]) as hub:
        try:
            wait_for_an_answer(hub, site.port, capsys)
            places = (
                [os.readlink(f"/proc/{hub.pid}/fd/{number}") for number in range(3)] if Path("/proc").is_dir() else []
            )
            assert set(places) <= {os.devnull}
            hub.send_signal(signal.SIGTERM)
            assert hub.wait(PATIENCE_S) == 0
        finally:
            hub.kill()

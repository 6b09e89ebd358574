"""The commands that run on, as programs of their own: demo, simulate and run, and `read` against them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.cli import main

PATIENCE_S = 240.0


class Program:
    """A `joulehub` command with its output in a file."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "server.cli", *arguments], stdout=out, stderr=subprocess.STDOUT
            )

    def wait_for(self, phrase: str) -> str:
        """Return what it said once that holds the phrase."""
        deadline = time.monotonic() + PATIENCE_S
        while phrase not in (said := self.log.read_text()):
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        return said

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def demo(site) -> Iterator[Program]:
    site.write({"a": ["m1"], "b": ["m2"]})
    data = str(site.folder / "data")
    arguments = ("demo", "--plant", str(site.folder), "--data", data, "--plain", "--seconds", "900")
    program = Program(site.folder / "demo.log", *arguments)
    yield program
    if program.process.poll() is None:
        program.process.kill()
        program.process.wait()


def meters_of(said: str) -> int:
    return int(said.partition("simulated meters: process ")[2].partition(";")[0])


def ended(pid: int) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").exists() and " Z " in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8"):
            return True
        time.sleep(0.05)
    return False


def test_demo_runs_can_be_read_from_and_stops_in_order(site, demo: Program, capsys: pytest.CaptureFixture[str]) -> None:
    said = demo.wait_for("values stored")
    assert "hub ready" in said
    url = f"opc.tcp://127.0.0.1:{site.port}"

    deadline = time.monotonic() + PATIENCE_S
    answer: list[dict[str, object]] = []
    while time.monotonic() < deadline and not (answer and answer[0]["status"] == "Good"):
        assert main(["read", "m1.VoltageL1", "--url", url, "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
    assert (answer[0]["id"], answer[0]["unit"], answer[0]["status"]) == ("m1.VoltageL1", "V", "Good")
    assert answer[0]["source_time"]
    assert answer[0]["server_time"]

    assert main(["read", "m1", "--url", url]) == 0
    shown = capsys.readouterr().out
    for part in ("Quality", "online", "ActiveEnergyImport", "kW·h", "Communication.LineId", "Good"):
        assert part in shown

    for wrong in ("nobody", "m1.Nothing", "root", ""):
        assert main(["read", wrong, "--url", url]) == 1
        assert "give the id of a metering unit" in capsys.readouterr().err

    second = Program(site.folder / "second.log", "demo", "--plant", str(site.folder), "--data", str(site.folder / "d2"))
    assert second.process.wait(PATIENCE_S) == 1
    assert "the simulated meters cannot listen" in second.log.read_text()
    assert "Traceback" not in second.log.read_text()

    following = Program(site.folder / "follow.log", "read", "m2.Communication.LastSuccess", "--follow", "--url", url)
    following.wait_for("m2.Communication.LastSuccess")
    assert demo.end(signal.SIGINT) == 0
    said = demo.log.read_text()
    assert "none lost" in said
    assert "Traceback" not in said
    assert ended(meters_of(said))
    assert following.process.wait(PATIENCE_S) == 1
    assert "the connection to the hub was lost" in following.log.read_text()


def test_serial_ports_of_a_demo_lie_in_its_data_folder_and_go_with_their_meters(site) -> None:
    site.write({"a": ["m1"]})
    plant = site.folder / "plant.yaml"
    before, options, after = re.split(r"(options: \{.*?\})", plant.read_text(), maxsplit=1)
    assert options
    port = site.folder / "data" / "ports" / "bus"
    plant.write_text(f"{before}options: {{transport: serial, device: {port}, timeout_ms: 500}}{after}")
    other = site.folder / "other"
    shutil.copytree(site.folder / "data" / "pki", other / "pki")
    arguments = ("demo", "--plant", str(site.folder), "--data", str(other), "--plain", "--seconds", "900")
    program = Program(site.folder / "demo.log", *arguments)
    try:
        said = program.wait_for("line opened channel=a")
        link = other / "ports" / "bus"
        assert link.is_symlink()
        assert not port.exists()
        assert f"--data {shlex.quote(str(other))}" in said
        os.kill(meters_of(said), signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_S
        while link.is_symlink():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert program.end(signal.SIGINT) == 0
    finally:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait()


def test_simulate_leaves_a_file_alone_that_stands_where_a_serial_port_should(site) -> None:
    site.write({"a": ["m1"]})
    plant = site.folder / "plant.yaml"
    text = re.sub(r"options: \{.*?\}", f"options: {{transport: serial, device: {plant}}}", plant.read_text())
    plant.write_text(text)
    meters = Program(site.folder / "simulate.log", "simulate", str(site.folder))
    assert meters.process.wait(PATIENCE_S) == 1
    said = meters.log.read_text()
    assert f"cannot make the serial port {plant}" in said
    assert "remove the file" in said
    assert plant.read_text() == text


def test_meters_do_not_outlive_a_demo_that_was_killed(demo: Program) -> None:
    said = demo.wait_for("simulated meters: process")
    demo.process.kill()
    demo.process.wait(PATIENCE_S)
    assert ended(meters_of(said))


def test_run_is_ready_stops_on_sigterm_and_starts_again_after_a_kill(site) -> None:
    site.write({"a": ["m1"]})
    for how, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)):
        hub = Program(site.folder / "hub.log", "run", "--config", str(site.folder))
        hub.wait_for("hub ready")
        assert hub.end(how) == status
        assert "Traceback" not in hub.log.read_text()


def test_run_says_in_a_sentence_that_its_port_is_taken(site, capsys: pytest.CaptureFixture[str]) -> None:
    site.write({"a": ["m1"]})
    with socket.socket() as other:
        other.bind(("127.0.0.1", site.port))
        other.listen()
        assert main(["run", "--config", str(site.folder)]) == 1
    said = capsys.readouterr().err
    assert f"OPC UA cannot listen on 127.0.0.1:{site.port}: address already in use" in said
    assert "Traceback" not in said


def test_simulate_says_that_it_is_ready_and_refuses_an_unknown_channel(
    site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.write({"a": ["m1"], "b": ["m2", "m3"]})
    meters = Program(site.folder / "meters.log", "simulate", str(site.folder), "--channel", "b")
    assert f"simulator ready: 2 meters on port {site.ports['b']}" in meters.wait_for("\n")
    assert meters.end(signal.SIGTERM) == 0
    assert main(["simulate", str(site.folder), "--channel", "c"]) == 1
    assert "the plant has no channel 'c'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("opc.tcp://127.0.0.1:1", "no hub answers at opc.tcp://127.0.0.1:1: connection refused"),
        ("http://127.0.0.1", "is no endpoint"),
        ("opc.tcp://127.0.0.1:port", "is no endpoint"),
    ],
)
def test_read_without_a_hub_says_so(url: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", "m1", "--url", url]) == 1
    assert said in capsys.readouterr().err

"""A hub and simulated meters in processes of their own, and a client that is not asyncua."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.ports import free_port

HERE = Path(__file__).parent
START_S = 120.0
MAKES = (
    "eastron/sdm630",
    "eastron/sdm120",
    "schneider/iem3155",
    "carlo-gavazzi/em24",
    "abb/b23",
    "acrel/adl400",
)
Answer = TypeVar("Answer")


class ForeignClient:
    """node-opcua in a process of its own, spoken to in lines of JSON."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", str(HERE / "opcua_client.js")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Run one command; raises AssertionError with the client's own words where it fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the foreign client ended"
        answer = json.loads(line)
        assert "error" not in answer, f"{command}: {answer['error']}"
        return answer["ok"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Program:
    """A `joulehub` command in a process of its own; ready once it has said so."""

    def __init__(self, *arguments: str, log: Path, ready: str) -> None:
        self.log = log
        self._out = log.open("ab")
        before = log.stat().st_size
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server.cli", *arguments],
            stdout=self._out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        deadline = time.monotonic() + START_S
        try:
            while ready.encode() not in log.read_bytes()[before:]:
                assert self.process.poll() is None, f"{arguments[0]} ended:\n{log.read_text(encoding='utf-8')}"
                assert time.monotonic() < deadline, (
                    f"{arguments[0]} did not get ready:\n{log.read_text(encoding='utf-8')}"
                )
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(0.05)
        except AssertionError:
            self.process.kill()
            self.process.wait()
            self._out.close()
            raise

    def stop(self, how: signal.Signals = signal.SIGINT, within_s: float = 60.0) -> float:
        """Send a signal and wait for the end; returns how many seconds it took."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(within_s)
        self._out.close()
        return time.monotonic() - began


class Town:
    """A small plant in files, its simulators and its hub, each to be stopped and started at will.

    opcua    more lines for the section of that name in hub.toml; they win over the usual ones
    count    how many meters there are, at most 400
    poll_s   poll period of every variable
    """

    def __init__(self, folder: Path, *, opcua: str = "", count: int = 24, poll_s: float = 1) -> None:
        self.folder = folder
        self.count = count
        self._opcua = opcua
        self._poll_s = poll_s
        self.port = free_port()
        self.meter_ports = {"bus-a": free_port(), "bus-b": free_port()}
        self.url = f"opc.tcp://127.0.0.1:{self.port}"
        self.hub: Program | None = None
        self.meters: dict[str, Program] = {}
        self._write()

    @property
    def config(self) -> Path:
        return self.folder / "hub.toml"

    def start(self) -> None:
        for channel in self.meter_ports:
            self.start_meters(channel)
        self.start_hub()

    def start_hub(self) -> None:
        self.hub = Program("run", "--config", str(self.config), log=self.folder / "hub.log", ready="hub ready")

    def start_meters(self, channel: str) -> None:
        self.meters[channel] = Program(
            "simulate",
            str(self.folder),
            "--channel",
            channel,
            log=self.folder / f"{channel}.log",
            ready="simulator ready",
        )

    def stop(self) -> None:
        if self.hub is not None:
            self.hub.stop()
        for program in self.meters.values():
            program.stop()

    def _opcua_section(self) -> str:
        lines = ['host = "127.0.0.1"', f"port = {self.port}", "allow_none_security = true", "allow_anonymous = true"]
        own = [line for line in self._opcua.splitlines() if line]
        names = {line.split("=")[0].strip() for line in own}
        return "\n".join([*(line for line in lines if line.split("=")[0].strip() not in names), *own])

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            f"""
plant = "."
data_dir = "{self.folder / "data"}"

[opcua]
{self._opcua_section()}

[polling]
hold_s = 4
comm_lost_after = 2
backoff_max_s = 2
periods = {{fast = {self._poll_s}, normal = {self._poll_s}, slow = {self._poll_s}}}
"""
        )
        channels = "\n".join(
            f"  {name}: {{driver: modbus, options: {{host: 127.0.0.1, port: {port}, timeout_ms: 300, gap_ms: 0}}}}"
            for name, port in self.meter_ports.items()
        )
        (self.folder / "plant.yaml").write_text(
            f"""
name: Test town
time_zone: Asia/Tashkent
hierarchy:
  - id: north
    kind: region
    name: North
    children:
      - id: sub-1
        kind: substation
        name: Substation 1
        children:
          - {{id: f1, kind: feeder, name: Feeder 1, rated_current_a: 400}}
          - {{id: f2, kind: feeder, name: Feeder 2, rated_current_a: 400}}
channels:
{channels}
meters: meters/*.csv
"""
        )
        rows = ["id,name,parent,profile,channel,address,ct,pt"]
        for number in range(self.count):
            bus = "bus-a" if number % 2 == 0 else "bus-b"
            make = MAKES[number % len(MAKES)]
            ratio = "40,1" if make == "acrel/adl400" else "1,1"
            feeder = "f1" if number % 2 == 0 else "f2"
            rows.append(f"m{number:04d},Meter {number},{feeder},{make},{bus},{number // 2 + 1},{ratio}")
        (self.folder / "meters").mkdir(exist_ok=True)
        (self.folder / "meters" / "town.csv").write_text("\n".join(rows) + "\n")


def require_node() -> None:
    """Skip, by name and with the remedy, where the foreign client cannot run."""
    if shutil.which("node") is None:
        pytest.skip("node-opcua needs Node.js; on Debian: apt-get install nodejs npm")
    if not (HERE / "node_modules" / "node-opcua-client").is_dir():
        pytest.skip("node-opcua is not installed; run `make test`, or `npm install` in tests/interop")


def until(condition: Callable[[], Answer], timeout_s: float, what: str) -> Answer:
    """Ask again and again until the answer is true; each question is a round trip, so this does not spin."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"

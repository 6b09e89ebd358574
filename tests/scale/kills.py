"""`kill -9` of the hub's history and of InfluxDB at random moments, again and again: all accepted is stored once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from historian.influx import InfluxQl, InfluxServer, ServerOptions
from tests.scale.influxd import MISSING, Influxd, installed
from tests.scale.measure import ROOT, Figure
from tests.scale.size import Size
from tests.scale.spool_child import FIRST_MS, UNITS
from tests.scale.table import Better, Row

NAME = "kills"
KILLS = {Size.FULL: 200, Size.QUICK: 30, Size.TINY: 4}
SLOTS = 5
"""Slots accepted at once; each has a line for every unit."""
OUTAGE_EVERY = 7
DATABASE = "kills"
DRAIN_S = 120.0


@dataclass(slots=True)
class Outcome:
    """Lines accepted, stored, and what is between them, which should be nothing."""

    kills: int = 0
    outages: int = 0
    accepted: int = 0
    stored: int = 0
    lost: int = 0
    twice: int = 0
    mixed: int = 0
    """Lines with another one's value."""
    holes: int = 0
    dead: int = 0


def run(size: Size, step: Callable[[str], None]) -> list[Row]:
    """Kill, and count what is missing in the end."""
    if not installed():
        raise RuntimeError(MISSING)
    step(f"{KILLS[size]} kills")
    with tempfile.TemporaryDirectory(prefix="joulehub-kills-") as folder:
        outcome = kill_again_and_again(Path(folder), KILLS[size], seed=1)
    note = f"{outcome.kills} kills, {outcome.outages} of them with InfluxDB; {outcome.stored:,} lines stored"
    return [
        Row(NAME, "Accepted lines lost", "", Figure.once(outcome.lost), goal=0.5, note=note),
        Row(NAME, "Lines stored twice", "", Figure.once(outcome.twice), goal=0.5),
        Row(NAME, "Lines accepted", "", Figure.once(outcome.accepted), better=Better.MORE),
    ]


def kill_again_and_again(folder: Path, kills: int, seed: int) -> Outcome:
    """Let a child accept readings and kill it at random moments, every now and then with the server; then count."""
    chance = random.Random(seed)
    server = Influxd(folder / "influxd")
    server.start()
    outcome = Outcome()
    accepted = 0
    try:
        client = InfluxQl(InfluxServer(ServerOptions(server.url, DATABASE)), DATABASE)
        client.ask(f'CREATE DATABASE "{DATABASE}"')
        for number in range(kills):
            outage = number % OUTAGE_EVERY == OUTAGE_EVERY - 1
            accepted = _until_killed(folder, server, accepted, chance, outage=outage)
            outcome.kills += 1
            outcome.outages += outage
            if not server.running and chance.random() < 0.7:
                server.start()
        if not server.running:
            server.start()
        last = _drained(folder, server, accepted)
        outcome.dead = last["dead"] + last["damaged"] + last["shed"]
        outcome.accepted = (accepted + SLOTS) * UNITS
        _count(client, outcome)
    finally:
        server.kill()
    return outcome


def _child(folder: Path, server: Influxd, first: int, most: int) -> subprocess.Popen[str]:
    given = {
        "folder": str(folder / "spool"),
        "url": server.url,
        "database": DATABASE,
        "first": first,
        "slots": SLOTS,
        "most": most,
    }
    command = [sys.executable, "-m", "tests.scale.spool_child", json.dumps(given)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _until_killed(folder: Path, server: Influxd, accepted: int, chance: random.Random, *, outage: bool) -> int:
    """Run a child for a while and kill it; returns up to which slot it had said that it accepted."""
    child = _child(folder, server, accepted, 10**9)
    assert child.stdout is not None
    child.stdout.readline()
    end = time.monotonic() + chance.uniform(0.05, 0.6)
    trouble = time.monotonic() + chance.uniform(0.0, 0.3)
    for line in child.stdout:
        accepted = json.loads(line)["accepted"]
        now = time.monotonic()
        if outage and server.running and now >= trouble:
            server.kill()
        if now >= end:
            break
    child.kill()
    for line in child.stdout:  # what it had said before it died
        if line.endswith("\n"):
            accepted = json.loads(line).get("accepted", accepted)
    child.wait()
    child.stdout.close()
    return int(accepted)


def _drained(folder: Path, server: Influxd, accepted: int) -> dict[str, int]:
    """A last child that accepts once more and forwards all there is."""
    child = _child(folder, server, accepted, accepted + SLOTS)
    assert child.stdout is not None
    try:
        told = [json.loads(line) for line in child.stdout]
        child.wait(DRAIN_S)
    finally:
        child.kill()
        child.stdout.close()
    found: dict[str, int] = told[-1]
    if "drained" not in found:
        raise RuntimeError(f"the last child ended early: {found}")
    return found


def _count(client: InfluxQl, outcome: Outcome) -> None:
    """Compare what is stored with what was accepted. A child may have kept more than it could say before it died."""
    slots = outcome.accepted // UNITS
    for unit in range(UNITS):
        found = client.ask(f"SELECT ActiveEnergyImport FROM energy WHERE point = 'm{unit}'")  # noqa: S608
        rows = found[0].values if found else []
        times = [row[0] for row in rows]
        numbers = {(time_ms - FIRST_MS) // 1000 for time_ms in times}
        outcome.stored += len(rows)
        outcome.twice += len(times) - len(set(times))
        outcome.mixed += sum((row[0] - FIRST_MS) // 1000 != round(row[1] * 1000) for row in rows)
        outcome.lost += len(set(range(slots)) - numbers)
        outcome.holes += len(set(range(max(numbers, default=-1) + 1)) - numbers)

"""`joulehub history spool`: what waits for InfluxDB, what it refuses for good, and sending that again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from historian.outbox import Outbox
from historian.outbox_reader import OutboxReader
from historian.parcels import DeadLetter, SpoolState
from historian.spool import FILE
from server.cli.arguments import how_many
from server.cli.console import print_json
from server.cli.history_source import add_config, settings_of
from server.cli.history_times import iso
from server.errors import ServerError

UTC = ZoneInfo("UTC")
SHOWN_LINES = 3
_GIGABYTE = 1_000_000_000


def add_to(commands: Any) -> None:
    """Add this command."""
    command = commands.add_parser("spool", help="what waits for InfluxDB and what it refuses")
    command.add_argument(
        "about",
        nargs="?",
        choices=("status", "dead", "revive"),
        default="status",
        help="how much waits (the default), the refused lines, or send these again",
    )
    command.add_argument("--most", type=how_many, default=20, help="dead letters to show, newest first (default 20)")
    command.add_argument("--json", action="store_true", help="answer as JSON")
    add_config(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tell, or revive; both also beside a running hub."""
    settings = settings_of(arguments)
    path = settings.data_dir / "spool" / FILE
    if not path.is_file():
        raise ServerError("there is no spool", where=str(path), hint="it is made when a hub with InfluxDB first runs")
    if arguments.about == "revive":
        return _revive(path, round(settings.history.spool_gb * _GIGABYTE), as_json=arguments.json)
    with OutboxReader(path) as outbox:
        if arguments.about == "dead":
            _tell_dead(outbox.dead_letters(max(arguments.most, 1)), as_json=arguments.json)
        else:
            _tell_state(outbox.state(), as_json=arguments.json)
    return 0


def _revive(path: Path, ceiling_bytes: int, *, as_json: bool) -> int:
    outbox = Outbox(path, ceiling_bytes)
    try:
        lines = outbox.revive()
    finally:
        outbox.close()
    if as_json:
        print_json({"lines": lines})
    else:
        sys.stdout.write(f"{_lines(lines)} in the queue again; a running hub sends them within a minute\n")
    return 0


def _tell_state(state: SpoolState, *, as_json: bool) -> None:
    oldest = iso(state.oldest_ms, UTC) if state.oldest_ms else None
    if as_json:
        print_json(
            {
                "parcels": state.parcels,
                "lines": state.lines,
                "bytes": state.bytes,
                "oldest": oldest,
                "dead": state.dead,
                "damaged": state.damaged,
                "shed": state.shed,
            }
        )
        return
    waiting = f"{_lines(state.lines)} waiting in {state.bytes:,} bytes, the oldest of {oldest}" if state.lines else ""
    sys.stdout.write(f"{waiting or 'nothing waits'}\n")
    if state.dead:
        sys.stdout.write(f"{_lines(state.dead)} refused for good; `joulehub history spool dead` shows them\n")
    if state.damaged:
        sys.stdout.write(f"{_lines(state.damaged)} spoilt on the disk\n")
    for measurement, lines in sorted(state.shed.items()):
        sys.stdout.write(f"{_lines(lines)} of {measurement} dropped because the spool was full\n")


def _lines(count: int) -> str:
    return f"{count} line{'' if count == 1 else 's'}"


def _tell_dead(letters: list[DeadLetter], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "number": letter.id,
                    "sink": letter.sink,
                    "measurement": letter.measurement,
                    "lines": letter.count,
                    "at": iso(letter.at_ms, UTC) if letter.at_ms else None,
                    "error": letter.error,
                    "text": letter.lines.decode("utf-8", "replace"),
                }
                for letter in letters
            ]
        )
        return
    if not letters:
        sys.stdout.write("nothing was refused for good\n")
    for letter in letters:
        at = f" at {iso(letter.at_ms, UTC)}" if letter.at_ms else ""
        sys.stdout.write(f"{_lines(letter.count)} of {letter.measurement}{at}: {letter.error}\n")
        lines = letter.lines.decode("utf-8", "replace").split("\n")
        sys.stdout.writelines(f"  {line}\n" for line in lines[:SHOWN_LINES] if line)

"""`joulehub history setup`: make database or bucket with its retention, and say what stands in the way."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from historian.influx import InfluxServer, set_up
from server.cli.console import print_json
from server.cli.history_source import add_config, settings_of
from server.errors import ServerError
from server.history import server_options


def add_to(commands: Any) -> None:
    """Add this command."""
    command = commands.add_parser("setup", help="make the database or bucket in InfluxDB")
    command.add_argument("--json", action="store_true", help="answer as JSON")
    add_config(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Set up; may be run again. What the server refuses is raised as HistoryError."""
    settings = settings_of(arguments)
    influx = settings.history.influx
    if not influx.url:
        raise ServerError("no InfluxDB is configured", hint="set history.influx.url in hub.toml")
    server = InfluxServer(server_options(settings.history))
    try:
        done = set_up(server, influx.retention_days)
    finally:
        server.close()
    if arguments.json:
        print_json({"ok": True, "url": influx.url, "version": done.version, "steps": list(done.steps)})
        return 0
    sys.stdout.write(f"InfluxDB {done.version} at {influx.url}\n")
    sys.stdout.writelines(f"  {step}\n" for step in done.steps)
    sys.stdout.write("ready\n")
    return 0

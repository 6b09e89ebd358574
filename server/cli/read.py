"""`joulehub read ID`: ask a running hub, over OPC UA as any client would, for a unit or one of its points."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any

from server.cli.console import print_json
from server.cli.logs import set_up_logging
from server.cli.loop import run_loop, stop_on_signals
from server.opcua.client import STATES, HubClient, ReadValue

DEFAULT_URL = "opc.tcp://127.0.0.1:4840"


def add_to(commands: Any) -> None:
    """Add this command to the command line."""
    command = commands.add_parser("read", help="read a metering unit or a point from a running hub")
    command.add_argument("id", help="unit (m0042) or point (m0042.ActiveEnergyImport)")
    command.add_argument("--url", default=DEFAULT_URL, help=f"endpoint of the hub (default {DEFAULT_URL})")
    command.add_argument("--follow", action="store_true", help="go on printing changes until Ctrl-C")
    command.add_argument("--json", action="store_true", help="answer as JSON; with --follow one object a line")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read once, or follow."""
    set_up_logging("critical")
    return run_loop(_read(arguments))


async def _read(arguments: argparse.Namespace) -> int:
    async with HubClient(arguments.url) as client:
        values = await client.read(arguments.id)
        if arguments.follow:
            await _follow(client, [value.id for value in values], as_json=arguments.json)
        elif arguments.json:
            print_json([_as_json(value) for value in values])
        else:
            _print_table(arguments.id, values)
    return 0


async def _follow(client: HubClient, points: list[str], *, as_json: bool) -> None:
    stop = stop_on_signals()

    async def print_changes() -> None:
        async with client.changes(points) as changes:
            async for change in changes:
                _print_line(change, as_json=as_json)

    async with asyncio.TaskGroup() as tasks:
        printing = tasks.create_task(print_changes(), name="changes")
        await stop.wait()
        printing.cancel()


def _as_json(value: ReadValue) -> dict[str, Any]:
    return {
        "id": value.id,
        "name": value.name,
        "value": value.value.isoformat() if isinstance(value.value, datetime) else value.value,
        "unit": value.unit,
        "status": value.status,
        "source_time": _time(value.source_time),
        "server_time": _time(value.server_time),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(value: ReadValue) -> str:
    if value.value is None or value.value == "":
        return "—"
    states = STATES.get(value.id.partition(".")[2])
    if states is not None and value.value in [*states]:
        return states(value.value).name.lower().replace("_", " ")
    if isinstance(value.value, bool):
        return "yes" if value.value else "no"
    if isinstance(value.value, float):
        return f"{value.value:,.{value.decimals}f}".replace(",", " ")
    if isinstance(value.value, datetime):
        return _time(value.value) or ""
    return str(value.value)


def _print_table(title: str, values: list[ReadValue]) -> None:
    """One line a value; the unit's id is said once, above."""
    whole = len(values) == 1
    rows = [
        (
            value.id if whole else value.id.partition(".")[2],
            _text(value),
            value.unit,
            value.status,
            _time(value.source_time) or "—",
        )
        for value in values
    ]
    names, numbers, units, states, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    if not whole:
        sys.stdout.write(f"{title}\n")
    for name, number, unit, status, taken in rows:
        sys.stdout.write(f"{name:{names}}  {number:>{numbers}} {unit:{units}}  {status:{states}}  {taken}\n")


def _print_line(value: ReadValue, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(_as_json(value), ensure_ascii=False) + "\n")
    else:
        unit = f" {value.unit}" if value.unit else ""
        sys.stdout.write(f"{_time(value.source_time) or '—':24} {value.id} {_text(value)}{unit} {value.status}\n")
    sys.stdout.flush()

"""`joulehub history import`: readings from CSV and Parquet files, checked as a whole before the first is written."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from address_space.model import Clock, Plant, SystemClock
from address_space.model.ids import NodeUid
from config.errors import Report
from config.settings import HubSettings
from historian.recorder import Recorder
from historian.sqlite import SqliteStore
from server.app import Blueprint, draw
from server.cli.console import print_json, progress_bar
from server.cli.history_csv_lines import CsvLines
from server.cli.history_lines import MOST_MISTAKES, Checks, FileLines, Line, rows_of
from server.cli.history_parquet_lines import ParquetLines, is_parquet
from server.cli.history_source import add_config, settings_of
from server.cli.history_times import NS_PER_MS
from server.cli.loop import run_loop
from server.data_lock import data_lock
from server.errors import CannotWrite, ServerError, reason_of
from server.expected import expected
from server.history import History, store_options

VALUES_AT_ONCE = 100_000
AHEAD_MS = 86_400_000
"""A reading further in the future than this is a mistake."""


def add_to(commands: Any) -> None:
    """Add this command."""
    command = commands.add_parser("import", help="take readings from CSV and Parquet files")
    command.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="CSV or Parquet with columns as `history export` writes them",
    )
    command.add_argument("--apply", action="store_true", help="write; without it the files are only checked")
    command.add_argument("--json", action="store_true", help="answer as JSON")
    add_config(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check all files; with --apply write them, which may be done again without harm."""
    settings = settings_of(arguments)
    if not settings.history.enabled:
        raise ServerError("the history is switched off", hint="set history.enabled = true in hub.toml")
    for path in arguments.files:
        if not path.is_file():
            what = "is no file that can be read twice" if path.exists() else "no such file"
            raise ServerError(what, where=str(path), hint="name files: they are checked whole, then read again")
    clock = SystemClock()
    with progress_bar("reading meter lists") as progress:
        blueprint = draw(settings, progress=progress)
    values, units = run_loop(_check(arguments.files, settings, blueprint.assembly.plant, clock))
    if arguments.apply:
        written = run_loop(_apply(arguments.files, blueprint, clock))
        if written != values:
            raise CannotWrite(
                f"{values} values were checked and {written} written: a file changed meanwhile",
                hint="import again: nothing is doubled",
            )
    if arguments.json:
        print_json({"ok": True, "applied": arguments.apply, "values": values, "units": units})
        return 0
    sys.stdout.write(f"{values} values of {units} units {'written' if arguments.apply else 'checked, no mistakes'}\n")
    if arguments.apply and settings.history.influx.url:
        sys.stderr.write("for InfluxDB they wait in the spool; the hub sends them when it runs\n")
    if not arguments.apply:
        sys.stderr.write("nothing was written; --apply does it\n")
    return 0


async def _check(files: list[Path], settings: HubSettings, plant: Plant, clock: Clock) -> tuple[int, int]:
    """How many values and units there are; raises ConfigErrors with the first mistakes and how many more there are."""
    report = Report(MOST_MISTAKES)
    known = {unit.id for unit in plant.units} | await _recorded(settings, clock)
    checks = Checks(report, known, clock.now_ns() // NS_PER_MS + AHEAD_MS)
    values, units = 0, set()
    with progress_bar("checking") as progress:
        for line in _lines(files, checks, progress):
            values += 1
            units.add(line.unit)
    report.raise_any()
    return values, len(units)


async def _recorded(settings: HubSettings, clock: Clock) -> set[NodeUid]:
    """Units that the embedded history knows, also such as the plant has no more."""
    folder = settings.data_dir / "history"
    if not settings.history.embedded or not folder.is_dir():
        return set()
    async with SqliteStore(folder, clock, store_options(settings.history), read_only=True) as store:
        return set(await store.kept())


async def _apply(files: list[Path], blueprint: Blueprint, clock: Clock) -> int:
    """Write all through the recorder, and say how many values; raises HubError where something is not taken."""
    settings, plant = blueprint.settings, blueprint.assembly.plant
    plan, zone = expected(blueprint.assembly), ZoneInfo(blueprint.config.time_zone)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    known = {unit.id for unit in plant.units} | await _recorded(settings, clock)
    checks = Checks(Report(MOST_MISTAKES), known, clock.now_ns() // NS_PER_MS + AHEAD_MS)
    async with AsyncExitStack() as stack:
        stack.enter_context(data_lock(settings.data_dir))
        history = History(settings.history, settings.data_dir, plant, clock, plan, zone)
        await stack.enter_async_context(history)
        progress = stack.enter_context(progress_bar("writing"))
        return await write(history.recorder, _lines(files, checks, progress))


async def write(recorder: Recorder, lines: Iterator[Line]) -> int:
    """Hand lines to a recorder as fast as it commits, and say how many values; raises HistoryError, CannotWrite."""
    waiting = written = 0
    for row in rows_of(lines):
        recorder.offer_row(row)
        waiting += len(row.quantities)
        written += len(row.quantities)
        if waiting >= VALUES_AT_ONCE:
            await recorder.flush()
            waiting = 0
    await recorder.flush()
    counters = recorder.counters
    missing = counters.lost + counters.dropped_energy + counters.dropped_inst
    if missing:
        raise CannotWrite(
            f"the history did not take {missing} values", hint="see the log, and import again: nothing is doubled"
        )
    return written


def _lines(files: list[Path], checks: Checks, progress: Callable[[int, int], None]) -> Iterator[Line]:
    path = files[0]
    try:
        sizes = [(path := one).stat().st_size for one in files]
        for number, path in enumerate(files):
            before = sum(sizes[:number])
            reader: FileLines = ParquetLines(checks) if is_parquet(path) else CsvLines(checks)
            yield from reader.lines(path, lambda done, before=before: progress(before + done, sum(sizes)))  # type: ignore[misc]
    except OSError as error:
        raise ServerError(reason_of(error), where=str(path), hint="name files that can be read") from error

"""`joulehub history export`: the whole history or a part of it as CSV or Parquet, streamed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TextIO
from zoneinfo import ZoneInfo

from address_space.model import SystemClock
from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity
from server.cli.console import print_json, progress_bar
from server.cli.history_csv import HEADER, CsvRows
from server.cli.history_parquet import ParquetRows
from server.cli.history_rows import Page, pages
from server.cli.history_source import add_source, chosen, opened, settings_of
from server.cli.history_times import add_times, span_of, writer_of, zone_of
from server.cli.loop import run_loop
from server.errors import CannotWrite, ServerError, reason_of


class Rows(Protocol):
    """Where rows go."""

    def write(self, page: Page) -> None:
        """Rows at the end."""


def add_to(commands: Any) -> None:
    """Add this command."""
    command = commands.add_parser("export", help="write history to files")
    command.add_argument("ids", nargs="*", metavar="ID", help="units and points (default: all there are)")
    command.add_argument("--quantity", action="append", default=[], help="only this quantity (may be given again)")
    add_times(command)
    command.add_argument("--format", choices=("csv", "parquet"), help="default: by the name of the output, else csv")
    command.add_argument("--output", type=Path, help="file to write (default: standard output)")
    command.add_argument("--per-unit", type=Path, metavar="FOLDER", help="a file for each unit, in this folder")
    command.add_argument("--list", action="store_true", help="say what there is, and export nothing")
    command.add_argument("--json", action="store_true", help="answer --list, or what was written, as JSON")
    add_source(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Export; a file appears under its name when it is whole."""
    if arguments.output is not None and arguments.per_unit is not None:
        raise ServerError("--output and --per-unit do not go together", hint="give one of them")
    if _form(arguments) == "parquet" and arguments.output is None and arguments.per_unit is None:
        raise ServerError("Parquet does not go to standard output", hint="give --output FILE or --per-unit FOLDER")
    return run_loop(_export(arguments))


async def _export(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    zone = zone_of(arguments, settings.plant)
    clock = SystemClock()
    start_ms, end_ms = span_of(arguments, zone, clock)
    async with opened(settings, arguments.source, clock) as source:
        parts = chosen(await source.kept(), arguments.ids, arguments.quantity)
        if arguments.list:
            _list(parts, as_json=arguments.json)
            return 0
        rows = units = 0
        with ExitStack() as stack, progress_bar("exporting history") as progress:
            whole = None if arguments.per_unit is not None else stack.enter_context(_file(arguments, zone, None))
            for number, (unit, quantities) in enumerate(parts.items()):
                progress(number, len(parts))
                with ExitStack() as own:
                    written = 0
                    target = whole
                    async for page in pages(source, unit, quantities, start_ms, end_ms):
                        target = target or own.enter_context(_file(arguments, zone, unit))
                        target.write(page)
                        written += len(page.time_ms)
                rows, units = rows + written, units + bool(written)
    if arguments.json and (arguments.output is not None or arguments.per_unit is not None):
        print_json({"units": units, "rows": rows, "output": str(arguments.output or arguments.per_unit)})
    else:
        sys.stderr.write(f"{rows} values of {units} units exported\n")
    return 0


def _list(parts: Mapping[NodeUid, tuple[Quantity, ...]], *, as_json: bool) -> None:
    if as_json:
        print_json([{"unit": unit, "quantities": [one.path for one in found]} for unit, found in parts.items()])
        return
    for unit, found in parts.items():
        sys.stdout.write(f"{unit}  {' '.join(one.path for one in found)}\n")


def _form(arguments: argparse.Namespace) -> str:
    if arguments.format is not None:
        return str(arguments.format)
    return "parquet" if arguments.output is not None and arguments.output.suffix == ".parquet" else "csv"


@contextmanager
def _file(arguments: argparse.Namespace, zone: ZoneInfo, unit: NodeUid | None) -> Iterator[Rows]:
    """One file to write to; it has its name only when all went well."""
    form = _form(arguments)
    path: Path | None = arguments.output if unit is None else arguments.per_unit / f"{unit}.{form}"
    if path is None:
        yield _CsvFile(sys.stdout, zone)
        return
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opener: Callable[[], Any] = (
            (lambda: ParquetRows(part)) if form == "parquet" else (lambda: part.open("w", encoding="utf-8", newline=""))
        )
        with opener() as opened_file:
            yield opened_file if form == "parquet" else _CsvFile(opened_file, zone)
        part.replace(path)
    except OSError as error:
        raise CannotWrite(reason_of(error), where=str(path), hint="name a file that can be written") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


class _CsvFile:
    def __init__(self, file: TextIO, zone: ZoneInfo) -> None:
        self._file = file
        self._rows = CsvRows(writer_of(zone))
        file.write(HEADER)

    def write(self, page: Page) -> None:
        """Rows at the end."""
        self._file.write("".join(self._rows.lines(page)))

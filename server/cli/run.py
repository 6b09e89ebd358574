"""`joulehub run`: run the hub until told to stop."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from address_space.model import SystemClock
from drivers.transport import Lines, Trace
from server import heap
from server.app import Blueprint, Hub, draw
from server.cli.check import settings_at
from server.cli.console import progress_bar
from server.cli.logs import set_up_logging
from server.cli.loop import run_loop, stop_on_signals
from server.errors import CannotWrite, ServerError, reason_of

PRIVATE = 0o700
"""A trace holds every byte of a line, also passwords."""


def add_to(commands: Any) -> None:
    """Add this command to the command line."""
    command = commands.add_parser("run", help="run the hub")
    command.add_argument("--config", type=Path, default=Path("hub.toml"), help="hub.toml, or its folder")
    command.add_argument("--trace", type=Path, metavar="FOLDER", help="record every byte of the channels in files here")
    command.add_argument(
        "--trace-channel", action="append", default=[], metavar="ID", help="record only this one (may be given again)"
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run; a wrong configuration is refused before anything starts."""
    settings = settings_at(arguments.config)
    set_up_logging(settings.log.level, settings.log.format)
    heap.prepare()
    with progress_bar("reading meter lists") as progress:
        blueprint = draw(settings, progress=progress)
        hub = Hub(blueprint, lines=_lines(blueprint, arguments.trace, arguments.trace_channel))
        del blueprint  # the files' own rows are not kept while the hub runs

    async def serve() -> None:
        await hub.run(stop_on_signals())

    run_loop(serve())
    return 0


def _lines(blueprint: Blueprint, folder: Path | None, channels: Iterable[str]) -> Lines | None:
    """Lines that are recorded; None where nothing is to be. Raises ServerError."""
    traced = frozenset(channels)
    if folder is None:
        if traced:
            raise ServerError("--trace-channel says what to record, and not where", hint="give --trace FOLDER as well")
        return None
    known = [bus.config.id for bus in blueprint.assembly.buses]
    unknown = sorted(traced - set(known))
    if unknown:
        raise ServerError(f"no channel is named {unknown[0]!r}", hint=f"the plant has {', '.join(known) or 'none'}")
    try:
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(reason_of(error), where=str(folder), hint="name a folder that can be written") from error
    sys.stderr.write(f"recording to {folder}; the files hold every byte, also passwords: keep them to yourself\n")
    return Lines(SystemClock(), Trace(folder), traced)

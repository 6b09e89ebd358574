"""`joulehub run`: run the hub until told to stop."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from server.app import Hub, draw
from server.cli.check import settings_at
from server.cli.console import progress_bar
from server.cli.logs import set_up_logging
from server.cli.loop import run_loop, stop_on_signals


def add_to(commands: Any) -> None:
    """Add this command to the command line."""
    command = commands.add_parser("run", help="run the hub")
    command.add_argument("--config", type=Path, default=Path("hub.toml"), help="hub.toml, or its folder")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run; a wrong configuration is refused before anything starts."""
    settings = settings_at(arguments.config)
    set_up_logging(settings.log.level, settings.log.format)
    with progress_bar("reading meter lists") as progress:
        hub = Hub(draw(settings, progress=progress))  # the files' own rows are not kept while the hub runs

    async def serve() -> None:
        await hub.run(stop_on_signals())

    run_loop(serve())
    return 0

"""`joulehub simulate PLANT`: play the meters of a plant, at the addresses where the hub will look for them."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from address_space.model import SystemClock
from drivers.profiles import load_library
from drivers.registry import load_drivers
from drivers.simulators import Fleet
from server.app import draw, site_profiles
from server.cli.check import settings_at
from server.cli.console import progress_bar
from server.cli.logs import set_up_logging
from server.cli.loop import run_loop, stop_on_signals
from server.errors import MetersFailed
from server.simulation import fleet_of


def add_to(commands: Any) -> None:
    """Add this command to the command line."""
    command = commands.add_parser("simulate", help="play the meters of a plant over their real protocol")
    command.add_argument("plant", type=Path, help="a hub.toml, or a folder with hub.toml or plant.yaml")
    command.add_argument("--channel", action="append", default=[], help="only this channel (may be given again)")
    command.add_argument("--with-parent", action="store_true", help="stop when standard input ends")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play until told to stop."""
    settings = settings_at(arguments.plant)
    set_up_logging("warning", settings.log.format)
    library = load_library(*site_profiles(settings.plant))
    with progress_bar("reading meter lists") as progress:
        blueprint = draw(settings, library=library, drivers=load_drivers(), progress=progress)
    fleet = fleet_of(blueprint, library, SystemClock(), arguments.channel)

    run_loop(_play(fleet, with_parent=arguments.with_parent))
    return 0


async def _play(fleet: Fleet, *, with_parent: bool) -> None:
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(fleet)
        except OSError as error:
            raise MetersFailed(
                f"the simulated meters cannot listen: {error.strerror or error}",
                hint="stop the program that has the port, perhaps another simulator or demo; channels must point at "
                "this machine",
            ) from error
        ports = ", ".join(str(server.port) for server in fleet.servers.values())
        sys.stdout.write(f"simulator ready: {len(fleet.meters)} meters on ports {ports}\n")
        sys.stdout.flush()
        async with asyncio.TaskGroup() as tasks:
            orphaned = None
            if with_parent:
                orphaned = tasks.create_task(_stop_with_parent(stop), name="with-parent")
            await stop.wait()
            if orphaned is not None:
                orphaned.cancel()


async def _stop_with_parent(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass
    stop.set()

"""`joulehub simulate PLANT`: play the meters of a plant, at the addresses where the hub will look for them; or what a
bus was recorded to say."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from address_space.model import SystemClock
from config.sections import LogFormat
from drivers.profiles import load_library
from drivers.registry import load_drivers
from drivers.simulators import Fleet, PseudoTerminal, TcpPort
from drivers.simulators.replay import Replay
from drivers.transport import read_trace
from drivers.transport.recording import Exchange, exchanges
from server.app import draw, site_profiles
from server.cli.arguments import port_number
from server.cli.check import settings_at
from server.cli.console import progress_bar
from server.cli.logs import set_up_logging
from server.cli.loop import run_loop, stop_on_signals
from server.errors import MetersFailed, ServerError
from server.simulation import fleet_of, with_ports_in


def add_to(commands: Any) -> None:
    """Add this command to the command line."""
    command = commands.add_parser("simulate", help="play the meters of a plant over their real protocol")
    command.add_argument("plant", type=Path, nargs="?", help="a hub.toml, or a folder with hub.toml or plant.yaml")
    command.add_argument("--channel", action="append", default=[], help="only this channel (may be given again)")
    command.add_argument("--data", type=Path, help="folder for serial ports that lie in the hub's data folder")
    command.add_argument("--with-parent", action="store_true", help="stop when standard input ends")
    command.add_argument("--replay", type=Path, metavar="FILE", help="instead of a plant, a bus that was recorded")
    where = command.add_mutually_exclusive_group()
    where.add_argument("--port", type=port_number, help="with --replay: TCP port to answer at; 0: any (the default)")
    where.add_argument("--pty", type=Path, metavar="PATH", help="with --replay: make a serial port with this name")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play until told to stop."""
    _check(arguments)
    if arguments.replay is not None:
        set_up_logging("warning", LogFormat.TEXT)
        recorded = [each for each in exchanges(read_trace(arguments.replay)) if isinstance(each, Exchange)]
        if not recorded:
            raise ServerError("holds no exchange", where=str(arguments.replay), hint="record with `run --trace FOLDER`")
        run_loop(_replay(recorded, arguments))
        return 0
    settings = settings_at(arguments.plant)
    set_up_logging("warning", settings.log.format)
    library = load_library(*site_profiles(settings.plant))
    with progress_bar("reading meter lists") as progress:
        blueprint = draw(settings, library=library, drivers=load_drivers(), progress=progress)
    if arguments.data is not None:
        blueprint = with_ports_in(blueprint, settings.data_dir, arguments.data)
    fleet = fleet_of(blueprint, library, SystemClock(), arguments.channel)

    run_loop(_play(fleet, with_parent=arguments.with_parent))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Raises ServerError where the options do not go together."""
    if (arguments.plant is None) == (arguments.replay is None):
        raise ServerError("there must be a plant or --replay FILE, and not both", hint="say what is to be played")
    if arguments.replay is None and (arguments.port is not None or arguments.pty is not None):
        raise ServerError("--port and --pty go with --replay", hint="a plant's meters answer where its channels look")
    if arguments.pty is not None and (arguments.pty.exists() or arguments.pty.is_symlink()):
        raise ServerError("is there already", where=str(arguments.pty), hint="name a port that is not there yet")


async def _replay(recorded: list[Exchange], arguments: argparse.Namespace) -> None:
    stop = stop_on_signals()
    bus = Replay(recorded, SystemClock(), arguments.replay.name)
    plug = PseudoTerminal(bus, arguments.pty) if arguments.pty is not None else TcpPort(bus, port=arguments.port or 0)
    try:
        await plug.start()
    except OSError as error:
        raise MetersFailed(
            f"the recording cannot be played there: {error.strerror or error}", hint="choose another --port or --pty"
        ) from error
    try:
        place = str(plug.path) if isinstance(plug, PseudoTerminal) else f"{plug.host}:{plug.port}"
        sys.stdout.write(f"replay ready: {bus.requests} different requests, {len(recorded)} exchanges at {place}\n")
        sys.stdout.flush()
        async with asyncio.TaskGroup() as tasks:
            await _until_stopped(stop, tasks, with_parent=arguments.with_parent)
    finally:
        await plug.stop()
    sys.stdout.write(f"{bus.answered} requests answered, {bus.missed} were not recorded\n")


async def _play(fleet: Fleet, *, with_parent: bool) -> None:
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(fleet)
        except FileExistsError as error:
            raise MetersFailed(
                f"the simulated meters cannot make the serial port {error.filename}: {error.strerror}",
                hint="remove the file, or give the channel another device that is not there yet",
            ) from error
        except OSError as error:
            raise MetersFailed(
                f"the simulated meters cannot listen: {error.strerror or error}"
                + (f": {error.filename}" if error.filename else ""),
                hint="stop the program that has the port, perhaps another simulator or demo; channels must point at "
                "this machine",
            ) from error
        places = ", ".join(server.place for server in fleet.servers.values())
        sys.stdout.write(f"simulator ready: {len(fleet.meters)} meters on {places}\n")
        sys.stdout.flush()
        async with asyncio.TaskGroup() as tasks:
            await _until_stopped(stop, tasks, with_parent=with_parent)


async def _until_stopped(stop: asyncio.Event, tasks: asyncio.TaskGroup, *, with_parent: bool) -> None:
    orphaned = tasks.create_task(_stop_with_parent(stop), name="with-parent") if with_parent else None
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

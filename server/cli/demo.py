"""`joulehub demo`: a small town of simulated meters and the hub that reads them, with a screen that shows both.

The meters run in a process of their own, so that they can be killed and brought back while the hub goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

import config
from address_space.model import HubError
from config.settings import HubSettings, load_settings
from server.app import Hub, draw
from server.cli.console import progress_bar, set_up_logging
from server.cli.loop import run_loop, stop_on_signals
from server.cli.screen import Screen

PLANT = Path(config.__file__).parent / "plants" / "demo"
DATA = Path("var") / "demo"
REFRESH_S = 1.0
LINE_EVERY_S = 10.0
METERS_START_S = 30.0


class MetersFailed(HubError):
    """The simulated meters did not start."""


def add_to(commands: Any) -> None:
    """Add this command to the command line."""
    command = commands.add_parser("demo", help="run the hub with its demonstration plant")
    command.add_argument("--plant", type=Path, default=PLANT, help="folder with hub.toml and plant.yaml")
    command.add_argument("--data", type=Path, default=DATA, help=f"folder for history and keys (default {DATA})")
    command.add_argument("--port", type=int, help="OPC UA port instead of the plant's own")
    command.add_argument("--seconds", type=float, help="stop by itself after so many seconds")
    command.add_argument("--plain", action="store_true", help="a line now and then instead of a screen")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Start the meters, then the hub; Ctrl-C stops both."""
    settings = _settings(arguments)
    plain = arguments.plain or not sys.stdout.isatty()
    set_up_logging(settings.log.level if plain else "error")
    with progress_bar("reading meter lists") as progress:
        blueprint = draw(settings, progress=progress)
    run_loop(_demo(Hub(blueprint), arguments.plant, arguments.seconds, plain=plain))
    return 0


def _settings(arguments: argparse.Namespace) -> HubSettings:
    settings = load_settings(arguments.plant / "hub.toml")
    changes: dict[str, Any] = {"plant": arguments.plant.resolve(), "data_dir": arguments.data.resolve()}
    if arguments.port is not None:
        changes["opcua"] = settings.opcua.model_copy(update={"port": arguments.port})
    return settings.model_copy(update=changes)


async def _demo(hub: Hub, plant: Path, seconds: float | None, *, plain: bool) -> None:
    stop = stop_on_signals()
    meters = await _start_meters(plant)
    try:
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, stop.set)
        screen = Screen(hub, f"{Path(sys.argv[0]).name} simulate {plant}", meters.pid)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(_watch_meters(meters, screen), name="meters")
            ready = asyncio.Event()
            show = _print_lines(screen, ready, stop) if plain else _show(screen, ready, stop)
            tasks.create_task(show, name="screen")
            try:
                await hub.run(stop, ready.set)
            finally:
                stop.set()
                ready.set()
                watching.cancel()
    finally:
        await _stop_meters(meters)


async def _start_meters(plant: Path) -> asyncio.subprocess.Process:
    # A group of its own: Ctrl-C at the terminal goes to the hub, which stops the meters after itself.
    command = (sys.executable, "-m", "server.cli", "simulate", str(plant), "--with-parent")
    pipe = asyncio.subprocess.PIPE
    meters = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )
    said = b""
    if meters.stdout is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(METERS_START_S):
                said = await meters.stdout.readline()
    if b"ready" not in said:
        await _stop_meters(meters)
        complaint = await meters.stderr.read() if meters.stderr is not None else b""
        last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["they said nothing"]
        raise MetersFailed(
            f"the simulated meters did not start: {last[0]}", hint="is another demo running on the same ports?"
        )
    return meters


async def _watch_meters(meters: asyncio.subprocess.Process, screen: Screen) -> None:
    await meters.communicate()
    screen.meters_alive = False


async def _stop_meters(meters: asyncio.subprocess.Process) -> None:
    if meters.returncode is None:
        meters.terminate()
        try:
            async with asyncio.timeout(2):
                await meters.wait()
        except TimeoutError:
            meters.kill()
            await meters.wait()


async def _show(screen: Screen, ready: asyncio.Event, stop: asyncio.Event) -> None:
    await ready.wait()
    with Live(screen.render(), console=Console(), auto_refresh=False, screen=True) as live:
        while not stop.is_set():
            live.update(screen.render(), refresh=True)
            await _pause(stop, REFRESH_S)


async def _print_lines(screen: Screen, ready: asyncio.Event, stop: asyncio.Event) -> None:
    await ready.wait()
    sys.stdout.write(screen.greeting() + "\n")
    while not stop.is_set():
        sys.stdout.write(screen.line() + "\n")
        sys.stdout.flush()
        await _pause(stop, LINE_EVERY_S)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return

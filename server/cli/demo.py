"""`joulehub demo`: a small town of simulated meters and the hub that reads them, with a screen that shows both.

The meters run in a process of their own, so that they can be killed and brought back while the hub goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import shutil
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

import config
from config.settings import HubSettings, load_settings
from drivers.simulators.ports import clear_link
from server import heap
from server.app import Hub, draw
from server.cli.arguments import port_number, positive
from server.cli.console import progress_bar
from server.cli.logs import set_up_logging
from server.cli.loop import run_loop, stop_on_signals
from server.cli.screen import Screen
from server.errors import MetersFailed
from server.simulation import serial_ports, with_ports_in

PLANT = Path(config.__file__).parent / "plants" / "demo"
DATA = Path("var") / "demo"
REFRESH_S = 1.0
LINE_EVERY_S = 10.0
METERS_START_S = 90.0


def add_to(commands: Any) -> None:
    """Add this command to the command line."""
    command = commands.add_parser("demo", help="run the hub with its demonstration plant")
    command.add_argument("--plant", type=Path, default=PLANT, help="folder with hub.toml and plant.yaml")
    command.add_argument(
        "--data", type=Path, default=DATA, help=f"folder for history, keys and serial ports (default {DATA})"
    )
    command.add_argument("--port", type=port_number, help="OPC UA port instead of the plant's own; 0: any")
    command.add_argument("--seconds", type=positive, help="stop by itself after so many seconds")
    command.add_argument("--plain", action="store_true", help="a line now and then instead of a screen")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Start the meters, then the hub; Ctrl-C stops both."""
    own = load_settings(arguments.plant / "hub.toml")
    settings = _settings(arguments, own)
    plain = arguments.plain or not sys.stdout.isatty()
    set_up_logging(settings.log.level if plain else "critical", settings.log.format)
    heap.prepare()
    with progress_bar("reading meter lists") as progress:
        blueprint = with_ports_in(draw(settings, progress=progress), own.data_dir, settings.data_dir)
    played = _Meters(arguments.plant, settings.data_dir, serial_ports(blueprint))
    run_loop(_demo(Hub(blueprint), played, arguments.seconds, plain=plain))
    return 0


def _settings(arguments: argparse.Namespace, own: HubSettings) -> HubSettings:
    changes: dict[str, Any] = {"plant": arguments.plant.resolve(), "data_dir": arguments.data.resolve()}
    if arguments.port is not None:
        changes["opcua"] = own.opcua.model_copy(update={"port": arguments.port})
    return own.model_copy(update=changes)


@dataclass(frozen=True, slots=True)
class _Meters:
    """What the process of the meters plays, and where its serial ports are."""

    plant: Path
    data: Path
    ports: tuple[Path, ...]

    @property
    def command(self) -> tuple[str, ...]:
        """Arguments of the program."""
        return ("simulate", _short(self.plant), *(("--data", _short(self.data)) if self.data != DATA.resolve() else ()))


async def _demo(hub: Hub, played: _Meters, seconds: float | None, *, plain: bool) -> None:
    stop = stop_on_signals()
    meters = await _start_meters(played, stop)
    if meters is None:
        return
    try:
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, stop.set)
        screen = Screen(hub, f"{_own_name()} {' '.join(played.command)}", meters.pid)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(_watch_meters(meters, screen, played.ports), name="meters")
            ready = asyncio.Event()
            show = _print_lines(screen, ready, stop) if plain else _show(screen, ready, stop)
            tasks.create_task(show, name="screen")
            try:
                await hub.run(stop, ready.set)
            finally:
                stop.set()
                ready.set()
                watching.cancel()
        sys.stdout.write(screen.farewell() + "\n")
    finally:
        await _stop_meters(meters)


def _own_name() -> str:
    """How this program is called from where the user is."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"{_short(Path(sys.executable))} -m server.cli"
    found = shutil.which(program.name)
    return program.name if found and Path(found).samefile(program) else _short(program)


def _short(path: Path) -> str:
    """`path` as seen from the present folder, if it lies below."""
    whole = Path.cwd() / path
    return shlex.quote(str(whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole))


async def _start_meters(played: _Meters, stop: asyncio.Event) -> asyncio.subprocess.Process | None:
    """The process of the meters, once they listen; None where `stop` came first. Raises MetersFailed."""
    # A group of its own: Ctrl-C at the terminal goes to the hub, which stops the meters after itself.
    own = ("simulate", str(played.plant), "--data", str(played.data), "--with-parent")
    command = (sys.executable, "-m", "server.cli", *own)
    pipe = asyncio.subprocess.PIPE
    meters = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )
    try:
        if b"ready" in await _first_line(meters, stop):
            return meters
        await _stop_meters(meters)
        if stop.is_set():
            return None
        complaint = await meters.stderr.read() if meters.stderr is not None else b""
    except BaseException:
        await _stop_meters(meters)
        raise
    last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["the simulated meters did not start"]
    raise MetersFailed(last[0], hint="" if complaint else "run `joulehub simulate` to see why")


async def _first_line(meters: asyncio.subprocess.Process, stop: asyncio.Event) -> bytes:
    """What the meters say first; nothing where they take too long or `stop` comes before."""
    if meters.stdout is None:
        return b""
    async with asyncio.TaskGroup() as tasks:
        said = tasks.create_task(meters.stdout.readline(), name="meters-start")
        stopped = tasks.create_task(stop.wait(), name="stop")
        await asyncio.wait((said, stopped), timeout=METERS_START_S, return_when=asyncio.FIRST_COMPLETED)
        said.cancel()
        stopped.cancel()
    return b"" if said.cancelled() else said.result()


async def _watch_meters(meters: asyncio.subprocess.Process, screen: Screen, ports: Collection[Path]) -> None:
    await meters.communicate()
    screen.meters_alive = False
    for port in ports:
        # A process that was killed leaves its links behind, and the system gives their terminals to the next who asks.
        with suppress(OSError):
            clear_link(port)


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
    console = Console()
    with Live(console=console, auto_refresh=False, screen=True) as live:
        while not stop.is_set():
            live.update(screen.render(*console.size), refresh=True)
            await _pause(stop, REFRESH_S)


async def _print_lines(screen: Screen, ready: asyncio.Event, stop: asyncio.Event) -> None:
    await ready.wait()
    _say(screen.greeting())
    while not stop.is_set():
        _say(screen.line())
        await _pause(stop, LINE_EVERY_S)


def _say(line: str) -> None:
    """Print a line, or go on without where there is no room for it; raises BrokenPipeError where nobody reads on."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError:
        return


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return

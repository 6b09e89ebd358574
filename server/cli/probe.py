"""`joulehub probe …`: from an unknown meter on a wire to a profile. Nothing here writes to a device."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from drivers.probe import (
    SETTINGS,
    Answered,
    Asker,
    FoundDevice,
    Framing,
    ProbeMistake,
    Registers,
    Search,
    Unclear,
    candidates,
    decodings,
    fitting,
    longest_s,
    questions,
    read_again,
    read_registers,
    scan_cjt188,
    scan_dlt645,
    scan_modbus,
    search,
    walk_cjt188,
    walk_dlt645,
)
from drivers.probe.asker import GAP_S
from drivers.probe.fit import Fit
from drivers.profiles import load_library
from drivers.registry import load_drivers
from drivers.transport import SerialSettings
from server.app import site_profiles
from server.cli import probe_pages as pages
from server.cli import probe_profile
from server.cli.arguments import positive
from server.cli.check import settings_at
from server.cli.console import print_json, progress_bar
from server.cli.loop import run_loop
from server.cli.probe_line import (
    LineClosed,
    add_line,
    add_meters,
    framings_of,
    meters_of,
    numbers,
    opened,
    options_of,
    say_time,
    shown_time,
    timeout_of,
    units,
)

INTERRUPTED: Final = 130
ALL_UNITS: Final = list(range(1, 248))
PROTOCOLS: Final = ("modbus", "dlt645", "cjt188")
AT_MOST_S: Final = 1800.0
FRAME_S: Final = 0.03
"""About what question and answer take on a serial line."""
MOST_WORDS: Final = 125
MOST_REGISTERS: Final = 2000
"""Of one call of `probe read`; each of them is read in some thirty ways."""


def add_to(commands: Any) -> None:
    """Add this command to the command line."""
    command = commands.add_parser("probe", help="find out what is on a wire, and make a profile of it; only reads")
    whats = command.add_subparsers(dest="what", required=True, metavar="WHAT", help="line, scan, read or profile")
    line = whats.add_parser("line", help="try to connect; find speed, parity and who answers")
    add_line(line)
    line.add_argument("--units", type=units, default=[1], help="Modbus units to ask, as 1-4,10 (default 1)")
    add_meters(line)
    line.set_defaults(run=run_line)
    scan = whats.add_parser("scan", help="find all devices on a bus, and which profiles fit them")
    add_line(scan)
    scan.add_argument("--protocol", action="append", choices=PROTOCOLS, help="only this one (may be given again)")
    scan.add_argument("--units", type=units, default=ALL_UNITS, help="Modbus units to ask (default 1-247)")
    add_meters(scan)
    scan.add_argument(
        "--search", action="store_true", help="DL/T 645: find several meters by wildcards; they may answer all at once"
    )
    scan.add_argument("--edition", choices=("2007", "1997"), help="DL/T 645: only this edition")
    scan.add_argument("--no-fit", action="store_true", help="do not try the profiles of the library")
    scan.add_argument("--plant", type=Path, default=Path(), help="a plant whose own profiles are tried as well")
    scan.add_argument("--at-most", type=positive, default=AT_MOST_S, metavar="S", help="stop after so many seconds")
    scan.set_defaults(run=run_scan)
    read = whats.add_parser("read", help="show every plausible decoding of registers, or all that a meter answers")
    add_line(read)
    read.add_argument("--protocol", choices=PROTOCOLS, default="modbus", help="protocol of the device")
    read.add_argument("--unit", type=int, default=1, help="Modbus unit (default 1)")
    read.add_argument("--fc", type=int, choices=(1, 2, 3, 4), default=3, help="function that reads (default 3)")
    read.add_argument("--first", type=_address, default=0, help="first register as on the wire (default 0)")
    read.add_argument("--count", type=_count, default=60, help="how many registers, at most 2000 (default 60)")
    read.add_argument("--max-words", type=_words, default=60, help="most registers in one request (default 60)")
    read.add_argument("--reads", type=_reads, default=4, help="how often to read, to see what moves (default 4)")
    read.add_argument("--every", type=positive, default=2.0, metavar="S", help="seconds between reads (default 2)")
    read.add_argument("--all", action="store_true", help="every decoding, not only those that look like something")
    read.add_argument("--meter", default="", metavar="NUMBER", help="number of a DL/T 645 or CJ/T 188 meter")
    read.add_argument("--edition", choices=("2007", "1997"), default="2007", help="edition of DL/T 645")
    read.set_defaults(run=run_read)
    probe_profile.add_to(whats)


def run_line(arguments: argparse.Namespace) -> int:
    """Connect and look who answers; 1 where nobody does."""
    options = options_of(arguments)
    timeout_s = timeout_of(arguments, options)
    meters = meters_of(arguments.meter)
    asked = questions(framings_of(arguments, options), arguments.units, meters, one_meter=arguments.one_meter)
    serial = options.transport == "serial"
    fixed = arguments.baud is not None or arguments.parity is not None
    settings: list[SerialSettings] = ([options.serial] if fixed else list(SETTINGS)) if serial else []
    say_time(len(asked) * max(len(settings), 1), longest_s(asked, settings, timeout_s))
    if not (arguments.one_meter or meters):
        sys.stderr.write(pages.NOT_ASKED)

    async def work() -> Search:
        async with opened(options, arguments.target) as (link, clock):
            with progress_bar("asking") as progress:
                return await search(link, clock, timeout_s, asked, settings, progress)

    try:
        found = run_loop(work())
    except LineClosed as error:
        if not arguments.json:
            raise
        print_json({"ok": False, "connected": False, **pages.trouble_as_data(error.diagnosis, arguments.target)})
        return 1
    if arguments.json:
        print_json({"ok": found.found is not None, "connected": True, **pages.search_as_data(found)})
    else:
        sys.stdout.writelines(f"{line}\n" for line in pages.search_lines(found, arguments.target))
    return 0 if found.found is not None else 1


def run_scan(arguments: argparse.Namespace) -> int:
    """Scan; what was found is told also after Ctrl-C. 1 where nobody answered."""
    options = options_of(arguments)
    timeout_s = timeout_of(arguments, options)
    meters = meters_of(arguments.meter)
    chosen = tuple(arguments.protocol or PROTOCOLS)
    editions = [arguments.edition] if arguments.edition else ["2007", "1997"]
    wildcards = bool(arguments.search or arguments.one_meter)
    found: list[FoundDevice] = []
    unclear: list[Unclear] = []
    fits: dict[FoundDevice, list[Fit]] = {}
    framing = framings_of(arguments, options)[0]
    asked = len(arguments.units) if "modbus" in chosen else 0
    asked += len(editions) * (len(meters) + int(wildcards)) if "dlt645" in chosen else 0
    asked += len(meters) + int(arguments.one_meter) if "cjt188" in chosen else 0
    say_time(asked, min(asked * (timeout_s + GAP_S + FRAME_S), arguments.at_most))
    if arguments.search:
        sys.stderr.write(pages.search_note(timeout_s + GAP_S + FRAME_S))
    if {"dlt645", "cjt188"} & set(chosen) and not (wildcards or meters):
        sys.stderr.write(pages.NOT_ASKED)

    async def work() -> None:
        async with opened(options, arguments.target) as (link, clock), asyncio.timeout(arguments.at_most):
            asker = Asker(link, clock, timeout_s)
            if "modbus" in chosen:
                with progress_bar("Modbus") as progress:
                    async for each in scan_modbus(asker, framing, arguments.units, progress):
                        _keep(each, found, unclear)
            for edition in editions if "dlt645" in chosen and (wildcards or meters) else ():
                with progress_bar(f"DL/T 645-{edition}") as progress:
                    numbers_ = [meter for meter in meters if len(meter) <= 12]
                    async for each in scan_dlt645(
                        asker, edition, numbers_, progress, one=arguments.one_meter, several=arguments.search
                    ):
                        _keep(each, found, unclear)
            if "cjt188" in chosen:
                with progress_bar("CJ/T 188") as progress:
                    async for each in scan_cjt188(asker, meters, progress, one_meter=arguments.one_meter):
                        _keep(each, found, unclear)
            if not arguments.no_fit:
                library, plugins = _profiles(arguments.plant), load_drivers()
                for device in found:
                    with progress_bar(f"profiles for {device.address}") as progress:
                        tried = candidates(device, library, plugins)
                        fits[device] = await fitting(device, tried, link, clock, timeout_s, progress)

    ended = _unless_stopped(work)
    if ended == "time":
        sys.stderr.write(f"stopped after {shown_time(arguments.at_most)}; what was found by then follows\n")
    if arguments.json:
        print_json(pages.scan_as_data(found, unclear, fits, complete=ended == ""))
    else:
        any_unit = 5 <= len(arguments.units) == sum(device.protocol == "modbus" for device in found)
        sys.stdout.writelines(f"{line}\n" for line in pages.scan_lines(found, unclear, fits, any_unit=any_unit))
    if ended == "person":
        return INTERRUPTED
    return 0 if found else 1


def run_read(arguments: argparse.Namespace) -> int:
    """Read and show; 1 where the device answered nothing."""
    options = options_of(arguments)
    timeout_s = timeout_of(arguments, options)
    if arguments.protocol != "modbus":
        return _walk(arguments, timeout_s)
    requests = -(-arguments.count // arguments.max_words)
    longest = 2 * arguments.reads * requests * (timeout_s + GAP_S) + (arguments.reads - 1) * arguments.every
    say_time(requests * arguments.reads, longest)
    read_from = arguments.first, min(arguments.count, 0x10000 - arguments.first)
    framing: Framing = framings_of(arguments, options)[0]
    unit, fc, most = arguments.unit, arguments.fc, arguments.max_words

    async def work() -> tuple[Registers, list[dict[int, int]]]:
        async with opened(options, arguments.target) as (link, clock):
            asker = Asker(link, clock, timeout_s)
            with progress_bar("reading") as progress:
                first = await read_registers(asker, framing, unit, fc, read_from, progress, most=most)
            later: list[dict[int, int]] = []
            with progress_bar("reading again") as progress:
                for turn in range(1, arguments.reads if first.words else 1):
                    progress(turn, arguments.reads)
                    await clock.sleep(arguments.every)
                    later.append(await read_again(asker, framing, unit, fc, first, most=most))
            return first, later

    registers, later = run_loop(work())
    shown = decodings(registers.words, *later) if fc > 2 else []
    if arguments.json:
        print_json(pages.registers_as_data(registers, later, shown))
    else:
        pages.show_registers(registers, later, shown, everything=arguments.all, bits=fc < 3)
    return 0 if registers.words else 1


def _walk(arguments: argparse.Namespace, timeout_s: float) -> int:
    """Ask a meter for all that is usually there."""
    if not arguments.meter:
        raise ProbeMistake("there is no number of a meter", hint="give --meter NUMBER; `probe scan` finds it")
    (meter,) = meters_of([arguments.meter])[:1]
    options = options_of(arguments)
    rows: list[Answered] = []

    async def work() -> None:
        async with opened(options, arguments.target) as (link, clock):
            asker = Asker(link, clock, timeout_s)
            with progress_bar(f"asking {meter}") as progress:
                if arguments.protocol == "dlt645":
                    rows.extend([row async for row in walk_dlt645(asker, arguments.edition, meter, progress)])
                else:
                    rows.extend([row async for row in walk_cjt188(asker, meter, progress)])

    run_loop(work())
    if arguments.json:
        print_json([pages.answered_as_data(row) for row in rows])
    else:
        pages.show_answered(rows, meter)
    return 0 if any(not row.refused for row in rows) else 1


def _unless_stopped(work: Callable[[], Coroutine[Any, Any, None]]) -> str:
    """Run to the end; "person" where Ctrl-C ended it, "time" where its time was over."""

    async def heeding() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs is a task's
        # Also where whoever started the program had it ignore Ctrl-C, as shells do with what runs in the background.
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
        await work()

    try:
        run_loop(heeding())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return "person"
    except TimeoutError:
        return "time"
    return ""


def _keep(each: FoundDevice | Unclear, found: list[FoundDevice], unclear: list[Unclear]) -> None:
    if isinstance(each, FoundDevice):
        found.append(each)
    else:
        unclear.append(each)


def _profiles(plant: Path) -> Any:
    """The library, with the profiles of a plant where there is one."""
    there = plant.is_file() or (plant / "plant.yaml").is_file() or (plant / "hub.toml").is_file()
    return load_library(*(site_profiles(settings_at(plant).plant) if there else ()))


def _address(text: str) -> int:
    try:
        address = int(text, 0)
    except ValueError:
        address = -1
    if not 0 <= address <= 0xFFFF:
        raise argparse.ArgumentTypeError(f"{text!r} is no address: 0 to 0xFFFF, as on the wire")
    return address


def _count(text: str) -> int:
    return numbers(text, 1, MOST_REGISTERS)[0]


def _words(text: str) -> int:
    return numbers(text, 1, MOST_WORDS)[0]


def _reads(text: str) -> int:
    return numbers(text, 1, 100)[0]

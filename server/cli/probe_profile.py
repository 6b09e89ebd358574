"""`joulehub probe profile`: write the registers that were picked as a profile, once the library's loader is content."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from drivers.errors import ProfileError
from drivers.probe import Draft, ProbeMistake, draft, parse_pick
from drivers.profiles import load_library
from drivers.registry import load_drivers
from server.cli.console import print_json
from server.cli.probe_line import numbers
from server.errors import CannotWrite, reason_of


def add_to(whats: Any) -> None:
    """Add it to the sub-commands."""
    command = whats.add_parser("profile", help="write a profile of registers that were picked")
    command.add_argument("name", help="vendor/model, in small letters, digits and hyphens")
    command.add_argument(
        "--point",
        action="append",
        default=[],
        metavar="PICK",
        help="NAME=ADDRESS:TYPE[:ORDER][:SCALE][:UNIT][:ct|pt|ptct][:fcN], as VoltageL1=0x0000:float32:ABCD:V",
    )
    command.add_argument("--vendor", default="", help="maker, as written on the device")
    command.add_argument("--model", default="", help="model, as written on the device")
    command.add_argument("--line", default="", help='factory setting of the serial line, as "9600 8N1"')
    command.add_argument("--source", default="", help="document that the facts are from")
    command.add_argument("--fc", type=int, choices=(3, 4), default=3, help="function that reads (default 3)")
    command.add_argument("--max-words", type=_words, default=60, help="most registers in one request (default 60)")
    command.add_argument("--plant", type=Path, default=Path(), help="folder of the plant (this one if unset)")
    command.add_argument("--force", action="store_true", help="replace a profile of this name")
    command.add_argument("--json", action="store_true", help="answer as JSON")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the file; raises ProbeMistake or ProfileError where it would not be a sound profile."""
    head = Draft(
        arguments.name,
        arguments.vendor,
        arguments.model,
        arguments.line,
        arguments.source,
        arguments.fc,
        arguments.max_words,
    )
    text = draft(head, [parse_pick(pick) for pick in arguments.point])
    _check(arguments.name, text)
    plant: Path = arguments.plant
    if not plant.is_dir():
        raise ProbeMistake("no such folder", where=str(plant), hint="--plant names the folder of a plant")
    file = plant / "profiles" / f"{arguments.name}.yaml"
    if file.exists() and not arguments.force:
        raise ProbeMistake("the file exists already", where=str(file), hint="choose another name, or give --force")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, text)
    except OSError as error:
        raise CannotWrite(reason_of(error), where=str(file), hint="make the folder writable") from error
    if arguments.json:
        print_json({"ok": True, "file": str(file), "profile": arguments.name, "points": len(arguments.point)})
    else:
        sys.stdout.write(f"{file}\n")
        sys.stderr.write(f"give a metering unit this profile in plant.yaml, then run: joulehub check {plant}\n")
    return 0


def _check(name: str, text: str) -> None:
    """Load and compile the profile as the hub will; raises ProfileError."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.yaml"
        file.parent.mkdir()
        file.write_text(text, encoding="utf-8")
        try:
            profile = load_library(Path(folder)).get(name)
            load_drivers()["modbus"].compile(profile)
        except ProfileError as error:
            mistakes = [ProfileError(one.what, where=name, hint=one.hint) for one in error.mistakes]
            raise ProfileError.of(mistakes) from error


def _write(file: Path, text: str) -> None:
    """All of it or nothing."""
    fresh = file.with_suffix(".yaml.new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, file)


def _words(text: str) -> int:
    return numbers(text, 1, 125)[0]

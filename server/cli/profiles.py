"""`joulehub profiles [NAME]`: which devices the hub knows, what one profile says, and a new one for a site."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from drivers.profiles import ProfileLibrary, new_profile
from drivers.registry import load_drivers
from server.cli.check import settings_at
from server.cli.console import print_json
from server.cli.profile_page import as_data, as_row, listed, shown
from server.errors import ServerError
from server.library import checked_library


def add_to(commands: Any) -> None:
    """Add this command to the command line."""
    command = commands.add_parser("profiles", help="list the devices the hub knows, show one, or begin a new one")
    command.add_argument("name", nargs="?", default="", help="show this profile (vendor/model), or those of a vendor")
    command.add_argument("--plant", type=Path, default=Path(), help="a hub.toml or its folder; this one if unset")
    command.add_argument("--new", metavar="NAME", help="write a file for a new profile into the plant's own folder")
    command.add_argument("--from", dest="parent", metavar="PROFILE", help="begin with this profile, not the template")
    command.add_argument("--json", action="store_true", help="answer as JSON")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List, show or write; mistakes in the site's own profiles are raised as ProfileErrors."""
    plant = settings_at(arguments.plant).plant
    if not plant.is_dir():
        raise ServerError("no such folder", where=str(plant), hint="--plant names the hub.toml or folder of a plant")
    library = checked_library(plant, load_drivers())
    if arguments.new:
        return _write(plant, library, arguments)
    if arguments.name in library.names:
        profile = library.get(arguments.name)
        if arguments.json:
            print_json(as_data(profile, library))
        else:
            sys.stdout.write("".join(f"{line}\n" for line in shown(profile, library)))
        return 0
    names = [name for name in library.names if name.startswith(f"{arguments.name}/") or not arguments.name]
    profiles = [library.get(name) for name in names or [arguments.name]]
    if arguments.json:
        print_json([as_row(profile, library) for profile in profiles])
    else:
        sys.stdout.write("".join(f"{line}\n" for line in listed(profiles, library)))
    return 0


def _write(plant: Path, library: ProfileLibrary, arguments: argparse.Namespace) -> int:
    parent = library.get(arguments.parent) if arguments.parent else None
    text = new_profile(arguments.new, parent)
    file = plant / "profiles" / f"{arguments.new}.yaml"
    if file.exists():
        raise ServerError("the file exists already", where=str(file), hint="choose another name, or remove it first")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    if arguments.json:
        print_json({"file": str(file), "profile": arguments.new})
    else:
        sys.stdout.write(f"{file}\n")
        sys.stderr.write(f"fill it, then run: joulehub check {arguments.plant}\n")
    return 0

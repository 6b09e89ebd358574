"""`joulehub check PATH`: find every mistake in a configuration before it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from config.settings import HubSettings, load_settings
from drivers.profiles import ProfileLibrary
from drivers.registry import load_drivers
from server.app import Blueprint, draw
from server.budgets import budgets
from server.cli.bus_table import BUSY, as_data, say_budgets
from server.cli.console import print_json, progress_bar
from server.cli.profile_page import event_logs_of, log_words, logs_of
from server.errors import ServerError
from server.library import caveats_of, checked_library


def add_to(commands: Any) -> None:
    """Add this command to the command line."""
    command = commands.add_parser("check", help="check a configuration and say every mistake at once")
    command.add_argument("path", type=Path, help="a hub.toml, or a folder with hub.toml or plant.yaml")
    command.add_argument(
        "--budget",
        choices=("busy", "all"),
        default="busy",
        help=f"whose bus time to show: channels that are more than {BUSY:.0%}% busy, or all",
    )
    command.add_argument("--json", action="store_true", help="answer as JSON")
    command.set_defaults(run=run)


def settings_at(path: Path) -> HubSettings:
    """Settings of a hub.toml, of a folder that has one, or the defaults for a folder with only a plant."""
    if path.is_dir():
        toml = path / "hub.toml"
        return load_settings(toml) if toml.is_file() else load_settings(None).model_copy(update={"plant": path})
    if path.suffix in (".yaml", ".yml", ".csv") and path.is_file():
        raise ServerError("is no hub.toml", where=str(path), hint="give hub.toml or the folder that holds plant.yaml")
    return load_settings(path)


def run(arguments: argparse.Namespace) -> int:
    """Check; mistakes are raised as ConfigErrors and reported by the caller."""
    settings = settings_at(arguments.path)
    with progress_bar("reading meter lists") as progress:
        drivers = load_drivers()
        library = checked_library(settings.plant, drivers)
        blueprint = draw(settings, library=library, drivers=drivers, progress=progress)
    facts = summary(blueprint)
    caveats = caveats_of(facts["profiles"], library)
    found = budgets(blueprint.assembly, settings.polling)
    if arguments.json:
        budget = [as_data(each) for each in found]
        print_json({"ok": True, "problems": [], **facts, "caveats": caveats, "budget": budget})
    else:
        sys.stdout.write(
            f"{settings.plant}: {facts['nodes']} nodes, {facts['units']} metering units with {facts['points']} points "
            f"on {facts['channels']} channels; no mistakes\n"
        )
        sys.stdout.writelines(f"{line}\n" for line in _logs(facts["profiles"], library))
        sys.stdout.writelines(f"{name}: {caveat}\n" for name, doubts in caveats.items() for caveat in doubts)
        say_budgets(found, everything=arguments.budget == "all")
    return 0


def _logs(profiles: Iterable[str], library: ProfileLibrary) -> Iterator[str]:
    """What devices of these profiles record by themselves: from which gaps are filled, and events."""
    for name in profiles:
        for log, said in logs_of(library.get(name)).items():
            yield f"{name}: keeps {log} itself ({log_words(said)}); gaps are filled from it"
        for log, said in event_logs_of(library.get(name)).items():
            yield f"{name}: keeps events in {log} itself ({said.get('count')} records); they are told with their time"


def summary(blueprint: Blueprint) -> dict[str, Any]:
    """How large the plant is."""
    plant = blueprint.assembly.plant
    return {
        "plant": str(blueprint.settings.plant),
        "nodes": len(plant.nodes),
        "units": len(plant.units),
        "points": plant.size,
        "channels": len(blueprint.assembly.buses),
        "profiles": sorted({meter.profile for meter in blueprint.config.meters}),
    }

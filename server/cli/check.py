"""`joulehub check PATH`: find every mistake in a configuration before it runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from config.settings import HubSettings, load_settings
from server.app import Blueprint, draw
from server.cli.console import print_json, progress_bar
from server.errors import ServerError


def add_to(commands: Any) -> None:
    """Add this command to the command line."""
    command = commands.add_parser("check", help="check a configuration and say every mistake at once")
    command.add_argument("path", type=Path, help="a hub.toml, or a folder with hub.toml or plant.yaml")
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
        blueprint = draw(settings, progress=progress)
    facts = summary(blueprint)
    if arguments.json:
        print_json({"ok": True, "problems": [], **facts})
    else:
        sys.stdout.write(
            f"{settings.plant}: {facts['nodes']} nodes, {facts['units']} metering units with {facts['points']} points "
            f"on {facts['channels']} channels; no mistakes\n"
        )
    return 0


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

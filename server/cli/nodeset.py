"""`joulehub nodeset types|plant`: the address space as NodeSet2 XML for offline SCADA engineering."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from address_space.nodes.export import plant_nodeset, types_nodeset
from server.app import draw
from server.cli.check import settings_at
from server.cli.console import progress_bar
from server.errors import CannotWrite, reason_of


def add_to(commands: Any) -> None:
    """Add this command to the command line."""
    command = commands.add_parser("nodeset", help="write the types or the plant as NodeSet2 XML")
    command.add_argument("what", choices=("types", "plant"), help="the type model, or the instances of a plant")
    command.add_argument("--config", type=Path, default=Path("hub.toml"), help="hub.toml, or its folder (plant)")
    command.add_argument("--output", type=Path, help="file to write; stdout where it is missing")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the XML."""
    if arguments.what == "types":
        _write([types_nodeset()], arguments.output)
        return 0
    with progress_bar("reading meter lists") as progress:
        blueprint = draw(settings_at(arguments.config), progress=progress)
    _write(plant_nodeset(blueprint.assembly.plant), arguments.output)
    return 0


def _write(parts: Iterable[str], output: Path | None) -> None:
    if output is None:
        for part in parts:
            sys.stdout.write(part)
        return
    try:
        with output.open("w", encoding="utf-8") as file:
            file.writelines(parts)
    except OSError as error:
        raise CannotWrite(reason_of(error), where=str(output), hint="name another file with --output") from error

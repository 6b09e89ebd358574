"""`joulehub decode PROTOCOL HEX`: explain a frame field by field."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from drivers.cjt188.explain import explain as explain_cjt188
from drivers.dlt645.explain import explain as explain_dlt645
from drivers.modbus.explain import explain as explain_modbus
from server.cli.console import print_json


class Explained(Protocol):
    """What a protocol says of a frame."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with it."""

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data."""

    def lines(self) -> list[str]:
        """The same for a person."""


EXPLAINERS: Mapping[str, Callable[[str], Explained]] = {
    "cjt188": explain_cjt188,
    "dlt645": explain_dlt645,
    "modbus": explain_modbus,
}


def add_to(commands: Any) -> None:
    """Add this command to the command line."""
    command = commands.add_parser("decode", help="explain a frame field by field and say what is wrong with a bad one")
    command.add_argument("protocol", choices=sorted(EXPLAINERS), help="protocol of the frame")
    command.add_argument("hex", nargs="+", help="the frame in hexadecimal; spaces and colons are ignored")
    command.add_argument("--json", action="store_true", help="answer as JSON")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Explain the frame; 1 where it is not valid."""
    explanation = EXPLAINERS[arguments.protocol](" ".join(arguments.hex))
    if arguments.json:
        print_json(explanation.to_dict())
    else:
        sys.stdout.write("\n".join(explanation.lines()) + "\n")
    return 0 if explanation.sound else 1

"""Entry of the `joulehub` command: parses the command line and hands over to one module a command.

Exit status: 0 done, 1 refused or wrong, 2 usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from address_space.model import HubError
from server.cli import check, decode, demo, nodeset, read, run, simulate
from server.cli.console import report_error

COMMANDS = (demo, run, check, read, simulate, nodeset, decode)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="joulehub", description="OPC UA server and integration hub for energy metering")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_to(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except HubError as error:
        report_error(error, as_json=getattr(arguments, "json", False))
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130

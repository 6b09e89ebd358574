"""Entry of the `joulehub` command: parses the command line and hands over to one module a command.

Exit status: 0 done, 1 refused or wrong, 2 usage.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from address_space.model import HubError
from server.cli import check, decode, demo, history, nodeset, probe, profiles, read, run, simulate, trace
from server.cli.console import report_error
from server.errors import ServerError, causes, reason_of

INTERRUPTED = 130
"""Exit status after Ctrl-C where there was nothing to stop in order."""
COMMANDS = (demo, run, check, profiles, read, history, simulate, nodeset, decode, trace, probe)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="joulehub", description="OPC UA server and integration hub for energy metering")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_to(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. Errors that nobody foresaw keep their traceback."""
    arguments = parser().parse_args(argv)
    try:
        status = int(arguments.run(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        known = [_told(cause) for cause in causes(error)]
        if BrokenPipeError in map(type, causes(error)):
            _stop_writing()
            return 0
        if None in known:
            raise
        for one in known:
            if one is not None:
                report_error(one, as_json=getattr(arguments, "json", False))
        return 1
    return status


def _told(error: BaseException) -> HubError | None:
    """The error as it is told to a person, or None where it is one that nobody foresaw."""
    if isinstance(error, HubError):
        return error
    if isinstance(error, OSError):
        return ServerError(reason_of(error), where=str(error.filename or ""), hint="see what the system lacks")
    return None


def _stop_writing() -> None:
    """The reader of standard output has gone; nothing more is written, not even what is still in the buffer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

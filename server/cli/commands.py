"""All commands: parses the command line and hands over to one module a command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from address_space.model import HubError
from server.cli import check, decode, demo, history, nodeset, probe, profiles, read, run, simulate, trace
from server.cli.console import report_error
from server.cli.logs import finish_log
from server.errors import CannotWrite, ServerError, causes, reason_of

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


def obey(argv: Sequence[str] | None) -> int:
    """Run one command, of the program's own command line without `argv`; returns its exit status.

    Errors that nobody foresaw keep their traceback.
    """
    arguments = parser().parse_args(argv)
    try:
        status = _done(arguments)
        _flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        known = [_told(cause) for cause in causes(error)]
        if BrokenPipeError in map(type, causes(error)):
            _stop_writing()
            return 0
        if None in known:
            raise
        _tell([one for one in known if one is not None], as_json=getattr(arguments, "json", False))
        return 1
    return status


def _tell(errors: Sequence[HubError], *, as_json: bool) -> None:
    """Tell errors; where standard output takes nothing more, on standard error whatever was asked for."""
    try:
        if as_json:
            for one in errors:
                report_error(one, as_json=True)
        _flush()
    except BrokenPipeError:
        _stop_writing()  # and nobody misses what is lost
    except (OSError, CannotWrite) as error:
        _stop_writing()
        lost = error if isinstance(error, CannotWrite) else _lost(error)
        errors = [*(one for one in errors if one.what != lost.what or one.where not in ("", lost.where)), lost]
    else:
        if as_json:
            return
    for one in errors:
        report_error(one, as_json=False)


def _flush() -> None:
    """Have standard output whole; raises CannotWrite, and BrokenPipeError where nobody reads it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _lost(error) from error


def _lost(error: OSError) -> CannotWrite:
    hint = "what was written there is not whole: run the command again when it can be written"
    return CannotWrite(reason_of(error), where="standard output", hint=hint)


def _done(arguments: argparse.Namespace) -> int:
    try:
        return int(arguments.run(arguments))
    finally:
        finish_log()


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

"""How the commands speak to a person: plain sentences on stderr, data on stdout, JSON where it was asked for."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from address_space.model import HubError
from config.errors import ConfigErrors

_STYLE = "%(asctime)s %(levelname)-7s %(name)s %(message)s"


def print_json(data: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")


def report_error(error: HubError, *, as_json: bool) -> None:
    """What is wrong, where, and what to do; a configuration's mistakes one a line."""
    problems = error.problems if isinstance(error, ConfigErrors) else ()
    if as_json:
        listed = [problem.to_json() for problem in problems]
        print_json(
            {"ok": False, "problems": listed or [{"what": error.what, "hint": error.hint, "where": error.where}]}
        )
        return
    for line in [str(problem) for problem in problems] or [str(error)]:
        sys.stderr.write(f"{line}\n")
    if len(problems) > 1:
        sys.stderr.write(f"{len(problems)} mistakes\n")


def set_up_logging(level: str, *, quiet_libraries: bool = True) -> None:
    """Log to stderr, one event a line."""
    logging.basicConfig(level=level.upper(), format=_STYLE, stream=sys.stderr, force=True)
    if quiet_libraries:
        for name in ("asyncua", "pymodbus"):
            logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def progress_bar(title: str) -> Iterator[Any]:
    """A callable `(done, total)` that draws a bar on stderr while it is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(title, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None)

        yield advance

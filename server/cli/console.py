"""How the commands speak to a person: plain sentences on stderr, data on stdout, JSON where it was asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from address_space.model import HubError
from config.errors import ConfigErrors
from drivers.errors import ProfileError


def print_json(data: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")


def report_error(error: HubError, *, as_json: bool) -> None:
    """What is wrong, where, and what to do; many mistakes one a line, and how many more there are. Raises OSError."""
    more = 0
    if isinstance(error, ConfigErrors):
        listed: list[Any] = [problem.to_json() for problem in error.problems]
        lines, more = [str(problem) for problem in error.problems], error.more
    else:
        single = error.mistakes if isinstance(error, ProfileError) else (error,)
        listed = [{"what": one.what, "hint": one.hint, "where": one.where} for one in single]
        lines = [str(one) for one in single]
    if as_json:
        print_json({"ok": False, "problems": listed, **({"more": more} if more else {})})
        return
    sys.stderr.writelines(f"{line}\n" for line in lines)
    if more:
        sys.stderr.write(f"{len(lines) + more:,} mistakes: these {len(lines):,} and {more:,} more\n")
    elif len(lines) > 1:
        sys.stderr.write(f"{len(lines)} mistakes\n")


@contextmanager
def progress_bar(title: str) -> Iterator[Any]:
    """A callable `(done, total)` that draws a bar on stderr while it is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(title, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None)

        yield advance

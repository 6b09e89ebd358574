"""Files that are damaged, or that somebody took away while they are open: put aside, or written out again."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from historian.sqlite.files import not_let, translated

SIDES = ("-wal", "-shm")
DAMAGED_KEPT = 3
"""So many damaged files are kept where they hold nothing that cannot be had again."""

_log = logging.getLogger(__name__)

Identity = tuple[int, int] | None
"""Which file stands under a name, None where there is none."""


def identity(path: Path) -> Identity:
    """Which file stands under a name now; raises StoreFull where the folder does not let look."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise not_let(error, path) from error
    return (stat.st_dev, stat.st_ino)


def kept_aside(path: Path, most: int = 0) -> Path:
    """Rename a damaged file that nobody has open, with what belongs to it; says what it is called now.

    Of more than `most` damaged ones the oldest goes; 0 keeps all.
    """
    try:
        numbers = sorted(_numbers(path))
        aside = path.with_name(f"{path.name}.damaged-{numbers[-1] + 1 if numbers else 1}")
        for number in numbers[: 1 - most] if most else ():
            for side in ("", *SIDES):
                path.with_name(f"{path.name}.damaged-{number}{side}").unlink(missing_ok=True)
        for side in ("", *SIDES):
            part = path.with_name(path.name + side)
            if part.exists():
                part.replace(aside.with_name(aside.name + side))
    except OSError as error:
        raise not_let(error, path) from error
    return aside


def rescued(connection: sqlite3.Connection, path: Path, opened: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
    """The file again under its name, of which `connection` holds one that stands there no more.

    One that was put in its place is taken as it is; where there is none, all that the connection still sees is written
    out. Raises HistoryError, after which it can be tried again.
    """
    if identity(path) is not None:
        with _sides_safe(path):
            _empty_log(connection)
            connection.close()
        _log.error("history file was replaced while it was open, going on with what stands there file=%s", path)
        return opened()
    draft = path.with_name(f"{path.name}.rescued")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for side in ("", *SIDES):
            path.with_name(draft.name + side).unlink(missing_ok=True)
        with translated(str(path)):
            copy = sqlite3.connect(draft, isolation_level=None)
            try:
                connection.backup(copy)
            finally:
                copy.close()
        with _sides_safe(path):
            _empty_log(connection)
            connection.close()
        draft.replace(path)
    except OSError as error:
        raise not_let(error, path) from error
    _log.error("history file was taken away while it was open, written out again file=%s", path)
    return opened()


def restored(
    connection: sqlite3.Connection, path: Path, opened: Callable[[], sqlite3.Connection], most: int
) -> sqlite3.Connection:
    """As `rescued`, but what the connection sees stays: of others in its place the newest `most` are kept aside."""
    if identity(path) is not None and _is_open(connection):
        _empty_log(connection)
        aside = kept_aside(path, most)
        _log.error("history file was replaced while it was open, the other one is kept aside kept=%s", aside)
    return rescued(connection, path, opened)


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT 1").fetchone()
    except sqlite3.ProgrammingError:
        return False
    return True


def _empty_log(connection: sqlite3.Connection) -> None:
    """Where the log beside is still the connection's, nothing of it may be taken for another file's."""
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


@contextmanager
def _sides_safe(path: Path) -> Iterator[None]:
    """SQLite removes, by their names, what belongs to a file when its last connection goes: not another file's."""
    moved: list[tuple[Path, Path]] = []
    for side in SIDES:
        part = path.with_name(path.name + side)
        hidden = part.with_name(part.name + ".kept")
        with suppress(FileNotFoundError):
            part.rename(hidden)
            moved.append((part, hidden))
    try:
        yield
    finally:
        for part, hidden in moved:
            hidden.rename(part)


def _numbers(path: Path) -> Iterator[int]:
    begin = f"{path.name}.damaged-"
    for found in path.parent.iterdir():
        number = found.name.removeprefix(begin)
        if found.name.startswith(begin) and number.isdigit():
            yield int(number)

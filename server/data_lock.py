"""One process at a time writes to a data folder: the lock dies with the process that holds it, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.errors import DataInUse

FILE = "hub.lock"


@contextmanager
def data_lock(data_dir: Path) -> Iterator[None]:
    """Be the one who writes to a data folder; raises DataInUse where another process is, OSError as the disk does."""
    path = data_dir / FILE
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 20).decode("ascii", "replace").strip()
            raise DataInUse(
                f"another process{f' ({holder})' if holder else ''} writes to the data folder",
                where=str(data_dir),
                hint="stop the hub that runs there, or give another data_dir",
            ) from None
        os.truncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)

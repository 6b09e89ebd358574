"""The memory of a process that starts large and then runs for years: held together, and given back once it is free.

The C library keeps what one thread has freed for that thread, and moves its border between small and large blocks up
to whatever was freed last; both leave a hub with tens of megabytes that nobody uses. Only glibc can be told otherwise.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Parameters of mallopt(3)."""
_MEGABYTE = 1 << 20


def prepare() -> None:
    """Before anything large is made: blocks from a megabyte on go back to the system when they are freed, and all
    threads share two pools."""
    library = _glibc()
    if library is not None:
        library.mallopt(_MMAP_THRESHOLD, _MEGABYTE)
        library.mallopt(_TRIM_THRESHOLD, 16 * _MEGABYTE)
        library.mallopt(_ARENA_MAX, 2)


def settle() -> None:
    """After a start: collect what nobody needs, give its memory back, and look at the rest no more when garbage is
    collected."""
    gc.collect()
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)
    gc.freeze()


def _glibc() -> Any:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None

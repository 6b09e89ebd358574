"""The memory that a start has used and freed, given back to the system."""

from __future__ import annotations

import ctypes
import gc
import sys


def settle() -> None:
    """Collect what nobody needs, give its memory back, and look at the rest no more when garbage is collected.

    Work on other threads takes memory from pools of their own, which the C library keeps when it is freed. With
    glibc they are emptied; elsewhere only the collecting is done.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
    gc.freeze()

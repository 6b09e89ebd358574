"""How much of everything is measured."""

from __future__ import annotations

from enum import Enum


class Size(Enum):
    """FULL for figures to be quoted, QUICK for a look while working, TINY to see that the benchmarks work."""

    FULL = "full"
    QUICK = "quick"
    TINY = "tiny"

"""Readings on their way to the store, as what computes rollups knows of them."""

from __future__ import annotations

from typing import Protocol

from historian.rollups.marks import Arrivals, Touched

_NEVER = 1 << 62


class _Closed(Protocol):
    def __call__(self, opening: Opening, *, stored: bool) -> None: ...


class Opening:
    """Readings of hours that are not settled; `late`: others that came with them are marked in the file already."""

    def __init__(self, closed: _Closed, arrivals: Arrivals, *, late: bool) -> None:
        self._closed = closed
        self.arrivals = arrivals
        self.late = late
        self.touched: Touched | None = None
        self.oldest_ms = int(arrivals.time_ms.min()) if len(arrivals.time_ms) else _NEVER

    def close(self, *, stored: bool) -> None:
        """They are stored, or are not."""
        self._closed(self, stored=stored)

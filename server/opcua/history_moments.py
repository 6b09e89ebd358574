"""Times of history requests."""

from __future__ import annotations

from datetime import datetime

from address_space.model.clock import from_datetime

NULL_TIMES_NS = -11_644_473_600 * 1_000_000_000
"""1601-01-01, which is how a null DateTime arrives."""
_BOUND_NS = 4_500_000_000_000_000_000
"""Twice that still fits 64 bits."""


def moment_ns(moment: datetime | None) -> int | None:
    """A time that a client gave, None where it gave none; times more than 142 years from 1970 come nearer."""
    if moment is None:
        return None
    ns = from_datetime(moment)
    return None if ns <= NULL_TIMES_NS else max(min(ns, _BOUND_NS), -_BOUND_NS)

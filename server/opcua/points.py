"""Continuation points: opaque, random, few a session, each good for one continuation."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import Generic, TypeVar

_POINT_BYTES = 16
T = TypeVar("T")


class ContinuationPoints(Generic[T]):
    """What a session may continue. Beyond `limit` the oldest is released (Part 4 7.9)."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[bytes, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def keep(self, state: T) -> bytes:
        """Remember where to continue."""
        point = secrets.token_bytes(_POINT_BYTES)
        self._held[point] = state
        while len(self._held) > self._limit:
            self._held.popitem(last=False)
        return point

    def take(self, point: bytes) -> T | None:
        """Give back and forget; None where the point is unknown or released."""
        return self._held.pop(point, None)

    def clear(self) -> None:
        """Release all."""
        self._held.clear()

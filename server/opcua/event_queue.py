"""The queue of an event item, and what is told when it overflows (Part 4 5.13.1.5, 7.22.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class EventQueue:
    """Written events, oldest first, at most `size`.

    On overflow an EventQueueOverflowEvent comes on top, once until it is taken: before the others where the oldest
    gives way, behind them where the newest does. It is never pushed out itself.
    """

    def __init__(self, size: int, *, discard_oldest: bool) -> None:
        self._events: deque[bytes] = deque()
        self._overflow: bytes | None = None
        self._size = size
        self._discard_oldest = discard_oldest

    def __len__(self) -> int:
        return len(self._events) + (self._overflow is not None)

    def resize(self, size: int, *, discard_oldest: bool, overflow: Callable[[], bytes]) -> None:
        """Change the bounds; events that find no place any more are lost as in any overflow."""
        self._size, self._discard_oldest = size, discard_oldest
        while len(self._events) > size:
            self._lose(overflow)

    def put(self, written: bytes, overflow: Callable[[], bytes]) -> None:
        """Keep an event; `overflow` makes the event that tells of a loss."""
        if len(self._events) >= self._size:
            self._lose(overflow)
        self._events.append(written)

    def take(self, most: int) -> list[bytes]:
        """Up to `most` entries, oldest first."""
        if most <= 0:
            return []
        taken: list[bytes] = []
        if self._overflow is not None and self._discard_oldest:
            taken.append(self._overflow)
            self._overflow = None
        while self._events and len(taken) < most:
            taken.append(self._events.popleft())
        if self._overflow is not None and len(taken) < most:
            taken.append(self._overflow)
            self._overflow = None
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self._events.clear()
        self._overflow = None

    def _lose(self, overflow: Callable[[], bytes]) -> None:
        if self._discard_oldest:
            self._events.popleft()
        else:
            self._events.pop()
        if self._overflow is None:
            self._overflow = overflow()

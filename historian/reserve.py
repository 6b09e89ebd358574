"""Room on the disk that is kept back: to empty a file one must be able to write."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class Reserve:
    """A file of zeros that can be given away when the disk is full. With size 0 there is none and none is missed."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        self._size = size_bytes
        self._is_held = False

    def take(self) -> bool:
        """Have the room; False where the disk has not that much."""
        return self._is_held or not self._size or self._hold(self._size)

    def take_what_is_left(self) -> None:
        """Have the room, or as much of it as the disk has, in steps of an eighth."""
        if not self._is_held:
            any(self._hold(self._size * eighths // 8) for eighths in range(8, 0, -1) if self._size)

    def _hold(self, size_bytes: int) -> bool:
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(handle, 0, size_bytes)
            finally:
                os.close(handle)
        except OSError:
            self.release()
            return False
        self._is_held = True
        return True

    def release(self) -> bool:
        """Give the room away; whether there was any."""
        held, self._is_held = self._is_held, False
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        return held

"""Direction of a two-wire bus switched by RTS, where the port's own driver does not do it."""

from __future__ import annotations

import array
import asyncio
import fcntl
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from drivers.transport.options import SerialSettings
from drivers.transport.port import Rs485

LOOK_S = 0.001
"""How often it is looked whether the last byte has left; so much later than a driver of the port this switches back."""
TIOCSERGETLSR = 0x5459
"""Of Linux; Python does not name it."""
TRANSMITTER_EMPTY = 1
"""TIOCSER_TEMT of ioctl_tty(2)."""


class RtsDirection:
    """Drives RTS: `begin` before the first byte is written, `written` when the port has taken all of them."""

    def __init__(
        self, port: Any, rs485: Rs485, loop: asyncio.AbstractEventLoop, lose: Callable[[BaseException], None]
    ) -> None:
        self._port = port
        self._rs485 = rs485
        self._loop = loop
        self._lose = lose
        self._level = rs485.direction == "rts_high"
        self._timer: asyncio.TimerHandle | None = None
        port.rts = not self._level

    def begin(self, write: Callable[[], None]) -> None:
        """Switch to sending, and have `write` called when it may begin; raises OSError."""
        self.stop()
        self._port.rts = self._level
        if self._rs485.before_s:
            self._timer = self._loop.call_later(self._rs485.before_s, write)
        else:
            write()

    def written(self, size: int, settings: SerialSettings) -> None:
        """The port has taken all `size` bytes: switch back once they have left."""
        self.stop()
        self._timer = self._loop.call_later(size * settings.character_s, self._look)

    def stop(self) -> None:
        """Have nothing more happen."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        try:
            if not self._sent():
                self._timer = self._loop.call_later(LOOK_S, self._look)
            elif self._rs485.after_s:
                self._timer = self._loop.call_later(self._rs485.after_s, self._back)
            else:
                self._back()
        except OSError as error:
            self._lose(error)

    def _back(self) -> None:
        try:
            self._port.rts = not self._level
        except OSError as error:
            self._lose(error)

    def _sent(self) -> bool:
        """Whether nothing waits in the driver, nor in the port itself where it tells."""
        (waiting,) = struct.unpack("i", fcntl.ioctl(self._port.fileno(), termios.TIOCOUTQ, bytes(4)))
        if waiting:
            return False
        state = array.array("i", [TRANSMITTER_EMPTY])
        with suppress(OSError):
            fcntl.ioctl(self._port.fileno(), TIOCSERGETLSR, state)
        return bool(state[0] & TRANSMITTER_EMPTY)

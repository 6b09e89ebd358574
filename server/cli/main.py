"""Entry of the `joulehub` command, which loads next to nothing: the commands take a second to load, and whoever stops
the program meanwhile is obeyed at once.

Exit status: 0 done, 1 refused or wrong, 2 usage; stopped before there was anything to stop in order 130 (Ctrl-C) or
143 (SIGTERM).
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

STOPS = (signal.SIGINT, signal.SIGTERM)
BY_SIGNAL = 128
"""Added to the number of a signal it is the exit status of a program that the signal ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; without `argv` as the program, which listens to signals."""
    if argv is not None:
        return _obey(argv)
    _have_streams()
    with suppress(RuntimeError, OSError, ValueError):
        faulthandler.enable()  # a fault in memory leaves a word on standard error
    _on_signals(lambda number: os._exit(BY_SIGNAL + number))
    status = _obey(None)
    _on_signals(lambda _: os._exit(status))
    return status


def _obey(argv: Sequence[str] | None) -> int:
    from server.cli.commands import obey

    if argv is None:
        _on_signals(_unwind)
    return obey(argv)


def _unwind(number: int) -> None:
    """Leave what is being done as an exception does: what is half done is cleared away."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(BY_SIGNAL + number)


def _on_signals(react: Callable[[int], None]) -> None:
    """React to what asks the program to stop, except where its parent lets it ignore that."""

    def handle(number: int, _: FrameType | None) -> None:
        react(number)

    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handle)


def _have_streams() -> None:
    """Have all three standard streams: where one is closed, the next file or connection would take its place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))

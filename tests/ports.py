"""Ports of the loopback interface for tests that must know one before anybody listens there."""

from __future__ import annotations

import contextlib
import random
import socket
from itertools import count

FIRST, END = 12_000, 32_000
"""Below the ports that systems give to connections and to listeners without a wish: none of those can take one
between the moment when it was found free and the moment when it is used."""

_numbers = count(random.randrange(END - FIRST))


def free_port() -> int:
    """A port that nobody uses now, for TCP and for UDP; none is given twice to one process."""
    for number in _numbers:
        port = FIRST + number % (END - FIRST)
        with (
            contextlib.suppress(OSError),
            socket.socket() as stream,
            socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        ):
            stream.bind(("127.0.0.1", port))
            datagrams.bind(("127.0.0.1", port))
            return port
    raise AssertionError("the numbers do not end")

"""A sink for tests of what comes out of the spool."""

from __future__ import annotations

from historian.forwarder import Answer, Reply


class Heap:
    """A sink that takes everything."""

    name = "influx"

    def __init__(self) -> None:
        self.kept: set[bytes] = set()

    async def post(self, lines: bytes) -> Reply:
        self.kept.update(lines.split(b"\n"))
        return Reply(Answer.STORED)

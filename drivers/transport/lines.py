"""All lines of a hub: makes each channel's link, and owns what several of them share."""

from __future__ import annotations

import asyncio
import resource
from contextlib import suppress
from types import TracebackType
from typing import Self

from address_space.model.clock import Clock
from drivers.errors import ProfileError
from drivers.transport.clashes import clash
from drivers.transport.echo import EchoLink
from drivers.transport.link import Link
from drivers.transport.options import LineOptions
from drivers.transport.packets import Rules
from drivers.transport.port import Rs485
from drivers.transport.serial import SerialLink
from drivers.transport.switchboard import Switchboard
from drivers.transport.tcp import TcpLink
from drivers.transport.trace import Trace
from drivers.transport.traced import TracedLink
from drivers.transport.udp import UdpLink

SPARE_FILES = 512
"""Open files that the rest of the hub may need beside one for each line and as many for modems not yet known."""


class Lines:
    """Makes links; `async with` opens what they share (ports that modems dial in to) and closes it.

    With `trace` every byte is recorded there, of the channels `traced` where some are named.
    """

    def __init__(self, clock: Clock, trace: Trace | None = None, traced: frozenset[str] = frozenset()) -> None:
        self._clock = clock
        self._trace = trace
        self._traced = traced
        self._taken: dict[str, LineOptions] = {}
        self._boards: dict[tuple[str, int], Switchboard] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        _allow_files(2 * len(self._taken) + SPARE_FILES)
        if self._trace is not None:
            self._trace.open()
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        for board in self._boards.values():
            await board.listen()
            self._run(board)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks, self._tasks = self._tasks, None
        for task in self._running:
            task.cancel()
        self._running.clear()
        try:
            if tasks is not None:
                await tasks.__aexit__(None, None, None)
        finally:
            if self._trace is not None:
                await asyncio.to_thread(self._trace.close)

    def link(self, channel: str, options: LineOptions) -> Link:
        """The line of a channel, closed as yet. Raises ProfileError where it cannot stand beside another channel's."""
        trouble = clash(channel, options, self._taken)
        if trouble is not None:
            raise ProfileError(trouble.what, where=channel, hint=trouble.hint)
        self._taken[channel] = options
        link = self._bare(channel, options)
        if self._trace is not None and (not self._traced or channel in self._traced):
            link = TracedLink(link, self._trace.of(channel), self._clock)
        return EchoLink(link, channel, self._clock) if options.echo else link

    def _bare(self, channel: str, options: LineOptions) -> Link:
        patience_s = options.connect_timeout_ms / 1000
        if options.transport == "serial":
            rs485 = Rs485(options.rs485, options.rs485_before_ms / 1000, options.rs485_after_ms / 1000)
            return SerialLink(channel, options.device, options.serial, rs485, patience_s)
        if options.transport == "dial_in" and options.listen_port is not None:
            board = self._board(options.listen_host, options.listen_port, Rules.of(options))
            return board.link(channel, options.modem, patience_s)
        if options.port is None:
            raise ProfileError(f"no line of kind {options.transport}", where=channel, hint="give it a port")
        if options.transport == "udp":
            return UdpLink(channel, options.host, options.port, options.local_port, patience_s)
        return TcpLink(channel, options.host, options.port, patience_s)

    def _board(self, host: str, port: int, rules: Rules) -> Switchboard:
        board = self._boards.get((host, port))
        if board is None:
            board = self._boards[host, port] = Switchboard(host, port, rules, self._clock)
            if self._tasks is not None:
                self._run(board)
        return board

    def _run(self, board: Switchboard) -> None:
        if self._tasks is not None:
            self._running.append(self._tasks.create_task(board.run(), name=f"modems {board.place}"))


def _allow_files(needed: int) -> None:
    """Systems let a program have 1,024 files open by default, and more where it asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

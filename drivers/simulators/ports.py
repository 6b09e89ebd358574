"""Where a simulated bus can be plugged in: a listening port, a pseudo-terminal, a modem that dials in.

Each is started and stopped like a plug that is put in and pulled, any number of times.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
import tty
from collections.abc import Callable
from errno import EEXIST
from pathlib import Path
from typing import Protocol, cast

from address_space.model.clock import Clock
from drivers.errors import ChannelDown
from drivers.simulators.bus import FarEnd
from drivers.simulators.listening import ListeningPort, end
from drivers.transport import Arrivals, SerialSettings

READ_AT_ONCE = 4096
_PSEUDO = ("/dev/pts/", "/dev/ttys")
"""How the names of pseudo-terminals begin, on Linux and elsewhere."""
_SPEEDS = {
    getattr(termios, f"B{baud}"): baud for baud in (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
}


class Bus(Protocol):
    """What is plugged in: a simulated bus, or a recorded one."""

    name: str
    settings: SerialSettings | None

    async def serve(self, link: FarEnd) -> None:
        """Answer what comes over `link` until it is lost."""


class TcpPort(ListeningPort):
    """A gateway: the bus behind a listening TCP port, for any number of clients; a port of 0 is chosen once."""

    def __init__(self, bus: Bus, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host, port, lambda: _Plug(self._serve), self._cut)
        self.bus = bus
        self._serving: dict[_Plug, asyncio.Task[None]] = {}

    async def _cut(self) -> None:
        for plug in tuple(self._serving):
            plug.close()
        await end(self._serving.values())

    def _serve(self, plug: _Plug) -> None:
        task = asyncio.get_running_loop().create_task(
            self.bus.serve(plug), name=f"simulated bus {self.bus.name} at port {self.port}"
        )
        self._serving[plug] = task
        task.add_done_callback(lambda _: self._parted(plug))

    def _parted(self, plug: _Plug) -> None:
        self._serving.pop(plug, None)
        plug.close()


class PseudoTerminal:
    """A serial port of this machine that leads to the bus: `path` becomes a link to it, and goes when it is pulled.

    Only a link to a pseudo-terminal that was left behind is replaced. Where the bus has a speed, whoever opened the
    port with another one is not understood, as on a real line.
    """

    def __init__(self, bus: Bus, path: Path) -> None:
        self.bus = bus
        self.path = path
        self.port = 0
        self._terminal: _Terminal | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def place(self) -> str:
        """The path of the port."""
        return str(self.path)

    @property
    def running(self) -> bool:
        """Whether the port is there."""
        return self._terminal is not None

    async def start(self) -> None:
        """Make the port; nothing happens where it is there. Raises OSError, FileExistsError where something stands
        at the path that is no link to a pseudo-terminal."""
        if self._terminal is not None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        clear_link(self.path)
        terminal = _Terminal(self.bus.settings.baud if self.bus.settings else None)
        try:
            self.path.symlink_to(terminal.device)
        except OSError:
            terminal.close()
            raise
        self._terminal = terminal
        self._task = asyncio.get_running_loop().create_task(
            self.bus.serve(terminal), name=f"simulated bus {self.bus.name} at {self.path}"
        )

    async def stop(self) -> None:
        """Pull the plug: whoever has the port open sees the line hang up."""
        terminal, self._terminal = self._terminal, None
        task, self._task = self._task, None
        if terminal is None or task is None:
            return
        if self.path.is_symlink() and str(self.path.readlink()) == terminal.device:
            self.path.unlink()
        terminal.close()
        await end((task,))


def clear_link(path: Path) -> None:
    """Remove a link to a pseudo-terminal that was left behind; raises FileExistsError where something else is there."""
    if path.is_symlink() and str(path.readlink()).startswith(_PSEUDO):
        path.unlink()
    elif path.is_symlink() or path.exists():
        raise FileExistsError(EEXIST, "there is a file already, and no link to a pseudo-terminal", str(path))


class DialOut:
    """A modem at the bus that calls the hub: tells who it is, sends heartbeats, and calls again when it was cut off."""

    def __init__(
        self,
        bus: Bus,
        host: str,
        port: int,
        clock: Clock,
        *,
        registration: bytes = b"",
        heartbeat: bytes = b"",
        heartbeat_s: float = 60.0,
        redial_s: float = 5.0,
    ) -> None:
        self.bus = bus
        self.host = host
        self.port = port
        self.calls = 0
        self.registration = registration
        self._clock = clock
        self._heartbeat = heartbeat
        self._heartbeat_s = heartbeat_s
        self._redial_s = redial_s
        self._plug: _Plug | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def place(self) -> str:
        """Whom it calls, in words."""
        return f"calls to port {self.port}"

    @property
    def running(self) -> bool:
        """Whether it calls."""
        return self._task is not None

    async def start(self) -> None:
        """Call the hub, and go on doing so; nothing happens where it already does."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._dial_on(), name=f"modem of bus {self.bus.name}")

    async def stop(self) -> None:
        """Cut the line and call no more."""
        task, self._task = self._task, None
        self.hang_up()
        if task is not None:
            await end((task,))

    def hang_up(self) -> None:
        """Lose the connection, as modems do; it calls again after `redial_s`."""
        if self._plug is not None:
            self._plug.close()

    async def _dial_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(OSError):
                _, self._plug = await loop.create_connection(lambda: _Plug(None), self.host, self.port)
                self.calls += 1
                await self._talk(self._plug)
            await self._clock.sleep(self._redial_s)

    async def _talk(self, plug: _Plug) -> None:
        with contextlib.suppress(ChannelDown):
            if self.registration:
                plug.send(self.registration)
            beat = asyncio.get_running_loop().create_task(self._beat(plug), name=f"heartbeat of bus {self.bus.name}")
            try:
                await self.bus.serve(plug)
            finally:
                await end((beat,))
                plug.close()

    async def _beat(self, plug: _Plug) -> None:
        with contextlib.suppress(ChannelDown):
            while self._heartbeat:
                await self._clock.sleep(self._heartbeat_s)
                plug.send(self._heartbeat)


class _Plug(asyncio.Protocol):
    """One TCP connection as the far end of a link."""

    def __init__(self, made: Callable[[_Plug], None] | None) -> None:
        self._made = made
        self._arrivals = Arrivals()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        if self._made is not None:
            self._made(self)

    def data_received(self, data: bytes) -> None:
        self._arrivals.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._transport = None
        self._arrivals.lose(ChannelDown("the other side has gone"))

    def send(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise ChannelDown("the other side has gone")
        self._transport.write(data)

    async def receive(self, limit_s: float) -> bytes:
        return await self._arrivals.receive(limit_s)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _Terminal:
    """The machine's end of a pseudo-terminal. The other end is kept open too, so that clients may come and go."""

    def __init__(self, baud: int | None) -> None:
        self._baud = baud
        self._arrivals = Arrivals()
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.device = os.ttyname(self._theirs)
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    def send(self, data: bytes) -> None:
        if self._ours < 0:
            raise ChannelDown("the plug was pulled")
        # Where nobody reads, the terminal's buffer fills and the rest is lost, as on a line without listeners.
        with contextlib.suppress(BlockingIOError):
            os.write(self._ours, data)

    async def receive(self, limit_s: float) -> bytes:
        return await self._arrivals.receive(limit_s)

    def close(self) -> None:
        ours, self._ours = self._ours, -1
        if ours < 0:
            return
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
        os.close(self._theirs)
        self._arrivals.lose(ChannelDown("the plug was pulled"))

    def _read(self) -> None:
        try:
            data = os.read(self._ours, READ_AT_ONCE)
        except BlockingIOError:
            return
        except OSError as error:
            self._arrivals.lose(ChannelDown(f"the terminal is gone: {error.strerror}"))
            return
        self._arrivals.feed(data if self._understood() else bytes(byte ^ 0x5A for byte in data))

    def _understood(self) -> bool:
        speed = termios.tcgetattr(self._theirs)[5]
        return self._baud is None or _SPEEDS.get(speed, self._baud) == self._baud

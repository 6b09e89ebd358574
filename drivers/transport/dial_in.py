"""The line of a channel whose modem connects to the hub."""

from __future__ import annotations

import asyncio
from typing import Protocol

from drivers.errors import ChannelDown
from drivers.transport.link import Arrivals, Hearing
from drivers.transport.options import SerialSettings


class Caller(Protocol):
    """A connection of a modem that has registered."""

    @property
    def peer(self) -> str:
        """Where it comes from."""

    def send(self, data: bytes) -> None:
        """Send; raises OSError where the connection takes no more."""

    def drop(self) -> None:
        """Cut it off; never raises."""


class Board(Protocol):
    """What a link needs of its switchboard."""

    @property
    def place(self) -> str:
        """Address and port."""

    @property
    def trouble(self) -> str:
        """Why nobody can connect at all; empty while it listens."""


class DialInLink(Hearing):
    """`Link` over whichever connection of its modem is the newest. While none stands, the channel is down."""

    def __init__(self, channel: str, modem: str, board: Board, wait_s: float) -> None:
        super().__init__()
        self._channel = channel
        self._modem = modem
        self._board = board
        self._wait_s = wait_s
        self._caller: Caller | None = None
        self._using: Caller | None = None
        self._awaited: asyncio.Future[None] | None = None
        self._arrivals.lose(self._down("the line is closed"))

    @property
    def channel(self) -> str:
        """The channel it belongs to."""
        return self._channel

    @property
    def name(self) -> str:
        """The modem, and where it comes from."""
        where = self._caller.peer if self._caller is not None else self._board.place
        return f"modem {self._modem} at {where}"

    @property
    def caller(self) -> Caller | None:
        """The newest connection of the modem."""
        return self._caller

    @property
    def connected(self) -> bool:
        """Whether the connection that was opened still stands."""
        return self._using is not None and not self._arrivals.lost

    @property
    def character_s(self) -> float:
        """Unknown behind a modem."""
        return 0.0

    async def open(self) -> None:
        """Wait for the modem; raises ChannelDown where it does not come in time."""
        self.close()
        if self._caller is None and not self._board.trouble:
            self._awaited = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(self._wait_s):
                    await self._awaited
            except TimeoutError:
                pass
            finally:
                self._awaited = None
        if self._caller is None:
            if self._board.trouble:
                raise self._down(self._board.trouble, "free the port or choose another listen_port")
            raise self._down(
                f"the modem {self._modem} has not dialled in",
                "check its power, its SIM card and the server address that it is set to",
            )
        self._using = self._caller
        self._arrivals = Arrivals()

    def close(self) -> None:
        """Cut off the connection that was in use, so that the modem dials in anew; one that came later is kept."""
        using, self._using = self._using, None
        self._arrivals.lose(self._down("the line was closed"))
        if using is not None:
            using.drop()

    def send(self, data: bytes) -> None:
        """Send; raises ChannelDown."""
        if self._using is None or self._arrivals.lost:
            raise self._down("the modem is not connected")
        try:
            self._using.send(data)
        except (OSError, RuntimeError) as error:
            raise self._down(f"the modem does not take what is sent: {error}") from error

    def tune(self, settings: SerialSettings) -> None:
        """The modem keeps its own serial settings."""

    # called by the switchboard

    def accept(self, caller: Caller) -> Caller | None:
        """The modem has connected; returns the connection that it replaces."""
        before, self._caller = self._caller, caller
        if self._using is not None:
            self._arrivals.lose(self._down("the modem has dialled in anew"))
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)
        return before

    def gone(self, caller: Caller, why: str) -> None:
        """A connection of the modem has ended."""
        if self._caller is caller:
            self._caller = None
        if self._using is caller:
            self._arrivals.lose(self._down(why))

    def heard(self, caller: Caller, data: bytes) -> None:
        """Bytes of devices have arrived."""
        if self._using is caller:
            self._arrivals.feed(data)

    def _down(self, what: str, hint: str = "") -> ChannelDown:
        return ChannelDown(what, where=f"{self._channel} ({self.name})", hint=hint)

"""Where simulated meters are plugged in: what stands at the other end of a channel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from drivers.simulators.framing import Framing
from drivers.transport import SerialSettings


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One listening port of Modbus devices. `name` tells apart endpoints whose port 0 lets the system choose."""

    host: str = "127.0.0.1"
    port: int = 0
    framing: Framing = Framing.TCP
    name: str = ""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A listening TCP port with a bus behind it."""

    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True, slots=True)
class Datagrams:
    """A UDP port with a bus behind it."""

    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True, slots=True)
class Terminal:
    """A serial port of this machine: `path` becomes a link to a pseudo-terminal."""

    path: Path


@dataclass(frozen=True, slots=True)
class Modem:
    """A modem that dials in to the hub at `host` and `port`, and again `redial_s` after the call ended."""

    host: str
    port: int
    registration: bytes = b""
    heartbeat: bytes = b""
    heartbeat_s: float = 30.0
    redial_s: float = 2.0


@dataclass(frozen=True, slots=True)
class BusEndpoint:
    """One bus with meters of any protocols on it.

    settings      speed and format, by which it takes its time; None takes none
    turnaround_s  silence between a request and its answer
    echo          the line hears itself
    framing       how its Modbus meters delimit their frames
    """

    at: Gateway | Datagrams | Terminal | Modem
    name: str = ""
    settings: SerialSettings | None = None
    turnaround_s: float = 0.0
    echo: bool = False
    framing: Framing = Framing.RTU


class Plug(Protocol):
    """An endpoint of a fleet that can be put in and pulled, any number of times."""

    @property
    def place(self) -> str:
        """Where it is, in words."""

    @property
    def running(self) -> bool:
        """Whether it is put in."""

    @property
    def port(self) -> int:
        """Its port once it was started; 0 where it has none."""

    async def start(self) -> None:
        """Put it in; nothing happens where it is in. Raises OSError where that cannot be."""

    async def stop(self) -> None:
        """Pull it; nothing happens where it is out."""

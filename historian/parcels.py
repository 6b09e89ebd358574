"""What goes through the spool, and what is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from historian.schema import Measurement


@dataclass(frozen=True, slots=True)
class Parcel:
    """Line protocol for one sink, all of one measurement. `lines` carries no newline at its end; times are in ms."""

    sink: str
    measurement: Measurement
    lines: bytes
    count: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A parcel as it lies in the spool, under its number."""

    id: int
    parcel: Parcel
    tries: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Lines that a sink refuses for good, and what it said. `lines` is empty where they cannot be read any more."""

    id: int
    sink: str
    measurement: str
    count: int
    error: str
    at_ms: int
    lines: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of parcels that were sent: gone, tried in vain, refused for good, or cut into others.

    dead  number, the sink's words
    cut   number, the parcels that take its place
    """

    done: Sequence[int] = ()
    tried: Sequence[int] = ()
    dead: Sequence[tuple[int, str]] = ()
    cut: Sequence[tuple[int, Sequence[Parcel]]] = ()


@dataclass(frozen=True, slots=True)
class SpoolState:
    """How much waits, and what was given up since the spool was made, in lines.

    oldest_ms  time of the oldest line that waits, 0 where none does
    shed       by measurement, for want of room
    damaged    lines that could not be read back
    """

    parcels: int
    lines: int
    bytes: int
    oldest_ms: int
    dead: int
    damaged: int
    shed: dict[str, int]

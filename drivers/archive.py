"""The driver contract's optional part for meters with a memory: what they recorded while nobody asked.

A meter's memory is one or more books. Asking is in pieces of one exchange each, so that commands and polling pass
between any two of them; reading what came is pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from address_space.model.quantity import Quantity
from drivers.api import Device, Request


class Archived(NamedTuple):
    """One value that a meter kept: base units, at the moment its own clock gave it.

    step  of a register that only goes on: what its last digit is worth; 0 where it may go back, or nobody knows
    """

    time_ms: int
    quantity: Quantity
    value: float
    status: int
    step: float = 0.0


@dataclass(frozen=True, slots=True)
class Book:
    """One kind of records in a meter's memory.

    quantities  what its records hold, at most
    reach_ms    how far back it goes at most
    last_resort whether it is asked only for times of which no other book told anything
    """

    name: str
    key: Any
    quantities: frozenset[Quantity]
    reach_ms: int
    last_resort: bool = False


@dataclass(frozen=True, slots=True)
class Recalled:
    """What an answer holds: all that the meter has up to, not including, `told_ms`.

    again  where the records lie is still being looked for: nothing is told yet, and the same `recall` goes on
    """

    values: Sequence[Archived]
    told_ms: int
    again: bool = False


@runtime_checkable
class Archive(Protocol):
    """A driver some of whose devices have a memory."""

    def books(self, device: Device) -> Sequence[Book]:
        """The books that such a device may have, best first; a device that has not refuses (DeviceRefused)."""

    def recall(self, device: Device, book: Book, start_ms: int, end_ms: int, now_ms: int) -> Request | None:
        """One exchange that asks for the first records of [start_ms, end_ms), for `Driver.request`; None where this
        book has none by its nature. Raises DeviceRefused where it cannot be asked just now."""

    def recalled(self, device: Device, request: Request, answer: Any) -> Recalled:
        """Pure: the values in the answer to a `recall` that lie in what was asked for."""

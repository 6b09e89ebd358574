"""Orders to read meters' memories again: what was asked for, by whom, how far it is and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from address_space.model.ids import NodeUid


class OrderState(IntEnum):
    """How far an order is; the number is its name in storage, frozen."""

    WAITING = 0
    """No hub has seen it yet."""
    RUNNING = 1
    DONE = 2
    """Every unit was carried out to its end, well or not."""
    CANCELLED = 3


OPEN = (OrderState.WAITING, OrderState.RUNNING)


class UnitState(IntEnum):
    """How far one unit of an order is; the number is its name in storage, frozen."""

    WAITING = 0
    DONE = 1
    FAILED = 2


class Hitch(IntEnum):
    """What stands in the way of a unit; the number is its name in storage, frozen."""

    NONE = 0
    SILENT = 1
    """The meter did not answer."""
    LINE_DOWN = 2
    REFUSED = 3
    """The meter refuses to tell its memory."""
    GARBLED = 4
    """What the meter answered is no answer to what was asked."""
    NO_MEMORY = 5
    """No memory of such a meter is known."""
    GONE = 6
    """The plant has no such unit any more, or it is not read."""
    HISTORY = 7
    """The history could not be read or written."""
    FAULT = 8
    """An error of the hub itself."""
    NOT_EXPECTED = 9
    """Nothing was expected of the unit in that time: it is done, and nothing could be missing."""


class Wish(NamedTuple):
    """What is to be ordered: units, and from (counted) to (not counted) when."""

    units: tuple[NodeUid, ...]
    from_ms: int
    to_ms: int
    by: str


@dataclass(frozen=True, slots=True)
class Order:
    """An order as a whole. `wanted`, `filled` and `lacking` are slots of all its units.

    by        who ordered it
    begun_ms  when a hub took it up, 0 before; what was not expected by then is not of the order
    ended     units that are done or failed
    wanted    slots that were missing when it was taken up, also such as were given up before
    lacking   slots of which the meters' memories told nothing
    """

    number: int
    by: str
    at_ms: int
    from_ms: int
    to_ms: int
    state: OrderState
    begun_ms: int
    ended_ms: int
    units: int
    ended: int
    failed: int
    wanted: int
    filled: int
    lacking: int

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done for it."""
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class OrderedUnit:
    """One unit of an order.

    place    its number in the order
    next_ms  slots before it are settled
    tries    attempts that failed
    hitch    why it failed or had nothing to do, or why the last attempt failed; `detail` is what was said to that
    """

    place: int
    point: NodeUid
    state: UnitState
    next_ms: int
    wanted: int
    filled: int
    lacking: int
    tries: int
    hitch: Hitch
    detail: str

    @property
    def is_waiting(self) -> bool:
        """Whether something is still to be done for it."""
        return self.state is UnitState.WAITING


@dataclass(frozen=True, slots=True)
class OrdersState:
    """Orders that are open, the slots they want and those that are not settled yet, and when the last one ended.

    trouble  why orders cannot be carried out, empty while they can
    """

    open: int = 0
    wanted: int = 0
    left: int = 0
    ended_ms: int = 0
    trouble: str = ""

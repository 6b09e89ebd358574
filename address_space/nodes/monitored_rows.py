"""Monitored items as rows: their columns, what passes their filters, and how a full queue gives way (Part 4 5.13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from address_space.model.quantity import DataType
from address_space.model.value import Handles, Instants, Statuses, Values
from address_space.nodes.wire import Timestamps

OVERFLOW = 0x0480
"""Info type DataValue with the overflow bit (Part 4 7.39.1)."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Readings of points, each taken in a round of `Projection.touch`, shape (n,) each."""

    rounds: NDArray[np.int64]
    handles: Handles
    values: Values
    status: Statuses
    source_ns: Instants
    server_ns: Instants


class Want(IntFlag):
    """What an item needs to be told of."""

    CHANGE = 1
    EACH = 2
    QUEUE = 4


class Mode(IntEnum):
    """MonitoringMode (Part 4 7.23)."""

    DISABLED = 0
    SAMPLING = 1
    REPORTING = 2


class Trigger(IntEnum):
    """DataChangeTrigger (Part 4 7.22.2)."""

    STATUS = 0
    STATUS_VALUE = 1
    STATUS_VALUE_TIMESTAMP = 2


@dataclass(frozen=True, slots=True)
class ItemSpec:
    """One item as asked for and revised.

    deadband     absolute, in the shown unit; negative where there is none
    sampling_ns  0 samples at each poll; more skips polls until that time has passed
    """

    id: int
    handle: int
    client_handle: int
    mode: Mode = Mode.REPORTING
    trigger: Trigger = Trigger.STATUS_VALUE
    deadband: float = -1.0
    sampling_ns: int = 0
    queue_size: int = 1
    discard_oldest: bool = True
    timestamps: Timestamps = Timestamps.BOTH


# source: triggers other items; fired: it has sampled something since it was last asked; released: was triggered itself
ITEM: np.dtype[np.void] = np.dtype(
    [
        ("id", np.int64),
        ("handle", np.int64),
        ("client", np.uint32),
        ("type", np.uint8),
        ("mode", np.uint8),
        ("trigger", np.uint8),
        ("timestamps", np.uint8),
        ("oldest", np.bool_),
        ("dirty", np.bool_),
        ("fresh", np.bool_),
        ("source", np.bool_),
        ("fired", np.bool_),
        ("released", np.bool_),
        ("deadband", np.float64),
        ("sampling", np.int64),
        ("due", np.int64),
        ("size", np.int64),
        ("seen", np.int64),
        ("last_value", np.float64),
        ("last_status", np.uint32),
    ],
    align=True,
)
ENTRY: np.dtype[np.void] = np.dtype(
    [
        ("id", np.int64),
        ("value", np.float64),
        ("status", np.uint32),
        ("source", np.int64),
        ("server", np.int64),
    ],
    align=True,
)


def revise_texts(rows: NDArray[np.void]) -> None:
    """Texts stand only in the live table, so an item on one never queues; and it has no deadband."""
    is_text = (rows["type"] == DataType.STRING) | (rows["type"] == DataType.LOCALIZED_TEXT)
    rows["size"][is_text] = 1


def passes(items: NDArray[np.void], value: NDArray[np.float64], status: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which changes are reported: status always; a value by the trigger and the deadband against the last reported."""
    last = items["last_value"]
    beyond: NDArray[np.bool_] = ~(np.abs(value - last) <= items["deadband"])
    passed: NDArray[np.bool_] = (status != items["last_status"]) | ((items["trigger"] != Trigger.STATUS) & beyond)
    return passed


def trimmed(queue: NDArray[np.void], items: NDArray[np.void]) -> NDArray[np.void]:
    """The queue with no more entries per item than its size, overflow marked (Part 4 5.13.1.5)."""
    if not len(queue):
        return queue
    _, group, counts = np.unique(queue["id"], return_inverse=True, return_counts=True)
    rows = np.searchsorted(items["id"], queue["id"])
    size = items["size"][rows]
    excess = counts[group] - size
    if not (excess > 0).any():
        return queue
    order = np.argsort(group, kind="stable")
    rank = np.empty(len(queue), np.int64)
    rank[order] = np.arange(len(queue)) - np.repeat(np.cumsum(counts) - counts, counts)
    oldest = items["oldest"][rows]
    over = excess > 0
    last = rank == counts[group] - 1
    kept = ~over | np.where(oldest, rank >= excess, (rank < size - 1) | last)
    marked = over & np.where(oldest, rank == excess, last)
    queue["status"][marked] |= OVERFLOW
    left: NDArray[np.void] = queue[kept]
    return left


def merge(chunks: Sequence[Samples]) -> Samples:
    """Readings of several rounds as one."""
    if len(chunks) == 1:
        return chunks[0]
    return Samples(
        *(
            np.concatenate([getattr(chunk, column) for chunk in chunks])
            for column in ("rounds", "handles", "values", "status", "source_ns", "server_ns")
        )
    )

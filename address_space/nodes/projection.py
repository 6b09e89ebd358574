"""From applied batches to monitored items: only what somebody monitors costs anything.

The engine calls `touch` once per group of applied batches. Items of queue size one are coalesced: `touch` notes that
the point moved, and the value is taken from the live table when it is published. Items with a longer queue get each
reading handed to their own table.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from address_space.model.live import Changed, LiveTable
from address_space.model.value import Handles
from address_space.nodes.monitored import MonitoredItems
from address_space.nodes.monitored_rows import Samples, Want

_CHANGE, _EACH, _QUEUE = 1, 2, 4


class Projection:
    """Which points are monitored, and when each last moved, in rounds of `touch`."""

    def __init__(self, live: LiveTable) -> None:
        self.live = live
        self.round = 0
        size = live.plant.size
        self.changed_in: NDArray[np.int64] = np.zeros(size, np.int64)
        """Round of the last change of value or status, of monitored points."""
        self.read_in: NDArray[np.int64] = np.zeros(size, np.int64)
        """Round of the last reading, of points monitored with timestamps."""
        self._flags = np.zeros(size, np.uint8)
        self._counts = np.zeros((3, size), np.uint16)
        self._queued: list[MonitoredItems] = []

    @property
    def monitored(self) -> NDArray[np.bool_]:
        """By handle, whether any item monitors the point."""
        monitored: NDArray[np.bool_] = self._flags != 0
        return monitored

    def touch(self, handles: Handles, changed: Changed | None = None) -> None:
        """Tell that these distinct points were read; `changed` masks those whose value or status moved (None: all)."""
        flags = self._flags[handles]
        if not flags.any():
            return
        self.round += 1
        moved = (flags & _CHANGE) != 0 if changed is None else changed & ((flags & _CHANGE) != 0)
        self.changed_in[handles[moved]] = self.round
        each = (flags & _EACH) != 0
        self.read_in[handles[each]] = self.round
        wanted = ((flags & _QUEUE) != 0) & (moved | each)
        if wanted.any():
            self._hand_over(handles[wanted])

    def items(self) -> MonitoredItems:
        """A new table of items, for one subscription."""
        return MonitoredItems(self)

    def watch(self, handles: Handles, wants: NDArray[np.uint8], sign: int) -> None:
        """Count monitored items in (sign 1) or out (-1); `wants` are `Want` flags, one per handle."""
        for row, flag in enumerate((Want.CHANGE, Want.EACH, Want.QUEUE)):
            chosen = handles[(wants & flag) != 0]
            # uint16 wraps, so adding 65535 takes one away
            np.add.at(self._counts[row], chosen, np.uint16(sign % 65_536))
        here = self._counts[:, handles] > 0
        self._flags[handles] = here[0] * _CHANGE | here[1] * _EACH | here[2] * _QUEUE

    def enlist(self, table: MonitoredItems) -> None:
        """Hand every reading of queued points to `table` from now on."""
        if table not in self._queued:
            self._queued.append(table)

    def dismiss(self, table: MonitoredItems) -> None:
        """Hand no more readings to `table`."""
        if table in self._queued:
            self._queued.remove(table)

    def sample(self, handles: Handles) -> Samples:
        """The present state of points."""
        live = self.live
        return Samples(
            np.full(len(handles), self.round, np.int64),
            handles,
            live.value[handles],
            live.status[handles],
            live.source_ns[handles],
            live.server_ns[handles],
        )

    def _hand_over(self, handles: Handles) -> None:
        samples = self.sample(handles)
        for table in self._queued:
            table.hand(samples)

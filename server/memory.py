"""What the history knows of slots that were read before the hub was stopped, so that none is read twice."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

from address_space.model import Plant
from address_space.model.ids import UnitHandle
from address_space.model.quantity import Quantity
from historian.api import HistoryReader
from historian.errors import HistoryError

log = logging.getLogger(__name__)

NS_PER_MS = 1_000_000
UNITS_AT_ONCE = 500


class SlotMemory:
    """`drivers.api.Memory` out of the history."""

    def __init__(self, store: HistoryReader, plant: Plant) -> None:
        self._store = store
        self._plant = plant

    async def last_slots_ns(self, asked: Sequence[tuple[UnitHandle, Sequence[int]]]) -> Sequence[int]:
        """Slot of the newest reading of each; 0 where there is none, or where the history cannot be read."""
        found = [0] * len(asked)
        alike: defaultdict[tuple[Quantity, ...], list[int]] = defaultdict(list)
        for place, (unit, offsets) in enumerate(asked):
            quantities = self._plant.units[unit].template.quantities
            alike[tuple(quantities[offset] for offset in offsets)].append(place)
        try:
            for quantities, places in alike.items():
                for first in range(0, len(places), UNITS_AT_ONCE):
                    part = places[first : first + UNITS_AT_ONCE]
                    ids = [self._plant.units[asked[place][0]].id for place in part]
                    latest = await self._store.latest(ids, quantities)
                    for place, time_ms in zip(part, latest.time_ms.max(axis=1, initial=0).tolist(), strict=True):
                        found[place] = time_ms * NS_PER_MS
        except HistoryError as error:
            log.warning("slots read before not known error=%s", error)
        return found

"""Changes of what meters tell about their condition, relay or valve, found in groups of readings.

What a state was is known from its last good reading, so that a change during a loss of communication is seen when the
meter answers again. Plants without states cost nothing; states cost 8 bytes each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import UnitHandle
from address_space.model.live import Changed
from address_space.model.plant import Plant
from address_space.model.quality import GOOD
from address_space.model.quantity import ALL, DataType, Quantity
from address_space.model.value import Handles, Statuses, Values

WATCHED = frozenset(
    quantity
    for quantity in ALL
    if quantity in (Quantity.SWITCH_STATE, Quantity.VALVE_STATE) or quantity.path.startswith("Status.")
)
"""Quantities whose changes are told."""
COUNTED = frozenset(quantity for quantity in WATCHED if quantity.value.data_type is DataType.UINT32)
"""Those of them that count events: only growth is a change; a smaller number is another device."""

Cells = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Block and column of handles, as `Plant.cells` gives them."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """One state of one unit went from `old` to `new`, both good readings."""

    unit: UnitHandle
    quantity: Quantity
    old: int
    new: int


class StateWatch:
    """Remembers the last good reading of every state of a plant."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        shape = (max(len(plant.blocks), 1), max((block.template.width for block in plant.blocks), default=1))
        self._slots = np.full(shape, -1, np.int16)
        """Place of a variable among the states of its template, -1 where it is none."""
        self._counted = np.zeros(shape, np.bool_)
        self._bases = np.zeros(shape[0], np.int64)
        self._sizes = np.zeros(shape[0], np.int64)
        total = 0
        for row, block in enumerate(plant.blocks):
            columns = [column for column, spec in enumerate(block.template.points) if spec.quantity in WATCHED]
            self._slots[row, columns] = np.arange(len(columns))
            self._counted[row, columns] = [block.template.quantities[column] in COUNTED for column in columns]
            self._bases[row], self._sizes[row] = total, len(columns)
            total += len(columns) * block.units
        self._last: Values = np.full(total, np.nan)

    @property
    def idle(self) -> bool:
        """Whether no unit of the plant has a state."""
        return not self._last.size

    def changes(
        self, handles: Handles, cells: Cells, values: Values, status: Statuses, changed: Changed
    ) -> list[StateChange]:
        """What changed among these distinct points; `changed` masks those that differ from what was shown before."""
        rows, columns = cells
        picked = changed & (status == GOOD) & (values == values)
        picked &= self._slots[rows, columns] >= 0
        chosen = np.flatnonzero(picked)
        if not chosen.size:
            return []
        row, column = rows[chosen], columns[chosen]
        units = self._plant.units_at(handles[chosen])
        first_units = np.array([block.first_unit for block in self._plant.blocks], np.int64)[row]
        places = self._bases[row] + (units - first_units) * self._sizes[row] + self._slots[row, column]
        old, new = self._last[places], values[chosen]
        self._last[places] = new
        moved = (old == old) & (old != new) & (~self._counted[row, column] | (new > old))
        told = np.flatnonzero(moved).tolist()
        blocks = self._plant.blocks
        return [
            StateChange(
                UnitHandle(int(units[index])),
                blocks[int(row[index])].template.quantities[int(column[index])],
                int(old[index]),
                int(new[index]),
            )
            for index in told
        ]

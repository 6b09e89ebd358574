"""What is known of the registers of a plant's units: where they roll over, and how fast they can count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from address_space.model.hierarchy import MeteringUnit
from address_space.model.ids import NodeUid
from address_space.model.plant import Plant
from address_space.model.quantity import Quantity, by_path
from historian.counters import Limits, RatioChange
from historian.rollups.booking import Bounds

Changes = Callable[[NodeUid], Mapping[str, Sequence[RatioChange]]]
"""When a unit's transformers changed, and by how much each field that is multiplied for them."""

DIRECT_V = 230.0
"""Phase voltage of a meter without voltage transformers."""
SECONDARY_V = 100 / 3**0.5
"""Phase voltage of a meter behind voltage transformers, before their ratio."""
PHASES = 3
_RESOLUTION = 1.0
_ENERGIES = ("ActiveEnergy", "ReactiveEnergy", "ApparentEnergy")


def unchanged(_uid: NodeUid) -> Mapping[str, Sequence[RatioChange]]:
    """No unit's transformers ever change."""
    return {}


class Ratings:
    """Limits of every register of a plant; a unit that it does not know has none."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._rollovers: dict[tuple[int, tuple[str, ...]], tuple[float, ...]] = {}

    def bounds(self, units: Sequence[NodeUid], fields: tuple[str, ...]) -> Bounds:
        """Limits of fields, shape (units, fields), in base units."""
        shape = (len(units), len(fields))
        found = Bounds(np.zeros(shape), np.zeros(shape))
        rated = np.array([field.startswith(_ENERGIES) for field in fields], np.bool_)
        for row, uid in enumerate(units):
            handle = self._plant.unit_of.get(uid)
            if handle is None:
                continue
            unit = self._plant.units[handle]
            found.rollover[row] = self._rollover(unit, fields)
            found.per_hour[row, rated] = most_per_hour(unit)
        return found

    def limits(self, bounds: Bounds, unit: int, field: int) -> Limits:
        """Limits of one register."""
        return Limits(float(bounds.rollover[unit, field]), float(bounds.per_hour[unit, field]), _RESOLUTION)

    def _rollover(self, unit: MeteringUnit, fields: tuple[str, ...]) -> np.ndarray:
        """Where registers start again, on the primary side: a template's points have the ratios in them already."""
        key = (id(unit.template), fields)
        known = self._rollovers.get(key)
        if known is None:
            offsets = unit.template.offsets
            known = tuple(
                unit.template.points[offsets[field]].rollover * per_unit(field)
                if offsets.get(field, unit.template.measured) < unit.template.measured
                else 0.0
                for field in fields
            )
            self._rollovers[key] = known
        return np.array(known)


def most_per_hour(unit: MeteringUnit) -> float:
    """The most Wh (varh, VAh) that a unit can count in an hour by its rating, 0 where it has none."""
    power_kw = _number(unit, "rated_power_kw")
    if power_kw:
        return power_kw * 1000
    volts = SECONDARY_V * unit.ratio[1] if unit.ratio[1] > 1 else DIRECT_V
    return _number(unit, "rated_current_a") * volts * PHASES


def per_unit(field: str) -> int:
    """Base units in one shown unit of a field."""
    quantity = by_path(field)
    return quantity.per_unit if isinstance(quantity, Quantity) else 1


def _number(unit: MeteringUnit, name: str) -> float:
    found = unit.attributes.get(name, 0.0)
    return float(found) if isinstance(found, int | float) else 0.0

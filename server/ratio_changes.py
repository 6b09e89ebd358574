"""What a change of a meter's instrument transformers does to the registers that are multiplied for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity
from drivers.api import DriverPlugin
from historian.counters import RatioChange
from historian.schema import field_of

Ratio = tuple[float, float]
_NONE: Mapping[str, Sequence[RatioChange]] = {}
_MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class RatioChanges:
    """Changes of a plant's units, by field of the history."""

    by_unit: Mapping[NodeUid, Mapping[str, Sequence[RatioChange]]] = field(default_factory=dict)

    def of(self, uid: NodeUid) -> Mapping[str, Sequence[RatioChange]]:
        """Those of one unit; fields that are not multiplied have none."""
        return self.by_unit.get(uid, _NONE)


def changes_at(at_s: int, quantities: Sequence[Quantity], factors: Sequence[float]) -> dict[str, list[RatioChange]]:
    """The change of each of a unit's quantities that it concerns."""
    return {
        field_of(quantity): [RatioChange(at_s * _MS_PER_S, factor)]
        for quantity, factor in zip(quantities, factors, strict=True)
        if factor != 1
    }


def steps(plugin: DriverPlugin, compiled: Any, before: Ratio, now: Ratio) -> list[float]:
    """By what the register of each point is multiplied now more than before; 1 where the device itself knows."""
    ct = _steps(lambda one: plugin.factors(compiled, (one, 2.0)), before[0], now[0])
    pt = _steps(lambda one: plugin.factors(compiled, (2.0, one)), before[1], now[1])
    return [one * other for one, other in zip(ct, pt, strict=True)]


def _steps(factors: Callable[[float], Sequence[float]], before: float, now: float) -> list[float]:
    return [
        new / old if known else 1.0 for known, old, new in zip(factors(1.0), factors(before), factors(now), strict=True)
    ]

"""Points and templates: which variables a kind of unit has, described once for all units alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from address_space.model.clock import NS
from address_space.model.errors import DuplicateId
from address_space.model.ids import PointHandle, PointId
from address_space.model.quantity import SYSTEM, Kind, Quantity


@dataclass(frozen=True, slots=True)
class PointSpec:
    """One measured variable of a template.

    source       where a driver reads it, as text for engineers ("FC4 0x0048 float32")
    poll_s       poll period in seconds; also the minimum sampling interval shown to clients
    hold_s       how long the last value stays usable after communication is lost; None takes the kind's default
    eu_range     EURange in the shown unit; None takes the quantity's
    rollover     register capacity in the shown unit, 0 where unknown
    deadband, heartbeat_s  recording thresholds; 0 records every reading
    """

    quantity: Quantity
    source: str = ""
    poll_s: float = 60.0
    hold_s: float | None = None
    eu_range: tuple[float, float] | None = None
    rollover: float = 0.0
    writable: bool = False
    record: bool = True
    deadband: float = 0.0
    heartbeat_s: float = 0.0

    @property
    def range(self) -> tuple[float, float]:
        """EURange in force."""
        return self.eu_range if self.eu_range is not None else self.quantity.value.eu_range


DEFAULT_HOLD_S = 900.0
"""Hold time of counters, states and texts (docs/opcua.md, status table); gauges are not held at all."""


class Template:
    """The variables shared by all units of one profile and configuration: measured first, then the hub's own.

    Columns (`divisors`, `poll_ns`, …) have one entry per variable, in the order of `quantities`.
    """

    def __init__(self, name: str, points: Iterable[PointSpec], *, default_hold_s: float = DEFAULT_HOLD_S) -> None:
        self.name = name
        self.points = tuple(points)
        self.quantities: tuple[Quantity, ...] = tuple(point.quantity for point in self.points) + SYSTEM
        self.offsets: dict[str, int] = {}
        for offset, quantity in enumerate(self.quantities):
            if quantity.path in self.offsets:
                raise DuplicateId(f"quantity {quantity.path} stands twice in template {name}")
            self.offsets[quantity.path] = offset
        self.measured = len(self.points)
        self.width = len(self.quantities)
        self.default_hold_s = default_hold_s

    def offset(self, quantity: Quantity) -> int | None:
        """Column of `quantity`, or None where units of this template do not have it."""
        return self.offsets.get(quantity.path)

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """Quantity code per variable."""
        return np.array([quantity.code for quantity in self.quantities], np.uint8)

    @cached_property
    def divisors(self) -> NDArray[np.float64]:
        """Base units in one shown unit, per variable."""
        return np.array([quantity.per_unit for quantity in self.quantities], np.float64)

    @cached_property
    def poll_ns(self) -> NDArray[np.int64]:
        """Poll period per measured variable."""
        return np.array([round(point.poll_s * NS) for point in self.points], np.int64)

    @cached_property
    def hold_ns(self) -> NDArray[np.int64]:
        """Hold time after loss of communication per measured variable; 0 is not held."""
        return np.array([round(self._hold_s(point) * NS) for point in self.points], np.int64)

    @cached_property
    def eu_low(self) -> NDArray[np.float64]:
        """EURange low per measured variable, minus infinity where there is none."""
        return np.array([low if low < high else -np.inf for low, high in self._ranges()], np.float64)

    @cached_property
    def eu_high(self) -> NDArray[np.float64]:
        """EURange high per measured variable, infinity where there is none."""
        return np.array([high if low < high else np.inf for low, high in self._ranges()], np.float64)

    def _ranges(self) -> list[tuple[float, float]]:
        return [point.range for point in self.points]

    def _hold_s(self, point: PointSpec) -> float:
        if point.hold_s is not None:
            return point.hold_s
        return 0.0 if point.quantity.kind is Kind.GAUGE else self.default_hold_s


@dataclass(frozen=True, slots=True)
class PointDef:
    """One point of one unit, as a whole; made on demand."""

    id: PointId
    handle: PointHandle
    quantity: Quantity
    spec: PointSpec | None
    """None for the hub's own variables (`Quality`, `Communication.*`)."""

"""Which profiles of the library fit a device: their identifying points are read and looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, Final, Protocol

from address_space.model.ids import UnitHandle
from address_space.model.quantity import Kind, Quantity
from drivers.api import Device, Reading, ReadPlan, Request
from drivers.errors import ChannelDown, DriverError, NoAnswer
from drivers.profiles import Profile

MOST_POINTS: Final = 8
_TELLING: Final = (
    "Frequency",
    "VoltageL1",
    "VoltageL2",
    "VoltageL1L2",
    "Voltage",
    "PowerFactor",
    "ActiveEnergyImport",
    "ActiveEnergyTotal",
    "Volume",
    "HeatEnergy",
    "ActivePower",
    "CurrentL1",
    "Prepayment.MeterCredit",
    "Switch.State",
    "Valve.State",
)
"""Points by which a device is known, the most telling first."""
_USUAL: Final[Mapping[str, tuple[float, float]]] = {
    "Hz": (45.0, 65.0),
    "V": (40.0, 1000.0),
    "A": (0.0, 5000.0),
    "W": (-2e6, 2e6),
    "var": (-2e6, 2e6),
    "VA": (0.0, 2e6),
}
"""Between which values a gauge of a living installation usually is, by base unit."""
_SURE: Final = frozenset({"Hz", "V"})
"""Base units of gauges that are never 0 in a living installation, and hardly right by accident."""
_LARGEST_WH: Final = 1e12


@dataclass(frozen=True, slots=True)
class Value:
    """One identifying point: what the profile makes of the device's data; None where the device did not give them."""

    quantity: Quantity
    value: float | None
    plausible: bool
    telling: bool


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a profile fits: `score` between 0 (not at all) and 1."""

    profile: str
    score: float
    values: tuple[Value, ...]
    variant: str = ""

    @property
    def answered(self) -> int:
        """Points for which the device gave data."""
        return sum(value.value is not None for value in self.values)


class Reader(Protocol):
    """What is needed of a driver."""

    def plan(self, device: Device, offsets: Sequence[int]) -> ReadPlan:
        """As `Driver.plan`."""

    async def request(self, device: Device, request: Request) -> Any:
        """As `Driver.request`."""

    def decode(self, device: Device, plan: ReadPlan, answers: Mapping[Request, Any]) -> Reading:
        """As `Driver.decode`."""


def telling_points(profile: Profile) -> tuple[int, ...]:
    """Offsets of the points that say most about whether a profile fits, at most eight."""
    rank = {path: number for number, path in enumerate(_TELLING)}
    found = [(rank[point.name], offset) for offset, point in enumerate(profile.points) if point.name in rank]
    chosen = [offset for _, offset in sorted(found)[:MOST_POINTS]]
    return tuple(sorted(chosen or range(min(len(profile.points), MOST_POINTS))))


async def fit(reader: Reader, profile: Profile, compiled: Any, address: str, number: int) -> Fit:
    """How well a profile fits the device at an address; `number` tells the profiles apart in what the driver learns.

    A device that stays silent ends it. Raises ChannelDown.
    """
    device = Device(UnitHandle(number), 0, address, compiled, address)
    offsets = telling_points(profile)
    plan = reader.plan(device, offsets)
    answers: dict[Request, Any] = {}
    for request in plan.requests:
        try:
            answers[request] = await reader.request(device, request)
        except ChannelDown:
            raise
        except DriverError as error:
            answers[request] = error.reason
            if isinstance(error, NoAnswer) and len(answers) == 1:
                break
    reading = reader.decode(device, plan, answers)
    quantities = [profile.points[offset].quantity for offset in plan.offsets]
    values = tuple(
        judged(quantity, None if status or isnan(value) else float(value))
        for quantity, value, status in zip(quantities, reading.values, reading.status, strict=True)
    )
    return Fit(profile.name, score(values), values)


def judged(quantity: Quantity, value: float | None) -> Value:
    """Whether a value in base units can be."""
    base = quantity.unit.base if quantity.unit else ""
    if value is None:
        return Value(quantity, None, plausible=False, telling=False)
    if quantity.kind is Kind.COUNTER:
        return Value(quantity, value, 0 <= value < _LARGEST_WH, telling=value > 0)
    if base in _USUAL:
        low, high = _USUAL[base]
        inside = low <= value <= high
        return Value(quantity, value, inside, telling=base in _SURE)
    if quantity.path.startswith("PowerFactor"):
        return Value(quantity, value, -1 <= value <= 1, telling=0.2 < abs(value) <= 1)
    low, high = quantity.value.eu_range
    return Value(quantity, value, low >= high or low <= value <= high, telling=False)


def score(values: Sequence[Value]) -> float:
    """Share of what is plausible; what hardly is right by accident counts thrice."""
    if not values or all(value.value is None for value in values):
        return 0.0
    weights = [3.0 if value.telling or not value.plausible else 1.0 for value in values]
    right = sum(weight for weight, value in zip(weights, values, strict=True) if value.plausible)
    return round(right / sum(weights), 3) if any(value.plausible and value.telling for value in values) else 0.1


def ranked(fits: Sequence[Fit]) -> list[Fit]:
    """The best first; those that do not fit at all are left out."""
    return sorted(
        (each for each in fits if each.score > 0), key=lambda each: (-each.score, -each.answered, each.profile)
    )

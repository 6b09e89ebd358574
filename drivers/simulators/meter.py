"""One simulated meter: what it is, and every quantity it can show at a second."""

from __future__ import annotations

from dataclasses import dataclass
from math import acos, degrees, hypot, sqrt
from typing import Final

from address_space.model.quantity import ALL, Quantity
from drivers.simulators.consumer import ConsumerClass, likely_class
from drivers.simulators.load import PHASES, Consumer, LoadCurve, Register
from drivers.simulators.noise import key_of, uniform
from drivers.simulators.supply import Connection, frequency
from drivers.simulators.tariff import FOUR_ZONES, TariffDay

DIRECT_A = 60.0
"""Highest current of a directly connected meter that names no rating."""
SECONDARY_A = 5.0
DEMAND_S = 900

Values = list[float | None]
"""A value in base units by quantity code; None where this meter cannot say."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What stands behind a meter. A class or rating that is not given follows from the id, phases and ratio.

    ratio is (CT, PT); everything simulated is on the primary side.
    """

    id: str
    seed: int = 1
    phases: int = PHASES
    ratio: tuple[float, float] = (1.0, 1.0)
    consumer_class: ConsumerClass | None = None
    rated_current_a: float | None = None
    utc_offset_h: int = 5
    tariff: TariffDay = FOUR_ZONES


class Meter:
    """Values at any second: a pure function of the installation and the grid's seed."""

    def __init__(self, installation: Installation, grid_seed: int = 1) -> None:
        self.installation = installation
        self._key = key_of(installation.seed, installation.id)
        self._grid = key_of(grid_seed, "grid")
        _, pt = installation.ratio
        kind = installation.consumer_class or likely_class(self._key, installation.phases, installation.ratio)
        self._connection = Connection.of(self._key, pt)
        self._peak_w = _peak_w(self._key, kind, installation, self._connection.nominal_v)
        self.consumer = Consumer(
            self._key, kind, self._peak_w, installation.phases, installation.utc_offset_h, installation.tariff
        )
        self.curve = LoadCurve(self.consumer)
        self._demand: tuple[int, float] = (-1, 0.0)

    def values(self, second: int) -> Values:
        """Every quantity at a second since 1970 UTC, in base units; counters are whole Wh, varh and VAh."""
        values: Values = [None] * len(ALL)
        self._demand_into(values, second)
        _counters_into(values, self.curve.register(second))
        self._instants_into(values, second)
        return values

    def _demand_into(self, values: Values, second: int) -> None:
        end = second // DEMAND_S * DEMAND_S
        if self._demand[0] != end:
            gained = self.curve.register(end).active.total - self.curve.register(end - DEMAND_S).active.total
            self._demand = (end, gained / 1000 * (3600 / DEMAND_S))
        values[_DEMAND] = self._demand[1]

    def _instants_into(self, values: Values, second: int) -> None:
        load = self.curve.power(second)
        phases = self.installation.phases
        watts, vars_ = sum(load.active), sum(load.reactive)
        volts, amperes = [0.0] * PHASES, [0.0] * PHASES
        for phase in range(phases):
            watt, var = load.active[phase], load.reactive[phase]
            apparent = hypot(watt, var)
            volt = self._connection.voltage(second, phase, watt * phases / self._peak_w)
            volts[phase], amperes[phase] = volt, apparent / volt
            values[_VOLTAGE[phase]] = volt
            values[_CURRENT[phase]] = amperes[phase]
            values[_POWER[phase]] = watt
            values[_REACTIVE[phase]] = var
            values[_APPARENT[phase]] = apparent
            values[_FACTOR[phase]] = watt / apparent if apparent else 1.0
            values[_THD_VOLTAGE[phase]] = 1.5 + 0.4 * phase
            values[_THD_CURRENT[phase]] = 6.0 + 1.5 * phase
        apparent = hypot(watts, vars_)
        factor = watts / apparent if apparent else 1.0
        for code, value in zip(
            _TOTALS,
            (
                sum(volts) / phases,
                sum(amperes) / phases,
                _neutral(amperes) if phases > 1 else amperes[0],
                watts,
                vars_,
                apparent,
                factor,
                degrees(acos(min(factor, 1.0))),
                frequency(self._grid, second),
                1.5,
                6.0,
                load.zone,
            ),
            strict=True,
        ):
            values[code] = value
        if phases == PHASES:
            for code, (a, b) in zip(_LINES, ((0, 1), (1, 2), (2, 0)), strict=True):
                values[code] = sqrt(volts[a] ** 2 + volts[b] ** 2 + volts[a] * volts[b])


def _peak_w(key: int, kind: ConsumerClass, installation: Installation, nominal_v: float) -> float:
    ct, pt = installation.ratio
    transformed = ct * pt > 1
    rated_a = installation.rated_current_a or (SECONDARY_A * ct if transformed else DIRECT_A)
    limit_w = 0.75 * rated_a * nominal_v * installation.phases
    if transformed:
        return limit_w * uniform(key, "peak", 0.45, 0.95)
    low, high = kind.value.peak_w
    share = 1.0 if installation.phases == PHASES or kind is ConsumerClass.HOUSEHOLD else 1 / PHASES
    return min(uniform(key, "peak", low, high) * share, limit_w)


def _neutral(amperes: list[float]) -> float:
    a, b, c = amperes
    return sqrt(max(a * a + b * b + c * c - a * b - b * c - c * a, 0.0))


def _counters_into(values: Values, register: Register) -> None:
    for codes, counters in ((_ACTIVE_COUNTERS, register.active), (_REACTIVE_COUNTERS, register.reactive)):
        whole = (counters.total // 1000, *counters.zones, *(milli // 1000 for milli in counters.phases))
        for place, base in enumerate(whole):
            for code in codes[place]:
                values[code] = base
    for code in _UNUSED_COUNTERS:
        values[code] = 0
    values[_APPARENT_ENERGY] = register.apparent // 1000


def _codes(*paths: str) -> tuple[int, ...]:
    by_path = {quantity.path: quantity.code for quantity in ALL}
    return tuple(by_path[path] for path in paths if path in by_path)


def _by_phase(stem: str) -> tuple[int, ...]:
    return _codes(*(f"{stem}L{phase}" for phase in (1, 2, 3)))


_PLACES = ("", "T1", "T2", "T3", "T4", "L1", "L2", "L3")
_ACTIVE_COUNTERS: Final = tuple(_codes(f"ActiveEnergyImport{p}", f"ActiveEnergyTotal{p}") for p in _PLACES)
_REACTIVE_COUNTERS: Final = tuple(_codes(f"ReactiveEnergyImport{p}", f"ReactiveEnergyTotal{p}") for p in _PLACES)
_UNUSED_COUNTERS: Final = _codes(*(f"{kind}EnergyExport{p}" for kind in ("Active", "Reactive") for p in _PLACES))
_APPARENT_ENERGY: Final = Quantity.APPARENT_ENERGY.code
_DEMAND: Final = Quantity.DEMAND_IMPORT.code
_VOLTAGE: Final = _by_phase("Voltage")
_CURRENT: Final = _by_phase("Current")
_POWER: Final = _by_phase("ActivePower")
_REACTIVE: Final = _by_phase("ReactivePower")
_APPARENT: Final = _by_phase("ApparentPower")
_FACTOR: Final = _by_phase("PowerFactor")
_THD_VOLTAGE: Final = _by_phase("ThdVoltage")
_THD_CURRENT: Final = _by_phase("ThdCurrent")
_LINES: Final = _codes("VoltageL1L2", "VoltageL2L3", "VoltageL3L1")
_TOTALS: Final = _codes(
    "Voltage",
    "Current",
    "CurrentN",
    "ActivePower",
    "ReactivePower",
    "ApparentPower",
    "PowerFactor",
    "PhaseAngle",
    "Frequency",
    "ThdVoltage",
    "ThdCurrent",
    "ActiveTariff",
)

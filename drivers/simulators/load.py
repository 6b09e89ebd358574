"""Load curves with an exact integral: power and energy of one consumer at any second, from nothing but a key.

Power runs straight from one full hour to the next, with a ripple on top that vanishes, with its integral, at
both ends; so the energy of an hour is an exact integer (mWh) and that of a part of it has a closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, isqrt, pi, sin

import numpy as np

from drivers.simulators.consumer import ConsumerClass, relative_load
from drivers.simulators.noise import Floats, Ints, fraction, lattice, smooth, uniform
from drivers.simulators.tariff import FOUR_ZONES, TariffDay

PHASES = 3
HOUR_S = 3600
INSTALLED_HOUR = 490_896
"""2026-01-01T00:00Z in hours since 1970: counters stand at their start value there."""

_WAVES = (2, 7, 19)
"""Ripple: full waves an hour."""
_TURNS = tuple(2 * pi * wave for wave in _WAVES)
_HOURS_AT_ONCE = 8_784
_SALT_DAY, _SALT_HOUR, _SALT_PHASE, _SALT_FACTOR, _SALT_RIPPLE = 1, 2, 10, 20, 30


@dataclass(frozen=True, slots=True)
class Consumer:
    """What a load curve is a function of.

    key          seed and meter id in one number (`noise.key_of`)
    peak_w       highest load over all phases
    phases       1 or 3
    utc_offset_h whole hours that local time is ahead of UTC
    """

    key: int
    kind: ConsumerClass
    peak_w: float
    phases: int = PHASES
    utc_offset_h: int = 5
    tariff: TariffDay = FOUR_ZONES


@dataclass(frozen=True, slots=True)
class Counters:
    """One kind of energy at one instant: thousandths by phase, whole base units by tariff zone.

    A zone counts the whole units that pass in its hours, so the zones always sum to the whole units of all phases.
    """

    phases: tuple[int, ...]
    zones: tuple[int, ...]

    @property
    def total(self) -> int:
        """Thousandths over all phases."""
        return sum(self.phases)

    def plus(self, gained: Sequence[int], zone: int) -> Counters:
        """After `gained` thousandths by phase, all within one zone (1 … 4)."""
        phases = tuple(have + more for have, more in zip(self.phases, gained, strict=True))
        zones = list(self.zones)
        zones[zone - 1] += sum(phases) // 1000 - self.total // 1000
        return Counters(phases, tuple(zones))


@dataclass(frozen=True, slots=True)
class Register:
    """Exact counters at one instant: active (mWh, Wh), reactive (mvarh, varh) and apparent energy (mVAh)."""

    active: Counters
    reactive: Counters
    apparent: int


@dataclass(frozen=True, slots=True)
class Power:
    """Load at one instant by phase: W and var."""

    active: tuple[float, float, float]
    reactive: tuple[float, float, float]
    zone: int


@dataclass(frozen=True, slots=True)
class HourState:
    """Everything needed to answer for any second of one hour: counters at its beginning, and the curve in it.

    Knots are mW and mvar at the beginning and the end, by phase; ripple coefficients by phase, one a wave.
    """

    index: int
    zone: int
    start: Register
    active: tuple[tuple[int, int], ...]
    reactive: tuple[tuple[int, int], ...]
    ripple: tuple[tuple[float, ...], ...]


class LoadCurve:
    """Power and energy of one consumer; the hour last asked for is kept, so walking in time is cheap."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self._shares = self._split_of_phases()
        self._zones = np.array(consumer.tariff.zones, np.int64)
        self._initial = self._start_value()
        self._hour: HourState | None = None

    def power(self, second: int) -> Power:
        """Load at a second since 1970 UTC."""
        index, rest = divmod(second, HOUR_S)
        hour = self.hour(index)
        x = rest / HOUR_S
        waves = [sin(turn * x) for turn in _TURNS]
        active, reactive = [], []
        for knots, var_knots, coefficients in zip(hour.active, hour.reactive, hour.ripple, strict=True):
            swing = sum(c * wave for c, wave in zip(coefficients, waves, strict=True))
            active.append(_line(knots, x, swing) / 1000)
            reactive.append(_line(var_knots, x, swing) / 1000)
        return Power((active[0], active[1], active[2]), (reactive[0], reactive[1], reactive[2]), hour.zone)

    def register(self, second: int) -> Register:
        """Exact counters at a second since 1970 UTC; never less than at any second before."""
        index, rest = divmod(second, HOUR_S)
        hour = self.hour(index)
        if rest == 0:
            return hour.start
        x = rest / HOUR_S
        areas = [(1 - cos(turn * x)) / turn for turn in _TURNS]
        active, reactive = [], []
        for knots, var_knots, coefficients in zip(hour.active, hour.reactive, hour.ripple, strict=True):
            swing = sum(c * area for c, area in zip(coefficients, areas, strict=True))
            active.append(int(_area(knots, x, swing)))
            reactive.append(int(_area(var_knots, x, swing)))
        return Register(
            hour.start.active.plus(active, hour.zone),
            hour.start.reactive.plus(reactive, hour.zone),
            hour.start.apparent + isqrt(sum(active) ** 2 + sum(reactive) ** 2),
        )

    def hour(self, index: int) -> HourState:
        """The hour `index` since 1970 UTC."""
        kept = self._hour
        if kept is not None and kept.index == index:
            return kept
        if kept is None:
            start = self._add(self._initial, INSTALLED_HOUR, index)
        else:
            start = self._add(kept.start, kept.index, index)
        hours = np.array([index, index + 1], np.int64)
        active, reactive = self._knots(hours)
        state = HourState(
            index,
            int(self._zones[(index + self.consumer.utc_offset_h) % 24]),
            start,
            tuple((int(row[0]), int(row[1])) for row in active),
            tuple((int(row[0]), int(row[1])) for row in reactive),
            self._ripple(hours[:1]),
        )
        self._hour = state
        return state

    def _knots(self, hours: Ints) -> tuple[Ints, Ints]:
        """Even mW and mvar at the beginning of each hour, shape (phases, hours)."""
        consumer, shape = self.consumer, self.consumer.kind.value
        key = consumer.key
        level = relative_load(shape, hours + consumer.utc_offset_h)
        level = level * (1 + shape.daily * smooth(key, _SALT_DAY, hours, 24))
        level = level * (1 + shape.hourly * lattice(key, _SALT_HOUR, hours))
        level /= (1 + shape.daily) * (1 + shape.hourly)
        best, least = shape.power_factor
        factor = least + (best - least) * np.sqrt(level)
        active = np.zeros((PHASES, len(hours)), np.int64)
        reactive = np.zeros((PHASES, len(hours)), np.int64)
        for phase in range(consumer.phases):
            swing = 1 + 0.5 * shape.imbalance * smooth(key, _SALT_PHASE + phase, hours, 3)
            watt = level * (consumer.peak_w * 1000 * self._shares[phase]) * swing
            cosine = np.clip(factor + 0.02 * smooth(key, _SALT_FACTOR + phase, hours, 2), 0.5, 0.995)
            active[phase] = _even(watt)
            reactive[phase] = _even(watt * np.sqrt(1 / cosine**2 - 1))
        return active, reactive

    def _ripple(self, hours: Ints) -> tuple[tuple[float, ...], ...]:
        shape = self.consumer.kind.value
        rows = []
        for phase in range(PHASES):
            numbers = [
                float(lattice(self.consumer.key, _SALT_RIPPLE + phase * len(_WAVES) + wave, hours)[0])
                for wave in range(len(_WAVES))
            ]
            rows.append(tuple(shape.ripple * number / len(_WAVES) for number in numbers))
        return tuple(rows)

    def _add(self, register: Register, first: int, end: int) -> Register:
        """`register` at the hour `first`, carried to the hour `end` (which may lie before)."""
        active, reactive, apparent = register.active, register.reactive, register.apparent
        for low, high in _chunks(first, end):
            hours = np.arange(low, high + 1, dtype=np.int64)
            watts, vars_ = self._knots(hours)
            energy = (watts[:, 1:] + watts[:, :-1]) // 2
            energy_var = (vars_[:, 1:] + vars_[:, :-1]) // 2
            zones = self._zones[(hours[:-1] + self.consumer.utc_offset_h) % 24]
            sign = 1 if end >= first else -1
            active = _carried(active, energy, zones, sign)
            reactive = _carried(reactive, energy_var, zones, sign)
            total, total_var = energy.sum(axis=0).astype(np.float64), energy_var.sum(axis=0).astype(np.float64)
            apparent += sign * int(np.ceil(np.sqrt(total**2 + total_var**2)).astype(np.int64).sum())
        return Register(active, reactive, apparent)

    def _split_of_phases(self) -> tuple[float, ...]:
        if self.consumer.phases == 1:
            return (1.0, 0.0, 0.0)
        spread = self.consumer.kind.value.imbalance
        weights = [1 + 0.5 * spread * uniform(self.consumer.key, f"phase{i}", -1, 1) for i in range(PHASES)]
        return tuple(weight / sum(weights) for weight in weights)

    def _start_value(self) -> Register:
        years = uniform(self.consumer.key, "age", 2.0, 7.0)
        mwh = self.consumer.peak_w * 0.4 * 8766 * years * 1000
        ratio = 0.25 + 0.2 * fraction(self.consumer.key, "start var")
        active, reactive = self._aged(mwh), self._aged(mwh * ratio)
        return Register(active, reactive, isqrt(active.total**2 + reactive.total**2))

    def _aged(self, thousandths: float) -> Counters:
        phases = tuple(int(thousandths * share) for share in self._shares)
        zones = [int(thousandths / 1000 * part) for part in (0.25, 0.35, 0.30)]
        return Counters(phases, (*zones, sum(phases) // 1000 - sum(zones)))


def _chunks(first: int, end: int) -> list[tuple[int, int]]:
    """Stretches of hours between `first` and `end`, in the order of walking."""
    low, high = min(first, end), max(first, end)
    chunks = [(begin, min(begin + _HOURS_AT_ONCE, high)) for begin in range(low, high, _HOURS_AT_ONCE)]
    return chunks if end >= first else chunks[::-1]


def _carried(counters: Counters, energy: Ints, zones: Ints, sign: int) -> Counters:
    """`counters` after (or, with sign -1, before) the hours of `energy`, shape (phases, hours)."""
    by_phase = energy.sum(axis=1)
    phases = tuple(have + sign * int(more) for have, more in zip(counters.phases, by_phase, strict=True))
    at_begin = min(counters.total, sum(phases))
    marks = (at_begin + np.concatenate(([0], np.cumsum(energy.sum(axis=0))))) // 1000
    whole = np.diff(marks)
    return Counters(
        phases,
        tuple(have + sign * int(whole[zones == zone + 1].sum()) for zone, have in enumerate(counters.zones)),
    )


def _even(numbers: Floats) -> Ints:
    return np.rint(numbers / 2).astype(np.int64) * 2


def _line(knots: tuple[int, int], x: float, swing: float) -> float:
    left, right = knots
    return left + (right - left) * x + swing * min(left, right)


def _area(knots: tuple[int, int], x: float, swing: float) -> float:
    left, right = knots
    return left * x + (right - left) * x * x / 2 + swing * min(left, right)

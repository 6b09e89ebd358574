"""The grid behind the meters: one frequency for all, and voltages that sag under load."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin

from drivers.simulators.noise import uniform

NOMINAL_V = 230.0
TRANSFORMED_V = 100.0 / 3**0.5
"""Phase voltage on the secondary side of a voltage transformer (100 V between the lines)."""
LOWEST, HIGHEST = 215.0 / NOMINAL_V, 240.0 / NOMINAL_V

_FREQUENCY_WAVES = ((47.0, 0.008), (313.0, 0.014), (1831.0, 0.012), (14407.0, 0.006))
"""Period in seconds and swing in hertz."""


def frequency(grid_seed: int, second: int) -> float:
    """Hertz at a second since 1970, the same for every meter of the grid."""
    swing = sum(
        height * sin(2 * pi * (second % period / period + uniform(grid_seed, f"f{period}", 0, 1)))
        for period, height in _FREQUENCY_WAVES
    )
    return 50.0 + swing


@dataclass(frozen=True, slots=True)
class Connection:
    """How one meter hangs on the grid: `nominal_v` to neutral, and shifts that are its own."""

    nominal_v: float
    offset: float
    turn: float

    @classmethod
    def of(cls, key: int, pt: float) -> Connection:
        """Low voltage, or the primary side of the voltage transformer `pt`."""
        nominal = NOMINAL_V if pt == 1 else TRANSFORMED_V * pt
        return cls(nominal, uniform(key, "offset", -0.008, 0.008), uniform(key, "turn", 0, 1))

    def voltage(self, second: int, phase: int, local_load: float) -> float:
        """Volts to neutral of a phase (0, 1, 2); `local_load` is the meter's own load as a share of its peak."""
        day = (second % 86_400) / 86_400
        evening = 0.5 - 0.5 * sin(2 * pi * (day + 0.15))
        slow = 0.006 * sin(2 * pi * (second % 2_711 / 2_711 + self.turn + phase / 7))
        quick = 0.0015 * sin(2 * pi * (second % 61 / 61 + self.turn * 3 + phase / 3))
        level = 1.022 + self.offset + slow + quick - 0.025 * evening - 0.02 * local_load
        return self.nominal_v * min(max(level, LOWEST), HIGHEST)

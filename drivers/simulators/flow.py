"""Water, gas and heat behind a meter: volume and flow at any second, exact, and stopped where a valve is closed.

A consumer of water differs from one of electricity only in what flows: the load curve's watts are read as litres an
hour, its milliwatt-hours as millilitres.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin

from drivers.simulators.consumer import ConsumerClass
from drivers.simulators.load import Consumer, LoadCurve
from drivers.simulators.noise import key_of, uniform

SPREAD_K = 30
"""Supply is so much warmer than return; it never changes, so that energy stays an exact multiple of volume."""
MWH_PER_LITRE = 1163 * SPREAD_K
"""Milliwatt-hours that a litre of water gives off over that spread (4.187 kJ a kilogram and kelvin)."""


@dataclass(frozen=True, slots=True)
class Pipe:
    """What stands behind a meter. `peak_l_h` is the highest flow."""

    id: str
    seed: int = 1
    peak_l_h: float = 120.0
    consumer: ConsumerClass = ConsumerClass.HOUSEHOLD
    utc_offset_h: int = 5


class Flow:
    """Volume that passed by any second, with the times left out at which a valve was closed.

    Time goes forward for `stop` and `resume`; everything may be asked for any second after the last of them.
    """

    def __init__(self, pipe: Pipe) -> None:
        self._key = key_of(pipe.seed, pipe.id, "flow")
        self._curve = LoadCurve(Consumer(self._key, pipe.consumer, pipe.peak_l_h, 1, pipe.utc_offset_h))
        self._stopped: int | None = None
        self._withheld_ml = 0

    @property
    def stopped(self) -> bool:
        """Whether nothing flows now."""
        return self._stopped is not None

    def stop(self, second: int) -> None:
        """From this second since 1970 on nothing flows."""
        if self._stopped is None:
            self._stopped = second

    def resume(self, second: int) -> None:
        """From this second on it flows again; what would have flowed meanwhile never does."""
        if self._stopped is not None:
            self._withheld_ml += self._drawn_ml(second) - self._drawn_ml(self._stopped)
            self._stopped = None

    def millilitres(self, second: int) -> int:
        """Volume by this second."""
        until = second if self._stopped is None else min(second, self._stopped)
        return max(self._drawn_ml(until) - self._withheld_ml, 0)

    def litres_per_hour(self, second: int) -> float:
        """Flow at this second."""
        if self._stopped is not None and second >= self._stopped:
            return 0.0
        return sum(self._curve.power(second).active)

    def energy_mwh(self, second: int) -> int:
        """Heat given off by this second, in milliwatt-hours."""
        return self.millilitres(second) * MWH_PER_LITRE // 1000

    def supply_c(self, second: int) -> float:
        """Temperature of the supply."""
        return 68 + uniform(self._key, "supply", 0, 10) + 2 * sin(2 * pi * (second % 86_400) / 86_400)

    def return_c(self, second: int) -> float:
        """Temperature of the return."""
        return self.supply_c(second) - SPREAD_K

    def _drawn_ml(self, second: int) -> int:
        return self._curve.register(second).active.total

"""A meter behind a supply switch: while it is open nothing flows, and the counters stand still."""

from __future__ import annotations

from typing import Final

from address_space.model.quantity import ALL, Kind, Quantity
from drivers.simulators.meter import Meter, Values

_COUNTERS: Final = tuple(quantity.code for quantity in ALL if quantity.kind is Kind.COUNTER)
_FLOWS: Final = tuple(
    quantity.code
    for quantity in ALL
    if quantity.kind is Kind.GAUGE and quantity.path.startswith(("Current", "ActivePower", "ReactivePower", "Apparent"))
)


class SwitchedMeter:
    """The meter's values, less what would have been used while the switch was open. Time goes forward for `cut` and
    `restore`; values may be asked for any second, and lack what was withheld before."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._cut_at: int | None = None
        self._withheld: dict[int, float] = dict.fromkeys(_COUNTERS, 0.0)
        self._known: tuple[int, Values] = (-1, [])

    def cut(self, second: int) -> None:
        """The switch opens; nothing happens where it is open."""
        if self._cut_at is None:
            self._cut_at = second
            self._known = (-1, [])

    def restore(self, second: int) -> None:
        """The switch closes; nothing happens where it is closed."""
        if self._cut_at is None:
            return
        before, after = self.meter.values(self._cut_at), self.meter.values(max(second, self._cut_at))
        for code in _COUNTERS:
            old, new = before[code], after[code]
            if old is not None and new is not None:
                self._withheld[code] += new - old
        self._cut_at = None
        self._known = (-1, [])

    def values(self, second: int) -> Values:
        """As `Meter.values`."""
        if self._known[0] == second:
            return self._known[1]
        off = self._cut_at is not None and second >= self._cut_at
        values = self.meter.values(second)
        counted = self.meter.values(self._cut_at) if off and self._cut_at is not None else values
        for code in _COUNTERS:
            value = counted[code]
            values[code] = None if value is None else max(value - self._withheld[code], 0)
        if off:
            for code in _FLOWS:
                if values[code] is not None:
                    values[code] = 0.0
            for quantity in (Quantity.POWER_FACTOR, Quantity.POWER_FACTOR_L1):
                values[quantity.code] = 1.0
        self._known = (second, values)
        return values

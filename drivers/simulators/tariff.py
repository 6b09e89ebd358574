"""Tariff zones by local hour: which of the registers T1 to T4 counts."""

from __future__ import annotations

from dataclasses import dataclass

ZONES = 4


@dataclass(frozen=True, slots=True)
class TariffDay:
    """Zone (1 … 4) at each of the 24 local hours, the same every day."""

    zones: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.zones) != 24 or not all(1 <= zone <= ZONES for zone in self.zones):
            raise ValueError(f"a tariff day has 24 zones of 1 to {ZONES}, not {self.zones}")


FOUR_ZONES = TariffDay((3,) * 6 + (2, 2, 1, 1, 1) + (2,) * 6 + (1,) * 4 + (2,) + (4, 4))
"""T3 night, T1 morning and evening peak, T2 day, T4 late evening."""

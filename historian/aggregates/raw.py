"""Stored values as aggregates look at them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from address_space.model.value import Instants, Statuses, Values
from historian.aggregates.kinds import Configuration

Mask = NDArray[np.bool_]

BAD_NO_DATA = 0x809B0000
_CODE = np.uint32(0xFFFF0000)
_SEVERITY_SHIFT = np.uint32(30)
_UNCERTAIN = 1


class Raw:
    """Values in time order, with what lies next to the time asked for on both sides, as far as there is any.

    time_ns, values, status  shape (n,), times strictly rising; BadNoData, which says that there is none, is left out
    good    severity Good
    usable  what bounds may be made of: good, and uncertain unless that counts as bad
    """

    __slots__ = ("good", "status", "time_ns", "usable", "values")

    def __init__(self, time_ns: Instants, values: Values, status: Statuses, configuration: Configuration) -> None:
        kept = (status & _CODE) != BAD_NO_DATA
        if not kept.all():
            time_ns, values, status = time_ns[kept], values[kept], status[kept]
        severity = status >> _SEVERITY_SHIFT
        there = ~np.isnan(values)
        self.time_ns = time_ns
        self.good: Mask = there & (severity == 0)
        self.usable: Mask = self.good if configuration.treat_uncertain_as_bad else there & (severity <= _UNCERTAIN)
        self.values = np.where(there & (severity <= _UNCERTAIN), values, np.nan)
        self.status = status

    def __len__(self) -> int:
        return len(self.time_ns)

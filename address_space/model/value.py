"""Values in motion: one device reading as columns, and one value for the edges of the system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import PointHandle, UnitHandle
from address_space.model.quality import GOOD, Quality, quality_of

Handles = NDArray[np.int64]
"""Point handles, shape (n,)."""
Values = NDArray[np.float64]
"""Numbers, shape (n,); NaN where there is no value. Counters are exact integers up to 2**53."""
Statuses = NDArray[np.uint32]
"""OPC UA status codes, shape (n,)."""
Instants = NDArray[np.int64]
"""UTC nanoseconds since 1970, shape (n,)."""

EXACT_LIMIT = 2**53
"""Counters beyond this are refused as out of range rather than rounded."""


@dataclass(frozen=True, slots=True)
class PointValue:
    """One value with its status and times, in the shown unit."""

    handle: PointHandle
    value: float | bool | str | None
    status: int
    source_ns: int
    server_ns: int = 0

    @property
    def quality(self) -> Quality:
        """Severity of the status."""
        return quality_of(self.status)


_NO_TEXTS: Mapping[int, str] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One reading of one device: the unit of flow.

    handles, values, status  shape (n,), same order; values in base units (Wh, not kWh), NaN where status is bad
    source_ns    when the values were taken: device time where it is trusted, else when the answer arrived
    received_ns  when the answer arrived
    slot_ns      the nominal poll slot, to which history is aligned: the same slot twice is the same reading
    texts        text values by handle (their `values` entry is NaN)
    """

    unit: UnitHandle
    handles: Handles
    values: Values
    status: Statuses
    source_ns: int
    received_ns: int
    slot_ns: int
    texts: Mapping[int, str] = field(default_factory=lambda: _NO_TEXTS)

    @property
    def all_good(self) -> bool:
        """Whether every value is Good."""
        return not bool((self.status != GOOD).any())

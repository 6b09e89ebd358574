"""What can be set of the rollups, and what they say of themselves."""

from __future__ import annotations

from dataclasses import dataclass

from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity
from historian.calendar import DAY_MS
from historian.counters import Move

NEWS_MS = 31 * DAY_MS
"""What a register did longer ago than this is kept, and told when somebody asks; nobody is told of it."""


@dataclass(frozen=True, slots=True)
class RollupOptions:
    """How rollups are made and kept.

    quarters         whether quarters of an hour are kept beside hours
    keep_days_quarter, keep_days_hour  local days that are kept, 0 for ever; days and months stay for ever
    grace_s          so long after its end a bucket is computed
    units_a_step     so many units are computed at once
    pause_s          rest between two steps
    """

    quarters: bool = False
    keep_days_quarter: int = 400
    keep_days_hour: int = 1830
    grace_s: float = 120.0
    units_a_step: int = 256
    pause_s: float = 0.02


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A register that did not simply go on: what it showed before and at `time_ms`, in the shown unit.

    `booked` is what of it is consumption; None where an older hub did not note it.
    """

    point: NodeUid
    quantity: Quantity
    time_ms: int
    move: Move
    before: float
    value: float
    booked: float | None = None


@dataclass(frozen=True, slots=True)
class UnitAnomalies:
    """What the registers of a unit did lately: how often they did not simply go on, and the last time."""

    count: int = 0
    last: Anomaly | None = None


@dataclass(frozen=True, slots=True)
class RollupState:
    """How rollups do.

    settled_ms     all hours that ended before are computed, but `waiting` unit-days that were opened again
    open_units     units of which hours after it wait to be computed
    computed       unit-hours computed since the start
    busy_s         time their computing has taken
    damaged        rows found damaged, and computed again
    trouble        why the last round failed, empty while all is well
    """

    settled_ms: int
    waiting: int
    open_units: int
    computed: int
    busy_s: float
    damaged: int
    trouble: str

"""The history vocabulary: measurements, fields, tags and quality bits, for recorder, queries and dashboards alike."""

from __future__ import annotations

from enum import Enum, IntFlag

from address_space.model.quality import Quality, Reason, quality_of, reason_of
from address_space.model.quantity import Kind, Quantity


class Measurement(Enum):
    """What is written under one name; the value is the name, frozen."""

    ENERGY = "energy"
    """Counters: energy, volume, mass."""
    INST = "inst"
    """Gauges and states."""
    EVENT = "event"
    COMMAND = "command"
    ENERGY_1H = "energy_1h"
    """Rollup of `energy` by the hub: counters at the full hour."""
    ENERGY_1D = "energy_1d"
    """Rollup of `energy` by the hub: counters at the end of the day."""


TAGS = ("point", "kind", "site")
"""Tags of every line: the unit's id, its medium, its site. Nothing that may change is a tag."""
QUALITY_FIELD = "q"
"""Field with the worst quality of a line, as the union of `QualityFlag`."""

_MEASUREMENT = {Kind.COUNTER: Measurement.ENERGY, Kind.GAUGE: Measurement.INST, Kind.STATE: Measurement.INST}


def measurement_of(quantity: Quantity) -> Measurement | None:
    """Where values of a quantity are kept; None for texts, which have no history."""
    return _MEASUREMENT.get(quantity.kind)


def field_of(quantity: Quantity) -> str:
    """Field name of a quantity: its browse path, so that NodeId, history and dashboards say the same word."""
    return quantity.path


class QualityFlag(IntFlag):
    """Bits of `q`. EDITED, ROLLOVER, CLOCK and POWER_FAIL have no status code: validation sets them."""

    BAD = 1
    MISSING = 2
    ESTIMATED = 4
    EDITED = 8
    SUSPECT = 16
    ROLLOVER = 32
    CLOCK = 64
    POWER_FAIL = 128


_NOT_A_READING = QualityFlag.MISSING | QualityFlag.SUSPECT
_NO_ANSWER = QualityFlag.MISSING | QualityFlag.BAD
_FLAGS = {
    Reason.NEVER_READ: _NO_ANSWER,
    Reason.TIMEOUT: _NO_ANSWER,
    Reason.NOT_CONNECTED: _NO_ANSWER,
    Reason.BAD_FRAME: _NO_ANSWER,
    Reason.OUT_OF_SERVICE: _NO_ANSWER,
    Reason.STALE: _NOT_A_READING,
    Reason.HELD: _NOT_A_READING,
    Reason.RESTORED: _NOT_A_READING,
    Reason.SUBSTITUTED: QualityFlag.ESTIMATED,
}
_BY_SEVERITY = {
    Quality.GOOD: QualityFlag(0),
    Quality.UNCERTAIN: QualityFlag.SUSPECT,
    Quality.BAD: QualityFlag.BAD,
}


def quality_flags(status: int) -> QualityFlag:
    """Bits of an OPC UA status code; a code the hub does not use gives the bit of its severity."""
    reason = reason_of(status)
    flags = _FLAGS.get(reason) if reason is not None else None
    return flags if flags is not None else _BY_SEVERITY[quality_of(status)]

"""Simulated meters: the device side over the real protocol, driven by load curves, with faults on demand."""

from drivers.simulators.consumer import ConsumerClass
from drivers.simulators.faults import (
    Always,
    Between,
    Dropped,
    EveryNth,
    ExceptionAnswer,
    Fault,
    Forced,
    Frozen,
    Garbage,
    Late,
    Rollover,
    Schedule,
    Silent,
    Slow,
    WrongCheck,
    WrongLength,
    WrongUnit,
)
from drivers.simulators.fleet import Books, Endpoint, Fleet, FleetMeter, SimulatedMeter
from drivers.simulators.framing import Framing

__all__ = [
    "Always",
    "Between",
    "Books",
    "ConsumerClass",
    "Dropped",
    "Endpoint",
    "EveryNth",
    "ExceptionAnswer",
    "Fault",
    "Fleet",
    "FleetMeter",
    "Forced",
    "Framing",
    "Frozen",
    "Garbage",
    "Late",
    "Rollover",
    "Schedule",
    "Silent",
    "SimulatedMeter",
    "Slow",
    "WrongCheck",
    "WrongLength",
    "WrongUnit",
]

"""Enumerated states that the model shows; codes are frozen, they are stored and sent.

The numbers are those of the type model (docs/opcua.md): each class is one OPC UA enumeration.
"""

from __future__ import annotations

from enum import IntEnum


class Medium(IntEnum):
    """What a metering unit measures."""

    ELECTRICITY = 0
    WATER = 1
    HOT_WATER = 2
    GAS = 3
    HEAT = 4
    COOLING = 5
    STEAM = 6
    COMPRESSED_AIR = 7
    OTHER = 8


class MeterState(IntEnum):
    """How a metering unit is doing, for clients that do not look at status codes."""

    NEVER_POLLED = 0
    ONLINE = 1
    STALE = 2
    COMM_LOST = 3
    DEVICE_ERROR = 4
    DISABLED = 5
    MAINTENANCE = 6


class SwitchState(IntEnum):
    """Position of a supply switch."""

    UNKNOWN = 0
    OPEN = 1
    CLOSED = 2
    READY_TO_CLOSE = 3
    IN_TRANSIT = 4
    FAILURE = 5


class ValveState(IntEnum):
    """Position of a valve."""

    UNKNOWN = 0
    OPEN = 1
    CLOSED = 2
    PARTIAL = 3
    IN_TRANSIT = 4
    FAILURE = 5


class CommunicationState(IntEnum):
    """How a device or a line is doing, from its communication alone."""

    UNKNOWN = 0
    ONLINE = 1
    DEGRADED = 2
    OFFLINE = 3


class CommandState(IntEnum):
    """How far a command to a device has come."""

    IDLE = 0
    QUEUED = 1
    SENT = 2
    CONFIRMED = 3
    FAILED = 4
    TIMED_OUT = 5
    REJECTED = 6
    UNKNOWN = 7


class Protocol(IntEnum):
    """What a metering unit speaks."""

    MODBUS_RTU = 0
    MODBUS_TCP = 1
    DLT645_1997 = 2
    DLT645_2007 = 3
    CJT188 = 4
    MQTT = 5
    VIRTUAL = 6


class PrepayMode(IntEnum):
    """State of a prepaid account at the meter."""

    DISABLED = 0
    ACTIVE = 1
    EXHAUSTED = 2
    KEEP_POWER = 3


class Phase(IntEnum):
    """Which conductor or sum a quantity belongs to."""

    TOTAL = 0
    L1 = 1
    L2 = 2
    L3 = 3
    N = 4
    L1L2 = 5
    L2L3 = 6
    L3L1 = 7

"""Quality of a value and the reason for it, and both as OPC UA status codes.

The table is OPC 10000-4 7.39 as the hub uses it; Good is exactly 0, because clients exist that count any other
good code as invalid.
"""

from __future__ import annotations

from enum import Enum, IntEnum


class Quality(IntEnum):
    """Severity of a status, as in the top two bits of an OPC UA status code."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Reason(Enum):
    """Why a value has its quality; the value is the OPC UA status code."""

    FRESH = 0x0000_0000
    """Good."""
    NEVER_READ = 0x8032_0000
    """BadWaitingForInitialData: created and not polled yet."""
    STALE = 0x4090_0000
    """UncertainLastUsableValue: older than three poll periods, the link not yet declared dead."""
    HELD = 0x408F_0000
    """UncertainNoCommunicationLastUsableValue: communication lost, last value within its hold time."""
    TIMEOUT = 0x8031_0000
    """BadNoCommunication: the device does not answer and nothing may be held any longer."""
    BAD_FRAME = 0x8005_0000
    """BadCommunicationError: answers arrive and cannot be trusted."""
    NOT_CONNECTED = 0x808A_0000
    """BadNotConnected: the line or port is down."""
    MISCONFIGURED = 0x8089_0000
    """BadConfigurationError: the configured address cannot exist on this line."""
    DEVICE_ERROR = 0x808B_0000
    """BadDeviceFailure: the device answered with an error."""
    NOT_SUPPORTED = 0x803D_0000
    """BadNotSupported: the device answered that it has no such data."""
    SENSOR_FAILURE = 0x808C_0000
    """BadSensorFailure: the device reports its own probe as faulty."""
    RANGE_EXCEEDED = 0x4094_0000
    """UncertainEngineeringUnitsExceeded: outside EURange but plausible; the value is sent."""
    OUT_OF_RANGE = 0x803C_0000
    """BadOutOfRange: impossible for this instrument; no value is sent."""
    SUBSTITUTED = 0x4091_0000
    """UncertainSubstituteValue: estimated or entered by hand."""
    RESTORED = 0x4092_0000
    """UncertainInitialValue: from the store after a restart, until the next poll."""
    INCOMPLETE = 0x4095_0000
    """UncertainSubNormal: computed with inputs missing."""
    OUT_OF_SERVICE = 0x808D_0000
    """BadOutOfService: the unit is disabled or in maintenance."""
    SIMULATED = 0x4209_0000
    """UncertainSimulatedValue: not from a device."""

    @property
    def status(self) -> int:
        """OPC UA status code, 32 bits."""
        return self.value

    @property
    def quality(self) -> Quality:
        """Severity of the status code."""
        return quality_of(self.value)


GOOD = Reason.FRESH.status
SEVERITY_BAD = 0x8000_0000
SEVERITY_UNCERTAIN = 0x4000_0000


def quality_of(status: int) -> Quality:
    """Severity of an OPC UA status code (its top two bits)."""
    if status & SEVERITY_BAD:
        return Quality.BAD
    return Quality.UNCERTAIN if status & SEVERITY_UNCERTAIN else Quality.GOOD


def reason_of(status: int) -> Reason | None:
    """The reason with this status code, or None where the hub never uses it."""
    try:
        return Reason(status & 0xFFFF_0000)
    except ValueError:
        return None

"""What a device means by a Modbus exception (Application Protocol 1.1b3, chapter 7)."""

from __future__ import annotations

from address_space.model.quality import Reason
from drivers.errors import DeviceRefused

ILLEGAL_FUNCTION = 1
ILLEGAL_DATA_ADDRESS = 2
ILLEGAL_DATA_VALUE = 3

EXCEPTION_NAMES = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge, still working",
    6: "device busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target did not answer",
}

_REASONS = {
    1: Reason.NOT_SUPPORTED,
    2: Reason.NOT_SUPPORTED,
    10: Reason.TIMEOUT,
    11: Reason.TIMEOUT,
}
_RETRYABLE = frozenset({5, 6, 10, 11})
_HINTS = {
    1: "the device does not know this function code",
    2: "the profile does not fit this device or its firmware",
    3: "ask for fewer registers at once",
    10: "check the gateway's settings",
    11: "check the device's address, baud rate and wiring behind the gateway",
}


def refusal(code: int, where: str) -> DeviceRefused:
    """The error for an exception answer."""
    name = EXCEPTION_NAMES.get(code, "unknown exception")
    return DeviceRefused(
        f"the device answered exception {code} ({name})",
        code=code,
        reason=_REASONS.get(code, Reason.DEVICE_ERROR),
        retryable=code in _RETRYABLE,
        where=where,
        hint=_HINTS.get(code, ""),
    )

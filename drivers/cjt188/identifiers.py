"""Data identifiers (DI): what they are called, and in which order their two bytes came over the wire.

CJ/T 188-2004 table 11. Meters of both orders are in the field, and one is known to be asked in one and to answer in the
other, so the order is never taken for granted: of the two readings the one that is an identifier counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final


class DiOrder(Enum):
    """Which byte of an identifier comes first."""

    LE = "le"
    BE = "be"


READING: Final = 0x901F
FULL_RECORD: Final = 0x911F
CLOCK: Final = 0x907F
PURCHASE: Final = 0x8105
ADDRESS: Final = 0x810A
WRITE_PURCHASE: Final = 0xA013
WRITE_CLOCK: Final = 0xA015
WRITE_BASE: Final = 0xA016
WRITE_VALVE: Final = 0xA017
WRITE_ADDRESS: Final = 0xA018
FACTORY_ENABLE: Final = 0xA019
"""Ends the factory state for good: known here to be told from noise, offered nowhere."""

NAMES: Mapping[int, str] = MappingProxyType(
    {
        READING: "current_reading",
        FULL_RECORD: "heat_and_cooling_record",
        0x903F: "month_history",
        0x904F: "month_history_2",
        CLOCK: "clock",
        0x8102: "price",
        0x8103: "settlement_day",
        0x8104: "reading_day",
        PURCHASE: "purchase",
        0x8106: "key_version",
        ADDRESS: "address",
        0xA010: "write_price",
        0xA011: "write_settlement_day",
        0xA012: "write_reading_day",
        WRITE_PURCHASE: "write_purchase",
        0xA014: "write_key",
        WRITE_CLOCK: "write_clock",
        WRITE_BASE: "write_base_reading",
        WRITE_VALVE: "valve_control",
        WRITE_ADDRESS: "write_address",
        FACTORY_ENABLE: "factory_enable",
        0xA101: "enter_verification",
        0xA102: "leave_verification",
        0xA103: "write_line_settings",
        0xA104: "write_freeze_settings",
        0xA105: "write_volume_alarm",
        0xA106: "write_amount_alarm",
        0xA107: "write_key_2018",
    }
)
_FREEZES: Mapping[int, str] = MappingProxyType({0xD2: "history", 0xD3: "timed_freeze", 0xD4: "instant_freeze"})


def name_of(di: int) -> str:
    """What an identifier is called; empty where it is not known."""
    if 0xD120 <= di <= 0xD12B:
        return f"month_settlement_{di - 0xD120 + 1}"
    freeze = _FREEZES.get(di >> 8)
    return NAMES.get(di, "") if freeze is None else f"{freeze}_{(di & 0xFF) + 1}"


def family_of(di: int) -> int:
    """The identifier that stands for all of its kind: D120 for each month, D300 for each timed freeze."""
    if 0xD120 <= di <= 0xD12B:
        return 0xD120
    return di & 0xFF00 if di >> 8 in _FREEZES else di


def di_bytes(di: int, order: DiOrder) -> bytes:
    """As sent."""
    return di.to_bytes(2, "big" if order is DiOrder.BE else "little")


def read_di(data: bytes) -> tuple[int, DiOrder]:
    """The identifier that two bytes are, and their order; low byte first where both orders would do, or neither."""
    low_first, high_first = int.from_bytes(data, "little"), int.from_bytes(data, "big")
    if name_of(high_first) and not name_of(low_first):
        return high_first, DiOrder.BE
    if not name_of(low_first) and data[0] >= 0x80 > data[1]:
        return high_first, DiOrder.BE
    return low_first, DiOrder.LE


def is_di(data: bytes, di: int) -> bool:
    """Whether two bytes are this identifier, in either order."""
    return di in (int.from_bytes(data, "little"), int.from_bytes(data, "big"))

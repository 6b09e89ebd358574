"""Status words of a meter and error bytes of its answers as named states (DL/T 645-2007 annex C; 1997 annex C).

What revisions of the standard word differently is named so: `by_revision`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from address_space.model.quantity import Quantity, by_path


@dataclass(frozen=True, slots=True)
class Bits:
    """A run of bits in a status word, and what each of its values means, from 0 on.

    path  the hub's quantity that a single bit stands for, empty where there is none
    """

    first: int
    name: str
    meanings: tuple[str, ...]
    path: str = ""
    by_revision: bool = False

    @property
    def width(self) -> int:
        """Bits it takes."""
        return max(1, (len(self.meanings) - 1).bit_length())

    def take(self, value: int) -> int:
        """Its value in a status word."""
        return value >> self.first & ((1 << self.width) - 1)


@dataclass(frozen=True, slots=True)
class State:
    """One state of a status word: `value` as the bits say, `meaning` in words."""

    name: str
    value: int
    meaning: str
    quantity: Quantity | None = None
    by_revision: bool = False


def states(number: int, word: int) -> list[State]:
    """Every state in status word `number` (1 to 7) of DL/T 645-2007; empty for another number."""
    return list(_told(_WORDS.get(number, ()), word))


def states_1997(di: int, byte: int) -> list[State]:
    """Every state in the status byte C020 (meter) or C021 (grid) of DL/T 645-1997; empty for another identifier."""
    return list(_told(_BYTES_1997.get(di, ()), byte))


def error_names(code: int) -> list[str]:
    """Words for the bits of an error byte."""
    return [name for bit, name in enumerate(ERRORS) if code >> bit & 1]


def security_error_names(code: int) -> list[str]:
    """Words for the bits of the two-byte error of a security command (control code 03)."""
    return [SECURITY_ERRORS.get(bit, f"bit_{bit}") for bit in range(16) if code >> bit & 1]


ERRORS: Final = (
    "other",
    "no_such_data",
    "password_or_unauthorised",
    "baud_not_changeable",
    "too_many_year_zones",
    "too_many_day_slots",
    "too_many_tariffs",
    "reserved",
)
"""Bits of the error byte from 0 on."""
SECURITY_ERRORS: Final = {
    0: "other",
    1: "recharged_twice",
    2: "esam_verification_failed",
    3: "identity_not_authenticated",
    4: "customer_number_mismatch",
    5: "recharge_count_mismatch",
    6: "hoarding_limit_exceeded",
    7: "address_abnormal",
}


def _told(layout: tuple[Bits, ...], word: int) -> Iterator[State]:
    for bits in layout:
        value = bits.take(word)
        meaning = bits.meanings[value] if value < len(bits.meanings) else f"unknown ({value})"
        quantity = by_path(bits.path) if bits.path else None
        yield State(bits.name, value, meaning, quantity, bits.by_revision)


def _flag(bit: int, name: str, path: str = "", *, by_revision: bool = False) -> Bits:
    return Bits(bit, name, ("no", "yes"), path, by_revision)


def _direction(bit: int, name: str, path: str = "") -> Bits:
    return Bits(bit, name, ("forward", "reverse"), path)


_PHASE_WORD: Final = (
    _flag(0, "voltage_loss", "Status.VoltageLoss"),
    _flag(1, "undervoltage", "Status.Undervoltage"),
    _flag(2, "overvoltage", "Status.Overvoltage"),
    _flag(3, "current_loss", "Status.CurrentLoss"),
    _flag(4, "overcurrent", "Status.Overcurrent"),
    _flag(5, "overload", "Status.Overload"),
    _flag(6, "power_reverse", "Status.ReverseFlow"),
    _flag(7, "phase_failure", "Status.PhaseFailure"),
    _flag(8, "current_break"),
)
_WORDS: Final[dict[int, tuple[Bits, ...]]] = {
    1: (
        Bits(1, "demand_mode", ("slide", "block")),
        _flag(2, "clock_battery_low", "Status.ClockBatteryLow"),
        _flag(3, "outage_battery_low", "Status.BatteryLow"),
        _direction(4, "active_direction", "Status.ReverseFlow"),
        _direction(5, "reactive_direction"),
        _flag(8, "control_loop_fault", by_revision=True),
        _flag(9, "esam_fault", by_revision=True),
        _flag(12, "program_fault", by_revision=True),
        _flag(13, "memory_fault", by_revision=True),
        _flag(14, "overvoltage_of_supply", by_revision=True),
        _flag(15, "clock_fault", by_revision=True),
    ),
    2: (
        _direction(0, "active_direction_A"),
        _direction(1, "active_direction_B"),
        _direction(2, "active_direction_C"),
        _direction(4, "reactive_direction_A"),
        _direction(5, "reactive_direction_B"),
        _direction(6, "reactive_direction_C"),
    ),
    3: (
        Bits(0, "slot_table", ("set 1", "set 2")),
        Bits(1, "supply", ("main", "auxiliary", "battery", "unknown (3)")),
        _flag(3, "programming_allowed", "Status.ProgrammingAllowed"),
        Bits(4, "relay_state", ("closed", "open")),
        Bits(5, "zone_table", ("set 1", "set 2")),
        Bits(6, "relay_command", ("close", "open")),
        _flag(7, "about_to_trip", "Status.LowCredit"),
        Bits(8, "meter_type", ("post-paid", "prepaid energy", "prepaid money", "unknown (3)")),
        Bits(10, "price_set", ("set 1", "set 2")),
        Bits(11, "ladder_set", ("set 1", "set 2")),
        Bits(12, "keep_power", ("no", "yes"), "Switch.KeepPowerActive", by_revision=True),
        Bits(13, "authentication_valid", ("no", "yes"), by_revision=True),
        Bits(14, "local_account", ("open", "not open"), by_revision=True),
        Bits(15, "remote_account", ("open", "not open"), by_revision=True),
    ),
    4: _PHASE_WORD,
    5: _PHASE_WORD,
    6: _PHASE_WORD,
    7: (
        _flag(0, "voltage_sequence_reverse", by_revision=True),
        _flag(1, "current_sequence_reverse", by_revision=True),
        _flag(2, "voltage_unbalance", by_revision=True),
        _flag(3, "current_unbalance", by_revision=True),
        _flag(4, "auxiliary_supply_loss", by_revision=True),
        _flag(5, "power_down", by_revision=True),
        _flag(6, "demand_exceeded", by_revision=True),
        _flag(7, "power_factor_low", by_revision=True),
        _flag(8, "current_unbalance_severe", by_revision=True),
    ),
}
_BYTES_1997: Final[dict[int, tuple[Bits, ...]]] = {
    0xC020: (
        Bits(0, "reading", ("automatic", "manual"), by_revision=True),
        Bits(1, "demand_mode", ("slide", "block"), by_revision=True),
        _flag(2, "battery_low", "Status.BatteryLow"),
        _direction(4, "active_direction", "Status.ReverseFlow"),
        _direction(5, "reactive_direction"),
    ),
    0xC021: (
        _flag(0, "voltage_loss_A", "Status.VoltageLoss", by_revision=True),
        _flag(1, "voltage_loss_B", "Status.VoltageLoss", by_revision=True),
        _flag(2, "voltage_loss_C", "Status.VoltageLoss", by_revision=True),
        _flag(4, "overvoltage_A", "Status.Overvoltage", by_revision=True),
        _flag(5, "overvoltage_B", "Status.Overvoltage", by_revision=True),
        _flag(6, "overvoltage_C", "Status.Overvoltage", by_revision=True),
    ),
}

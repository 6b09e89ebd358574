"""Status words and error bytes as named states."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from address_space.model.quantity import Quantity
from drivers.dlt645.status import error_names, security_error_names, states, states_1997


def told(number: int, word: int) -> dict[str, str]:
    return {state.name: state.meaning for state in states(number, word)}


@pytest.mark.parametrize(
    ("number", "word", "name", "meaning"),
    [
        (1, 0x0002, "demand_mode", "block"),
        (1, 0x0004, "clock_battery_low", "yes"),
        (1, 0x0010, "active_direction", "reverse"),
        (2, 0x0002, "active_direction_B", "reverse"),
        (2, 0x0040, "reactive_direction_C", "reverse"),
        (3, 0x0000, "relay_state", "closed"),
        (3, 0x0010, "relay_state", "open"),
        (3, 0x0040, "relay_command", "open"),
        (3, 0x0010, "relay_command", "close"),
        (3, 0x0004, "supply", "battery"),
        (3, 0x0002, "supply", "auxiliary"),
        (3, 0x0200, "meter_type", "prepaid money"),
        (3, 0x0300, "meter_type", "unknown (3)"),
        (3, 0x1000, "keep_power", "yes"),
        (4, 0x0001, "voltage_loss", "yes"),
        (6, 0x0100, "current_break", "yes"),
        (7, 0x0020, "power_down", "yes"),
    ],
)
def test_each_bit_has_its_place(number: int, word: int, name: str, meaning: str) -> None:
    assert told(number, word)[name] == meaning


def test_relay_and_command_are_told_apart() -> None:
    waiting = told(3, 0x0010)
    assert (waiting["relay_state"], waiting["relay_command"]) == ("open", "close")


def test_what_revisions_word_differently_is_named_so() -> None:
    doubtful = {state.name for state in states(3, 0) if state.by_revision}
    assert doubtful == {"keep_power", "authentication_valid", "local_account", "remote_account"}
    assert all(state.by_revision for state in states(7, 0))


def test_states_know_the_quantities_of_the_hub() -> None:
    known = {state.name: state.quantity for number in range(1, 8) for state in states(number, 0)}
    assert known["clock_battery_low"] is Quantity.CLOCK_BATTERY_LOW
    assert known["phase_failure"] is Quantity.PHASE_FAILURE
    assert known["about_to_trip"] is Quantity.LOW_CREDIT


def test_the_battery_of_1997_has_its_bit() -> None:
    assert {state.name: state.meaning for state in states_1997(0xC020, 0x04)}["battery_low"] == "yes"
    assert states_1997(0x9010, 0) == []


@given(st.integers(0, 9), st.integers(0, 0xFFFF))
def test_any_word_is_told(number: int, word: int) -> None:
    assert all(state.meaning for state in states(number, word))
    assert bool(states(number, word)) is (1 <= number <= 7)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (0x00, []),
        (0x02, ["no_such_data"]),
        (0x04, ["password_or_unauthorised"]),
        (0x09, ["other", "baud_not_changeable"]),
        (0xFF, 8),
    ],
)
def test_bits_of_an_error_may_combine(code: int, names: list[str] | int) -> None:
    assert error_names(code) == names if isinstance(names, list) else len(error_names(code)) == names


def test_security_errors_have_two_bytes() -> None:
    assert security_error_names(0x0021) == ["other", "recharge_count_mismatch"]
    assert security_error_names(0x8000) == ["bit_15"]

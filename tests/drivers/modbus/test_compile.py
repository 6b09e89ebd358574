"""What a profile may not say in Modbus's words, told at its place."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.errors import ProfileError

POINT = "points:\n  VoltageL1: {at: 0, type: uint16, unit: V}\n"

WRONG = {
    "{at: 0, typo: uint16, type: uint16, unit: V}": "did you mean 'type'",
    "{at: 0, type: uint17, unit: V}": "type",
    "{at: 0, unit: V}": "type is missing",
    "{type: uint16, unit: V}": "at is missing",
    "{at: [1, 2, 3], type: uint32, unit: V}": "3 addresses",
    "{at: 70000, type: uint16, unit: V}": "no Modbus address",
    "{at: 0, type: uint32, fc: 1, unit: V}": "reads bits",
    "{at: 0, type: string, words: 2, unit: V}": "a string is for",
    "{at: 0, type: mod10000, unit: V}": "needs words",
    "{at: 0, type: float32, bits: [0, 3], unit: V}": "unsigned integers",
    "{at: 0, type: int16, sign: magnitude, unit: V}": "separate sign",
    "{at: 0, type: uint16, scale: 0, unit: V}": "scale of 0",
    "{at: 0, type: uint16, ratio: cp, unit: V}": "ratio",
    "{sum: [{at: 0, type: uint16}], unit: V}": "sum",
}


@pytest.mark.parametrize("point", WRONG)
def test_a_mistake_in_a_point_is_told_with_its_place(point: str, compiled: Any) -> None:
    with pytest.raises(ProfileError) as caught:
        compiled(f"points:\n  VoltageL1: {point}\n")
    assert WRONG[point] in str(caught.value)
    assert "meter.yaml:7:" in str(caught.value)


def test_all_mistakes_are_told_at_once(compiled: Any) -> None:
    text = "modbus: {max_word: 3}\npoints:\n  VoltageL1: {at: 0, type: x, unit: V}\n  VoltageL2: {at: 1, unit: V}\n"
    with pytest.raises(ProfileError) as caught:
        compiled(text)
    assert len(caught.value.mistakes) == 3
    assert "meter.yaml:6:10: unknown key 'max_word'; did you mean 'max_words'?" in str(caught.value)


def test_an_atomic_group_must_fit_one_request(compiled: Any) -> None:
    text = """
modbus: {max_words: 10}
points:
  VoltageL1: {at: 0, type: uint16, unit: V, atomic: a}
  VoltageL2: {at: 50, type: uint16, unit: V, atomic: a}
"""
    with pytest.raises(ProfileError, match="group 'a'"):
        compiled(text)


def test_commands_are_checked_with_the_profile(compiled: Any) -> None:
    head = f"{POINT}commands:\n  open_supply:\n    steps:\n"
    steps = ("write: {at: 0x57, fc: 16, values: [1, 1]}", "wait_s: 1", "read_back: {at: 0x58, type: uint16, equals: 1}")
    profile = compiled(head + "".join(f"      - {step}\n" for step in steps))
    assert [step.label for step in profile.commands["open_supply"].steps] == [
        "write FC16 0x0057",
        "wait 1 s",
        "read back FC3 0x0058 uint16",
    ]


WRONG_STEPS = {
    "write: {at: 0x57, fc: 16}": "either values or argument or clock",
    "write: {fc: 16, values: [1]}": "at says where",
    "write: {at: 1, fc: 6, values: [1, 2]}": "function code 6 writes one value",
    "write: {at: 1, fc: 5, values: [7]}": "a coil is 0 or 1",
    "write: {at: 1, fc: 6, argument: {type: uint32}}": "function code 6 writes one value",
    "write: {at: 0xFFFF, fc: 16, values: [1, 1]}": "no Modbus address",
    "write: {at: 1, fc: 16, argument: {type: string}}": "string needs words",
    "write: {at: 1, fc: 16, argument: {type: uint16, min: 5, max: 1}}": "min is above max",
    "write: {clock: time}": "where the device keeps its time",
    "read_back: {at: 1, type: uint16}": "exactly one of equals, between, argument",
    "read_back: {at: 1, type: float32, mask: 1, equals: 1}": "a mask belongs to an integer",
    "read_back: {at: 1, type: uint16, equals: 1, within_s: 3}": "unknown key 'within_s'",
    "effect: CurrentL1 < 0.05": "the profile has no point 'CurrentL1'",
    "effect: VoltageL1 is low": "an effect is a quantity",
    "wait_s: 1, within_s: 2": "within_s belongs to",
}


@pytest.mark.parametrize("step", WRONG_STEPS)
def test_a_mistake_in_a_step_is_told_with_its_place(step: str, compiled: Any) -> None:
    with pytest.raises(ProfileError) as caught:
        compiled(f"{POINT}commands:\n  open_supply:\n    steps:\n      - {{{step}}}\n")
    assert WRONG_STEPS[step] in str(caught.value)
    assert "meter.yaml:" in str(caught.value)


def test_a_command_has_a_name_that_all_protocols_know(compiled: Any) -> None:
    with pytest.raises(ProfileError, match="did you mean 'open_supply'"):
        compiled(f"{POINT}commands:\n  open_suply:\n    steps: [wait_s: 1]\n")
    assert "other_blink" in compiled(f"{POINT}commands:\n  other_blink:\n    steps: [wait_s: 1]\n").commands


def test_a_variant_needs_a_condition_that_can_be_tested(compiled: Any) -> None:
    with pytest.raises(ProfileError, match="exactly one of equals"):
        compiled(POINT + "variants:\n  new:\n    when: [{at: 9, type: uint16}]\n")

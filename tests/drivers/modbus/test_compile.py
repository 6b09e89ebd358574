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


def test_commands_are_checked_though_executed_elsewhere(compiled: Any) -> None:
    head = f"{POINT}commands:\n  open:\n    danger: [supply]\n    steps:\n"
    steps = ("write: {at: 0x57, fc: 16, values: [1, 1]}", "wait_s: 1", "read_back: {at: 0x58, type: uint16, equals: 1}")
    assert len(compiled(head + "".join(f"      - {step}\n" for step in steps)).profile.commands[0].steps) == 3
    with pytest.raises(ProfileError, match="either values or argument"):
        compiled(head + "      - write: {at: 0x57, fc: 16}\n")


def test_a_variant_needs_a_condition_that_can_be_tested(compiled: Any) -> None:
    with pytest.raises(ProfileError, match="exactly one of equals"):
        compiled(POINT + "variants:\n  new:\n    when: [{at: 9, type: uint16}]\n")

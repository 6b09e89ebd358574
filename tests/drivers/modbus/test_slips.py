"""Slips of whoever copies a register table from a manual."""

from __future__ import annotations

import pytest

from drivers.errors import ProfileError
from drivers.modbus import compile_profile
from tests.drivers.profile_text import profile_of


def compiled(text: str) -> object:
    return compile_profile(profile_of("modbus", text))


def complaint(text: str) -> str:
    with pytest.raises(ProfileError) as caught:
        compiled(text)
    return str(caught.value)


def test_two_points_that_overlap_are_told_with_both_registers() -> None:
    said = complaint("""points:
  VoltageL1: {at: 0, type: uint32, unit: V}
  VoltageL2: {at: 1, type: uint32, unit: V}
""")
    assert "VoltageL2 (FC3 0x0001 uint32) reads 0x0001, which VoltageL1 (FC3 0x0000 uint32) reads already" in said
    assert said.startswith("meter.yaml:8:15: ")
    assert "shared: true" in said


def test_a_copied_line_whose_address_was_forgotten_is_told() -> None:
    assert "VoltageL2" in complaint("""points:
  VoltageL1: {at: 7, type: uint16, unit: V}
  VoltageL2: {at: 7, type: uint16, unit: V}
""")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{at: 7, type: uint16, unit: V}", "{at: 7, type: uint16, unit: V, shared: true}"),
        ("{at: 7, type: uint16, unit: V, bits: [0, 7]}", "{at: 7, type: uint16, unit: V, bits: [8, 15]}"),
        ("{at: 7, type: uint8_hi, unit: V}", "{at: 7, type: uint8_lo, unit: V}"),
        ("{at: 7, type: uint16, unit: V}", "{at: 7, type: uint16, unit: V, fc: 4}"),
        ("{at: 7, type: uint16, unit: V}", "{at: 8, type: uint16, unit: V}"),
    ],
)
def test_points_that_take_different_things_or_say_that_they_share_are_no_slip(one: str, other: str) -> None:
    assert compiled(f"points:\n  VoltageL1: {one}\n  VoltageL2: {other}\n")


@pytest.mark.parametrize(("fc", "address"), [(3, 40013), (4, 30013)])
def test_a_manuals_notation_is_told(fc: int, address: int) -> None:
    said = complaint(f"""modbus: {{fc: {fc}}}
points:
  VoltageL1: {{at: {address}, type: uint16, unit: V}}
  VoltageL2: {{at: {address + 1}, type: uint16, unit: V}}
""")
    base = address - 12
    assert f"{address} looks like the notation of a manual, in which {base} is the first register" in said
    assert f"say base: {base} in the section, or base: 0 if these are the addresses on the wire" in said


@pytest.mark.parametrize(("base", "wire"), [(40001, 12), (0, 40013)])
def test_what_is_said_about_the_base_is_believed(base: int, wire: int) -> None:
    profile = compiled(f"modbus: {{base: {base}}}\npoints:\n  VoltageL1: {{at: 40013, type: uint16, unit: V}}\n")
    assert profile.points[0].address == wire  # type: ignore[attr-defined]


def test_one_address_among_others_may_be_high() -> None:
    assert compiled("""points:
  VoltageL1: {at: 40013, type: uint16, unit: V}
  VoltageL2: {at: 2, type: uint16, unit: V}
""")


def test_the_notation_of_six_digits_needs_its_base() -> None:
    said = complaint("points:\n  VoltageL1: {at: 400013, type: uint16, unit: V}\n")
    assert "0x61A8D is no Modbus address" in said
    assert "say in base what the manual calls the first register" in said


def test_a_manual_that_mixes_30001_and_40001_is_followed_point_by_point() -> None:
    profile = compiled("""modbus: {base: 40001}
points:
  VoltageL1: {at: 40013, type: uint16, unit: V}
  VoltageL2: {at: 30007, fc: 4, base: 30001, type: uint16, unit: V}
""")
    points = profile.points  # type: ignore[attr-defined]
    assert [(point.fc, point.address) for point in points] == [(3, 12), (4, 6)]

"""A profile from picks: the template with its comments, and nothing in it that was not picked."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.errors import ProfileError
from drivers.modbus import plugin
from drivers.probe import Draft, ProbeMistake, draft, parse_pick
from drivers.profiles import Profile, load_library

PICKS = (
    "VoltageL1=0x0100:float32:CDAB:V",
    "Frequency=288:uint16:0.01",
    "ActiveEnergyImport=0x0200:uint32:CDAB:0.01:kWh:ptct",
    "ActivePower=0x300:int32:ABCD:fc4:kW",
)


def loaded(text: str, folder: Path, name: str = "acme/pm-1") -> Profile:
    file = folder / f"{name}.yaml"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    profile = load_library(folder).get(name)
    plugin.compile(profile)
    return profile


def test_a_draft_is_a_profile_that_says_what_was_picked(tmp_path: Path) -> None:
    picks = [parse_pick(text) for text in PICKS[:4]]
    text = draft(Draft("acme/pm-1", "Acme: Ltd", "PM #1", "2400 8E1", "Manual, 'second'", max_words=20), picks)
    profile = loaded(text, tmp_path)
    assert (profile.vendor, profile.model, profile.line) == ("Acme: Ltd", "PM #1", "2400 8E1")
    assert str(profile.serial) == "2400 8E1"
    assert profile.source[0].document == "Manual, 'second'"
    assert "to be confirmed" in profile.caveats[0]
    assert profile.settings["order"] == "CDAB"
    assert profile.settings["max_words"] == 20
    assert [point.name for point in profile.points] == [
        "VoltageL1",
        "Frequency",
        "ActiveEnergyImport",
        "ActivePower",
    ]
    voltage, frequency, energy, power = (point.address for point in profile.points)
    assert voltage == {"at": 0x100, "type": "float32"}
    assert frequency == {"at": 288, "type": "uint16", "scale": 0.01}
    assert energy["ratio"] == "ptct"
    assert (power["order"], power["fc"]) == ("ABCD", 4)


def test_the_comments_of_the_template_stay() -> None:
    text = draft(Draft("acme/pm-1"), [parse_pick(PICKS[0])])
    assert "# 3 holding registers, 4 input registers" in text
    assert "# ratio: multiply with the transformers" in text
    assert "# commands:" in text
    assert "ActivePower" not in text


def test_what_nobody_said_of_the_serial_line_is_not_stated(tmp_path: Path) -> None:
    profile = loaded(draft(Draft("acme/pm-1"), [parse_pick(PICKS[0])]), tmp_path)
    assert (profile.line, profile.serial) == ("", None)


@pytest.mark.parametrize(
    ("pick", "said"),
    [
        ("VoltageL1", "no point"),
        ("VoltageL1=", "no point"),
        ("VoltgeL1=0:uint16", "did you mean VoltageL1"),
        ("Quality=0:uint16", "no quantity"),
        ("VoltageL1=zero:uint16", "no address"),
        ("VoltageL1=0x10000:uint16", "no address"),
        ("VoltageL1=0", "does not say what"),
        ("VoltageL1=0:uint17", "no type"),
        ("VoltageL1=0:uint16:kWh", "not measured in"),
        ("ActiveEnergyImport=0:uint32", "needs its unit"),
        ("VoltageL1=0:uint16:0", "scale of 0"),
        ("Temperature=0:string", "no type"),
        ("Switch.State=0:uint16:V", "has no unit"),
    ],
)
def test_a_pick_that_makes_no_sense_is_told_so(pick: str, said: str) -> None:
    with pytest.raises(ProbeMistake) as caught:
        parse_pick(pick)
    assert said in str(caught.value)


def test_a_draft_needs_points_each_once_a_name_and_a_line_that_is_one() -> None:
    pick = parse_pick(PICKS[0])
    for head, picks, kind in (
        (Draft("acme/pm-1"), [], ProbeMistake),
        (Draft("acme/pm-1"), [pick, pick], ProbeMistake),
        (Draft("acme"), [pick], ProfileError),
        (Draft("acme/pm-1", line="fast"), [pick], ProbeMistake),
    ):
        with pytest.raises(kind):
            draft(head, picks)

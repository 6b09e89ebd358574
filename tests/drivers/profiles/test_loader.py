"""Profiles from files: merging, places of mistakes, a site's own."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import ProfileError
from drivers.profiles import PollClass, load_library
from drivers.profiles.document import parse_document

METER = """\
profile: own/meter
vendor: Own
model: Meter
protocol: modbus
source: [{document: this test}]
points:
  VoltageL1: {at: 0, type: uint16, unit: V}
  ActiveEnergyImport: {at: 1, type: uint32, unit: kWh, counter: {max: 1000000}, range: [0, 500000]}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    return tmp_path


def put(site: Path, text: str, name: str = "own/meter") -> Path:
    file = site / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return site


def complaint(site: Path, text: str) -> str:
    with pytest.raises(ProfileError) as caught:
        load_library(put(site, text))
    return str(caught.value)


def test_a_sites_own_profile_stands_beside_the_hubs(site: Path) -> None:
    library = load_library(put(site, METER))
    assert {"own/meter", "eastron/sdm630"} <= set(library.names)
    energy = library.get("own/meter").point_specs()[1]
    assert (energy.rollover, energy.range, energy.poll_s) == (1_000_000.0, (0.0, 500_000.0), 60.0)


def test_a_sites_own_profile_wins_over_the_hubs(site: Path) -> None:
    put(site, METER.replace("own/meter", "eastron/sdm120"), "eastron/sdm120")
    assert load_library(site).get("eastron/sdm120").vendor == "Own"


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ProfileError, match="did you mean 'eastron/sdm630'"):
        load_library().get("eastron/sdm63")


def test_a_profile_extends_another_and_removes_what_it_lacks(site: Path) -> None:
    child = """\
profile: own/child
extends: own/meter
model: Child
points:
  VoltageL1: {at: 9}
  ActiveEnergyImport: null
  CurrentL1: {at: 4, type: uint16, unit: A, class: fast}
"""
    put(site, METER)
    profile = load_library(put(site, child, "own/child")).get("own/child")
    assert [point.name for point in profile.points] == ["VoltageL1", "CurrentL1"]
    assert profile.points[0].address == {"at": 9, "type": "uint16"}
    assert (profile.vendor, profile.model, profile.extends) == ("Own", "Child", "own/meter")


def test_a_circle_of_profiles_is_told(site: Path) -> None:
    put(site, METER + "extends: own/other\n")
    with pytest.raises(ProfileError, match="break the circle"):
        load_library(put(site, "profile: own/other\nextends: own/meter\n", "own/other"))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("vendor: Own\n", "", "vendor is missing"),
        ("VoltageL1:", "VoltagL1:", "meter.yaml:7:3: unknown quantity 'VoltagL1'; did you mean 'VoltageL1'?"),
        ("unit: V}", "unit: kW}", "VoltageL1 cannot be stated in 'kW'; use one of mV, V, kV"),
        ("model: Meter", "modle: Meter", "meter.yaml:3:1: unknown key 'modle'"),
        ("uint16, unit: V}", "uint16, unit: V", "not YAML"),
        ("  VoltageL1", "  Frequency: {at: 2, type: uint16, unit: Hz}\n  Frequency", "Frequency stands twice"),
        ("profile: own/meter", "profile: own/metre", "belongs"),
        ("range: [0, 500000]", "range: [5, 0]", "range must be"),
        ("at: 0, type: uint16, unit: V", "unit: V", "does not say where it is found"),
        ("at: 0, ", "at: 0, class: often, ", "fast"),
        ("protocol: modbus", "protocol: modbus\nmedium: beer", "unknown medium 'beer'"),
        ("protocol: modbus", "protocol: modbus\nextends: eastron/sdm64", "did you mean 'eastron/sdm630'"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_a_hint(site: Path, old: str, new: str, expected: str) -> None:
    assert expected in complaint(site, METER.replace(old, new, 1))


def test_mistakes_of_several_files_are_told_at_once(site: Path) -> None:
    put(site, METER.replace("unit: V}", "unit: kW}"))
    with pytest.raises(ProfileError) as caught:
        load_library(put(site, METER.replace("own/meter", "own/b").replace("VoltageL1", "Volt"), "own/b"))
    assert len(caught.value.mistakes) == 2


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="no such folder"):
        load_library(tmp_path / "nowhere")


def test_a_plant_may_poll_a_class_more_often() -> None:
    profile = load_library().get("eastron/sdm120")
    periods = {spec.quantity.path: spec.poll_s for spec in profile.point_specs({PollClass.FAST: 2.0})}
    assert periods["ActivePower"] == 2.0
    assert periods["ActiveEnergyImport"] == 60.0


@given(st.text(max_size=200))
def test_any_text_is_a_document_or_a_profile_error(text: str) -> None:
    with contextlib.suppress(ProfileError):
        assert isinstance(parse_document(text, "any.yaml").data, dict)

"""Profiles from files: merging, places of mistakes, a site's own."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import ProfileError
from drivers.profiles import Origin, PollClass, load_library, new_profile
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


def test_whose_a_profile_is_can_be_told(site: Path) -> None:
    put(site, METER.replace("own/meter", "eastron/sdm120"), "eastron/sdm120")
    library = load_library(put(site, METER))
    origins = [library.origin(name) for name in ("own/meter", "eastron/sdm120", "eastron/sdm630")]
    assert origins == [Origin.SITE, Origin.SITE_INSTEAD, Origin.HUB]


def test_a_sites_own_profile_may_extend_the_hubs_of_the_same_name(site: Path) -> None:
    text = "profile: siemens/7kt1665\nextends: siemens/7kt1665\npoints:\n  VoltageL1: {range: [0, 250]}\n"
    library = load_library(put(site, text, "siemens/7kt1665"))
    own, hubs = library.get("siemens/7kt1665"), load_library().get("siemens/7kt1665")
    assert [point.address for point in own.points] == [point.address for point in hubs.points]
    assert own.points[0].range == (0.0, 250.0)
    assert library.get("lovato/dmg610").points[0].range == (0.0, 250.0)


def test_a_profile_that_extends_itself_is_told(site: Path) -> None:
    with pytest.raises(ProfileError, match="own/meter extends itself; break the circle"):
        load_library(put(site, METER + "extends: own/meter\n"))


@pytest.mark.parametrize("name", ["meter.yaml", "own/meter.yml", "own/deep/meter.yaml"])
def test_a_file_where_no_profile_is_looked_for_is_told(site: Path, name: str) -> None:
    (site / "own" / "deep").mkdir()
    (site / name).write_text(METER)
    with pytest.raises(ProfileError, match=r"not looked for here; it is <vendor>/<model>\.yaml"):
        load_library(site)


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
        ("profile: own/meter\n", "", "it is called; begin the file with `profile: own/meter`"),
        ("profile: own/meter", "profile:", "the key `profile` is missing"),
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


def test_a_new_profile_of_any_other_loads_and_its_comments_say_what_the_other_says(site: Path) -> None:
    library = load_library()
    for number, parent in enumerate(map(library.get, library.names)):
        text = new_profile(f"own/m{number}", parent)
        put(site, text, f"own/m{number}")
        points = [line[1:] for line in text.splitlines() if line.startswith("#   ")][-len(parent.points) :]
        head = f"profile: own/n{number}\nextends: {parent.name}\nmodel: X\npoints:\n"
        put(site, head + "".join(f"{line}\n" for line in points), f"own/n{number}")
    own = load_library(site)
    for number, parent in enumerate(map(library.get, library.names)):
        for letter in "mn":
            said = own.get(f"own/{letter}{number}").points
            assert [point.address for point in said] == [point.address for point in parent.points]
            assert [point.unit for point in said] == [point.unit for point in parent.points]


@pytest.mark.parametrize("name", ["meter", "Own/Meter", "own/meter/x", "own/..", "../own/meter"])
def test_a_bad_name_of_a_new_profile_is_told(name: str) -> None:
    with pytest.raises(ProfileError, match="is no name of a profile"):
        new_profile(name)


@given(st.text(max_size=200))
def test_any_text_is_a_document_or_a_profile_error(text: str) -> None:
    with contextlib.suppress(ProfileError):
        assert isinstance(parse_document(text, "any.yaml").data, dict)

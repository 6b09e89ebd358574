"""From configuration to plant and buses."""

from __future__ import annotations

import pytest

from address_space.model import NodeUid, Quantity, Template
from config.errors import ConfigErrors, Problem
from drivers.profiles import load_library
from drivers.registry import load_drivers
from historian.counters import RatioChange
from server.assembly import Assembly
from tests.server.secondary import HEAD

ENERGY, POWER, VOLTAGE = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_POWER, Quantity.VOLTAGE_L1
SECONDARY = f"""\
{HEAD}\
  ActiveEnergyImport: {{at: 0, type: uint32, scale: 0.01, unit: kWh, ratio: ptct, counter: {{max: 999999.99}}}}
  ActiveEnergyExport: {{at: 2, type: uint32, scale: 0.01, unit: kWh, counter: {{max: 999999.99}}}}
  VoltageL1: {{at: 4, type: uint16, scale: 0.1, unit: V, ratio: pt, class: fast}}
"""


def sheet(site, rows: str) -> None:
    """Meters of a sheet beside the plant, which has the channels a and b."""
    text = (site.folder / "plant.yaml").read_text()
    (site.folder / "plant.yaml").write_text(text + "\nmeters: meters.csv\n")
    (site.folder / "meters.csv").write_text("id,parent,profile,channel,address,ct,pt,rated_power_kw,enabled\n" + rows)


def own_profile(site, text: str = SECONDARY) -> None:
    folder = site.folder / "profiles" / "site"
    folder.mkdir(parents=True)
    (folder / "secondary.yaml").write_text(text)


def template(assembly: Assembly, unit: str) -> Template:
    return assembly.plant.units[assembly.plant.unit_of[NodeUid(unit)]].template


def spec(assembly: Assembly, unit: str, quantity: Quantity):
    found = template(assembly, unit)
    return found.points[found.offsets[quantity.path]]


def problems(site) -> list[Problem]:
    with pytest.raises(ConfigErrors) as caught:
        site.draw()
    return list(caught.value.problems)


def test_a_register_behind_transformers_rolls_over_at_its_own_end_times_their_ratio(site) -> None:
    site.write({"a": [], "b": []})
    own_profile(site)
    sheet(site, "m1,f1,site/secondary,a,1,60,100,,\nm2,f1,site/secondary,a,2,,,,\n")
    assembly = site.draw().assembly
    assert spec(assembly, "m1", ENERGY).rollover == pytest.approx(999_999.99 * 60 * 100)
    assert spec(assembly, "m1", Quantity.ACTIVE_ENERGY_EXPORT).rollover == pytest.approx(999_999.99)
    assert spec(assembly, "m2", ENERGY).rollover == pytest.approx(999_999.99)
    assert spec(assembly, "m1", VOLTAGE).rollover == 0


def test_a_ratio_that_only_the_device_knows_leaves_the_rollover_unknown_unless_it_is_configured(site) -> None:
    site.write({"a": [], "b": []})
    own_profile(site, SECONDARY.replace("ct: configured", "ct: {at: 9, type: uint16}"))
    sheet(site, "m1,f1,site/secondary,a,1,60,,,\nm2,f1,site/secondary,a,2,,,,\n")
    assembly = site.draw().assembly
    assert spec(assembly, "m1", ENERGY).rollover == pytest.approx(999_999.99 * 60)
    assert spec(assembly, "m2", ENERGY).rollover == 0
    assert spec(assembly, "m2", Quantity.ACTIVE_ENERGY_EXPORT).rollover == pytest.approx(999_999.99)


@pytest.mark.parametrize("name", load_library().names)
def test_the_driver_states_a_factor_for_every_point_of_every_profile(name: str) -> None:
    profile = load_library().get(name)
    plugin = next(each for each in load_drivers().values() if profile.protocol in each.speaks)
    factors = plugin.factors(plugin.compile(profile), (60.0, 100.0))
    assert len(factors) == len(profile.points)
    assert set(factors) <= {1.0, 60.0, 100.0, 6000.0}


def changed(site, profile: str = SECONDARY) -> Assembly:
    """A meter whose transformers were 30 and 1, and are 60 and 100 since midnight in Tashkent."""
    site.write({"a": [], "b": []}, plant="time_zone: Asia/Tashkent\nmeters: meters.csv")
    own_profile(site, profile)
    header = "id,parent,profile,channel,address,ct,pt,ratio_since,ct_before\n"
    rows = "m1,f1,site/secondary,a,1,60,100,2026-11-01,30\nm2,f1,site/secondary,a,2,60,100,,\n"
    (site.folder / "meters.csv").write_text(header + rows)
    return site.draw().assembly


def test_a_change_of_transformers_is_known_to_the_device_and_to_the_registers_that_are_multiplied(site) -> None:
    assembly = changed(site)
    at_ms = 1_793_473_200_000  # 2026-10-31T19:00Z
    assert assembly.changes.of(NodeUid("m1")) == {
        "ActiveEnergyImport": [RatioChange(at_ms, 200.0)],
        "VoltageL1": [RatioChange(at_ms, 100.0)],
    }
    assert assembly.changes.of(NodeUid("m2")) == {}
    first, second = (polled.device for bus in assembly.buses for polled in bus.devices)
    assert first.at(at_ms * 1_000_000 - 1).ratio == (30.0, 1.0)
    assert first.at(at_ms * 1_000_000).ratio == (60.0, 100.0)
    assert second.at(0).ratio == (60.0, 100.0)
    assert spec(assembly, "m1", ENERGY).rollover == pytest.approx(999_999.99 * 60 * 100)


def test_a_ratio_that_the_device_itself_tells_is_no_change_of_its_registers(site) -> None:
    assembly = changed(site, SECONDARY.replace("ct: configured", "ct: {at: 9, type: uint16}"))
    (told,) = assembly.changes.of(NodeUid("m1"))["ActiveEnergyImport"]
    assert told.factor == 100.0


def test_units_of_equal_make_and_ratings_share_one_template_on_whatever_channel(site) -> None:
    site.write({"a": ["m1", "m2"], "b": ["m3"]})
    sheet(site, "m4,f1,eastron/sdm630,b,9,5,,,\nm5,f1,eastron/sdm120,b,10,,,,\n")
    assembly = site.draw().assembly
    assert template(assembly, "m1") is template(assembly, "m2") is template(assembly, "m3")
    assert template(assembly, "m4") is not template(assembly, "m1")
    assert len(assembly.plant.blocks) == 3
    profiles = {id(polled.device.profile) for bus in assembly.buses for polled in bus.devices}
    assert len(profiles) == 2


def test_the_name_plate_is_one_object_for_all_that_share_it(site) -> None:
    site.write({"a": ["m1", "m2"]})
    units = site.draw().assembly.plant.units
    assert units[0].identification is units[1].identification
    assert units[0].identification.manufacturer == "Eastron"
    assert units[0].attributes is units[1].attributes


def test_ranges_follow_transformers_and_ratings(site) -> None:
    site.write({"a": ["m1"], "b": []})
    sheet(site, "m2,f1,eastron/sdm630,b,9,10,20,,\nm3,f1,eastron/sdm630,b,10,,,50,\n")
    assembly = site.draw().assembly
    low, high = spec(assembly, "m1", POWER).range
    assert spec(assembly, "m2", POWER).range == (low * 200, high * 200)
    assert spec(assembly, "m2", VOLTAGE).range[1] == spec(assembly, "m1", VOLTAGE).range[1] * 20
    assert spec(assembly, "m3", POWER).range == (-60.0 if low < 0 else 0.0, 60.0)


def test_a_disabled_unit_is_in_the_plant_but_on_no_bus(site) -> None:
    site.write({"a": ["m1"], "b": []})
    sheet(site, "m2,f1,eastron/sdm630,a,9,,,,false\n")
    assembly = site.draw().assembly
    assert [unit.id for unit in assembly.plant.units] == ["m1", "m2"]
    assert [[polled.device.name for polled in bus.devices] for bus in assembly.buses] == [["m1"], []]


def test_without_history_no_variable_claims_one(site) -> None:
    site.write({"a": ["m1"]}, history="enabled = false")
    assert not any(point.record for point in template(site.draw().assembly, "m1").points)
    site.write({"a": ["m1"]})
    assert any(point.record for point in template(site.draw().assembly, "m1").points)


def test_the_periods_of_the_settings_win_and_classes_come_fastest_first(site) -> None:
    site.write({"a": ["m1"]})
    (device,) = site.draw().assembly.buses[0].devices
    assert [poll.period_s for poll in device.classes] == sorted(poll.period_s for poll in device.classes)
    assert device.classes[0].period_s == 0.2
    offsets = sorted(offset for poll in device.classes for offset in poll.offsets)
    assert offsets == list(range(template(site.draw().assembly, "m1").measured))


def test_mistakes_in_channel_options_are_told_where_they_stand_all_at_once(site) -> None:
    site.write({"a": ["m1"], "b": ["m2"]}, options="hots: x, timeout_ms: -1")
    found = problems(site)
    assert len(found) == 4
    text = (site.folder / "plant.yaml").read_text().splitlines()
    for problem in found:
        assert problem.file.endswith("plant.yaml")
        key = problem.key.rpartition(".")[2]
        assert text[problem.line - 1][problem.column - 1 :].startswith((key, "-1"))
    assert any("host" in f"{problem.what} {problem.hint}" for problem in found if "hots" in problem.key)


def test_an_address_that_the_bus_cannot_have_is_told_at_its_cell(site) -> None:
    site.write({"a": ["m1"], "b": []})
    sheet(site, "m2,f1,eastron/sdm630,a,300,,,,\nm3,f1,eastron/sdm630,b,x,,,,\n")
    assert [(problem.line, problem.column_name) for problem in problems(site)] == [(2, "address"), (3, "address")]


def test_a_profile_that_cannot_be_compiled_is_one_mistake_however_many_meters_are_such(site) -> None:
    site.write({"a": [], "b": []})
    own_profile(site, SECONDARY.replace("ratio: pt, class", "wrong: pt, class"))
    sheet(site, "".join(f"m{number},f1,site/secondary,a,{number},,,,\n" for number in range(1, 6)))
    (problem,) = problems(site)
    assert problem.column_name == "profile"
    assert "secondary.yaml:" in problem.what
    assert "wrong" in problem.what

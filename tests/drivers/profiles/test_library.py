"""What holds for every profile in the library, whatever it speaks; a new profile needs no new test."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from address_space.model.clock import ManualClock
from address_space.model.ids import UnitHandle
from address_space.model.point import Template
from address_space.model.quantity import MEASURED, Kind
from drivers.api import Counting, Device
from drivers.profiles import COMMANDS, OTHER, Danger, Profile, load_library, size_in_base
from drivers.registry import load_drivers
from drivers.transport import Lines

LIBRARY = load_library()
PROFILES = [LIBRARY.get(name) for name in LIBRARY.names]
PLUGINS = {plugin.name: plugin for plugin in load_drivers().values()}
GOLDEN = Path(__file__).parents[2] / "golden"
ADDRESSES = ("1", "000000000001", "00000000000001")

every_profile = pytest.mark.parametrize("profile", PROFILES, ids=LIBRARY.names)
every_switch = pytest.mark.parametrize(
    ("profile", "command"),
    [(profile, command) for profile in PROFILES for command in profile.commands],
    ids=[f"{profile.name} {command.name}" for profile in PROFILES for command in profile.commands],
)


def device(profile: Profile) -> Device:
    plugin = PLUGINS[profile.protocol]
    compiled = plugin.compile(profile)
    address = next(each for each in ADDRESSES if not plugin.check_address(each, compiled))
    return Device(UnitHandle(0), 0, "m1", compiled, address)


@every_profile
def test_it_names_its_source_and_lies_where_its_name_says(profile: Profile) -> None:
    assert profile.source
    assert all(source.document for source in profile.source)
    assert profile.file.endswith(f"library/{profile.name}.yaml")


@every_profile
def test_it_ships_a_golden_frame_with_its_expected_values(profile: Profile) -> None:
    assert (GOLDEN / profile.protocol / f"{profile.name.replace('/', '-')}.json").is_file()


@every_profile
def test_its_protocol_is_one_the_hub_speaks_and_compiles(profile: Profile) -> None:
    plugin = PLUGINS[profile.protocol]
    assert len(plugin.factors(plugin.compile(profile), (1.0, 1.0))) == len(profile.points)


@every_profile
def test_one_plan_reads_all_of_its_points(profile: Profile) -> None:
    plugin = PLUGINS[profile.protocol]
    options = plugin.options.model_validate({"host": "127.0.0.1", "port": 4000})
    driver = plugin.create("bus", options, Lines(ManualClock()))
    plan = driver.plan(device(profile), range(len(profile.points)))
    assert sorted(plan.offsets) == list(range(len(profile.points)))
    assert plan.requests
    assert all(request.label and request.sent > 0 and request.received > 0 for request in plan.requests)


@every_profile
def test_it_makes_a_template_whose_offsets_are_its_points(profile: Profile) -> None:
    template = profile.template(600.0)
    assert isinstance(template, Template)
    assert [template.offset(point.quantity) for point in profile.points] == list(range(len(profile.points)))
    assert all(spec.source and spec.poll_s > 0 for spec in profile.point_specs())


@every_profile
def test_its_units_can_be_converted_to_base_units(profile: Profile) -> None:
    for make in (profile.points, *(variant.points for variant in profile.variants)):
        for point in make:
            assert point.quantity in MEASURED
            assert not point.address or size_in_base(point.unit, point.quantity), point.name


@every_profile
def test_what_it_says_of_one_phase_it_says_of_all_three(profile: Profile) -> None:
    for make in (profile.points, *(variant.points for variant in profile.variants)):
        names = {point.name for point in make if point.address}
        for name in names:
            for one, others in (("L1", ("L2", "L3")), ("L1L2", ("L2L3", "L3L1"))):
                if re.search(rf"[a-z]{one}$", name):
                    missing = [other for other in others if name.removesuffix(one) + other not in names]
                    assert not missing, f"{name} stands without {missing}"


@every_profile
def test_its_plausible_ranges_contain_what_a_building_draws(profile: Profile) -> None:
    usual = {"Voltage": (210.0, 240.0), "Current": (0.0, 40.0), "Frequency": (49.5, 50.5), "ActivePower": (0.0, 20.0)}
    for point in profile.points:
        if point.quantity.kind is not Kind.GAUGE:
            continue
        lowest, highest = point.range or point.quantity.value.eu_range
        assert lowest < highest
        expected = usual.get(point.name.removesuffix("L1").removesuffix("L2").removesuffix("L3"))
        if expected and not point.name.startswith("VoltageL"):
            assert lowest <= expected[0] < expected[1] <= highest, point.name


@every_profile
def test_its_caveats_are_whole_sentences(profile: Profile) -> None:
    for caveat in profile.caveats:
        assert caveat[0].isalnum()
        assert caveat.endswith("."), caveat
    assert len(set(profile.caveats)) == len(profile.caveats)


@every_profile
def test_its_serial_line_is_the_same_for_people_and_machines(profile: Profile) -> None:
    if profile.serial is not None and profile.line:
        serial = profile.serial
        assert f"{serial.baud} {serial.data_bits}{serial.parity.value[0].upper()}{serial.stop_bits}" == profile.line


@every_switch
def test_a_command_has_a_known_name_and_warns_of_what_it_does(profile: Profile, command: Any) -> None:
    assert command.name in COMMANDS or command.name.startswith(OTHER)
    if command.name in COMMANDS:
        assert command.danger >= COMMANDS[command.name].danger
    else:
        harmless = all(set(step.write or ()) <= {"clock"} for step in command.steps)
        assert command.danger or harmless


@every_switch
def test_a_command_on_somebodys_supply_is_verified_or_the_profile_says_that_it_is_not(
    profile: Profile, command: Any
) -> None:
    if Danger.SUPPLY not in command.danger:
        return
    verified = any(step.read_back or step.effect or step.answer_proves for step in command.steps)
    assert verified or any("confirm" in caveat for caveat in profile.caveats)


@every_switch
def test_a_command_that_opens_has_one_that_closes_or_the_profile_says_why_not(profile: Profile, command: Any) -> None:
    other = {"open_supply": "close_supply", "open_valve": "close_valve", "keep_power": "release_keep_power"}
    if command.name in other and profile.command(other[command.name]) is None:
        assert any("restore" in caveat or "cannot" in caveat for caveat in profile.caveats)


def test_no_two_profiles_describe_the_same_device() -> None:
    described = Counter((profile.vendor, profile.model, profile.protocol) for profile in PROFILES)
    assert not [key for key, count in described.items() if count > 1]


def test_vendors_are_spelled_the_same_everywhere() -> None:
    spellings: dict[str, set[str]] = {}
    for profile in PROFILES:
        spellings.setdefault(profile.name.split("/", maxsplit=1)[0], set()).add(profile.vendor)
    assert not {folder: names for folder, names in spellings.items() if len(names) > 1}


def test_every_counter_says_where_it_starts_again_or_why_that_is_not_known() -> None:
    silent = [
        f"{profile.name} {point.name}"
        for profile in PROFILES
        for point in profile.points
        if point.quantity.kind is Kind.COUNTER and not point.rollover and not _capacity(profile, point.name)
        if not _reason(profile, point.address)
    ]
    assert not silent


def _capacity(profile: Profile, name: str) -> float:
    """Where the counter starts again by its digits, as far as the protocol's driver knows them."""
    plugin = PLUGINS[profile.protocol]
    if not isinstance(plugin, Counting):
        return 0.0
    capacities = plugin.capacities(plugin.compile(profile))
    return dict(zip((point.name for point in profile.points), capacities, strict=True))[name]


def _reason(profile: Profile, address: Any) -> bool:
    """A 64-bit counter never starts again; a float loses digits instead, which is told; the rest is told as well."""
    kind = str(address.get("type", ""))
    if kind.endswith("64"):
        return True
    word = "float32" if kind == "float32" else "start again from 0"
    return any(word in caveat for caveat in profile.caveats)

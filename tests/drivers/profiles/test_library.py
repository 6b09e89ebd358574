"""What holds for every profile in the library; a new profile needs no new test."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from address_space.model.ids import UnitHandle
from address_space.model.point import Template
from address_space.model.quality import GOOD, Reason
from address_space.model.quantity import Kind
from drivers.api import Device
from drivers.codec import crc16_modbus
from drivers.modbus import compile_profile
from drivers.modbus.answers import Answer, assemble, build_plan
from drivers.modbus.layout import CompiledPoint
from drivers.profiles import Profile, load_library

LIBRARY = load_library()
PROFILES = [LIBRARY.get(name) for name in LIBRARY.names]
GOLDEN = Path(__file__).parents[2] / "golden" / "modbus"

every_profile = pytest.mark.parametrize("profile", PROFILES, ids=LIBRARY.names)


def golden(profile: Profile) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / f"{profile.name.replace('/', '-')}.json").read_text())
    return found


def answered(profile: Profile) -> tuple[dict[str, float], dict[str, int]]:
    """Values and statuses by quantity, decoded from the golden responses."""
    case = golden(profile)
    compiled = compile_profile(profile)
    ct, pt = case["ratio"]
    device = Device(UnitHandle(0), 0, "golden", compiled, "1", (float(ct), float(pt)))
    plan = build_plan(compiled, tuple(range(len(profile.points))))
    bodies = {}
    for exchange in case["exchanges"]:
        request, response = bytes.fromhex(exchange["request"]), bytes.fromhex(exchange["response"])
        bodies[(request[1], int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big"))] = response[3:-2]
    answers = {}
    for request in plan.requests:
        read = request.key.reads[0]
        answers[request] = Answer(0, bodies[(read.fc, read.address, read.words)])
    reading = assemble(device, plan, answers)
    names = [point.name for point in profile.points]
    return dict(zip(names, reading.values.tolist(), strict=True)), dict(
        zip(names, reading.status.tolist(), strict=True)
    )


@every_profile
def test_it_decodes_its_golden_frames(profile: Profile) -> None:
    case = golden(profile)
    values, statuses = answered(profile)
    assert {name: statuses[name] for name in case["expected"]} == dict.fromkeys(case["expected"], GOOD)
    assert {name: values[name] for name in case["expected"]} == pytest.approx(case["expected"], rel=1e-12)
    assert {name: statuses[name] for name in case["reasons"]} == {
        name: Reason[reason].status for name, reason in case["reasons"].items()
    }
    assert set(case["expected"]) | set(case["reasons"]) == {point.name for point in profile.points}


@every_profile
def test_its_counters_decode_to_exact_integers(profile: Profile) -> None:
    case = golden(profile)
    values, _ = answered(profile)
    for point in profile.points:
        if point.quantity.kind is Kind.COUNTER and point.name in case["expected"]:
            assert values[point.name] == case["expected"][point.name]
            assert values[point.name].is_integer()


@every_profile
def test_its_golden_frames_are_sound(profile: Profile) -> None:
    for exchange in golden(profile)["exchanges"]:
        for frame in (bytes.fromhex(exchange["request"]), bytes.fromhex(exchange["response"])):
            assert crc16_modbus(frame[:-2]) == frame[-2:]


@every_profile
def test_it_names_its_source_and_lies_where_its_name_says(profile: Profile) -> None:
    assert all(source.document for source in profile.source)
    assert profile.file.endswith(f"library/{profile.name}.yaml")


@every_profile
def test_it_makes_a_template_whose_offsets_are_its_points(profile: Profile) -> None:
    template = profile.template(600.0)
    assert isinstance(template, Template)
    assert [template.offset(point.quantity) for point in profile.points] == list(range(len(profile.points)))
    assert all(spec.source and spec.poll_s > 0 for spec in profile.point_specs())


@every_profile
def test_its_counters_keep_at_least_a_tenth_of_a_unit(profile: Profile) -> None:
    for point in compile_profile(profile).points:
        if isinstance(point, CompiledPoint) and point.is_counter:
            assert Fraction(0) < point.scale <= point.quantity.per_unit


@every_profile
def test_no_two_of_its_points_read_the_same_register(profile: Profile) -> None:
    seen: dict[tuple[int, int], str] = {}
    for point in compile_profile(profile).points:
        if point is None:
            continue
        for place in point.terms[0].register.places:
            assert (point.fc, place) not in seen, f"{point.name} and {seen[point.fc, place]} at 0x{place:04X}"
            seen[point.fc, place] = point.name


def test_every_golden_file_belongs_to_a_profile() -> None:
    assert {json.loads(file.read_text())["profile"] for file in GOLDEN.glob("*.json")} == set(LIBRARY.names)


def test_the_meters_of_the_demonstration_are_there() -> None:
    assert set(LIBRARY.names) >= {
        "abb/b23",
        "acrel/adl400",
        "carlo-gavazzi/em24",
        "eastron/sdm120",
        "eastron/sdm630",
        "schneider/iem3155",
    }

"""The library's DL/T 645 profiles against golden frames: bytes asked for, bytes answered, values in base units."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from address_space.model.ids import UnitHandle
from address_space.model.quality import GOOD
from address_space.model.quantity import Kind
from drivers.api import Device
from drivers.dlt645 import compile_profile
from drivers.dlt645.answers import Answer, assemble, build_plan
from drivers.dlt645.frame import Decoder, Frame, encode
from drivers.profiles import Danger, load_library

LIBRARY = load_library()
PROFILES = [LIBRARY.get(name) for name in LIBRARY.names if LIBRARY.get(name).protocol == "dlt645"]
GOLDEN = Path(__file__).parents[2] / "golden" / "dlt645"

every_profile = pytest.mark.parametrize("profile", PROFILES, ids=[profile.name for profile in PROFILES])


def golden(profile):
    return json.loads((GOLDEN / f"{profile.name.replace('/', '-')}.json").read_text(encoding="utf-8"))


def frames(text):
    return Decoder().feed(bytes.fromhex(text))


def answered(profile):
    case = golden(profile)
    compiled = compile_profile(profile)
    device = Device(UnitHandle(0), 0, "golden", compiled, case["address"], tuple(map(float, case["ratio"])))
    plan = build_plan(compiled, tuple(range(len(profile.points))))
    answers = {}
    for request, exchange in zip(plan.requests, case["exchanges"], strict=True):
        asked = Frame(case["address"], 0x11 if compiled.version == "2007" else 0x01, compiled.di_bytes(request.key.di))
        assert encode(asked, compiled.preamble).hex().upper() == exchange["request"]
        (response,) = frames(exchange["response"])
        answers[request] = Answer(response.data[compiled.di_size :])
    return assemble(device, plan, answers), case


@every_profile
def test_it_decodes_its_golden_frames(profile):
    reading, case = answered(profile)
    names = [point.name for point in profile.points]
    assert set(case["expected"]) == set(names)
    assert reading.status.tolist() == [GOOD] * len(names)
    values = dict(zip(names, reading.values.tolist(), strict=True))
    assert values == pytest.approx(case["expected"], rel=1e-12)


@every_profile
def test_its_counters_are_exact(profile):
    reading, case = answered(profile)
    for point, value in zip(profile.points, reading.values.tolist(), strict=True):
        if point.quantity.kind is Kind.COUNTER:
            assert value == case["expected"][point.name]
            assert value.is_integer()


@every_profile
def test_its_golden_answers_are_sound_and_as_long_as_the_plan_expects(profile):
    case = golden(profile)
    compiled = compile_profile(profile)
    plan = build_plan(compiled, tuple(range(len(profile.points))))
    for request, exchange in zip(plan.requests, case["exchanges"], strict=True):
        (response,) = frames(exchange["response"])
        assert isinstance(response, Frame)
        assert (response.address, response.from_meter, response.error) == (case["address"], True, False)
        assert len(exchange["response"]) // 2 <= request.received


@every_profile
def test_it_never_clears_the_meters_registers(profile):
    assert profile.command("clear_energy") is None
    for command in profile.commands:
        if Danger.CLEARS in command.danger:
            assert command.confirm, command.name


def test_every_golden_file_belongs_to_a_profile():
    files = [file for file in GOLDEN.glob("*.json") if "profile" in json.loads(file.read_text(encoding="utf-8"))]
    assert {json.loads(file.read_text(encoding="utf-8"))["profile"] for file in files} == {
        profile.name for profile in PROFILES
    }

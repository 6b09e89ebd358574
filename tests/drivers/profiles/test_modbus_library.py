"""What holds for every Modbus profile in the library: golden frames, and the register facts of public tables."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model.ids import UnitHandle
from address_space.model.quality import GOOD, Reason
from address_space.model.quantity import Kind
from drivers.api import Device
from drivers.codec import crc16_modbus
from drivers.errors import ProfileError
from drivers.modbus import CompiledProfile, compile_profile
from drivers.modbus.answers import Answer, assemble, build_plan
from drivers.modbus.layout import CompiledPoint, Make
from drivers.modbus.plan import plan_reads
from drivers.profiles import Profile, load_library
from drivers.profiles.build import build_profile
from drivers.profiles.document import parse_document

LIBRARY = load_library()
PROFILES = [profile for name in LIBRARY.names if (profile := LIBRARY.get(name)).protocol == "modbus"]
TEXTS = {profile.name: Path(profile.file).read_text(encoding="utf-8") for profile in PROFILES if not profile.extends}
COMPILED = {profile.name: compile_profile(profile) for profile in PROFILES}
MAKES = [(compiled, make) for compiled in COMPILED.values() for make in compiled.makes]
GOLDEN = Path(__file__).parents[2] / "golden"
METERS: dict[str, dict[str, Any]] = {
    meter["profile"]: meter for meter in json.loads((GOLDEN / "meters.json").read_text("utf-8"))["meters"]
}
FACTS = [(name, "", fact) for name, meter in METERS.items() for fact in meter["registers"] if "point" in fact] + [
    (name, variant, fact)
    for name, meter in METERS.items()
    for variant, facts in meter.get("variants", {}).items()
    for fact in facts
]
UNITS = {"kWh": ("Wh", 1000), "kvarh": ("varh", 1000), "kVAh": ("VAh", 1000), "deg": ("°", 1), "": ("1", 1)}
"""Unit of the facts → base unit of the hub, and how many of it."""

every_profile = pytest.mark.parametrize("profile", PROFILES, ids=[profile.name for profile in PROFILES])
every_make = pytest.mark.parametrize(
    ("compiled", "make"), MAKES, ids=[f"{compiled.name} {make.name}".strip() for compiled, make in MAKES]
)


def golden(compiled: CompiledProfile, make: Make) -> dict[str, Any]:
    case: dict[str, Any] = json.loads((GOLDEN / "modbus" / f"{compiled.name.replace('/', '-')}.json").read_text())
    return {**case, **case["variants"][make.name]} if make.name else case


def answered(compiled: CompiledProfile, make: Make) -> tuple[dict[str, float], dict[str, int]]:
    """Values and statuses by quantity, decoded from the golden responses."""
    case = golden(compiled, make)
    index = compiled.makes.index(make)
    ct, pt = case["ratio"]
    device = Device(UnitHandle(0), 0, "golden", compiled, "1", (float(ct), float(pt)))
    plan = build_plan(compiled, tuple(range(len(make.points))))
    bodies = {}
    for exchange in case["exchanges"]:
        request, response = bytes.fromhex(exchange["request"]), bytes.fromhex(exchange["response"])
        bodies[(request[1], int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big"))] = response[3:-2]
    answers = {}
    for request in plan.requests:
        read = request.key.reads[index]
        if read is not None:
            answers[request] = Answer(index, bodies[(read.fc, read.address, read.words)])
    reading = assemble(device, plan, answers)
    names = [quantity.path for quantity in compiled.quantities]
    return dict(zip(names, reading.values.tolist(), strict=True)), dict(
        zip(names, reading.status.tolist(), strict=True)
    )


@every_make
def test_it_decodes_its_golden_frames(compiled: CompiledProfile, make: Make) -> None:
    case = golden(compiled, make)
    values, statuses = answered(compiled, make)
    assert {name: statuses[name] for name in case["expected"]} == dict.fromkeys(case["expected"], GOOD)
    assert {name: values[name] for name in case["expected"]} == pytest.approx(case["expected"], rel=1e-12)
    assert {name: statuses[name] for name in case["reasons"]} == {
        name: Reason[reason].status for name, reason in case["reasons"].items()
    }
    assert set(case["expected"]) | set(case["reasons"]) == {quantity.path for quantity in compiled.quantities}


@every_make
def test_its_counters_decode_to_exact_integers(compiled: CompiledProfile, make: Make) -> None:
    case = golden(compiled, make)
    values, _ = answered(compiled, make)
    for quantity in compiled.quantities:
        if quantity.kind is Kind.COUNTER and quantity.path in case["expected"]:
            assert values[quantity.path] == case["expected"][quantity.path]
            assert values[quantity.path].is_integer()


@every_make
def test_its_golden_frames_are_sound_and_say_where_they_are_from(compiled: CompiledProfile, make: Make) -> None:
    case = golden(compiled, make)
    assert case["origin"]
    for exchange in case["exchanges"]:
        for frame in (bytes.fromhex(exchange["request"]), bytes.fromhex(exchange["response"])):
            assert crc16_modbus(frame[:-2]) == frame[-2:]


@every_make
def test_its_golden_values_are_those_of_a_building(compiled: CompiledProfile, make: Make) -> None:
    case = golden(compiled, make)
    factor = case["ratio"][0] * case["ratio"][1]
    for quantity in compiled.quantities:
        if quantity.path in case["expected"] and quantity.kind is not Kind.STATE:
            lowest, highest = quantity.value.eu_range
            shown = case["expected"][quantity.path] / quantity.per_unit
            assert lowest <= shown <= highest * factor, quantity.path


@every_make
def test_its_plan_reads_every_register_within_the_limits(compiled: CompiledProfile, make: Make) -> None:
    reads = plan_reads(make, range(len(make.points)))
    for read in reads:
        assert read.words <= make.limits.max_words
    for point in make.points:
        for register in point.registers if point else ():
            assert any(all(read.covers(register.fc, place) for place in register.places) for read in reads)
    for before, after in pairwise(reads):
        assert before.fc != after.fc or before.end <= after.address, "two requests ask the same"


@every_make
def test_its_counters_keep_at_least_a_tenth_of_a_unit_or_a_whole_one_that_is_told(
    compiled: CompiledProfile, make: Make
) -> None:
    for point in make.points:
        if isinstance(point, CompiledPoint) and point.is_counter:
            assert Fraction(0) < point.scale <= point.quantity.per_unit


@every_make
def test_its_registers_can_hold_what_a_building_draws(compiled: CompiledProfile, make: Make) -> None:
    needed = {"V": 265, "A": 60, "W": 10_000, "var": 5_000, "VA": 10_000, "Hz": 51, "Wh": 99_999_000, "varh": 9_999_000}
    for point in make.points:
        if point is None or point.type.is_float or point.map or point.quantity.unit is None:
            continue
        largest = (1 << point.type.bits - point.type.is_signed) - 1
        assert largest * point.scale >= needed.get(point.quantity.unit.base, 1), point.name


@pytest.mark.parametrize(
    ("name", "variant", "fact"), FACTS, ids=[f"{name} {variant} {fact['point']}" for name, variant, fact in FACTS]
)
def test_it_reads_what_the_table_says(name: str, variant: str, fact: dict[str, Any]) -> None:
    compiled = COMPILED[name]
    make = next(each for each in compiled.makes if each.name == variant)
    paths = [quantity.path for quantity in compiled.quantities]
    point = make.points[paths.index(fact["point"])]
    if fact.get("absent"):
        assert point is None
        return
    assert point is not None
    base, size = UNITS.get(fact["unit"], (fact["unit"], 1))
    scale = Fraction(repr(fact["scale"])) if isinstance(fact["scale"], float) else Fraction(fact["scale"])
    assert (point.fc, point.address, point.type.value) == (fact["fc"], fact["at"], fact["type"])
    assert point.scale == scale * size
    assert point.words == 1 or point.order.value == fact.get("order", "ABCD")
    assert point.ratio.value == fact.get("ratio", "none")
    assert point.four_quadrant is ("transform" in fact)
    assert point.quantity.unit is None or point.quantity.unit.base == base
    assert point.map is None or point.map == {int(raw): shown for raw, shown in fact["map"].items()}


@pytest.mark.parametrize("name", METERS)
def test_every_register_of_the_table_is_read_or_left_out_for_a_reason(name: str) -> None:
    registers = METERS[name]["registers"]
    assert all(("point" in fact) != bool(fact.get("left_out")) for fact in registers)
    points = [fact["point"] for fact in registers if "point" in fact]
    assert sorted(points) == sorted(point.name for point in LIBRARY.get(name).points)


@pytest.mark.parametrize("name", METERS)
def test_doubts_about_registers_are_caveats(name: str) -> None:
    doubtful = [
        fact
        for fact in METERS[name]["registers"]
        if fact.get("left_out", "no quantity") not in ("no quantity", "read as the ratio") or "taken" in fact
    ]
    assert not doubtful or LIBRARY.get(name).caveats


@pytest.mark.parametrize("name", [name for name, meter in METERS.items() if "relay" in meter])
def test_a_relay_is_written_as_the_table_says_and_nothing_else_is(name: str) -> None:
    relay = METERS[name]["relay"]
    commands = {command.name: command for command in LIBRARY.get(name).commands}
    assert set(commands) == set(relay) - {"at", "fc"}
    for command in commands.values():
        writes = [dict(step.write) for step in command.steps if step.write is not None]
        assert writes == [{"at": relay["at"], "fc": relay["fc"], "values": relay[command.name]}]
        assert command.confirm


def test_all_tables_are_there() -> None:
    assert len(METERS) == 33
    assert sum(fact["quantity"] != "relay" for meter in METERS.values() for fact in meter["registers"]) == 767
    assert set(METERS) <= {profile.name for profile in PROFILES}


def test_every_golden_file_belongs_to_a_profile() -> None:
    found = {json.loads(file.read_text())["profile"] for file in (GOLDEN / "modbus").glob("*.json")}
    assert found == {profile.name for profile in PROFILES}


@every_profile
def test_it_says_how_much_may_be_asked_at_once(profile: Profile) -> None:
    assert {"fc", "order", "max_words"} <= set(profile.settings)
    assert profile.settings.get("gaps") in ("readable", "forbidden", None)


def test_a_family_is_told_apart_by_the_name_that_the_device_tells() -> None:
    compiled = COMPILED["socomec/diris-a10"]
    found = {}
    for text in ("COUNTIS E23", "Countis E28", "DIRIS A10", "Diris A-10 R", "DIRIS B30", "COUNTIS E44", "DIRIS A14"):
        held = (0x0053004F0043004F, text)
        found[text] = next(
            (
                make.name
                for make in compiled.makes[1:]
                if all(rule.holds(value) for rule, value in zip(make.conditions, held, strict=True))
            ),
            "",
        )
    assert found == {
        "COUNTIS E23": "countis-e2x",
        "Countis E28": "countis-e2x",
        "DIRIS A10": "diris-a10",
        "Diris A-10 R": "diris-a-10",
        "DIRIS B30": "diris-b30",
        "COUNTIS E44": "",
        "DIRIS A14": "",
    }


SCRAPS = ["", *" :{}[\n\té", "- ", "null", "-1", "1e999", ".nan", "70000", "'", "&a ", "*a", "true", "at: 0"]
"""What a slip of the hand leaves in a file."""


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_profile_is_a_profile_still_or_a_mistake_with_its_place(data: st.DataObject) -> None:
    text = TEXTS[data.draw(st.sampled_from(sorted(TEXTS)))]
    for _ in range(data.draw(st.integers(1, 3))):
        first = data.draw(st.integers(0, len(text)))
        last = first + data.draw(st.integers(0, 6))
        text = text[:first] + data.draw(st.sampled_from(SCRAPS)) + text[last:]
    mistakes: tuple[ProfileError, ...] = ()
    try:
        compile_profile(build_profile(parse_document(text, "meter.yaml")))
    except ProfileError as error:
        mistakes = error.mistakes
    assert all(mistake.where.startswith("meter.yaml") and mistake.what for mistake in mistakes)

"""The generic profiles against their golden frames, and what the compiler says of a wrong profile."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from address_space.model.ids import UnitHandle
from address_space.model.quality import GOOD, Reason
from address_space.model.state import Medium, Protocol
from drivers.api import Device
from drivers.cjt188 import Decoder, Frame, Options, compile_profile, plugin
from drivers.cjt188.answers import Answer, assemble, build_plan
from drivers.cjt188.identifiers import FACTORY_ENABLE, READING, is_di
from drivers.cjt188.layouts import field_names, sizes_of
from drivers.errors import ProfileError
from drivers.profiles import ProfileLibrary, cjt188_schema
from drivers.transport import LineOptions

PAGE = (Path(__file__).parents[3] / "docs" / "profiles.md").read_text(encoding="utf-8")
NAMES = [
    f"generic/cjt188-{kind}"
    for kind in (
        "cold-water",
        "cold-water-valve",
        "cooling",
        "gas",
        "gas-valve",
        "heat",
        "heat-cooling",
        "heat-cooling-2018",
        "hot-water",
        "hot-water-valve",
    )
]
POINT = "points:\n  Volume: {field: cumulative, unit: m3}\n"
every_profile = pytest.mark.parametrize("name", NAMES)


def test_all_profiles_of_this_protocol_are_here(library: ProfileLibrary, golden_folder: Path) -> None:
    spoken = [name for name in library.names if library.get(name).protocol == "cjt188"]
    assert [name for name in spoken if name.startswith("generic/")] == NAMES
    files = {file.stem for file in golden_folder.glob("*.json")} - {"frames"}
    assert files == {name.replace("/", "-") for name in spoken}


@every_profile
def test_it_decodes_its_golden_frames(library: ProfileLibrary, golden_folder: Path, name: str) -> None:
    case = json.loads((golden_folder / f"{name.replace('/', '-')}.json").read_text(encoding="utf-8"))
    profile = library.get(name)
    compiled = compile_profile(profile)
    plan = build_plan(compiled, tuple(range(len(profile.points))), 3)
    answers: dict[Any, Any] = {}
    for exchange in case["exchanges"]:
        asked, said = (_frame(exchange[part]) for part in ("request", "response"))
        assert (asked.from_meter, asked.type, said.from_meter) == (False, compiled.type, True)
        assert asked.address == said.address
        request = next(each for each in plan.requests if is_di(asked.data[:2], each.key.di))
        answers[request] = Answer(said.data[3:])
    assert set(answers) == set(plan.requests)
    device = Device(UnitHandle(0), 0, "golden", compiled, "1")
    reading = assemble(device, plan, answers)
    names = [point.name for point in profile.points]
    values = dict(zip(names, reading.values.tolist(), strict=True))
    statuses = dict(zip(names, reading.status.tolist(), strict=True))
    assert {each: values[each] for each in case["expected"]} == pytest.approx(case["expected"], rel=1e-12)
    assert {each: statuses[each] for each in case["expected"]} == dict.fromkeys(case["expected"], GOOD)
    assert {each: statuses[each] for each in case["reasons"]} == {
        each: Reason[reason].status for each, reason in case["reasons"].items()
    }
    assert set(case["expected"]) | set(case["reasons"]) == set(names)


def _frame(text: str) -> Frame:
    (frame,) = (each for each in Decoder().feed(bytes.fromhex(text)) if isinstance(each, Frame))
    return frame


@pytest.mark.parametrize(
    ("name", "medium", "kind"),
    [
        ("cold-water", Medium.WATER, 0x10),
        ("hot-water-valve", Medium.HOT_WATER, 0x11),
        ("gas-valve", Medium.GAS, 0x30),
        ("heat", Medium.HEAT, 0x20),
        ("cooling", Medium.COOLING, 0x21),
    ],
)
def test_medium_and_type_fit(library: ProfileLibrary, name: str, medium: Medium, kind: int) -> None:
    profile = library.get(f"generic/cjt188-{name}")
    assert (profile.medium, compile_profile(profile).type) == (medium, kind)


@every_profile
def test_one_exchange_reads_everything(library: ProfileLibrary, name: str) -> None:
    profile = library.get(name)
    compiled = compile_profile(profile)
    assert len(build_plan(compiled, tuple(range(len(profile.points))), 3).requests) == 1
    assert len({spec.poll_s for spec in profile.point_specs()}) == 1


@every_profile
def test_nothing_that_cannot_be_undone_is_offered(library: ProfileLibrary, name: str) -> None:
    compiled = compile_profile(library.get(name))
    assert f"{FACTORY_ENABLE:04X}" not in repr(compiled.commands)
    for command in library.get(name).commands:
        if command.name in ("set_address", "other_set_base_reading"):
            assert command.danger
            assert command.confirm


def test_opening_a_gas_valve_must_be_confirmed_by_a_person(library: ProfileLibrary) -> None:
    command = library.get("generic/cjt188-gas-valve").command("open_valve")
    assert command is not None
    assert command.confirm


def test_the_longest_answer_is_that_of_the_kind_of_meter(library: ProfileLibrary) -> None:
    assert compile_profile(library.get("generic/cjt188-gas")).longest(READING) == 19
    assert compile_profile(library.get("generic/cjt188-heat")).longest(READING) == 43


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "points:\n  Volume: {field: volumes, unit: m3}\n",
            r"meter.yaml:8:12: 'volumes' is no number of 901F.*cumulative",
        ),
        ("points:\n  Volume: {unit: m3, di: 0x901F}\n", "exactly one of field, status, valve"),
        ("points:\n  Volume: {unit: m3, di: 0x1234, field: x}\n", "nothing is known of identifier 1234"),
        ("points:\n  Valve.State: {valve: true}\n", "has_valve: true"),
        ("cjt188: {has_valve: true}\npoints:\n  Volume: {valve: true, unit: m3}\n", "only Valve.State"),
        (
            "cjt188: {flow_decimal: 3}\npoints:\n  Volume: {field: cumulative, unit: m3}\n",
            "did you mean 'flow_decimals'",
        ),
        (
            POINT + "commands:\n  open_valve: {steps: [{write: {valve: open}}]}\n",
            "a meter without a valve",
        ),
        (
            POINT + "commands:\n  set_clock: {steps: [{write: {clock: set, valve: 1}}]}\n",
            "exactly one of valve, clock",
        ),
        (
            "cjt188: {layouts: [{size: 4, fields: {cumulative: {at: 2, length: 4}}}]}\n"
            "points:\n  Volume: {field: cumulative, unit: m3}\n",
            "its parts need 6 bytes, size is 4",
        ),
        (
            "points:\n  Volume: {field: cumulative, unit: m3}\n"
            "variants:\n  other: {when: [{x: 1}], points: {Volume: {field: settlement}}}\n",
            "variants cannot be told apart",
        ),
    ],
)
def test_a_wrong_profile_is_refused_with_what_to_do(compiled: Any, text: str, what: str) -> None:
    with pytest.raises(ProfileError, match=what):
        compiled(text)


DOCUMENTED: list[type[BaseModel]] = [
    *(getattr(cjt188_schema, name) for name in ("PointAddress", "StatusEntry", "ValveEntry", "FieldEntry")),
    *(getattr(cjt188_schema, name) for name in ("LayoutEntry", "Section", "WriteEntry", "ReadBackEntry")),
    Options,
]


@pytest.mark.parametrize("model", DOCUMENTED, ids=lambda model: model.__name__)
def test_every_key_is_documented_and_described(model: type[BaseModel]) -> None:
    page = PAGE.partition("\n## CJ/T 188\n")[2].partition("\n## ")[0]
    keys = model.model_fields.keys() - LineOptions.model_fields.keys()
    assert [key for key in keys if not re.search(rf"`{key}[`:]", page)] == []
    assert all(field.description for field in model.model_fields.values())


def test_every_number_that_a_point_may_name_is_documented() -> None:
    page = PAGE.partition("\n## CJ/T 188\n")[2].partition("\n## ")[0]
    for di in (READING, 0x911F, 0xD120, 0xD200, 0xD300, 0x8102, 0x8103, 0x8104, 0x8105, 0x8106):
        assert [name for name in field_names(di) if f"`{name}`" not in page] == []
        assert all(str(size) in page for size in sizes_of(di))


@pytest.mark.parametrize("address", ["1", "00123456789012", "AAAAAAAAAAAAAA", "aaaaaaaaaaaaaa"])
def test_an_address_has_up_to_fourteen_digits(compiled: Any, address: str) -> None:
    assert plugin.check_address(address, compiled()) == ""


@pytest.mark.parametrize("address", ["", "123456789012345", "12 34", "0x12", "AA", "١٢"])
def test_an_impossible_address_is_told(compiled: Any, address: str) -> None:
    assert "is no CJ/T 188 address" in plugin.check_address(address, compiled())


def test_the_plugin_says_what_it_is(compiled: Any) -> None:
    options = Options.model_validate({"host": "h", "port": 1})
    assert (plugin.name, plugin.speaks) == ("cjt188", {"cjt188"})
    assert plugin.protocol(options, compiled()) is Protocol.CJT188
    assert plugin.factors(compiled(), (100.0, 10.0)) == (1.0,)
    line = plugin.line(options)
    assert (line.gap_s, line.timeout_s, line.quiet_s) == (0.2, 2.0, 1.0)


def test_a_channel_is_2400_even_with_two_seconds_of_patience_unless_it_says_otherwise() -> None:
    options = Options.model_validate({"host": "h", "port": 1})
    assert (str(options.serial), options.timeout_ms, options.gap_ms, options.preamble) == ("2400 8E1", 2000, 200, 3)
    assert options.wake_up == b""
    assert len(Options.model_validate({"host": "h", "port": 1, "wake_up_ms": 1000}).wake_up) == 218


@pytest.mark.parametrize("wrong", [{"preamble": 41}, {"wake_up_ms": -1}, {"time_zone": "Mars/Olympus"}, {"speed": 1}])
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate({"host": "h", "port": 1, **wrong})

"""Everything a profile or a channel may say is documented, and the template works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from drivers.codec import NumberType, Order
from drivers.modbus import Options, compile_profile
from drivers.profiles import COMMANDS, Danger, PollClass, modbus_event_logs, modbus_logs, modbus_steps, schema
from drivers.profiles import modbus_schema as modbus
from drivers.profiles.build import build_profile
from drivers.profiles.document import parse_document
from drivers.profiles.template import TEMPLATE
from drivers.transport import LineOptions

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "profiles.md").read_text(encoding="utf-8")
CHANNELS = (DOCS / "configuration.md").read_text(encoding="utf-8").partition("### Channels")[2].partition("\n### ")[0]

MODELS: list[type[BaseModel]] = [
    *(getattr(schema, name) for name in ("SourceEntry", "Counter", "PointEntry", "StepEntry", "CommandEntry")),
    schema.VariantEntry,
    schema.ProfileFile,
    *(getattr(modbus, name) for name in ("TermEntry", "FactorEntry", "SignEntry", "PointAddress", "Block", "Ratios")),
    *(getattr(modbus, name) for name in ("RatioEntry", "Section", "Rule", "ClockEntry")),
    *(getattr(modbus_steps, name) for name in ("WriteEntry", "ArgumentEntry", "ReadBackEntry", "ClockCheckEntry")),
    *(getattr(modbus_logs, name) for name in ("LogEntry", "LogTimeEntry", "LogPointerEntry", "LogChecksumEntry")),
    *(
        getattr(modbus_event_logs, name)
        for name in ("EventLogEntry", "EventCodeEntry", "EventNumberEntry", "EventTexts")
    ),
    modbus_event_logs.EventDetailEntry,
    schema.SerialEntry,
    Options,
]
KEYS = sorted(
    {(field.alias or key) for model in MODELS for key, field in model.model_fields.items()}
    - {"term", "max"}
    - LineOptions.model_fields.keys()
)


@pytest.mark.parametrize("key", KEYS)
def test_the_key_is_documented(key: str) -> None:
    assert f"`{key}`" in PAGE


@pytest.mark.parametrize("key", LineOptions.model_fields)
def test_what_all_lines_may_say_is_documented_with_the_configuration(key: str) -> None:
    assert f"\n| `{key}` |" in CHANNELS


def test_every_type_order_class_and_danger_is_documented() -> None:
    for name, meaning in COMMANDS.items():
        assert f"| `{name}` | {meaning.text} |" in PAGE
    for word in (*NumberType, *Order, *PollClass, *Danger):
        assert re.search(rf"\b{word.value}\b", PAGE), word


def test_every_field_has_a_description() -> None:
    for model in MODELS:
        for key, field in model.model_fields.items():
            assert field.description or key == "term", f"{model.__name__}.{key}"


def test_the_periods_of_the_poll_classes_are_those_documented() -> None:
    for each in PollClass:
        assert f"| `{each.value}` | {each.period_s:g} s |" in PAGE


def test_the_template_on_the_page_is_the_one_that_is_copied_and_is_a_sound_profile() -> None:
    text = PAGE.split("```yaml\n")[1].split("```")[0]
    assert text == TEMPLATE.read_text(encoding="utf-8")
    profile = build_profile(parse_document(text, "template.yaml"))
    assert len(compile_profile(profile).points) == 4


def test_every_test_that_the_table_of_quirks_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.partition("## Quirks of Modbus meters")[2]))
    written = "".join(file.read_text(encoding="utf-8") for file in DOCS.parent.glob("tests/drivers/**/test_*.py"))
    assert named
    assert not {name for name in named if f"def {name}(" not in written}


def test_the_commands_on_the_page_are_sound() -> None:
    text = PAGE.split("```yaml\ncommands:")[1].split("```")[0]
    head = "profile: a/b\nvendor: A\nmodel: B\nprotocol: modbus\nsource: [{document: this page}]\n"
    section = (
        "modbus: {clock: {at: 0x40, format: cp56}}\npoints: {CurrentL1: {at: 0, type: uint16, unit: A}}\ncommands:"
    )
    compiled = compile_profile(build_profile(parse_document(f"{head}{section}{text}", "page.yaml")))
    assert set(compiled.commands) == {"open_supply", "set_clock"}


def test_the_log_of_events_on_the_page_is_sound() -> None:
    (text,) = [block.split("```")[0] for block in PAGE.split("```yaml\n") if "event_logs:" in block.split("```")[0]]
    head = "profile: a/b\nvendor: A\nmodel: B\nprotocol: modbus\nsource: [{document: this page}]\n"
    points = "points: {CurrentL1: {at: 0, type: uint16, unit: A}}\n"
    (table,) = compile_profile(build_profile(parse_document(head + points + text, "page.yaml"))).makes[0].event_logs
    assert (table.name, table.count, table.every_s, sorted(table.codes)) == ("alarms", 500, 900, [0x01, 0x10, 0x81])

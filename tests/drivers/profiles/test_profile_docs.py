"""Everything a profile or a channel may say is documented, and the template works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from drivers.codec import NumberType, Order
from drivers.modbus import Options, compile_profile
from drivers.profiles import PollClass, schema
from drivers.profiles import modbus_schema as modbus
from drivers.profiles.build import build_profile
from drivers.profiles.document import parse_document
from drivers.profiles.profile import Danger

PAGE = (Path(__file__).parents[3] / "docs" / "profiles.md").read_text(encoding="utf-8")

MODELS: list[type[BaseModel]] = [
    *(getattr(schema, name) for name in ("SourceEntry", "Counter", "PointEntry", "StepEntry", "CommandEntry")),
    schema.VariantEntry,
    schema.ProfileFile,
    *(getattr(modbus, name) for name in ("TermEntry", "FactorEntry", "SignEntry", "PointAddress", "Block", "Ratios")),
    *(getattr(modbus, name) for name in ("RatioEntry", "Section", "Rule", "WriteEntry", "ReadBackEntry")),
    Options,
]
KEYS = sorted({(field.alias or key) for model in MODELS for key, field in model.model_fields.items()} - {"term", "max"})


@pytest.mark.parametrize("key", KEYS)
def test_the_key_is_documented(key: str) -> None:
    assert f"`{key}`" in PAGE


def test_every_type_order_class_and_danger_is_documented() -> None:
    for word in (*NumberType, *Order, *PollClass, *Danger):
        assert re.search(rf"\b{word.value}\b", PAGE), word


def test_every_field_has_a_description() -> None:
    for model in MODELS:
        for key, field in model.model_fields.items():
            assert field.description or key == "term", f"{model.__name__}.{key}"


def test_the_periods_of_the_poll_classes_are_those_documented() -> None:
    for each in PollClass:
        assert f"| `{each.value}` | {each.period_s:g} s |" in PAGE


def test_the_template_is_a_sound_profile() -> None:
    text = PAGE.split("```yaml\n")[1].split("```")[0]
    profile = build_profile(parse_document(text, "template.yaml"))
    assert len(compile_profile(profile).points) == 3

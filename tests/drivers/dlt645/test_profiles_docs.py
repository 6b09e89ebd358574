"""Everything a profile or a channel may say in DL/T 645's words is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivers.dlt645 import Options
from drivers.dlt645.relay import ACTIONS
from drivers.profiles import dlt645_schema as schema
from drivers.transport import LineOptions

PAGE = (Path(__file__).parents[3] / "docs" / "profiles.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## DL/T 645\n")[2].partition("\n## ")[0]
MODELS = [
    *(schema.ValueEntry, schema.PointAddress, schema.RelayEntry, schema.Section),
    *(schema.WriteEntry, schema.ReadBackEntry, Options),
]
KEYS = sorted({key for model in MODELS for key in model.model_fields} - {*LineOptions.model_fields})


@pytest.mark.parametrize("key", KEYS)
def test_the_key_is_documented(key):
    assert f"`{key}`" in SECTION or f"| `{key}` |" in SECTION


def test_every_field_has_a_description():
    for model in MODELS:
        for key, field in model.model_fields.items():
            assert field.description or (model, key) == (schema.PointAddress, "value"), f"{model.__name__}.{key}"


def test_every_operation_of_the_relay_is_documented():
    for name in ACTIONS:
        assert re.search(rf"\b{name}\b", SECTION), name

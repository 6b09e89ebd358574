"""JSON Schema (draft 2020-12) made of the same tables by which the loader checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from address_space.model.ids import UID_PATTERN
from address_space.model.quantity import LOCALES
from config.columns import COLUMNS, YEARS, CellForm, Column
from config.hierarchy import NODE_KEYS
from config.kinds import ATTRIBUTES, HIERARCHY_KINDS, LEAF_KINDS, Attribute, Form
from config.loader import CHANNEL_KEYS, PLANT_KEYS
from config.polling import GROUP_KEYS, LATE, MEDIA, RATE_KEYS, SCHEDULE_KEYS, WHERE_KEYS
from config.settings import HubSettings

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID: Schema = {"type": ["string", "integer"], "pattern": f"^{UID_PATTERN}$"}
_TEXT: Schema = {"type": ["string", "number"]}
_UUID_PATTERN = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_FILES: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_CELLS: dict[CellForm, Schema] = {
    CellForm.TEXT: _TEXT,
    CellForm.POSITIVE: {"type": "number", "exclusiveMinimum": 0, "maximum": 1e9},
    CellForm.FLAG: {"type": "boolean"},
    CellForm.YEAR: {"type": "integer", "minimum": YEARS[0], "maximum": YEARS[1]},
    CellForm.DATE: {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    CellForm.MOMENT: {
        "type": "string",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?$",
    },
    CellForm.UUID: {"type": "string", "pattern": _UUID_PATTERN},
}


def hub_schema() -> Schema:
    """Schema of `hub.toml`."""
    schema = HubSettings.model_json_schema()
    return {"$schema": _DIALECT, **schema, "title": "JouleHub settings (hub.toml)"}


def meters_schema() -> Schema:
    """Schema of the metering units of a meter list, one object a row, empty cells left out."""
    return {
        "$schema": _DIALECT,
        "title": "JouleHub meter list",
        "type": "array",
        "items": _metering_unit(),
    }


def plant_schema() -> Schema:
    """Schema of `plant.yaml` and of the files it includes."""
    properties: Schema = {
        "name": _TEXT,
        "time_zone": {"type": "string"},
        "locale": {"enum": list(LOCALES)},
        "hierarchy": {"type": "array", "items": {"$ref": "#/$defs/node"}},
        "include": _FILES,
        "channels": {
            "type": "object",
            "propertyNames": {"pattern": _ID["pattern"]},
            "additionalProperties": {"$ref": "#/$defs/channel"},
        },
        "schedules": _by_id("schedule"),
        "polling": {"$ref": "#/$defs/rates"},
        "poll_groups": _by_id("poll_group"),
        "meters": _FILES,
        "metering_units": {"type": "array", "items": {"$ref": "#/$defs/metering_unit"}},
        "simulation": {"type": "object"},
    }
    return {
        "$schema": _DIALECT,
        "title": "JouleHub plant (plant.yaml)",
        "type": "object",
        "additionalProperties": False,
        "properties": {key: _described(properties[key], meaning) for key, meaning in PLANT_KEYS.items()},
        "$defs": {
            "channel": _channel(),
            "metering_unit": _metering_unit(),
            "node": _node(),
            "poll_group": _poll_group(),
            "rates": _object(RATE_KEYS, dict.fromkeys(RATE_KEYS, _TEXT)),
            "schedule": _schedule(),
        },
    }


SCHEMAS: dict[str, Callable[[], Schema]] = {
    "hub.schema.json": hub_schema,
    "meters.schema.json": meters_schema,
    "plant.schema.json": plant_schema,
}
"""What makes each schema file."""


def schema_folder() -> Path:
    """Where the schema files lie."""
    return Path(__file__).parent


def render(name: str) -> str:
    """Text of the schema file `name`."""
    return json.dumps(SCHEMAS[name](), indent=2, ensure_ascii=False) + "\n"


def _described(schema: Schema, meaning: str) -> Schema:
    return {**schema, "description": meaning}


def _channel() -> Schema:
    forms: dict[str, Schema] = {
        "driver": {"type": "string"},
        "options": {"type": "object"},
        "polling": {"$ref": "#/$defs/rates"},
    }
    return {**_object(CHANNEL_KEYS, forms), "required": ["driver"]}


def _schedule() -> Schema:
    forms = {**dict.fromkeys(SCHEDULE_KEYS, _TEXT), "cron": {"type": "string"}, "late": {"enum": list(LATE)}}
    return {**_object(SCHEDULE_KEYS, forms), "oneOf": [{"required": ["cron"]}, {"required": ["every"]}]}


def _poll_group() -> Schema:
    conditions = {**dict.fromkeys(WHERE_KEYS, _FILES), "medium": _one_or_more({"enum": list(MEDIA)})}
    forms: dict[str, Schema] = {"where": _object(WHERE_KEYS, conditions), "polling": {"$ref": "#/$defs/rates"}}
    return {**_object(GROUP_KEYS, forms), "required": ["polling"]}


def _object(meanings: Mapping[str, str], forms: Mapping[str, Schema]) -> Schema:
    """An object with these keys and no others."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: _described(forms[key], meaning) for key, meaning in meanings.items()},
    }


def _by_id(kind: str) -> Schema:
    return {
        "type": "object",
        "propertyNames": {"pattern": _ID["pattern"]},
        "additionalProperties": {"$ref": f"#/$defs/{kind}"},
    }


def _one_or_more(item: Schema) -> Schema:
    return {"anyOf": [item, {"type": "array", "items": item}]}


def _metering_unit() -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [column.name for column in COLUMNS if column.required],
        "properties": {column.name: _described(_cell(column), column.meaning) for column in COLUMNS},
    }


def _cell(column: Column) -> Schema:
    return _ID if column.name == "id" else _CELLS[column.form]


def _node() -> Schema:
    forms: dict[str, Schema] = {
        "id": _ID,
        "kind": {"enum": list(HIERARCHY_KINDS)},
        "name": _TEXT,
        "names": {
            "type": "object",
            "additionalProperties": False,
            "properties": {locale: {"type": "string"} for locale in LOCALES},
        },
        "code": {"type": ["string", "number"], "pattern": "^[^/]*$"},
        "enabled": {"type": "boolean"},
        "parent": _ID,
        "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
    }
    properties = {key: _described(forms[key], meaning) for key, meaning in NODE_KEYS.items()}
    properties |= {name: _described(_attribute(attribute), attribute.meaning) for name, attribute in ATTRIBUTES.items()}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["id", "kind"],
        "properties": properties,
        "allOf": [_of_kind(kind) for kind in HIERARCHY_KINDS],
    }


def _of_kind(kind: str) -> Schema:
    """What a node of this kind does not have."""
    foreign = [name for name, attribute in ATTRIBUTES.items() if not attribute.belongs_to(HIERARCHY_KINDS[kind])]
    refused: Schema = dict.fromkeys(foreign, False)
    if kind in LEAF_KINDS:
        refused["children"] = {"maxItems": 0}
    return {
        "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
        "then": {"properties": refused},
    }


def _attribute(attribute: Attribute) -> Schema:
    if attribute.form is Form.NUMBER:
        return {"type": "number", "minimum": attribute.low, "maximum": attribute.high}
    if attribute.form is Form.CHOICE:
        return {"enum": list(attribute.choices)}
    if attribute.form is Form.UUID:
        return {"type": "string", "pattern": _UUID_PATTERN}
    return _TEXT

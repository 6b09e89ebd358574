from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from address_space.model import MeteringUnit, NodeKind, Plant, Template
from config.columns import COLUMNS, CellForm
from config.hierarchy import NODE_KEYS
from config.kinds import ATTRIBUTES, HIERARCHY_KINDS
from config.loader import CHANNEL_KEYS, PLANT_KEYS, load_plant
from config.plant import PlantConfig
from config.polling import GROUP_KEYS, RATE_KEYS, SCHEDULE_KEYS, WHERE_KEYS
from config.schema import SCHEMAS, render, schema_folder
from config.settings import HubSettings, load_settings
from drivers.mixed import Options as MixedOptions

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "config/plants/demo"
MAKES = {"eastron/sdm630", "eastron/sdm120", "schneider/iem3155", "carlo-gavazzi/em24", "abb/b23", "acrel/adl400"}
"""Behind the Modbus TCP gateways."""
FIELD = {
    "house-power": {
        "generic/dlt645-2007-three-phase",
        "generic/dlt645-2007-single-phase",
        "generic/dlt645-2007-prepaid-relay",
        "generic/dlt645-1997",
    },
    "house-water": {
        "generic/cjt188-heat",
        "generic/cjt188-gas",
        "generic/cjt188-cold-water-valve",
        "generic/cjt188-hot-water-valve",
    },
    "wells": {
        "chint/dtsu666",
        "eastron/sdm630",
        "generic/dlt645-2007-three-phase",
        "generic/dlt645-2007-single-phase",
    },
}
DRIVERS = {"modbus", "dlt645", "cjt188", "mixed"}
FAULTS = {"silent", "slow", "wrong_length", "exception", "frozen", "rollover", "dropped"}
FIELD_FAULTS = {"noise_before", "relay_sticks", "valve_sticks", "half_frame"}


@pytest.fixture(scope="module")
def demo() -> PlantConfig:
    return load_plant(DEMO, profiles=MAKES.union(*FIELD.values()), drivers=DRIVERS)


def test_the_demonstration_plant_is_a_small_town(demo: PlantConfig) -> None:
    kinds = Counter(node.kind for node in demo.nodes)
    assert (kinds[NodeKind.REGION], kinds[NodeKind.SUBSTATION]) == (1, 2)
    assert min(kinds[kind] for kind in (NodeKind.TRANSFORMER, NodeKind.FEEDER, NodeKind.BUILDING)) >= 10
    town = [meter for meter in demo.meters if meter.channel not in FIELD]
    channels = [channel for channel in demo.channels if channel.id not in FIELD]
    assert len(town) == 200
    assert {meter.profile for meter in town} == MAKES
    assert len(channels) == 12
    assert len({channel.options["port"] for channel in channels}) == 12
    assert all(1 <= int(meter.address) <= 247 for meter in town)
    assert any(meter.ratio[1] > 1 for meter in demo.meters if meter.profile == "acrel/adl400")
    plant = Plant(demo.nodes, [MeteringUnit(m.id, m.name, m.parent, Template("t", ())) for m in demo.meters[:1]])
    assert plant.path(demo.meters[0].id) == "Nurobod/North/T1/BB1/m0001"


def test_the_demonstration_speaks_every_field_protocol(demo: PlantConfig) -> None:
    channels = {channel.id: channel for channel in demo.channels}
    for name, profiles in FIELD.items():
        assert {meter.profile for meter in demo.meters if meter.channel == name} == profiles
    assert {channels[name].driver for name in FIELD} == DRIVERS - {"modbus"}
    assert {channels[name].options.get("transport", "tcp") for name in FIELD} == {"serial", "tcp", "dial_in"}
    assert Counter(meter.channel for meter in demo.meters if meter.channel in FIELD) == {
        "house-power": 10,
        "house-water": 10,
        "wells": 4,
    }


def test_the_demonstration_stays_on_this_machine_and_in_its_data_folder(demo: PlantConfig) -> None:
    settings = load_settings(DEMO / "hub.toml")
    for channel in demo.channels:
        options = channel.options
        hosts = {options[key] for key in ("host", "listen_host") if key in options}
        assert hosts <= {"127.0.0.1"}
        assert hosts or Path(options["device"]).is_relative_to(settings.data_dir)


def test_the_faults_of_the_demonstration_name_its_meters(demo: PlantConfig) -> None:
    faults = demo.simulation["faults"]
    assert {fault["fault"] for fault in faults} == FAULTS | FIELD_FAULTS
    assert {fault["meter"] for fault in faults} <= {meter.id for meter in demo.meters}
    assert len(faults) == 12


def test_siblings_of_the_demonstration_differ_by_name_in_every_language(demo: PlantConfig) -> None:
    for locale in ("en", "ru", "uz", "zh"):
        names = Counter((node.parent, node.names.get(locale, node.name)) for node in demo.nodes)
        names.update((meter.parent, meter.name) for meter in demo.meters)
        assert [name for name, count in names.items() if count > 1] == []


def test_the_demonstration_hub_serves_this_machine_only() -> None:
    settings = load_settings(DEMO / "hub.toml")
    assert settings.plant.resolve() == DEMO.resolve()
    assert (settings.opcua.host, settings.opcua.port) == ("127.0.0.1", 4840)
    assert settings.data_dir.parts[0] == "var"


def _schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((schema_folder() / name).read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_the_schema_files_are_fresh_and_valid(name: str) -> None:
    assert (schema_folder() / name).read_text(encoding="utf-8") == render(name), "run `python -m config.schema`"
    jsonschema.Draft202012Validator.check_schema(_schema(name))


def test_the_demonstration_plant_obeys_the_schemas() -> None:
    plant = yaml.safe_load((DEMO / "plant.yaml").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(_schema("plant.schema.json")).validate(plant)
    forms = {column.name: column.form for column in COLUMNS}
    meters = []
    for sheet in sorted((DEMO / "meters").glob("*.csv")):
        lines = [line for line in sheet.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        meters += [
            {name: _typed(forms[name], cell) for name, cell in row.items() if cell} for row in csv.DictReader(lines)
        ]
    assert len(meters) == 224
    jsonschema.Draft202012Validator(_schema("meters.schema.json")).validate(meters)


def _typed(form: CellForm, cell: str) -> object:
    if form is CellForm.POSITIVE:
        return float(cell)
    return int(cell) if form is CellForm.YEAR else cell


@pytest.mark.parametrize(
    "wrong",
    [
        {"hierarchi": []},
        {"hierarchy": [{"id": "a", "kind": "fedeer"}]},
        {"hierarchy": [{"id": "a b", "kind": "feeder"}]},
        {"hierarchy": [{"id": "a", "kind": "feeder", "rated_power_kva": 1}]},
        {"hierarchy": [{"id": "a", "kind": "breaker", "children": [{"id": "b", "kind": "site"}]}]},
        {"channels": {"gw": {"options": {}}}},
        {"metering_units": [{"id": "m"}]},
    ],
)
def test_the_plant_schema_refuses_what_the_loader_refuses(wrong: dict[str, Any], folder: Any) -> None:
    assert not jsonschema.Draft202012Validator(_schema("plant.schema.json")).is_valid(wrong)
    folder.write("plant.yaml", yaml.safe_dump(wrong))
    assert folder.mistakes()


def _settings(model: type[BaseModel], prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for name, field in model.model_fields.items():
        assert field.description, name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += _settings(field.annotation, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", field.description))
    return found


def _rows(text: str) -> dict[str, str]:
    """Documented keys and the rest of their table row."""
    return {match.group(1): match.group(2) for match in re.finditer(r"^\| `([a-z_.]+)` \|(.*)\|$", text, re.MULTILINE)}


def test_every_key_is_documented_with_its_meaning() -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    rows = _rows(text)
    for name, meaning in [*_settings(HubSettings), *((column.name, column.meaning) for column in COLUMNS)]:
        assert meaning in rows[name] or text.count(f"| `{name}` |") > 1, name
    for key in [*PLANT_KEYS, *NODE_KEYS, *ATTRIBUTES, *CHANNEL_KEYS]:
        assert key in rows, key
    for key, meaning in [*SCHEDULE_KEYS.items(), *GROUP_KEYS.items(), *RATE_KEYS.items(), *WHERE_KEYS.items()]:
        assert re.search(rf"^\| `{key}` \|.*\| {re.escape(meaning)} \|", text, re.MULTILINE), key
    for kind in HIERARCHY_KINDS:
        assert f"`{kind}`" in text, kind


def test_no_key_is_documented_that_does_not_exist() -> None:
    known = {name for name, _ in _settings(HubSettings)} | {column.name for column in COLUMNS}
    known |= {*PLANT_KEYS, *NODE_KEYS, *ATTRIBUTES, *CHANNEL_KEYS}
    known |= {*SCHEDULE_KEYS, *GROUP_KEYS, *RATE_KEYS, *WHERE_KEYS, *MixedOptions.model_fields}
    assert set(_rows((ROOT / "docs/configuration.md").read_text(encoding="utf-8"))) <= known

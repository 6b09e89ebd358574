"""Node set files of the types and of the demonstration plant, read by two stacks that did not write them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from asyncua import Server

from address_space.model import Medium, Plant
from address_space.nodes import plant_nodeset, types_nodeset
from address_space.nodes.catalogue import Catalogue
from address_space.nodes.standard import TYPES_VERSION
from address_space.nodes.types import Enumeration
from address_space.nodes.types_model import TypeModel
from address_space.nodes.types_nodes import type_nodes
from config.settings import load_settings
from foreign import HERE, require_node
from server.app import draw
from server.cli.demo import PLANT

UNIT_TYPES = {Medium.ELECTRICITY: 1011, Medium.WATER: 1012, Medium.HOT_WATER: 1012, Medium.GAS: 1013, Medium.HEAT: 1014}
"""Numbers of the types of metering units, as `JouleHub.Types.NodeIds.csv` has them."""

pytestmark = pytest.mark.interop

NODES = type_nodes(TypeModel(), Catalogue())
RULES = {"i=78": "Mandatory", "i=80": "Optional", "i=11508": "OptionalPlaceholder"}


@pytest.fixture(scope="module")
def plant() -> Plant:
    """The demonstration plant."""
    return draw(load_settings(PLANT / "hub.toml").model_copy(update={"plant": PLANT})).assembly.plant


@pytest.fixture(scope="module")
def types_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("nodeset") / "types.xml"
    file.write_text(types_nodeset(), "utf-8")
    return file


@pytest.fixture(scope="module")
def foreign_types(types_file: Path) -> dict[str, Any]:
    """What node-opcua finds in the types' file."""
    return found_by_node_opcua(types_file)


@pytest.fixture(scope="module")
def foreign_plant(plant: Plant, types_file: Path) -> dict[str, Any]:
    """What node-opcua finds in the demonstration plant's file."""
    require_node()
    file = types_file.with_name("plant.xml")
    with file.open("w", encoding="utf-8") as out:
        out.writelines(plant_nodeset(plant))
    found: dict[str, Any] = found_by_node_opcua(types_file, file)["plant"]
    return found


def found_by_node_opcua(*files: Path) -> dict[str, Any]:
    """Load the files into node-opcua's address space; what it tells on its last line."""
    require_node()
    if not (HERE / "node_modules" / "node-opcua-address-space").is_dir():
        pytest.skip("node-opcua's address space is not installed; run `make test`, or `npm install` in tests/interop")
    command = ["node", str(HERE / "nodeset_import.js"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_node_opcua_finds_every_node_of_the_types_with_its_class_and_names(foreign_types: dict[str, Any]) -> None:
    found = {
        node["id"]: (node["kind"], node["name"], node["display"], node["about"]) for node in foreign_types["types"]
    }
    declared = {
        str(node.node_id.Identifier): (
            node.node_class.name,
            node.browse_name.Name,
            node.names.en,
            node.descriptions.en if node.descriptions else "",
        )
        for node in NODES
    }
    assert found == declared
    assert foreign_types["models"]["urn:joulehub:types"] == TYPES_VERSION


def test_node_opcua_knows_base_types_and_names_in_the_other_direction(foreign_types: dict[str, Any]) -> None:
    found = {node["name"]: node for node in foreign_types["types"] if node["kind"].endswith("Type")}
    for entry in TypeModel():
        assert found[entry.name]["base"] == entry.base
    assert found["Feeds"]["inverse"] == "Fed by"
    assert found["MeteringUnitType"]["abstract"] is True
    assert found["WaterMeterType"]["abstract"] is False


def test_node_opcua_reads_the_modelling_rule_of_every_declaration(foreign_types: dict[str, Any]) -> None:
    rules = {node["id"]: node["rule"] for node in foreign_types["types"] if "rule" in node}
    declared = {
        str(node.node_id.Identifier): RULES[target.to_string()]
        for node in NODES
        for reference, _, target in node.references
        if reference.to_string() == "i=37"
    }
    assert rules == declared


def test_node_opcua_reads_every_enumeration_by_definition_and_by_texts(foreign_types: dict[str, Any]) -> None:
    catalogue = Catalogue()
    enumerations = [entry for entry in TypeModel() if isinstance(entry, Enumeration)]
    assert foreign_types["enumerations"].keys() == {entry.name for entry in enumerations}
    for entry in enumerations:
        found = foreign_types["enumerations"][entry.name]
        assert found["fields"] == [[name, number] for number, name in enumerate(entry.fields)]
        assert found["strings"] == [catalogue.field(entry.name, name).en for name in entry.fields]


def test_node_opcua_reads_the_arguments_of_methods(foreign_types: dict[str, Any]) -> None:
    read_now = foreign_types["methods"][str(TypeModel().ids["MeteringUnitType_ReadNow"])]
    assert read_now["inputs"] == []
    assert read_now["outputs"] == [["Online", "Whether the device answered"], ["ReadAt", "When it was read"]]


def test_node_opcua_makes_a_meter_of_its_own_from_the_type(foreign_types: dict[str, Any]) -> None:
    assert {"Identification", "Communication", "Quality", "Medium", "ReadNow", "Uid"} <= set(foreign_types["made"])
    assert "Switch" not in foreign_types["made"]


def test_node_opcua_reaches_every_node_of_the_whole_plant_from_its_root(
    plant: Plant, foreign_plant: dict[str, Any]
) -> None:
    ids = foreign_plant["ids"]
    assert len(set(ids)) == len(ids)
    assert {unit.id for unit in plant.units} | {"root", "system", "by-medium"} <= set(ids)
    for unit in plant.units:
        assert f"{unit.id}.{unit.template.points[0].quantity.path}" in ids
    assert foreign_plant["unreached"] == []
    assert foreign_plant["untyped"] == []


def test_node_opcua_reads_ranges_units_and_name_plates_of_the_plant(
    plant: Plant, foreign_plant: dict[str, Any]
) -> None:
    values = foreign_plant["values"]
    for unit in plant.units:
        assert values[f"{unit.id}.Identification.SerialNumber"] == unit.serial_number
        for spec in unit.template.points:
            if spec.quantity.unit is not None:
                path = f"{unit.id}.{spec.quantity.path}"
                assert values[f"{path}.EURange"] == list(spec.range)
                assert values[f"{path}.EngineeringUnits"] == [spec.quantity.unit.unit_id, spec.quantity.unit.symbol]


async def test_asyncua_imports_a_meter_of_every_make_in_strict_mode(plant: Plant, types_file: Path) -> None:
    one_of_each = {id(unit.template): unit for unit in reversed(plant.units)}.values()
    part = Plant(plant.nodes.values(), one_of_each)
    server = Server()
    await server.init()
    for uri in ("urn:joulehub:plant", "urn:joulehub:types"):
        await server.register_namespace(uri)
    types = await server.import_xml(str(types_file), strict_mode=True)
    assert len(types) == len(NODES)
    region = await server.get_node("ns=3;i=1001").read_display_name()
    assert region.Text == "Region"
    instances = await server.import_xml(xmlstring="".join(plant_nodeset(part)), strict_mode=True)
    assert len(instances) > part.size
    for unit in one_of_each:
        kind = await server.get_node(f"ns=2;s={unit.id}").read_type_definition()
        assert kind.to_string() == f"ns=3;i={UNIT_TYPES[unit.medium]}"
        children = await server.get_node(f"ns=2;s={unit.id}").get_children()
        # Quantities with a point in their path (Status.BatteryLow) hang below a component of the unit.
        children += [below for child in children for below in await child.get_children()]
        found = {child.nodeid.Identifier for child in children}
        assert {f"{unit.id}.{spec.quantity.path}" for spec in unit.template.points} <= found

"""Node set files: well formed, complete, and importable by another stack's strict importer."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from asyncua import Server, ua
from asyncua.server.internal_server import InternalServer

from address_space.model import Plant
from address_space.nodes import plant_nodeset, types_nodeset
from address_space.nodes.catalogue import Catalogue
from address_space.nodes.types_model import TypeModel
from address_space.nodes.types_nodes import type_nodes

X = "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}"


@pytest.fixture(scope="module")
def types() -> ElementTree.Element:
    return ElementTree.fromstring(types_nodeset())  # noqa: S314


def test_the_models_and_what_they_need_are_named(types: ElementTree.Element) -> None:
    model = types.find(f"{X}Models/{X}Model")
    assert model is not None
    assert model.get("ModelUri") == "urn:joulehub:types"
    required = model.find(f"{X}RequiredModel")
    assert required is not None
    assert required.get("ModelUri") == "http://opcfoundation.org/UA/"


def test_every_node_of_the_model_stands_in_the_file_once(types: ElementTree.Element) -> None:
    found = [element.get("NodeId") for element in types if element.get("NodeId")]
    declared = [f"ns=1;i={node.node_id.Identifier}" for node in type_nodes(TypeModel(), Catalogue())]
    assert found == declared


def test_names_stand_in_every_language_between_english_and_english(types: ElementTree.Element) -> None:
    (region,) = [element for element in types if element.get("BrowseName") == "1:RegionType"]
    names = [(name.get("Locale"), name.text) for name in region.findall(f"{X}DisplayName")]
    languages = [("en", "Region"), ("ru", "Регион"), ("uz", "Hudud"), ("zh", "区域")]
    assert names == [*languages, (None, "Region")]


def test_texts_in_values_are_translated_beside_them(types: ElementTree.Element) -> None:
    (strings,) = [element for element in types if element.get("SymbolicName") == "MediumEnum_EnumStrings"]
    texts = [{text.get("Locale"): text.text for text in one} for one in strings.findall(f"{X}Translation")]
    assert texts[1] == {"ru": "Вода", "uz": "Suv", "zh": "水"}
    assert len(texts) == len(list(strings.iter("{http://opcfoundation.org/UA/2008/02/Types.xsd}LocalizedText")))
    (arguments,) = [e for e in types if e.get("SymbolicName") == "MeteringUnitType_ReadNow_OutputArguments"]
    fields = arguments.findall(f"{X}Translation/{X}Field")
    assert [field.get("Name") for field in fields] == ["Description", "Description"]
    assert [text.text for text in fields[1]] == ["Время чтения", "Oʻqilgan vaqt", "抄读时间"]


def test_every_instance_declaration_has_a_modelling_rule(types: ElementTree.Element) -> None:
    for element in types:
        if element.tag not in (f"{X}UAVariable", f"{X}UAObject", f"{X}UAMethod"):
            continue
        name, symbol = element.get("BrowseName", ""), element.get("SymbolicName", "")
        rules = [r.text for r in element.iter(f"{X}Reference") if r.get("ReferenceType") == "i=37"]
        outside = name in ("EnumStrings", "1:urn:joulehub:types") or symbol.startswith("NamespaceMetadata")
        assert len(rules) == (0 if outside else 1), name


def test_enumerations_name_their_fields(types: ElementTree.Element) -> None:
    (medium,) = [element for element in types if element.get("BrowseName") == "1:MediumEnum"]
    fields = [(field.get("Name"), field.get("Value")) for field in medium.iter(f"{X}Field")]
    assert fields[:2] == [("Electricity", "0"), ("Water", "1")]


class Preloaded(InternalServer):  # type: ignore[misc]
    """A server of asyncua's own that takes namespace 0 from the tests' one copy of it."""

    standard_nodes = b""

    async def load_standard_address_space(self, shelf_file: object = None) -> None:
        self.aspace._nodes = pickle.loads(self.standard_nodes)  # noqa: S301


async def _importing(standard_nodes: bytes) -> Server:
    internal = Preloaded()
    internal.standard_nodes = standard_nodes
    server = Server(iserver=internal)
    await server.init()
    await server.register_namespace("urn:joulehub:plant")
    await server.register_namespace("urn:joulehub:types")
    return server


async def test_both_files_import_in_strict_mode(plant_maker: Callable[[], Plant], standard_nodes: bytes) -> None:
    server = await _importing(standard_nodes)
    nodes = await server.import_xml(xmlstring=types_nodeset(), strict_mode=True)
    assert len(nodes) == len(type_nodes(TypeModel(), Catalogue()))
    definition = await server.get_node("ns=3;i=3002").read_data_type_definition()
    assert [field.Name for field in definition.Fields][:2] == ["NeverPolled", "Online"]
    whole = plant_maker()
    plant = Plant(whole.nodes.values(), [unit for unit in whole.units if unit.id in ("m0", "m1")])
    instances = await server.import_xml(xmlstring="".join(plant_nodeset(plant)), strict_mode=True)
    assert len(instances) > plant.size
    units = await server.get_node("ns=2;s=m0.VoltageL1.EngineeringUnits").read_value()
    assert units.UnitId == 5655636
    extent = await server.get_node("ns=2;s=m0.VoltageL1.EURange").read_value()
    assert extent == ua.Range(0.0, 300.0)
    name = await server.get_node("ns=2;s=m0.Identification.SerialNumber").read_value()
    assert name == "SN0"
    members = await server.get_node("ns=2;s=root").get_children()
    assert ua.NodeId("north", 2) in [member.nodeid for member in members]
    strings = await server.get_node(ua.NodeId(TypeModel().ids["MediumEnum_EnumStrings"], 3)).read_value()
    assert [text.Text for text in strings][:2] == ["Electricity", "Water"]
    arguments = await server.get_node("ns=2;s=m0.ReadNow.OutputArguments").read_value()
    assert [argument.Name for argument in arguments] == ["Online", "ReadAt"]
    maker = await server.get_node("ns=2;s=m1.Identification.Manufacturer").read_value()
    assert maker.Text == "Acme"


def test_the_plant_is_written_node_by_node(plant_maker: Callable[[], Plant]) -> None:
    parts = plant_nodeset(plant_maker())
    assert next(parts).startswith("<?xml")
    assert max(len(part) for part in parts) < 8000

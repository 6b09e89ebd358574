"""Shapes of hierarchy nodes and of the hub's own folders, and what units and nodes have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from address_space.model.hierarchy import HierarchyNode, MeteringUnit, NodeKind
from address_space.model.units import UNITS
from address_space.nodes.catalogue import Catalogue
from address_space.nodes.nodeids import SYSTEM
from address_space.nodes.shapes import Constant, Folder, Reported, Shape, ShapeBuilder, Source, Supplied
from address_space.nodes.standard import SUBSCRIBE_TO_EVENTS, eu_information
from address_space.nodes.types_model import TypeModel
from address_space.nodes.views import LINE_TYPE

HISTORY_TYPE = "HistoryStateType"
"""Type of the object that tells how the history is doing."""
NODE_TYPES = {
    NodeKind.REGION: "RegionType",
    NodeKind.SITE: "SiteType",
    NodeKind.SUBSTATION: "SubstationType",
    NodeKind.TRANSFORMER: "TransformerType",
    NodeKind.BUSBAR: "BusbarType",
    NodeKind.FEEDER: "FeederType",
    NodeKind.BUILDING: "BuildingType",
    NodeKind.FLOOR: "FloorType",
    NodeKind.DIVISION: "DivisionType",
    NodeKind.CONSUMER: "ConsumerType",
    NodeKind.CABINET: "CabinetType",
    NodeKind.BREAKER: "BreakerType",
    NodeKind.VALVE: "ValveType",
    NodeKind.GATEWAY: "GatewayType",
}

_CIM_CLASSES = {
    NodeKind.REGION: "GeographicalRegion",
    NodeKind.SITE: "SubGeographicalRegion",
    NodeKind.SUBSTATION: "Substation",
    NodeKind.TRANSFORMER: "PowerTransformer",
    NodeKind.BUSBAR: "BusbarSection",
    NodeKind.FEEDER: "Feeder",
    NodeKind.BUILDING: "ServiceLocation",
    NodeKind.CONSUMER: "UsagePoint",
    NodeKind.BREAKER: "Breaker",
    NodeKind.METERING_UNIT: "Meter",
}
"""Class of IEC 61968/61970 that a kind stands for, where the plant does not name another."""

_TEXT_ATTRIBUTES = {
    "cim_mrid": "CimMrid",
    "voltage_levels": "VoltageLevels",
    "vector_group": "VectorGroup",
    "account_no": "AccountNo",
    "contract_no": "ContractNo",
}
_RATINGS = {
    "rated_power_kva": ("RatedPower", "KVA"),
    "primary_voltage_kv": ("PrimaryVoltage", "KVT"),
    "secondary_voltage_kv": ("SecondaryVoltage", "KVT"),
    "rated_voltage_kv": ("RatedVoltage", "KVT"),
    "rated_current_a": ("RatedCurrent", "AMP"),
}
_CATEGORIES = ("residential", "commercial", "industrial", "public", "other")


def hierarchy_bindings(owner: HierarchyNode | MeteringUnit) -> dict[str, Source]:
    """Sources of all that HierarchyNodeType and the types of the hierarchy give, by the attributes there are."""
    attributes = owner.attributes
    found: dict[str, Source] = {
        "Uid": Supplied(lambda node, _: node.id),
        "Code": Supplied(lambda node, _: getattr(node, "code", "") or node.id),
        "Path": Supplied(lambda node, facts: facts.plant.path(node.id)),
        "NodeVersion": Supplied(lambda node, facts: str(facts.node_versions.get(node.id, 1))),
        "Enabled": Supplied(lambda node, _: node.enabled),
    }
    for key, name in _TEXT_ATTRIBUTES.items():
        if key in attributes:
            found[name] = _attribute(key, str)
    for key, (name, unit) in _RATINGS.items():
        if key in attributes:
            found[name] = _attribute(key, float)
            found[f"{name}.EngineeringUnits"] = Constant(eu_information(UNITS[unit]))
    if "cim_mrid" in attributes or "cim_class" in attributes:
        kind = owner.kind
        found["CimClass"] = Supplied(lambda node, _: str(node.attributes.get("cim_class", _CIM_CLASSES.get(kind, ""))))
    if "category" in attributes:
        found["Category"] = Supplied(_category)
    if "address" in attributes:
        found["Address"] = _attribute("address", str)
    if "latitude" in attributes and "longitude" in attributes:
        found["Location.Latitude"] = _attribute("latitude", float)
        found["Location.Longitude"] = _attribute("longitude", float)
        if "address" in attributes:
            found["Location.Address"] = _attribute("address", str)
    return found


def node_shape(model: TypeModel, catalogue: Catalogue, node: HierarchyNode) -> Shape:
    """Shape of every hierarchy node of this one's kind and kinds of attribute."""
    builder = ShapeBuilder(model, catalogue, hierarchy_bindings(node))
    builder.top(NODE_TYPES[node.kind], event_notifier=SUBSCRIBE_TO_EVENTS)
    return builder.finish()


def folder_shape(model: TypeModel, catalogue: Catalogue, folder: Folder) -> Shape:
    """Shape of one of the hub's own nodes."""
    bindings: Mapping[str, Source] = {}
    if folder.id == SYSTEM:
        bindings = {**_SYSTEM, **{f"History.{name}": Reported(name) for name in model.members(HISTORY_TYPE)}}
    if folder.event_notifier:
        bindings = {"NodeVersion": Supplied(lambda owner, facts: str(facts.node_versions.get(owner.id, 1)))}
    if folder.type_name == LINE_TYPE:
        bindings = {**_PERCENT, **{name: Reported(name) for name in model.members(LINE_TYPE)}}
    builder = ShapeBuilder(model, catalogue, bindings)
    builder.top("SystemType" if folder.id == SYSTEM else folder.type_name, event_notifier=folder.event_notifier)
    return builder.finish()


_PERCENT: Mapping[str, Source] = {
    f"{name}.EngineeringUnits": Constant(eu_information(UNITS["P1"])) for name in ("SuccessRate", "Utilisation")
}
_SYSTEM: Mapping[str, Source] = {
    "ConfigVersion": Supplied(lambda _, facts: facts.system.config_version),
    "ConfigLoadedAt": Supplied(lambda _, facts: facts.system.config_loaded_at),
    "LastReloadResult": Supplied(lambda _, facts: facts.system.last_reload_result),
    "ActiveRole": Supplied(lambda _, facts: facts.system.active_role),
}


def _attribute(key: str, convert: Callable[[Any], Any]) -> Source:
    def supply(node: HierarchyNode | MeteringUnit, _: object) -> object:
        try:
            return convert(node.attributes[key])
        except ValueError:
            return None

    return Supplied(supply)


def _category(node: HierarchyNode, _: object) -> int:
    given = str(node.attributes["category"]).lower()
    return _CATEGORIES.index(given) if given in _CATEGORIES else _CATEGORIES.index("other")

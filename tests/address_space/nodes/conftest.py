"""A mixed plant, and an address space over it with all of namespace 0."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
from asyncua.server.address_space import AddressSpace, NodeManagementService
from asyncua.server.standard_address_space import standard_address_space

from address_space.model import (
    HierarchyNode,
    Identification,
    LiveTable,
    ManualClock,
    Medium,
    MeteringUnit,
    NodeKind,
    NodeUid,
    Plant,
    PointSpec,
    Protocol,
    Quantity,
    Template,
)
from address_space.model.quantity import MEASURED
from address_space.nodes import VirtualAddressSpace, build_types, fill_namespaces


def electricity() -> Template:
    """Every kind of variable of an electricity meter."""
    return Template(
        "electricity",
        [
            PointSpec(Quantity.ACTIVE_ENERGY_IMPORT, source="FC4 0x0048 float32", rollover=1e6, poll_s=10),
            PointSpec(Quantity.VOLTAGE_L1, source="FC4 0x0000 float32", deadband=0.5, heartbeat_s=900, poll_s=5),
            PointSpec(Quantity.POWER_FACTOR, record=False),
            PointSpec(Quantity.DEMAND_IMPORT),
            PointSpec(Quantity.ACTIVE_TARIFF),
        ],
    )


def everything() -> Template:
    """Every measured quantity there is."""
    return Template("everything", [PointSpec(quantity, source="x") for quantity in MEASURED])


def node(uid: str, kind: NodeKind, parent: str | None, name: str = "", **given: object) -> HierarchyNode:
    """A hierarchy node."""
    above = None if parent is None else NodeUid(parent)
    return HierarchyNode(NodeUid(uid), kind, name or uid, above, **given)  # type: ignore[arg-type]


def mixed_plant(*, backwards: bool = False) -> Plant:
    """One of everything: all kinds of node, all media, shared names, codes, attributes."""
    nodes = [
        node("north", NodeKind.REGION, None, "North", code="N", names={"ru": "Север", "zh": "北区"}),
        node("s1", NodeKind.SITE, "north", attributes={"latitude": 41.3, "longitude": 69.2, "address": "1 Main St"}),
        node("sub", NodeKind.SUBSTATION, "s1", "TP-12", code="TP-12", attributes={"voltage_levels": "10/0.4 kV"}),
        node(
            "tr",
            NodeKind.TRANSFORMER,
            "sub",
            "T1",
            attributes={
                "rated_power_kva": 400.0,
                "primary_voltage_kv": 10,
                "secondary_voltage_kv": 0.4,
                "vector_group": "Dyn11",
                "cim_mrid": "6a1f0f7e-0000-4000-8000-000000000001",
            },
        ),
        node("bus", NodeKind.BUSBAR, "tr", attributes={"rated_voltage_kv": 0.4}),
        node("f1", NodeKind.FEEDER, "bus", "Feeder", code="F", attributes={"rated_current_a": 250}),
        node("f2", NodeKind.FEEDER, "bus", "Feeder", code="F"),
        node("b1", NodeKind.BUILDING, "f1", attributes={"address": "2 Main St"}),
        node("fl", NodeKind.FLOOR, "b1", "Uid"),
        node("div", NodeKind.DIVISION, "f2", enabled=False),
        node("con", NodeKind.CONSUMER, "fl", attributes={"account_no": "17", "contract_no": "A", "category": "public"}),
        node("cab", NodeKind.CABINET, "con", "Identifier"),
        node("br", NodeKind.BREAKER, "cab", attributes={"rated_current_a": 63}),
        node("va", NodeKind.VALVE, "cab"),
        node("gw", NodeKind.GATEWAY, "cab"),
    ]
    nodes_of_plant, template = nodes, electricity()
    plate = Identification("Acme", "M1", year_of_construction=2024)
    units = [
        MeteringUnit(
            NodeUid(f"m{medium.value}"),
            "Meter",
            NodeUid("cab"),
            everything() if medium is Medium.OTHER else template,
            medium,
            Protocol.MODBUS_RTU,
            channel="" if medium is Medium.GAS else f"bus{medium.value % 2}",
            address=str(medium.value),
            serial_number=f"SN{medium.value}",
            ratio=(20.0, 100.0),
            identification=plate if medium is Medium.WATER else Identification(),
            attributes={"verification_due": "2031-05-01"} if medium is Medium.HEAT else {},
        )
        for medium in Medium
    ]
    units.append(MeteringUnit(NodeUid("lone"), "Lone meter", None, template, channel="bus0"))
    if backwards:
        return Plant(reversed(nodes_of_plant), reversed(units))
    return Plant(nodes_of_plant, units)


STANDARD_NS = 1_800_000_000_000_000_000
"""When the real nodes were made."""


@pytest.fixture(scope="session")
def standard_nodes() -> bytes:
    """Namespace 0, built once."""
    space = AddressSpace()
    standard_address_space.fill_address_space(NodeManagementService(space))
    return pickle.dumps(space._nodes, pickle.HIGHEST_PROTOCOL)


@pytest.fixture(scope="session")
def space(standard_nodes: bytes) -> VirtualAddressSpace:
    """The mixed plant in a complete address space; tests that share it do not change it."""
    made = virtual_space(mixed_plant())
    made._nodes = pickle.loads(standard_nodes)  # noqa: S301
    build_types(made, STANDARD_NS)
    fill_namespaces(made, "urn:joulehub:test", STANDARD_NS)
    return made


@pytest.fixture
def make_space(space: VirtualAddressSpace) -> Callable[[Plant], VirtualAddressSpace]:
    """A fresh address space over a given plant; its real nodes are those of `space`."""

    def make(plant: Plant) -> VirtualAddressSpace:
        made = virtual_space(plant)
        made._nodes, made.type_nodes = space._nodes, space.type_nodes
        return made

    return make


@pytest.fixture(scope="session")
def plant_maker() -> Callable[..., Plant]:
    """The maker of the mixed plant."""
    return mixed_plant


def virtual_space(plant: Plant) -> VirtualAddressSpace:
    """An address space that has a plant and no real nodes yet."""
    clock = ManualClock()
    return VirtualAddressSpace(plant, LiveTable(plant, clock.now_ns()), clock)

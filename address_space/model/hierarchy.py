"""What a plant is made of: hierarchy nodes of any depth, and the metering units at the leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from address_space.model.ids import NodeUid
from address_space.model.point import Template
from address_space.model.state import Medium, Protocol


class NodeKind(Enum):
    """Kinds of node, in the words of the configuration."""

    REGION = "region"
    SITE = "site"
    SUBSTATION = "substation"
    TRANSFORMER = "transformer"
    BUSBAR = "busbar"
    FEEDER = "feeder"
    BUILDING = "building"
    FLOOR = "floor"
    DIVISION = "division"
    CONSUMER = "consumer"
    CABINET = "cabinet"
    METERING_UNIT = "metering_unit"
    BREAKER = "breaker"
    VALVE = "valve"
    GATEWAY = "gateway"

    @property
    def is_leaf(self) -> bool:
        """Whether nothing but metering units may hang below a node of this kind."""
        return self in _LEAVES


_LEAVES = frozenset({NodeKind.METERING_UNIT, NodeKind.BREAKER, NodeKind.VALVE, NodeKind.GATEWAY})

_NO_ATTRIBUTES: Mapping[str, str | float] = {}


@dataclass(frozen=True, slots=True)
class HierarchyNode:
    """A place or a piece of equipment. `parent` is None directly below the root.

    `names` are display names by locale, where the plant gives more than one; `attributes` are the kind's own
    data (`rated_power_kva`, `primary_voltage_kv`, `rated_current_a`, `address`, `cim_mrid`, …).
    """

    id: NodeUid
    kind: NodeKind
    name: str
    parent: NodeUid | None = None
    code: str = ""
    enabled: bool = True
    names: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str | float] = field(default_factory=lambda: _NO_ATTRIBUTES)


@dataclass(frozen=True, slots=True)
class Identification:
    """Name plate of a device; shared between units where it is the same."""

    manufacturer: str = ""
    model: str = ""
    hardware_revision: str = ""
    software_revision: str = ""
    device_class: str = ""
    year_of_construction: int = 0


@dataclass(frozen=True, slots=True)
class MeteringUnit:
    """One metering point with its device. `ratio` is (CT, PT); `address` the device's address on its channel."""

    id: NodeUid
    name: str
    parent: NodeUid | None
    template: Template
    medium: Medium = Medium.ELECTRICITY
    protocol: Protocol = Protocol.MODBUS_TCP
    channel: str = ""
    address: str = ""
    serial_number: str = ""
    asset_id: str = ""
    ratio: tuple[float, float] = (1.0, 1.0)
    enabled: bool = True
    identification: Identification = Identification()
    attributes: Mapping[str, str | float] = field(default_factory=lambda: _NO_ATTRIBUTES)

    @property
    def kind(self) -> NodeKind:
        """Always a metering unit."""
        return NodeKind.METERING_UNIT


Node = HierarchyNode | MeteringUnit

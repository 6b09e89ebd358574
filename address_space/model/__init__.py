"""The plant as the whole hub knows it: standard library and numpy only, imported by all, importing nobody."""

from address_space.model.clock import NS, Clock, ManualClock, SystemClock
from address_space.model.diff import PlantDiff
from address_space.model.errors import HubError
from address_space.model.hierarchy import HierarchyNode, Identification, MeteringUnit, Node, NodeKind
from address_space.model.ids import NodeUid, PointHandle, PointId, UnitHandle
from address_space.model.live import LiveTable
from address_space.model.plant import Plant
from address_space.model.point import PointDef, PointSpec, Template
from address_space.model.quality import GOOD, Quality, Reason
from address_space.model.quantity import DataType, Kind, Names, Quantity
from address_space.model.state import Medium, MeterState, Phase, Protocol
from address_space.model.units import UNITS, Unit
from address_space.model.value import Batch, PointValue

__all__ = [
    "GOOD",
    "NS",
    "UNITS",
    "Batch",
    "Clock",
    "DataType",
    "HierarchyNode",
    "HubError",
    "Identification",
    "Kind",
    "LiveTable",
    "ManualClock",
    "Medium",
    "MeterState",
    "MeteringUnit",
    "Names",
    "Node",
    "NodeKind",
    "NodeUid",
    "Phase",
    "Plant",
    "PlantDiff",
    "PointDef",
    "PointHandle",
    "PointId",
    "PointSpec",
    "PointValue",
    "Protocol",
    "Quality",
    "Quantity",
    "Reason",
    "SystemClock",
    "Template",
    "Unit",
    "UnitHandle",
]

"""Fixed points of the address space: namespaces, the node ids of namespace 0 in use, and units as OPC UA tells them."""

from __future__ import annotations

from asyncua import ua

from address_space.model.quantity import DataType
from address_space.model.units import UNECE_NAMESPACE, Unit

NS_STANDARD, NS_SERVER, NS_PLANT, NS_TYPES = 0, 1, 2, 3
STANDARD_URI = "http://opcfoundation.org/UA/"
PLANT_URI = "urn:joulehub:plant"
TYPES_URI = "urn:joulehub:types"
TYPES_VERSION = "1.1.0"
TYPES_PUBLISHED = "2026-11-22T00:00:00Z"
"""Version and publication date of the type model; both move when the declared model does."""
TYPES_ID_RANGE = "1000:8999"
"""Numbers kept for the type model: these ids are the same on every server."""
STANDARD_VERSION = "1.05.03"
STANDARD_PUBLISHED = "2023-12-15T00:00:00Z"
"""Oldest edition of namespace 0 that the type model needs."""


def standard(identifier: int) -> ua.NodeId:
    """A node id of namespace 0."""
    return ua.NodeId(identifier, NS_STANDARD)


HAS_SUBTYPE = standard(45)
HAS_PROPERTY = standard(46)
HAS_COMPONENT = standard(47)
HAS_NOTIFIER = standard(48)
ORGANIZES = standard(35)
HAS_TYPE_DEFINITION = standard(40)
HAS_MODELLING_RULE = standard(37)
HAS_HISTORICAL_CONFIGURATION = standard(56)
HAS_ADD_IN = standard(17604)
PROPERTY_TYPE = standard(68)
FOLDER_TYPE = standard(61)
OBJECTS = standard(85)
SERVER = standard(2253)
SERVER_NAMESPACES = standard(11715)
NAMESPACE_ARRAY = standard(2255)
NULL_ID = ua.NodeId()

READ = 1
"""AccessLevel bit CurrentRead."""
READ_HISTORY = 1 | 4
"""AccessLevel bits CurrentRead and HistoryRead."""
SUBSCRIBE_TO_EVENTS = 1
"""EventNotifier bit SubscribeToEvents."""
READ_EVENT_HISTORY = 4
"""EventNotifier bit HistoryRead."""

NUMERIC_AGGREGATES = (2342, 2343, 2344, 2350, 2359, 11285, 11507)
"""AggregateFunctions that are made of numbers only: averages, totals, ranges and differences."""
AGGREGATES = (
    *(2341, 2342, 2343, 2344, 2346, 2347, 2348, 2349, 2350, 2352),
    *(2357, 2358, 2359, 2360, 2362, 2363, 2364, 11285, 11505, 11506, 11507),
)
"""AggregateFunctions of namespace 0 that HistoryRead answers (OPC 10000-13 4.2.2)."""

VARIANTS = {data_type: ua.VariantType(int(data_type)) for data_type in DataType}


def eu_information(unit: Unit) -> ua.EUInformation:
    """EngineeringUnits of a unit: UNECE Recommendation 20, as OPC 10000-8 5.6.3 maps it."""
    return ua.EUInformation(
        NamespaceUri=UNECE_NAMESPACE,
        UnitId=unit.unit_id,
        DisplayName=ua.LocalizedText(unit.symbol),
        Description=ua.LocalizedText(unit.symbol),
    )

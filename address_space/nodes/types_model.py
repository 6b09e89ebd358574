"""The whole type model: every declared type by name, its frozen ids, and what instances of it inherit."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from importlib.resources import files

from asyncua import ua

from address_space.nodes.errors import TypeModelError
from address_space.nodes.standard import NS_STANDARD, NS_TYPES
from address_space.nodes.types import (
    Declaration,
    Declared,
    Enumeration,
    O,
    ObjectType,
    ReferenceType,
    VariableType,
    standard_prop,
)
from address_space.nodes.types_hierarchy import HIERARCHY_TYPES
from address_space.nodes.types_metering import METERING_TYPES
from address_space.nodes.types_values import ENUMERATIONS, EVENT_TYPES, REFERENCE_TYPES, VARIABLE_TYPES

IDS_FILE = "JouleHub.Types.NodeIds.csv"

DECLARED: tuple[Declared, ...] = (
    *ENUMERATIONS,
    *REFERENCE_TYPES,
    *VARIABLE_TYPES,
    *HIERARCHY_TYPES,
    *METERING_TYPES,
    *EVENT_TYPES,
)

_AGGREGATE_FUNCTIONS = Declaration(
    "AggregateFunctions",
    ua.NodeClass.Object,
    ua.NodeId(47),
    "FolderType",
    rule=O,
    namespace=NS_STANDARD,
)
_AGGREGATE_CONFIGURATION = Declaration(
    "AggregateConfiguration",
    ua.NodeClass.Object,
    ua.NodeId(47),
    "AggregateConfigurationType",
    namespace=NS_STANDARD,
)

STANDARD_MEMBERS: Mapping[str, tuple[Declaration, ...]] = {
    "AnalogUnitType": (standard_prop("EngineeringUnits", "EUInformation"),),
    "AnalogUnitRangeType": (
        standard_prop("EURange", "Range"),
        standard_prop("EngineeringUnits", "EUInformation"),
    ),
    "TwoStateDiscreteType": (
        standard_prop("FalseState", "LocalizedText"),
        standard_prop("TrueState", "LocalizedText"),
    ),
    "HistoricalDataConfigurationType": (
        standard_prop("Stepped", "Boolean"),
        standard_prop("Definition", "String", O),
        standard_prop("MinTimeInterval", "Duration", O),
        standard_prop("MaxTimeInterval", "Duration", O),
        standard_prop("ExceptionDeviation", "Double", O),
        standard_prop("ExceptionDeviationFormat", "ExceptionDeviationFormat", O),
        standard_prop("StartOfArchive", "UtcTime", O),
        standard_prop("StartOfOnlineArchive", "UtcTime", O),
        _AGGREGATE_CONFIGURATION,
        _AGGREGATE_FUNCTIONS,
    ),
    "AggregateConfigurationType": (
        standard_prop("TreatUncertainAsBad", "Boolean"),
        standard_prop("PercentDataBad", "Byte"),
        standard_prop("PercentDataGood", "Byte"),
        standard_prop("UseSlopedExtrapolation", "Boolean"),
    ),
    "FolderType": (standard_prop("NodeVersion", "String", O),),
}
"""What types of namespace 0 that are in use give their instances."""

_VARIANTS = {
    "Boolean": ua.VariantType.Boolean,
    "Byte": ua.VariantType.Byte,
    "UInt16": ua.VariantType.UInt16,
    "Int32": ua.VariantType.Int32,
    "UInt32": ua.VariantType.UInt32,
    "UInt64": ua.VariantType.UInt64,
    "Double": ua.VariantType.Double,
    "Duration": ua.VariantType.Double,
    "String": ua.VariantType.String,
    "DateTime": ua.VariantType.DateTime,
    "UtcTime": ua.VariantType.DateTime,
    "LocalizedText": ua.VariantType.LocalizedText,
    "NodeId": ua.VariantType.NodeId,
    "BaseDataType": ua.VariantType.Null,
    "EUInformation": ua.VariantType.ExtensionObject,
    "Range": ua.VariantType.ExtensionObject,
    "Argument": ua.VariantType.ExtensionObject,
    "CurrencyUnitType": ua.VariantType.ExtensionObject,
    "ExceptionDeviationFormat": ua.VariantType.Int32,
}


def frozen_ids() -> dict[str, int]:
    """Numeric id by symbol, as recorded for good in `JouleHub.Types.NodeIds.csv`."""
    text = files("address_space.nodes").joinpath(IDS_FILE).read_text("utf-8")
    return {symbol: int(number) for symbol, number, _ in csv.reader(text.splitlines())}


class TypeModel:
    """Declared types by name together with their ids."""

    def __init__(self, declared: tuple[Declared, ...] = DECLARED, ids: Mapping[str, int] | None = None) -> None:
        self.ids = frozen_ids() if ids is None else ids
        self.types: dict[str, Declared] = {entry.name: entry for entry in declared}
        if len(self.types) != len(declared):
            raise TypeModelError("two declared types carry the same name")

    def node_id(self, name: str) -> ua.NodeId:
        """Node id of a type, ours or of namespace 0; raises TypeModelError where there is none."""
        if name in self.types:
            return self.own_id(name)
        number = getattr(ua.ObjectIds, name, None)
        if number is None:
            raise TypeModelError(f"{name!r} is neither a declared type nor one of namespace 0")
        return ua.NodeId(number, NS_STANDARD)

    def own_id(self, symbol: str) -> ua.NodeId:
        """Node id of a declared node by its symbol; raises TypeModelError where it has no frozen id."""
        number = self.ids.get(symbol)
        if number is None:
            raise TypeModelError(
                f"{symbol} has no frozen id", where=IDS_FILE, hint="append a row with an id never used"
            )
        return ua.NodeId(number, NS_TYPES)

    def chain(self, name: str) -> list[Declared]:
        """The declared type `name` and its declared ancestors, most general first; empty for namespace 0."""
        found: list[Declared] = []
        while name in self.types:
            entry = self.types[name]
            found.append(entry)
            name = entry.base
        return found[::-1]

    def members(self, name: str) -> dict[str, Declaration]:
        """Everything an instance of type `name` has or may have, inherited declarations first."""
        chain = self.chain(name)
        root = chain[0].base if chain else name
        found = {member.name: member for member in STANDARD_MEMBERS.get(root, ())}
        for entry in chain:
            if isinstance(entry, ObjectType | VariableType):
                found.update((member.name, member) for member in entry.members)
        return found

    def variant(self, data_type: str) -> ua.VariantType:
        """Built-in type in which values of a data type travel."""
        if isinstance(self.types.get(data_type), Enumeration):
            return ua.VariantType.Int32
        return _VARIANTS[data_type]

    def node_class(self, name: str) -> ua.NodeClass:
        """Node class of a declared type."""
        entry = self.types[name]
        if isinstance(entry, ObjectType):
            return ua.NodeClass.ObjectType
        if isinstance(entry, VariableType):
            return ua.NodeClass.VariableType
        return ua.NodeClass.ReferenceType if isinstance(entry, ReferenceType) else ua.NodeClass.DataType

    def __iter__(self) -> Iterator[Declared]:
        """The declared types, in order of declaration."""
        return iter(self.types.values())

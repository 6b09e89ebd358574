"""Event types as the address space has them: their supertypes and the fields of their events (Part 3 4.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from asyncua import ua

from address_space.nodes.standard import HAS_SUBTYPE, standard
from server.opcua.datatypes import DataTypes, supertype

if TYPE_CHECKING:
    from address_space.nodes import VirtualAddressSpace

BASE_EVENT = standard(ua.ObjectIds.BaseEventType)
CONDITION = standard(ua.ObjectIds.ConditionType)
_AGGREGATES = standard(ua.ObjectIds.Aggregates)
_DEEPEST_PATH = 6
_DEEPEST_TYPE = 30


def key_of(path: Iterable[ua.QualifiedName]) -> str:
    """A browse path as text: `AckedState/Id`, `3:ConfigVersion`; namespace 0 is not written."""
    return "/".join(
        f"{name.NamespaceIndex}:{_escaped(name.Name)}" if name.NamespaceIndex else _escaped(name.Name) for name in path
    )


def _escaped(name: str | None) -> str:
    return (name or "").replace("&", "&&").replace("/", "&/")


class EventTypes:
    """All event types, looked up when first needed."""

    def __init__(self, aspace: VirtualAddressSpace) -> None:
        self._aspace = aspace
        self._data_types = DataTypes(aspace)
        self._lineages: dict[ua.NodeId, frozenset[ua.NodeId]] = {}
        self._fields: dict[ua.NodeId, Mapping[str, ua.VariantType]] = {}
        self._own: dict[ua.NodeId, Mapping[str, ua.VariantType | None]] = {}
        self._ever: Mapping[str, bool] | None = None

    def lineage(self, event_type: ua.NodeId) -> frozenset[ua.NodeId]:
        """The type and all types above it."""
        found = self._lineages.get(event_type)
        if found is None:
            found = self._lineages[event_type] = frozenset(self._upwards(event_type))
        return found

    def is_event_type(self, type_id: ua.NodeId) -> bool:
        """Whether the type is BaseEventType or derived from it."""
        return type_id in self._aspace and BASE_EVENT in self.lineage(type_id)

    def fields(self, event_type: ua.NodeId) -> Mapping[str, ua.VariantType]:
        """Built-in type of every field that has a value, by path, with what supertypes give."""
        found = self._fields.get(event_type)
        if found is None:
            made: dict[str, ua.VariantType] = {}
            for above in reversed(list(self._upwards(event_type))):
                made.update((path, kind) for path, kind in self._declared(above).items() if kind is not None)
            found = self._fields[event_type] = made
        return found

    def ever(self, path: str) -> bool | None:
        """Whether events of any type have a value at this path; None where no event has anything there."""
        if self._ever is None:
            self._ever = self._everything()
        return self._ever.get(path)

    def _everything(self) -> Mapping[str, bool]:
        found: dict[str, bool] = {}
        waiting = [BASE_EVENT]
        while waiting:
            current = waiting.pop()
            for path, kind in self._declared(current).items():
                found[path] = found.get(path, False) or kind is not None
            waiting += [one.NodeId for one in self._forward(current) if one.ReferenceTypeId == HAS_SUBTYPE]
        return found

    def _upwards(self, event_type: ua.NodeId) -> Iterator[ua.NodeId]:
        current: ua.NodeId | None = event_type
        for _ in range(_DEEPEST_TYPE):
            if current is None:
                return
            yield current
            current = supertype(self._aspace, current)

    def _declared(self, event_type: ua.NodeId) -> Mapping[str, ua.VariantType | None]:
        """Fields that the type itself declares; None where one is an object."""
        found = self._own.get(event_type)
        if found is None:
            found = self._own[event_type] = dict(self._below(event_type, ()))
        return found

    def _below(
        self, node: ua.NodeId, path: tuple[ua.QualifiedName, ...]
    ) -> Iterator[tuple[str, ua.VariantType | None]]:
        aggregates = self._aspace.subtypes.closure(_AGGREGATES)
        for reference in self._forward(node):
            if reference.ReferenceTypeId not in aggregates:
                continue
            if reference.NodeClass not in (ua.NodeClass.Variable, ua.NodeClass.Object):
                continue
            inner = (*path, reference.BrowseName)
            kind = None
            if reference.NodeClass == ua.NodeClass.Variable:
                told = self._aspace.read_attribute_value(reference.NodeId, ua.AttributeIds.DataType).Value
                kind = self._data_types.built_in(told.Value)
            yield key_of(inner), kind
            if len(inner) < _DEEPEST_PATH:
                yield from self._below(reference.NodeId, inner)

    def _forward(self, node: ua.NodeId) -> Iterator[ua.ReferenceDescription]:
        found = self._aspace.get(node)
        return iter(()) if found is None else (one for one in found.references if one.IsForward)

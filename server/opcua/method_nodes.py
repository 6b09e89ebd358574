"""Which method a client means with an object and a method id, and what it takes and gives (Part 4 5.12.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncua import ua

from address_space.nodes.nodeids import join, plant_id
from address_space.nodes.shapes import ArgumentText, Constant
from address_space.nodes.standard import HAS_COMPONENT, HAS_PROPERTY, HAS_TYPE_DEFINITION, NS_PLANT
from server.opcua.datatypes import supertype
from server.opcua.errors import CallRefused

if TYPE_CHECKING:
    from address_space.nodes import VirtualAddressSpace
    from address_space.nodes.places import Place

_A = ua.AttributeIds
_S = ua.StatusCodes
_DEEPEST = 30


@dataclass(frozen=True, slots=True)
class Method:
    """A method of an object. `key` is what it is bound by: its path below its owner, or its node id elsewhere."""

    key: str | ua.NodeId
    owner: str
    node_id: ua.NodeId
    inputs: Sequence[ua.Argument]
    outputs: Sequence[ua.Argument]


class MethodNodes:
    """Finds methods of objects, virtual and real."""

    def __init__(self, aspace: VirtualAddressSpace) -> None:
        self._aspace = aspace

    def find(self, object_id: ua.NodeId, method_id: ua.NodeId) -> Method:
        """The method that is called; raises CallRefused where the object has none such.

        A type's method stands for the instance's (Part 4 5.12.2.2).
        """
        if object_id.is_null() or method_id.is_null():
            raise CallRefused(_S.BadNodeIdInvalid, "an object and a method are needed")
        place = self._place(object_id)
        if place is not None:
            return self._of_place(object_id, place, method_id)
        node = self._aspace.get(object_id)
        if node is None:
            raise CallRefused(_S.BadNodeIdUnknown, "there is no such object", where=object_id.to_string())
        kind = self._attribute(object_id, _A.NodeClass)
        if kind not in (ua.NodeClass.Object, ua.NodeClass.ObjectType):
            raise CallRefused(_S.BadNodeIdInvalid, "this is no object", where=object_id.to_string())
        return self._of_real(object_id, method_id, is_type=kind == ua.NodeClass.ObjectType)

    def real_methods(self, below: ua.NodeId) -> list[ua.NodeId]:
        """Methods that are components of a real object."""
        return [one for one in self._components(below) if self._attribute(one, _A.NodeClass) == ua.NodeClass.Method]

    def _of_place(self, object_id: ua.NodeId, place: Place, method_id: ua.NodeId) -> Method:
        member, shape = place.member, place.shape
        if member.node_class != ua.NodeClass.Object:
            raise CallRefused(_S.BadNodeIdInvalid, "this is no object", where=object_id.to_string())
        asked = self._place(method_id)
        if asked is not None:
            belongs = asked.owner is place.owner and asked.member.parent == member.path and asked.member.path
            if not belongs or asked.member.node_class != ua.NodeClass.Method:
                raise _not_its_method(object_id, method_id)
            return self._virtual(asked)
        name = self._type_method_name(method_id, member.type_definition)
        if name is None:
            raise _not_its_method(object_id, method_id)
        path = shape.by_name.get((member.path, name.NamespaceIndex, name.Name or ""))
        if path is None:
            return self._real(method_id, place.owner.id)
        found = self._place(plant_id(join(place.owner.id, path)))
        if found is None:
            raise _not_its_method(object_id, method_id)
        return self._virtual(found)

    def _of_real(self, object_id: ua.NodeId, method_id: ua.NodeId, *, is_type: bool) -> Method:
        if self._attribute(method_id, _A.NodeClass) != ua.NodeClass.Method:
            raise _not_its_method(object_id, method_id)
        if is_type:
            if not any(method_id in self._components(one) for one in self._lineage(object_id)):
                raise _not_its_method(object_id, method_id)
            return self._real(method_id, "")
        components = self._components(object_id)
        if method_id in components:
            return self._real(method_id, "")
        definition = self._definition(object_id)
        name = None if definition is None else self._type_method_name(method_id, definition)
        if name is None:
            raise _not_its_method(object_id, method_id)
        own = [one for one in components if self._attribute(one, _A.BrowseName) == name]
        return self._real(own[0] if own else method_id, "")

    def _type_method_name(self, method_id: ua.NodeId, definition: ua.NodeId) -> ua.QualifiedName | None:
        """Browse name of a method of this object type or one above it; None where it is of neither."""
        if self._attribute(method_id, _A.NodeClass) != ua.NodeClass.Method:
            return None
        if not any(method_id in self._components(one) for one in self._lineage(definition)):
            return None
        name: ua.QualifiedName = self._attribute(method_id, _A.BrowseName)
        return name

    def _virtual(self, place: Place) -> Method:
        path = place.member.path

        def described(name: str) -> list[ua.Argument]:
            member = place.shape.members.get(f"{path}.{name}")
            if member is None or not isinstance(member.source, Constant):
                return []
            return [one.argument for one in member.source.value if isinstance(one, ArgumentText)]

        return Method(
            path, place.owner.id, plant_id(place.id), described("InputArguments"), described("OutputArguments")
        )

    def _real(self, method_id: ua.NodeId, owner: str) -> Method:
        return Method(
            method_id,
            owner,
            method_id,
            self._arguments(method_id, "InputArguments"),
            self._arguments(method_id, "OutputArguments"),
        )

    def _arguments(self, method_id: ua.NodeId, name: str) -> list[ua.Argument]:
        node = self._aspace.get(method_id)
        for one in node.references if node is not None else ():
            if one.IsForward and one.ReferenceTypeId == HAS_PROPERTY and one.BrowseName.Name == name:
                found: list[ua.Argument] = self._attribute(one.NodeId, _A.Value) or []
                return found
        return []

    def _components(self, node_id: ua.NodeId) -> list[ua.NodeId]:
        node = self._aspace.get(node_id)
        leads = self._aspace.subtypes.closure(HAS_COMPONENT)
        if node is None:
            return []
        return [one.NodeId for one in node.references if one.IsForward and one.ReferenceTypeId in leads]

    def _lineage(self, type_id: ua.NodeId) -> list[ua.NodeId]:
        found: list[ua.NodeId] = []
        current: ua.NodeId | None = type_id
        while current is not None and len(found) < _DEEPEST:
            found.append(current)
            current = supertype(self._aspace, current)
        return found

    def _definition(self, object_id: ua.NodeId) -> ua.NodeId | None:
        node = self._aspace.get(object_id)
        for one in node.references if node is not None else ():
            if one.IsForward and one.ReferenceTypeId == HAS_TYPE_DEFINITION:
                found: ua.NodeId = one.NodeId
                return found
        return None

    def _place(self, node_id: ua.NodeId) -> Place | None:
        if node_id.NamespaceIndex != NS_PLANT or not isinstance(node_id.Identifier, str):
            return None
        return self._aspace.resolve(node_id.Identifier)

    def _attribute(self, node_id: ua.NodeId, attribute: ua.AttributeIds) -> Any:
        told = self._aspace.read_attribute_value(node_id, attribute).Value
        return told.Value if told is not None else None


def _not_its_method(object_id: ua.NodeId, method_id: ua.NodeId) -> CallRefused:
    return CallRefused(
        _S.BadMethodInvalid, f"the object has no method {method_id.to_string()}", where=object_id.to_string()
    )

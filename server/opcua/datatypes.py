"""In which built-in type the values of a data type travel (Part 3 5.8.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncua import ua

from address_space.nodes.standard import HAS_SUBTYPE

if TYPE_CHECKING:
    from address_space.nodes import VirtualAddressSpace

_LAST_BUILT_IN = 25
_ENUMERATION, _STRUCTURE = 29, 22
_DEEPEST = 20
_ANY = ua.VariantType.Null


class DataTypes:
    """Built-in types by data type, found along the inverse HasSubtype references and kept."""

    def __init__(self, aspace: VirtualAddressSpace) -> None:
        self._aspace = aspace
        self._known: dict[ua.NodeId, ua.VariantType] = {}

    def built_in(self, data_type: ua.NodeId) -> ua.VariantType:
        """The built-in type; Null where any will do (BaseDataType, Number) or the type is unknown."""
        found = self._known.get(data_type)
        if found is None:
            found = self._known[data_type] = self._search(data_type)
        return found

    def _search(self, data_type: ua.NodeId) -> ua.VariantType:
        current = data_type
        for _ in range(_DEEPEST):
            if current.NamespaceIndex == 0:
                number = current.Identifier
                if number == _ENUMERATION:
                    return ua.VariantType.Int32
                if number == _STRUCTURE:
                    return ua.VariantType.ExtensionObject
                if isinstance(number, int) and 0 < number <= _LAST_BUILT_IN and number != ua.ObjectIds.BaseDataType:
                    return ua.VariantType(number)
            above = supertype(self._aspace, current)
            if above is None:
                break
            current = above
        return _ANY


def supertype(aspace: VirtualAddressSpace, type_id: ua.NodeId) -> ua.NodeId | None:
    """The type that a real type derives from."""
    node = aspace.get(type_id)
    if node is None:
        return None
    for reference in node.references:
        if reference.ReferenceTypeId == HAS_SUBTYPE and not reference.IsForward:
            found: ua.NodeId = reference.NodeId
            return found
    return None

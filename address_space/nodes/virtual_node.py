"""One virtual node in the form that asyncua's own services expect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from asyncua import ua
from asyncua.server.address_space import AttributeValue, NodeData


class Space(Protocol):
    """What a virtual node asks of its address space."""

    def read_attribute_value(self, nodeid: ua.NodeId, attr: ua.AttributeIds) -> ua.DataValue:
        """One attribute of a node."""

    def references(self, nodeid: ua.NodeId) -> Iterator[ua.ReferenceDescription]:
        """References of a node, made one by one."""


class VirtualNodeData(NodeData):  # type: ignore[misc]
    """What asyncua sees of a virtual node; attributes and references are made when looked at."""

    def __init__(self, space: Space, nodeid: ua.NodeId, call: Callable[..., Any] | None) -> None:
        self._space = space
        self.nodeid = nodeid
        self.call = call

    @property
    def attributes(self) -> dict[ua.AttributeIds, AttributeValue]:
        """All attributes of the node as they are now."""
        made: dict[ua.AttributeIds, AttributeValue] = {}
        for attribute in ua.AttributeIds:
            found = self._space.read_attribute_value(self.nodeid, attribute)
            if found.StatusCode.value != ua.StatusCodes.BadAttributeIdInvalid:
                made[attribute] = AttributeValue(found)
        return made

    @property
    def references(self) -> list[ua.ReferenceDescription]:
        """All references of the node."""
        return list(self._space.references(self.nodeid))

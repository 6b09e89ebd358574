"""From where an event is seen: its source, every notifier above it, and Server (Part 3 4.6.3, Part 5 8.3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncua import ua

from address_space.nodes.nodeids import ROOT, plant_id
from address_space.nodes.shapes import Folder
from address_space.nodes.standard import NS_PLANT, SERVER, standard

if TYPE_CHECKING:
    from address_space.nodes import VirtualAddressSpace

_HAS_EVENT_SOURCE = standard(ua.ObjectIds.HasEventSource)


class Notifiers:
    """The notifier hierarchy of the address space."""

    def __init__(self, aspace: VirtualAddressSpace) -> None:
        self._aspace = aspace

    def chain(self, source: ua.NodeId) -> tuple[ua.NodeId, ...]:
        """Every object at which an event of `source` is to be had, each once, Server last."""
        if source.NamespaceIndex == NS_PLANT:
            return (*self._plant_chain(source), SERVER)
        return (*self._real_chain(source), SERVER)

    def _plant_chain(self, source: ua.NodeId) -> list[ua.NodeId]:
        aspace = self._aspace
        place = aspace.resolve(source.Identifier) if isinstance(source.Identifier, str) else None
        if place is None:
            return []
        found = [source] if place.member.path and place.member.event_notifier else []
        current = place.owner
        if isinstance(current, Folder):
            return [*found, plant_id(current.id)] if current.event_notifier else found
        found.append(plant_id(current.id))
        while current.parent:
            current = aspace.plant.node(current.parent)
            found.append(plant_id(current.id))
        return [*found, plant_id(ROOT)]

    def _real_chain(self, source: ua.NodeId) -> list[ua.NodeId]:
        leads = self._aspace.subtypes.closure(_HAS_EVENT_SOURCE)
        found: dict[ua.NodeId, None] = {}
        waiting = [source]
        while waiting:
            current = waiting.pop(0)
            node = self._aspace.get(current)
            if node is None or current in found or current == SERVER:
                continue
            found[current] = None
            waiting += [one.NodeId for one in node.references if not one.IsForward and one.ReferenceTypeId in leads]
        return list(found)

"""The plant as an address space without a node object per point.

Nodes of namespaces 0, 1 and 3 are few and real, kept as asyncua keeps them. Everything in the plant's namespace is
virtual: it is answered from the plant and the live table when asked for, and not kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from asyncua import ua
from asyncua.server.address_space import AddressSpace, NodeData

from address_space.model.clock import Clock
from address_space.model.live import LiveTable
from address_space.model.plant import Plant
from address_space.nodes import attributes
from address_space.nodes.attributes import Facts, SystemInfo
from address_space.nodes.catalogue import DEFAULT_LOCALE, Catalogue
from address_space.nodes.nodeids import plant_id
from address_space.nodes.places import Place, Places
from address_space.nodes.references import Group, Subtypes, describe, direction_fits, groups, masked
from address_space.nodes.standard import HAS_TYPE_DEFINITION, NS_PLANT, NS_TYPES, NULL_ID, ORGANIZES
from address_space.nodes.types_model import TypeModel
from address_space.nodes.types_nodes import TypeNode, in_language
from address_space.nodes.virtual_node import VirtualNodeData

_A = ua.AttributeIds
_Callback = Callable[..., Any]
_UNSPECIFIED = ua.NodeClass.Unspecified
_ALL_FIELDS = int(ua.BrowseResultMask.All)


class VirtualAddressSpace(AddressSpace):  # type: ignore[misc]
    """An asyncua address space whose namespace 2 is the plant."""

    def __init__(
        self,
        plant: Plant,
        live: LiveTable,
        clock: Clock,
        *,
        model: TypeModel | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        super().__init__()
        self.model = model if model is not None else TypeModel()
        self.catalogue = catalogue if catalogue is not None else Catalogue()
        self.type_nodes: Mapping[int, TypeNode] = {}
        """Nodes of namespace 3 by number, for their texts in other languages."""
        self.watchers: dict[tuple[str, int], dict[int, _Callback]] = {}
        """Data change callbacks on virtual nodes by identifier and attribute, then by handle."""
        self._watched: dict[int, tuple[str, int]] = {}
        self._clock = clock
        self.subtypes = Subtypes(self._real_references)
        self.adopt(plant, live)

    def adopt(self, plant: Plant, live: LiveTable) -> None:
        """Show this plant from now on; methods, the system's information and node versions stay."""
        before: Facts | None = getattr(self, "facts", None)
        self.plant = plant
        self.live = live
        self.places = Places(plant, self.model, self.catalogue)
        self.facts = Facts(plant, live, self._clock, self.places, self._clock.now_ns())
        if before is not None:
            self.facts.system = before.system
            self.facts.node_versions = before.node_versions
            self.facts.methods = before.methods
            self.facts.executable = before.executable
            self.facts.report = before.report
            self.facts.archive_start = before.archive_start
            self.facts.keeps_events = before.keeps_events
        self._offsets = [unit.template.offsets for unit in plant.units]
        self._firsts = _first_handles(plant)

    @property
    def system(self) -> SystemInfo:
        """What the node `system` shows; assign a new one to change it."""
        return self.facts.system

    @system.setter
    def system(self, info: SystemInfo) -> None:
        self.facts.system = info

    # finding

    def handle_of(self, identifier: str) -> int:
        """Handle of the live value shown by `ns=2;s=<identifier>`, or -1 where it shows none."""
        uid, _, path = identifier.partition(".")
        unit = self.plant.unit_of.get(uid)  # type: ignore[call-overload]
        if unit is None:
            return -1
        offset = self._offsets[unit].get(path)
        return -1 if offset is None else self._firsts[unit] + offset

    def resolve(self, identifier: str) -> Place | None:
        """The virtual node with this identifier, or None."""
        return self.places.resolve(identifier)

    def owner_of(self, nodeid: ua.NodeId) -> str:
        """Id of the unit, node or folder of the plant that a node belongs to; empty outside the plant."""
        place = self._place(nodeid)
        return "" if place is None else place.owner.id

    def nodes(self) -> Iterator[ua.NodeId]:
        """Every virtual node, parents first; for checks and exports."""
        for identifier in self.identifiers():
            yield plant_id(identifier)

    def identifiers(self) -> Iterator[str]:
        """Identifier of every virtual node."""
        owners: Iterable[Any] = (*self.places.folders.values(), *self.plant.subtree(None))
        for owner in owners:
            for path in self.places.shape(owner).members:
                yield f"{owner.id}.{path}" if path else owner.id

    # asyncua's address space

    def __contains__(self, nodeid: ua.NodeId) -> bool:
        return super().__contains__(nodeid) or self._place(nodeid) is not None

    def get(self, nodeid: ua.NodeId) -> NodeData | None:
        """The node, made on demand where it is virtual."""
        found: NodeData | None = super().get(nodeid)
        if found is not None:
            return found
        place = self._place(nodeid)
        return None if place is None else VirtualNodeData(self, nodeid, self.facts.methods.get(place.member.path))

    def __getitem__(self, nodeid: ua.NodeId) -> NodeData:
        found = self.get(nodeid)
        if found is None:
            raise KeyError(nodeid)
        return found

    def read_attribute_value(
        self, nodeid: ua.NodeId, attr: ua.AttributeIds, locale: str = DEFAULT_LOCALE
    ) -> ua.DataValue:
        """One attribute of any node, texts in `locale` where the hub has them."""
        if nodeid.NamespaceIndex != NS_PLANT:
            if nodeid.NamespaceIndex == NS_TYPES and locale != DEFAULT_LOCALE:
                translated = self._translated(nodeid, attr, locale)
                if translated is not None:
                    return translated
            return super().read_attribute_value(nodeid, attr)
        place = self._place(nodeid)
        if place is None:
            return attributes.UNKNOWN
        return attributes.read(self.facts, place, attr, locale)

    async def write_attribute_value(
        self, nodeid: ua.NodeId, attr: ua.AttributeIds, value: ua.DataValue
    ) -> ua.StatusCode:
        """Write to a real node; nothing of the plant is writable."""
        if nodeid.NamespaceIndex != NS_PLANT:
            return await super().write_attribute_value(nodeid, attr, value)
        place = self._place(nodeid)
        if place is None:
            return ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown)
        if not attributes.has(place, attr):
            return ua.StatusCode(ua.StatusCodes.BadAttributeIdInvalid)
        return ua.StatusCode(ua.StatusCodes.BadNotWritable)

    def add_datachange_callback(
        self, nodeid: ua.NodeId, attr: ua.AttributeIds, callback: _Callback
    ) -> tuple[ua.StatusCode, int]:
        """Register for changes; callbacks on virtual nodes stand in `watchers` for whoever projects the changes."""
        if nodeid.NamespaceIndex != NS_PLANT:
            status, real_handle = super().add_datachange_callback(nodeid, attr, callback)
            return status, int(real_handle)
        place = self._place(nodeid)
        if place is None:
            return ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown), 0
        if not attributes.has(place, attr):
            return ua.StatusCode(ua.StatusCodes.BadAttributeIdInvalid), 0
        self._datachange_callback_counter += 1
        handle = self._datachange_callback_counter
        key = (place.id, int(attr))
        self.watchers.setdefault(key, {})[handle] = callback
        self._watched[handle] = key
        return ua.StatusCode(), handle

    def delete_datachange_callback(self, handle: int) -> None:
        """Forget a callback."""
        key = self._watched.pop(handle, None)
        if key is None:
            super().delete_datachange_callback(handle)
            return
        left = self.watchers[key]
        del left[handle]
        if not left:
            del self.watchers[key]

    def add_method_callback(self, methodid: ua.NodeId, callback: _Callback) -> ua.StatusCode:
        """Bind a method; on a virtual node it binds the same method of all owners of its kind."""
        place = self._place(methodid)
        if place is None:
            return super().add_method_callback(methodid, callback)
        self.bind_method(place.member.path, callback)
        return ua.StatusCode()

    def bind_method(self, path: str, callback: _Callback, executable: Callable[[str], bool] | None = None) -> None:
        """Bind the method at `path` below its owner (`ReadNow`, `Switch.Trip`) for every owner that has it.

        `executable` tells by an owner's id whether it can run there, where not every owner can.
        """
        self.facts.methods[path] = callback
        if executable is not None:
            self.facts.executable[path] = executable

    # views

    def references(self, nodeid: ua.NodeId, locale: str = DEFAULT_LOCALE) -> Iterator[ua.ReferenceDescription]:
        """All references of a node, made one by one."""
        place = self._place(nodeid)
        if place is None:
            for stored in self._real_references(nodeid):
                yield self._shown(stored, locale, _ALL_FIELDS)
            return
        for group in groups(self.places, place):
            for index in range(len(group.targets)):
                made = self.describe_target(group, index, locale, _ALL_FIELDS, 0)
                if made is not None:
                    yield made

    def browse_page(
        self, desc: ua.BrowseDescription, start: int = 0, limit: int = 0, locale: str = DEFAULT_LOCALE
    ) -> tuple[list[ua.ReferenceDescription], int | None]:
        """References from `start` on that `desc` asks for, at most `limit` (0 is no limit), and where to go on.

        `start` and the next start count references of the right type and direction; they stay valid while the
        plant stays. The node must exist.
        """
        wanted = self.subtypes.wanted(desc.ReferenceTypeId, subtypes=desc.IncludeSubtypes)
        place = self._place(desc.NodeId)
        if place is None:
            return self._browse_real(desc, wanted, start, limit, locale)
        found: list[ua.ReferenceDescription] = []
        position = 0
        for group in groups(self.places, place):
            if not direction_fits(desc.BrowseDirection, group.forward):
                continue
            if wanted is not None and group.reference not in wanted:
                continue
            size = len(group.targets)
            if position + size <= start:
                position += size
                continue
            for index in range(max(start - position, 0), size):
                if limit and len(found) == limit:
                    return found, position + index
                made = self.describe_target(group, index, locale, desc.ResultMask, desc.NodeClassMask)
                if made is not None:
                    found.append(made)
            position += size
        return found, None

    def children_by_name(self, nodeid: ua.NodeId, element: ua.RelativePathElement) -> list[ua.NodeId]:
        """Targets of one step of a browse path from a node (Part 4 5.9.4)."""
        wanted = self.subtypes.wanted(element.ReferenceTypeId, subtypes=element.IncludeSubtypes)
        place = self._place(nodeid)
        forward = not element.IsInverse
        if place is not None and forward:
            return self._named_below(place, element.TargetName, wanted)
        found = (
            reference.NodeId
            for reference in self.references(nodeid)
            if bool(reference.IsForward) == forward
            and reference.BrowseName == element.TargetName
            and (wanted is None or reference.ReferenceTypeId in wanted)
        )
        return list(dict.fromkeys(found))

    # private

    def _place(self, nodeid: ua.NodeId) -> Place | None:
        if nodeid.NamespaceIndex != NS_PLANT or not isinstance(nodeid.Identifier, str):
            return None
        return self.places.resolve(nodeid.Identifier)

    def _real_references(self, nodeid: ua.NodeId) -> Sequence[ua.ReferenceDescription]:
        node = super().get(nodeid)
        return () if node is None else node.references

    def describe_target(
        self, group: Group, index: int, locale: str, mask: int, classes: int
    ) -> ua.ReferenceDescription | None:
        """One reference of a group, None where its target is gone or of a class that is not wanted."""
        target = group.targets[index]
        if isinstance(target, str):
            place = self.places.resolve(target)
            if place is None or (classes and not place.member.node_class & classes):
                return None
            return describe(self.places, place, group.reference, locale, forward=group.forward, mask=mask)
        node_class, name, shown = self._real_texts(target, locale)
        if classes and not node_class & classes:
            return None
        made = ua.ReferenceDescription(
            ReferenceTypeId=group.reference,
            IsForward=group.forward,
            NodeId=target,
            BrowseName=name,
            DisplayName=shown,
            NodeClass=node_class,
            TypeDefinition=self._type_definition(target),
        )
        return made if mask == _ALL_FIELDS else masked(made, mask)

    def _real_texts(self, nodeid: ua.NodeId, locale: str) -> tuple[ua.NodeClass, ua.QualifiedName, ua.LocalizedText]:
        read = self.read_attribute_value
        node_class = read(nodeid, _A.NodeClass).Value
        name = read(nodeid, _A.BrowseName).Value
        shown = read(nodeid, _A.DisplayName, locale).Value
        return (
            ua.NodeClass(node_class.Value) if node_class is not None and node_class.Value else _UNSPECIFIED,
            name.Value if name is not None and name.Value else ua.QualifiedName(),
            shown.Value if shown is not None and shown.Value else ua.LocalizedText(),
        )

    def _type_definition(self, nodeid: ua.NodeId) -> ua.NodeId:
        for stored in self._real_references(nodeid):
            if stored.IsForward and stored.ReferenceTypeId == HAS_TYPE_DEFINITION:
                return stored.NodeId
        return NULL_ID

    def _browse_real(
        self,
        desc: ua.BrowseDescription,
        wanted: frozenset[ua.NodeId] | None,
        start: int,
        limit: int,
        locale: str,
    ) -> tuple[list[ua.ReferenceDescription], int | None]:
        found: list[ua.ReferenceDescription] = []
        position = -1
        for stored in self._real_references(desc.NodeId):
            if not direction_fits(desc.BrowseDirection, stored.IsForward):
                continue
            if wanted is not None and stored.ReferenceTypeId not in wanted:
                continue
            position += 1
            if position < start or (desc.NodeClassMask and not stored.NodeClass & desc.NodeClassMask):
                continue
            if limit and len(found) == limit:
                return found, position
            found.append(self._shown(stored, locale, desc.ResultMask))
        return found, None

    def _shown(self, stored: ua.ReferenceDescription, locale: str, mask: int) -> ua.ReferenceDescription:
        """A stored reference of a real node in the session's language."""
        target = stored.NodeId
        if target.NamespaceIndex == NS_PLANT:
            place = self._place(target)
            if place is not None:
                forward = bool(stored.IsForward)
                return describe(self.places, place, stored.ReferenceTypeId, locale, forward=forward, mask=mask)
        if mask == _ALL_FIELDS and (locale == DEFAULT_LOCALE or target.NamespaceIndex != NS_TYPES):
            return stored
        made = masked(stored, mask)
        if target.NamespaceIndex == NS_TYPES and mask & ua.BrowseResultMask.DisplayName:
            made.DisplayName = self._real_texts(target, locale)[2]
        return made

    def _named_below(
        self, place: Place, name: ua.QualifiedName, wanted: frozenset[ua.NodeId] | None
    ) -> list[ua.NodeId]:
        child = self.places.child_named(place, name)
        if child is None:
            organized = place.member.organizes if wanted is None or ORGANIZES in wanted else ()
            named = [one for one in organized if self._real_texts(one, DEFAULT_LOCALE)[1] == name]
            if named:
                return named
            definition = place.member.type_definition
            is_type = wanted is None or HAS_TYPE_DEFINITION in wanted
            return [definition] if is_type and self._real_texts(definition, DEFAULT_LOCALE)[1] == name else []
        identifier, references = child
        fits = wanted is None or any(reference in wanted for reference in references)
        return [plant_id(identifier)] if fits else []

    def _translated(self, nodeid: ua.NodeId, attr: int, locale: str) -> ua.DataValue | None:
        node = self.type_nodes.get(nodeid.Identifier)
        shown = None if node is None else in_language(node, attr, locale, self.catalogue)
        if shown is None or attr != _A.Value:
            return None if shown is None else ua.DataValue(shown)
        stored = super().read_attribute_value(nodeid, _A.Value)
        return ua.DataValue(shown, stored.StatusCode, stored.SourceTimestamp, stored.ServerTimestamp)


def _first_handles(plant: Plant) -> array[int]:
    """Handle of the first variable of every unit."""
    firsts: array[int] = array("q")
    for block in plant.blocks:
        firsts.extend(range(block.first_handle, block.first_handle + block.handles, block.template.width))
    return firsts

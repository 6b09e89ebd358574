"""References of nodes, in groups of one type and direction, so that a page of 100,000 children costs only itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from asyncua import ua

from address_space.model.hierarchy import MeteringUnit
from address_space.nodes.nodeids import BY_LINE, BY_MEDIUM, DRIVERS, ROOT, SYSTEM, join, plant_id
from address_space.nodes.places import Place, Places
from address_space.nodes.shapes import Folder
from address_space.nodes.standard import (
    HAS_COMPONENT,
    HAS_NOTIFIER,
    HAS_SUBTYPE,
    HAS_TYPE_DEFINITION,
    NULL_ID,
    OBJECTS,
    ORGANIZES,
    SERVER,
)

_DRIVERS_FOLDER = join(SYSTEM, DRIVERS)

Target: TypeAlias = str | ua.NodeId
"""An identifier in the plant's namespace, or the node id of a real node."""


class _Mask:
    """Bits of BrowseResultMask (Part 4 7.8) as plain integers."""

    ReferenceTypeId, IsForward, NodeClass, BrowseName, DisplayName, TypeDefinition = 1, 2, 4, 8, 16, 32


class Group(NamedTuple):
    """References of one type in one direction."""

    reference: ua.NodeId
    forward: bool
    targets: Sequence[Target]


def groups(places: Places, place: Place) -> Iterator[Group]:
    """All references of a virtual node, the inverse ones first."""
    member, owner = place.member, place.owner
    if member.path:
        yield _inverse(member.reference, (join(owner.id, member.parent),))
    elif isinstance(owner, Folder):
        yield from _above_folder(owner)
    else:
        above = (places.parent_of(owner),)
        yield _inverse(HAS_COMPONENT, above)
        yield _inverse(HAS_NOTIFIER, above)
        if isinstance(owner, MeteringUnit):
            yield _inverse(ORGANIZES, places.organizers(owner))
    if not member.type_definition.is_null():
        yield _forward(HAS_TYPE_DEFINITION, (member.type_definition,))
    for reference, children in member.children:
        yield _forward(reference, [join(owner.id, child) for child in children])
    if member.organizes:
        yield _forward(ORGANIZES, member.organizes)
    if not member.path:
        yield from _below(places, place)
    elif place.id == _DRIVERS_FOLDER:
        yield _forward(ORGANIZES, places.lines)


def _above_folder(folder: Folder) -> Iterator[Group]:
    if folder.id == ROOT:
        yield _inverse(ORGANIZES, (OBJECTS,))
        yield _inverse(HAS_NOTIFIER, (SERVER,))
    else:
        yield _inverse(HAS_COMPONENT if folder.id == SYSTEM else ORGANIZES, (folder.parent,))


def _below(places: Places, place: Place) -> Iterator[Group]:
    owner = place.owner
    if isinstance(owner, Folder):
        yield _forward(ORGANIZES, places.organized(owner))
        if owner.id == ROOT:
            yield _forward(HAS_COMPONENT, (SYSTEM,))
        elif owner.id in (BY_MEDIUM, BY_LINE):
            return
    children = places.children(owner)
    yield _forward(HAS_COMPONENT, children)
    yield _forward(HAS_NOTIFIER, children)


def _forward(reference: ua.NodeId, targets: Sequence[Target]) -> Group:
    return Group(reference, forward=True, targets=targets)


def _inverse(reference: ua.NodeId, targets: Sequence[Target]) -> Group:
    return Group(reference, forward=False, targets=targets)


class Subtypes:
    """Which reference types a browse for one of them includes; computed once per type and kept."""

    def __init__(self, references_of: Callable[[ua.NodeId], Sequence[ua.ReferenceDescription]]) -> None:
        self._references_of = references_of
        self._closures: dict[ua.NodeId, frozenset[ua.NodeId]] = {}

    def closure(self, reference: ua.NodeId) -> frozenset[ua.NodeId]:
        """`reference` and all reference types derived from it."""
        found = self._closures.get(reference)
        if found is None:
            below = {reference}
            for description in self._references_of(reference):
                if description.IsForward and description.ReferenceTypeId == HAS_SUBTYPE:
                    below |= self.closure(description.NodeId)
            found = self._closures[reference] = frozenset(below)
        return found

    def wanted(self, reference: ua.NodeId, *, subtypes: bool) -> frozenset[ua.NodeId] | None:
        """Reference types that a browse asks for; None is all of them (Part 4 5.9.2, a null type)."""
        if reference is None or reference.is_null():
            return None
        return self.closure(reference) if subtypes else frozenset((reference,))

    def forget(self) -> None:
        """After reference types were added."""
        self._closures.clear()


def direction_fits(direction: ua.BrowseDirection, forward: object) -> bool:
    """Whether a reference in this direction is asked for."""
    if direction == ua.BrowseDirection.Both:
        return True
    return bool(forward) == bool(direction == ua.BrowseDirection.Forward)


def describe(
    places: Places, place: Place, reference: ua.NodeId, locale: str, *, forward: bool, mask: int = 63
) -> ua.ReferenceDescription:
    """One reference to a virtual node; fields that the result mask leaves out stay null."""
    member = place.member
    named = mask & _Mask.DisplayName
    return ua.ReferenceDescription(
        reference if mask & _Mask.ReferenceTypeId else NULL_ID,
        forward and bool(mask & _Mask.IsForward),
        plant_id(place.id),
        places.browse_name(place) if mask & _Mask.BrowseName else ua.QualifiedName(),
        places.display_text(place, locale) if named else ua.LocalizedText(),
        member.node_class if mask & _Mask.NodeClass else ua.NodeClass.Unspecified,
        member.type_definition if mask & _Mask.TypeDefinition else NULL_ID,
    )


def masked(given: ua.ReferenceDescription, mask: int) -> ua.ReferenceDescription:
    """A stored reference with only the fields that the result mask asks for."""
    made = ua.ReferenceDescription(NodeId=given.NodeId, IsForward=bool(mask & _Mask.IsForward) and given.IsForward)
    if mask & _Mask.ReferenceTypeId:
        made.ReferenceTypeId = given.ReferenceTypeId
    if mask & _Mask.NodeClass:
        made.NodeClass = given.NodeClass
    if mask & _Mask.BrowseName:
        made.BrowseName = given.BrowseName
    if mask & _Mask.DisplayName:
        made.DisplayName = given.DisplayName
    if mask & _Mask.TypeDefinition:
        made.TypeDefinition = given.TypeDefinition if given.TypeDefinition is not None else NULL_ID
    return made

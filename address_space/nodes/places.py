"""Where things are in the plant's namespace: identifier → owner and member, and the names that they show.

Nothing here is kept per point or per unit: shapes are shared, names are made when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from asyncua import ua

from address_space.model.hierarchy import HierarchyNode, MeteringUnit
from address_space.model.ids import NodeUid
from address_space.model.plant import Plant
from address_space.nodes.catalogue import Catalogue
from address_space.nodes.nodeids import DRIVERS, ROOT, SYSTEM, join, line_id, split
from address_space.nodes.shape_nodes import folder_shape, node_shape
from address_space.nodes.shape_units import unit_shape
from address_space.nodes.shapes import Folder, Member, Owner, Shape
from address_space.nodes.standard import HAS_COMPONENT, HAS_NOTIFIER, NS_PLANT, ORGANIZES
from address_space.nodes.types_model import TypeModel
from address_space.nodes.views import LINE_TYPE, Views

_BELOW_DRIVERS = f"{DRIVERS}."
_DRIVERS_FOLDER = join(SYSTEM, DRIVERS)


class Place(NamedTuple):
    """One virtual node: a member of its owner's shape. `unit` is -1 where the owner is no metering unit."""

    id: str
    owner: Owner
    member: Member
    shape: Shape
    unit: int


class Places:
    """All virtual nodes of one plant, by identifier."""

    def __init__(self, plant: Plant, model: TypeModel, catalogue: Catalogue) -> None:
        self.plant = plant
        self._model = model
        self._catalogue = catalogue
        self._shapes: dict[object, Shape] = {}
        self._ambiguous: dict[str, frozenset[str]] = {}
        self._codes: dict[str, dict[str, NodeUid]] = {}
        names = Counter(unit.name for unit in plant.units)
        self._shared_names = frozenset(name for name, count in names.items() if count > 1)
        self._views = Views(plant, catalogue)
        self.folders = self._views.folders

    # identifiers

    def resolve(self, identifier: str) -> Place | None:
        """The virtual node with this identifier, or None."""
        uid, path = split(identifier)
        handle = self.plant.unit_of.get(NodeUid(uid))
        owner: Owner | None
        if handle is not None:
            owner = self.plant.units[handle]
        else:
            owner = self.plant.nodes.get(NodeUid(uid)) or self.folders.get(uid)
            if path and identifier in self.folders:
                owner, path = self.folders[identifier], ""
            elif uid == SYSTEM and path.startswith(_BELOW_DRIVERS):
                line, _, below = path[len(_BELOW_DRIVERS) :].partition(".")
                found = self.folders.get(line_id(line))
                owner, path = (owner, path) if found is None else (found, below)
            if owner is None:
                return None
        if not path and len(identifier) != len(owner.id):
            return None
        shape = self.shape(owner)
        member = shape.members.get(path)
        return None if member is None else Place(identifier, owner, member, shape, -1 if handle is None else handle)

    def shape(self, owner: Owner) -> Shape:
        """Shape of an owner, shared with all of its kind."""
        key: object
        if isinstance(owner, MeteringUnit):
            year = bool(owner.identification.year_of_construction)
            key = (id(owner.template), owner.medium, year, *owner.attributes)
        elif isinstance(owner, HierarchyNode):
            key = (owner.kind, *owner.attributes)
        else:
            key = (owner.id == SYSTEM, owner.event_notifier, owner.type_name)
        found = self._shapes.get(key)
        if found is None:
            found = self._shapes[key] = self._make_shape(owner)
        return found

    def parent_of(self, owner: Owner) -> str:
        """Identifier of the node above an owner in the hierarchy."""
        return owner.parent or ROOT

    def children(self, owner: Owner) -> Sequence[str]:
        """Ids of hierarchy nodes and units below an owner, as HasComponent."""
        if isinstance(owner, Folder):
            return self.plant.children(None) if owner.id == ROOT else ()
        return self.plant.children(owner.id) if isinstance(owner, HierarchyNode) else ()

    def organized(self, owner: Folder) -> Sequence[str]:
        """Identifiers that a folder organizes, sorted."""
        return self._views.organized(owner)

    @property
    def lines(self) -> Sequence[str]:
        """Identifiers of what the folder of the lines below `system` organizes, sorted."""
        return self._views.lines

    def organizers(self, unit: MeteringUnit) -> list[str]:
        """Identifiers of the folders that organize a unit."""
        return self._views.organizers(unit)

    # names

    def browse_name(self, place: Place) -> ua.QualifiedName:
        """Browse name: the type's own for members; for owners the code where no sibling has it, else the id."""
        if place.member.path:
            return place.member.browse_name
        owner = place.owner
        if isinstance(owner, Folder):
            return ua.QualifiedName(owner.browse_name, NS_PLANT)
        if isinstance(owner, HierarchyNode) and owner.code and self._by_code(owner.parent).get(owner.code) == owner.id:
            return ua.QualifiedName(owner.code, NS_PLANT)
        return ua.QualifiedName(owner.id, NS_PLANT)

    def display_name(self, place: Place, locale: str) -> str:
        """Display name, unique among siblings: a name that a sibling also has is followed by the id."""
        if place.member.names is not None:
            return place.member.names.in_locale(locale)
        owner = place.owner
        if isinstance(owner, Folder):
            return owner.names.in_locale(locale)
        name = _shown(owner, locale)
        if isinstance(owner, MeteringUnit) and name in self._shared_names:
            return f"{name} ({owner.id})"
        return f"{name} ({owner.id})" if name in self._ambiguous_below(owner.parent, locale) else name

    def display_text(self, place: Place, locale: str) -> ua.LocalizedText:
        """Display name with its language; names that the plant gives in no particular one have none."""
        owner = place.owner
        translated = place.member.names is not None or (
            owner.names.en != owner.names.ru if isinstance(owner, Folder) else locale in getattr(owner, "names", ())
        )
        return ua.LocalizedText(self.display_name(place, locale), locale if translated else None)

    def child_named(self, place: Place, name: ua.QualifiedName) -> tuple[str, tuple[ua.NodeId, ...]] | None:
        """The child of a node with this browse name: identifier, and types of the references that lead to it."""
        owner, text = place.owner, name.Name or ""
        path = place.shape.by_name.get((place.member.path, name.NamespaceIndex, text))
        if path is not None:
            return join(owner.id, path), (place.shape.members[path].reference,)
        holds_lines = place.id == _DRIVERS_FOLDER
        if (place.member.path and not holds_lines) or name.NamespaceIndex != NS_PLANT or not text:
            return None
        if isinstance(owner, Folder):
            folder = self._views.named(place.id, text)
            if folder is not None:
                return folder, (HAS_COMPONENT if folder == SYSTEM else ORGANIZES,)
            if owner.id != ROOT:
                if holds_lines or owner.type_name == LINE_TYPE:
                    return None
                organized = self._organized_named(owner, text)
                return None if organized is None else (organized, (ORGANIZES,))
        child = self._node_named(None if isinstance(owner, Folder) else NodeUid(owner.id), name)
        return None if child is None else (child, (HAS_COMPONENT, HAS_NOTIFIER))

    def _node_named(self, parent: NodeUid | None, name: ua.QualifiedName) -> str | None:
        text = NodeUid(name.Name)
        coded = self._by_code(parent).get(text)
        if coded is not None:
            return coded
        child = self.plant.find(text)
        if child is None or child.parent != parent:
            return None
        found = self.resolve(child.id)
        return child.id if found is not None and self.browse_name(found) == name else None

    def _organized_named(self, folder: Folder, text: str) -> str | None:
        handle = self.plant.unit_of.get(NodeUid(text))
        if handle is None or folder.id not in self.organizers(self.plant.units[handle]):
            return None
        return text

    def _by_code(self, parent: NodeUid | None) -> dict[str, NodeUid]:
        """Hierarchy nodes below a parent by code, without codes that are not unique among its children."""
        key = parent or ROOT
        found = self._codes.get(key)
        if found is None:
            below = self.plant.children(parent)
            nodes = [self.plant.nodes[uid] for uid in below if uid in self.plant.nodes]
            counts = Counter(node.code for node in nodes)
            taken = {*(folder.browse_name for folder in self.folders.values())} if parent is None else set()
            found = {
                node.code: node.id
                for node in nodes
                if node.code and counts[node.code] == 1 and node.code not in taken and not self._is_sibling(node)
            }
            self._codes[key] = found
        return found

    def _is_sibling(self, node: HierarchyNode) -> bool:
        """Whether a node's code is the id of another child of the same parent."""
        other = self.plant.find(NodeUid(node.code))
        return other is not None and other.id != node.id and other.parent == node.parent

    def _ambiguous_below(self, parent: NodeUid | None, locale: str) -> frozenset[str]:
        key = f"{locale}:{parent or ROOT}"
        found = self._ambiguous.get(key)
        if found is None:
            counts = Counter(_shown(self.plant.node(uid), locale) for uid in self.plant.children(parent))
            above: Owner = self.folders[ROOT] if parent is None else self.plant.nodes[parent]
            shape = self.shape(above)
            fixed = {
                member.names.in_locale(locale)
                for member in shape.members.values()
                if member.names is not None and not member.parent and member.path
            }
            if parent is None:
                fixed.update(folder.names.in_locale(locale) for folder in self.folders.values())
            found = frozenset(name for name, count in counts.items() if count > 1 or name in fixed)
            self._ambiguous[key] = found
        return found

    # building

    def _make_shape(self, owner: Owner) -> Shape:
        if isinstance(owner, MeteringUnit):
            return unit_shape(self._model, self._catalogue, owner)
        if isinstance(owner, HierarchyNode):
            return node_shape(self._model, self._catalogue, owner)
        return folder_shape(self._model, self._catalogue, owner)


def _shown(owner: HierarchyNode | MeteringUnit, locale: str) -> str:
    names = owner.names if isinstance(owner, HierarchyNode) else {}
    return names.get(locale) or owner.name or owner.id

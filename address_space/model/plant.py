"""The plant: every node by id, every point by a dense handle.

Units that share a template lie in one block, so that their points form a matrix (units × variables) in the live
table and everything known per variable is known once per template, not once per point.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from address_space.model.errors import DuplicateId, HierarchyCycle, UnknownId
from address_space.model.hierarchy import HierarchyNode, MeteringUnit, Node, NodeKind
from address_space.model.ids import NodeUid, PointHandle, PointId, UnitHandle, point_id, split_point_id
from address_space.model.point import PointDef, Template
from address_space.model.value import Handles

ROOT_CODE = "EnergyMetering"
_UNIQUE = "ids are unique in the whole plant and case does not distinguish"


@dataclass(frozen=True, slots=True)
class Block:
    """Units `first_unit` … of one template; their points are handles `first_handle` … row by row."""

    template: Template
    first_unit: int
    units: int
    first_handle: int

    @property
    def handles(self) -> int:
        """How many handles the block spans."""
        return self.units * self.template.width


class Plant:
    """An immutable set of nodes and units. Order in the files never shows: everything is sorted by id."""

    def __init__(self, nodes: Iterable[HierarchyNode], units: Iterable[MeteringUnit]) -> None:
        """Raises DuplicateId, UnknownId (a parent that does not exist or cannot have children) or HierarchyCycle."""
        by_template: dict[int, list[MeteringUnit]] = {}
        for unit in units:
            by_template.setdefault(id(unit.template), []).append(unit)
        for group in by_template.values():
            group.sort(key=lambda unit: unit.id)
        groups = sorted(by_template.values(), key=lambda group: (group[0].template.name, group[0].id))
        self.units: list[MeteringUnit] = []
        self.blocks: list[Block] = []
        handle = 0
        for group in groups:
            block = Block(group[0].template, len(self.units), len(group), handle)
            self.units.extend(group)
            self.blocks.append(block)
            handle += block.handles
        self.size = handle
        """How many point handles there are."""
        ordered = sorted(nodes, key=lambda node: node.id)
        self.nodes: dict[NodeUid, HierarchyNode] = {node.id: node for node in ordered}
        self.unit_of: dict[NodeUid, UnitHandle] = {unit.id: UnitHandle(i) for i, unit in enumerate(self.units)}
        self._first_units = [block.first_unit for block in self.blocks]
        self._first_handles = [block.first_handle for block in self.blocks]
        self._firsts = np.array(self._first_handles or [0], np.int64)
        self._widths = np.array([block.template.width for block in self.blocks] or [1], np.int64)
        self._unit_firsts = np.array(self._first_units or [0], np.int64)
        widest = max((block.template.width for block in self.blocks), default=1)
        self._codes = np.zeros((max(len(self.blocks), 1), widest), np.uint8)
        for row, block in enumerate(self.blocks):
            self._codes[row, : block.template.width] = block.template.codes
        self._check_unique([*(node.id for node in ordered), *(unit.id for unit in self.units)])
        self._children = self._link()

    # nodes

    def node(self, uid: NodeUid) -> Node:
        """The node or unit `uid`; raises UnknownId."""
        found = self.find(uid)
        if found is None:
            raise UnknownId(f"nothing in the plant has the id {uid!r}", hint="run `joulehub check` to list the ids")
        return found

    def find(self, uid: NodeUid) -> Node | None:
        """The node or unit `uid`, or None."""
        handle = self.unit_of.get(uid)
        return self.units[handle] if handle is not None else self.nodes.get(uid)

    def children(self, uid: NodeUid | None) -> Sequence[NodeUid]:
        """Ids of the children of `uid` (None is the root), hierarchy nodes first, each group in the order of ids."""
        return self._children.get(uid, ())

    def path(self, uid: NodeUid) -> str:
        """Place in the tree by code: `North/TP-12/F3/m0042`; the code of a node without one is its id."""
        parts: list[str] = []
        current: NodeUid | None = uid
        while current is not None:
            node = self.node(current)
            parts.append((node.code if isinstance(node, HierarchyNode) else "") or node.id)
            current = node.parent
        return "/".join(reversed(parts))

    def subtree(self, uid: NodeUid | None) -> Iterator[Node]:
        """`uid` and all below it, parents first; None is the whole plant."""
        stack = [uid] if uid is not None else list(reversed(self.children(None)))
        while stack:
            current = stack.pop()
            yield self.node(current)
            stack.extend(reversed(self.children(current)))

    # points

    def block_of_unit(self, unit: UnitHandle) -> Block:
        """Block of a unit."""
        return self.blocks[bisect_right(self._first_units, unit) - 1]

    def first_handle(self, unit: UnitHandle) -> int:
        """Handle of the unit's first variable; the others follow in the order of its template."""
        block = self.block_of_unit(unit)
        return block.first_handle + (unit - block.first_unit) * block.template.width

    def handle(self, point: PointId) -> PointHandle | None:
        """Handle of a point id, or None where there is no such point."""
        uid, path = split_point_id(point)
        unit = self.unit_of.get(uid)
        if unit is None:
            return None
        offset = self.units[unit].template.offsets.get(path)
        return None if offset is None else PointHandle(self.first_handle(unit) + offset)

    def locate(self, handle: PointHandle) -> tuple[UnitHandle, int]:
        """Unit and column of a handle."""
        block = self.blocks[bisect_right(self._first_handles, handle) - 1]
        row, offset = divmod(handle - block.first_handle, block.template.width)
        return UnitHandle(block.first_unit + row), offset

    def point(self, handle: PointHandle) -> PointDef:
        """Everything known of one point."""
        unit, offset = self.locate(handle)
        template = self.units[unit].template
        quantity = template.quantities[offset]
        spec = template.points[offset] if offset < template.measured else None
        return PointDef(point_id(self.units[unit].id, quantity.path), handle, quantity, spec)

    def cells(self, handles: Handles) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Block index and column of many handles, each of the same shape."""
        rows: NDArray[np.int64] = np.searchsorted(self._firsts, handles, side="right") - 1
        return rows, (handles - self._firsts[rows]) % self._widths[rows]

    def codes(self, handles: Handles) -> NDArray[np.uint8]:
        """Quantity codes of many handles, same shape."""
        rows, columns = self.cells(handles)
        codes: NDArray[np.uint8] = self._codes[rows, columns]
        return codes

    def units_at(self, handles: Handles) -> NDArray[np.int64]:
        """Unit handles of many point handles, same shape."""
        rows = np.searchsorted(self._firsts, handles, side="right") - 1
        units: NDArray[np.int64] = self._unit_firsts[rows] + (handles - self._firsts[rows]) // self._widths[rows]
        return units

    # building

    def _check_unique(self, given: Sequence[NodeUid]) -> None:
        seen: dict[str, str] = {}
        for uid in given:
            other = seen.setdefault(uid.lower(), uid)
            if other != uid:
                raise DuplicateId(f"the ids {other!r} and {uid!r} are the same but for case", hint=_UNIQUE)
        if len(seen) != len(given):
            counts = Counter(given)
            twice = sorted(uid for uid, count in counts.items() if count > 1)
            raise DuplicateId(f"the id {twice[0]!r} is used {counts[twice[0]]} times", hint=_UNIQUE)

    def _link(self) -> dict[NodeUid | None, tuple[NodeUid, ...]]:
        children: dict[NodeUid | None, list[NodeUid]] = {}
        nodes: list[Node] = [*self.nodes.values(), *self.units]
        for node in nodes:
            if node.parent is not None:
                parent = self.nodes.get(node.parent)
                if parent is None:
                    raise UnknownId(
                        f"{node.id!r} hangs below {node.parent!r}, which is no node that can have children",
                        hint="name a node of the hierarchy, or leave the parent out to hang it below the root",
                    )
                if parent.kind.is_leaf and node.kind is not NodeKind.METERING_UNIT:
                    raise UnknownId(
                        f"{node.id!r} hangs below {node.parent!r}, a {parent.kind.value}",
                        hint=f"only metering units may hang below a {parent.kind.value}",
                    )
            children.setdefault(node.parent, []).append(node.id)
        self._check_acyclic()
        ordered: dict[NodeUid | None, tuple[NodeUid, ...]] = {}
        for parent_id, ids in children.items():
            ids.sort(key=lambda uid: (uid not in self.nodes, uid))
            ordered[parent_id] = tuple(ids)
        return ordered

    def _check_acyclic(self) -> None:
        settled: set[NodeUid] = set()
        for start in self.nodes:
            trail: dict[NodeUid, None] = {}
            current: NodeUid | None = start
            while current is not None and current not in settled:
                if current in trail:
                    loop = " → ".join([*list(trail)[list(trail).index(current) :], current])
                    raise HierarchyCycle(
                        f"the hierarchy turns in a circle: {loop}", hint="give one of them a parent outside the circle"
                    )
                trail[current] = None
                current = self.nodes[current].parent
            settled.update(trail)

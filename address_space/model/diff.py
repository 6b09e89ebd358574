"""What differs between two plants, so that a reload touches only that."""

from __future__ import annotations

from dataclasses import dataclass

from address_space.model.hierarchy import MeteringUnit, Node
from address_space.model.ids import NodeUid
from address_space.model.plant import Plant


@dataclass(frozen=True, slots=True)
class PlantDiff:
    """Ids by what happened to them, each in order. A moved node changed its parent; a changed one anything else."""

    added: tuple[NodeUid, ...]
    removed: tuple[NodeUid, ...]
    moved: tuple[NodeUid, ...]
    changed: tuple[NodeUid, ...]

    @classmethod
    def between(cls, old: Plant, new: Plant) -> PlantDiff:
        """How to get from `old` to `new`."""
        before: dict[NodeUid, Node] = {**old.nodes, **{unit.id: unit for unit in old.units}}
        after: dict[NodeUid, Node] = {**new.nodes, **{unit.id: unit for unit in new.units}}
        both = sorted(before.keys() & after.keys())
        return cls(
            added=tuple(sorted(after.keys() - before.keys())),
            removed=tuple(sorted(before.keys() - after.keys())),
            moved=tuple(uid for uid in both if before[uid].parent != after[uid].parent),
            changed=tuple(uid for uid in both if _content(before[uid]) != _content(after[uid])),
        )

    @property
    def is_empty(self) -> bool:
        """Whether both plants are the same."""
        return not (self.added or self.removed or self.moved or self.changed)


def _content(node: Node) -> tuple[object, ...]:
    own: tuple[object, ...] = (node.name, node.enabled, dict(node.attributes))
    if isinstance(node, MeteringUnit):
        return (
            *own,
            (node.template.name, node.template.points),
            (node.medium, node.protocol, node.channel, node.address, node.ratio),
            (node.serial_number, node.asset_id, node.identification),
        )
    return (*own, node.kind, node.code, dict(node.names))

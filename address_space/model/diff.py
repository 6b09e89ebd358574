"""What differs between two plants, so that a reload touches only that."""

from __future__ import annotations

from dataclasses import dataclass

from address_space.model.hierarchy import MeteringUnit, Node
from address_space.model.ids import NodeUid
from address_space.model.plant import Plant
from address_space.model.point import Template


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
        templates = _Templates()
        return cls(
            added=tuple(sorted(after.keys() - before.keys())),
            removed=tuple(sorted(before.keys() - after.keys())),
            moved=tuple(uid for uid in both if before[uid].parent != after[uid].parent),
            changed=tuple(uid for uid in both if _content(before[uid], templates) != _content(after[uid], templates)),
        )

    @property
    def is_empty(self) -> bool:
        """Whether both plants are the same."""
        return not (self.added or self.removed or self.moved or self.changed)


class _Templates:
    """Numbers templates, equal ones alike, so that comparing units does not compare their variables each time."""

    def __init__(self) -> None:
        self._by_object: dict[int, int] = {}
        self._by_content: dict[tuple[object, ...], int] = {}

    def number(self, template: Template) -> int:
        known = self._by_object.get(id(template))
        if known is None:
            content = (template.name, template.default_hold_s, template.points)
            known = self._by_content.setdefault(content, len(self._by_content))
            self._by_object[id(template)] = known
        return known


def _content(node: Node, templates: _Templates) -> tuple[object, ...]:
    own: tuple[object, ...] = (node.name, node.enabled, dict(node.attributes))
    if isinstance(node, MeteringUnit):
        return (
            *own,
            templates.number(node.template),
            (node.medium, node.protocol, node.channel, node.address, node.ratio),
            (node.serial_number, node.asset_id, node.identification),
        )
    return (*own, node.kind, node.code, dict(node.names))

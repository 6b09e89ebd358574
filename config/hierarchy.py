"""The hierarchy of a plant: nested nodes of YAML to a flat list, with every parent checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from address_space.model.hierarchy import HierarchyNode, NodeKind
from address_space.model.ids import NodeUid
from address_space.model.quantity import LOCALES
from config.document import Mapping as MappingTree
from config.document import Tree
from config.errors import Location, Report
from config.fields import Fields, is_uuid, kind_of
from config.identity import Identities, as_uid
from config.kinds import ATTRIBUTES, HIERARCHY_KINDS, Attribute, Form
from config.spelling import Spelling

NODE_KEYS = {
    "id": "immutable id, unique in the plant",
    "kind": "what the node is",
    "name": "name shown to people",
    "names": "names by locale",
    "code": "short name in paths and browse names; the id where there is none",
    "enabled": "whether the node is in service",
    "parent": "id of the node above, where it is not the one around it",
    "children": "nodes below",
}
"""Keys of a node beside the attributes of its kind, with their meaning."""

_NO_NAMES: Mapping[str, str] = {}
_NO_ATTRIBUTES: Mapping[str, str | float] = {}
_KEYS = {kind: (*NODE_KEYS, *(a.name for a in ATTRIBUTES.values() if a.belongs_to(kind))) for kind in NodeKind}
_ALL_KEYS = (*NODE_KEYS, *ATTRIBUTES)


@dataclass(frozen=True, slots=True)
class Draft:
    """A node and where its id and its parent were written."""

    node: HierarchyNode
    at: Location
    at_parent: Location


class HierarchyReader:
    """Reads hierarchies of one or many files; `settle` then checks how they hang together."""

    def __init__(self, report: Report, spelling: Spelling, identities: Identities, locale: str) -> None:
        self._report = report
        self._spelling = spelling
        self._identities = identities
        self._locale = locale
        self._drafts: list[Draft] = []

    def read(self, trees: Iterable[Tree], file: str) -> None:
        """Take the nodes of one `hierarchy:` list and all below them."""
        open_trees: list[tuple[Tree, NodeUid | None, bool]] = [(tree, None, False) for tree in trees]
        open_trees.reverse()
        while open_trees:
            tree, parent, nested = open_trees.pop()
            if not isinstance(tree, MappingTree):
                place = Location(file, tree.line, tree.column, "hierarchy")
                self._report.add(
                    place, f"a node must be a mapping, not {kind_of(tree)}", "write `- id: …` and `kind: …`"
                )
                continue
            uid, children = self._node(Fields(tree, file, "", self._report, self._spelling), parent, nested=nested)
            open_trees.extend((child, uid, True) for child in reversed(children))

    def settle(self) -> dict[NodeUid, HierarchyNode]:
        """All nodes by id. Nodes with a wrong parent are reported and put below the root."""
        nodes = {draft.node.id: draft.node for draft in self._drafts}
        for draft in self._drafts:
            parent = draft.node.parent
            if parent is None:
                continue
            above = nodes.get(parent)
            if above is None:
                if parent not in self._identities.refused:
                    self._report.add(
                        draft.at_parent, f"there is no node {parent!r}", self._spelling.hint(parent, nodes)
                    )
            elif above.kind.is_leaf:
                self._report.add(
                    draft.at_parent,
                    f"{draft.node.id!r} hangs below {parent!r}, a {above.kind.value}",
                    f"only metering units may hang below a {above.kind.value}: hang it below the node above",
                )
            else:
                continue
            nodes[draft.node.id] = replace(draft.node, parent=None)
        self._cut_cycles(nodes)
        self._check_codes(nodes)
        return nodes

    def _node(self, fields: Fields, parent: NodeUid | None, *, nested: bool) -> tuple[NodeUid | None, list[Tree]]:
        uid = fields.required_text("id", "give every node an id that never changes")
        fields.path = uid or "hierarchy"
        kind = self._kind(fields)
        self._check_keys(fields, kind)
        at = fields.at_value("id")
        valid = False
        if uid:
            valid = self._identities.take(uid, at.file, at.line, at.column)
            if not valid:
                self._identities.explain(uid, at)
        at_parent = at
        explicit = fields.text("parent")
        if explicit:
            at_parent = fields.at_value("parent")
            if not nested:
                parent = as_uid(explicit)
            elif parent is not None and explicit != parent:
                fields.wrong(
                    "parent", f"{uid!r} stands among the children of {parent!r}, yet names the parent {explicit!r}",
                    "leave `parent` out, or move the node to the top of `hierarchy`",
                )  # fmt: skip
        children = list(fields.items("children"))
        names = self._names(fields)
        name = fields.text("name") or names.get(self._locale) or names.get("en") or uid
        node = HierarchyNode(
            id=as_uid(uid),
            kind=kind or NodeKind.SITE,
            name=name,
            parent=parent,
            code=self._code(fields),
            enabled=fields.flag("enabled", default=True),
            names=names,
            attributes=self._attributes(fields, kind),
        )
        if not valid:
            return None, children
        self._drafts.append(Draft(node, at, at_parent))
        return node.id, children

    def _kind(self, fields: Fields) -> NodeKind | None:
        text = fields.required_text("kind", "use one of " + ", ".join(HIERARCHY_KINDS))
        if text == NodeKind.METERING_UNIT.value:
            fields.wrong("kind", "a metering unit is no node of the hierarchy",
                         "list it in a CSV file named by `meters`, or below `metering_units`")  # fmt: skip
        elif text and text not in HIERARCHY_KINDS:
            fields.wrong("kind", f"{text!r} is no kind of node", self._spelling.hint(text, HIERARCHY_KINDS))
        return HIERARCHY_KINDS.get(text)

    def _check_keys(self, fields: Fields, kind: NodeKind | None) -> None:
        valid = _KEYS[kind] if kind is not None else _ALL_KEYS
        for key in fields.mapping.entries:
            if key in valid:
                continue
            attribute = ATTRIBUTES.get(key)
            if attribute is not None and kind is not None:
                owners = " or ".join(sorted(owner.value for owner in attribute.kinds))
                self._report.add(fields.at_key(key), f"a {kind.value} has no {key}", f"it belongs to a {owners}")
            else:
                what = f"{key!r} is no key of a {kind.value if kind is not None else 'node'}"
                self._report.add(fields.at_key(key), what, self._spelling.hint(key, valid))

    def _names(self, fields: Fields) -> Mapping[str, str]:
        below = fields.mapping_at("names")
        if below is None:
            return _NO_NAMES
        below.reject_unknown(LOCALES, "names")
        found = {locale: below.text(locale) for locale in LOCALES if locale in below}
        return {locale: name for locale, name in found.items() if name}

    def _code(self, fields: Fields) -> str:
        code = fields.text("code")
        if "/" in code:
            fields.wrong(
                "code", f"the code {code!r} contains a slash", "slashes part the codes of a path: use another sign"
            )
        return code

    def _attributes(self, fields: Fields, kind: NodeKind | None) -> Mapping[str, str | float]:
        found: dict[str, str | float] = {}
        for key in fields.mapping.entries:
            attribute = ATTRIBUTES.get(key)
            if attribute is not None and (kind is None or attribute.belongs_to(kind)):
                value = self._attribute(fields, attribute)
                if value is not None:
                    found[key] = value
        return found or _NO_ATTRIBUTES

    def _attribute(self, fields: Fields, attribute: Attribute) -> str | float | None:
        name = attribute.name
        if attribute.form is Form.NUMBER:
            return fields.number(name, attribute.low, attribute.high)
        if attribute.form is Form.CHOICE:
            return fields.choice(name, attribute.choices, "") or None
        text = fields.text(name)
        if attribute.form is Form.UUID and text and not is_uuid(text):
            fields.wrong(name, f"{text!r} is no UUID", "write it as 8-4-4-4-12 hexadecimal digits")
        return text or None

    def _cut_cycles(self, nodes: dict[NodeUid, HierarchyNode]) -> None:
        places = {draft.node.id: draft.at_parent for draft in self._drafts}
        settled: set[NodeUid] = set()
        for start in list(nodes):
            trail: dict[NodeUid, None] = {}
            current: NodeUid | None = start
            while current is not None and current not in settled and current not in trail:
                trail[current] = None
                current = nodes[current].parent
            if current is not None and current in trail:
                members = list(trail)[list(trail).index(current) :]
                self._report.add(
                    places[current],
                    "the hierarchy turns in a circle: " + " → ".join([*members, current]),
                    "change the `parent` of one of them",
                )
                nodes[current] = replace(nodes[current], parent=None)
            settled.update(trail)

    def _check_codes(self, nodes: dict[NodeUid, HierarchyNode]) -> None:
        if not any(node.code for node in nodes.values()):
            return
        seen: dict[tuple[NodeUid | None, str], NodeUid] = {}
        for draft in self._drafts:
            node = nodes[draft.node.id]
            other = seen.setdefault((node.parent, (node.code or node.id).lower()), node.id)
            if other != node.id:
                self._report.add(
                    draft.at,
                    f"{other!r} and {node.id!r} lie below the same node under the same code {node.code or node.id!r}",
                    "give each its own code, or it cannot be found by its path",
                )

"""A crawl of everything from Root: every node, every attribute that its class must have, every mandatory member."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from foreign import ForeignClient
from services import BOTH, ask

pytestmark = pytest.mark.interop

OBJECT, VARIABLE, METHOD, OBJECT_TYPE, VARIABLE_TYPE, REFERENCE_TYPE, DATA_TYPE, VIEW = (2**n for n in range(8))
EVERY_CLASS = {"NodeId": 1, "NodeClass": 2, "BrowseName": 3, "DisplayName": 4}
OF_CLASS = {
    OBJECT: {"EventNotifier": 12},
    VARIABLE: {
        "Value": 13,
        "DataType": 14,
        "ValueRank": 15,
        "AccessLevel": 17,
        "UserAccessLevel": 18,
        "Historizing": 20,
    },
    METHOD: {"Executable": 21, "UserExecutable": 22},
    OBJECT_TYPE: {"IsAbstract": 8},
    VARIABLE_TYPE: {"IsAbstract": 8, "DataType": 14, "ValueRank": 15},
    REFERENCE_TYPE: {"IsAbstract": 8, "Symmetric": 9},
    DATA_TYPE: {"IsAbstract": 8},
    VIEW: {"ContainsNoLoops": 11, "EventNotifier": 12},
}
HAS_TYPE, HAS_SUBTYPE, HAS_RULE, MANDATORY = "i=40", "i=45", "i=37", "i=78"
AGGREGATES = {"i=46", "i=47"}  # HasProperty, HasComponent
NODES_A_CALL = 500
UNMEASURED = {"BadWaitingForInitialData", "UncertainEngineeringUnitsExceeded", "UncertainInitialValue"}
PLANT = "ns=2;"


@dataclass(frozen=True, slots=True)
class Reference:
    kind: str
    target: str
    name: tuple[int, str]
    node_class: int


@dataclass(slots=True)
class Tree:
    """All nodes below Root with their forward references of every kind."""

    references: dict[str, list[Reference]] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    bad: list[tuple[str, str]] = field(default_factory=list)

    def targets(self, node: str, kind: str) -> list[str]:
        return [one.target for one in self.references.get(node, ()) if one.kind == kind]

    @property
    def parents(self) -> dict[str, str]:
        return {
            one.target: node
            for node, references in self.references.items()
            for one in references
            if one.kind == HAS_SUBTYPE
        }


@pytest.fixture(scope="module")
def tree(caller: ForeignClient) -> Tree:
    """Crawled breadth first, following every reference."""
    found = Tree(classes={"i=84": OBJECT})
    frontier = ["i=84"]
    while frontier:
        following: list[str] = []
        for first in range(0, len(frontier), NODES_A_CALL):
            chunk = frontier[first : first + NODES_A_CALL]
            asked = [
                {"nodeId": node, "referenceTypeId": "i=31", "includeSubtypes": True, "resultMask": 63} for node in chunk
            ]
            results = ask(caller, "Browse", nodesToBrowse=asked)["results"]
            for node, result in zip(chunk, results, strict=True):
                following += took(caller, found, node, result)
        frontier = following
    return found


def took(client: ForeignClient, tree: Tree, node: str, result: dict[str, Any]) -> list[str]:
    """Enter one browse result with all its pages; returns nodes not seen before."""
    own = tree.references.setdefault(node, [])
    fresh = []
    while True:
        if result["statusCode"] != "Good":
            tree.bad.append((node, result["statusCode"]))
        for one in result["references"] or []:
            name = one["browseName"]
            target = one["nodeId"].removeprefix("ns=0;")
            kind = one["referenceTypeId"].removeprefix("ns=0;")
            own.append(Reference(kind, target, (name["namespaceIndex"], name["name"]), one["nodeClass"]))
            if target not in tree.classes:
                tree.classes[target] = one["nodeClass"]
                fresh.append(target)
        if not result["continuationPoint"]:
            return fresh
        more = ask(client, "BrowseNext", continuationPoints=[{"$bytes": result["continuationPoint"]}])
        result = more["results"][0]


def test_every_node_can_be_browsed(tree: Tree) -> None:
    assert tree.bad == []
    assert len(tree.classes) > 8_000
    plant = [node for node in tree.classes if node.startswith(PLANT)]
    assert len(plant) > 24 * 50
    assert set(tree.classes.values()) <= set(OF_CLASS)


def test_every_node_has_the_attributes_of_its_class(tree: Tree, caller: ForeignClient) -> None:
    asked = [
        (node, name, number)
        for node, node_class in tree.classes.items()
        for name, number in (EVERY_CLASS | OF_CLASS[node_class]).items()
    ]
    wrong = []
    for first in range(0, len(asked), 4_000):
        chunk = asked[first : first + 4_000]
        body = [{"nodeId": node, "attributeId": number} for node, _, number in chunk]
        answers = ask(caller, "Read", maxAge=0, timestampsToReturn=BOTH, nodesToRead=body)["results"]
        for (node, name, _), answer in zip(chunk, answers, strict=True):
            status = answer["statusName"]
            measured = name == "Value" and node.startswith(PLANT)
            if status != "Good" and not (measured and status in UNMEASURED):
                wrong.append((node, name, status))
            elif answer["value"] is None and name != "Value":
                wrong.append((node, name, "null"))
    assert wrong == []


def test_every_instance_has_one_type_and_the_type_is_there(tree: Tree) -> None:
    wrong = []
    for node, node_class in tree.classes.items():
        if node_class in (OBJECT, VARIABLE):
            kinds = tree.targets(node, HAS_TYPE)
            wanted = OBJECT_TYPE if node_class == OBJECT else VARIABLE_TYPE
            if len(kinds) != 1 or tree.classes.get(kinds[0]) != wanted:
                wrong.append((node, kinds))
    assert wrong == []


def test_every_instance_has_the_mandatory_members_of_its_type(tree: Tree) -> None:
    mandatory: dict[str, set[tuple[int, str]]] = {}
    for node, node_class in tree.classes.items():
        if node_class in (OBJECT_TYPE, VARIABLE_TYPE):
            mandatory[node] = {
                one.name
                for one in tree.references[node]
                if one.kind in AGGREGATES and MANDATORY in tree.targets(one.target, HAS_RULE)
            }
    assert sum(map(len, mandatory.values())) > 200
    parents = tree.parents
    missing = []
    for node, node_class in tree.classes.items():
        if node_class not in (OBJECT, VARIABLE) or tree.targets(node, HAS_RULE):
            continue
        kind: str | None = next(iter(tree.targets(node, HAS_TYPE)), None)
        members = {one.name for one in tree.references[node]}
        while kind is not None:
            missing += [(node, kind, name) for name in mandatory.get(kind, set()) - members]
            kind = parents.get(kind)
    assert missing == [], json.dumps(missing[:20])

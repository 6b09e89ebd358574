"""The plant: order never shows, handles are dense, and every way to a point leads to the same one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from address_space.model.errors import DuplicateId, HierarchyCycle, UnknownId
from address_space.model.hierarchy import HierarchyNode, MeteringUnit, NodeKind
from address_space.model.ids import NodeUid, PointHandle, PointId, UnitHandle
from address_space.model.plant import Plant
from address_space.model.point import PointSpec, Template
from address_space.model.quantity import ALL, MEASURED, Quantity

ELECTRICITY = Template(
    "electricity", [PointSpec(Quantity.ACTIVE_ENERGY_IMPORT, source="FC4 72"), PointSpec(Quantity.VOLTAGE)]
)
WATER = Template("water", [PointSpec(Quantity.VOLUME)])
NAMESAKE = Template("water", [PointSpec(Quantity.VOLUME), PointSpec(Quantity.VOLUME_FLOW)])
SILENT = Template("silent", ())


def node(uid: str, parent: str | None = None, kind: NodeKind = NodeKind.SITE, code: str = "") -> HierarchyNode:
    return HierarchyNode(NodeUid(uid), kind, uid, NodeUid(parent) if parent else None, code)


def unit(uid: str, parent: str | None = None, template: Template = ELECTRICITY) -> MeteringUnit:
    return MeteringUnit(NodeUid(uid), uid, NodeUid(parent) if parent else None, template)


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[HierarchyNode], list[MeteringUnit]]:
    """A forest of up to 12 nodes with up to 12 units of a few templates below any of them."""
    nodes: list[HierarchyNode] = []
    for number in range(draw(st.integers(0, 12))):
        parent = draw(st.sampled_from([None, *(node.id for node in nodes)]))
        nodes.append(node(f"n{number}", parent))
    units = []
    for number in range(draw(st.integers(0, 12))):
        parent = draw(st.sampled_from([None, *(node.id for node in nodes)]))
        units.append(unit(f"m{number}", parent, draw(st.sampled_from([ELECTRICITY, WATER, NAMESAKE, SILENT]))))
    return nodes, units


def seen(plant: Plant) -> object:
    """Everything a plant tells."""
    return (
        list(plant.nodes.items()),
        plant.units,
        plant.blocks,
        plant.size,
        plant.unit_of,
        [(uid, plant.children(uid)) for uid in (None, *plant.nodes)],
        [node.id for node in plant.subtree(None)],
    )


@given(trees(), st.randoms(use_true_random=False))
def test_the_order_of_the_files_never_shows(
    tree: tuple[list[HierarchyNode], list[MeteringUnit]], random: object
) -> None:
    nodes, units = tree
    before = seen(Plant(nodes, units))
    random.shuffle(nodes)  # type: ignore[attr-defined]
    random.shuffle(units)  # type: ignore[attr-defined]
    assert seen(Plant(nodes, units)) == before


@given(trees())
def test_every_way_to_a_point_leads_to_the_same_one(tree: tuple[list[HierarchyNode], list[MeteringUnit]]) -> None:
    plant = Plant(*tree)
    handles = np.arange(plant.size)
    codes, owners = plant.codes(handles), plant.units_at(handles)
    blocks, columns = plant.cells(handles)
    reached = []
    for number, one in enumerate(plant.units):
        owner = UnitHandle(number)
        assert plant.unit_of[one.id] == owner
        assert plant.block_of_unit(owner).template is one.template
        for offset, quantity in enumerate(one.template.quantities):
            handle = plant.handle(PointId(f"{one.id}.{quantity.path}"))
            assert handle == plant.first_handle(owner) + offset
            assert plant.locate(handle) == (owner, offset)
            assert plant.blocks[blocks[handle]].template is one.template
            assert (owners[handle], columns[handle], ALL[codes[handle]]) == (owner, offset, quantity)
            point = plant.point(handle)
            assert (point.id, point.handle, point.quantity) == (f"{one.id}.{quantity.path}", handle, quantity)
            assert point.spec is (one.template.points[offset] if quantity in MEASURED else None)
            reached.append(handle)
    assert sorted(reached) == handles.tolist()


@given(trees())
def test_the_subtree_of_the_root_is_everything_once_parents_first(
    tree: tuple[list[HierarchyNode], list[MeteringUnit]],
) -> None:
    plant = Plant(*tree)
    order = [node.id for node in plant.subtree(None)]
    assert sorted(order) == sorted([*plant.nodes, *plant.unit_of])
    place = {uid: position for position, uid in enumerate(order)}
    assert all(place[one.parent] < place[one.id] for one in plant.subtree(None) if one.parent is not None)


@given(trees())
def test_children_and_parents_agree(tree: tuple[list[HierarchyNode], list[MeteringUnit]]) -> None:
    plant = Plant(*tree)
    pairs = {(parent, child) for parent in (None, *plant.nodes) for child in plant.children(parent)}
    assert pairs == {(one.parent, one.id) for one in plant.subtree(None)}


def test_an_empty_plant_has_nothing() -> None:
    plant = Plant([], [])
    assert (plant.size, plant.blocks, list(plant.subtree(None)), plant.children(None)) == (0, [], [], ())
    assert plant.codes(np.empty(0, np.int64)).shape == plant.units_at(np.empty(0, np.int64)).shape == (0,)


def test_children_are_hierarchy_nodes_first_each_group_in_the_order_of_ids() -> None:
    plant = Plant([node("top"), node("z", "top"), node("b", "top")], [unit("m2", "top"), unit("a1", "top")])
    assert plant.children(NodeUid("top")) == ("b", "z", "a1", "m2")
    assert plant.children(NodeUid("z")) == ()


def test_a_path_is_told_in_codes_and_in_ids_where_there_is_none() -> None:
    plant = Plant([node("r1", code="North"), node("s1", "r1", code="TP-12"), node("f3", "s1")], [unit("m0042", "f3")])
    assert plant.path(NodeUid("m0042")) == "North/TP-12/f3/m0042"
    assert plant.path(NodeUid("r1")) == "North"


def test_a_subtree_holds_its_own_root() -> None:
    plant = Plant([node("a"), node("b", "a"), node("c")], [unit("m1", "b"), unit("m2", "c")])
    assert [one.id for one in plant.subtree(NodeUid("a"))] == ["a", "b", "m1"]
    assert [one.id for one in plant.subtree(NodeUid("m2"))] == ["m2"]


@pytest.mark.parametrize("point", ["m1.Volume", "m2.Voltage", "m1", "", ".", "M1.Voltage", "m1.Voltage.EURange"])
def test_a_point_id_that_names_nothing_has_no_handle(point: str) -> None:
    assert Plant([], [unit("m1")]).handle(PointId(point)) is None


def test_an_unknown_id_is_reported_with_a_hint() -> None:
    plant = Plant([node("a")], [unit("m1", "a")])
    assert plant.find(NodeUid("m2")) is None
    for ask in (plant.node, plant.path, lambda uid: next(plant.subtree(uid))):
        with pytest.raises(UnknownId, match="'m2'") as caught:
            ask(NodeUid("m2"))
        assert caught.value.hint


@pytest.mark.parametrize(
    ("nodes", "units"),
    [
        ([node("a"), node("a")], []),
        ([], [unit("a"), unit("a", template=WATER)]),
        ([node("a")], [unit("a")]),
        ([node("Tp-1"), node("tP-1")], []),
        ([node("Tp-1")], [unit("TP-1")]),
    ],
)
def test_an_id_is_unique_in_the_whole_plant_and_case_does_not_distinguish(
    nodes: list[HierarchyNode], units: list[MeteringUnit]
) -> None:
    with pytest.raises(DuplicateId, match=r"'a' is used 2 times|the same but for case"):
        Plant(nodes, units)


@pytest.mark.parametrize(
    ("nodes", "units"),
    [
        ([node("a", "nowhere")], []),
        ([], [unit("m1", "nowhere")]),
        ([], [unit("m1"), unit("m2", "m1")]),
        ([node("q1", kind=NodeKind.BREAKER), node("f1", "q1", NodeKind.FEEDER)], []),
    ],
)
def test_a_parent_must_exist_and_be_able_to_have_such_children(
    nodes: list[HierarchyNode], units: list[MeteringUnit]
) -> None:
    with pytest.raises(UnknownId) as caught:
        Plant(nodes, units)
    assert caught.value.hint


def test_a_metering_unit_may_hang_below_a_breaker_or_a_gateway() -> None:
    plant = Plant(
        [node("q1", kind=NodeKind.BREAKER), node("g1", kind=NodeKind.GATEWAY)], [unit("a", "q1"), unit("b", "g1")]
    )
    assert plant.path(NodeUid("a")) == "q1/a"


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_circle_is_told_from_end_to_end(length: int) -> None:
    ring = [node(f"n{number}", f"n{(number + 1) % length}") for number in range(length)]
    with pytest.raises(HierarchyCycle) as caught:
        Plant([node("top"), *ring], [unit("m1", "top")])
    told = caught.value.what.partition(": ")[2].split(" → ")
    assert told[0] == told[-1]
    assert set(told) == {one.id for one in ring}


def test_a_deep_hierarchy_is_no_trouble() -> None:
    depth = 5000
    chain = [node("n0"), *(node(f"n{number}", f"n{number - 1}") for number in range(1, depth))]
    plant = Plant(chain, [unit("m1", f"n{depth - 1}")])
    assert plant.path(NodeUid("m1")).count("/") == depth
    assert sum(1 for _ in plant.subtree(None)) == depth + 1


def test_units_of_one_template_form_one_block() -> None:
    plant = Plant([], [unit("m1"), unit("m2", template=WATER), unit("m3")])
    assert [(block.template, block.first_unit, block.units, block.first_handle) for block in plant.blocks] == [
        (ELECTRICITY, 0, 2, 0),
        (WATER, 2, 1, 2 * ELECTRICITY.width),
    ]
    assert plant.point(PointHandle(0)).spec is ELECTRICITY.points[0]

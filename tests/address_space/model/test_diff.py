"""What a reload finds to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from address_space.model.diff import PlantDiff
from address_space.model.hierarchy import HierarchyNode, Identification, MeteringUnit, NodeKind
from address_space.model.ids import NodeUid
from address_space.model.plant import Plant
from address_space.model.point import PointSpec, Template
from address_space.model.quantity import Quantity
from address_space.model.state import Medium, Protocol

NORTH = HierarchyNode(NodeUid("north"), NodeKind.REGION, "North")
FEEDER = HierarchyNode(NodeUid("f1"), NodeKind.FEEDER, "Feeder 1", NodeUid("north"))


def template(*, name: str = "meter", hold_s: float = 900, **point: Any) -> Template:
    return Template(name, [PointSpec(Quantity.ACTIVE_ENERGY_IMPORT, **point)], default_hold_s=hold_s)


METER = MeteringUnit(NodeUid("m1"), "Meter 1", NodeUid("f1"), template())
OTHER = MeteringUnit(NodeUid("m2"), "Meter 2", NodeUid("f1"), METER.template)
OLD = Plant([NORTH, FEEDER], [METER, OTHER])


def test_a_plant_built_again_from_the_same_files_is_no_change() -> None:
    again = Plant([FEEDER, NORTH], [replace(OTHER, template=template()), replace(METER, template=template())])
    diff = PlantDiff.between(OLD, again)
    assert diff == PlantDiff((), (), (), ())
    assert diff.is_empty


@pytest.mark.parametrize(
    "changed",
    [
        replace(METER, name="Meter one"),
        replace(METER, enabled=False),
        replace(METER, medium=Medium.WATER),
        replace(METER, protocol=Protocol.MQTT),
        replace(METER, channel="line-2"),
        replace(METER, address="17"),
        replace(METER, ratio=(40.0, 1.0)),
        replace(METER, serial_number="4711"),
        replace(METER, asset_id="A-1"),
        replace(METER, identification=Identification(model="SDM630")),
        replace(METER, attributes={"cim_mrid": "1"}),
        replace(METER, template=template(name="other")),
        replace(METER, template=template(poll_s=10)),
        replace(METER, template=template(source="FC4 0x0048")),
        replace(METER, template=template(hold_s=60)),
        replace(METER, template=Template("meter", [*METER.template.points, PointSpec(Quantity.VOLTAGE)])),
    ],
)
def test_whatever_changes_in_a_unit_is_a_change_of_that_unit_alone(changed: MeteringUnit) -> None:
    diff = PlantDiff.between(OLD, Plant([NORTH, FEEDER], [changed, OTHER]))
    assert diff == PlantDiff((), (), (), (METER.id,))
    assert not diff.is_empty


@pytest.mark.parametrize(
    "changed",
    [
        replace(FEEDER, name="Feeder one"),
        replace(FEEDER, code="F1"),
        replace(FEEDER, kind=NodeKind.BUSBAR),
        replace(FEEDER, enabled=False),
        replace(FEEDER, names={"ru": "Фидер 1"}),
        replace(FEEDER, attributes={"rated_current_a": 400.0}),
    ],
)
def test_whatever_changes_in_a_node_is_a_change_of_that_node_alone(changed: HierarchyNode) -> None:
    assert PlantDiff.between(OLD, Plant([NORTH, changed], [METER, OTHER])).changed == (FEEDER.id,)


def test_a_unit_that_moves_is_moved_and_not_changed() -> None:
    diff = PlantDiff.between(OLD, Plant([NORTH, FEEDER], [replace(METER, parent=NORTH.id), OTHER]))
    assert diff == PlantDiff((), (), (METER.id,), ())


def test_a_unit_may_move_and_change_at_once() -> None:
    diff = PlantDiff.between(OLD, Plant([NORTH, FEEDER], [replace(METER, parent=None, name="x"), OTHER]))
    assert (diff.moved, diff.changed) == ((METER.id,), (METER.id,))


def test_what_comes_and_goes_is_told_in_the_order_of_ids() -> None:
    new = [replace(METER, id=NodeUid(uid)) for uid in ("z", "a", "k")]
    there = PlantDiff.between(OLD, Plant([NORTH, FEEDER], [OTHER, *new]))
    assert there == PlantDiff(("a", "k", "z"), ("m1",), (), ())
    back = PlantDiff.between(Plant([NORTH, FEEDER], [OTHER, *new]), OLD)
    assert (back.added, back.removed) == (there.removed, there.added)


def test_a_node_that_becomes_a_unit_has_changed() -> None:
    breaker = HierarchyNode(NodeUid("x"), NodeKind.BREAKER, "x")
    diff = PlantDiff.between(Plant([breaker], []), Plant([], [replace(METER, id=NodeUid("x"), name="x", parent=None)]))
    assert diff == PlantDiff((), (), (), ("x",))

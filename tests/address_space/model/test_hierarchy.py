"""Kinds of node."""

from __future__ import annotations

from address_space.model.hierarchy import HierarchyNode, MeteringUnit, NodeKind
from address_space.model.ids import NodeUid
from address_space.model.point import Template


def test_the_kinds_are_the_words_of_the_configuration() -> None:
    words = (
        "region site substation transformer busbar feeder building floor division consumer cabinet "
        "metering_unit breaker valve gateway"
    )
    assert [kind.value for kind in NodeKind] == words.split()


def test_the_leaves_are_what_stands_at_the_end_of_a_line() -> None:
    leaves = {kind for kind in NodeKind if kind.is_leaf}
    assert leaves == {NodeKind.METERING_UNIT, NodeKind.BREAKER, NodeKind.VALVE, NodeKind.GATEWAY}


def test_a_metering_unit_is_of_its_own_kind() -> None:
    assert MeteringUnit(NodeUid("m1"), "", None, Template("t", ())).kind is NodeKind.METERING_UNIT


def test_nodes_do_not_share_their_names_by_writing() -> None:
    first, second = (HierarchyNode(NodeUid(uid), NodeKind.SITE, "") for uid in ("a", "b"))
    assert first.names is not second.names

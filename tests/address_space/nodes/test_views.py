"""Folders by medium and by line stay small, however large the plant is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asyncua import ua

from address_space.model import Medium, MeteringUnit, NodeUid, Plant, PointSpec, Quantity, Template
from address_space.nodes import VirtualAddressSpace
from address_space.nodes.views import GROUP_SIZE

A = ua.AttributeIds
METERS = 1_203
LINES = 520
TEMPLATE = Template("meter", [PointSpec(Quantity.ACTIVE_POWER)])


@pytest.fixture(scope="module")
def large() -> Plant:
    """1,203 electricity meters on one line, and 520 water meters with a line each."""
    meters = [MeteringUnit(NodeUid(f"m{n:04d}"), f"Meter {n}", None, TEMPLATE, channel="c1") for n in range(METERS)]
    meters += [
        MeteringUnit(NodeUid(f"w{n:04d}"), f"Water {n}", None, TEMPLATE, Medium.WATER, channel=f"gw{n:03d}")
        for n in range(LINES)
    ]
    return Plant([], meters[::-1])


@pytest.fixture
def folders(large: Plant, make_space: Callable[[Plant], VirtualAddressSpace]) -> VirtualAddressSpace:
    """The address space of the large plant."""
    return make_space(large)


def organized(space: VirtualAddressSpace, identifier: str, **given: Any) -> list[str]:
    """Identifiers that Organizes leads to, forward unless told otherwise."""
    direction = given.get("direction", ua.BrowseDirection.Forward)
    desc = ua.BrowseDescription(ua.NodeId(identifier, 2), direction, ua.NodeId(35), IncludeSubtypes=True)
    desc.ResultMask = ua.BrowseResultMask.All
    return [found.NodeId.Identifier for found in space.browse_page(desc)[0]]


def step(name: str) -> ua.RelativePathElement:
    """One step down a browse path."""
    return ua.RelativePathElement(ua.NodeId(33), False, True, ua.QualifiedName(name, 2))


def test_a_long_line_is_shown_in_numbered_groups(folders: VirtualAddressSpace) -> None:
    groups = ["by-line.c1.0001-0500", "by-line.c1.0501-1000", "by-line.c1.1001-1203"]
    assert organized(folders, "by-line.c1") == groups
    assert organized(folders, groups[0]) == [f"m{n:04d}" for n in range(500)]
    assert organized(folders, groups[2]) == [f"m{n:04d}" for n in range(1000, METERS)]


def test_no_folder_has_more_children_than_a_group_and_none_is_lost(folders: VirtualAddressSpace, large: Plant) -> None:
    for view in ("by-medium", "by-line"):
        found, waiting = [], [view]
        while waiting:
            children = organized(folders, waiting.pop())
            assert len(children) <= GROUP_SIZE
            for child in children:
                (found if child in large.unit_of else waiting).append(child)
        assert sorted(found) == sorted(large.unit_of)


def test_a_unit_leads_back_to_the_groups_that_hold_it(folders: VirtualAddressSpace) -> None:
    inverse = {"direction": ua.BrowseDirection.Inverse}
    above = organized(folders, "m0700", **inverse)
    assert above == ["by-medium.Electricity.0501-1000", "by-line.c1.0501-1000"]
    assert all("m0700" in organized(folders, group) for group in above)
    assert organized(folders, "w0519", **inverse) == ["by-medium.Water.0501-0520", "by-line.gw519"]
    assert organized(folders, "by-line.gw519", **inverse) == ["by-line.0501-0521.lines"]
    assert organized(folders, "by-line.0501-0521.lines", **inverse) == ["by-line"]


def test_browse_paths_lead_through_groups(folders: VirtualAddressSpace) -> None:
    node = ua.NodeId("root", 2)
    for name in ("ByLine", "0001-0500", "c1", "1001-1203", "m1202"):
        (node,) = folders.children_by_name(node, step(name))
    assert node == ua.NodeId("m1202", 2)
    assert folders.children_by_name(ua.NodeId("by-line.c1.1001-1203", 2), step("m0001")) == []


def test_groups_are_nodes_like_others(folders: VirtualAddressSpace) -> None:
    group = ua.NodeId("by-line.c1.0001-0500", 2)
    assert group in folders
    assert folders.read_attribute_value(group, A.BrowseName).Value.Value == ua.QualifiedName("0001-0500", 2)
    assert folders.read_attribute_value(group, A.DisplayName, "ru").Value.Value.Text == "0001-0500"
    assert ua.NodeId("by-line.c1.0001-0499", 2) not in folders
    listed = set(folders.identifiers())
    assert {"by-line.c1.0001-0500", "by-line.0001-0500.lines"} <= listed

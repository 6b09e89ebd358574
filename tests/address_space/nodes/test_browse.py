"""Browsing by page and finding by path."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asyncua import ua
from asyncua.server.address_space import ViewService
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model import Plant
from address_space.nodes import VirtualAddressSpace
from address_space.nodes.standard import HAS_COMPONENT, HAS_TYPE_DEFINITION, ORGANIZES

MakeSpace = Callable[[Plant], VirtualAddressSpace]
NODES = [
    "root",
    "system",
    "by-medium",
    "by-medium.Other",
    "by-line.bus0",
    "bus",
    "cab",
    "m0",
    "m8.VoltageL1",
    "m0.ReadNow",
]
HIERARCHICAL, NON_HIERARCHICAL, NOBODY = ua.NodeId(33), ua.NodeId(32), ua.NodeId()


def description(node: ua.NodeId, **given: object) -> ua.BrowseDescription:
    return ua.BrowseDescription(NodeId=node, **{"ResultMask": 63, **given})


def step(name: str, namespace: int = 3, **given: object) -> ua.RelativePathElement:
    defaults = {"ReferenceTypeId": HIERARCHICAL, "IsInverse": False, "IncludeSubtypes": True}
    return ua.RelativePathElement(TargetName=ua.QualifiedName(name, namespace), **{**defaults, **given})


@settings(deadline=None)  # the first browse finds out which reference types there are
@given(
    identifier=st.sampled_from(NODES),
    direction=st.sampled_from(list(ua.BrowseDirection)[:3]),
    reference=st.sampled_from([HIERARCHICAL, NON_HIERARCHICAL, HAS_COMPONENT, ORGANIZES, NOBODY]),
    subtypes=st.booleans(),
    classes=st.sampled_from([0, 1, 2, 4, 8, 3]),
)
def test_a_browse_finds_what_asyncua_itself_would_find(
    space: VirtualAddressSpace,
    identifier: str,
    direction: ua.BrowseDirection,
    reference: ua.NodeId,
    subtypes: bool,
    classes: int,
) -> None:
    asked = description(
        ua.NodeId(identifier, 2),
        BrowseDirection=direction,
        ReferenceTypeId=reference,
        IncludeSubtypes=subtypes,
        NodeClassMask=classes,
    )
    page, more = space.browse_page(asked)
    assert more is None
    assert page == ViewService(space).browse(ua.BrowseParameters(NodesToBrowse=[asked]))[0].References


@given(
    identifier=st.sampled_from(["i=85", "i=2253", "i=2004", *NODES]),
    limit=st.integers(1, 7),
    classes=st.sampled_from([0, 1, 2]),
)
def test_pages_put_together_are_the_whole(
    space: VirtualAddressSpace, identifier: str, limit: int, classes: int
) -> None:
    node = ua.NodeId.from_string(identifier) if identifier.startswith("i=") else ua.NodeId(identifier, 2)
    asked = description(node, NodeClassMask=classes, BrowseDirection=ua.BrowseDirection.Both)
    whole, _ = space.browse_page(asked)
    found: list[ua.ReferenceDescription] = []
    start: int | None = 0
    while start is not None:
        page, start = space.browse_page(asked, start, limit)
        assert len(page) <= limit
        assert page or start is None
        found += page
    assert found == whole


@pytest.mark.parametrize("identifier", ["m0", "root"])
def test_fields_that_nobody_asked_for_stay_null(space: VirtualAddressSpace, identifier: str) -> None:
    node = ua.NodeId(identifier, 2)
    bare, _ = space.browse_page(description(node, ResultMask=0))
    assert all(reference.BrowseName == ua.QualifiedName() for reference in bare)
    assert all(reference.DisplayName == ua.LocalizedText() for reference in bare)
    assert all(reference.ReferenceTypeId.is_null() and reference.TypeDefinition.is_null() for reference in bare)
    assert all(not reference.NodeId.is_null() for reference in bare)
    named, _ = space.browse_page(description(node, ResultMask=int(ua.BrowseResultMask.BrowseName)))
    assert all(reference.BrowseName.Name for reference in named)
    assert all(reference.NodeClass == ua.NodeClass.Unspecified for reference in named)


def test_a_unit_is_one_node_in_every_view(space: VirtualAddressSpace) -> None:
    for folder in ("by-medium.Electricity", "by-line.bus0"):
        page, _ = space.browse_page(description(ua.NodeId(folder, 2), ReferenceTypeId=ORGANIZES))
        assert ua.NodeId("m0", 2) in [reference.NodeId for reference in page]


def test_browsing_real_nodes_speaks_the_language_too(space: VirtualAddressSpace) -> None:
    page, _ = space.browse_page(description(ua.NodeId(1000, 3)), locale="ru")
    assert "Идентификатор" in [reference.DisplayName.Text for reference in page]
    page, _ = space.browse_page(description(ua.NodeId(85)), locale="ru")
    assert "Учёт энергоресурсов" in [reference.DisplayName.Text for reference in page]


def test_every_child_is_found_by_its_browse_name(space: VirtualAddressSpace) -> None:
    for node in space.nodes():
        for reference in space.references(node):
            if not reference.IsForward or reference.ReferenceTypeId == HAS_TYPE_DEFINITION:
                continue
            element = ua.RelativePathElement(reference.ReferenceTypeId, False, False, reference.BrowseName)
            assert space.children_by_name(node, element) == [reference.NodeId]


def test_a_path_leads_from_the_objects_folder_to_a_property(space: VirtualAddressSpace) -> None:
    node = ua.NodeId(85)
    codes = ["EnergyMetering", "N", "s1", "TP-12", "tr", "bus", "f1", "b1", "fl", "con", "cab", "m0"]
    steps = [*(step(code, 2) for code in codes), step("VoltageL1"), step("EURange", 0)]
    for element in steps:
        (node,) = space.children_by_name(node, element)
    assert node == ua.NodeId("m0.VoltageL1.EURange", 2)


def test_a_path_may_lead_upwards_and_to_types(space: VirtualAddressSpace) -> None:
    up = step("cab", 2, IsInverse=True)
    assert space.children_by_name(ua.NodeId("m0", 2), up) == [ua.NodeId("cab", 2)]
    only = step("cab", 2, IsInverse=True, ReferenceTypeId=HAS_COMPONENT)
    assert space.children_by_name(ua.NodeId("m0", 2), only) == [ua.NodeId("cab", 2)]
    to_type = step("ElectricityMeterType", ReferenceTypeId=NOBODY)
    assert space.children_by_name(ua.NodeId("m0", 2), to_type) == [ua.NodeId(1011, 3)]


@pytest.mark.parametrize(
    ("start", "element"),
    [
        ("m0", step("VoltageL1", 2)),
        ("m0", step("VoltageL9")),
        ("root", step("m0", 2)),
        ("bus", step("F", 2)),
        ("m0", step("VoltageL1", ReferenceTypeId=ORGANIZES)),
        ("by-medium", step("m0", 2)),
        ("by-medium.Water", step("m0", 2)),
        ("m0", step("", 3)),
    ],
)
def test_a_name_that_no_child_has_finds_nothing(
    space: VirtualAddressSpace, start: str, element: ua.RelativePathElement
) -> None:
    assert space.children_by_name(ua.NodeId(start, 2), element) == []

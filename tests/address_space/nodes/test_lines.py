"""How lines and devices are doing, as nodes: made on demand from reports, in groups where there are many."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asyncua import ua

from address_space.model import MeteringUnit, NodeUid, Plant, PointSpec, Quantity, Template
from address_space.nodes import Report, VirtualAddressSpace

A = ua.AttributeIds
WAITING = ua.StatusCodes.BadWaitingForInitialData
TEMPLATE = Template("meter", [PointSpec(Quantity.ACTIVE_POWER)])


@pytest.fixture
def shown(make_space: Callable[[Plant], VirtualAddressSpace]) -> VirtualAddressSpace:
    """Three meters on two lines."""
    lines = {"m1": "bus-a", "m2": "bus-a", "m3": "bus-b"}
    return make_space(
        Plant([], [MeteringUnit(NodeUid(uid), uid, None, TEMPLATE, channel=line) for uid, line in lines.items()])
    )


def organized(space: VirtualAddressSpace, identifier: str) -> list[str]:
    return [
        reference.NodeId.Identifier
        for reference in space.references(ua.NodeId(identifier, 2))
        if reference.IsForward and reference.ReferenceTypeId == ua.NodeId(35)
    ]


def test_every_line_stands_below_the_drivers(shown: VirtualAddressSpace) -> None:
    assert organized(shown, "system.Drivers") == ["system.Drivers.bus-a", "system.Drivers.bus-b"]
    line = ua.NodeId("system.Drivers.bus-a", 2)
    back = [r for r in shown.references(line) if not r.IsForward]
    assert [(r.NodeId.Identifier, r.ReferenceTypeId.Identifier) for r in back] == [("system.Drivers", 35)]
    assert organized(shown, "system.Drivers.bus-a") == []
    step = ua.RelativePathElement(ua.NodeId(33), False, True, ua.QualifiedName("bus-b", 2))
    assert shown.children_by_name(ua.NodeId("system.Drivers", 2), step) == [ua.NodeId("system.Drivers.bus-b", 2)]


def test_a_line_shows_the_latest_report(shown: VirtualAddressSpace) -> None:
    node = ua.NodeId("system.Drivers.bus-a.Requests", 2)
    assert shown.read_attribute_value(node, A.Value).StatusCode.value == WAITING
    reports = {"system.Drivers.bus-a": Report({"Requests": 7, "Sessions": ["x", "y"], "LastGood": None}, 10**18)}
    shown.facts.report = reports.get
    told = shown.read_attribute_value(node, A.Value)
    assert (told.Value.Value, told.Value.VariantType) == (7, ua.VariantType.UInt32)
    assert told.SourceTimestamp.timestamp() == 10**9
    sessions = ua.NodeId("system.Drivers.bus-a.Sessions", 2)
    assert shown.read_attribute_value(sessions, A.Value).Value.Value == ["x", "y"]
    assert shown.read_attribute_value(sessions, A.ValueRank).Value.Value == 1
    never = shown.read_attribute_value(ua.NodeId("system.Drivers.bus-a.LastGood", 2), A.Value)
    assert (never.StatusCode.value, never.Value.Value) == (WAITING, None)


def test_a_device_is_asked_for_when_somebody_looks(shown: VirtualAddressSpace) -> None:
    asked: list[str] = []

    def report(identifier: str) -> Report:
        asked.append(identifier)
        return Report({"State": 2, "Timeouts": 4}, 10**18)

    shown.facts.report = report
    assert shown.read_attribute_value(ua.NodeId("m3.Communication.State", 2), A.Value).Value.Value == 2
    assert shown.read_attribute_value(ua.NodeId("m3.Communication.Timeouts", 2), A.Value).Value.Value == 4
    assert asked == ["m3", "m3"]
    assert (
        shown.read_attribute_value(ua.NodeId("m3.Communication.State", 2), A.MinimumSamplingInterval).Value.Value
        == 2000
    )


def test_a_unit_shows_what_is_missing_of_its_last_day(shown: VirtualAddressSpace) -> None:
    def below(name: str) -> ua.NodeId:
        return ua.NodeId(f"m3.Communication.{name}", 2)

    day = {"SlotsExpected": 96, "SlotsMissing": 24, "SlotsFilled": 4, "Completeness": 75.0, "LastGap": None}
    shown.facts.report = {"m3": Report(day, 10**18)}.get
    found = {name: shown.read_attribute_value(below(name), A.Value) for name in day}
    assert {name: value.Value.Value for name, value in found.items()} == day
    assert [value.Value.VariantType.name for value in found.values()] == [*["UInt32"] * 3, "Double", "Null"]
    assert found["LastGap"].StatusCode.value == WAITING
    assert shown.read_attribute_value(below("LastGap"), A.DataType).Value.Value == ua.NodeId(ua.ObjectIds.DateTime)
    unit = shown.read_attribute_value(below("Completeness.EngineeringUnits"), A.Value).Value.Value
    assert unit.DisplayName.Text == "%"
    unknown = shown.read_attribute_value(ua.NodeId("m1.Communication.SlotsMissing", 2), A.Value)
    assert (unknown.StatusCode.value, unknown.Value.Value) == (WAITING, None)


def test_many_lines_are_shown_in_groups(make_space: Callable[[Plant], VirtualAddressSpace]) -> None:
    units = [MeteringUnit(NodeUid(f"m{n:04d}"), f"{n}", None, TEMPLATE, channel=f"gw{n:04d}") for n in range(1_000)]
    space = make_space(Plant([], units))
    groups = ["system.Drivers.0001-0500.lines", "system.Drivers.0501-1000.lines"]
    assert organized(space, "system.Drivers") == groups
    assert organized(space, groups[1]) == [f"system.Drivers.gw{n:04d}" for n in range(500, 1_000)]
    assert ua.NodeId("system.Drivers.gw0999.State", 2) in space
    assert ua.NodeId("system.Drivers.gw1000.State", 2) not in space

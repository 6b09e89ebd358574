"""Relay, valve, credit and condition of a meter, as its profile has them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asyncua import ua

from address_space.model import GOOD, MeteringUnit, NodeUid, Plant, PointSpec, Quantity, Template
from address_space.model.quantity import MEASURED
from address_space.nodes import VirtualAddressSpace
from address_space.nodes.standard import HAS_ADD_IN, HAS_COMPONENT

A, T = ua.AttributeIds, ua.VariantType
TWO_STATE = ua.NodeId(ua.ObjectIds.TwoStateDiscreteType)
BELOW = ("Switch", "Valve", "Prepayment", "Status")


@pytest.fixture
def shown(make_space: Callable[[Plant], VirtualAddressSpace]) -> VirtualAddressSpace:
    """A meter with a point of everything, one with a relay only, and one that only measures."""

    def meter(uid: str, *quantities: Quantity) -> MeteringUnit:
        return MeteringUnit(NodeUid(uid), uid, None, Template(uid, [PointSpec(quantity) for quantity in quantities]))

    relay = meter("m2", Quantity.ACTIVE_POWER, Quantity.SWITCH_STATE, Quantity.BATTERY_LOW)
    return make_space(Plant([], [meter("m1", *MEASURED), relay, meter("m3", Quantity.ACTIVE_POWER)]))


def value(space: VirtualAddressSpace, identifier: str, attribute: ua.AttributeIds = A.Value) -> object:
    told = space.read_attribute_value(ua.NodeId(identifier, 2), attribute)
    assert told.StatusCode.is_good(), identifier
    return told.Value.Value


def show(space: VirtualAddressSpace, identifier: str, number: float) -> None:
    handle = space.handle_of(identifier)
    space.live.value[handle], space.live.status[handle] = number, GOOD


def children(space: VirtualAddressSpace, identifier: str) -> dict[str, ua.NodeId]:
    return {
        reference.NodeId.Identifier: reference.ReferenceTypeId
        for reference in space.references(ua.NodeId(identifier, 2))
        if reference.IsForward and reference.NodeId.NamespaceIndex == 2
    }


def test_a_unit_has_what_its_profile_has(shown: VirtualAddressSpace) -> None:
    found = {uid: {name for name in BELOW if f"{uid}.{name}" in children(shown, uid)} for uid in ("m1", "m2", "m3")}
    assert found == {"m1": set(BELOW), "m2": {"Switch", "Status"}, "m3": set()}
    assert children(shown, "m2")["m2.Switch"] == HAS_ADD_IN
    assert children(shown, "m2")["m2.Status"] == HAS_COMPONENT
    assert set(children(shown, "m2.Status")) == {"m2.Status.BatteryLow"}
    assert set(children(shown, "m2.Switch")) == {
        f"m2.Switch.{name}" for name in ("State", "CommandState", "Trip", "Close")
    }


def test_a_state_is_a_number_of_its_enumeration(shown: VirtualAddressSpace) -> None:
    show(shown, "m2.Switch.State", 2.0)
    told = shown.read_attribute_value(ua.NodeId("m2.Switch.State", 2), A.Value)
    assert (told.Value.Value, told.Value.VariantType) == (2, T.Int32)
    assert value(shown, "m2.Switch.State", A.DataType) == ua.NodeId(3003, 3)
    assert value(shown, "m1.Valve.State", A.DataType) == ua.NodeId(3004, 3)
    assert value(shown, "m1.Switch.Commanded", A.DataType) == ua.NodeId(3003, 3)
    assert value(shown, "m2.Switch.CommandState") == 0


def test_yes_and_no_are_two_states_with_their_words(shown: VirtualAddressSpace) -> None:
    show(shown, "m2.Status.BatteryLow", 1.0)
    assert value(shown, "m2.Status.BatteryLow") is True
    kinds = [
        reference.NodeId
        for reference in shown.references(ua.NodeId("m2.Status.BatteryLow", 2))
        if reference.ReferenceTypeId == ua.NodeId(40)
    ]
    assert kinds == [TWO_STATE]
    words = [
        shown.read_attribute_value(ua.NodeId(f"m2.Status.BatteryLow.{name}", 2), A.Value, "ru").Value.Value.Text
        for name in ("TrueState", "FalseState")
    ]
    assert words == ["Да", "Нет"]


def test_counts_and_credit_travel_in_their_types(shown: VirtualAddressSpace) -> None:
    for name, number, variant in (
        ("Status.CoverOpenCount", 3.0, T.UInt32),
        ("Prepayment.PurchaseCount", 12.0, T.UInt32),
        ("Prepayment.MeterCredit", 15.25, T.Double),
        ("OperatingTime", 8_760.5, T.Double),
    ):
        show(shown, f"m1.{name}", number)
        told = shown.read_attribute_value(ua.NodeId(f"m1.{name}", 2), A.Value).Value
        assert (told.Value, told.VariantType) == (number, variant)
    assert value(shown, "m1.Prepayment.MeterCreditEnergy.EngineeringUnits").DisplayName.Text == "kW·h"
    assert value(shown, "m1.OperatingTime.EngineeringUnits").UnitId == 4_740_434


def test_a_member_is_found_by_its_path_and_called_as_its_type_says(shown: VirtualAddressSpace) -> None:
    node = ua.NodeId("m2", 2)
    for name in ("Switch", "State"):
        step = ua.RelativePathElement(ua.NodeId(33), IsInverse=False, IncludeSubtypes=True)
        step.TargetName = ua.QualifiedName(name, 3)
        (node,) = shown.children_by_name(node, step)
    assert node.Identifier == "m2.Switch.State"
    assert shown.read_attribute_value(node, A.DisplayName, "ru").Value.Value.Text == "Состояние"
    battery = shown.read_attribute_value(ua.NodeId("m2.Status.BatteryLow", 2), A.DisplayName, "ru")
    assert battery.Value.Value.Text == "Батарея разряжена"

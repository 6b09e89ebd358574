"""Values, handles, writes and callbacks of virtual nodes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from address_space.model import GOOD, NodeUid, Plant, PointId, Quantity, Reason
from address_space.nodes import SystemInfo, VirtualAddressSpace
from address_space.nodes.standard import AGGREGATES, ORGANIZES

A, T = ua.AttributeIds, ua.VariantType
MakeSpace = Callable[[Plant], VirtualAddressSpace]


def read(space: VirtualAddressSpace, identifier: str, attribute: int = A.Value, locale: str = "en") -> ua.DataValue:
    return space.read_attribute_value(ua.NodeId(identifier, 2), attribute, locale)


def put(space: VirtualAddressSpace, point: str, value: float, status: int = GOOD) -> None:
    handle = space.handle_of(point)
    assert handle >= 0
    now = space.facts.clock.now_ns()
    space.live.apply(np.array([handle]), np.array([value]), np.array([status], np.uint32), now, now)


@pytest.fixture
def fresh(make_space: MakeSpace, plant_maker: Callable[[], Plant]) -> VirtualAddressSpace:
    return make_space(plant_maker())


def test_every_point_is_found_at_its_own_handle(space: VirtualAddressSpace) -> None:
    for handle in range(space.plant.size):
        assert space.handle_of(space.plant.point(handle).id) == handle  # type: ignore[arg-type]


def test_what_shows_no_live_value_has_no_handle(space: VirtualAddressSpace) -> None:
    for identifier in ("m0", "root", "m0.VoltageL1.EURange", "m0.VoltageL2", "nobody.VoltageL1", "m0.", "", "."):
        assert space.handle_of(identifier) == -1


@given(st.text(max_size=30))
def test_any_text_at_all_is_either_a_node_or_unknown(space: VirtualAddressSpace, identifier: str) -> None:
    place = space.resolve(identifier)
    assert (place is not None) == (ua.NodeId(identifier, 2) in space)
    assert place is None or place.id == identifier
    if place is None:
        assert read(space, identifier).StatusCode.value == ua.StatusCodes.BadNodeIdUnknown


@pytest.mark.parametrize("identifier", ["m0.", "m0..VoltageL1", "M0", "by-medium.", "root.", "by-line.nowhere", ".Uid"])
def test_near_misses_are_no_nodes(space: VirtualAddressSpace, identifier: str) -> None:
    assert ua.NodeId(identifier, 2) not in space
    assert space.get(ua.NodeId(identifier, 2)) is None
    with pytest.raises(KeyError):
        space[ua.NodeId(identifier, 2)]


def test_a_good_value_is_shown_with_its_times(fresh: VirtualAddressSpace) -> None:
    put(fresh, "m0.VoltageL1", 231.5)
    shown = read(fresh, "m0.VoltageL1")
    assert shown.Value == ua.Variant(231.5, T.Double)
    assert shown.StatusCode.value == 0
    assert shown.SourceTimestamp == shown.ServerTimestamp == datetime.fromtimestamp(1_800_000_000, UTC)


def test_an_uncertain_value_is_shown_and_a_bad_one_is_null(fresh: VirtualAddressSpace) -> None:
    put(fresh, "m0.VoltageL1", 231.5, Reason.STALE.status)
    assert read(fresh, "m0.VoltageL1").Value.Value == 231.5
    put(fresh, "m0.VoltageL1", 231.5, Reason.TIMEOUT.status)
    assert read(fresh, "m0.VoltageL1").Value.Value is None
    assert read(fresh, "m0.VoltageL1").StatusCode.value == Reason.TIMEOUT.status


def test_states_counts_and_instants_travel_in_their_own_types(fresh: VirtualAddressSpace) -> None:
    put(fresh, "m0.Quality", 3)
    put(fresh, "m0.Communication.Online", 1)
    put(fresh, "m0.Communication.ConsecutiveFailures", 7)
    put(fresh, "m0.Communication.LastSuccess", 1_800_000_000.5)
    put(fresh, "m0.ActiveTariff", 2)
    assert read(fresh, "m0.Quality").Value == ua.Variant(3, T.Int32)
    assert read(fresh, "m0.Communication.Online").Value == ua.Variant(Value=True, VariantType=T.Boolean)
    assert read(fresh, "m0.Communication.ConsecutiveFailures").Value == ua.Variant(7, T.UInt32)
    moment = datetime(2027, 1, 15, 8, 0, 0, 500_000, UTC)
    assert read(fresh, "m0.Communication.LastSuccess").Value == ua.Variant(moment, T.DateTime)
    assert read(fresh, "m0.ActiveTariff").Value == ua.Variant(2, T.UInt16)


def test_a_text_value_comes_from_the_texts_of_the_live_table(fresh: VirtualAddressSpace) -> None:
    put(fresh, "m0.Communication.LastError", float("nan"))
    fresh.live.texts[fresh.handle_of("m0.Communication.LastError")] = "no answer"
    assert read(fresh, "m0.Communication.LastError").Value.Value.Text == "no answer"


def test_properties_tell_what_the_template_and_the_unit_say(space: VirtualAddressSpace) -> None:
    assert read(space, "m0.ActiveEnergyImport.EURange").Value.Value == ua.Range(0.0, 1e9)
    units = read(space, "m0.ActiveEnergyImport.EngineeringUnits").Value.Value
    assert (units.UnitId, units.DisplayName.Text) == (4937544, "kW·h")
    assert units.NamespaceUri == "http://www.opcfoundation.org/UA/units/un/cefact"
    assert read(space, "m0.PowerFactor.EngineeringUnits").Value.Value.UnitId == 4404786
    assert read(space, "m0.ActiveEnergyImport.ObisCode").Value.Value == "1-0:1.8.0*255"
    assert read(space, "m0.ActiveEnergyImport.MeasurementId").Value == ua.Variant(1002, T.UInt16)
    assert read(space, "m0.ActiveEnergyImport.Multiplier").Value.Value == 2000.0
    assert read(space, "m0.ActiveEnergyImport.RolloverAt").Value.Value == 1e6
    assert read(space, "m0.ActiveEnergyImport.SourceAddress").Value.Value == "FC4 0x0048 float32"
    assert read(space, "m0.VoltageL1.Phase").Value == ua.Variant(1, T.Int32)
    assert read(space, "m0.VoltageL1.ValuePrecision").Value.Value == 0.1
    assert read(space, "m0.DemandImport15min.Period").Value.Value == 900_000.0
    assert read(space, "m0.Path").Value.Value == "N/s1/TP-12/tr/bus/F/b1/fl/con/cab/m0"
    assert read(space, "m4.Identification.VerificationDue").Value.Value == datetime(2031, 5, 1, tzinfo=UTC)
    assert read(space, "tr.PrimaryVoltage.EngineeringUnits").Value.Value.UnitId == 4937300
    assert read(space, "con.Category").Value == ua.Variant(3, T.Int32)


def test_recorded_variables_offer_history_and_others_do_not(space: VirtualAddressSpace) -> None:
    assert read(space, "m0.VoltageL1", A.AccessLevel).Value.Value == 5
    assert read(space, "m0.VoltageL1", A.Historizing).Value.Value is True
    assert read(space, "m0.VoltageL1.HAConfiguration.Stepped").Value.Value is False
    assert read(space, "m0.ActiveEnergyImport.HAConfiguration.Stepped").Value.Value is True
    assert read(space, "m0.VoltageL1.HAConfiguration.ExceptionDeviation").Value.Value == 0.5
    assert read(space, "m0.VoltageL1.HAConfiguration.MinTimeInterval").Value.Value == 5000.0
    functions = ua.NodeId("m0.VoltageL1.HAConfiguration.AggregateFunctions", 2)
    organized = [one.NodeId for one in space.references(functions) if one.ReferenceTypeId == ORGANIZES]
    assert organized == [ua.NodeId(number) for number in AGGREGATES]
    assert read(space, "m0.PowerFactor", A.AccessLevel).Value.Value == 1
    assert ua.NodeId("m0.PowerFactor.HAConfiguration", 2) not in space


def test_the_start_of_the_archive_is_asked_for_when_it_is_read(fresh: VirtualAddressSpace) -> None:
    path = "m0.VoltageL1.HAConfiguration.StartOfArchive"
    assert read(fresh, path).Value.Value == datetime(1601, 1, 1, tzinfo=UTC)
    fresh.facts.archive_start = lambda: datetime(2026, 5, 1, tzinfo=UTC)
    assert read(fresh, path).Value.Value == datetime(2026, 5, 1, tzinfo=UTC)


def test_clients_are_told_to_sample_no_faster_than_the_meter_is_polled(space: VirtualAddressSpace) -> None:
    assert read(space, "m0.VoltageL1", A.MinimumSamplingInterval).Value.Value == 5000.0


def test_texts_follow_the_language(space: VirtualAddressSpace) -> None:
    assert read(space, "m0.VoltageL1", A.DisplayName, "ru").Value.Value.Text == "Напряжение L1"
    assert read(space, "north", A.DisplayName, "zh").Value.Value.Text == "北区"
    assert read(space, "m0.Communication.Online.TrueState", A.Value, "uz").Value.Value.Text == "Aloqada"
    strings = space.read_attribute_value(ua.NodeId("x", 2), A.Value)
    assert strings.StatusCode.value == ua.StatusCodes.BadNodeIdUnknown
    enum_strings = ua.NodeId(space.model.ids["MediumEnum_EnumStrings"], 3)
    assert space.read_attribute_value(enum_strings, A.Value, "ru").Value.Value[1].Text == "Вода"
    assert space.read_attribute_value(enum_strings, A.Value, "en").Value.Value[1].Text == "Water"


async def test_nothing_of_the_plant_can_be_written(space: VirtualAddressSpace) -> None:
    value = ua.DataValue(ua.Variant(1.0, T.Double))
    for identifier, status in (
        ("m0.VoltageL1", ua.StatusCodes.BadNotWritable),
        ("m0", ua.StatusCodes.BadAttributeIdInvalid),
        ("nobody", ua.StatusCodes.BadNodeIdUnknown),
    ):
        answer = await space.write_attribute_value(ua.NodeId(identifier, 2), A.Value, value)
        assert answer.value == status


def test_watchers_are_kept_until_they_are_deleted(fresh: VirtualAddressSpace) -> None:
    node = ua.NodeId("m0.VoltageL1", 2)
    status, first = fresh.add_datachange_callback(node, A.Value, print)
    _, second = fresh.add_datachange_callback(node, A.Value, print)
    assert status.is_good()
    assert set(fresh.watchers["m0.VoltageL1", A.Value]) == {first, second}
    fresh.delete_datachange_callback(first)
    fresh.delete_datachange_callback(second)
    assert not fresh.watchers
    fresh.delete_datachange_callback(second)
    assert fresh.add_datachange_callback(ua.NodeId("m0", 2), A.Value, print)[0].is_bad()
    assert fresh.add_datachange_callback(ua.NodeId("nobody", 2), A.Value, print)[0].is_bad()


def test_a_method_bound_once_is_executable_on_every_unit(fresh: VirtualAddressSpace) -> None:
    assert read(fresh, "m0.ReadNow", A.Executable).Value.Value is False
    fresh.bind_method("ReadNow", print)
    assert read(fresh, "m1.ReadNow", A.Executable).Value.Value is True
    assert fresh[ua.NodeId("m1.ReadNow", 2)].call is print


def test_the_system_node_shows_what_it_was_last_told(fresh: VirtualAddressSpace) -> None:
    loaded = datetime(2026, 5, 1, tzinfo=UTC)
    fresh.system = SystemInfo("7", loaded, "ok", "standby")
    assert read(fresh, "system.ConfigVersion").Value.Value == "7"
    assert read(fresh, "system.ConfigLoadedAt").Value.Value == loaded
    assert read(fresh, "system.ActiveRole").Value.Value == "standby"


def test_another_plant_takes_over_and_what_was_bound_stays(
    fresh: VirtualAddressSpace, plant_maker: Callable[[], Plant]
) -> None:
    fresh.bind_method("ReadNow", print)
    fresh.facts.node_versions["north"] = 4
    old = plant_maker()
    fewer = Plant(old.nodes.values(), [unit for unit in old.units if unit.id != "m0"])
    fresh.adopt(fewer, type(fresh.live)(fewer, 0))
    assert ua.NodeId("m0", 2) not in fresh
    assert fresh.handle_of("m1.VoltageL1") == fewer.handle(PointId("m1.VoltageL1"))
    assert read(fresh, "m1.ReadNow", A.Executable).Value.Value is True
    assert read(fresh, "north.NodeVersion").Value.Value == "4"


def test_the_node_data_that_asyncua_sees_holds_the_present(fresh: VirtualAddressSpace) -> None:
    node = fresh[ua.NodeId("m0.VoltageL1", 2)]
    put(fresh, "m0.VoltageL1", 229.0)
    assert node.attributes[A.Value].value.Value.Value == 229.0
    assert A.EventNotifier not in node.attributes
    assert {reference.NodeId.Identifier for reference in node.references} >= {"m0", "m0.VoltageL1.EURange"}


def test_the_owner_of_a_node_is_the_unit_node_or_folder(space: VirtualAddressSpace) -> None:
    assert space.owner_of(ua.NodeId("m0.VoltageL1.EURange", 2)) == NodeUid("m0")
    assert space.owner_of(ua.NodeId(85)) == ""
    assert Quantity.VOLTAGE_L1.path == "VoltageL1"

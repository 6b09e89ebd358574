"""The ids of the type model are frozen: clients store them."""

from __future__ import annotations

import csv
from hashlib import sha256
from importlib.resources import files

import pytest
from asyncua import ua

from address_space.nodes.catalogue import Catalogue
from address_space.nodes.errors import TypeModelError
from address_space.nodes.standard import TYPES_ID_RANGE
from address_space.nodes.types_model import IDS_FILE, TypeModel, frozen_ids
from address_space.nodes.types_nodes import symbols, type_nodes

FROZEN_ROWS = 495
FROZEN_DIGEST = "267e9d16c98c01f655f7b9d3f8940f072b14c7aabbc9b02590337fc5869d03cb"
"""The first rows of the id file as released; new rows are appended, and these never change."""

WELL_KNOWN = {
    "HierarchyNodeType": 1000,
    "RegionType": 1001,
    "ConsumerType": 1007,
    "MeteringUnitType": 1010,
    "ElectricityMeterType": 1011,
    "CompressedAirMeterType": 1016,
    "IdentificationType": 1020,
    "CommunicationType": 1021,
    "SwitchControlType": 1022,
    "ValveControlType": 1023,
    "PrepaymentType": 1024,
    "MeterStatusType": 1025,
    "SummaryType": 1030,
    "SystemType": 1040,
    "ChannelType": 1041,
    "MeteredValueType": 2001,
    "CounterValueType": 2002,
    "DemandValueType": 2003,
    "MoneyType": 2004,
    "MediumEnum": 3001,
    "MeterStateEnum": 3002,
    "SwitchStateEnum": 3003,
    "ValveStateEnum": 3004,
    "CommandStateEnum": 3005,
    "ProtocolEnum": 3006,
    "PrepayModeEnum": 3007,
    "PhaseEnum": 3008,
    "CommunicationStateEnum": 3010,
    "CounterAnomalyEnum": 3011,
    "MeterCommunicationAlarmType": 4001,
    "LowCreditAlarmType": 4002,
    "TamperAlarmType": 4003,
    "CommandEventType": 4004,
    "ConfigurationChangedEventType": 4005,
    "MeterStatusEventType": 4006,
    "CounterAnomalyEventType": 4007,
    "MeterLogEventType": 4008,
    "Feeds": 4501,
    "MeasuredBy": 4502,
}


def rows() -> list[list[str]]:
    text = files("address_space.nodes").joinpath(IDS_FILE).read_text("utf-8")
    return list(csv.reader(text.splitlines()))


def test_released_ids_never_change() -> None:
    released = "\n".join(",".join(row) for row in rows()[:FROZEN_ROWS])
    assert sha256(released.encode()).hexdigest() == FROZEN_DIGEST


def test_every_id_lies_in_the_range_that_the_namespace_tells() -> None:
    first, last = map(int, TYPES_ID_RANGE.split(":"))
    assert all(first <= number <= last for number in frozen_ids().values())


def test_no_id_and_no_symbol_is_used_twice() -> None:
    found = rows()
    assert len({row[0] for row in found}) == len(found)
    assert len({row[1] for row in found}) == len(found)


@pytest.mark.parametrize(("name", "number"), WELL_KNOWN.items())
def test_types_have_the_published_ids(name: str, number: int) -> None:
    assert TypeModel().own_id(name) == ua.NodeId(number, 3)


def test_every_declared_node_has_an_id_of_its_class() -> None:
    recorded = {symbol: node_class for symbol, _, node_class in rows()}
    for symbol, node_class in symbols(TypeModel(), Catalogue()):
        assert recorded[symbol] == node_class.name


def test_a_declared_node_without_an_id_is_refused() -> None:
    ids = {symbol: int(number) for symbol, number, _ in rows() if symbol != "RegionType"}
    with pytest.raises(TypeModelError, match="RegionType has no frozen id"):
        type_nodes(TypeModel(ids=ids), Catalogue())


def test_a_type_that_nobody_declares_is_refused() -> None:
    with pytest.raises(TypeModelError, match="neither a declared type"):
        TypeModel().node_id("NoSuchType")

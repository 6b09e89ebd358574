"""Node lists of ReadRequests: what they mean, and that they are remembered within bounds."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import list_to_binary, struct_from_binary
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model.hierarchy import MeteringUnit
from address_space.model.ids import NodeUid, PointId
from address_space.model.live import LiveTable
from address_space.model.plant import Plant
from address_space.model.point import PointSpec, Template
from address_space.model.quantity import Quantity
from address_space.nodes.fast import ReadLists, columns_of, present_values
from address_space.nodes.wire import Timestamps, encode

_NOW = 1_800_000_000_000_000_000
_TEMPLATE = Template("t", [PointSpec(Quantity.ACTIVE_POWER), PointSpec(Quantity.ACTIVE_ENERGY_IMPORT)])


@pytest.fixture
def plant() -> Plant:
    return Plant([], [MeteringUnit(NodeUid(f"m{number}"), "meter", None, _TEMPLATE) for number in range(5)])


def _lists(plant: Plant, limit_bytes: int = 1_000_000) -> ReadLists:
    def resolve(identifier: str) -> int:
        handle = plant.handle(PointId(identifier))
        return -1 if handle is None else handle

    return ReadLists(plant, resolve, limit_bytes)


def _value(identifier: str, namespace: int = 2) -> ua.ReadValueId:
    return ua.ReadValueId(ua.NodeId(identifier, namespace), ua.AttributeIds.Value)


def _written(nodes: list[ua.ReadValueId]) -> bytes:
    encoded: bytes = list_to_binary(ua.ReadValueId, nodes)
    return encoded


def test_values_of_points_are_fast_and_everything_else_is_left_to_the_address_space(plant: Plant) -> None:
    ranged = ua.ReadValueId(ua.NodeId("m1.ActivePower", 2), ua.AttributeIds.Value, "0:1")
    named = ua.ReadValueId(ua.NodeId("m1.ActivePower", 2), ua.AttributeIds.DisplayName)
    nodes = [_value("m1.ActivePower"), ranged, named, _value("m1.ActivePower", 3), _value("m4.ActiveEnergyImport")]
    nodes += [ua.ReadValueId(ua.NodeId(2258), ua.AttributeIds.Value), _value("m9.ActivePower")]
    understood = _lists(plant).understand(_written(nodes))
    assert understood.count == len(nodes)
    assert understood.positions.tolist() == [0, 4]
    assert understood.points.handles.tolist() == [
        plant.handle(PointId("m1.ActivePower")),
        plant.handle(PointId("m4.ActiveEnergyImport")),
    ]
    assert [node for _, node in understood.others] == [nodes[1], nodes[2], nodes[3], nodes[5], nodes[6]]


def test_a_list_that_comes_again_is_not_decoded_again(plant: Plant) -> None:
    lists = _lists(plant)
    nodes = _written([_value("m1.ActivePower")])
    assert lists.understand(nodes) is lists.understand(bytes(nodes))


def test_remembered_lists_stay_below_their_limit_and_the_oldest_goes_first(plant: Plant) -> None:
    lists = _lists(plant, limit_bytes=5_000)
    kept = _written([_value("m1.ActivePower")])
    first = lists.understand(kept)
    for number in range(200):
        lists.understand(_written([_value("m1.ActivePower"), _value(f"x{number}")]))
        assert lists.understand(kept) is first
    assert 0 < lists.held_bytes <= 5_000
    assert len(lists) < 10


def test_a_list_larger_than_a_quarter_of_the_limit_is_not_remembered(plant: Plant) -> None:
    lists = _lists(plant, limit_bytes=2_000)
    lists.understand(_written([_value("m1.ActivePower")] * 50))
    assert len(lists) == 0


def test_what_is_remembered_is_forgotten_with_the_plant(plant: Plant) -> None:
    lists = _lists(plant)
    lists.understand(_written([_value("m1.ActivePower")]))
    lists.clear(plant)
    assert (len(lists), lists.held_bytes) == (0, 0)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_either_understood_or_refused_as_undecodable(nodes: bytes) -> None:
    plant = Plant([], [MeteringUnit(NodeUid("m1"), "meter", None, _TEMPLATE)])
    with contextlib.suppress(ua.uaerrors.BadDecodingError):
        understood = _lists(plant).understand(nodes)
        assert understood.count == len(understood.points) + len(understood.others)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 3, 255, 300]),
            st.sampled_from([1, 200, 2_256, 70_000, 2**32 - 1]),
            st.sampled_from([1, 4, 13, 99]),
            st.sampled_from([None, "0:1"]),
        ),
        max_size=8,
    )
)
def test_numeric_ids_of_every_size_are_understood_as_they_were_sent(
    asked: list[tuple[int, int, int, str | None]],
) -> None:
    plant = Plant([], [MeteringUnit(NodeUid("m1"), "meter", None, _TEMPLATE)])
    nodes = [ua.ReadValueId(ua.NodeId(number, space), attribute, part) for space, number, attribute, part in asked]
    understood = _lists(plant).understand(_written([*nodes, *nodes]))
    assert [node for _, node in understood.others] == [*nodes, *nodes]
    assert [position for position, _ in understood.others] == list(range(2 * len(nodes)))


def test_a_truncated_list_is_refused_wherever_it_is_cut(plant: Plant) -> None:
    whole = _written([_value("m1.ActivePower"), ua.ReadValueId(ua.NodeId(2258), ua.AttributeIds.Value)])
    for end in range(len(whole)):
        with pytest.raises(ua.UaStatusCodeError):
            _lists(plant).understand(whole[:end])


def test_values_come_from_the_live_table_as_it_is_now(plant: Plant) -> None:
    live = LiveTable(plant, _NOW)
    understood = _lists(plant).understand(_written([_value("m1.ActivePower"), _value("m1.Communication.LastError")]))
    handles = understood.points.handles
    live.apply(handles, np.array([4.25, np.nan]), np.zeros(2, np.uint32), _NOW, _NOW, {int(handles[1]): "silent"})
    pieces = present_values(live, understood, Timestamps.BOTH).pieces()
    number, text = (struct_from_binary(ua.DataValue, Buffer(piece)) for piece in pieces)
    assert number.Value.Value == 4.25
    assert text.Value.Value.Text == "silent"


def test_a_list_that_is_read_again_tells_every_change_of_value_status_and_time(plant: Plant) -> None:
    live = LiveTable(plant, _NOW)
    understood = _lists(plant).understand(_written([_value("m1.ActivePower")]))
    handles = understood.points.handles
    good, bad = np.zeros(1, np.uint32), np.full(1, 0x80050000, np.uint32)
    told = [present_values(live, understood, Timestamps.BOTH).buffer]
    for value, status, at_ns in ((1.0, good, 1), (2.0, good, 1), (2.0, good, 1_000), (np.nan, bad, 1_000)):
        live.apply(handles, np.array([value]), status, _NOW + at_ns, _NOW + at_ns)
        told.append(present_values(live, understood, Timestamps.BOTH).buffer)
        assert present_values(live, understood, Timestamps.BOTH).buffer == told[-1]
        fresh = encode(columns_of(live, understood.points), Timestamps.BOTH).buffer
        assert told[-1] == fresh
    assert len(set(told)) == len(told)
    assert present_values(live, understood, Timestamps.NEITHER).buffer != told[-1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(width=64), min_size=5, max_size=5),
    st.lists(st.sampled_from([0, 0, 0, 0x408F0000, 0x80050000]), min_size=5, max_size=5),
    st.sampled_from(list(Timestamps)),
)
def test_a_list_of_doubles_is_written_as_any_other(values: list[float], status: list[int], stamps: Timestamps) -> None:
    made = Plant([], [MeteringUnit(NodeUid(f"m{number}"), "meter", None, _TEMPLATE) for number in range(5)])
    live = LiveTable(made, _NOW)
    understood = _lists(made).understand(_written([_value(f"m{number}.ActivePower") for number in range(5)]))
    for turn in (1.0, 0.5):
        live.apply(understood.points.handles, np.array(values) * turn, np.array(status, np.uint32), _NOW + 77, _NOW)
        plain = encode(columns_of(live, understood.points), stamps)
        told = present_values(live, understood, stamps)
        assert (told.buffer, told.pieces()) == (plain.buffer, plain.pieces())


def test_lists_of_one_length_are_told_apart(plant: Plant) -> None:
    lists = _lists(plant)
    one, other = (_written([_value(f"m1.{name}")]) for name in ("ActivePower", "Frequency__"))
    assert len(one) == len(other)
    for _ in range(3):
        assert len(lists.understand(one).points) == 1
        assert len(lists.understand(other).points) == 0

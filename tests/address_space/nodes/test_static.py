"""Attributes sent from their kept encoding are, byte for byte, those that are made anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

from address_space.model import Plant
from address_space.model.clock import to_datetime
from address_space.model.quantity import LOCALES
from address_space.nodes import SystemInfo, VirtualAddressSpace
from address_space.nodes.shapes import Live
from address_space.nodes.static import StaticAttributes
from address_space.nodes.wire import Timestamps

A = ua.AttributeIds
NOW_NS = 1_900_000_000_123_456_000


def the_long_way(space: VirtualAddressSpace, node: ua.ReadValueId, timestamps: Timestamps, locale: str) -> bytes:
    """The attribute read as an object and written by asyncua."""
    read = space.read_attribute_value(node.NodeId, A(node.AttributeId), locale)
    source = read.SourceTimestamp if timestamps.source and node.AttributeId == A.Value else None
    server = to_datetime(NOW_NS) if timestamps.server else None
    written: bytes = struct_to_binary(dataclasses.replace(read, SourceTimestamp=source, ServerTimestamp=server))
    return written


@pytest.mark.parametrize("locale", LOCALES)
def test_whatever_is_kept_equals_what_is_made_anew(space: VirtualAddressSpace, locale: str) -> None:
    static = StaticAttributes(space)
    answered = 0
    for number, identifier in enumerate(list(space.identifiers())[LOCALES.index(locale) :: len(LOCALES)]):
        timestamps = Timestamps(number % 4)
        for attribute in A:
            node = ua.ReadValueId(ua.NodeId(identifier, 2), attribute)
            written = static.encoded(node, timestamps, locale, NOW_NS)
            if written is not None:
                answered += 1
                assert written == the_long_way(space, node, timestamps, locale), (identifier, attribute)
                assert static.encoded(node, timestamps, locale, NOW_NS) == written
    assert answered > 5_000


def test_what_is_no_static_attribute_is_left_to_the_long_way(space: VirtualAddressSpace) -> None:
    static = StaticAttributes(space)

    def asked(node: ua.NodeId, attribute: int = A.DisplayName, **more: object) -> bytes | None:
        return static.encoded(ua.ReadValueId(node, attribute, **more), Timestamps.BOTH, "en", NOW_NS)

    voltage = ua.NodeId("m0.VoltageL1", 2)
    assert asked(voltage) is not None
    assert asked(voltage, IndexRange="0") is None
    assert asked(voltage, DataEncoding=ua.QualifiedName("Default XML")) is None
    assert asked(voltage, A.Value) is None
    assert asked(voltage, A.EventNotifier) is None
    assert asked(voltage, A.UserAccessLevel) is None
    assert asked(voltage, 99) is None
    assert asked(ua.NodeId("nowhere", 2)) is None
    assert asked(ua.NodeId("m0.ReadNow", 2), A.Executable) is None
    assert asked(ua.NodeId(2253)) is None
    assert asked(ua.NodeId(7, 2)) is None
    place = space.places.resolve("m0")
    assert place is not None
    live = [path for path, member in place.shape.members.items() if isinstance(member.source, Live)]
    assert all(asked(ua.NodeId(f"m0.{path}", 2), A.Value) is None for path in live)


def test_values_of_the_owners_are_never_taken_from_another(
    plant_maker: Callable[[], Plant], make_space: Callable[[Plant], VirtualAddressSpace]
) -> None:
    space = make_space(plant_maker())
    static = StaticAttributes(space)

    def written(identifier: str) -> bytes:
        found = static.encoded(ua.ReadValueId(ua.NodeId(identifier, 2), A.Value), Timestamps.NEITHER, "en", NOW_NS)
        assert found is not None
        return found

    assert b"SN0" in written("m0.Identification.SerialNumber")
    assert b"SN3" in written("m3.Identification.SerialNumber")
    assert b"standby" not in written("system.ActiveRole")
    space.system = SystemInfo(active_role="standby")
    assert b"standby" in written("system.ActiveRole")


def test_a_plant_that_takes_the_place_of_another_brings_its_own_names(
    plant_maker: Callable[..., Plant], make_space: Callable[[Plant], VirtualAddressSpace]
) -> None:
    space = make_space(plant_maker())
    static = StaticAttributes(space, limit=3)
    node = ua.ReadValueId(ua.NodeId("m0.VoltageL1", 2), A.DisplayName)
    before = static.encoded(node, Timestamps.BOTH, "ru", NOW_NS)
    for path in ("EURange", "EngineeringUnits", "Phase", "ObisCode"):
        static.encoded(ua.ReadValueId(ua.NodeId(f"m0.VoltageL1.{path}", 2), A.Value), Timestamps.BOTH, "ru", NOW_NS)
    assert static.kept <= 3
    space.adopt(plant_maker(backwards=True), space.live)
    assert static.encoded(node, Timestamps.BOTH, "ru", NOW_NS) == before
    assert static.kept == 1

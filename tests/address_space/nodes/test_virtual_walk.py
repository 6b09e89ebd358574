"""Invariants over every node of a plant that has one of everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import variant_from_binary, variant_to_binary

from address_space.model import Plant
from address_space.model.quantity import LOCALES
from address_space.nodes import VirtualAddressSpace
from address_space.nodes.attributes import BY_CLASS
from address_space.nodes.shapes import Reported
from address_space.nodes.standard import AGGREGATES, HAS_NOTIFIER, HAS_TYPE_DEFINITION
from address_space.nodes.types import M

A, T = ua.AttributeIds, ua.VariantType
HIERARCHICAL = ua.NodeId(33)

VARIANTS = {
    A.NodeId: T.NodeId,
    A.NodeClass: T.Int32,
    A.BrowseName: T.QualifiedName,
    A.DisplayName: T.LocalizedText,
    A.Description: T.LocalizedText,
    A.WriteMask: T.UInt32,
    A.UserWriteMask: T.UInt32,
    A.EventNotifier: T.Byte,
    A.DataType: T.NodeId,
    A.ValueRank: T.Int32,
    A.AccessLevel: T.Byte,
    A.UserAccessLevel: T.Byte,
    A.MinimumSamplingInterval: T.Double,
    A.Historizing: T.Boolean,
    A.Executable: T.Boolean,
    A.UserExecutable: T.Boolean,
}
"""Data types of attributes, OPC 10000-3 5.9."""


def text(space: VirtualAddressSpace, node: ua.NodeId, attribute: ua.AttributeIds) -> object:
    return space.read_attribute_value(node, attribute).Value.Value


def test_every_node_is_found_by_its_own_id(space: VirtualAddressSpace) -> None:
    found = list(space.nodes())
    assert len(found) == len(set(found)) > 1000
    assert all(node in space and text(space, node, A.NodeId) == node for node in found)


def test_every_node_answers_every_attribute_of_its_class_in_the_right_type(space: VirtualAddressSpace) -> None:
    for node in space.nodes():
        node_class = ua.NodeClass(text(space, node, A.NodeClass))
        for attribute in BY_CLASS[node_class] - {A.Value}:
            answer = space.read_attribute_value(node, attribute)
            assert answer.StatusCode.is_good(), (node, attribute)
            assert answer.Value.VariantType is VARIANTS[attribute], (node, attribute)
        for attribute in set(VARIANTS) - BY_CLASS[node_class]:
            answer = space.read_attribute_value(node, attribute)
            assert answer.StatusCode.value == ua.StatusCodes.BadAttributeIdInvalid, (node, attribute)


def test_every_value_travels_in_the_type_that_its_data_type_names(space: VirtualAddressSpace) -> None:
    for node in space.nodes():
        if text(space, node, A.NodeClass) != ua.NodeClass.Variable:
            continue
        answer = space.read_attribute_value(node, A.Value)
        assert answer.ServerTimestamp is not None
        assert answer.SourceTimestamp is not None
        data_type = text(space, node, A.DataType)
        if space.handle_of(node.Identifier) >= 0:
            assert answer.StatusCode.value == ua.StatusCodes.BadWaitingForInitialData
            assert answer.Value.Value is None
            continue
        if isinstance(space.resolve(node.Identifier).member.source, Reported):
            assert answer.StatusCode.value == ua.StatusCodes.BadWaitingForInitialData
            continue
        assert answer.StatusCode.is_good()
        if answer.Value.Value is None:
            assert node.Identifier == "system.ConfigLoadedAt"
            continue
        if data_type.NamespaceIndex == 3 or data_type == ua.NodeId(ua.ObjectIds.ExceptionDeviationFormat):
            expected = T.Int32
        else:
            expected = T(space.model.variant(ua.ObjectIdNames[data_type.Identifier]))
        assert answer.Value.VariantType is expected, node
        assert answer.Value.is_array == (text(space, node, A.ValueRank) == 1), node


def test_every_value_can_be_encoded(space: VirtualAddressSpace) -> None:
    for node in space.nodes():
        for attribute in (A.Value, A.DisplayName, A.BrowseName):
            value = space.read_attribute_value(node, attribute, "uz").Value
            if value is not None:
                sent = variant_to_binary(value)
                assert variant_to_binary(variant_from_binary(Buffer(sent))) == sent, node


_AGGREGATES = frozenset(ua.NodeId(number) for number in AGGREGATES)
"""Functions of namespace 0, which do not list the variables that they can be asked of."""


def test_every_reference_leads_to_a_node_that_refers_back(space: VirtualAddressSpace) -> None:
    for node in space.nodes():
        for reference in space.references(node):
            assert reference.NodeId in space, (node, reference)
            if reference.ReferenceTypeId == HAS_TYPE_DEFINITION or reference.NodeId in _AGGREGATES:
                continue
            back = [
                other
                for other in space.references(reference.NodeId)
                if other.NodeId == node
                and other.ReferenceTypeId == reference.ReferenceTypeId
                and bool(other.IsForward) != bool(reference.IsForward)
            ]
            assert len(back) == 1, (node, reference)


def test_what_a_reference_tells_of_its_target_is_what_the_target_tells(space: VirtualAddressSpace) -> None:
    for node in space.nodes():
        for reference in space.references(node, "ru"):
            target = reference.NodeId
            assert text(space, target, A.BrowseName) == reference.BrowseName
            assert text(space, target, A.NodeClass) == reference.NodeClass
            shown = space.read_attribute_value(target, A.DisplayName, "ru").Value.Value
            assert shown.Text == reference.DisplayName.Text


def test_every_node_is_reached_from_the_objects_folder(space: VirtualAddressSpace) -> None:
    seen: set[ua.NodeId] = set()
    pending = [ua.NodeId(85)]
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        description = ua.BrowseDescription(NodeId=node, ReferenceTypeId=HIERARCHICAL, ResultMask=63)
        page, more = space.browse_page(description)
        assert more is None
        pending.extend(reference.NodeId for reference in page)
    assert set(space.nodes()) <= seen


def test_siblings_never_share_a_browse_name(space: VirtualAddressSpace) -> None:
    for node in [ua.NodeId(85), *space.nodes()]:
        children = _children(space, node, "en")
        names = Counter((reference.BrowseName.NamespaceIndex, reference.BrowseName.Name) for reference in children)
        assert not [name for name, count in names.items() if count > 1], node


@pytest.mark.parametrize("locale", LOCALES)
def test_siblings_never_share_a_display_name(space: VirtualAddressSpace, locale: str) -> None:
    for node in space.nodes():
        names = Counter(reference.DisplayName.Text for reference in _children(space, node, locale))
        assert not [name for name, count in names.items() if count > 1], node
        assert all(names), node


def test_every_instance_has_what_its_type_demands(space: VirtualAddressSpace) -> None:
    names = {space.model.node_id(entry.name): entry.name for entry in space.model}
    checked = set()
    for node in space.nodes():
        definition = [r.NodeId for r in space.references(node) if r.ReferenceTypeId == HAS_TYPE_DEFINITION]
        if not definition or definition[0] not in names:
            continue
        type_name = names[definition[0]]
        checked.add(type_name)
        below = {reference.BrowseName.Name for reference in _children(space, node, "en")}
        for member in space.model.members(type_name).values():
            assert member.rule is not M or member.name in below, (node, member.name)
    assert {"TransformerType", "ElectricityMeterType", "CounterValueType", "SystemType", "LocationType"} <= checked


def test_no_instance_is_of_an_abstract_type_of_ours(space: VirtualAddressSpace) -> None:
    for node in space.nodes():
        for reference in space.references(node):
            if reference.ReferenceTypeId == HAS_TYPE_DEFINITION and reference.NodeId.NamespaceIndex == 3:
                abstract = space.read_attribute_value(reference.NodeId, A.IsAbstract).Value
                assert not abstract.Value, node


def test_the_order_of_the_files_never_shows(
    space: VirtualAddressSpace,
    make_space: Callable[[Plant], VirtualAddressSpace],
    plant_maker: Callable[..., Plant],
) -> None:
    other = make_space(plant_maker(backwards=True))
    assert list(other.identifiers()) == list(space.identifiers())
    for node in space.nodes():
        assert list(other.references(node)) == list(space.references(node))


def _children(space: VirtualAddressSpace, node: ua.NodeId, locale: str) -> list[ua.ReferenceDescription]:
    found = {
        reference.NodeId: reference
        for reference in space.references(node, locale)
        if reference.IsForward and reference.ReferenceTypeId not in (HAS_TYPE_DEFINITION, HAS_NOTIFIER)
    }
    return list(found.values())

"""Every text that a client can reach comes in its language, whichever way the client asks for it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from asyncua import ua

from address_space.model.quantity import LOCALES
from address_space.nodes import VirtualAddressSpace
from address_space.nodes.standard import TYPES_URI

A = ua.AttributeIds
TEXTS = (A.DisplayName, A.Description, A.InverseName, A.Value, A.DataTypeDefinition)
FOREIGN = LOCALES[1:]
ALIKE = re.compile(
    r"CIM mRID|MQTT|Modbus (RTU|TCP)|(DL|CJ)/T [\d-]+|L[123](-L[123])?|N"
    r"|urn:.*|Namespace\w+|IsNamespaceSubset|Static\w+"
)
"""Proper names, conductors, and what the standard itself calls the properties of a namespace."""
ALIKE_IN_UZBEK = frozenset({"Model", "Virtual"})
SCRIPTS = {"ru": re.compile("[А-Яа-яЁё]"), "uz": re.compile("[A-Za-zʻʼ]"), "zh": re.compile("[\u4e00-\u9fff]")}


def nodes_with_texts(space: VirtualAddressSpace) -> Iterator[ua.NodeId]:
    """All of the plant and of the types."""
    yield from space.nodes()
    yield from (node for node in space._nodes if node.NamespaceIndex == 3)


def texts_in(value: Any) -> Iterator[ua.LocalizedText]:
    """Every LocalizedText in a value, in order."""
    if isinstance(value, ua.LocalizedText):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
    elif is_dataclass(value) and not isinstance(value, ua.EUInformation):
        for field in fields(value):
            yield from texts_in(getattr(value, field.name))


def texts_of(space: VirtualAddressSpace, node: ua.NodeId, locale: str) -> Iterator[tuple[A, ua.LocalizedText]]:
    """Every text that the attributes of a node hold."""
    for attribute in TEXTS:
        value = space.read_attribute_value(node, attribute, locale).Value
        if value is not None:
            yield from ((attribute, text) for text in texts_in(value.Value))


@pytest.mark.parametrize("locale", FOREIGN)
def test_no_english_is_left_where_the_hub_has_words_of_its_own(space: VirtualAddressSpace, locale: str) -> None:
    translated = 0
    for node in nodes_with_texts(space):
        english = texts_of(space, node, "en")
        for (attribute, here), (_, there) in zip(texts_of(space, node, locale), english, strict=True):
            assert bool(here.Text) == bool(there.Text)
            if not here.Text or here.Locale is None:
                continue
            assert here.Locale == locale, (node, attribute, here)
            if ALIKE.fullmatch(here.Text) or (locale == "uz" and here.Text in ALIKE_IN_UZBEK):
                continue
            assert SCRIPTS[locale].search(here.Text), (node, attribute, here)
            assert here.Text != there.Text, (node, attribute, here)
            translated += 1
    assert translated > 2000


@pytest.mark.parametrize("locale", LOCALES)
def test_browsing_shows_the_name_that_reading_shows(space: VirtualAddressSpace, locale: str) -> None:
    for node in nodes_with_texts(space):
        desc = ua.BrowseDescription(node, ua.BrowseDirection.Both, ua.NodeId(), IncludeSubtypes=True)
        desc.ResultMask = ua.BrowseResultMask.All
        for found in space.browse_page(desc, locale=locale)[0]:
            if found.NodeId.NamespaceIndex in (2, 3):
                read = space.read_attribute_value(found.NodeId, A.DisplayName, locale).Value.Value
                assert found.DisplayName == read
                name = space.read_attribute_value(found.NodeId, A.BrowseName, locale).Value.Value
                assert found.BrowseName == name


@pytest.mark.parametrize("locale", FOREIGN)
def test_browse_names_are_the_same_in_every_language(space: VirtualAddressSpace, locale: str) -> None:
    for node in nodes_with_texts(space):
        here = space.read_attribute_value(node, A.BrowseName, locale).Value.Value
        assert here == space.read_attribute_value(node, A.BrowseName, "en").Value.Value


@pytest.mark.parametrize("locale", LOCALES)
def test_members_of_one_type_and_values_of_one_enumeration_have_names_of_their_own(
    space: VirtualAddressSpace, locale: str
) -> None:
    for node in (node for node in space._nodes if node.NamespaceIndex == 3):
        below = Counter(
            space.read_attribute_value(one.NodeId, A.DisplayName, locale).Value.Value.Text
            for one in space.references(node, locale)
            if one.IsForward and one.ReferenceTypeId.Identifier in (46, 47, 17604)
        )
        definition = space.read_attribute_value(node, A.DataTypeDefinition, locale).Value
        if definition is not None and definition.Value is not None:
            below.update(field.DisplayName.Text for field in definition.Value.Fields)
        assert not [name for name, count in below.items() if count > 1], node


def test_a_name_that_the_plant_gives_in_one_language_claims_none(space: VirtualAddressSpace) -> None:
    def name(identifier: str, locale: str) -> ua.LocalizedText:
        return space.read_attribute_value(ua.NodeId(identifier, 2), A.DisplayName, locale).Value.Value

    assert name("north", "ru") == ua.LocalizedText("Север", "ru")
    assert name("north", "uz") == ua.LocalizedText("North", None)
    assert name("m0", "ru") == ua.LocalizedText("Meter (m0)", None)
    assert name("by-line.bus0", "zh") == ua.LocalizedText("bus0", None)
    assert name("by-medium.Water", "zh") == ua.LocalizedText("水", "zh")


def test_each_of_our_namespaces_tells_its_version_and_kind_of_ids(space: VirtualAddressSpace) -> None:
    described = {}
    for found in space.references(ua.NodeId(11715)):
        if found.IsForward and found.TypeDefinition == ua.NodeId(11616):
            values = {
                one.BrowseName.Name: space.read_attribute_value(one.NodeId, A.Value).Value.Value
                for one in space.references(found.NodeId)
                if one.IsForward and one.NodeClass == ua.NodeClass.Variable
            }
            described[found.BrowseName.Name] = values
    assert described.keys() == {"http://opcfoundation.org/UA/", "urn:joulehub:plant", TYPES_URI}
    for uri in ("urn:joulehub:plant", TYPES_URI):
        assert described[uri]["NamespaceUri"] == uri
        assert described[uri]["NamespaceVersion"]
        assert described[uri]["NamespacePublicationDate"].year >= 2026
    assert described["urn:joulehub:plant"]["StaticNodeIdTypes"] == [ua.IdType.String]
    assert described["urn:joulehub:plant"]["StaticStringNodeIdPattern"] == ".*"
    assert described[TYPES_URI]["StaticNodeIdTypes"] == [ua.IdType.Numeric]
    assert described[TYPES_URI]["StaticNumericNodeIdRange"] == ["1000:8999"]
    assert described[TYPES_URI]["IsNamespaceSubset"] is False

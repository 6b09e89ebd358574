"""Every text is there in every language."""

from __future__ import annotations

from collections import Counter

import pytest

from address_space.model.quantity import ALL, LOCALES, MEASURED
from address_space.nodes.catalogue import Catalogue, match_locale
from address_space.nodes.types import Enumeration, ObjectType, VariableType
from address_space.nodes.types_model import STANDARD_MEMBERS, TypeModel
from address_space.nodes.types_nodes import type_nodes


def test_every_text_is_given_in_every_language() -> None:
    for key, names in Catalogue().texts.items():
        assert all(text.strip() for text in names), key


def test_every_node_of_the_type_model_has_its_texts() -> None:
    nodes = type_nodes(TypeModel(), Catalogue())
    described = {node.symbol for node in nodes if node.descriptions is not None}
    assert all(node.names for node in nodes)
    assert {entry.name for entry in TypeModel()} <= described


def test_no_text_of_the_catalogue_is_unused() -> None:
    model, used = TypeModel(), {f"folder:{name}" for name in ("root", "system", "by-medium", "by-line")}
    used |= {"state:online", "state:offline", "state:yes", "state:no", "type:FedBy", "type:Measures"}
    used |= {f"name:{name}" for name in ("InputArguments", "OutputArguments", "EnumStrings", "HA Configuration")}
    for entry in model:
        used |= {f"type:{entry.name}", f"about:{entry.name}"}
        if isinstance(entry, Enumeration):
            used |= {f"field:{entry.name}.{name}" for name in entry.fields}
        elif isinstance(entry, ObjectType | VariableType):
            for member in entry.members:
                used |= {f"name:{member.name}", f"name:{entry.name}.{member.name}"}
                used |= {f"argument:{argument.name}" for argument in (*member.inputs, *member.outputs)}
    used |= {f"name:{member.name}" for members in STANDARD_MEMBERS.values() for member in members}
    assert not Catalogue().texts.keys() - used


@pytest.mark.parametrize("locale", LOCALES)
def test_no_two_quantities_are_shown_by_one_name(locale: str) -> None:
    counts = Counter(quantity.value.names.in_locale(locale) for quantity in ALL)
    assert not [name for name, count in counts.items() if count > 1]
    assert len(MEASURED) < len(counts)


@pytest.mark.parametrize(
    ("requested", "chosen"),
    [
        (["ru-RU"], "ru"),
        (["uz-Latn-UZ", "ru"], "uz"),
        (["de", "zh-CN"], "zh"),
        (["de"], "en"),
        ([], "en"),
        (["EN-us"], "en"),
    ],
)
def test_the_first_language_that_the_hub_speaks_is_chosen(requested: list[str], chosen: str) -> None:
    assert match_locale(requested) == chosen

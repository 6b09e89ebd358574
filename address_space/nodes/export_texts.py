"""Texts in every language, as they stand in a node set (OPC 10000-6 F.3, F.6, F.12).

The schema sets no order among the languages of a text, and importers differ: some keep the first, some the last, and
some drop the locale. English stands first, and once more without a locale at the end, so all of them show English.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from address_space.model.quantity import LOCALES, Names
from address_space.nodes.catalogue import Catalogue
from address_space.nodes.shapes import ArgumentText
from address_space.nodes.types import Enumeration


def texts_xml(tag: str, names: Names, *, indent: str = "    ") -> str:
    """One text in every language; a single element where all languages have the same."""
    neutral = f"{indent}<{tag}>{escape(names.en)}</{tag}>\n"
    if len(set(names)) == 1:
        return neutral
    return _localized(tag, names, indent, LOCALES) + neutral


def definition_xml(enumeration: Enumeration, catalogue: Catalogue) -> str:
    """The `Definition` of an enumeration's data type."""
    lines = [f'    <Definition Name="1:{enumeration.name}">\n']
    for number, name in enumerate(enumeration.fields):
        lines.append(f'      <Field Name="{name}" Value="{number}">\n')
        lines.append(texts_xml("DisplayName", catalogue.field(enumeration.name, name), indent="        "))
        lines.append("      </Field>\n")
    lines.append("    </Definition>\n")
    return "".join(lines)


def translations_xml(value: Any) -> str:
    """`Translation` elements for a value's texts, one per element of an array; the value itself is English."""
    elements = (value,) if isinstance(value, Names | ArgumentText) else value
    if not isinstance(elements, tuple) or not all(isinstance(one, Names | ArgumentText) for one in elements):
        return ""
    return "".join(f"    <Translation>\n{_translation(one)}    </Translation>\n" for one in elements)


def _translation(element: Names | ArgumentText) -> str:
    if isinstance(element, Names):
        return _localized("Text", element, "      ", LOCALES[1:])
    texts = _localized("Text", element.names, "        ", LOCALES[1:])
    return f'      <Field Name="Description">\n{texts}      </Field>\n'


def _localized(tag: str, names: Names, indent: str, locales: tuple[str, ...]) -> str:
    return "".join(
        f'{indent}<{tag} Locale="{locale}">{escape(names.in_locale(locale))}</{tag}>\n' for locale in locales
    )

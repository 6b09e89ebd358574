"""Texts of the type model in every language of the hub, from `catalogue.csv`.

Keys: `type:<Type>` and `about:<Type>` (name and description of a type), `name:<Member>` or, where one type calls
it otherwise, `name:<Type>.<Member>`, `field:<Enum>.<Field>`, `argument:<Argument>`, `folder:<id>`, `state:<word>`.
Members that are quantities and have no row are called as the quantity.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from importlib.resources import files

from address_space.model.quantity import ALL, LOCALES, Names

FILE = "catalogue.csv"
DEFAULT_LOCALE = LOCALES[0]
_QUANTITIES = {quantity.path.rpartition(".")[2]: quantity.value.names for quantity in ALL if "." in quantity.path}


class Catalogue:
    """Lookup of texts by what they name; KeyError where the catalogue lacks one."""

    def __init__(self, texts: Mapping[str, Names] | None = None) -> None:
        self.texts = load() if texts is None else texts

    def type(self, name: str) -> Names:
        """Name of a declared type, or of a reference type seen from its other end."""
        return self.texts[f"type:{name}"]

    def description(self, type_name: str) -> Names | None:
        """What a declared type is; None for types of namespace 0."""
        return self.texts.get(f"about:{type_name}")

    def member(self, type_name: str, name: str) -> Names:
        """Name of a member as instances of `type_name` show it."""
        own = self.texts.get(f"name:{type_name}.{name}") or self.texts.get(f"name:{name}")
        return own or _QUANTITIES[name]

    def field(self, enumeration: str, field: str) -> Names:
        """Name of one value of an enumeration."""
        return self.texts[f"field:{enumeration}.{field}"]

    def argument(self, name: str) -> Names:
        """Description of a method's argument."""
        return self.texts[f"argument:{name}"]

    def folder(self, identifier: str) -> Names:
        """Name of one of the hub's own nodes."""
        return self.texts[f"folder:{identifier}"]

    def state(self, word: str) -> Names:
        """Text of a two-state value."""
        return self.texts[f"state:{word}"]


def load() -> dict[str, Names]:
    """Every row of the catalogue file by key."""
    text = files("address_space.nodes").joinpath(FILE).read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return {row["key"]: Names(*(row[locale] for locale in LOCALES)) for row in rows}


def match_locale(requested: Iterable[str], default: str = DEFAULT_LOCALE) -> str:
    """First requested locale that the hub speaks (`uz-Latn-UZ` counts as `uz`), else `default` (Part 4 5.4)."""
    for tag in requested:
        language = tag.partition("-")[0].lower()
        if language in LOCALES:
            return language
    return default

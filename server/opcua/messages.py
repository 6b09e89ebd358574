"""Messages of events in every language of the hub, from `messages.csv`; braces hold values."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from address_space.model.quantity import LOCALES, Names

FILE = "messages.csv"


@dataclass(frozen=True, slots=True)
class Message:
    """A text of `messages.csv` by its key. Values that are `Names` appear in the reader's language too."""

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)


class Messages:
    """Lookup of messages; KeyError where the file lacks one."""

    def __init__(self, texts: Mapping[str, Names] | None = None) -> None:
        self.texts = load() if texts is None else texts

    def text(self, message: Message, locale: str) -> str:
        """The message in one language, its values filled in."""
        values = {
            name: value.in_locale(locale) if isinstance(value, Names) else value
            for name, value in message.values.items()
        }
        return self.texts[message.key].in_locale(locale).format_map(values)


def load() -> dict[str, Names]:
    """Every row of the file by key."""
    text = files("server.opcua").joinpath(FILE).read_text("utf-8")
    return {row["key"]: Names(*(row[locale] for locale in LOCALES)) for row in csv.DictReader(text.splitlines())}

"""Typed reading of one mapping of a configuration file; what is wrong is reported, and the default taken."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Collection, Iterator

from config.document import Entry, Mapping, Scalar, Sequence, Tree
from config.errors import Location, Report
from config.spelling import Spelling

FLAG_WORDS = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip
"""Words for yes and no, in any case."""
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")


def parse_number(text: str) -> float | None:
    """`text` as a finite decimal number, or None."""
    if _NUMBER.fullmatch(text) is None:
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def parse_flag(text: str) -> bool | None:
    """`text` as yes or no, or None."""
    return FLAG_WORDS.get(text.casefold())


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in its usual form of 36 characters."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def kind_of(tree: Tree) -> str:
    """What was written, in words."""
    if isinstance(tree, Mapping):
        return "a mapping"
    if isinstance(tree, Sequence):
        return "a list"
    return "nothing" if tree.is_null else repr(tree.text)


class Fields:
    """The keys of one mapping. `path` names the mapping in messages."""

    def __init__(self, mapping: Mapping, file: str, path: str, report: Report, spelling: Spelling) -> None:
        self.mapping = mapping
        self.file = file
        self.path = path
        self._report = report
        self._spelling = spelling

    def __contains__(self, key: str) -> bool:
        return key in self.mapping.entries

    def entry(self, key: str) -> Entry | None:
        """Key and value, or None where the key is absent."""
        return self.mapping.entries.get(key)

    def value(self, key: str) -> Tree | None:
        """The value, or None where the key is absent or nothing is written behind it."""
        entry = self.mapping.entries.get(key)
        if entry is None or (isinstance(entry.value, Scalar) and entry.value.is_null):
            return None
        return entry.value

    def here(self) -> Location:
        """Place of the mapping."""
        return Location(self.file, self.mapping.line, self.mapping.column, self.path)

    def at_key(self, key: str) -> Location:
        """Place of a key, or of the mapping where the key is absent."""
        entry = self.mapping.entries.get(key)
        line, column = (entry.line, entry.column) if entry else (self.mapping.line, self.mapping.column)
        return Location(self.file, line, column, self._named(key))

    def at_value(self, key: str) -> Location:
        """Place of a key's value, or of the mapping where the key is absent."""
        entry = self.mapping.entries.get(key)
        tree = entry.value if entry else self.mapping
        return Location(self.file, tree.line, tree.column, self._named(key))

    def wrong(self, key: str, what: str, hint: str = "") -> None:
        """Report the value of `key`."""
        self._report.add(self.at_value(key), what, hint)

    def reject_unknown(self, valid: Collection[str], of: str) -> None:
        """Report every key outside `valid`; `of` says whose keys they are."""
        for key in self.mapping.entries:
            if key not in valid:
                self._report.add(self.at_key(key), f"{key!r} is no key of {of}", self._spelling.hint(key, valid))

    def text(self, key: str, default: str = "") -> str:
        """A word or text, exactly as written."""
        value = self.value(key)
        if value is None:
            return default
        if not isinstance(value, Scalar):
            self.wrong(key, f"{key} must be a text, not {kind_of(value)}", f"write `{key}: text`")
            return default
        return value.text.strip()

    def required_text(self, key: str, hint: str) -> str:
        """A text that must be there; an empty text is returned where it is not."""
        text = self.text(key)
        if not text and not isinstance(self.value(key), Mapping | Sequence):
            self._report.add(self.at_key(key), f"{key} is missing", hint)
        return text

    def choice(self, key: str, valid: Collection[str], default: str) -> str:
        """One of a few words."""
        text = self.text(key, default)
        if text in valid or text == default:
            return text
        self.wrong(key, f"{text!r} is no {key}", self._spelling.hint(text, valid))
        return default

    def flag(self, key: str, *, default: bool) -> bool:
        """Yes or no."""
        value = self.value(key)
        if value is None:
            return default
        flag = parse_flag(value.text) if isinstance(value, Scalar) else None
        if flag is None:
            self.wrong(
                key, f"{key} must be true or false, not {kind_of(value)}", f"write `{key}: true` or `{key}: false`"
            )
            return default
        return flag

    def number(self, key: str, low: float, high: float) -> float | None:
        """A number within bounds (inclusive), or None where there is none."""
        value = self.value(key)
        if value is None:
            return None
        number = parse_number(value.text) if isinstance(value, Scalar) else None
        if number is None:
            self.wrong(
                key, f"{key} must be a number, not {kind_of(value)}", "write it without unit, with a decimal point"
            )
        elif not low <= number <= high:
            self.wrong(key, f"{key} is {number:g}, outside {low:g} … {high:g}", "check the value and its unit")
            return None
        return number

    def mapping_at(self, key: str) -> Fields | None:
        """The mapping behind `key`, or None where it is absent or not one."""
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.wrong(
                key, f"{key} must be a mapping, not {kind_of(value)}", "write `key: value` lines indented below it"
            )
            return None
        return Fields(value, self.file, self._named(key), self._report, self._spelling)

    def items(self, key: str) -> Iterator[Tree]:
        """Items of the list behind `key`."""
        value = self.value(key)
        if isinstance(value, Sequence):
            yield from value.items
        elif value is not None:
            self.wrong(key, f"{key} must be a list, not {kind_of(value)}", "begin each item below it with `- `")

    def texts(self, key: str) -> list[tuple[str, Location]]:
        """A text or a list of texts, each with its place."""
        value = self.value(key)
        if isinstance(value, Scalar):
            return [(value.text.strip(), self.at_value(key))]
        found = []
        for item in self.items(key):
            place = Location(self.file, item.line, item.column, self._named(key))
            if isinstance(item, Scalar) and item.text.strip():
                found.append((item.text.strip(), place))
            else:
                self._report.add(place, f"{key} must hold texts, not {kind_of(item)}", "write `- text`")
        return found

    def _named(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

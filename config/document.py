"""YAML as a tree in which every key and value knows its line and column.

Built from parser events without recursion, so that no file, however nested, can exhaust the stack. Anchors, aliases
and the merge key `<<` work; tags do not. Plain words are resolved by the YAML 1.2 core schema: `no` and `12:30` are
texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from config.errors import Location, Report

MAX_DEPTH = 200
"""Mappings and sequences inside one another."""
MAX_WEIGHT = 20_000_000
"""Scalars and collections of one file after its aliases are expanded."""


@dataclass(slots=True)
class Scalar:
    """One word or text; `plain` where it was written without quotes."""

    text: str
    plain: bool
    line: int
    column: int

    @property
    def is_null(self) -> bool:
        """Whether nothing was written."""
        return self.plain and self.text in _NULLS


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    column: int
    items: list[Tree] = field(default_factory=list)
    weight: int = 1


@dataclass(slots=True)
class Entry:
    """A key's place and its value."""

    line: int
    column: int
    value: Tree


@dataclass(slots=True)
class Mapping:
    """Keys and values in the order of the file."""

    line: int
    column: int
    entries: dict[str, Entry] = field(default_factory=dict)
    weight: int = 1
    pending: Scalar | None = None
    merges: list[Tree] = field(default_factory=list)


Tree = Scalar | Sequence | Mapping

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_FLAGS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]{1,4000}")
_BASED = re.compile(r"0o[0-7]{1,1000}|0x[0-9a-fA-F]{1,1000}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF)|(\.nan|\.NaN|\.NAN)")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_STRING_TAG = "tag:yaml.org,2002:str"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_document(path: Path, report: Report) -> Tree | None:
    """The tree of a YAML file; None where it is empty or cannot be read (then that is reported)."""
    file = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        report.add(Location(file), f"cannot be read: {error.strerror}", "check that the file exists and is readable")
        return None
    except UnicodeDecodeError as error:
        line, column = position_of(error.object[: error.start].decode("utf-8", "replace"))
        report.add(Location(file, line, column), "is not UTF-8 text", "save the file as UTF-8")
        return None
    return parse_document(text, file, report)


def parse_document(text: str, file: str, report: Report) -> Tree | None:
    """The tree of YAML text; see `read_document`."""
    odd = _UNPRINTABLE.search(text)
    if odd is not None:
        line, column = position_of(text[: odd.start()])
        report.add(Location(file, line, column), f"the character {odd.group()!r} cannot stand here", "remove it")
        return None
    builder = _Builder(file, report)
    try:
        return builder.build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Location(file, mark.line + 1, mark.column + 1) if mark is not None else Location(file)
        what = ", ".join(part for part in (error.context, error.problem) if part)
        report.add(
            place, f"is not valid YAML: {what}", "look at the indentation, colons and quotes on and above this line"
        )
    except yaml.YAMLError as error:
        report.add(Location(file), f"is not valid YAML: {error}", "check the file with a YAML editor")
    return None


def position_of(before: str) -> tuple[int, int]:
    """Line and column of what follows the text `before`."""
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def plain_value(tree: Tree) -> Any:
    """The tree as plain data: dict, list, str, int, float, bool, None."""
    if isinstance(tree, Mapping):
        return {key: plain_value(entry.value) for key, entry in tree.entries.items()}
    if isinstance(tree, Sequence):
        return [plain_value(item) for item in tree.items]
    return scalar_value(tree)


def scalar_value(scalar: Scalar) -> str | int | float | bool | None:
    """A scalar by the YAML 1.2 core schema (10.3.2); quoted text stays text."""
    text = scalar.text
    if not scalar.plain:
        return text
    if text in _NULLS:
        return None
    if text in _FLAGS:
        return _FLAGS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.fullmatch(text)
    if special is not None:
        return float(f"{special.group(1)}inf") if special.group(2) else float("nan")
    return text


class _Stopped(yaml.MarkedYAMLError):
    """The document breaks a bound of this reader."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class _Builder:
    def __init__(self, file: str, report: Report) -> None:
        self._file = file
        self._report = report
        self._stack: list[Sequence | Mapping] = []
        self._marks: list[tuple[str | None, Any]] = []
        self._anchors: dict[str, Tree] = {}
        self._root: Tree | None = None
        self._documents = 0

    def build(self, events: Iterable[yaml.Event]) -> Tree | None:
        for event in events:
            if isinstance(event, yaml.ScalarEvent):
                self._place(self._scalar(event), event)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._open(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    raise _Stopped("a second document starts here", event.start_mark)
        root = self._root
        return None if isinstance(root, Scalar) and root.is_null else root

    def _at(self, event: Any) -> Location:
        return Location(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _scalar(self, event: Any) -> Scalar:
        mark = event.start_mark
        plain = event.implicit[0] and event.tag is None
        if event.tag not in (None, "!", _STRING_TAG):
            self._report.add(self._at(event), f"the tag {event.tag!r} is not supported", "leave it out")
        return Scalar(event.value, plain, mark.line + 1, mark.column + 1)

    def _open(self, event: Any) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise _Stopped(f"nested deeper than {MAX_DEPTH} levels", event.start_mark)
        if event.tag not in (None, "!"):
            self._report.add(self._at(event), f"the tag {event.tag!r} is not supported", "leave it out")
        mark = event.start_mark
        make = Mapping if isinstance(event, yaml.MappingStartEvent) else Sequence
        self._stack.append(make(mark.line + 1, mark.column + 1))
        self._marks.append((event.anchor, event))

    def _close(self) -> None:
        tree = self._stack.pop()
        anchor, event = self._marks.pop()
        if isinstance(tree, Mapping) and tree.merges:
            self._merge(tree)
        if anchor is not None:
            self._anchors[anchor] = tree
        self._place(tree, event, anchored=True)

    def _alias(self, event: Any) -> None:
        target = self._anchors.get(event.anchor)
        if target is None:
            raise _Stopped(f"the alias *{event.anchor} names no anchor above it", event.start_mark)
        self._place(target, event, anchored=True)

    def _place(self, tree: Tree, event: Any, *, anchored: bool = False) -> None:
        if not anchored and event.anchor is not None:
            self._anchors[event.anchor] = tree
        if not self._stack:
            self._root = tree
            return
        top = self._stack[-1]
        if isinstance(top, Sequence):
            top.items.append(tree)
        elif top.pending is None:
            top.pending = self._key(tree, event)
            return
        else:
            key, top.pending = top.pending, None
            self._enter(top, key, tree)
        top.weight += 1 if isinstance(tree, Scalar) else tree.weight
        if top.weight > MAX_WEIGHT:
            raise _Stopped("aliases make this file far too large", event.start_mark)

    def _key(self, tree: Tree, event: Any) -> Scalar:
        place = self._at(event)
        if isinstance(tree, Scalar):
            return Scalar(tree.text, tree.plain, place.line, place.column)
        self._report.add(place, "a key must be a word", "write `key: value`; quote a text that begins with { or [")
        return Scalar("", plain=False, line=place.line, column=place.column)

    def _enter(self, mapping: Mapping, key: Scalar, value: Tree) -> None:
        if key.plain and key.text == "<<":
            mapping.merges.append(value)
            return
        first = mapping.entries.get(key.text)
        if first is None:
            mapping.entries[key.text] = Entry(key.line, key.column, value)
            return
        self._report.add(
            Location(self._file, key.line, key.column, key.text),
            f"the key {key.text!r} stands twice, first on line {first.line}",
            "keep one of them",
        )

    def _merge(self, mapping: Mapping) -> None:
        for merged in mapping.merges:
            for source in merged.items if isinstance(merged, Sequence) else [merged]:
                if isinstance(source, Mapping):
                    for key, entry in source.entries.items():
                        mapping.entries.setdefault(key, entry)
                else:
                    self._report.add(
                        Location(self._file, source.line, source.column, "<<"),
                        "only mappings can be merged",
                        "write `<<: *anchor` with the anchor on a mapping",
                    )

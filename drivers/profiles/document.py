"""YAML read with the place of every key, so that a mistake can be pointed at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml

from drivers.errors import ProfileError

Path = tuple[str | int, ...]
_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C loader where PyYAML has one; the other one tells mistakes better, and is asked when there is one."""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """Contents of a file and the `file:line:column` of every key and item in it."""

    data: dict[str, Any]
    marks: Mapping[Path, str]


def read_document(file: FilePath) -> Document:
    """The mapping in `file`; raises `ProfileError` with the place of what is no YAML."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"the profile cannot be read: {error}", where=str(file)) from error
    return parse_document(text, str(file))


def parse_document(text: str, file: str) -> Document:
    """As `read_document`, from text."""
    try:
        return _parsed(text, file, _FAST)
    except ProfileError:
        return _parsed(text, file, yaml.SafeLoader)


def _parsed(text: str, file: str, kind: Any) -> Document:
    try:
        loader = kind(text)
        try:
            node = loader.get_single_node()
            marks: dict[Path, str] = {(): f"{file}:1:1"}
            data = _Walker(loader, file, marks).value(node, ()) if node is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        raise ProfileError(f"not YAML: {error.problem}", where=where, hint="check indentation and quotes") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ProfileError(f"not YAML: {error}", where=file) from error
    if not isinstance(data, dict):
        raise ProfileError("a profile is a mapping of keys", where=f"{file}:1:1", hint="start with `profile: …`")
    return Document(data, marks)


class _Walker:
    def __init__(self, loader: Any, file: str, marks: dict[Path, str]) -> None:
        self._loader = loader
        self._file = file
        self._marks = marks
        self._open: set[int] = set()

    def value(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._loader.construct_object(node)
        if id(node) in self._open:
            raise ProfileError("an alias contains itself", where=self._place(node), hint="write the values out")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self._item(child, (*path, index)) for index, child in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, child in node.value:
            key = str(self._loader.construct_object(key_node, deep=True))
            place = self._place(key_node)
            if key in result:
                raise ProfileError(f"{key} stands twice", where=place, hint="remove one of the two")
            self._marks[(*path, key)] = place
            result[key] = self.value(child, (*path, key))
        return result

    def _item(self, node: yaml.Node, path: Path) -> Any:
        self._marks[path] = self._place(node)
        return self.value(node, path)

    def _place(self, node: yaml.Node) -> str:
        return f"{self._file}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"

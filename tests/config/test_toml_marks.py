from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from config.toml_marks import toml_marks

TEXT = (
    r'''
a = "x # no comment"  # a comment
"quoted \u00e9.key" = 'li]teral'
d.o . t = 1979-05-27 07:32:00
multi = """
[not.a.table]
b = 1 \"""
"""
lit = '''
    + "'''\nc = 2'''"
    + r"""
[t]
list = [1, [2, "]"], # comment ]
  {in = {deep = true}}]
[[arr]]
k = 1
[[arr]]
  k = 2
[arr.sub]
z = inf
"""
)


def test_keys_are_marked_where_they_stand() -> None:
    marks = toml_marks(TEXT)
    assert marks[("a",)] == (2, 1)
    assert marks[("quoted é.key",)] == (3, 1)
    assert marks[("d", "o", "t")] == (4, 1)
    assert marks[("t",)] == (11, 2)
    assert marks[("t", "list", 1, 1)] == (12, 16)
    assert marks[("t", "list", 2, "in", "deep")] == (13, 10)
    assert marks[("arr", 0, "k")] == (15, 1)
    assert marks[("arr", 1, "k")] == (17, 3)
    assert marks[("arr", 1, "sub", "z")] == (19, 1)
    assert ("not", "a", "table") not in marks
    assert ("b",) not in marks


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    found = {path} if path else set()
    if isinstance(value, dict):
        for key, below in value.items():
            found |= _paths(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            found |= _paths(below, (*path, index))
    return found


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_string(key)} = {_toml(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list):
        return "[ # c\n" + ",\n".join(map(_toml, value)) + "]"
    return _string(value) if isinstance(value, str) else str(value).lower()


def _string(text: str) -> str:
    return '"' + "".join(f"\\U{ord(sign):08x}" if not sign.isalnum() else sign for sign in text) + '"'


_LEAVES = st.one_of(st.text(st.characters(codec="utf-8"), max_size=5), st.integers(-9, 9), st.booleans())
_TREES = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=4),
    st.recursive(
        _LEAVES,
        lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text("ab\"'", max_size=3), below, max_size=3),
    ),
    max_size=4,
)


@given(_TREES)
@settings(max_examples=100, deadline=None)
def test_every_key_of_any_document_has_a_mark(tree: dict[str, Any]) -> None:
    text = "".join(f"{_string(key)} = {_toml(value)}\n" for key, value in tree.items())
    assert tomllib.loads(text) == tree
    assert set(toml_marks(text)) == _paths(tree)

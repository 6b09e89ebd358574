"""The page on interoperability names a test that exists for every demand, or says that it comes later."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DEMANDS = 43
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@pytest.fixture
def rows(root: Path) -> list[tuple[str, str, str]]:
    return ROW.findall((root / "docs" / "interop.md").read_text())


def test_every_demand_has_its_row(rows: list[tuple[str, str, str]]) -> None:
    assert [int(number) for number, _, _ in rows] == list(range(1, DEMANDS + 1))


def test_every_row_names_a_test_or_says_that_it_comes_later(rows: list[tuple[str, str, str]]) -> None:
    assert [what for _, what, cell in rows if not TEST.search(cell) and "Later: " not in cell] == []


def test_every_test_that_is_named_exists(root: Path, rows: list[tuple[str, str, str]]) -> None:
    named = {found for _, _, cell in rows for found in TEST.findall(cell)}
    assert len(named) > DEMANDS
    defined = {
        file: set(re.findall(r"^\s*(?:async )?def (test_\w+)", (root / file).read_text(), re.MULTILINE))
        for file in {file for file, _ in named}
        if (root / file).exists()
    }
    assert sorted(f"{file}::{name}" for file, name in named if name not in defined.get(file, set())) == []

"""No text of the repository knows where it was written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REGISTRIES = (r"pythonhos~ted\.org", r"pypi~\.org/simple", r"registry\.np~mjs", r"deb\.deb~ian", r"archive\.ubu~ntu")
PLACES = (r"/wo~rk/", r"/ho~me/\w", r"/fa~rm/", r"/Us~ers/\w", r"C:\\Us~ers", r"bash_~jobs")
"""Patterns, each cut by a tilde so that this file holds none of what it looks for."""

FOREIGN = re.compile("|".join([*REGISTRIES, *(rf"(?<![\w.]){place}" for place in PLACES)]).replace("~", ""))


def lines_with_addresses(text: str) -> list[int]:
    """Lines that hold a registry's host or a path of somebody's machine."""
    return [number for number, line in enumerate(text.splitlines(), 1) if FOREIGN.search(line)]


def text_of(path: Path) -> str:
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8", "replace")


def test_no_file_holds_a_registry_host_or_a_path_of_a_machine(root: Path, files: list[str]) -> None:
    found = {name: lines_with_addresses(text_of(root / name)) for name in files}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        "https://files.pythonhos~ted.org/x",
        "http://registry.np~mjs.org/",
        "cd /wo~rk/main",
        "(/ho~me/anna/plant.yaml)",
        "http://deb.deb~ian.org/",
    ],
)
def test_the_guard_sees_addresses(line: str) -> None:
    assert lines_with_addresses(f"\n{line}\n".replace("~", "")) == [2]


@pytest.mark.parametrize(
    "line", [f"see docs/{'work'}/plan.md", "network/", "/var/lib/joulehub", "opc.tcp://localhost:4840/"]
)
def test_the_guard_lets_other_paths_be(line: str) -> None:
    assert lines_with_addresses(line) == []

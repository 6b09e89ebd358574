"""Who may import whom: the contracts of pyproject.toml, and a room for every third-party library."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOMS = {
    "asyncua": ("address_space/nodes/*", "server/opcua/*"),
    "cronsim": ("drivers/slots.py",),
    "cryptography": ("server/opcua/*",),
    "influxdb_client": ("historian/influx/*",),
    "numpy": ("*",),
    "pydantic": ("config/*", "drivers/*/options.py", "drivers/profiles/*"),
    "pydantic_settings": ("config/*",),
    "pyarrow": ("server/cli/history_parquet*.py",),
    "pymodbus": ("drivers/modbus/*",),
    "rich": ("server/cli/*",),
    "serial": ("drivers/modbus/*", "drivers/transport/*"),
    "sqlite3": ("historian/*",),
    "urllib3": ("historian/influx/*",),
    "uvloop": ("server/*",),
    "yaml": ("config/*", "drivers/profiles/*"),
}
"""Where each library may be imported; sqlite3 is guarded like one although Python brings it."""


def imported(tree: ast.Module) -> Iterator[str]:
    """Top-level names that a module imports, wherever in it the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else (node.module or "").partition(".")[0]


def outside(path: str, tree: ast.Module, packages: tuple[str, ...]) -> set[str]:
    """Libraries that the module at `path` imports outside their room, or that have none."""
    found = set(imported(tree)) - set(packages) - (sys.stdlib_module_names - ROOMS.keys())
    return {name for name in found if not any(fnmatch(path, room) for room in ROOMS.get(name, ()))}


def test_the_import_contracts_hold(root: Path) -> None:
    # In a process of its own, because import-linter sets up logging for itself and silences everybody else's.
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_library_stays_in_its_room(trees: dict[str, ast.Module], packages: tuple[str, ...]) -> None:
    found = {path: outside(path, tree, packages) for path, tree in trees.items()}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("path", "source", "libraries"),
    [
        ("server/engine.py", "import asyncua.ua", {"asyncua"}),
        ("server/engine.py", "def f():\n    from asyncua import ua", {"asyncua"}),
        ("server/opcua/session.py", "from asyncua import ua", set()),
        ("drivers/modbus/options.py", "import pydantic", set()),
        ("drivers/modbus/driver.py", "import pydantic", {"pydantic"}),
        ("server/engine.py", "import sqlite3", {"sqlite3"}),
        ("historian/sqlite/files.py", "import sqlite3, json", set()),
        ("server/engine.py", "import requests", {"requests"}),
        ("server/engine.py", "from . import app", {"."}),
        ("server/engine.py", "from drivers.api import Device", set()),
    ],
)
def test_the_guard_of_the_rooms_sees_what_it_should(
    path: str, source: str, libraries: set[str], packages: tuple[str, ...]
) -> None:
    assert outside(path, ast.parse(source), packages) == libraries


def named(dependencies: Iterable[str]) -> set[str]:
    """Names of distributions without their versions."""
    return {re.split(r"[^A-Za-z0-9-]", line)[0].lower() for line in dependencies}


def optional(project: dict[str, Any]) -> set[str]:
    """Names of distributions that only an extra brings."""
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    return set().union(*map(named, extras.values())) - named(project["project"]["dependencies"])


def test_every_library_is_a_declared_dependency(
    trees: dict[str, ast.Module], packages: tuple[str, ...], project: dict[str, Any]
) -> None:
    declared = named(project["project"]["dependencies"]) | optional(project)
    owners = packages_distributions()
    used = {name for tree in trees.values() for name in imported(tree)} - set(packages) - sys.stdlib_module_names
    assert {name for name in used if not declared & {owner.lower() for owner in owners.get(name, ())}} == set()


def test_what_an_extra_brings_is_imported_only_where_it_is_needed(
    trees: dict[str, ast.Module], project: dict[str, Any]
) -> None:
    extra = optional(project)
    assert extra <= {name for tree in trees.values() for name in imported(tree)}
    inside = (ast.FunctionDef, ast.AsyncFunctionDef)
    at_once = {
        path: {
            name
            for statement in tree.body
            if not isinstance(statement, inside)
            for name in imported(ast.Module([statement], []))
        }
        for path, tree in trees.items()
    }
    assert {path: names & extra for path, names in at_once.items() if names & extra} == {}


def test_the_tests_have_what_an_extra_brings(project: dict[str, Any]) -> None:
    assert optional(project) <= named(project["dependency-groups"]["dev"])


def test_the_model_imports_nothing_but_the_standard_library_and_numpy(trees: dict[str, ast.Module]) -> None:
    allowed = sys.stdlib_module_names | {"numpy", "address_space"}
    model = {path: tree for path, tree in trees.items() if path.startswith("address_space/model/")}
    assert model
    assert {path: set(imported(tree)) - allowed for path, tree in model.items() if set(imported(tree)) - allowed} == {}

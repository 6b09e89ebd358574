"""The shape of the house: what lies where, and what it is called."""

from __future__ import annotations

from importlib.metadata import packages_distributions
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

MOST_LINES = 400
FORBIDDEN_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"})
BESIDE = frozenset(
    {
        "tests",
        "docs",
        "deploy",
        ".ci",
        "pyproject.toml",
        "README.md",
        "Makefile",
        "CHANGELOG.md",
        "LICENSE",
        ".gitignore",
    }
)


def test_the_top_level_holds_the_packages_and_what_a_repository_needs(
    files: list[str], packages: tuple[str, ...]
) -> None:
    top = {name.partition("/")[0] for name in files}
    assert top - set(packages) - BESIDE == set()
    assert set(packages) - top == set()


def test_every_folder_of_code_is_a_package(code: list[str]) -> None:
    folders = {str(parent) for name in code for parent in PurePosixPath(name).parents} - {"."}
    assert {folder for folder in folders if f"{folder}/__init__.py" not in code} == set()


def test_every_top_level_package_says_that_it_is_typed(files: list[str], packages: tuple[str, ...]) -> None:
    assert {package for package in packages if f"{package}/py.typed" not in files} == set()


def test_no_folder_of_tests_is_a_package(files: list[str]) -> None:
    assert [name for name in files if name.startswith("tests/") and name.endswith("__init__.py")] == []


def test_no_other_distribution_owns_one_of_our_names(packages: tuple[str, ...]) -> None:
    owners = packages_distributions()
    assert {name: owners[name] for name in packages if set(owners.get(name, ())) - {"joulehub"}} == {}


def test_no_module_holds_two_ideas(root: Path, code: list[str]) -> None:
    lines = {name: len((root / name).read_text().splitlines()) for name in code}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_modules_are_named_for_what_they_hold(code: list[str]) -> None:
    assert [name for name in code if FORBIDDEN_NAMES & set(PurePosixPath(name).with_suffix("").parts)] == []


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (1, "Apache License"),
        (2, "Version 2.0, January 2004"),
        (176, "END OF TERMS AND CONDITIONS"),
        (178, "APPENDIX: How to apply the Apache License to your work."),
        (201, "limitations under the License."),
    ],
)
def test_the_license_is_whole(root: Path, line: int, text: str) -> None:
    assert (root / "LICENSE").read_text().splitlines()[line].strip() == text


def test_the_license_has_all_its_clauses(root: Path) -> None:
    text = (root / "LICENSE").read_text()
    clauses = [line.split(".")[0].strip() for line in text.splitlines() if line[:3] == "   " and line[3:4].isdigit()]
    assert clauses == [str(number) for number in range(1, 10)]


def test_the_metadata_names_the_license_that_lies_there(root: Path, project: dict[str, Any]) -> None:
    assert project["project"]["license"] == "Apache-2.0"
    assert project["project"]["license-files"] == ["LICENSE"]
    assert not [line for line in project["project"]["classifiers"] if line.startswith("License ::")]
    assert (root / project["project"]["readme"]).is_file()


def test_the_only_command_is_joulehub(project: dict[str, Any]) -> None:
    assert project["project"]["scripts"] == {"joulehub": "server.cli:main"}


def test_the_opc_ua_library_is_pinned_exactly(project: dict[str, Any]) -> None:
    assert "asyncua==2.1.0" in project["project"]["dependencies"]

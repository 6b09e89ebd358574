"""What the guards look at: the files of the repository and the syntax trees of its code."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

PACKAGES = ("server", "address_space", "drivers", "historian", "grafana", "config")


@pytest.fixture(scope="session")
def packages() -> tuple[str, ...]:
    """The top-level packages of the house."""
    return PACKAGES


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the repository."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def project(root: Path) -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def files(root: Path) -> list[str]:
    """Every file that is in the repository, or will be with the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted(name for name in set(listed.stdout.split("\0")) if name and (root / name).is_file())


@pytest.fixture(scope="session")
def code(files: list[str]) -> list[str]:
    """Every Python module of the packages."""
    return [name for name in files if name.endswith(".py") and name.partition("/")[0] in PACKAGES]


@pytest.fixture(scope="session")
def trees(root: Path, code: list[str]) -> dict[str, ast.Module]:
    """Syntax tree by path, of every Python module of the packages."""
    return {name: ast.parse((root / name).read_text(), name) for name in code}

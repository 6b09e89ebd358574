"""The wheel: what is installed is exactly what stands in the packages."""

from __future__ import annotations

import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from hatchling import build


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """The wheel that the build backend makes of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        name = build.build_wheel(str(folder))
    return zipfile.Path(folder / name)


@pytest.fixture(scope="module")
def names(wheel: zipfile.Path) -> list[str]:
    """Files in the wheel."""
    return [name for name in wheel.root.namelist() if not name.endswith("/")]


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.Path) -> Message:
    """METADATA of the wheel."""
    folder = next(entry for entry in wheel.iterdir() if entry.name.endswith(".dist-info"))
    return Parser().parsestr((folder / "METADATA").read_text())


def test_the_wheel_holds_our_packages_and_nothing_beside(names: list[str], packages: tuple[str, ...]) -> None:
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == set(packages)


def test_the_wheel_holds_every_file_of_the_packages(
    names: list[str], files: list[str], packages: tuple[str, ...]
) -> None:
    wanted = {name for name in files if name.partition("/")[0] in packages}
    assert {name for name in names if ".dist-info/" not in name} == wanted


def test_the_wheel_carries_the_license(names: list[str], metadata: Message) -> None:
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]


def test_the_wheel_installs_one_command(wheel: zipfile.Path) -> None:
    folder = next(entry for entry in wheel.iterdir() if entry.name.endswith(".dist-info"))
    text = (folder / "entry_points.txt").read_text()
    scripts = text.partition("[console_scripts]\n")[2].partition("\n[")[0].split("\n")
    assert [line for line in scripts if line] == ["joulehub = server.cli:main"]

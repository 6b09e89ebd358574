from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import ConfigErrors
from config.loader import load_plant
from config.plant import PlantConfig

PROFILES = (
    "eastron/sdm630",
    "eastron/sdm120",
    "schneider/iem3155",
    "carlo-gavazzi/em24",
    "abb/b23",
    "acrel/adl400",
)
DRIVERS = ("modbus", "dlt645")


@pytest.fixture(autouse=True)
def _without_hub_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.upper().startswith("JOULEHUB_"):
            monkeypatch.delenv(name)


class Folder:
    """A plant folder under test: write files, load, look at the mistakes relative to the folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).lstrip("\n").encode())
        return path

    def load(self, progress: Callable[[int, int], None] | None = None) -> PlantConfig:
        return load_plant(self.path, profiles=PROFILES, drivers=DRIVERS, progress=progress)

    def mistakes(self) -> list[str]:
        """Every mistake as text, without the folder's own path."""
        with pytest.raises(ConfigErrors) as caught:
            self.load()
        return [str(problem).replace(f"{self.path}/", "") for problem in caught.value.problems]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


BASE = """
hierarchy:
  - id: north
    kind: substation
    children:
      - {id: f1, kind: feeder, code: F1}
      - {id: q1, kind: breaker}
channels:
  gw1: {driver: modbus, options: {host: 127.0.0.1}}
  gw2: {driver: modbus, options: {host: 127.0.0.1}}
meters: meters/*.csv
"""


@pytest.fixture
def town(folder: Folder) -> Folder:
    """A folder with a hierarchy and two channels, and no meter list yet."""
    folder.write("plant.yaml", BASE)
    return folder

"""`joulehub decode` and `joulehub nodeset`."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from server.cli import main

REQUEST = "01 04 00 00 00 02 71CB"


def test_a_good_frame_is_explained_with_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "modbus", *REQUEST.split()]) == 0
    assert "read input registers" in capsys.readouterr().out


@pytest.mark.parametrize("frame", ["01 04 00 00 00 02 71CC", "zz", "01", "00"])
def test_a_bad_frame_is_explained_with_status_1(frame: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "modbus", frame]) == 1
    assert "wrong: " in capsys.readouterr().out


def test_the_explanation_can_be_had_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "modbus", REQUEST, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["errors"] == []


def test_types_and_plant_are_written_as_xml(site, tmp_path: Path) -> None:
    site.write({"a": ["m1"]})
    types, plant = tmp_path / "types.xml", tmp_path / "plant.xml"
    assert main(["nodeset", "types", "--output", str(types)]) == 0
    assert main(["nodeset", "plant", "--config", str(site.folder), "--output", str(plant)]) == 0
    for file in (types, plant):
        assert ElementTree.parse(file).getroot().tag.endswith("UANodeSet")  # noqa: S314
    assert "m1.ActiveEnergyImport" in plant.read_text()
    assert "MeteredValueType" in types.read_text()


def test_a_file_that_cannot_be_written_is_said_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["nodeset", "types", "--output", str(tmp_path / "no" / "x.xml")]) == 1
    assert "x.xml: no such file or directory; name another file" in capsys.readouterr().err

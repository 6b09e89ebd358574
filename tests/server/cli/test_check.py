"""`joulehub check`: every mistake at once, each where it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import config
from server.cli import main

DEMO = Path(config.__file__).parent / "plants" / "demo"
PLANT = """name: Broken
hierarchy: [{id: f1, kind: feeder, name: F}]
channels:
  a: {driver: modbus, options: {host: 127.0.0.1, prot: 502}}
  b: {driver: modbus, options: {host: 127.0.0.1, port: 70000}}
  c: {driver: modbus, options: {host: 127.0.0.1}}
metering_units:
  - {id: m1, parent: f1, profile: eastron/sdm630, channel: c, address: "300"}
"""


def test_the_demonstration_plant_has_no_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(DEMO)]) == 0
    assert "224 metering units" in capsys.readouterr().out


def test_as_json_it_says_how_large_the_plant_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(DEMO), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is True
    assert (answer["units"], answer["channels"], answer["problems"]) == (224, 15, [])


def test_mistakes_are_told_with_file_line_column_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plant.yaml").write_text(PLANT)
    assert main(["check", str(tmp_path)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == "3 mistakes"
    places = [f"{tmp_path / 'plant.yaml'}:{place}: " for place in ("4:50", "5:50", "8:5")]
    for line, place in zip(said, places, strict=False):
        assert line.startswith(place)
    assert "port" in said[0].split("prot", 1)[1]
    assert "65535" in said[1]
    assert "'300' is no Modbus unit address" in said[2]


def test_an_unknown_profile_is_told_with_the_nearest_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plant.yaml").write_text(PLANT.replace("eastron/sdm630", "eastron/sdm631"))
    assert main(["check", str(tmp_path)]) == 1
    assert "eastron/sdm630" in capsys.readouterr().err


def test_as_json_every_mistake_is_an_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plant.yaml").write_text(PLANT)
    assert main(["check", str(tmp_path), "--json"]) == 1
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert captured.err == ""
    assert answer["ok"] is False
    assert [problem["line"] for problem in answer["problems"]] == [4, 5, 8]
    assert {"file", "line", "column", "key", "what", "hint"} <= answer["problems"][0].keys()


def test_mistakes_of_a_site_s_own_profiles_are_told_one_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plant.yaml").write_text("name: P\n")
    (tmp_path / "profiles" / "site").mkdir(parents=True)
    (tmp_path / "profiles" / "site" / "x.yaml").write_text("profile: site/x\nvendr: me\n")
    assert main(["check", str(tmp_path)]) == 1
    assert f"{tmp_path / 'profiles' / 'site' / 'x.yaml'}:" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["nowhere", "nowhere/hub.toml", "."])
def test_a_path_without_a_configuration_says_so(path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / path)]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_pointing_at_the_plant_file_says_what_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(DEMO / "plant.yaml")]) == 1
    assert "give hub.toml or the folder" in capsys.readouterr().err


BUSY = """
channels:
  slow: {driver: modbus, options: {host: 127.0.0.1, framer: rtu, baud: 2400}, polling: {fast: 500ms}}
  idle: {driver: modbus, options: {host: 127.0.0.1, port: 1502}, polling: {all: 1h}}
hierarchy: [{id: f1, kind: feeder}]
metering_units:
  - {id: m1, parent: f1, profile: eastron/sdm630, channel: slow, address: "1"}
  - {id: m2, parent: f1, profile: eastron/sdm630, channel: slow, address: "2"}
  - {id: m3, parent: f1, profile: eastron/sdm630, channel: idle, address: "3"}
"""


def test_a_bus_that_cannot_keep_up_is_a_warning_with_what_would_help(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plant.yaml").write_text(BUSY)
    assert main(["check", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "no mistakes" in said
    assert "warning: slow cannot be read as often as it should be" in said
    assert "every 0.5 s every" in said
    assert "baud (" in said
    assert "idle" not in said
    assert main(["check", str(tmp_path), "--budget", "all"]) == 0
    assert "idle" in capsys.readouterr().out


def test_as_json_every_channel_has_its_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plant.yaml").write_text(BUSY)
    assert main(["check", str(tmp_path), "--json"]) == 0
    slow, idle = json.loads(capsys.readouterr().out)["budget"]
    assert (slow["channel"], slow["devices"], slow["line"], slow["met"]) == ("slow", 2, "2400 8N1", False)
    assert slow["worst_utilisation"] >= slow["utilisation"] > 1
    assert slow["advice"]
    assert (idle["channel"], idle["met"], idle["advice"]) == ("idle", True, [])


def test_a_plant_without_a_busy_channel_shows_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(DEMO)]) == 0
    assert "Bus time" not in capsys.readouterr().out

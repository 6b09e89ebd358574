"""Adding a device from the command line alone: begin a profile, fill it, check it, use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drivers.profiles import load_library
from server.cli import main
from server.cli.profile_page import as_data, shown

PLANT = """name: Site
hierarchy: [{id: f1, kind: feeder, name: F}]
channels:
  c: {driver: modbus, options: {host: 127.0.0.1}}
metering_units:
  - {id: m1, parent: f1, profile: acme/pm100, channel: c, address: "3"}
"""
POINTS = """points:
  VoltageL1: {at: 0x0000, type: uint16, scale: 0.1, unit: V, class: fast}
  ActiveEnergyImport: {at: 0x0020, type: uint32, scale: 0.01, unit: kWh}
"""
PROFILE = """profile: acme/pm100
vendor: Acme
model: PM100
protocol: modbus
source: [{document: Manual}]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "plant.yaml").write_text(PLANT)
    return tmp_path


def put(site: Path, text: str, name: str = "acme/pm100") -> None:
    file = site / "profiles" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def complaint(site: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["check", str(site)]) == 1
    return capsys.readouterr().err


def test_a_device_is_added_by_template_and_check(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "acme/pm100" in complaint(site, capsys)
    assert main(["profiles", "--plant", str(site), "--new", "acme/pm100"]) == 0
    file = Path(capsys.readouterr().out.strip())
    assert file == site / "profiles" / "acme" / "pm100.yaml"
    assert main(["check", str(site)]) == 0
    said = capsys.readouterr().out
    assert "1 metering units" in said
    assert "acme/pm100: What is still to be confirmed with a device." in said
    file.write_text(file.read_text(encoding="utf-8").replace("at: 0x0000", "at: 0x0004"), encoding="utf-8")
    assert main(["profiles", "--plant", str(site), "acme/pm100", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["vendor"], shown["origin"], shown["points"][0]["where"]) == ("Acme", "site", "FC3 0x0004 uint16")


def test_a_file_is_never_overwritten(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(site, PROFILE + POINTS)
    assert main(["profiles", "--plant", str(site), "--new", "acme/pm100"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert (site / "profiles" / "acme" / "pm100.yaml").read_text() == PROFILE + POINTS


def test_a_profile_begins_with_another_one(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "--plant", str(site), "--new", "acme/pm100", "--from", "eastron/sdm630"]) == 0
    assert main(["check", str(site)]) == 0
    assert main(["profiles", "--plant", str(site), "--new", "acme/pm200", "--from", "eastron/sdm63"]) == 1
    assert "did you mean 'eastron/sdm630'" in capsys.readouterr().err


def test_the_sites_own_profile_wins_and_is_marked(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(site, PROFILE + POINTS)
    own = "profile: eastron/sdm630\nextends: eastron/sdm630\nmodel: Ours\npoints:\n  VoltageL1: {at: 0x0100}\n"
    put(site, own, "eastron/sdm630")
    (site / "plant.yaml").write_text(PLANT.replace("acme/pm100", "eastron/sdm630"))
    assert main(["check", str(site)]) == 0
    capsys.readouterr()
    assert main(["profiles", "--plant", str(site)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(load_library().names) + 1
    assert next(line for line in lines if "site, instead of the hub's" in line).startswith("eastron/sdm630 ")
    assert main(["profiles", "eastron/sdm630", "--plant", str(site)]) == 0
    shown = capsys.readouterr().out
    assert "VoltageL1" in shown
    assert "FC4 0x0100 float32" in shown


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("VoltageL1:", "Voltage1:", "pm100.yaml:7:3: unknown quantity 'Voltage1'; did you mean 'VoltageL1'?"),
        ("at: 0x0020", "at: 0x0000", "pm100.yaml:8:24: ActiveEnergyImport (FC3 0x0000 uint32) reads 0x0000, which"),
        ("class: fast", "clas: fast", "pm100.yaml:7:62: unknown key 'clas'; did you mean 'class'?"),
        ("unit: V", "unit: kWh", "pm100.yaml:7:53: VoltageL1 cannot be stated in 'kWh'; use one of mV, V, kV"),
        ("uint32", "unit32", "pm100.yaml:8:36: type: Input should be"),
        ("at: 0x0020", "at: 70000", "pm100.yaml:8:24: 0x11171 is no Modbus address"),
        ("vendor: Acme\n", "", "vendor is missing"),
        ("protocol: modbus", "protocol: mobdus", "pm100.yaml:4:1: protocol: Input should be 'modbus'"),
        ("  VoltageL1", "\tVoltageL1", "pm100.yaml:7:1: not YAML"),
    ],
)
def test_a_typical_mistake_is_told_where_it_stands(
    site: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, told: str
) -> None:
    put(site, (PROFILE + POINTS).replace(old, new, 1))
    assert told in complaint(site, capsys)


def test_addresses_typed_as_in_the_manual_are_told(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(site, PROFILE + POINTS.replace("0x0000", "40001").replace("0x0020", "40033"))
    said = complaint(site, capsys)
    assert "40001 looks like the notation of a manual" in said
    assert "say base: 40001 in the section" in said
    put(site, PROFILE + "modbus: {base: 40001}\n" + POINTS.replace("0x0000", "40001").replace("0x0020", "40033"))
    assert main(["check", str(site)]) == 0


def test_a_profile_that_no_meter_uses_is_checked_as_well(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(site, PROFILE + POINTS)
    put(site, (PROFILE + POINTS).replace("pm100", "pm200").replace("at: 0x0020", "at: 0x0000"), "acme/pm200")
    assert "pm200.yaml:8:24: ActiveEnergyImport" in complaint(site, capsys)


def test_all_mistakes_are_told_at_once_and_as_json(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(site, (PROFILE + POINTS).replace("unit: V", "unit: kWh").replace("kWh}", "kW}"))
    assert main(["check", str(site), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert len(answer["problems"]) == 2
    assert all(problem["where"] and problem["hint"] for problem in answer["problems"])


def test_caveats_of_the_profiles_in_use_are_told_by_check(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "plant.yaml").write_text(PLANT.replace("acme/pm100", "hiking/dds238-2"))
    assert main(["check", str(site), "--json"]) == 0
    caveats = json.loads(capsys.readouterr().out)["caveats"]
    assert list(caveats) == ["hiking/dds238-2"]
    assert any("Writing 0 to the total energy clears" in caveat for caveat in caveats["hiking/dds238-2"])


def test_the_list_for_machines_says_what_there_is(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "--plant", str(site), "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == set(load_library().names)
    assert rows["hiking/dds238-2"]["commands"] == ["open_supply", "close_supply"]
    assert rows["hiking/dds238-2"]["origin"] == "hub"


def test_every_profile_of_the_library_can_be_shown() -> None:
    library = load_library()
    for profile in map(library.get, library.names):
        page = list(shown(profile, library))
        assert all(any(line.startswith(f"{point.name} ") for line in page) for point in profile.points)
        assert sum(line.startswith("caveat: ") for line in page) == len(profile.caveats)
        assert sum(line.startswith("source: ") for line in page) == len(profile.source)
        assert json.loads(json.dumps(as_data(profile, library)))["name"] == profile.name


def test_one_profile_is_shown_with_all_it_says(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "socomec/diris-a10", "--plant", str(site)]) == 0
    page = capsys.readouterr().out
    assert "ActivePower         W     FC3 0xC568 int32   fast    10 s   scale 10" in page
    assert "variant diris-b30, where at 0xC350, type uint64, equals 0x53004F0043004F; at 0xC38A" in page
    assert "Frequency" in page.split("variant diris-b30")[1]
    assert main(["profiles", "hiking/dds238-2", "--plant", str(site)]) == 0
    page = capsys.readouterr().out
    assert "open_supply   supply  yes      yes       2" in page
    assert "map {0: 1, 1: 2}, optional" in page


def test_a_vendor_is_listed_and_an_unknown_name_is_told(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "janitza", "--plant", str(site)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert main(["profiles", "janitza/umg97rm", "--plant", str(site)]) == 1
    assert "did you mean 'janitza/umg96rm'" in capsys.readouterr().err


LOGS = """modbus:
  logs:
    quarters:
      file: 4
      words: 4
      count: 2976
      newest: search
      period: 15min
      time: {at: 0, format: unix}
      values: {ActiveEnergyImport: {at: 2, type: uint32}}
    days:
      {at: 0x6000, words: 2, count: 31, newest: first, period: 1d, values: {ActiveEnergyImport: {at: 0, type: uint32}}}
"""


def test_the_logs_of_a_device_are_shown(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(site, PROFILE + POINTS + LOGS)
    assert main(["check", str(site)]) == 0
    said = capsys.readouterr().out
    assert "acme/pm100: keeps quarters itself (2976 records, one every 15min); gaps are filled from it" in said
    assert main(["profiles", "--plant", str(site), "acme/pm100"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "LOG WHERE RECORDS EVERY TIME VALUES quarters file 4 2976 15min its own ActiveEnergyImport" in page
    assert "days registers from 0x6000 31 1d by its place ActiveEnergyImport" in page
    assert main(["profiles", "--plant", str(site), "acme/pm100", "--json"]) == 0
    first, _ = json.loads(capsys.readouterr().out)["logs"]
    assert (first["name"], first["records"], first["dated"]) == ("quarters", 2976, True)


EVENTS = """modbus:
  event_logs:
    alarms:
      at: 0x6000
      words: 4
      count: 50
      newest: first
      time: {at: 0, format: unix}
      code: {at: 2, type: uint16}
      codes:
        0x05: {text: {en: Cover open, ru: Крышка открыта}, severity: 700, state: begins}
        0x12: {text: Sag}
    others: {file: 3, words: 4, count: 9, newest: search, time: {at: 0, format: unix}, code: {at: 2, type: uint16}}
"""


def test_the_logs_of_events_of_a_device_are_shown(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(site, PROFILE + POINTS + EVENTS)
    assert main(["check", str(site)]) == 0
    said = capsys.readouterr().out
    assert "acme/pm100: keeps events in alarms itself (50 records); they are told with their time" in said
    assert main(["profiles", "--plant", str(site), "acme/pm100"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "EVENT LOG WHERE RECORDS LOOKED AT EVENTS" in page
    assert "alarms registers from 0x6000 50 15min 0x05 Cover open; 0x12 Sag" in page
    assert "others file 3 9 15min by their numbers" in page
    assert main(["profiles", "--plant", str(site), "acme/pm100", "--json"]) == 0
    first, _ = json.loads(capsys.readouterr().out)["event_logs"]
    assert first["events"][0] == {"code": 5, "text": "Cover open", "severity": 700}


def test_a_mistake_in_a_log_of_events_is_told_by_check(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(site, PROFILE + POINTS + EVENTS.replace("severity: 700", "severity: 7000"))
    said = complaint(site, capsys)
    assert "pm100.yaml:19:" in said
    assert "severity: Input should be less than or equal to 1000" in said


def test_a_mistake_in_a_log_is_told_by_check(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(site, PROFILE + POINTS + LOGS.replace("words: 4", "words: 3"))
    said = complaint(site, capsys)
    assert "pm100.yaml:18:" in said
    assert "register 3 lies behind a record of 3; it counts from the record's first register, 0 to 2" in said

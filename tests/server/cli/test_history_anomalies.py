"""`joulehub history anomalies` on what a hub found of its registers."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from address_space.model import NS, ManualClock, NodeUid, Plant, PointSpec, Quantity, Template
from address_space.model.hierarchy import MeteringUnit
from historian.api import Readings
from historian.calendar import Days
from historian.rollups import Ratings, Rollups
from historian.schema import Measurement
from historian.sqlite import SqliteStore
from server.cli.main import main

QUARTER_MS = 900_000
START_MS = 1_767_225_600_000
"""Midnight of 2026-01-01 in UTC."""
READINGS = 40
IMPORT = Quantity.ACTIVE_ENERGY_IMPORT


def registers() -> dict[str, np.ndarray]:
    m1 = 1_000_000.0 + np.arange(READINGS) * 250.0
    m1[9] = 0.0
    m1[17:] = 500.0 + np.arange(READINGS - 17) * 250.0
    m2 = (1_000_000_000.0 - 1000 + np.arange(READINGS) * 250.0) % 1_000_000_000
    m2[21:] += 55_000_000.0
    return {"m1": m1, "m2": m2, "m3": 1_000_000.0 + np.arange(READINGS) * 250.0}


async def ten_hours(folder: Path) -> None:
    """What a hub made of ten hours of three meters."""
    clock = ManualClock(START_MS * NS // 1000)
    template = Template("meter", [PointSpec(IMPORT, rollover=1_000_000.0)])
    units = [
        MeteringUnit(NodeUid(uid), uid, None, template, attributes={"rated_power_kw": 50.0}) for uid in registers()
    ]
    async with SqliteStore(folder, clock) as store:
        days = Days(ZoneInfo("Asia/Tashkent"))
        async with Rollups(folder, clock, store, days, Ratings(Plant([], units))) as rollups:
            writer = rollups.tap(store)
            series = await writer.series([unit.id for unit in units])
            for place in range(READINGS):
                values = np.array([shown[place] for shown in registers().values()])[:, None]
                times = np.full(len(units), START_MS + place * QUARTER_MS)
                status = np.zeros((len(units), 1), np.uint32)
                await writer.write([Readings(Measurement.ENERGY, (IMPORT.path,), series, times, values, status)])
                await clock.advance(900)
                await rollups.catch_up()
            await clock.advance(7200)
            await rollups.catch_up()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hub.toml").write_text(f'plant = "plant"\ndata_dir = "{tmp_path / "data"}"\n')
    asyncio.run(ten_hours(tmp_path / "data" / "history"))
    return tmp_path


RANGE = ("--from", "2026-01-01T00:00Z", "--zone", "Asia/Tashkent")


def told(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> str:
    capsys.readouterr()
    assert main(["history", "anomalies", *arguments, *RANGE, "--config", str(folder)]) == 0
    return capsys.readouterr().out


def test_each_is_told_in_a_sentence_with_its_time_and_units(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    over, glitch, reset, replaced = told(capsys, folder).splitlines()
    assert over.startswith(
        "2026-01-01T06:00:00.000+05:00  m2.ActiveEnergyImport  rollover: the register reached its end and began anew: "
        "999 999.750 kW·h, then 0.000 kW·h; 0.250 kW·h booked."
    )
    assert glitch.startswith(
        "2026-01-01T07:15:00.000+05:00  m1.ActiveEnergyImport  glitch: a reading that does not fit: 1 002.000 kW·h, "
        "then 0.000 kW·h, then as before; nothing booked, the reading is kept."
    )
    assert "1 004.000 kW·h, then 0.500 kW·h; 0.500 kW·h booked." in reset
    assert "another level: 4.000 kW·h, then 55 004.250 kW·h; nothing booked." in replaced
    assert "give their ratio and its date" in replaced


def test_data_is_exact_and_may_be_restricted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (glitch,) = json.loads(told(capsys, folder, "m1", "--kind", "glitch", "--json"))
    assert glitch == {
        "time": "2026-01-01T07:15:00.000+05:00",
        "unit": "m1",
        "quantity": "ActiveEnergyImport",
        "kind": "glitch",
        "before": 1002.0,
        "value": 0.0,
        "booked": 0.0,
        "uom": "kW·h",
    }
    rows = list(csv.DictReader(told(capsys, folder, "--csv").splitlines()))
    assert [(row["unit"], row["kind"], row["booked"]) for row in rows] == [
        ("m2", "rollover", "0.25"),
        ("m1", "glitch", "0.0"),
        ("m1", "reset", "0.5"),
        ("m2", "replaced", "0.0"),
    ]
    both = told(capsys, folder, "--kind", "reset", "--kind", "rollover", "--json")
    assert [one["kind"] for one in json.loads(both)] == ["rollover", "reset"]
    assert [one["kind"] for one in json.loads(told(capsys, folder, "--most", "1", "--json"))] == ["replaced"]
    until = told(capsys, folder, "--to", "2026-01-01T02:00Z", "--json")
    assert [one["kind"] for one in json.loads(until)] == ["rollover"]


def test_a_unit_of_which_nothing_is_odd_says_so_and_an_unknown_one_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["history", "anomalies", *RANGE, "--config", str(folder)]
    assert main([*arguments, "m3"]) == 0
    assert capsys.readouterr() == ("", "every register simply went on\n")
    assert main([*arguments, "m9"]) == 1
    assert "no history of 'm9'" in capsys.readouterr().err


def test_without_a_hub_that_looked_it_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hub.toml").write_text(f'plant = "plant"\ndata_dir = "{tmp_path / "data"}"\n')
    assert main(["history", "anomalies", "--config", str(tmp_path)]) == 1
    assert "never looked at here" in capsys.readouterr().err


def test_a_glitch_is_told_beside_the_stored_value(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["history", "read", "m1.ActiveEnergyImport", *RANGE, "--config", str(folder)]
    assert main([*arguments, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {place: row["judged"] for place, row in enumerate(rows) if "judged" in row} == {9: "glitch"}
    assert {row["status"] for row in rows} == {"Good"}
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines()[9].endswith("Good  judged a glitch")


def test_where_the_plant_cannot_be_read_the_hubs_own_figures_stand_and_others_are_told_to_be_unbounded(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["history", "read", "m2.ActiveEnergyImport", *RANGE, "--to", "2026-01-01T06:00Z", "--every", "1h"]
    assert main([*arguments, "--json", "--config", str(folder)]) == 0
    own = capsys.readouterr()
    deltas = [row["delta"] for row in json.loads(own.out)]
    assert (deltas[:5], own.err) == ([1.0] * 5, "")
    for file in (folder / "data" / "history").glob("rollups.db*"):
        file.unlink()
    assert main([*arguments, "--json", "--config", str(folder)]) == 0
    computed = capsys.readouterr()
    assert "nothing is known of where registers roll over" in computed.err
    assert computed.err.count("\n") <= 2
    deltas = [row["delta"] for row in json.loads(computed.out)]
    assert deltas[:3] == [0.75, 1.0, 1.0]

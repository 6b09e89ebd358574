"""`joulehub history gaps` and `backfill` on the ledger of a hub that was away."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from address_space.model import ManualClock, NodeUid
from historian.api import Readings
from historian.gaps import Expected, GapLedger, periodic
from historian.schema import Measurement
from server.cli.main import main

QUARTER_MS = 900_000
START_MS = 1_767_225_600_000
"""Midnight of 2026-01-01 in UTC."""
FIELD = "ActiveEnergyImport"
UNIT = NodeUid("m1")


async def ledger_with_a_gap(folder: Path) -> None:
    """Two hours of quarter hours were expected and the third and fourth of them are missing."""
    clock = ManualClock(START_MS * 1_000_000)
    track = periodic(Measurement.ENERGY, QUARTER_MS)
    async with GapLedger(folder, clock) as ledger:
        await ledger.adopt({UNIT: (Expected(track, (FIELD,)),)})
        for slot in (0, 1, 4, 5, 6, 7):
            await clock.advance(START_MS / 1000 + slot * 900 + 1 - clock.now_ns() / 1e9)
            series = await ledger.series([UNIT])
            times = np.array([START_MS + slot * QUARTER_MS])
            values, status = np.ones((1, 1)), np.zeros((1, 1), np.uint32)
            await ledger.write([Readings(Measurement.ENERGY, (FIELD,), series, times, values, status)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hub.toml").write_text(f'plant = "plant"\ndata_dir = "{tmp_path / "data"}"\n')
    (tmp_path / "data" / "history").mkdir(parents=True)
    asyncio.run(ledger_with_a_gap(tmp_path / "data" / "history"))
    return tmp_path


RANGE = ("--from", "2026-01-01T00:00Z", "--to", "2026-01-01T02:00Z", "--zone", "UTC", "--config")


def told(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> str:
    assert main(["history", *arguments, *RANGE, str(folder)]) == 0
    return capsys.readouterr().out


def test_what_is_missing_is_told_with_its_cause(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (gap,) = json.loads(told(capsys, folder, "gaps", "--json"))
    assert (gap["unit"], gap["measurement"], gap["missing"]) == ("m1", "energy", 2)
    assert (gap["first"], gap["last"]) == ("2026-01-01T00:30:00.000Z", "2026-01-01T00:45:00.000Z")
    assert "2 readings of energy" in told(capsys, folder, "gaps", "m1")


@pytest.mark.parametrize("command", [["gaps"], ["gaps", "--every", "1d"], ["backfill"]])
def test_of_a_unit_of_which_nothing_was_ever_expected_nobody_says_that_nothing_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main(["history", *command, "m9", "m1", "--last", "1m", "--config", str(folder)]) == 0
    said = capsys.readouterr().err
    assert "m9: nothing was ever expected of it" in said
    assert "m1" not in said


@pytest.mark.parametrize("command", [["gaps"], ["gaps", "--every", "1d"], ["backfill"]])
def test_where_all_units_are_misspelt_the_command_fails_with_the_nearest_name(
    folder: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main(["history", *command, "m9", "M1", *RANGE, str(folder)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "m9: nothing was ever expected of it; write ids as in the meter lists\n"
        "M1: nothing was ever expected of it; did you mean 'm1'? write ids as in the meter lists\n"
    )
    assert main(["history", *command, "M1", "--json", *RANGE, str(folder)]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem["where"] == "M1"


def test_how_complete_a_day_is_never_looks_whole_when_it_is_not(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (day,) = json.loads(told(capsys, folder, "gaps", "--every", "1d", "--json"))
    assert day["unit"] is None
    assert day["stored"] == 6
    assert day["expected"] >= 8
    text = told(capsys, folder, "gaps", "m1", "--every", "1d")
    assert "100.00 %" not in text
    assert f"6 of {day['expected']}" in text


def test_a_day_of_which_nothing_was_expected_is_not_told_as_complete(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long_before = ["--from", "2025-01-01", "--to", "2025-01-02", "--config", str(folder)]
    assert main(["history", "gaps", "--every", "1d", *long_before]) == 0
    text = capsys.readouterr().out
    assert text.endswith("  nothing was expected\n")
    assert "%" not in text


def test_what_is_left_to_be_filled_is_told_by_unit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(told(capsys, folder, "backfill", "--json")) == [
        {"unit": "m1", "filled": 0, "missing": 2, "lacking": 0}
    ]
    assert told(capsys, folder, "backfill").startswith("m1  0 filled, 2 missing, 0 that")


@pytest.mark.parametrize("command", ["gaps", "backfill"])
def test_without_a_ledger_there_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    (tmp_path / "hub.toml").write_text(f'plant = "plant"\ndata_dir = "{tmp_path / "data"}"\n')
    assert main(["history", command, *RANGE, str(tmp_path)]) == 1
    assert "data/history: there is no history yet; it begins when the hub first runs" in capsys.readouterr().err

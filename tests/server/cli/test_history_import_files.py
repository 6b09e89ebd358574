"""`joulehub history import`: what is no file to read twice, and units of measure as people write them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.server.cli.test_history_commands import Run, Site, run, site

__all__ = ["run", "site"]

LINES = "time,unit,quantity,value,uom\n2026-01-01T00:00:00Z,m1,ActiveEnergyImport,{value},{uom}\n"


@pytest.mark.parametrize("uom", ["kW·h", "kWh", "kW*h", "kW.h", ""])
def test_kilowatt_hours_are_known_however_they_are_written(site: Site, run: Run, uom: str) -> None:
    file = site.folder / "a.csv"
    file.write_text(LINES.format(value=1, uom=uom))
    assert run("import", file)[0] == 0


def test_another_unit_of_measure_is_a_mistake(site: Site, run: Run) -> None:
    file = site.folder / "a.csv"
    file.write_text(LINES.format(value=1, uom="MWh"))
    status, _, err = run("import", file)
    assert status == 1
    assert "convert the values" in err


def test_a_pipe_is_refused_before_it_is_emptied(site: Site, run: Run) -> None:
    pipe = site.folder / "pipe"
    os.mkfifo(pipe)
    status, _, err = run("import", pipe, "--apply")
    assert status == 1
    assert "read twice" in err


@pytest.mark.parametrize("name", ["none.csv", "."])
def test_what_is_no_file_is_said(site: Site, run: Run, name: str) -> None:
    path: Path = site.folder / name
    assert run("import", path, "--apply")[0] == 1


def test_a_file_that_changes_between_checking_and_writing_is_told(
    site: Site, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.cli import history_import

    file = site.folder / "a.csv"
    file.write_text(LINES.format(value=1, uom=""))
    kept = history_import._apply

    async def changed(*given: object) -> int:
        file.write_text(LINES.format(value="x", uom=""))
        return await kept(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(history_import, "_apply", changed)
    status, _, err = run("import", file, "--apply")
    assert status == 1
    assert "changed meanwhile" in err


def test_a_file_that_is_gone_before_it_is_written_is_told(
    site: Site, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.cli import history_import

    file = site.folder / "a.csv"
    file.write_text(LINES.format(value=1, uom=""))
    kept = history_import._apply

    async def gone(*given: object) -> int:
        file.unlink()
        return await kept(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(history_import, "_apply", gone)
    status, _, err = run("import", file, "--apply")
    assert (status, err) == (1, f"{file}: no such file or directory; name files that can be read\n")


@pytest.mark.parametrize("row", ["2026-01-01T00:00:00Z,m9,ActivePower,1\n", "a,b\n", "a,b,c,d,e\n"])
def test_all_mistakes_are_counted_and_the_first_thousand_told(site: Site, run: Run, row: str) -> None:
    first, second = site.folder / "a.csv", site.folder / "b.csv"
    first.write_text("time,unit,quantity,value\n" + row * 700)
    second.write_text("time,unit,quantity,value\n" + row * 4196)
    status, out, err = run("import", first, second, "--apply")
    *told, last = err.splitlines()
    assert (status, out, len(told)) == (1, "", 1000)
    assert last == "4,896 mistakes: these 1,000 and 3,896 more"
    answer = json.loads(run("import", first, second, "--json")[1])
    assert (answer["ok"], len(answer["problems"]), answer["more"]) == (False, 1000, 3896)


def test_of_a_thousand_mistakes_none_is_left_out(site: Site, run: Run) -> None:
    file = site.folder / "a.csv"
    file.write_text("time,unit,quantity,value\n" + "2026-01-01T00:00:00Z,m9,ActivePower,1\n" * 1000)
    assert run("import", file)[2].splitlines()[-1] == "1000 mistakes"
    assert "more" not in json.loads(run("import", file, "--json")[1])

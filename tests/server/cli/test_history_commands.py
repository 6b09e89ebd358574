"""`joulehub history`: what was recorded is read, exported and imported, beside a hub and without one."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from address_space.model import ManualClock, NodeUid, Quantity
from address_space.model.quality import Reason
from historian.api import Readings
from historian.outbox import Outbox
from historian.parcels import Parcel, Verdict
from historian.schema import Measurement
from historian.spool import FILE as SPOOL_FILE
from historian.sqlite import SqliteStore
from server.cli import history_export
from server.cli.history_rows import pages
from server.cli.main import main
from server.data_lock import data_lock
from tests.historian.influx.answers import V2, V18, Replayed, Said, said

HOUR_MS = 3_600_000
START_MS = 1_767_225_600_000 - 5 * HOUR_MS
"""Midnight of 2026-01-01 in Tashkent."""
SLOTS = 8 * 24 * 4
REGISTER, POWER = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_POWER
PLANT = """
time_zone: Asia/Tashkent
hierarchy:
  - {id: works, name: Works, kind: site}
channels:
  line: {driver: modbus, options: {host: 127.0.0.1, port: 15020}}
metering_units:
  - {id: m1, name: One, parent: works, profile: eastron/sdm630, channel: line, address: 1}
  - {id: m2, name: Two, parent: works, profile: eastron/sdm630, channel: line, address: 2}
"""
Run = Callable[..., tuple[int, str, str]]


class Site:
    """A folder with a hub's files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        (folder / "plant").mkdir()
        (folder / "plant" / "plant.yaml").write_text(PLANT)
        self.configure()

    def configure(self, more: str = "") -> None:
        (self.folder / "hub.toml").write_text(f'plant = "plant"\ndata_dir = "{self.data}"\n{more}')

    async def fill(self, units: tuple[str, ...] = ("m1", "m2", "gone")) -> None:
        """Eight days of quarter hours: a register that counts 250 Wh a slot, a power, and a failed reading."""
        async with SqliteStore(self.data / "history", ManualClock(START_MS * 1_000_000)) as store:
            series = await store.series([NodeUid(unit) for unit in units])
            times = START_MS + np.arange(SLOTS) * 900_000
            for number in series.tolist():
                register = (1_000_000 + np.arange(SLOTS) * 250.0)[:, None]
                power = np.round(np.sin(np.arange(SLOTS)) * 1000, 1)[:, None]
                status = np.zeros((SLOTS, 1), np.uint32)
                broken = status.copy()
                power[5], broken[5] = np.nan, Reason.TIMEOUT.status
                ids = np.full(SLOTS, number)
                await store.write([Readings(Measurement.ENERGY, (REGISTER.path,), ids, times, register, status)])
                await store.write([Readings(Measurement.INST, (POWER.path,), ids, times, power, broken)])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def run(site: Site, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        status = main(["history", *map(str, arguments), "--config", str(site.folder)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


# main runs a loop of its own, so these tests fill the store in one that has ended by then


@pytest.fixture
def filled(site: Site) -> Site:
    asyncio.run(site.fill())
    return site


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_a_point_is_read_raw_in_the_plants_time_zone(filled: Site, run: Run) -> None:
    status, out, _ = run("read", "m1.ActiveEnergyImport", "--from", "2026-01-01", "--to", "2026-01-01T00:30", "--json")
    assert status == 0
    assert json.loads(out) == [
        {
            "time": f"2026-01-01T00:{minute}:00.000+05:00",
            "id": "m1.ActiveEnergyImport",
            "value": value,
            "uom": "kW·h",
            "status": "Good",
        }
        for minute, value in (("00", 1000.0), ("15", 1000.25))
    ]


def test_a_failed_reading_is_told_with_its_status_and_no_value(filled: Site, run: Run) -> None:
    _, out, _ = run("read", "m1.ActivePower", "--from", "2026-01-01T01:15", "--to", "2026-01-01T01:16", "--csv")
    (row,) = rows(out)
    assert (row["value"], row["status"]) == ("", "BadNoCommunication")


def test_days_of_a_register_are_its_consumption_between_the_zones_midnights(filled: Site, run: Run) -> None:
    _, out, _ = run(
        "read", "m1.ActiveEnergyImport", "--from", "2026-01-01", "--to", "2026-01-04", "--every", "1d", "--json"
    )
    days = json.loads(out)
    assert [day["start"] for day in days] == [f"2026-01-0{day}T00:00:00.000+05:00" for day in (1, 2, 3)]
    assert [day["delta"] for day in days] == [24.0] * 3
    assert [(day["count"], day["quality"]) for day in days] == [(96, 0)] * 3


def test_hours_of_a_power_are_its_mean_and_extremes(filled: Site, run: Run) -> None:
    _, out, _ = run(
        "read", "m1.ActivePower", "--from", "2026-01-01", "--to", "2026-01-01T02:00", "--every", "1h", "--json"
    )
    first, second = json.loads(out)
    expected = np.round(np.sin(np.arange(4)) * 1000, 1) / POWER.per_unit
    assert first["mean"] == pytest.approx(expected.mean())
    assert (first["low"], first["high"], first["delta"]) == (expected.min(), expected.max(), None)
    assert second["count"] == 3
    assert second["quality"] != 0


def test_tables_are_for_people(filled: Site, run: Run) -> None:
    _, raw, _ = run("read", "m1.ActiveEnergyImport", "--from", "2026-01-01", "--to", "2026-01-01T00:15")
    assert raw == "2026-01-01T00:00:00.000+05:00  m1.ActiveEnergyImport  1 000 kW·h  Good\n"
    _, days, _ = run("read", "m1.ActiveEnergyImport", "--from", "2026-01-02", "--to", "2026-01-03", "--every", "1d")
    assert days == "2026-01-02T00:00:00.000+05:00  m1.ActiveEnergyImport  delta 24  last 1 047.75 kW·h  of 96\n"
    assert run("read", "m1", "--last", "30m")[2] == "nothing is stored of that time\n"


def test_a_register_is_told_to_its_last_digit(site: Site, run: Run) -> None:
    async def fill() -> None:
        async with SqliteStore(site.data / "history", ManualClock(START_MS * 1_000_000)) as store:
            (number,) = await store.series([NodeUid("m1")])
            times = START_MS + np.array([0, 1, 24]) * HOUR_MS
            register = np.array([[1_234_567_001.0], [1_234_567_892.0], [1_234_690_347.0]])
            status = np.zeros((3, 1), np.uint32)
            await store.write(
                [Readings(Measurement.ENERGY, (REGISTER.path,), np.full(3, number), times, register, status)]
            )

    asyncio.run(fill())
    _, raw, _ = run("read", "m1.ActiveEnergyImport", "--from", "2026-01-01T01:00", "--to", "2026-01-01T02:00")
    assert raw == "2026-01-01T01:00:00.000+05:00  m1.ActiveEnergyImport  1 234 567.892 kW·h  Good\n"
    _, days, _ = run("read", "m1.ActiveEnergyImport", "--from", "2026-01-01", "--to", "2026-01-02", "--every", "1d")
    assert "  delta 123.346  last 1 234 567.892 kW·h  " in days


def test_everything_is_exported_in_the_order_of_time_also_of_units_that_are_gone(filled: Site, run: Run) -> None:
    status, out, err = run("export", "--zone", "UTC")
    found = rows(out)
    assert status == 0
    assert len(found) == 3 * 2 * SLOTS
    assert "4608 values of 3 units exported" in err
    assert {row["unit"] for row in found} == {"m1", "m2", "gone"}
    assert all(row["time"].endswith("Z") for row in found)
    for unit in ("m1", "m2", "gone"):
        times = [row["time"] for row in found if row["unit"] == unit]
        assert times == sorted(times)


async def test_pages_of_any_size_make_the_same_rows(site: Site) -> None:
    await site.fill(("m1",))
    async with SqliteStore(site.data / "history", ManualClock(), read_only=True) as store:
        quantities = (REGISTER, POWER)
        for chunk in (1, 7, 100, SLOTS, 10_000):
            found = [page async for page in pages(store, NodeUid("m1"), quantities, 0, 2**42, chunk)]
            times = np.concatenate([page.time_ms for page in found])
            assert len(times) == 2 * SLOTS
            assert (np.diff(times) >= 0).all()
            assert np.concatenate([page.which for page in found])[:4].tolist() == [0, 1, 0, 1]
            assert max(len(page.time_ms) for page in found) <= 2 * chunk


def test_a_part_goes_to_files_of_its_own_and_nothing_is_left_of_an_export_that_fails(
    filled: Site, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = filled.folder / "out"
    status, text, _ = run("export", "m1", "m2.ActivePower", "--quantity", "ActivePower", "--per-unit", out, "--json")
    assert status == 0
    assert json.loads(text) == {"units": 2, "rows": 2 * SLOTS, "output": str(out)}
    assert sorted(path.name for path in out.iterdir()) == ["m1.csv", "m2.csv"]
    assert {row["quantity"] for row in rows((out / "m1.csv").read_text())} == {"ActivePower"}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(history_export._CsvFile, "write", full)
    status, _, err = run("export", "--output", out / "all.csv")
    assert status == 1
    assert "no space left" in err
    assert sorted(path.name for path in out.iterdir()) == ["m1.csv", "m2.csv"]


def test_what_there_is_is_listed(filled: Site, run: Run) -> None:
    _, out, _ = run("export", "--list", "--json")
    assert json.loads(out)[0] == {"unit": "gone", "quantities": ["ActiveEnergyImport", "ActivePower"]}


def test_an_export_is_imported_into_another_hub_and_is_the_same_there_however_often(
    filled: Site, run: Run, tmp_path: Path
) -> None:
    exported = tmp_path / "all.csv"
    run("export", "m1", "m2", "--output", exported)
    filled.data = tmp_path / "other"
    filled.configure()
    status, out, err = run("import", exported)
    assert (status, out) == (0, "3072 values of 2 units checked, no mistakes\n")
    assert "--apply" in err
    assert not (filled.data / "history").exists()
    for _ in range(2):
        status, out, _ = run("import", exported, "--apply", "--json")
        assert (status, json.loads(out)) == (0, {"ok": True, "applied": True, "values": 3072, "units": 2})
        again = tmp_path / "again.csv"
        run("export", "--output", again)
        assert again.read_bytes() == exported.read_bytes()


HEADER = "time,unit,quantity,value,uom,status\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("time,unit,value\n", "f.csv:1:1: there is no column 'quantity'"),
        (HEADER.replace("uom", "colour"), "f.csv:1:1: no column is named 'colour'"),
        (HEADER.replace("uom", "time"), "f.csv:1:1: the column 'time' is there twice"),
        (HEADER + "2026-01-01T00:00:00Z,m1\n", "f.csv:2:1: the row has 2 cells, the header 6"),
        (
            HEADER + "2026-01-01T00:00:00,m1,ActivePower,1,,\n",
            "f.csv:2:time: '2026-01-01T00:00:00' is no time with a zone",
        ),
        (HEADER + "1969-01-01T00:00:00Z,m1,ActivePower,1,,\n", "f.csv:2:time: 1969-01-01T00:00:00Z is before 1970"),
        (HEADER + "2926-01-01T00:00:00Z,m1,ActivePower,1,,\n", "lies in the future"),
        (HEADER + "2026-01-01T00:00:00Z,m9,ActivePower,1,,\n", "f.csv:2:unit: no unit has the id 'm9'"),
        (HEADER + "2026-01-01T00:00:00Z,m1,Warmth,1,,\n", "f.csv:2:quantity: no quantity is named 'Warmth'"),
        (HEADER + "2026-01-01T00:00:00Z,m1,Communication.LastError,1,,\n", "f.csv:2:quantity:"),
        (HEADER + "2026-01-01T00:00:00Z,m1,ActivePower,1,MW,\n", "f.csv:2:uom: ActivePower is told in kW, not in MW"),
        (HEADER + "2026-01-01T00:00:00Z,m1,ActivePower,much,,\n", "f.csv:2:value: 'much' is no number"),
        (HEADER + "2026-01-01T00:00:00Z,m1,ActivePower,nan,,\n", "f.csv:2:value: 'nan' is no number"),
        (HEADER + "2026-01-01T00:00:00Z,m1,ActivePower,,,Good\n", "f.csv:2:value: there is no value"),
        (HEADER + "2026-01-01T00:00:00Z,m1,ActivePower,1,,Well\n", "f.csv:2:status: no status is named 'Well'"),
        (HEADER + '2026-01-01T00:00:00Z,"m1,ActivePower,1,,\n', "cannot be read"),
    ],
)
def test_a_mistake_in_a_file_is_told_by_file_row_and_column_and_nothing_is_written(
    site: Site, run: Run, text: str, told: str
) -> None:
    path = site.folder / "f.csv"
    path.write_text(text)
    status, _, err = run("import", path, "--apply")
    assert status == 1
    assert told in err
    assert not (site.data / "history").exists()


def test_all_mistakes_are_told_at_once_and_no_more_than_a_person_can_bear(site: Site, run: Run) -> None:
    path = site.folder / "f.csv"
    path.write_text(HEADER + "2026-01-01T00:00:00Z,m9,ActivePower,x,,\n" * 5000)
    status, out, _ = run("import", path, "--json")
    assert status == 1
    problems = json.loads(out)["problems"]
    assert 1000 <= len(problems) <= 1001
    assert problems[0]["column_name"] == "unit"


def test_nothing_is_imported_while_a_hub_runs_on_the_same_folder_but_reading_goes_on(filled: Site, run: Run) -> None:
    path = filled.folder / "f.csv"
    path.write_text(HEADER + "2026-01-01T00:00:00Z,m1,ActivePower,1,,\n")
    with data_lock(filled.data):
        status, _, err = run("import", path, "--apply")
        assert status == 1
        assert "another process" in err
        assert run("import", path)[0] == 0
        assert run("export", "m1", "--output", filled.folder / "x.csv")[0] == 0
    assert run("import", path, "--apply")[0] == 0


def test_a_history_that_is_being_written_is_read_beside_it(site: Site, run: Run) -> None:
    with asyncio.Runner() as runner:
        store = SqliteStore(site.data / "history", ManualClock(START_MS * 1_000_000))
        runner.run(store.open())
        try:
            for slot in range(3):
                runner.run(_write(store, slot))
                _, out, _ = run("export", "m1")
                assert [row["value"] for row in rows(out)] == [str(float(one)) for one in range(slot + 1)]
        finally:
            runner.run(store.close())


async def _write(store: SqliteStore, slot: int) -> None:
    series = await store.series([NodeUid("m1")])
    value = np.array([[slot * float(POWER.per_unit)]])
    times = np.array([START_MS + slot * 900_000])
    await store.write([Readings(Measurement.INST, (POWER.path,), series, times, value, np.zeros((1, 1), np.uint32))])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["read", "m9"], "there is no history of 'm9'; `joulehub history export --list` tells"),
        (["read", "gonne"], "there is no history of 'gonne'; did you mean 'gone'? `joulehub history export --list`"),
        (["read", "m1.Volume"], "of m1 there is ActiveEnergyImport, ActivePower"),
        (["read", "m1.Warmth"], "no quantity is named 'Warmth'"),
        (["read", "m1.ActiveEnergyImprt"], "did you mean 'ActiveEnergyImport'?"),
        (["read", "m1", "--from", "yesterday"], "'yesterday' is no time"),
        (["read", "m1", "--from", "2026-01-02", "--to", "2026-01-01"], "--from is not before --to"),
        (["read", "m1", "--from", "2026-01-02", "--last", "2d"], "do not go together"),
        (["read", "m1", "--zone", "Mars/Olympus"], "no time zone"),
        (["read", "m1", "--source", "influx"], "no InfluxDB is configured"),
        (["export", "--format", "parquet"], "standard output"),
        (["export", "--output", "/proc/nowhere/x.csv"], "/proc/nowhere/x.csv"),
        (["setup"], "no InfluxDB is configured"),
        (["spool"], "there is no spool"),
        (["import", "nowhere.csv"], "nowhere.csv: no such file"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_status_1(
    filled: Site, run: Run, arguments: list[str], told: str
) -> None:
    status, _, err = run(*arguments)
    assert status == 1
    assert told in err


@pytest.mark.parametrize("about", ["gaps", "anomalies", "orders", "spool"])
@pytest.mark.parametrize("most", ["0", "-1", "all"])
def test_telling_none_of_what_there_is_is_refused_and_never_told_as_nothing(run: Run, about: str, most: str) -> None:
    with pytest.raises(SystemExit) as refused:
        run(about, "--most", most)
    assert refused.value.code == 2


def test_a_folder_without_history_says_so(site: Site, run: Run) -> None:
    status, _, err = run("export")
    assert status == 1
    assert "there is no history" in err


@pytest.fixture
def spooled(site: Site) -> Iterator[Outbox]:
    (site.data / "spool").mkdir(parents=True)
    outbox = Outbox(site.data / "spool" / SPOOL_FILE, 10**6)
    for number in range(3):
        body = b"energy,point=m%d ActiveEnergyImport=1.0,q=0i %d" % (number, START_MS)
        outbox.append([Parcel("influx", Measurement.ENERGY, body, 1, START_MS, START_MS)])
    outbox.settle(Verdict(dead=[(2, "400 field type conflict")]), START_MS)
    yield outbox
    outbox.close()


def test_the_spool_of_a_running_hub_tells_what_waits_and_what_was_refused(spooled: Outbox, run: Run) -> None:
    _, out, _ = run("spool", "--json")
    state = json.loads(out)
    assert (state["lines"], state["dead"], state["oldest"]) == (2, 1, "2025-12-31T19:00:00.000Z")
    assert "1 line refused for good" in run("spool")[1]
    _, out, _ = run("spool", "dead", "--json")
    (letter,) = json.loads(out)
    assert (letter["error"], letter["lines"]) == ("400 field type conflict", 1)
    assert letter["text"].startswith("energy,point=m1 ")
    assert "400 field type conflict\n  energy,point=m1" in run("spool", "dead")[1]


def test_refused_lines_are_sent_again_also_beside_a_running_hub(spooled: Outbox, run: Run) -> None:
    assert run("spool", "revive", "--json")[1] == '{\n  "lines": 1\n}\n'
    waiting = spooled.oldest("influx", 10)
    assert [one.parcel.lines[:15] for one in waiting] == [b"energy,point=m0", b"energy,point=m2", b"energy,point=m1"]
    assert spooled.state().oldest_ms == START_MS
    assert run("spool", "revive")[1].startswith("0 lines")


def test_influxdb_is_set_up_and_told_so(site: Site, run: Run) -> None:
    with Replayed(V18) as server:
        server.on("POST", "/query", Said(200, b'{"results":[{"statement_id":0}]}'))
        site.configure(f'[history.influx]\nurl = "{server.url}"\nretention_days = 90')
        status, out, _ = run("setup")
        assert (status, out.splitlines()[1:]) == (0, ["  database joulehub", "  retention 90d", "ready"])
        assert json.loads(run("setup", "--json")[1])["version"] == "1.8.10"


def test_a_token_that_may_not_is_told_what_it_lacks(site: Site, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOULEHUB_HISTORY__INFLUX__TOKEN", "s3cr3t-t0k3n")
    with Replayed(V2) as server:
        server.on("GET", "/api/v2/orgs", said(403, {"code": "forbidden", "message": "insufficient permissions"}))
        site.configure(f'[history.influx]\nurl = "{server.url}"\norg = "works"')
        status, _, err = run("setup")
    assert status == 1
    assert "read:orgs" in err
    assert "s3cr3t" not in err


def test_an_influxdb_that_is_down_is_a_sentence(site: Site, run: Run) -> None:
    site.configure('[history.influx]\nurl = "http://127.0.0.1:9"')
    for arguments in (["setup"], ["read", "m1", "--source", "influx"]):
        status, _, err = run(*arguments)
        assert status == 1
        assert "InfluxDB does not answer" in err

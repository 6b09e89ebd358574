"""`joulehub history` against a real InfluxDB: set up, import on the way through the spool, read and export from it."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from address_space.model import SystemClock
from historian.forwarder import Forwarder
from historian.influx import InfluxSink, ServerOptions
from historian.spool import Spool
from server.cli.main import main
from tests.scale.influxd import MISSING, Influxd, installed

pytestmark = pytest.mark.skipif(not installed(), reason=MISSING)
PLANT = """
hierarchy:
  - {id: works, name: Works, kind: site}
channels:
  line: {driver: modbus, options: {host: 127.0.0.1, port: 15020}}
metering_units:
  - {id: m1, name: One, parent: works, profile: eastron/sdm630, channel: line, address: 1}
"""


@pytest.fixture
def influxd(tmp_path: Path) -> Iterator[Influxd]:
    server = Influxd(tmp_path / "influxd")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def folder(tmp_path: Path, influxd: Influxd) -> Path:
    (tmp_path / "plant").mkdir()
    (tmp_path / "plant" / "plant.yaml").write_text(PLANT)
    (tmp_path / "hub.toml").write_text(
        f'plant = "plant"\ndata_dir = "{tmp_path / "data"}"\n[history]\nembedded = false\n'
        f'[history.influx]\nurl = "{influxd.url}"\ndatabase = "works"\n'
    )
    return tmp_path


async def send(folder: Path, url: str) -> None:
    """What a hub does with the spool when it runs."""
    clock = SystemClock()
    sink = InfluxSink("influx", ServerOptions(url, "works"))
    async with Spool(folder / "data" / "spool", clock) as spool:
        await Forwarder(spool, sink, clock).drain()
        state = await spool.state()
        assert (state.lines, state.dead) == (0, 0)
    await sink.close()


def test_what_is_imported_comes_back_from_influxdb(
    folder: Path, influxd: Influxd, capsys: pytest.CaptureFixture[str]
) -> None:
    def history(*arguments: object) -> str:
        assert main(["history", *map(str, arguments), "--config", str(folder)]) == 0
        return capsys.readouterr().out

    assert "database works" in history("setup")
    rows = [
        f"2026-01-0{day}T{hour:02}:00:00.000Z,m1,ActiveEnergyImport,{1000.0 + day * 24 + hour},kW·h,Good"
        for day in (1, 2)
        for hour in range(24)
    ]
    text = "\n".join(["time,unit,quantity,value,uom,status", *rows, ""])
    (folder / "in.csv").write_text(text)
    for _ in range(2):
        history("import", folder / "in.csv", "--apply")
        assert json.loads(history("spool", "--json"))["lines"] >= 48
        asyncio.run(send(folder, influxd.url))
        assert history("export", "--zone", "UTC") == text
    assert next(csv.DictReader(text.splitlines()))["value"] == "1024.0"
    days = json.loads(history("read", "m1.ActiveEnergyImport", "--from", "2026-01-01", "--every", "1d", "--json"))
    assert [(day["first"], day["last"], day["count"]) for day in days] == [(1024.0, 1047.0, 24), (1048.0, 1071.0, 24)]
    assert sum(day["delta"] for day in days) == 47.0
    assert history("export", "--list") == "m1  ActiveEnergyImport\n"

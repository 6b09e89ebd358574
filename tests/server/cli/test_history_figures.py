"""Hours, days and months of a register: the command line, the hub's rollups and a client's DeltaBounds say the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from asyncua import Client, ua

from address_space.model import GOOD, NodeUid, Quantity
from address_space.model.quality import Reason
from historian.aggregates import Aggregate
from historian.api import Row
from historian.buckets import Buckets
from historian.calendar import Width, edges
from historian.schema import QualityFlag
from server.app import Hub
from server.cli.main import main
from tests.server.backfill_rig import PATIENCE_S, Shifted
from tests.server.secondary import SECONDARY

BERLIN = ZoneInfo("Europe/Berlin")
M1 = NodeUid("m1")
IMPORT, POWER = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_POWER
QUARTER_MS, HOUR_MS, DAY_MS = 900_000, 3_600_000, 86_400_000
TOP_WH = 30 * 10_000_000_000
"""Where the register begins anew, behind transformers of 30."""
PROFILE = SECONDARY + "  ActivePower: {at: 2, type: uint32, scale: 0.01, unit: kW}\n"


def local(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=BERLIN)  # type: ignore[misc,arg-type]


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


BEGIN, END = local(2026, 10, 23), local(2026, 10, 28)
CHANGE = local(2026, 10, 24, 14, 20)
EVENTS = {
    "over": local(2026, 10, 23, 9, 45),
    "zero": local(2026, 10, 23, 15, 30),
    "spike": local(2026, 10, 24, 6, 15),
    "gap": local(2026, 10, 25, 1, 15),
    "failed": local(2026, 10, 25, 11, 0),
    "reset": local(2026, 10, 26, 8, 15),
    "exchange": local(2026, 10, 27, 19, 0),
}


def readings() -> list[tuple[int, float, int]]:
    """What a meter showed on five days, one of them of 25 hours: time, Wh and status."""
    times = np.arange(ms(BEGIN), ms(END) + 1, QUARTER_MS)
    random = np.random.default_rng(7)
    values = np.cumsum(random.integers(100, 900, len(times))).astype(float) * 30
    place = {name: int(np.searchsorted(times, ms(moment))) for name, moment in EVENTS.items()}
    values += TOP_WH - values[place["over"]] + 60
    values %= TOP_WH
    values[place["reset"] :] -= values[place["reset"]] - 90
    values[place["exchange"] :] += 123_456_000
    values[times >= ms(CHANGE)] *= 2
    values[place["zero"]] = 0.0
    values[place["spike"]] *= 3
    status = np.full(len(times), GOOD, np.int64)
    failed = slice(place["failed"], place["failed"] + 6)
    values[failed], status[failed] = np.nan, Reason.TIMEOUT.status
    kept = np.ones(len(times), np.bool_)
    kept[place["gap"] : place["gap"] + 9] = False
    return list(zip(times[kept].tolist(), values[kept].tolist(), status[kept].tolist(), strict=True))


def write(site: Any) -> None:
    site.write({"a": []}, plant="meters: meters.csv\ntime_zone: Europe/Berlin")
    folder = site.folder / "profiles" / "site"
    folder.mkdir(parents=True)
    (folder / "secondary.yaml").write_text(PROFILE)
    (site.folder / "meters.csv").write_text(
        "id,parent,profile,channel,address,ct,ratio_since,ct_before,rated_power_kw\n"
        f"m1,f1,site/secondary,a,1,60,{CHANGE:%Y-%m-%dT%H:%M:%S},30,500\n"
    )


class CommandLine:
    """`joulehub history`, in a thread with a loop of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capsys = capsys

    async def asked(self, *arguments: str) -> list[dict[str, Any]]:
        """What it says."""
        self._capsys.readouterr()
        command = ["history", *arguments, "--json", "--config", str(self._folder)]
        assert await asyncio.to_thread(main, command) == 0
        told: list[dict[str, Any]] = json.loads(self._capsys.readouterr().out)
        return told

    async def compare(self, kept: Mapping[tuple[Quantity, Width], Buckets]) -> None:
        """Its figures are these."""
        for (quantity, width), buckets in kept.items():
            rows = await self.asked("read", f"m1.{quantity.path}", *span(), "--every", width.value)
            assert [row["start"][:19] for row in rows] == [
                (datetime.fromtimestamp(at / 1000, BERLIN)).isoformat()[:19] for at in buckets.start_ms.tolist()
            ]
            for name in ("first", "last", "low", "high", "mean", "delta", "count", "quality"):
                mine = np.array([np.nan if row[name] is None else row[name] for row in rows], np.float64)
                np.testing.assert_array_equal(mine, np.asarray(getattr(buckets, name), np.float64), err_msg=name)


async def delta_bounds(client: Client, begin_ms: int, end_ms: int, width_ms: int) -> list[tuple[float, int]]:
    """Value and status of each interval, as a client reads them."""
    begin, end = (datetime.fromtimestamp(at / 1000, UTC) for at in (begin_ms, end_ms))
    details = ua.ReadProcessedDetails(begin, end, float(width_ms), [ua.NodeId(Aggregate.DELTA_BOUNDS.value)])
    node = ua.HistoryReadValueId(ua.NodeId("m1.ActiveEnergyImport", 2), None, ua.QualifiedName(), None)
    parameters = ua.HistoryReadParameters(details, ua.TimestampsToReturn.Both, False, [node])
    (result,) = await client.uaclient.history_read(parameters)
    return [(float(one.Value.Value), one.StatusCode.value) for one in result.HistoryData.DataValues]


def span(first: datetime = BEGIN, last: datetime = END) -> tuple[str, ...]:
    return ("--from", first.isoformat(), "--to", last.isoformat())


@pytest.fixture
def works(site: Any) -> Any:
    write(site)
    return site


@pytest.fixture
def line(works: Any, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(works.folder, capsys)


async def test_the_command_line_the_rollups_and_a_client_say_the_same_of_five_hard_days(
    works: Any, line: CommandLine
) -> None:
    clock = Shifted(ms(END) + 2 * DAY_MS)
    hub = Hub(works.draw(), clock)
    history = hub.history
    assert history is not None
    assert history.rollups is not None
    stop, ready = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(hub.run(stop, ready.set))
        await ready.wait()
        for time_ms, value, status in readings():
            pair, codes = np.array([value, 1000.0 + time_ms / 1e7]), np.array([status, GOOD], np.uint32)
            history.recorder.offer_row(Row(M1, time_ms, (IMPORT, POWER), pair, codes))
        await history.recorder.flush()
        await history.rollups.catch_up()
        kept = {}
        for quantity in (IMPORT, POWER):
            for width in (Width.HOUR, Width.DAY):
                kept[quantity, width] = await history.rollups.buckets(M1, quantity, ms(BEGIN), ms(END), width)
        hours = kept[IMPORT, Width.HOUR]
        assert len(hours.start_ms) == 5 * 24 + 1
        anomalies = await history.rollups.anomalies()
        assert [one.move.value for one in anomalies] == ["replaced", "reset", "glitch", "glitch", "rollover"]
        await line.compare(kept)
        async with Client(f"opc.tcp://127.0.0.1:{works.port}", timeout=60) as client:
            told = await delta_bounds(client, ms(BEGIN), ms(END), HOUR_MS)
            days = edges(ms(BEGIN), ms(END), Width.DAY, BERLIN).tolist()
            of_days = [(await delta_bounds(client, low, high, high - low))[0] for low, high in pairwise(days)]
        stop.set()
    values = np.array([value for value, _ in told])
    # what lies across an edge is shared out in whole Wh by the hub, and not rounded for a client that asks the readings
    shared = (hours.quality & np.uint16(QualityFlag.ESTIMATED)) > 0
    np.testing.assert_allclose(values[~shared], hours.delta[~shared], rtol=0, atol=1e-9)
    np.testing.assert_allclose(values[shared], hours.delta[shared], rtol=0, atol=1e-3)
    assert 0 < shared.sum() <= 6
    np.testing.assert_allclose(values.sum(), hours.delta.sum(), rtol=0, atol=1e-6)
    np.testing.assert_allclose([value for value, _ in of_days], kept[IMPORT, Width.DAY].delta, rtol=0, atol=1e-9)
    odd = ~np.uint16(QualityFlag.ROLLOVER)
    assert {place for place, (_, code) in enumerate(told) if code & 0xC000_0000} <= set(
        np.flatnonzero(hours.quality & odd).tolist()
    )
    await line.compare(kept)
    # without the hub's own they are computed from the readings
    for file in (works.folder / "data" / "history").glob("rollups.db*"):
        file.unlink()
    await line.compare(kept)


async def test_what_the_command_line_tells_of_a_register_alone_is_the_same_in_another_zone(
    works: Any, line: CommandLine
) -> None:
    clock = Shifted(ms(END) + DAY_MS)
    hub = Hub(works.draw(), clock)
    assert hub.history is not None
    assert hub.history.rollups is not None
    async with hub.history as history:
        for time_ms, value, status in readings():
            row = Row(M1, time_ms, (IMPORT,), np.array([value]), np.array([status], np.uint32))
            history.recorder.offer_row(row)
        await history.recorder.flush()
        assert history.rollups is not None
        await history.rollups.catch_up()
        clock.shift(2)
        await history.rollups.catch_up()
        first = local(2026, 10, 25) - timedelta(days=1)
        hours = await history.rollups.buckets(M1, IMPORT, ms(first), ms(END), Width.HOUR)
    rows = await line.asked("read", "m1.ActiveEnergyImport", *span(first), "--every", "1h", "--zone", "Asia/Tashkent")
    assert [row["delta"] for row in rows] == hours.delta.tolist()
    tashkent = ZoneInfo("Asia/Tashkent")
    begin, end = datetime(2026, 10, 25, tzinfo=tashkent), datetime(2026, 10, 28, tzinfo=tashkent)
    days = await line.asked("read", "m1.ActiveEnergyImport", *span(begin, end), "--every", "1d", "--zone", tashkent.key)
    borders = np.searchsorted(hours.start_ms, [ms(begin + timedelta(days=day)) for day in range(4)]).tolist()
    sums = [round(float(hours.delta[low:high].sum()), 6) for low, high in pairwise(borders)]
    assert [round(row["delta"], 6) for row in days] == sums

"""A day of simulated time without InfluxDB: what a foreign client is told of it afterwards equals the meters' books."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from address_space.model import GOOD, NS, ManualClock, NodeUid, Quantity
from config.settings import load_settings
from drivers.profiles import load_library
from drivers.simulators.fleet import Books
from foreign import ForeignClient, Town, require_node, until
from historian.api import Row
from historian.influx import InfluxServer, set_up
from server.app import draw
from server.history import History, server_options
from server.simulation import fleet_of
from tests.scale.influxd import MISSING, Influxd, installed

pytestmark = [pytest.mark.interop, pytest.mark.skipif(not installed(), reason=MISSING)]

METERS = 6
STEP_S = 60
HOUR_S = 3600
AWAY_H = (1, 25)
"""Hours of the simulated time between which InfluxDB is away: a whole day."""
HOURS = 27
IMPORT, POWER = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_POWER


async def live(town: Town, influxd: Influxd, begin_s: int) -> Books:
    """Let the hub's history take a reading a minute, and pull the plug of InfluxDB for a day of them."""
    clock = ManualClock(begin_s * NS)
    settings = load_settings(town.config)
    library = load_library()
    blueprint = draw(settings, library=library)
    books = fleet_of(blueprint, library, clock).books
    units = [NodeUid(f"m{number:04d}") for number in range(METERS)]
    good = np.full(2, GOOD, np.uint32)
    history = History(settings.history, settings.data_dir, blueprint.assembly.plant, clock)
    async with history, asyncio.TaskGroup() as tasks:
        parts = [tasks.create_task(work(), name=part) for part, work in history.parts.items()]
        for step in range(HOURS * HOUR_S // STEP_S + 1):
            if step == AWAY_H[0] * HOUR_S // STEP_S:
                influxd.kill()
            if step == AWAY_H[1] * HOUR_S // STEP_S:
                state = await history.state()
                assert state.spool is not None
                assert state.spool.lines > METERS * 2 * 23 * HOUR_S // STEP_S
                influxd.start()
            at_ns = clock.now_ns()
            for unit in units:
                values = np.array([books.value(unit, IMPORT, at_ns), books.value(unit, POWER, at_ns)])
                history.recorder.offer_row(Row(unit, at_ns // 1_000_000, (IMPORT, POWER), values, good))
            if step % 10 == 0:
                await history.recorder.flush()
            await clock.advance(STEP_S)
        await history.recorder.flush()
        for _ in range(300):
            state = await history.state()
            if state.spool is not None and not state.spool.parcels:
                break
            await clock.advance(STEP_S)
            await asyncio.sleep(0.05)
        assert state.spool is not None
        assert (state.spool.parcels, state.spool.dead, sum(state.spool.shed.values())) == (0, 0, 0)
        for part in parts:
            part.cancel()
    return books


def test_after_a_day_without_influxdb_consumption_equals_the_books_to_the_watt_hour(tmp_path: Path) -> None:
    require_node()
    influxd = Influxd(tmp_path / "influxd")
    influxd.start()
    town = Town(tmp_path / "town", count=METERS)
    with town.config.open("a") as file:
        file.write(f'\n[history]\nembedded = false\n[history.influx]\nurl = "{influxd.url}"\ndatabase = "day"\n')
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS + 3)
    begin_s = round(begin.timestamp())
    foreign: ForeignClient | None = None
    try:
        set_up(InfluxServer(server_options(load_settings(town.config).history)), 0)
        books = asyncio.run(live(town, influxd, begin_s))
        town.start_hub()
        foreign = ForeignClient()
        foreign("connect", url=town.url)
        nodes = [f"ns=2;s=m{number:04d}.{IMPORT.path}" for number in range(METERS)]
        hours = range(begin_s, begin_s + HOURS * HOUR_S, HOUR_S)

        def told() -> list[list[int]]:
            answer = foreign(
                "aggregates",
                nodes=[(node, "DeltaBounds") for node in nodes],
                start=hours.start * 1000,
                end=hours.stop * 1000,
                interval=HOUR_S * 1000,
            )
            results = answer["results"]
            if any(result["status"] != "Good" for result in results):
                return []
            return [[round(one["value"] * 1000) for one in result["values"]] for result in results]

        counted = [
            [
                round(books.value(f"m{number:04d}", IMPORT, (hour + HOUR_S) * NS))
                - round(books.value(f"m{number:04d}", IMPORT, hour * NS))
                for hour in hours
            ]
            for number in range(METERS)
        ]
        assert sum(map(sum, counted)) > 1000
        assert until(told, 60, "processed history") == counted
    finally:
        if foreign is not None:
            foreign.close()
        town.stop()
        influxd.kill()

"""A whole hub that keeps its history in a real InfluxDB, and what happens when that one's plug is pulled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from asyncua import Client, ua

from address_space.model import NodeUid, Quantity
from historian.influx import InfluxQl, InfluxServer, ServerOptions
from server.app import Hub
from tests.scale.influxd import MISSING, Influxd, installed
from tests.server.running import running

pytestmark = pytest.mark.skipif(not installed(), reason=MISSING)
PATIENCE_S = 240.0
ENERGY = "m1.ActiveEnergyImport"


@pytest.fixture(scope="module")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    server = Influxd(tmp_path_factory.mktemp("influxd"))
    server.start()
    yield server
    server.kill()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.05)


async def drained(hub: Hub) -> None:
    """Return once hardly anything waits for InfluxDB."""
    assert hub.history is not None
    async with asyncio.timeout(PATIENCE_S):
        while (spool := (await hub.history.state()).spool) is None or spool.parcels > 1:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0.1)


def client(influxd: Influxd, database: str) -> InfluxQl:
    made = InfluxQl(InfluxServer(ServerOptions(influxd.url, database)), database)
    made.ask(f'CREATE DATABASE "{database}"')
    return made


def times(client: InfluxQl) -> list[int]:
    found = client.ask("SELECT ActiveEnergyImport FROM energy WHERE point = 'm1'")
    return [int(time) for time in found[0].column("time")] if found else []


def history(influxd: Influxd, database: str, more: str = "") -> str:
    return f'commit_interval_s = 0.05\n{more}\n[history.influx]\nurl = "{influxd.url}"\ndatabase = "{database}"'


async def test_a_hub_without_the_embedded_store_answers_from_influxdb(site, influxd: Influxd) -> None:
    ql = client(influxd, "alone")
    site.write({"a": ["m1"]}, history=history(influxd, "alone", "embedded = false"))
    hub = Hub(site.draw())
    async with site.fleet(), running(hub, PATIENCE_S):
        await until(lambda: len(times(ql)) > 3)
        async with Client(f"opc.tcp://127.0.0.1:{site.port}", timeout=60) as foreign:
            now = datetime.now(UTC)
            details = ua.ReadRawModifiedDetails(False, now - timedelta(hours=1), now, 1000, False)
            asked = ua.HistoryReadValueId(ua.NodeId(ENERGY, 2), None, ua.QualifiedName(), None)
            parameters = ua.HistoryReadParameters(details, ua.TimestampsToReturn.Both, False, [asked])
            (answer,) = await foreign.uaclient.history_read(parameters)
        values = answer.HistoryData.DataValues
        assert len(values) > 3
        assert all(value.StatusCode.is_good() and value.Value.Value > 0 for value in values)
    assert not list((site.folder / "data" / "history").glob("hist-*.db"))


async def test_the_plug_of_influxdb_is_pulled_and_put_back_and_nothing_is_missing(site, influxd: Influxd) -> None:
    ql = client(influxd, "plug")
    site.write({"a": ["m1"]}, history=history(influxd, "plug"))
    hub = Hub(site.draw())
    assert hub.history is not None
    async with site.fleet(), running(hub, PATIENCE_S):
        await until(lambda: len(times(ql)) > 2)
        influxd.kill()
        committed = hub.history.recorder.counters.committed
        await until(lambda: hub.history.recorder.counters.committed > committed + 100)  # type: ignore[union-attr]
        state = await hub.history.state()
        assert state.spool is not None
        assert state.spool.lines > 0
        assert "does not answer" in state.trouble
        influxd.start()
        await drained(hub)
    again = Hub(site.draw())
    async with running(again, PATIENCE_S):
        await drained(again)
    found = times(ql)
    assert found == sorted(set(found))
    assert again.history is not None
    store = again.history.store
    assert store is not None
    async with store:
        kept = await store.read_raw(NodeUid("m1"), Quantity.ACTIVE_ENERGY_IMPORT, 0, 2**45, 100_000)
    good = kept.time_ms[kept.status == 0].tolist()
    assert set(good) <= set(found)

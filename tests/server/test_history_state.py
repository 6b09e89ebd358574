"""What a hub's history tells of itself: its report, and the variables below `system.History` as a client sees them."""

from __future__ import annotations

import asyncio

import pytest
from asyncua import Client, ua

from address_space.model.clock import to_datetime
from address_space.nodes import TypeModel
from historian.forwarder import ForwarderState
from historian.gaps import OrdersState
from historian.recorder import RecorderCounters
from historian.spool import SpoolState
from server.app import Hub
from server.errors import DataInUse
from server.history import HistoryState
from server.reports import history_values
from tests.historian.influx.answers import V2, Replayed, Said, said
from tests.server.running import running

PATIENCE_S = 240.0
NS_PER_MS = 1_000_000
AT_MS = 1_800_000_000_000


def test_every_loss_there_can_be_is_told() -> None:
    recorder = RecorderCounters(100, 80, dropped_inst=1, dropped_energy=2, lost=3, lag_s=1.5)
    spool = SpoolState(2, 10, 999, AT_MS, dead=4, damaged=5, shed={"inst": 6, "energy": 7})
    forwarder = ForwarderState("influx", 50, 5, 1, 4, "no answer", False, AT_MS * NS_PER_MS)
    values = history_values(HistoryState(recorder, spool, forwarder, "no answer"))
    assert values.keys() == TypeModel().members("HistoryStateType").keys()
    losses = ("DroppedInst", "DroppedEnergy", "Lost", "DeadLetters", "LinesDamaged", "ShedInst", "ShedEnergy")
    assert [values[name] for name in losses] == [1, 2, 3, 4, 5, 6, 7]
    assert (values["Lag"], values["LinesWaiting"], values["BytesWaiting"], values["Trouble"]) == (
        1500,
        10,
        999,
        "no answer",
    )
    assert values["OldestWaiting"] == values["LastSuccess"]


def test_a_history_without_influxdb_has_nothing_waiting() -> None:
    values = history_values(HistoryState(RecorderCounters(5, 5, 0, 0, 0, 0.0), None, None, ""))
    assert [name for name, value in values.items() if value] == ["Accepted", "Committed"]
    unknown = [
        "OldestWaiting",
        "LastSuccess",
        *(name for name in values if name.startswith("Counter")),
        "LastOrderEnded",
    ]
    assert [name for name, value in values.items() if value is None] == unknown


def test_orders_are_told_with_what_stands_in_their_way() -> None:
    orders = OrdersState(2, 100, 40, AT_MS, "the disk is full")
    values = history_values(HistoryState(RecorderCounters(5, 5, 0, 0, 0, 0.0), None, None, ""), orders)
    assert [values[name] for name in ("OrdersOpen", "OrderedSlots", "OrderedSlotsLeft")] == [2, 100, 40]
    assert values["LastOrderEnded"] == to_datetime(AT_MS * NS_PER_MS)
    assert values["Trouble"] == "the disk is full"


async def shown(client: Client) -> dict[str, object]:
    """Values of all variables of the history, None where they are Bad."""
    names = list(TypeModel().members("HistoryStateType"))
    nodes = [client.get_node(f"ns=2;s=system.History.{name}") for name in names]
    found = await client.uaclient.read_attributes([node.nodeid for node in nodes], ua.AttributeIds.Value)
    return {
        name: value.Value.Value if value.StatusCode.is_good() else None
        for name, value in zip(names, found, strict=True)
    }


async def test_a_client_sees_readings_wait_while_influxdb_refuses_and_leave_when_it_takes_them(site) -> None:
    with Replayed(V2) as server:
        server.on("POST", "/api/v2/write", said(503, {"code": "unavailable", "message": "still starting"}))
        influx = f'commit_interval_s = 0.05\n[history.influx]\nurl = "{server.url}"\norg = "works"'
        site.write({"a": ["m1"]}, history=influx)
        hub = Hub(site.draw())
        client = Client(f"opc.tcp://127.0.0.1:{site.port}", timeout=60)
        async with site.fleet(), running(hub, PATIENCE_S), client:
            async with asyncio.timeout(PATIENCE_S):
                while not (found := await shown(client))["LinesWaiting"] or not found["Trouble"]:  # noqa: ASYNC110 - polled
                    await asyncio.sleep(0.1)
                assert "still starting" in str(found["Trouble"])
                assert found["OldestWaiting"] is not None
                assert found["LastSuccess"] is None
                assert int(str(found["BytesWaiting"])) > 0
                server.on("POST", "/api/v2/write", Said(204))
                while not (found := await shown(client))["LinesSent"] or found["Trouble"]:  # noqa: ASYNC110 - polled
                    await asyncio.sleep(0.1)
                assert found["LastSuccess"] is not None
                assert int(str(found["PostsFailed"])) > 0
            by_name = await client.get_node("ns=2;s=system").get_child(["3:History", "3:Lost"])
            assert by_name.nodeid.Identifier == "system.History.Lost"
            await client.get_node("ns=2;s=system.History.Accepted").read_data_value()


async def test_a_second_hub_on_the_same_data_folder_is_refused_and_harms_nothing(site) -> None:
    site.write({"a": ["m1"]})
    first, second = Hub(site.draw()), Hub(site.draw())
    async with site.fleet(), running(first, PATIENCE_S):
        with pytest.raises(DataInUse, match="another process") as caught:
            await second.run(asyncio.Event())
        assert "stop the hub" in caught.value.hint
    async with running(Hub(site.draw()), PATIENCE_S):
        pass

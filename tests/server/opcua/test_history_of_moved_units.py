"""History hangs on a unit's id, not on its place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from asyncua import Client, ua

from address_space.model.clock import NS, ManualClock, SystemClock
from address_space.model.hierarchy import HierarchyNode, MeteringUnit, NodeKind
from address_space.model.ids import NodeUid
from address_space.model.live import LiveTable
from address_space.model.plant import Plant
from address_space.model.point import PointSpec, Template
from address_space.model.quantity import Quantity
from historian.aggregates import Aggregate
from historian.api import Readings
from historian.schema import Measurement
from historian.sqlite import SqliteStore
from server.opcua import HubServer, OpcUaOptions

BEGIN_S = 1_767_225_600
TEMPLATE = Template("meter", [PointSpec(Quantity.ACTIVE_ENERGY_IMPORT)])


def plant_with_the_meter_below(feeder: str) -> Plant:
    feeders = [HierarchyNode(NodeUid(uid), NodeKind.FEEDER, uid.upper()) for uid in ("f1", "f2")]
    return Plant(feeders, [MeteringUnit(NodeUid("m1"), "Meter", NodeUid(feeder), TEMPLATE)])


async def consumption(store: SqliteStore, feeder: str, folder: Path) -> tuple[str, list[float]]:
    """Where the meter is found, and what it consumed in each of two hours."""
    clock, plant = SystemClock(), plant_with_the_meter_below(feeder)
    options = OpcUaOptions(folder, host="127.0.0.1", port=0, allow_none=True, allow_anonymous=True)
    server = HubServer(plant, LiveTable(plant, clock.now_ns()), options, store, clock)
    await server.start()
    try:
        async with Client(f"opc.tcp://127.0.0.1:{server.port}{options.path}", timeout=60) as client:
            path = await client.get_node("ns=2;s=m1.Path").read_value()
            node = ua.HistoryReadValueId(ua.NodeId("m1.ActiveEnergyImport", 2), None, ua.QualifiedName(), None)
            begin = datetime.fromtimestamp(BEGIN_S, UTC)
            details = ua.ReadProcessedDetails(
                begin,
                begin + timedelta(hours=2),
                3_600_000.0,
                [ua.NodeId(Aggregate.DELTA_BOUNDS.value)],
            )
            params = ua.HistoryReadParameters(details, ua.TimestampsToReturn.Both, False, [node])
            (result,) = await client.uaclient.history_read(params)
            return path, [one.Value.Value for one in result.HistoryData.DataValues]
    finally:
        await server.stop()


async def test_a_unit_that_moves_to_another_feeder_keeps_its_history(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "history", ManualClock((BEGIN_S + 86_400) * NS)) as store:
        series = await store.series([NodeUid("m1")])
        times = (BEGIN_S + np.arange(9) * 900) * 1000
        values = (np.arange(9) ** 2 * 250.0).reshape(-1, 1)
        status = np.zeros((9, 1), np.uint32)
        points = np.full(9, series[0])
        await store.write([Readings(Measurement.ENERGY, ("ActiveEnergyImport",), points, times, values, status)])
        before = await consumption(store, "f1", tmp_path / "before")
        after = await consumption(store, "f2", tmp_path / "after")
    assert (before[0], after[0]) == ("f1/m1", "f2/m1")
    assert before[1] == after[1] == [4.0, 12.0]

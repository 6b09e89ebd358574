"""Server CPU for each value that a client reads, by nodes a request and by timestamps asked for."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from asyncua import ua

from tests.scale.client import BenchClient
from tests.scale.measure import Child, Figure, free_port
from tests.scale.plants import PlantFiles, node_id
from tests.scale.size import Size
from tests.scale.table import Row

NAME = "read"
UNITS = 50
NODES = (1, 100, 1000)
GOALS = {1000: 2.0}
ROUNDS = {Size.FULL: 5, Size.QUICK: 3, Size.TINY: 2}
ROUND_S = {Size.FULL: 1.5, Size.QUICK: 0.5, Size.TINY: 0.2}
_STAMPS = {
    ua.TimestampsToReturn.Both: "both timestamps",
    ua.TimestampsToReturn.Source: "source timestamp",
    ua.TimestampsToReturn.Server: "server timestamp",
    ua.TimestampsToReturn.Neither: "no timestamp",
}
Case = tuple[int, ua.TimestampsToReturn]


def run(size: Size, step: Callable[[str], None]) -> list[Row]:
    """Poll the same lists of string NodeIds from the hub and from stock asyncua with the same model."""
    both = ua.TimestampsToReturn.Both
    cases: list[Case] = [(nodes, both) for nodes in NODES]
    cases += [(1000, stamps) for stamps in _STAMPS if stamps is not both]
    step("reads from the hub")
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        plant = PlantFiles(UNITS, free_port(), polled=False, history=False)
        with Child("hub_child", config=str(plant.write(Path(folder) / "plant"))) as hub:
            hub("fill")
            ours = asyncio.run(measure(hub, cases, size))
    step("reads from stock asyncua")
    with Child("stock_child", port=free_port(), objects=UNITS) as server:
        stock = asyncio.run(measure(server, cases, size))
    return [
        Row(
            NAME,
            f"Read, {nodes:,} nodes a request, {_STAMPS[stamps]}",
            "µs",
            ours[nodes, stamps],
            stock[nodes, stamps],
            goal=GOALS.get(nodes),
            note="server CPU a value, permission checks on" if (nodes, stamps) == cases[0] else "",
        )
        for nodes, stamps in cases
    ]


async def measure(server: Child, cases: list[Case], size: Size) -> Mapping[Case, Figure]:
    """Server CPU a value in microseconds for each case."""
    async with BenchClient(server.ready["url"]) as client:
        namespace = await client.plant_namespace()
        return {
            (nodes, stamps): await _case(server, client, read_request(namespace, nodes, stamps), nodes, size)
            for nodes, stamps in cases
        }


def read_request(namespace: int, nodes: int, stamps: ua.TimestampsToReturn) -> ua.ReadRequest:
    """Values of the first variables of a plant."""
    request = ua.ReadRequest()
    request.Parameters.TimestampsToReturn = stamps
    for number in range(nodes):
        wanted = ua.ReadValueId()
        wanted.NodeId = ua.NodeId(node_id(number), namespace)
        wanted.AttributeId = ua.AttributeIds.Value
        request.Parameters.NodesToRead.append(wanted)
    return request


async def _case(server: Child, client: BenchClient, request: ua.ReadRequest, nodes: int, size: Size) -> Figure:
    answer = await client.call(request, ua.ReadResponse)
    bad = [result.StatusCode for result in answer.Results if not result.StatusCode.is_good()]
    if bad or len(answer.Results) != nodes:
        raise RuntimeError(f"{len(bad)} of {nodes} values were not good: {bad[:1]}")
    encoded = client.encode(request)
    rounds = []
    for _ in range(ROUNDS[size]):
        sent = 0
        before, end = server.cpu_s, time.perf_counter() + ROUND_S[size]
        while time.perf_counter() < end:
            await client.send(encoded)
            sent += 1
        rounds.append((server.cpu_s - before) / (sent * nodes) * 1e6)
    return Figure.of(rounds)

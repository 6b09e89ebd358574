"""Server CPU for each reference of a large folder, browsed page by page."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from asyncua import ua

from tests.scale.client import BenchClient
from tests.scale.measure import Child, Figure, free_port
from tests.scale.plants import PlantFiles
from tests.scale.size import Size
from tests.scale.table import Row

NAME = "browse"
METERS = {Size.FULL: 10_000, Size.QUICK: 10_000, Size.TINY: 1_000}
STOCK_OBJECTS = {Size.FULL: 1_000, Size.QUICK: 500, Size.TINY: 100}
PAGE = 1_000
ROUNDS = {Size.FULL: 5, Size.QUICK: 3, Size.TINY: 2}


def run(size: Size, step: Callable[[str], None]) -> list[Row]:
    """Browse one feeder with all meters below it; stock asyncua with fewer objects, as its folders are quadratic."""
    meters, objects = METERS[size], STOCK_OBJECTS[size]
    step("browse, hub")
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        plant = PlantFiles(meters, free_port(), meters_a_node=meters, polled=False, history=False)
        with Child("hub_child", config=str(plant.write(Path(folder) / "plant"))) as hub:
            ours = asyncio.run(measure(hub, "f00000", meters, ROUNDS[size]))
    step("browse, stock asyncua")
    with Child("stock_child", port=free_port(), objects=objects, variables=0) as server:
        stock = asyncio.run(measure(server, "folder", objects, ROUNDS[size]))
    return [
        Row(
            NAME,
            f"Browse a folder of {meters:,}, pages of {PAGE:,}",
            "µs",
            ours,
            stock,
            note=f"server CPU a reference; stock with {objects:,} objects",
        )
    ]


async def measure(server: Child, folder: str, least: int, rounds: int) -> Figure:
    """Server CPU a reference in microseconds."""
    async with BenchClient(server.ready["url"]) as client:
        namespace = await client.plant_namespace()
        figures = []
        for _ in range(rounds):
            before = server.cpu_s
            found = await _browse(client, ua.NodeId(folder, namespace))
            if found < least:
                raise RuntimeError(f"only {found} of {least} references were found below {folder}")
            figures.append((server.cpu_s - before) / found * 1e6)
        return Figure.of(figures)


async def _browse(client: BenchClient, node: ua.NodeId) -> int:
    description = ua.BrowseDescription()
    description.NodeId = node
    description.BrowseDirection = ua.BrowseDirection.Forward
    description.ReferenceTypeId = ua.NodeId(ua.ObjectIds.HierarchicalReferences)
    description.IncludeSubtypes = True
    description.ResultMask = ua.BrowseResultMask.All
    request = ua.BrowseRequest()
    request.Parameters.RequestedMaxReferencesPerNode = PAGE
    request.Parameters.NodesToBrowse = [description]
    result = (await client.call(request, ua.BrowseResponse)).Results[0]
    found = 0
    while True:
        result.StatusCode.check()
        found += len(result.References)
        if not result.ContinuationPoint:
            return found
        onward = ua.BrowseNextRequest()
        onward.Parameters.ContinuationPoints = [result.ContinuationPoint]
        result = (await client.call(onward, ua.BrowseNextResponse)).Parameters.Results[0]

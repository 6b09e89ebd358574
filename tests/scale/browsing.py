"""Server CPU for each reference: of a large folder page by page, and of many objects in one request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from asyncua import ua

from tests.scale.client import BenchClient
from tests.scale.contenders import NODE, OURS, STOCK, Lineup, Measured, Model
from tests.scale.measure import Figure
from tests.scale.plants import unit_id
from tests.scale.size import Size
from tests.scale.table import Row

NAME = "browse"
METERS = {Size.FULL: 10_000, Size.QUICK: 10_000, Size.TINY: 1_000}
PEER_OBJECTS = {Size.FULL: 1_000, Size.QUICK: 500, Size.TINY: 100}
"""Fewer elsewhere, as stock asyncua's folders are quadratic."""
PAGE = 1_000
OBJECTS_A_REQUEST = 100
REQUESTS = {Size.FULL: 50, Size.QUICK: 10, Size.TINY: 2}
ROUNDS = {Size.FULL: 5, Size.QUICK: 3, Size.TINY: 2}
BOUNDS = {NODE: 2.0}


def run(size: Size, step: Callable[[str], None], lineup: Lineup | None = None) -> list[Row]:
    """Browse one feeder with all meters below it, then the meters themselves."""
    lineup = lineup or Lineup()

    def folder(name: str, server: Measured) -> Figure:
        step(f"browse, {name}, a folder")
        start = "f00000" if name == OURS else "folder"
        return asyncio.run(measure(server, [start], 1, ROUNDS[size]))

    def objects(name: str, server: Measured) -> Figure:
        step(f"browse, {name}, objects")
        units = [unit_id(number) for number in range(OBJECTS_A_REQUEST)]
        return asyncio.run(measure(server, units, REQUESTS[size], ROUNDS[size]))

    def of_folder(name: str) -> Model:
        return Model(METERS[size] if name == OURS else PEER_OBJECTS[size], variables=False)

    pages = lineup.measure(of_folder, folder)
    whole = lineup.measure(lambda _: Model(OBJECTS_A_REQUEST), objects)
    what = f"Browse a folder of {METERS[size]:,}, pages of {PAGE:,}"
    note = f"server CPU a reference; the others with {PEER_OBJECTS[size]:,} objects"
    return [
        _row(what, pages, note),
        _row(f"Browse objects of 20 variables, {OBJECTS_A_REQUEST} a request", whole, "server CPU a reference"),
    ]


def _row(what: str, found: dict[str, Figure], note: str) -> Row:
    ours, stock = found.pop(OURS), found.pop(STOCK, None)
    return Row(NAME, what, "µs", ours, stock, note=note, peers=found, bounds=BOUNDS)


async def measure(server: Measured, nodes: list[str], requests: int, rounds: int) -> Figure:
    """Server CPU a reference in microseconds."""
    async with BenchClient(server.url) as client:
        namespace = await client.plant_namespace()
        ids = [ua.NodeId(node, namespace) for node in nodes]
        figures = []
        await _browse(client, ids)
        for _ in range(rounds):
            before, found = server.cpu_s, 0
            for _ in range(requests):
                found += await _browse(client, ids)
            figures.append((server.cpu_s - before) / found * 1e6)
        return Figure.of(figures)


async def _browse(client: BenchClient, nodes: list[ua.NodeId]) -> int:
    """All references of the nodes; how many there are."""
    request = ua.BrowseRequest()
    request.Parameters.RequestedMaxReferencesPerNode = PAGE
    request.Parameters.NodesToBrowse = [description(node) for node in nodes]
    results = (await client.call(request, ua.BrowseResponse)).Results
    found = 0
    while results:
        points = []
        for result in results:
            result.StatusCode.check()
            found += len(result.References)
            if result.ContinuationPoint:
                points.append(result.ContinuationPoint)
        results = []
        if points:
            onward = ua.BrowseNextRequest()
            onward.Parameters.ReleaseContinuationPoints = False
            onward.Parameters.ContinuationPoints = points
            results = (await client.call(onward, ua.BrowseNextResponse)).Parameters.Results
    return found


def description(node: ua.NodeId) -> ua.BrowseDescription:
    """All hierarchical references of a node forward, with all their fields."""
    wanted = ua.BrowseDescription()
    wanted.NodeId = node
    wanted.BrowseDirection = ua.BrowseDirection.Forward
    wanted.ReferenceTypeId = ua.NodeId(ua.ObjectIds.HierarchicalReferences)
    wanted.IncludeSubtypes = True
    wanted.ResultMask = ua.BrowseResultMask.All
    return wanted

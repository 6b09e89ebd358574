"""Server CPU for each value that clients read: by nodes a request, timestamps, security, clients and kind of NodeId."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from asyncua import ua

from tests.scale.client import BenchClient, Identity
from tests.scale.contenders import NODE, OPEN, OURS, STOCK, Lineup, Measured, Model
from tests.scale.measure import Figure
from tests.scale.plants import FIRST_NUMBER, NUMBERED, node_id
from tests.scale.size import Size
from tests.scale.table import Row

NAME = "read"
UNITS = 50
ROUNDS = {Size.FULL: 5, Size.QUICK: 3, Size.TINY: 2}
ROUND_S = {Size.FULL: 0.5, Size.QUICK: 0.2, Size.TINY: 0.2}
WARM_S = {Size.FULL: 0.5, Size.QUICK: 0.5, Size.TINY: 0.1}
"""Not measured, as servers that compile while they run are slow at first."""
FRESH_LISTS = {Size.FULL: 20, Size.QUICK: 5, Size.TINY: 2}
TEN = 10
_BOTH = ua.TimestampsToReturn.Both
_STAMPS = {
    ua.TimestampsToReturn.Source: "source timestamp",
    ua.TimestampsToReturn.Server: "server timestamp",
    ua.TimestampsToReturn.Neither: "no timestamp",
}
_OWN_NUMBERS = (2735, 2736, 2737, 11565, 11567, 11569, 11570, 11571, 11572, 11573, 11574)
"""Numeric ids of the hub: limits that it publishes (Part 5 6.3.2), as the plant's nodes have strings only."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is read, and how.

    fresh    every request asks in another order, so that no list comes twice
    numeric  by numeric NodeIds
    bounds   how many times the figure of a peer ours may be
    """

    what: str
    nodes: int
    stamps: ua.TimestampsToReturn = _BOTH
    clients: int = 1
    secure: bool = False
    numeric: bool = False
    fresh: bool = False
    goal: float | None = None
    bounds: tuple[tuple[str, float], ...] = ()


_BULK = ((OPEN, 1.0), (NODE, 1.0))
_SINGLE = ((NODE, 1.0),)
_MODES = (
    ("", 1, False),
    (", SignAndEncrypt", 1, True),
    (", ten clients", TEN, False),
    (", ten clients, SignAndEncrypt", TEN, True),
)
CASES = (
    *(
        Case(
            f"Read, {nodes:,} node{'s' * (nodes > 1)} a request{mode}",
            nodes,
            clients=clients,
            secure=secure,
            goal=2.0 if (nodes, mode) == (1000, "") else None,
            bounds=bounds,
        )
        for mode, clients, secure in _MODES
        for nodes, bounds in ((1, _SINGLE), (100, _BULK), (1000, _BULK))
    ),
    *(Case(f"Read, 1,000 nodes a request, {name}", 1000, stamps, goal=2.0) for stamps, name in _STAMPS.items()),
    Case("Read, 1,000 nodes a request, a list never seen before", 1000, fresh=True, bounds=_SINGLE),
    Case("Read, 100 nodes a request, numeric NodeIds", 100, numeric=True),
)


def run(size: Size, step: Callable[[str], None], lineup: Lineup | None = None) -> list[Row]:
    """Poll the same lists of nodes from every server with the same model."""
    cases = CASES if size is not Size.TINY else tuple(case for case in CASES if not case.secure and case.clients == 1)

    def each(name: str, server: Measured) -> dict[Case, Figure]:
        step(f"reads, {name}")
        return asyncio.run(measure(server, cases, size, own=name == OURS))

    found = (lineup or Lineup()).measure(lambda _: Model(UNITS), each)
    rows = []
    for case in cases:
        figures = {name: by_case[case] for name, by_case in found.items()}
        ours, stock = figures.pop(OURS), figures.pop(STOCK, None)
        note = "server CPU a value, permission checks on" if case is cases[0] else ""
        rows.append(
            Row(NAME, case.what, "µs", ours, stock, case.goal, note=note, peers=figures, bounds=dict(case.bounds))
        )
    return [*rows, _by_string(cases, found)]


def _by_string(cases: Iterable[Case], found: dict[str, dict[Case, Figure]]) -> Row:
    """What a value costs by a string id, in terms of one by a numeric id."""
    string = next(case for case in cases if case.nodes == NUMBERED and case.clients == 1 and not case.secure)
    numeric = next(case for case in cases if case.numeric)
    ratios = {name: Figure.once(by[string].value / by[numeric].value) for name, by in found.items()}
    ours, stock = ratios.pop(OURS), ratios.pop(STOCK, None)
    note = "100 a request; 1 where both cost the same"
    return Row(NAME, "String NodeIds beside numeric ones", "×", ours, stock, 1.05, note=note, peers=ratios)


async def measure(server: Measured, cases: Iterable[Case], size: Size, *, own: bool) -> dict[Case, Figure]:
    """Server CPU a value in microseconds for each case; `own` is the hub."""
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        identity = Identity.make(Path(folder), "urn:joulehub:bench:client")
        figures = {}
        for case in cases:
            async with contextlib.AsyncExitStack() as stack:
                connect = (BenchClient(server.url, identity if case.secure else None) for _ in range(case.clients))
                clients = [await stack.enter_async_context(one) for one in connect]
                namespace = await clients[0].plant_namespace()
                nodes = _nodes(case, namespace, own=own)
                figures[case] = await _case(server, clients, nodes, case, size)
        return figures


def _nodes(case: Case, namespace: int, *, own: bool) -> list[ua.NodeId]:
    if not case.numeric:
        return [ua.NodeId(node_id(number), namespace) for number in range(case.nodes)]
    if own:
        return [ua.NodeId(_OWN_NUMBERS[number % len(_OWN_NUMBERS)]) for number in range(case.nodes)]
    return [ua.NodeId(FIRST_NUMBER + number, namespace) for number in range(case.nodes)]


def read_request(nodes: Iterable[ua.NodeId], stamps: ua.TimestampsToReturn) -> ua.ReadRequest:
    """Values of some nodes."""
    request = ua.ReadRequest()
    request.Parameters.TimestampsToReturn = stamps
    for node in nodes:
        wanted = ua.ReadValueId()
        wanted.NodeId = node
        wanted.AttributeId = ua.AttributeIds.Value
        request.Parameters.NodesToRead.append(wanted)
    return request


async def _case(server: Measured, clients: list[BenchClient], nodes: list[ua.NodeId], case: Case, size: Size) -> Figure:
    request = read_request(nodes, case.stamps)
    answer = await clients[0].call(request, ua.ReadResponse)
    bad = [result.StatusCode for result in answer.Results if not result.StatusCode.is_good()]
    if bad or len(answer.Results) != len(nodes):
        raise RuntimeError(f"{len(bad)} of {len(nodes)} values were not good: {bad[:1]}")
    shuffle = random.Random(1).shuffle
    await _poll(clients[0], clients[0].encode(request), WARM_S[size])
    rounds = []
    for _ in range(ROUNDS[size]):
        lists = []
        for _ in range(FRESH_LISTS[size] if case.fresh else 0):
            shuffle(request.Parameters.NodesToRead)
            lists.append(clients[0].encode(request))
        before = server.cpu_s
        if case.fresh:
            for encoded in lists:
                await clients[0].send(encoded)
            sent = len(lists)
        else:
            sent = sum(await asyncio.gather(*(_poll(one, one.encode(request), ROUND_S[size]) for one in clients)))
        rounds.append((server.cpu_s - before) / (sent * len(nodes)) * 1e6)
    return Figure.of(rounds)


async def _poll(client: BenchClient, encoded: bytes, seconds: float) -> int:
    """The same request again and again; how often it was answered."""
    sent, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        await client.send(encoded)
        sent += 1
    return sent

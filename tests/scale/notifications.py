"""Server CPU for each change that a subscriber gets, over what the same updates cost without a subscriber."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from asyncua import ua

from tests.scale.client import BenchClient, Identity
from tests.scale.contenders import NODE, OPEN, OURS, STOCK, Lineup, Measured, Model
from tests.scale.measure import Figure
from tests.scale.plants import VARIABLES, node_id
from tests.scale.size import Size
from tests.scale.table import Row

NAME = "notify"
STOCK_ITEMS = {Size.FULL: 1_000, Size.QUICK: 500, Size.TINY: 100}
ROUNDS = {Size.FULL: 3, Size.QUICK: 2, Size.TINY: 1}
ROUND_S = {Size.FULL: 2.5, Size.QUICK: 1.5, Size.TINY: 1.0}
PERIOD_S = 0.25
STOCK_PERIOD_S = 1.0
ITEMS_A_CALL = 1_000
PENDING = 8
TEN = 10
GOAL_US = 6.0
_WHOLE = 0.97
BOUNDS = {NODE: 1.0, OPEN: 2.0}


@dataclass(frozen=True, slots=True)
class Load:
    """What each client monitors, and how often all of it changes."""

    what: str
    items: int
    period_s: float = PERIOD_S
    clients: int = 1
    secure: bool = False

    @property
    def units(self) -> int:
        """Metering units that are updated."""
        return self.items // VARIABLES


_LARGE = Load("Notified value, 10,000 items", 10_000)
LOADS = (
    Load("Notified value, 1,000 items", 1_000),
    _LARGE,
    Load("Notified value, 1,000 items, SignAndEncrypt", 1_000, secure=True),
    Load("Notified value, 1,000 items for each of ten clients", 1_000, clients=TEN),
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Server CPU a delivered change, and the share of all changes that was delivered."""

    cost: Figure
    share: float
    baseline: float


def run(size: Size, step: Callable[[str], None], lineup: Lineup | None = None) -> list[Row]:
    """Subscribe to everything that changes every 250 ms; stock asyncua with fewer items and once a second."""
    loads = {Size.FULL: LOADS, Size.QUICK: LOADS, Size.TINY: (Load("Notified value, 200 items", 200),)}[size]

    def each(name: str, server: Measured) -> dict[str, Delivery]:
        found = {}
        for load in loads:
            step(f"notifications, {name}, {load.what}")
            if name != STOCK:
                found[load.what] = asyncio.run(measure(server, load, size))
            elif load.clients == 1 and load is not _LARGE:
                slower = replace(load, items=STOCK_ITEMS[size], period_s=STOCK_PERIOD_S)
                found[load.what] = asyncio.run(measure(server, slower, size))
        return found

    def model(name: str) -> Model:
        return Model((STOCK_ITEMS[size] if name == STOCK else max(load.items for load in loads)) // VARIABLES)

    found = (lineup or Lineup()).measure(model, each)
    rows = []
    for load in loads:
        costs = {name: by_load[load.what].cost for name, by_load in found.items() if load.what in by_load}
        shares = {name: by_load[load.what].share for name, by_load in found.items() if load.what in by_load}
        late = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share < _WHOLE)
        note = "server CPU a change beyond the updates' own" if load is loads[0] else ""
        note += f"; delivered only: {late}" if late else ""
        ours, stock = costs.pop(OURS), costs.pop(STOCK, None)
        rows.append(Row(NAME, load.what, "µs", ours, stock, GOAL_US, note=note.strip("; "), peers=costs, bounds=BOUNDS))
    return rows


async def measure(server: Measured, load: Load, size: Size) -> Delivery:
    """Updates without a subscriber, then with one; rounds of both."""
    seconds = ROUND_S[size]
    server("pace", every_s=load.period_s, units=load.units)
    await asyncio.sleep(load.period_s)
    baselines = [await _busy(server, seconds) for _ in range(ROUNDS[size])]
    baseline = Figure.of(baselines).value
    costs, shares = [], []
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        identity = Identity.make(Path(folder), "urn:joulehub:bench:client") if load.secure else None
        async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            subscribers = []
            for _ in range(load.clients):
                client = await stack.enter_async_context(BenchClient(server.url, identity))
                subscribers.append(Subscriber(client))
                await subscribers[-1].subscribe(load)
            receiving = [tasks.create_task(one.receive(), name="receive") for one in subscribers]
            await asyncio.sleep(max(1.0, 3 * load.period_s))
            for _ in range(ROUNDS[size]):
                changes, updated = sum(one.changes for one in subscribers), server("counters")["updated"]
                busy = await _busy(server, seconds)
                delivered = sum(one.changes for one in subscribers) - changes
                if not delivered:
                    raise RuntimeError("no change was delivered")
                costs.append((busy - baseline) * seconds / delivered * 1e6)
                shares.append(delivered / (server("counters")["updated"] - updated) / load.clients)
            for task in receiving:
                task.cancel()
    server("pace", every_s=0, units=0)
    return Delivery(Figure.of(costs), Figure.of(shares).value, baseline)


async def _busy(server: Measured, seconds: float) -> float:
    """Share of a processor that the server uses."""
    before, began = server.cpu_s, time.perf_counter()
    await asyncio.sleep(seconds)
    return (server.cpu_s - before) / (time.perf_counter() - began)


class Subscriber:
    """One subscription whose notifications are acknowledged and counted, not decoded."""

    def __init__(self, client: BenchClient) -> None:
        self._client = client
        self.changes = 0

    async def subscribe(self, load: Load) -> None:
        """Monitor the first variables of the plant; raises ua.UaStatusCodeError where an item is refused."""
        client = self._client
        request = ua.CreateSubscriptionRequest()
        request.Parameters.RequestedPublishingInterval = PERIOD_S * 1000
        request.Parameters.RequestedLifetimeCount = 10_000
        request.Parameters.RequestedMaxKeepAliveCount = 3_000
        request.Parameters.MaxNotificationsPerPublish = 0
        request.Parameters.PublishingEnabled = True
        answer = await client.call(request, ua.CreateSubscriptionResponse)
        subscription = answer.Parameters.SubscriptionId
        namespace = await client.plant_namespace()
        for first in range(0, load.items, ITEMS_A_CALL):
            create = ua.CreateMonitoredItemsRequest()
            create.Parameters.SubscriptionId = subscription
            create.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            numbers = range(first, min(first + ITEMS_A_CALL, load.items))
            create.Parameters.ItemsToCreate = [_item(number, namespace) for number in numbers]
            for result in (await client.call(create, ua.CreateMonitoredItemsResponse)).Results:
                result.StatusCode.check()

    async def receive(self) -> None:
        """Keep publish requests waiting at the server, acknowledge and count; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(PENDING):
                tasks.create_task(self._receive(), name=f"publish-{number}")

    async def _receive(self) -> None:
        acknowledge: list[ua.SubscriptionAcknowledgement] = []
        while True:
            request = ua.PublishRequest()
            request.Parameters.SubscriptionAcknowledgements = acknowledge
            answer = await self._client.send(self._client.encode(request))
            subscription, sequence, _, changes = answer.notified()
            self.changes += changes
            acknowledge = []
            if changes:
                done = ua.SubscriptionAcknowledgement()
                done.SubscriptionId, done.SequenceNumber = subscription, sequence
                acknowledge = [done]


def _item(number: int, namespace: int) -> ua.MonitoredItemCreateRequest:
    item = ua.MonitoredItemCreateRequest()
    item.ItemToMonitor.NodeId = ua.NodeId(node_id(number), namespace)
    item.ItemToMonitor.AttributeId = ua.AttributeIds.Value
    item.MonitoringMode = ua.MonitoringMode.Reporting
    item.RequestedParameters.ClientHandle = number
    item.RequestedParameters.SamplingInterval = PERIOD_S * 1000
    item.RequestedParameters.QueueSize = 1
    item.RequestedParameters.DiscardOldest = True
    return item

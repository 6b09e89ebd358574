"""Server CPU for each change that a subscriber gets, over what the same updates cost without a subscriber."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asyncua import ua

from tests.scale.client import BenchClient
from tests.scale.measure import Child, Figure, free_port
from tests.scale.plants import VARIABLES, PlantFiles, node_id
from tests.scale.size import Size
from tests.scale.table import Row

NAME = "notify"
ITEMS = {Size.FULL: (1_000, 10_000), Size.QUICK: (1_000, 10_000), Size.TINY: (200,)}
STOCK_ITEMS = {Size.FULL: 1_000, Size.QUICK: 500, Size.TINY: 100}
ROUNDS = {Size.FULL: 4, Size.QUICK: 2, Size.TINY: 1}
ROUND_S = {Size.FULL: 4.0, Size.QUICK: 2.5, Size.TINY: 1.0}
PERIOD_S = 0.25
STOCK_PERIOD_S = 1.0
ITEMS_A_CALL = 1_000
PENDING = 8
GOAL_US = 6.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is monitored, and how often all of it changes."""

    items: int
    period_s: float

    @property
    def units(self) -> int:
        """Metering units that are updated."""
        return self.items // VARIABLES


@dataclass(frozen=True, slots=True)
class Delivery:
    """Server CPU a delivered change, and the share of all changes that was delivered."""

    cost: Figure
    share: float
    baseline: float


def run(size: Size, step: Callable[[str], None]) -> list[Row]:
    """Subscribe to everything that changes every 250 ms; stock asyncua with fewer items and once a second."""
    items, stock_items = ITEMS[size], STOCK_ITEMS[size]
    ours: list[Delivery] = []
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        plant = PlantFiles(max(items) // VARIABLES, free_port(), polled=False, history=False)
        with Child("hub_child", config=str(plant.write(Path(folder) / "plant"))) as hub:
            for count in items:
                step(f"notifications, hub, {count:,} items")
                ours.append(asyncio.run(measure(hub, Load(count, PERIOD_S), size)))
    step(f"notifications, stock asyncua, {stock_items:,} items")
    with Child("stock_child", port=free_port(), objects=stock_items // VARIABLES) as server:
        stock = asyncio.run(measure(server, Load(stock_items, STOCK_PERIOD_S), size))
    rows = []
    for count, delivery in zip(items, ours, strict=True):
        note = (
            f"server CPU a change beyond the updates' own; delivered {delivery.share:.0%} at {PERIOD_S * 1000:.0f} ms"
        )
        compared = f"; stock: {stock_items:,} items every {STOCK_PERIOD_S:.0f} s, {stock.share:.0%} delivered"
        rows.append(
            Row(
                NAME, f"Notified value, {count:,} items", "µs", delivery.cost, stock.cost, GOAL_US, note=note + compared
            )
        )
    return rows


async def measure(server: Child, load: Load, size: Size) -> Delivery:
    """Updates without a subscriber, then with one; rounds of both."""
    seconds = ROUND_S[size]
    server("pace", every_s=load.period_s, units=load.units)
    await asyncio.sleep(load.period_s)
    baselines = [await _busy(server, seconds) for _ in range(ROUNDS[size])]
    baseline = Figure.of(baselines).value
    costs, shares = [], []
    async with BenchClient(server.ready["url"]) as client, asyncio.TaskGroup() as tasks:
        subscriber = Subscriber(client)
        await subscriber.subscribe(load)
        receiving = tasks.create_task(subscriber.receive(), name="receive")
        await asyncio.sleep(max(1.0, 3 * load.period_s))
        for _ in range(ROUNDS[size]):
            changes, updated = subscriber.changes, server("counters")["updated"]
            busy = await _busy(server, seconds)
            delivered = subscriber.changes - changes
            if not delivered:
                raise RuntimeError("no change was delivered")
            costs.append((busy - baseline) * seconds / delivered * 1e6)
            shares.append(delivered / (server("counters")["updated"] - updated))
        receiving.cancel()
    server("pace", every_s=0, units=0)
    return Delivery(Figure.of(costs), Figure.of(shares).value, baseline)


async def _busy(server: Child, seconds: float) -> float:
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

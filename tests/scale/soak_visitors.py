"""The clients of the soak that keep the hub busy: they read, browse, ask for history, come and go."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import Client, ua

from tests.scale.soak_client import Identity, Tally, break_off, client_of, node

SHORT_SESSION_MS = 10_000
SAME_LIST = 500
ANSWER_S = 1.0
LEFT = 0.1
"""Share of continuation points that are left behind."""


@dataclass(slots=True)
class Reader:
    """Polls values: the same list twice a second, and now and then a list never seen before."""

    url: str
    points: Sequence[str]
    identity: Identity | None
    tally: Tally
    random: random.Random

    async def run(self) -> None:
        """Until the connection breaks."""
        client = await client_of(self.url, self.identity)
        async with client:
            while True:
                await self._read(client, self.points[:SAME_LIST])
                await self._read(client, self.random.sample(list(self.points), len(self.points)))
                await asyncio.sleep(0.5)

    async def _read(self, client: Client, points: Sequence[str]) -> None:
        wanted = [ua.ReadValueId(node(point), ua.AttributeIds.Value) for point in points]
        values = await client.uaclient.read(ua.ReadParameters(0.0, ua.TimestampsToReturn.Both, wanted))
        self.tally.done["values read"] += len(values)
        if len(values) != len(points) or any(one.ServerTimestamp is None for one in values):
            raise AssertionError("an answer is not what was asked")


@dataclass(slots=True)
class Explorer:
    """Browses in small pages and reads history, and leaves continuation points behind."""

    url: str
    units: Sequence[str]
    points: Sequence[str]
    identity: Identity | None
    tally: Tally
    random: random.Random

    async def run(self) -> None:
        """Until the connection breaks."""
        async with await client_of(self.url, self.identity) as client:
            while True:
                await self._browse(client)
                await self._history(client)
                await asyncio.sleep(0.1)

    async def _browse(self, client: Client) -> None:
        pages = ua.BrowseParameters(ua.ViewDescription(), 7, [])
        every = int(ua.BrowseResultMask.All.value)
        hierarchical = ua.NodeId(ua.ObjectIds.HierarchicalReferences)
        for name in ("root", self.random.choice(self.units), self.random.choice(self.points)):
            pages.NodesToBrowse.append(
                ua.BrowseDescription(node(name), ua.BrowseDirection.Forward, hierarchical, True, 0, every)
            )
        results = await client.uaclient.browse(pages)
        while results := [one for one in results if one.ContinuationPoint]:
            self.tally.done["browse pages"] += 1
            if self.random.random() < LEFT:
                return
            results = await client.uaclient.browse_next(
                ua.BrowseNextParameters(False, [one.ContinuationPoint for one in results])
            )

    async def _history(self, client: Client) -> None:
        point = self.random.choice(self.points)
        end = datetime.now(UTC)
        start = end - timedelta(minutes=self.random.choice((1, 3, 60)))
        details = ua.ReadRawModifiedDetails(False, start, end, self.random.choice((0, 7, 50)), False)
        again = None
        while True:
            wanted = ua.HistoryReadValueId(node(point), None, ua.QualifiedName(), again)
            result = (await history_read(client, details, [wanted]))[0]
            self.tally.done["history pages"] += 1
            again = result.ContinuationPoint
            if not again or self.random.random() < LEFT:
                return


class Crowd:
    """Clients that come and go, politely and not."""

    def __init__(self, url: str, port: int, points: Sequence[str], identity: Identity, tally: Tally, seed: int) -> None:
        self._url = url
        self._port = port
        self._points = points
        self._identity = identity
        self._tally = tally
        self._random = random.Random(seed)

    async def run(self) -> None:
        """One visit and a pause."""
        visits = (
            self._polite,
            self._polite,
            self._subscriber,
            self._subscriber_that_breaks_off,
            self._sealed_that_breaks_off,
            self._half_hello,
            self._noise,
        )
        visit = self._random.choice(visits)
        await visit()
        self._tally.done[f"visits {visit.__name__.strip('_')}"] += 1
        await asyncio.sleep(self._random.uniform(0.3, 3.0))

    async def _polite(self) -> None:
        client = await client_of(self._url, self._random.choice((None, self._identity)))
        async with client:
            await client.get_node(node(self._random.choice(self._points))).read_data_value(raise_on_bad_status=False)

    async def _subscriber(self) -> None:
        async with await client_of(self._url) as client:
            subscription = await client.create_subscription(_brief(), _Deaf())
            some = [client.get_node(node(point)) for point in self._random.sample(list(self._points), 50)]
            await subscription.subscribe_data_change(some, queuesize=10)
            await asyncio.sleep(self._random.uniform(0.0, 3.0))
            if self._random.random() < 0.5:
                await subscription.delete()

    async def _subscriber_that_breaks_off(self) -> None:
        client = await client_of(self._url, session_ms=SHORT_SESSION_MS)
        await client.connect()
        try:
            subscription = await client.create_subscription(_brief(), _Deaf())
            some = [client.get_node(node(point)) for point in self._random.sample(list(self._points), 50)]
            await subscription.subscribe_data_change(some, queuesize=10)
            await asyncio.sleep(self._random.uniform(0.0, 2.0))
        finally:
            await break_off(client)

    async def _sealed_that_breaks_off(self) -> None:
        client = await client_of(self._url, self._identity, SHORT_SESSION_MS)
        await client.connect_socket()
        try:
            await client.send_hello()
            await client.open_secure_channel()
            if self._random.random() < 0.5:
                await client.create_session()
        finally:
            await break_off(client)

    async def _half_hello(self) -> None:
        async with self._socket() as (_, writer):
            writer.write(b"HELF" + struct.pack("<I", 80) + bytes(self._random.randint(0, 60)))
            await writer.drain()
            await asyncio.sleep(self._random.uniform(0.0, 1.0))

    async def _noise(self) -> None:
        async with self._socket() as (reader, writer):
            writer.write(self._random.randbytes(self._random.randint(1, 500)))
            with contextlib.suppress(TimeoutError, ConnectionError):
                await asyncio.wait_for(reader.read(), ANSWER_S)

    @contextlib.asynccontextmanager
    async def _socket(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A bare connection that is reset in the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def _brief() -> Any:
    """A subscription that ends soon after its client: 50 intervals of 200 ms."""
    return ua.CreateSubscriptionParameters(200.0, 50, 10, 0, True, 0)


class _Deaf:
    """Takes notifications and forgets them."""

    def datachange_notification(self, *_: Any) -> None:
        """Nothing."""

    def status_change_notification(self, *_: Any) -> None:
        """Nothing."""


async def history_read(client: Client, details: Any, nodes: Iterable[Any]) -> list[Any]:
    """HistoryRead of raw values."""
    results: list[Any] = await client.uaclient.history_read(
        ua.HistoryReadParameters(details, ua.TimestampsToReturn.Source, False, list(nodes))
    )
    return results

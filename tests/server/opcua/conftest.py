"""A hub's OPC UA server over a small plant, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from asyncua import Client, ua

from address_space.model.clock import SystemClock
from address_space.model.hierarchy import HierarchyNode, MeteringUnit, NodeKind
from address_space.model.ids import NodeUid, PointId
from address_space.model.live import LiveTable
from address_space.model.plant import Plant
from address_space.model.point import PointSpec, Template
from address_space.model.quantity import Quantity
from historian.api import Series
from server.opcua import HubServer, Limits, OpcUaOptions

UNITS = 30
TEMPLATE = Template(
    "meter",
    [
        PointSpec(Quantity.ACTIVE_POWER, poll_s=1.0, eu_range=(0.0, 200.0)),
        PointSpec(Quantity.ACTIVE_ENERGY_IMPORT, poll_s=1.0),
        PointSpec(Quantity.VOLTAGE_L1, poll_s=10.0, record=False),
    ],
)


def small_plant() -> Plant:
    """A region with thirty meters."""
    region = HierarchyNode(NodeUid("north"), NodeKind.REGION, "North")
    meters = [
        MeteringUnit(NodeUid(f"m{number:02d}"), f"Meter {number}", NodeUid("north"), TEMPLATE)
        for number in range(UNITS)
    ]
    return Plant([region], meters)


class KeptHistory:
    """A history of what a test puts in, by point and quantity."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Quantity], list[tuple[int, float, int]]] = {}

    def keep(self, point: str, quantity: Quantity, rows: Sequence[tuple[int, float, int]]) -> None:
        self.rows[(point, quantity)] = sorted(rows)

    async def read_raw(
        self, point: NodeUid, quantity: Quantity, start_ms: int, end_ms: int, limit: int, *, newest_first: bool = False
    ) -> Series:
        found = [row for row in self.rows.get((point, quantity), []) if start_ms <= row[0] < end_ms]
        if newest_first:
            found.reverse()
        part = found[:limit]
        return Series(
            np.array([row[0] for row in part], np.int64),
            np.array([row[1] for row in part], np.float64),
            np.array([row[2] for row in part], np.uint32),
            len(found) > limit,
        )

    async def bounds(self, point: NodeUid, quantity: Quantity) -> tuple[int, int] | None:
        rows = self.rows.get((point, quantity))
        return (rows[0][0], rows[-1][0]) if rows else None


class Hub:
    """The server with what feeds it."""

    def __init__(self, data_dir: Path, limits: Limits | None = None, **options: object) -> None:
        self.clock = SystemClock()
        self.plant = small_plant()
        self.live = LiveTable(self.plant, self.clock.now_ns())
        self.history = KeptHistory()
        wanted = {"host": "127.0.0.1", "port": 0, "allow_none": True, "allow_anonymous": True} | options
        self.options = OpcUaOptions(data_dir, limits=limits or Limits(), **wanted)  # type: ignore[arg-type]
        self.server = HubServer(self.plant, self.live, self.options, self.history, self.clock)

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.server.port}{self.options.path}"

    def client(self) -> Client:
        return Client(self.url, timeout=60)

    def handle(self, point: str) -> int:
        handle = self.plant.handle(PointId(point))
        assert handle is not None
        return handle

    def read(self, point: str, value: float, status: int = 0) -> None:
        """A reading arrives."""
        handles = np.array([self.handle(point)])
        now = self.clock.now_ns()
        changed = self.live.apply(handles, np.array([value]), np.array([status], np.uint32), now, now)
        self.server.projection.touch(handles, changed)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hub]:
    running = Hub(tmp_path_factory.mktemp("hub"))
    await running.server.start()
    yield running
    await running.server.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def tight(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hub]:
    """A hub with so little room that a test can fill it."""
    limits = Limits(
        connections=8,
        connections_per_address=6,
        sessions=3,
        subscriptions=5,
        message_bytes=100_000,
        assembling_bytes=150_000,
        channel_min_s=0.01,
    )
    running = Hub(tmp_path_factory.mktemp("tight"), limits)
    await running.server.start()
    yield running
    await running.server.stop()


@pytest.fixture(autouse=True)
def leave_nobody_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Ends the sessions that a test left open on a shared hub, as a session outlives its connection by design."""
    shared = [request.getfixturevalue(name) for name in ("hub", "tight") if name in request.fixturenames]
    before = [set(hub.server._iserver.sessions()) for hub in shared]
    yield
    for hub, old in zip(shared, before, strict=True):
        for session in hub.server._iserver.sessions():
            if session not in old:
                hub.server._iserver.end(session, delete=True)


@pytest_asyncio.fixture(loop_scope="session")
async def client(hub: Hub) -> AsyncIterator[Client]:
    connected = hub.client()
    await connected.connect()
    yield connected
    await connected.disconnect()


@pytest.fixture
def make_hub(tmp_path: Path) -> Callable[..., Hub]:
    """A hub of its own for a test that needs other settings; the test starts and stops it."""

    def make(limits: Limits | None = None, **options: object) -> Hub:
        return Hub(tmp_path, limits, **options)

    return make


@pytest.fixture
def point() -> ua.NodeId:
    """A point that tests may feed."""
    return ua.NodeId("m00.ActivePower", 2)

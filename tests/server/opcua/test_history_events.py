"""HistoryRead of events (OPC 10000-11 6.5.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua

from address_space.model.clock import SystemClock, from_datetime
from address_space.model.hierarchy import HierarchyNode, MeteringUnit, NodeKind
from address_space.model.ids import NodeUid
from address_space.model.live import LiveTable
from address_space.model.plant import Plant
from address_space.model.point import PointSpec, Template
from address_space.model.quantity import Names, Quantity
from address_space.nodes.nodeids import plant_id
from historian.events import EventLog
from server.opcua import HubServer, Limits, OpcUaOptions
from server.opcua.event import Event
from server.opcua.messages import Message

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes
_EPOCH = datetime(2026, 5, 1, tzinfo=UTC)
_TEMPLATE = Template("meter", [PointSpec(Quantity.ACTIVE_POWER)])
_PATHS = ("EventType", "SourceNode", "Time", "Message", "Severity", "3:Quantity", "3:NewValue", "EventId")


class Place:
    """A server that keeps its events."""

    def __init__(self, folder: Path) -> None:
        nodes = [HierarchyNode(NodeUid(uid), NodeKind.FEEDER, uid.upper()) for uid in ("f1", "f2")]
        meters = [MeteringUnit(NodeUid(f"m{n}"), f"Meter {n}", NodeUid(f"f{n}"), _TEMPLATE) for n in (1, 2)]
        self.plant, self.clock = Plant(nodes, meters), SystemClock()
        self.log = EventLog(folder / "history", self.clock)
        self.options = OpcUaOptions(
            folder, host="127.0.0.1", port=0, allow_none=True, allow_anonymous=True, limits=Limits(history_events=4)
        )
        live = LiveTable(self.plant, self.clock.now_ns())
        self.server = HubServer(self.plant, live, self.options, None, self.clock, event_log=self.log)

    def happen(self, second: float, uid: str, value: float, severity: int = 300) -> bytes:
        return self.server.events.post(
            Event(
                self.server.aspace.model.node_id("MeterStatusEventType"),
                plant_id(uid),
                Message(
                    "status-changed", {"quantity": Names("Cover", "Крышка", "Qopqoq", "盖"), "old": "0", "new": "1"}
                ),
                severity,
                {"3:Quantity": "Status.CoverOpen", "3:NewValue": ua.Variant(value, ua.VariantType.Double)},
                time_ns=from_datetime(_at(second)),
            )
        )


def _at(second: float) -> datetime:
    return _EPOCH + timedelta(seconds=second)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    made = Place(tmp_path_factory.mktemp("events"))
    await made.server.start()
    async with made.log:
        for second in range(10):
            made.happen(second, f"m{second % 2 + 1}", float(second), 100 * (second + 1))
        await made.log.flush()
        yield made
        await made.server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def client(place: Place) -> AsyncIterator[Client]:
    async with Client(f"opc.tcp://127.0.0.1:{place.server.port}{place.options.path}", timeout=60) as connected:
        yield connected


def _filter(least_severity: int = 0) -> ua.EventFilter:
    def operand(path: str) -> ua.SimpleAttributeOperand:
        namespace, _, name = path.rpartition(":")
        return ua.SimpleAttributeOperand(
            ua.NodeId(ua.ObjectIds.BaseEventType), [ua.QualifiedName(name, int(namespace or 0))], 13
        )

    asked = ua.EventFilter([operand(path) for path in _PATHS])
    if least_severity:
        literal = ua.LiteralOperand(ua.Variant(least_severity, ua.VariantType.UInt16))
        element = ua.ContentFilterElement(ua.FilterOperator.GreaterThanOrEqual, [operand("Severity"), literal])
        asked.WhereClause.Elements.append(element)
    return asked


async def _read(
    client: Client,
    node: str,
    start: float | None = None,
    end: float | None = None,
    most: int = 0,
    *,
    asked: Any = None,
    point: bytes | None = None,
) -> Any:
    null = ua.get_win_epoch()
    details = ua.ReadEventDetails(
        most, null if start is None else _at(start), null if end is None else _at(end), asked or _filter()
    )
    wanted = ua.HistoryReadValueId(ua.NodeId.from_string(node), None, ua.QualifiedName(), point)
    params = ua.HistoryReadParameters(details, ua.TimestampsToReturn.Both, False, [wanted])
    (result,) = await client.uaclient.history_read(params)
    return result


def _seconds(result: Any) -> list[float]:
    return [(one.EventFields[2].Value - _EPOCH).total_seconds() for one in result.HistoryData.Events]


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("i=2253", list(range(10))),
        ("ns=2;s=root", list(range(10))),
        ("ns=2;s=f1", [0, 2, 4, 6, 8]),
        ("ns=2;s=m2", [1, 3, 5, 7, 9]),
    ],
)
async def test_events_are_read_where_they_are_seen(client: Client, node: str, expected: list[int]) -> None:
    found: list[float] = []
    point: bytes | None = None
    while True:
        result = await _read(client, node, 0, 100, point=point)
        assert result.StatusCode.is_good()
        assert len(_seconds(result)) <= 4
        found += _seconds(result)
        point = result.ContinuationPoint
        if not point:
            break
    assert found == expected


async def test_timestamps_do_not_matter_to_events_and_the_newer_details_are_understood(client: Client) -> None:
    null = ua.get_win_epoch()
    server = ua.HistoryReadValueId(ua.NodeId(ua.ObjectIds.Server), None, ua.QualifiedName(), None)
    for details, code in (
        (ua.ReadEventDetails(2, _at(0), null, _filter()), 0),
        (ua.ReadEventDetails2(2, _at(0), null, _filter(), False), 0),
        (ua.ReadEventDetails2(2, _at(0), null, _filter(), True), ua.StatusCodes.BadHistoryOperationUnsupported),
        (ua.ReadEventDetailsSorted(2, _at(0), null, _filter(), []), ua.StatusCodes.BadHistoryOperationUnsupported),
    ):
        params = ua.HistoryReadParameters(details, ua.TimestampsToReturn.Neither, False, [server])
        if code:
            params.TimestampsToReturn = ua.TimestampsToReturn.Source
        (result,) = await client.uaclient.history_read(params)
        assert result.StatusCode.value == code
        assert code or _seconds(result) == [0, 1]


@pytest.mark.parametrize(
    ("start", "end", "most", "expected"),
    [
        (2, 5, 0, [2, 3, 4]),
        (5, 2, 0, [5, 4, 3]),
        (3, 3, 0, [3]),
        (7, None, 2, [7, 8]),
        (None, 3, 2, [3, 2]),
        (50, 60, 0, []),
    ],
)
async def test_every_combination_of_bounds_gives_its_interval(client, start, end, most, expected) -> None:
    result = await _read(client, "i=2253", start, end, most)
    assert _seconds(result) == expected
    assert result.StatusCode.value == (0 if expected else _STATUS.GoodNoData)


async def test_an_event_is_told_again_as_it_was(place: Place, client: Client) -> None:
    event_id = place.happen(200, "m1", 42.0, 700)
    await place.log.flush()
    result = await _read(client, "ns=2;s=m1", 150, 250)
    (event,) = result.HistoryData.Events
    kind, source, at, message, severity, quantity, value, told_id = (one.Value for one in event.EventFields)
    assert kind == place.server.aspace.model.node_id("MeterStatusEventType")
    assert (source, at, severity) == (ua.NodeId("m1", 2), _at(200), 700)
    assert (quantity, value, told_id) == ("Status.CoverOpen", 42.0, event_id)
    assert message.Locale == "en"
    assert "Cover" in message.Text


async def test_events_are_told_in_the_sessions_language(place: Place) -> None:
    client = Client(f"opc.tcp://127.0.0.1:{place.server.port}{place.options.path}", timeout=60)
    client._locale = ["ru"]
    async with client:
        result = await _read(client, "ns=2;s=m1", 0, 1)
        assert "Крышка" in result.HistoryData.Events[0].EventFields[3].Value.Text


async def test_filters_choose_and_are_checked(client: Client) -> None:
    loud = await _read(client, "i=2253", 0, 100, asked=_filter(801))
    assert _seconds(loud) == [8, 9]
    wrong = await _read(client, "i=2253", 0, 100, asked=ua.EventFilter())
    assert wrong.StatusCode.value == _STATUS.BadEventFilterInvalid


@pytest.mark.parametrize(
    ("node", "code"),
    [
        ("ns=2;s=m1.ActivePower", _STATUS.BadHistoryOperationUnsupported),
        ("ns=2;s=m1.Identification", _STATUS.BadHistoryOperationUnsupported),
        ("ns=2;s=nobody", _STATUS.BadNodeIdUnknown),
    ],
)
async def test_nodes_without_events_say_why(client: Client, node: str, code: int) -> None:
    assert (await _read(client, node, 0, 100)).StatusCode.value == code


async def test_too_little_to_go_by_is_invalid(client: Client) -> None:
    assert (await _read(client, "i=2253", 0)).StatusCode.value == _STATUS.BadHistoryOperationInvalid


async def test_notifiers_tell_that_their_events_are_kept(client: Client) -> None:
    for node in ("i=2253", "ns=2;s=root", "ns=2;s=f1", "ns=2;s=m1"):
        told = await client.get_node(node).read_attribute(ua.AttributeIds.EventNotifier)
        assert told.Value.Value == 5
    assert await client.get_node("i=11242").read_value() is True
    assert await client.get_node("i=11274").read_value() == 4


async def test_events_with_structures_are_kept_too(place: Place, client: Client) -> None:
    place.server.events.plant_changed()
    await place.server.events.semantics_changed(["m1.ActivePower"])
    place.server.events.configuration_changed("7", added=1, removed=2, changed=3)
    await place.log.flush()
    now = datetime.now(UTC)
    details = ua.ReadEventDetails(0, now - timedelta(minutes=5), now + timedelta(minutes=5), _filter())
    node = ua.HistoryReadValueId(ua.NodeId(2253), None, ua.QualifiedName(), None)
    params = ua.HistoryReadParameters(details, ua.TimestampsToReturn.Both, False, [node])
    (result,) = await client.uaclient.history_read(params)
    assert len(result.HistoryData.Events) == 3

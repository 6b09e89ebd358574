"""Events over the wire: where they are seen, what their fields hold, which filters are taken (OPC 10000-4 7.22.3)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua

from address_space.model.diff import PlantDiff
from address_space.model.quantity import LOCALES
from server.opcua import Change, Event, Message, Verb, changes_of
from server.opcua.event_filter import MOST_CLAUSES
from server.opcua.messages import Messages

pytestmark = pytest.mark.asyncio(loop_scope="session")

_S = ua.StatusCodes
BASE, SYSTEM_EVENT, CONDITION = ua.NodeId(2041), ua.NodeId(2130), ua.NodeId(2782)
ALARM, OFF_NORMAL, COMMUNICATION = ua.NodeId(2915), ua.NodeId(10637), ua.NodeId(4001, 3)
OVERFLOW, MODEL_CHANGE, SEMANTIC_CHANGE = ua.NodeId(3035), ua.NodeId(2133), ua.NodeId(2738)
SERVER, ROOT = ua.NodeId(2253), ua.NodeId("root", 2)
NORTH, UNIT, OTHER = ua.NodeId("north", 2), ua.NodeId("m07", 2), ua.NodeId("m08", 2)


def select(path: str, kind: ua.NodeId = BASE, attribute: int = 13, index_range: str | None = None) -> Any:
    names = []
    for part in path.split("/") if path else []:
        space, _, name = part.rpartition(":")
        names.append(ua.QualifiedName(name, int(space or 0)))
    return ua.SimpleAttributeOperand(kind, names, attribute, index_range)


def of_type(kind: ua.NodeId) -> ua.ContentFilter:
    return ua.ContentFilter([ua.ContentFilterElement(ua.FilterOperator.OfType, [ua.LiteralOperand(ua.Variant(kind))])])


def event_filter(*paths: Any, where: ua.ContentFilter | None = None) -> ua.EventFilter:
    clauses = [select(path) if isinstance(path, str) else path for path in paths]
    return ua.EventFilter(clauses, where or ua.ContentFilter())


class Listener:
    """A subscription to events, asked request by request."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.id = 0

    async def send(self, request: Any, answer: type[Any]) -> Any:
        data = await self.client.uaclient.protocol.send_request(request)
        return ua.ua_binary.struct_from_binary(answer, data)

    async def open(self) -> Listener:
        request = ua.CreateSubscriptionRequest()
        request.Parameters = ua.CreateSubscriptionParameters(100, 100, 5, 0, True, 0)
        self.id = (await self.send(request, ua.CreateSubscriptionResponse)).Parameters.SubscriptionId
        return self

    async def listen(self, node: ua.NodeId, wanted: Any, *, handle: int = 1, queue: int = 0, **more: Any) -> Any:
        parameters = ua.MonitoringParameters(handle, 0.0)
        parameters.QueueSize, parameters.DiscardOldest = queue, more.get("discard_oldest", True)
        parameters.Filter = wanted
        request = ua.CreateMonitoredItemsRequest()
        request.Parameters.SubscriptionId = self.id
        item = ua.ReadValueId(node, ua.AttributeIds.EventNotifier)
        mode = more.get("mode", ua.MonitoringMode.Reporting)
        request.Parameters.ItemsToCreate = [ua.MonitoredItemCreateRequest(item, mode, parameters)]
        return (await self.send(request, ua.CreateMonitoredItemsResponse)).Results[0]

    async def events(self) -> list[tuple[int, list[Any]]]:
        """Client handles and field values of the next message; empty where it is a keep-alive."""
        response = await asyncio.wait_for(self.send(ua.PublishRequest(), ua.PublishResponse), 60)
        data = response.Parameters.NotificationMessage.NotificationData
        found = [one for part in data for one in part.Events]
        return [(one.ClientHandle, [field.Value for field in one.EventFields]) for one in found]

    async def some(self) -> list[tuple[int, list[Any]]]:
        """The next events, passing over keep-alives."""
        for _ in range(5):
            found = await self.events()
            if found:
                return found
        return []


@pytest_asyncio.fixture(loop_scope="session")
async def listener(client: Client) -> Listener:
    return await Listener(client).open()


def alarm(source: ua.NodeId = UNIT, **more: Any) -> Event:
    return Event(OFF_NORMAL, source, "silent", **({"severity": 700} | more))


@pytest.mark.parametrize("notifier", [UNIT, NORTH, ROOT, SERVER])
async def test_an_event_of_a_unit_is_seen_once_at_it_and_at_everything_above(hub, listener, notifier) -> None:
    result = await listener.listen(notifier, event_filter("SourceNode", "Severity"))
    assert result.StatusCode.is_good()
    assert result.RevisedSamplingInterval == 0.0
    hub.server.events.post(alarm())
    assert await listener.some() == [(1, [UNIT, 700])]
    assert await listener.events() == []


async def test_an_event_of_a_variable_is_seen_at_its_unit_and_not_at_a_neighbour(hub, listener) -> None:
    await listener.listen(UNIT, event_filter("SourceName"), handle=1)
    await listener.listen(OTHER, event_filter("SourceName"), handle=2)
    hub.server.events.post(alarm(ua.NodeId("m07.VoltageL1", 2)))
    assert await listener.some() == [(1, ["Voltage L1"])]


async def test_several_items_of_one_subscription_get_it_once_each(hub, listener) -> None:
    await listener.listen(UNIT, event_filter("Severity"), handle=1)
    await listener.listen(SERVER, event_filter("Severity"), handle=2)
    hub.server.events.post(alarm())
    assert sorted(await listener.some()) == [(1, [700]), (2, [700])]


async def test_base_fields_are_complete_and_ids_are_unique(hub, listener) -> None:
    names = ("EventId", "EventType", "SourceNode", "SourceName", "Time", "ReceiveTime", "LocalTime", "Message")
    await listener.listen(SERVER, event_filter(*names))
    given = [hub.server.events.post(alarm()) for _ in range(20)]
    assert len(set(given)) == 20
    told = [fields for _, fields in await listener.some()]
    assert [fields[0] for fields in told] == given
    first = told[0]
    assert first[1:4] == [OFF_NORMAL, UNIT, "Meter 7"]
    assert first[4] == first[5]
    assert isinstance(first[6], ua.TimeZoneDataType)
    assert first[7].Text == "silent"


async def test_fields_come_by_paths_of_several_steps_and_missing_ones_are_null(hub, listener) -> None:
    condition = ua.NodeId("m07.Alarms.Silent", 2)
    wanted = event_filter(
        "AckedState/Id",
        "3:ConfigVersion",
        select("", CONDITION, ua.AttributeIds.NodeId),
        select("Severity", SYSTEM_EVENT),
        select("Severity", ALARM),
        select("Message", index_range="0:2"),
    )
    assert (await listener.listen(SERVER, wanted)).StatusCode.is_good()
    hub.server.events.post(alarm(fields={"AckedState/Id": True}, condition=condition))
    ((_, fields),) = await listener.some()
    assert fields[:5] == [True, None, condition, None, 700]


async def test_values_travel_in_the_type_that_the_event_type_declares(hub, listener) -> None:
    await listener.listen(SERVER, event_filter("3:Added", "3:ConfigVersion", "EventType"))
    hub.server.events.configuration_changed("v7", added=3, removed=2, changed=1)
    response = await listener.send(ua.PublishRequest(), ua.PublishResponse)
    (event,) = response.Parameters.NotificationMessage.NotificationData[0].Events
    assert [field.VariantType for field in event.EventFields] == [
        ua.VariantType.UInt32,
        ua.VariantType.String,
        ua.VariantType.NodeId,
    ]
    assert [field.Value for field in event.EventFields] == [3, "v7", ua.NodeId(4005, 3)]


async def test_of_type_takes_subtypes_of_both_namespaces_and_nothing_else(hub, listener) -> None:
    await listener.listen(SERVER, event_filter("EventType", where=of_type(ALARM)))
    for kind in (BASE, SYSTEM_EVENT, OFF_NORMAL, COMMUNICATION):
        hub.server.events.post(Event(kind, UNIT, "text"))
    assert [fields for _, fields in await listener.some()] == [[OFF_NORMAL], [COMMUNICATION]]


async def test_unknown_fields_and_types_are_told_clause_by_clause(listener) -> None:
    wanted = event_filter(
        "Severity",
        select("Severity", ua.NodeId(58)),
        select("NoSuchField"),
        select("AckedState"),
        select("EnabledState", attribute=ua.AttributeIds.DisplayName),
        ua.SimpleAttributeOperand(BASE, [ua.QualifiedName("")], 13),
        select("Message", index_range="3:1"),
    )
    result = await listener.listen(SERVER, wanted)
    assert result.StatusCode.is_good()
    assert [one.value for one in result.FilterResult.SelectClauseResults] == [
        _S.Good,
        _S.BadTypeDefinitionInvalid,
        _S.BadNodeIdUnknown,
        _S.Good,
        _S.BadAttributeIdInvalid,
        _S.BadBrowseNameInvalid,
        _S.BadIndexRangeInvalid,
    ]


async def test_a_filter_without_one_good_clause_is_refused_with_the_reasons(listener) -> None:
    result = await listener.listen(SERVER, event_filter("NoSuchField"))
    assert result.StatusCode.value == _S.BadEventFilterInvalid
    assert [one.value for one in result.FilterResult.SelectClauseResults] == [_S.BadNodeIdUnknown]
    for wanted, code in (
        (ua.EventFilter(), _S.BadEventFilterInvalid),
        (event_filter(*["Severity"] * 101), _S.BadEventFilterInvalid),
        (ua.DataChangeFilter(), _S.BadFilterNotAllowed),
        (None, _S.BadEventFilterInvalid),
    ):
        assert (await listener.listen(SERVER, wanted)).StatusCode.value == code


async def test_how_many_clauses_are_taken_is_published(client) -> None:
    names = ("MaxSelectClauseParameters", "MaxWhereClauseParameters")
    ids = [getattr(ua.ObjectIds, f"Server_ServerCapabilities_{name}") for name in names]
    assert [await client.get_node(ua.NodeId(one)).read_value() for one in ids] == [MOST_CLAUSES] * 2


async def test_a_wrong_where_clause_is_refused_with_the_operand_that_is_wrong(listener) -> None:
    result = await listener.listen(SERVER, event_filter("Severity", where=of_type(ua.NodeId(58))))
    assert result.StatusCode.value == _S.BadEventFilterInvalid
    (told,) = result.FilterResult.WhereClauseResult.ElementResults
    assert told.StatusCode.value == _S.BadFilterOperandInvalid
    assert [one.value for one in told.OperandStatusCodes] == [_S.BadTypeDefinitionInvalid]


@pytest.mark.parametrize(
    ("node", "code"),
    [
        (ua.NodeId("nowhere", 2), _S.BadNodeIdUnknown),
        (ua.NodeId("m07.ActivePower", 2), _S.BadAttributeIdInvalid),
        (ua.NodeId("by-line", 2), _S.BadNotSupported),
    ],
)
async def test_nodes_without_events_are_refused(listener, node: ua.NodeId, code: int) -> None:
    assert (await listener.listen(node, event_filter("Severity"))).StatusCode.value == code


@pytest.mark.parametrize(
    ("discard_oldest", "expected"), [(True, [None, *range(11, 21)]), (False, [*range(1, 10), 20, None])]
)
async def test_an_overflow_is_told_at_the_end_where_events_were_lost(hub, listener, discard_oldest, expected) -> None:
    wanted = event_filter("Severity", "EventType", where=of_type(ALARM))
    made = await listener.listen(UNIT, wanted, discard_oldest=discard_oldest, queue=10)
    assert made.RevisedQueueSize == 10
    for severity in range(1, 21):
        hub.server.events.post(alarm(severity=severity))
    told = [fields for _, fields in await listener.some()]
    assert [None if kind == OVERFLOW else severity for severity, kind in told] == expected


@pytest.mark.parametrize(("asked", "revised"), [(0, 1_000), (1, 10), (50, 50), (0xFFFF_FFFF, 1_000)])
async def test_queues_are_revised_into_their_bounds(listener, asked: int, revised: int) -> None:
    assert (await listener.listen(SERVER, event_filter("Severity"), queue=asked)).RevisedQueueSize == revised


async def test_items_can_be_changed_disabled_and_deleted(hub, listener) -> None:
    made = await listener.listen(UNIT, event_filter("Severity"))
    change = ua.ModifyMonitoredItemsRequest()
    parameters = ua.MonitoringParameters(9, 0.0)
    parameters.Filter, parameters.QueueSize = event_filter("SourceName"), 50
    change.Parameters.SubscriptionId = listener.id
    change.Parameters.ItemsToModify = [ua.MonitoredItemModifyRequest(made.MonitoredItemId, parameters)]
    (modified,) = (await listener.send(change, ua.ModifyMonitoredItemsResponse)).Results
    assert (modified.StatusCode.value, modified.RevisedQueueSize) == (_S.Good, 50)
    hub.server.events.post(alarm())
    assert await listener.some() == [(9, ["Meter 7"])]
    mode = ua.SetMonitoringModeRequest()
    mode.Parameters.SubscriptionId, mode.Parameters.MonitoredItemIds = listener.id, [made.MonitoredItemId]
    mode.Parameters.MonitoringMode = ua.MonitoringMode.Disabled
    await listener.send(mode, ua.SetMonitoringModeResponse)
    hub.server.events.post(alarm())
    assert await listener.events() == []
    delete = ua.DeleteMonitoredItemsRequest()
    delete.Parameters.SubscriptionId, delete.Parameters.MonitoredItemIds = listener.id, [made.MonitoredItemId]
    (gone,) = (await listener.send(delete, ua.DeleteMonitoredItemsResponse)).Results
    (unknown,) = (await listener.send(delete, ua.DeleteMonitoredItemsResponse)).Results
    assert (gone.value, unknown.value) == (_S.Good, _S.BadMonitoredItemIdInvalid)


async def test_a_data_item_that_triggers_an_event_item_brings_its_events(hub, listener) -> None:
    held = await listener.listen(UNIT, event_filter("Severity"), mode=ua.MonitoringMode.Sampling)
    create = ua.CreateMonitoredItemsRequest()
    create.Parameters.SubscriptionId = listener.id
    item = ua.ReadValueId(ua.NodeId("m07.ActivePower", 2), ua.AttributeIds.Value)
    parameters = ua.MonitoringParameters(4, 0.0)
    create.Parameters.ItemsToCreate = [ua.MonitoredItemCreateRequest(item, ua.MonitoringMode.Sampling, parameters)]
    (source,) = (await listener.send(create, ua.CreateMonitoredItemsResponse)).Results
    link = ua.SetTriggeringRequest()
    link.Parameters.SubscriptionId, link.Parameters.TriggeringItemId = listener.id, source.MonitoredItemId
    link.Parameters.LinksToAdd = [held.MonitoredItemId]
    linked = await listener.send(link, ua.SetTriggeringResponse)
    assert [one.value for one in linked.Parameters.AddResults] == [_S.Good]
    hub.server.events.post(alarm())
    hub.read("m07.ActivePower", 77.0)
    assert await listener.some() == [(1, [700])]


async def test_messages_come_in_the_language_of_the_session(hub) -> None:
    texts = {}
    for locale in LOCALES:
        client = hub.client()
        client.set_locale([locale])
        async with client:
            listener = await Listener(client).open()
            await listener.listen(SERVER, event_filter("Message"))
            hub.server.events.configuration_changed("v8", added=5, removed=0, changed=0)
            ((_, (message,)),) = await listener.some()
            assert message.Locale == locale
            texts[locale] = message.Text
    assert len(set(texts.values())) == len(LOCALES)
    assert all("v8" in text and "5" in text for text in texts.values())


async def test_every_message_is_there_in_every_language_with_the_same_values() -> None:
    for key, names in Messages().texts.items():
        assert all(text.strip() for text in names), key
        assert len({tuple(sorted(part.split("}")[0] for part in text.split("{")[1:])) for text in names}) == 1, key


async def test_a_model_change_raises_node_versions_and_is_told_once(hub, client, listener) -> None:
    version = client.get_node(ua.NodeId("north.NodeVersion", 2))
    before = int(await version.read_value())
    await listener.listen(SERVER, event_filter("Changes", "EventType", where=of_type(ua.NodeId(2132))))
    await hub.server.events.model_changed([Change("m99", Verb.NODE_ADDED), Change("north", Verb.REFERENCE_ADDED)])
    assert int(await version.read_value()) == before + 1
    ((_, (changes, kind)),) = await listener.some()
    assert kind == MODEL_CHANGE
    assert [(one.Affected.Identifier, one.Verb) for one in changes] == [("m99", 1), ("north", 4)]
    assert changes[1].AffectedType == ua.NodeId(1001, 3)


async def test_a_subscriber_to_a_node_version_hears_of_its_change(hub, client) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    class Handler:
        def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
            heard.put_nowait(value)

    subscription = await client.create_subscription(100, Handler())
    await subscription.subscribe_data_change(client.get_node(ua.NodeId("north.NodeVersion", 2)))
    before = int(await asyncio.wait_for(heard.get(), 60))
    await hub.server.events.model_changed([Change("north", Verb.REFERENCE_ADDED)])
    assert int(await asyncio.wait_for(heard.get(), 60)) == before + 1


async def test_thousands_of_changes_are_told_by_their_parents(hub, listener) -> None:
    await listener.listen(SERVER, event_filter("Changes"))
    many = [Change(f"new{number}", Verb.NODE_ADDED) for number in range(1_500)]
    await hub.server.events.model_changed(many)
    ((_, (changes,)),) = await listener.some()
    assert [(one.Affected, one.Verb) for one in changes] == [(ROOT, 4)]


async def test_semantic_changes_name_the_variables(hub, listener) -> None:
    await listener.listen(SERVER, event_filter("Changes", "EventType"))
    await hub.server.events.semantics_changed(["m07.ActivePower"])
    ((_, (changes, kind)),) = await listener.some()
    assert kind == SEMANTIC_CHANGE
    assert [one.Affected.Identifier for one in changes] == ["m07.ActivePower"]
    assert changes[0].AffectedType == ua.NodeId(2001, 3)


async def test_events_wait_while_a_client_is_away_and_follow_its_subscription(hub) -> None:
    first, second = hub.client(), hub.client()
    await first.connect()
    left = await Listener(first).open()
    await left.listen(UNIT, event_filter("Severity"))
    request = ua.CloseSessionRequest()
    request.DeleteSubscriptions = False
    await left.send(request, ua.CloseSessionResponse)
    hub.server.events.post(alarm(severity=432))
    async with second:
        taken = Listener(second)
        taken.id = left.id
        transfer = ua.TransferSubscriptionsRequest()
        transfer.Parameters.SubscriptionIds = [left.id]
        (moved,) = (await taken.send(transfer, ua.TransferSubscriptionsResponse)).Parameters.Results
        assert moved.StatusCode.is_good()
        assert await taken.some() == [(1, [432])]
    first.disconnect_socket()


async def test_an_event_with_no_subscriber_costs_nothing_and_has_an_id(hub) -> None:
    assert len(await hub.server.events.emit(Event(BASE, UNIT, Message("plant-changed")))) == 16


async def test_a_difference_of_plants_becomes_changes_of_nodes_and_their_parents(hub) -> None:
    difference = PlantDiff(added=("m01",), removed=("m02",), moved=("m03",), changed=("m04",))
    changes = {one.uid: one.verb for one in changes_of(difference, hub.plant, hub.plant)}
    assert changes == {
        "m01": Verb.NODE_ADDED,
        "m02": Verb.NODE_DELETED,
        "m03": Verb.REFERENCE_ADDED | Verb.REFERENCE_DELETED,
        "north": Verb.REFERENCE_ADDED | Verb.REFERENCE_DELETED,
    }

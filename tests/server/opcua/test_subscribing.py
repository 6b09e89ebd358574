"""Subscriptions and monitored items over the wire (OPC 10000-4 5.13, 5.14)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from asyncua import Client, ua
from asyncua.ua.uaerrors import UaStatusCodeError

from tests.server.opcua.stream import Stream, deadband, parameters

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes


async def test_intervals_and_counts_are_revised_into_their_bounds(client) -> None:
    fast = (await Stream(client).create(interval=0, keep_alive=20, lifetime=1)).created
    slow = (await Stream(client).create(interval=1e9, keep_alive=0, lifetime=10**9)).created
    assert fast.RevisedPublishingInterval == 100.0
    assert fast.RevisedLifetimeCount >= 3 * fast.RevisedMaxKeepAliveCount
    assert slow.RevisedPublishingInterval == 3_600_000.0
    assert slow.RevisedMaxKeepAliveCount > 0


async def test_the_first_message_brings_present_values_and_later_ones_changes(hub, client, point) -> None:
    hub.read("m00.ActivePower", 10.0)
    stream = await Stream(client).create()
    (made,) = await stream.monitor(point)
    assert made.StatusCode.is_good()
    assert await stream.values() == [10.0]
    hub.read("m00.ActivePower", 11.0)
    assert await stream.values() == [11.0]


async def test_points_and_standard_nodes_live_in_one_subscription(hub, client, point) -> None:
    stream = await Stream(client).create(keep_alive=100)
    clock = ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime)
    made = await stream.monitor(point, clock)
    assert all(one.StatusCode.is_good() for one in made)
    assert len({one.MonitoredItemId for one in made}) == 2
    message = (await stream.publish()).NotificationMessage
    assert {one.ClientHandle for one in message.NotificationData[0].MonitoredItems} == {1, 2}
    message = (await stream.publish()).NotificationMessage
    assert [one.ClientHandle for one in message.NotificationData[0].MonitoredItems] == [2]


async def test_a_quiet_subscription_keeps_alive_with_the_next_sequence_number(client) -> None:
    stream = await Stream(client).create(keep_alive=2)
    first = await stream.publish()
    second = await stream.publish()
    for one in (first, second):
        assert not one.NotificationMessage.NotificationData
        assert one.NotificationMessage.SequenceNumber == 1
        assert list(one.AvailableSequenceNumbers) == []


async def test_messages_are_cut_at_the_most_notifications_and_more_is_told(client) -> None:
    stream = await Stream(client).create(most=4)
    await stream.monitor(*[ua.NodeId(f"m{number:02d}.ActivePower", 2) for number in range(10)])
    sizes, more = [], []
    for _ in range(3):
        result = await stream.publish()
        sizes.append(len(result.NotificationMessage.NotificationData[0].MonitoredItems))
        more.append(result.MoreNotifications)
    assert (sizes, more) == ([4, 4, 2], [True, True, False])


async def test_unacknowledged_messages_can_be_had_again_until_they_are_acknowledged(hub, client, point) -> None:
    stream = await Stream(client).create()
    await stream.monitor(point)
    sent = await stream.publish()
    number = sent.NotificationMessage.SequenceNumber
    assert list(sent.AvailableSequenceNumbers) == [number]
    request = ua.RepublishRequest()
    request.Parameters.SubscriptionId, request.Parameters.RetransmitSequenceNumber = stream.id, number
    for _ in range(2):
        again = await stream.send(request, ua.RepublishResponse)
        assert again.NotificationMessage == sent.NotificationMessage
    acknowledged = await stream.publish((stream.id, number), (stream.id, 999), (12345, 1))
    assert [one.value for one in acknowledged.Results] == [
        _STATUS.Good,
        _STATUS.BadSequenceNumberUnknown,
        _STATUS.BadSubscriptionIdInvalid,
    ]
    with pytest.raises(UaStatusCodeError) as gone:
        await stream.send(request, ua.RepublishResponse)
    assert gone.value.code == _STATUS.BadMessageNotAvailable


async def test_sampling_is_revised_to_the_poll_period_and_queues_into_their_bounds(hub, client) -> None:
    stream = await Stream(client).create()
    power, voltage = ua.NodeId("m00.ActivePower", 2), ua.NodeId("m00.VoltageL1", 2)
    fast = await stream.monitor(power, voltage, sampling=10.0, queue=0)
    slow = await stream.monitor(power, sampling=30_000.0, queue=10**6)
    assert [one.RevisedSamplingInterval for one in (*fast, *slow)] == [1_000.0, 10_000.0, 30_000.0]
    assert [one.RevisedQueueSize for one in (*fast, *slow)] == [1, 1, hub.options.limits.item_queue]


async def test_an_absolute_deadband_compares_with_the_last_report(hub, client, point) -> None:
    hub.read("m00.ActivePower", 0.0)
    stream = await Stream(client).create()
    await stream.monitor(point, queue=50, filter=deadband(ua.DeadbandType.Absolute, 2.5))
    for step in range(1, 14):
        hub.read("m00.ActivePower", float(step))
    assert await stream.values() == [0.0, 3.0, 6.0, 9.0, 12.0]


async def test_a_percent_deadband_is_taken_of_the_range(hub, client, point) -> None:
    hub.read("m00.ActivePower", 0.0)
    stream = await Stream(client).create()
    # EURange is 0 to 200, so 5 % are 10
    await stream.monitor(point, queue=50, filter=deadband(ua.DeadbandType.Percent, 5.0))
    for value in (9.0, 11.0, 20.0, 22.0):
        hub.read("m00.ActivePower", value)
    assert await stream.values() == [0.0, 11.0, 22.0]


@pytest.mark.parametrize(
    ("node", "kind", "value", "code"),
    [
        ("m00.ActivePower", ua.DeadbandType.Percent, 101.0, _STATUS.BadDeadbandFilterInvalid),
        ("m00.ActivePower", ua.DeadbandType.Absolute, -1.0, _STATUS.BadDeadbandFilterInvalid),
        ("m00.Quality", ua.DeadbandType.Percent, 5.0, _STATUS.BadMonitoredItemFilterUnsupported),
        ("m00.Communication.Online", ua.DeadbandType.Absolute, 1.0, _STATUS.BadFilterNotAllowed),
        ("m00.Communication.LastError", ua.DeadbandType.Absolute, 1.0, _STATUS.BadFilterNotAllowed),
    ],
)
async def test_deadbands_that_make_no_sense_are_refused(client, node: str, kind: int, value: float, code: int) -> None:
    stream = await Stream(client).create()
    (made,) = await stream.monitor(ua.NodeId(node, 2), filter=deadband(kind, value))
    assert made.StatusCode.value == code


async def test_an_event_filter_on_a_value_and_unknown_nodes_are_refused(client, point) -> None:
    stream = await Stream(client).create()
    (filtered,) = await stream.monitor(point, filter=ua.EventFilter())
    (unknown,) = await stream.monitor(ua.NodeId("m00.Nothing", 2))
    assert filtered.StatusCode.value == _STATUS.BadMonitoredItemFilterUnsupported
    assert unknown.StatusCode.value == _STATUS.BadNodeIdUnknown


async def test_changing_a_subscription_really_changes_it(client) -> None:
    stream = await Stream(client).create(interval=600_000)
    request = ua.ModifySubscriptionRequest()
    request.Parameters = ua.ModifySubscriptionParameters(stream.id, 100, 30, 10, 7, 0)
    revised = (await stream.send(request, ua.ModifySubscriptionResponse)).Parameters
    assert (revised.RevisedPublishingInterval, revised.RevisedMaxKeepAliveCount) == (100.0, 10)
    await stream.publish()


async def test_changing_items_applies_to_points_and_nodes_and_an_unknown_item_is_told(hub, client, point) -> None:
    hub.read("m00.ActivePower", 1.0)
    stream = await Stream(client).create()
    made = await stream.monitor(point, ua.NodeId(ua.ObjectIds.Server_ServiceLevel))
    await stream.values()
    request = ua.ModifyMonitoredItemsRequest()
    request.Parameters.SubscriptionId = stream.id
    request.Parameters.ItemsToModify = [
        ua.MonitoredItemModifyRequest(item, parameters(70 + place, {"queue": 3, "sampling": 60_000.0}))
        for place, item in enumerate([*(one.MonitoredItemId for one in made), 424242])
    ]
    results = (await stream.send(request, ua.ModifyMonitoredItemsResponse)).Results
    assert [one.StatusCode.value for one in results] == [_STATUS.Good, _STATUS.Good, _STATUS.BadMonitoredItemIdInvalid]
    assert [one.RevisedQueueSize for one in results[:2]] == [3, 3]
    assert results[0].RevisedSamplingInterval == 60_000.0


async def _mode(stream: Stream, mode: int, *items: int) -> list[int]:
    request = ua.SetMonitoringModeRequest()
    request.Parameters = ua.SetMonitoringModeParameters(stream.id, mode, list(items))
    return [one.value for one in (await stream.send(request, ua.SetMonitoringModeResponse)).Parameters.Results]


async def test_a_disabled_item_is_silent_until_it_reports_again(hub, client, point) -> None:
    stream = await Stream(client).create(keep_alive=1)
    level = ua.NodeId(ua.ObjectIds.Server_ServiceLevel)
    made = [one.MonitoredItemId for one in await stream.monitor(point, level)]
    await stream.values()
    assert await _mode(stream, ua.MonitoringMode.Disabled, *made, 99) == [0, 0, _STATUS.BadMonitoredItemIdInvalid]
    hub.read("m00.ActivePower", 77.0)
    assert not (await stream.publish()).NotificationMessage.NotificationData
    await _mode(stream, ua.MonitoringMode.Reporting, *made)
    assert sorted(await stream.values()) == [77.0, 255]


async def test_publishing_switched_off_leaves_only_keep_alives(hub, client, point) -> None:
    stream = await Stream(client).create(keep_alive=1)
    await stream.monitor(point)
    request = ua.SetPublishingModeRequest()
    request.Parameters = ua.SetPublishingModeParameters(False, [stream.id, 999_999])
    results = (await stream.send(request, ua.SetPublishingModeResponse)).Parameters.Results
    assert [one.value for one in results] == [_STATUS.Good, _STATUS.BadSubscriptionIdInvalid]
    assert not (await stream.publish()).NotificationMessage.NotificationData
    request.Parameters.PublishingEnabled = True
    await stream.send(request, ua.SetPublishingModeResponse)
    assert len(await stream.values()) == 1


async def test_publishing_without_a_subscription_is_a_fault(client) -> None:
    with pytest.raises(UaStatusCodeError) as refused:
        await Stream(client).publish()
    assert refused.value.code == _STATUS.BadNoSubscription


async def test_too_many_waiting_publish_requests_push_out_the_oldest(client) -> None:
    stream = await Stream(client).create(interval=60_000)
    waiting = [asyncio.ensure_future(stream.publish()) for _ in range(13)]
    done, pending = await asyncio.wait(waiting, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    codes = {one.exception().code for one in done}  # type: ignore[union-attr]
    assert codes == {_STATUS.BadTooManyPublishRequests}
    await stream.send(_delete(stream.id), ua.DeleteSubscriptionsResponse)
    await asyncio.wait(pending, timeout=60)
    assert {one.exception().code for one in pending if one.exception()} <= {  # type: ignore[union-attr]
        _STATUS.BadNoSubscription,
        _STATUS.BadTooManyPublishRequests,
    }


def _delete(subscription: int) -> Any:
    request = ua.DeleteSubscriptionsRequest()
    request.Parameters.SubscriptionIds = [subscription]
    return request


async def test_a_subscription_nobody_publishes_for_ends_after_its_lifetime(hub, client, point) -> None:
    stream = await Stream(client).create(interval=100, keep_alive=1, lifetime=3)
    await stream.monitor(point)
    service = hub.server._iserver.subscription_service
    before = {one.data.SubscriptionId: one.item_count for one in service.hub_subscriptions()}
    async with hub.client() as other:
        # another client's keep-alives pass the time
        pace = await Stream(other).create(keep_alive=1)
        for _ in range(30):
            await pace.publish()
            if stream.id not in service.subscriptions:
                break
        else:
            pytest.fail("the subscription lives on")
    # Subscriptions that earlier tests left behind may end as well; each takes exactly its own items with it.
    ended = before.keys() - service.subscriptions.keys()
    assert before[stream.id] == 1
    assert hub.server.item_count == sum(before.values()) - sum(before[one] for one in ended)
    assert not hub.server.projection.monitored[hub.handle("m00.ActivePower")]


async def test_another_session_can_neither_change_nor_delete_nor_read_a_subscription(hub, client, point) -> None:
    stream = await Stream(client).create()
    await stream.monitor(point)
    async with hub.client() as other:
        thief = Stream(other)
        thief.id = stream.id
        deleted = await thief.send(_delete(stream.id), ua.DeleteSubscriptionsResponse)
        assert [one.value for one in deleted.Results] == [_STATUS.BadSubscriptionIdInvalid]
        modify = ua.ModifySubscriptionRequest()
        modify.Parameters.SubscriptionId = stream.id
        for request, answer in ((modify, ua.ModifySubscriptionResponse), (ua.RepublishRequest(), ua.RepublishResponse)):
            request.Parameters.SubscriptionId = stream.id
            with pytest.raises(UaStatusCodeError) as refused:
                await thief.send(request, answer)
            assert refused.value.code == _STATUS.BadSubscriptionIdInvalid
        with pytest.raises(UaStatusCodeError):
            await thief.monitor(point)
    assert len(await stream.values()) == 1


async def _transfer(client: Client, subscription: int, *, initial: bool = False) -> Any:
    request = ua.TransferSubscriptionsRequest()
    request.Parameters = ua.TransferSubscriptionsParameters([subscription, 31_337], initial)
    return (await Stream(client).send(request, ua.TransferSubscriptionsResponse)).Parameters.Results


async def test_a_transferred_subscription_streams_to_its_new_session_and_tells_the_old_one(hub, client, point) -> None:
    hub.read("m00.ActivePower", 1.0)
    stream = await Stream(client).create()
    await stream.monitor(point, queue=10)
    assert await stream.values() == [1.0]
    waiting = asyncio.ensure_future(stream.publish())
    async with hub.client() as other:
        moved, unknown = await _transfer(other, stream.id)
        assert (moved.StatusCode.value, unknown.StatusCode.value) == (0, _STATUS.BadSubscriptionIdInvalid)
        assert list(moved.AvailableSequenceNumbers) == [1]
        farewell = (await waiting).NotificationMessage.NotificationData[0]
        assert farewell.Status.value == _STATUS.GoodSubscriptionTransferred
        hub.read("m00.ActivePower", 2.0)
        heir = Stream(other)
        heir.id = stream.id
        assert await heir.values() == [2.0]
        await _transfer(other, stream.id, initial=True)
        assert await heir.values() == [2.0]


async def test_a_subscription_survives_its_connection_and_loses_nothing_it_queued(hub, point) -> None:
    hub.read("m00.ActivePower", 1.0)
    first = hub.client()
    await first.connect()
    stream = await Stream(first).create(lifetime=600)
    await stream.monitor(point, queue=10)
    assert await stream.values() == [1.0]
    first.uaclient.protocol.transport.abort()
    await asyncio.sleep(0)
    for value in (2.0, 3.0, 4.0):
        hub.read("m00.ActivePower", value)
    async with hub.client() as second:
        (moved, _) = await _transfer(second, stream.id)
        assert moved.StatusCode.is_good()
        heir = Stream(second)
        assert await heir.values() == [2.0, 3.0, 4.0]
    with contextlib.suppress(OSError, ua.UaError, TimeoutError):
        await asyncio.wait_for(first.disconnect(), 2)


async def test_limits_on_items_are_enforced(hub, client, point) -> None:
    stream = await Stream(client).create()
    with pytest.raises(UaStatusCodeError) as none:
        await stream.monitor()
    assert none.value.code == _STATUS.BadNothingToDo
    with pytest.raises(UaStatusCodeError) as many:
        await stream.monitor(*[point] * (hub.options.limits.items_per_call + 1))
    assert many.value.code == _STATUS.BadTooManyOperations


async def test_the_stock_client_subscribes_and_unsubscribes(hub, client, point) -> None:
    class Handler:
        def __init__(self) -> None:
            self.seen: list[Any] = []
            self.came = asyncio.Event()

        def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
            self.seen.append(value)
            self.came.set()

    hub.read("m00.ActivePower", 5.0)
    handler = Handler()
    subscription = await client.create_subscription(100, handler)
    item = await subscription.subscribe_data_change(client.get_node(point))
    await asyncio.wait_for(handler.came.wait(), 60)
    assert handler.seen == [5.0]
    await subscription.unsubscribe(item)
    assert not hub.server.projection.monitored[hub.handle("m00.ActivePower")]
    await subscription.delete()

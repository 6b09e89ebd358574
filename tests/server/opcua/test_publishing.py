"""Publish: the order, what is not lost, what is told to whom, and what gives up (OPC 10000-4 5.14)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.uaerrors import UaStatusCodeError

from tests.server.opcua.stream import Stream

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes


def _points(first: int, last: int) -> list[ua.NodeId]:
    return [ua.NodeId(f"m{number:02d}.ActivePower", 2) for number in range(first, last)]


async def _beat(hub: Any, *streams: Stream) -> None:
    """Let every subscription have a cycle without anybody asking."""
    service = hub.server._iserver.subscription_service
    for stream in streams:
        service.subscriptions[stream.id].tick(hub.clock.monotonic_ns())


async def test_the_higher_priority_is_served_first(hub, client) -> None:
    low = await Stream(client).create(interval=60_000, priority=1)
    high = await Stream(client).create(interval=60_000, priority=200)
    await low.monitor(*_points(0, 3))
    await high.monitor(*_points(3, 6))
    await _beat(hub, low, high)
    assert [(await low.publish()).SubscriptionId for _ in range(2)] == [high.id, low.id]


async def test_subscriptions_of_one_priority_take_turns_though_one_has_more(hub, client) -> None:
    long = await Stream(client).create(interval=60_000, most=2)
    short = await Stream(client).create(interval=60_000)
    await long.monitor(*_points(0, 6))
    await short.monitor(*_points(6, 8))
    await _beat(hub, long)
    await _beat(hub, short)
    order = [(await long.publish()).SubscriptionId for _ in range(4)]
    assert order == [long.id, short.id, long.id, long.id]


async def test_a_waiting_publish_request_can_be_cancelled(client) -> None:
    stream = await Stream(client).create(interval=60_000)
    publish = ua.PublishRequest()
    waiting = asyncio.ensure_future(stream.send(publish, ua.PublishResponse))
    await asyncio.sleep(0)
    handle = publish.RequestHeader.RequestHandle
    for wanted, count in ((handle + 1_000, 0), (handle, 1), (handle, 0)):
        request = ua.CancelRequest()
        request.Parameters.RequestHandle = wanted
        answer = await stream.send(request, ua.CancelResponse)
        assert answer.Parameters.CancelCount == count
    with pytest.raises(UaStatusCodeError) as cancelled:
        await waiting
    assert cancelled.value.code == _STATUS.BadRequestCancelledByClient


async def test_the_end_of_a_lifetime_is_told_with_the_next_publish(hub, client, point) -> None:
    stream = await Stream(client).create(interval=60_000, keep_alive=1, lifetime=3)
    await stream.monitor(point)
    service = hub.server._iserver.subscription_service
    held = service.subscriptions[stream.id]
    for _ in range(held.pace.lifetime + 1):
        held.tick(hub.clock.monotonic_ns())
    service.expire(held)
    told = await stream.publish()
    assert told.SubscriptionId == stream.id
    assert told.NotificationMessage.NotificationData[0].Status.value == _STATUS.BadTimeout
    with pytest.raises(UaStatusCodeError) as none:
        await stream.publish()
    assert none.value.code == _STATUS.BadNoSubscription


async def _transfer(heir: Stream, subscription: int, *, initial: bool = False) -> Any:
    request = ua.TransferSubscriptionsRequest()
    request.Parameters = ua.TransferSubscriptionsParameters([subscription], initial)
    heir.id = subscription
    return (await heir.send(request, ua.TransferSubscriptionsResponse)).Parameters.Results[0]


async def test_a_session_that_did_not_wait_hears_of_the_transfer_with_its_next_publish(hub, client, point) -> None:
    stream = await Stream(client).create()
    await stream.monitor(point)
    await stream.values()
    async with hub.client() as other:
        await _transfer(Stream(other), stream.id)
        told = await stream.publish()
    assert told.NotificationMessage.NotificationData[0].Status.value == _STATUS.GoodSubscriptionTransferred
    assert told.NotificationMessage.SequenceNumber == 2


async def test_killing_the_connection_in_mid_stream_loses_nothing(hub) -> None:
    """What was sent and never arrived is republished, what was queued is published, each value once and in order."""
    hub.read("m00.ActivePower", 0.0)
    first = hub.client()
    await first.connect()
    stream = await Stream(first).create(lifetime=600)
    await stream.monitor(ua.NodeId("m00.ActivePower", 2), queue=50)
    assert await stream.values() == [0.0]
    lost = asyncio.ensure_future(stream.publish())
    await asyncio.sleep(0)
    await first.get_node(ua.NodeId(2258)).read_value()
    hub.read("m00.ActivePower", 1.0)
    hub.read("m00.ActivePower", 2.0)
    session = stream_session(hub, stream.id)
    assert session.publishes
    await _beat(hub, stream)
    # the answer is written into a connection that dies before it is read
    session.channel._transport.pause_reading()
    first.uaclient.protocol.transport.abort()
    hub.server._iserver.subscription_service.publisher.serve(session)
    assert not session.publishes
    for value in (3.0, 4.0):
        hub.read("m00.ActivePower", value)
    async with hub.client() as second:
        heir = Stream(second)
        moved = await _transfer(heir, stream.id)
        assert list(moved.AvailableSequenceNumbers) == [1, 2]
        request = ua.RepublishRequest()
        request.Parameters = ua.RepublishParameters(stream.id, 2)
        again = (await heir.send(request, ua.RepublishResponse)).NotificationMessage
        assert [one.Value.Value.Value for one in again.NotificationData[0].MonitoredItems] == [1.0, 2.0]
        assert await heir.values() == [3.0, 4.0]
        hub.read("m00.ActivePower", 5.0)
        assert await heir.values() == [5.0]
    lost.cancel()
    with contextlib.suppress(OSError, ua.UaError, TimeoutError, asyncio.CancelledError):
        await lost
    with contextlib.suppress(OSError, ua.UaError, TimeoutError):
        await asyncio.wait_for(first.disconnect(), 2)


def stream_session(hub: Any, subscription: int) -> Any:
    return hub.server._iserver.subscription_service.subscriptions[subscription].session


async def test_a_session_of_another_application_cannot_take_a_subscription(hub, client, point) -> None:
    stream = await Stream(client).create()
    await stream.monitor(point)
    stranger = hub.client()
    stranger.application_uri = "urn:somebody:else"
    await stranger.connect()
    try:
        refused = await _transfer(Stream(stranger), stream.id)
    finally:
        await stranger.disconnect()
    assert refused.StatusCode.value == _STATUS.BadUserAccessDenied
    assert len(await stream.values()) == 1


async def test_initial_values_come_for_points_and_nodes_alike(hub, client, point) -> None:
    hub.read("m00.ActivePower", 8.0)
    stream = await Stream(client).create()
    await stream.monitor(point, ua.NodeId(ua.ObjectIds.Server_ServiceLevel))
    assert len(await stream.values()) == 2
    async with hub.client() as other:
        heir = Stream(other)
        await _transfer(heir, stream.id, initial=True)
        assert sorted(await heir.values()) == [8.0, 255]


async def test_requests_wait_no_longer_than_their_client_wants(hub, client) -> None:
    stream = await Stream(client).create(interval=60_000)
    session = stream_session(hub, stream.id)
    with pytest.raises(TimeoutError):
        await client.uaclient.protocol.send_request(ua.PublishRequest(), timeout=0.05)
    hub.server._iserver.subscription_service.publisher.expire_requests(session)
    assert not session.publishes

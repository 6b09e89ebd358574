"""SetTriggering (OPC 10000-4 5.13.1.6, 5.13.5)."""

from __future__ import annotations

from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.uaerrors import UaStatusCodeError

from tests.server.opcua.stream import Stream, deadband

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes
_SAMPLING = ua.MonitoringMode.Sampling
_LEVEL = ua.NodeId(ua.ObjectIds.Server_ServiceLevel)


async def _link(stream: Stream, source: int, add: list[int] | None = None, remove: list[int] | None = None) -> Any:
    request = ua.SetTriggeringRequest()
    request.Parameters = ua.SetTriggeringParameters(stream.id, source, add or [], remove or [])
    result = (await stream.send(request, ua.SetTriggeringResponse)).Parameters
    return [one.value for one in result.AddResults], [one.value for one in result.RemoveResults]


async def _pair(client: Any, hub: Any, **linked: Any) -> tuple[Stream, int, int]:
    """A reporting item on m00 (handle 1) and a sampling one on m01, whose present values are out of the way."""
    hub.read("m00.ActivePower", 1.0)
    hub.read("m01.ActivePower", 10.0)
    stream = await Stream(client).create(keep_alive=1)
    (source,) = await stream.monitor(ua.NodeId("m00.ActivePower", 2))
    await stream.values()
    (item,) = await stream.monitor(ua.NodeId("m01.ActivePower", 2), mode=_SAMPLING, **linked)
    return stream, source.MonitoredItemId, item.MonitoredItemId


async def test_a_sampling_item_reports_when_the_linked_one_does_and_not_before(hub, client) -> None:
    stream, source, item = await _pair(client, hub)
    assert await _link(stream, source, [item]) == ([0], [])
    hub.read("m01.ActivePower", 11.0)
    assert not (await stream.publish()).NotificationMessage.NotificationData
    hub.read("m00.ActivePower", 2.0)
    assert sorted(await stream.values()) == [2.0, 11.0]
    hub.read("m00.ActivePower", 3.0)
    assert await stream.values() == [3.0]


async def test_a_triggered_queue_is_reported_whole(hub, client) -> None:
    stream, source, item = await _pair(client, hub, queue=10)
    await _link(stream, source, [item])
    for value in (11.0, 12.0, 13.0):
        hub.read("m01.ActivePower", value)
    hub.read("m00.ActivePower", 2.0)
    assert sorted(await stream.values()) == [2.0, 10.0, 11.0, 12.0, 13.0]
    hub.read("m01.ActivePower", 14.0)
    assert not (await stream.publish()).NotificationMessage.NotificationData


async def test_an_item_that_only_samples_triggers_every_time_its_own_filter_passes(hub, client) -> None:
    stream, source, item = await _pair(client, hub)
    await stream.mode(_SAMPLING, source)
    await _link(stream, source, [item])
    for value in (2.0, 3.0):
        hub.read("m01.ActivePower", 10.0 + value)
        hub.read("m00.ActivePower", value)
        assert await stream.values() == [10.0 + value]


async def test_a_trigger_with_a_deadband_triggers_beyond_it_only(hub, client) -> None:
    hub.read("m00.ActivePower", 1.0)
    stream = await Stream(client).create(keep_alive=1)
    (source,) = await stream.monitor(
        ua.NodeId("m00.ActivePower", 2), queue=5, filter=deadband(ua.DeadbandType.Absolute, 5.0)
    )
    await stream.values()
    (item,) = await stream.monitor(ua.NodeId("m01.ActivePower", 2), mode=_SAMPLING)
    await _link(stream, source.MonitoredItemId, [item.MonitoredItemId])
    hub.read("m01.ActivePower", 21.0)
    hub.read("m00.ActivePower", 4.0)
    assert not (await stream.publish()).NotificationMessage.NotificationData
    hub.read("m00.ActivePower", 9.0)
    assert sorted(await stream.values()) == [9.0, 21.0]


async def test_points_and_nodes_trigger_one_another(hub, client) -> None:
    await hub.server.set_service_level(255)
    stream, point, item = await _pair(client, hub)
    (level,) = await stream.monitor(_LEVEL, mode=_SAMPLING)
    await _link(stream, point, [level.MonitoredItemId])
    hub.read("m00.ActivePower", 5.0)
    assert sorted(await stream.values()) == [5.0, 255]
    await _link(stream, point, remove=[level.MonitoredItemId])
    await _link(stream, level.MonitoredItemId, [item])
    hub.read("m01.ActivePower", 99.0)
    await hub.server.set_service_level(201)
    assert await stream.values() == [99.0]
    await hub.server.set_service_level(255)


async def test_an_unlinked_or_deleted_item_is_triggered_no_more(hub, client) -> None:
    stream, source, item = await _pair(client, hub)
    await _link(stream, source, [item])
    assert await _link(stream, source, remove=[item, item]) == ([], [0, _STATUS.BadMonitoredItemIdInvalid])
    hub.read("m01.ActivePower", 12.0)
    hub.read("m00.ActivePower", 2.0)
    assert await stream.values() == [2.0]
    await _link(stream, source, [item])
    request = ua.DeleteMonitoredItemsRequest()
    request.Parameters = ua.DeleteMonitoredItemsParameters(stream.id, [item])
    await stream.send(request, ua.DeleteMonitoredItemsResponse)
    assert await _link(stream, source, remove=[item]) == ([], [_STATUS.BadMonitoredItemIdInvalid])


async def test_links_that_cannot_be_made_are_told_one_by_one_or_as_a_fault(hub, client) -> None:
    stream, source, item = await _pair(client, hub)
    assert await _link(stream, source, [item, 4711]) == ([0, _STATUS.BadMonitoredItemIdInvalid], [])
    most = hub.options.limits.items_per_call
    for add, origin, code in (
        ([], source, _STATUS.BadNothingToDo),
        ([item], 4711, _STATUS.BadMonitoredItemIdInvalid),
        ([item] * (most + 1), source, _STATUS.BadTooManyOperations),
    ):
        with pytest.raises(UaStatusCodeError) as refused:
            await _link(stream, origin, add)
        assert refused.value.code == code
    stream.id += 1
    with pytest.raises(UaStatusCodeError) as foreign:
        await _link(stream, source, [item])
    assert foreign.value.code == _STATUS.BadSubscriptionIdInvalid

"""A mode or trigger that does not exist is the fault of one item, not of its neighbours (OPC 10000-4 5.13)."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.uaerrors import UaStatusCodeError

from tests.server.opcua.stream import Stream, deadband, parameters

pytestmark = pytest.mark.asyncio(loop_scope="session")

_S = ua.StatusCodes


class Strange(IntEnum):
    """A number that is in no enumeration of the standard."""

    VALUE = 77


def item(node: ua.NodeId, handle: int, *, mode: Any = ua.MonitoringMode.Reporting, **given: Any) -> Any:
    return ua.MonitoredItemCreateRequest(ua.ReadValueId(node, ua.AttributeIds.Value), mode, parameters(handle, given))


async def create(stream: Stream, *items: Any, timestamps: Any = ua.TimestampsToReturn.Both) -> list[Any]:
    request = ua.CreateMonitoredItemsRequest()
    request.Parameters = ua.CreateMonitoredItemsParameters(stream.id, timestamps, list(items))
    return list((await stream.send(request, ua.CreateMonitoredItemsResponse)).Results)


def strange_trigger() -> Any:
    wanted = deadband(0, 0.0)
    wanted.Trigger = Strange.VALUE
    return wanted


async def test_a_mode_or_trigger_that_does_not_exist_refuses_its_item_alone(client, point) -> None:
    stream = await Stream(client).create()
    clock = ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime)
    results = await create(
        stream,
        item(point, 1),
        item(point, 2, mode=Strange.VALUE),
        item(point, 3, filter=strange_trigger()),
        item(clock, 4, mode=Strange.VALUE),
        item(clock, 5, filter=strange_trigger()),
        item(clock, 6),
    )
    assert [one.StatusCode.value for one in results] == [
        0,
        _S.BadMonitoringModeInvalid,
        _S.BadMonitoredItemFilterInvalid,
        _S.BadMonitoringModeInvalid,
        _S.BadMonitoredItemFilterInvalid,
        0,
    ]


async def test_a_trigger_that_does_not_exist_leaves_an_item_as_it_was(client, point) -> None:
    stream = await Stream(client).create()
    (made,) = await create(stream, item(point, 1))
    request = ua.ModifyMonitoredItemsRequest()
    request.Parameters.SubscriptionId = stream.id
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
    request.Parameters.ItemsToModify = [
        ua.MonitoredItemModifyRequest(made.MonitoredItemId, parameters(2, {"filter": strange_trigger()})),
        ua.MonitoredItemModifyRequest(made.MonitoredItemId, parameters(3, {})),
    ]
    answer = await stream.send(request, ua.ModifyMonitoredItemsResponse)
    assert [one.StatusCode.value for one in answer.Results] == [_S.BadMonitoredItemFilterInvalid, 0]


async def test_timestamps_that_do_not_exist_refuse_the_request(client, point) -> None:
    stream = await Stream(client).create()
    with pytest.raises(UaStatusCodeError) as refused:
        await create(stream, item(point, 1), timestamps=Strange.VALUE)
    assert refused.value.code == _S.BadTimestampsToReturnInvalid

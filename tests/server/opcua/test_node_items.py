"""Monitored items on nodes that are not points (OPC 10000-4 5.13)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua

from tests.server.opcua.stream import Stream, deadband, parameters

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes
_ARRAY = ua.NodeId(ua.ObjectIds.Server_NamespaceArray)
_PROBE = ua.NodeId(77_001, 1)
_RANGE = ua.NodeId(77_002, 1)
_OVERFLOW = 0x480
_UNSUPPORTED = _STATUS.BadMonitoredItemFilterUnsupported


@pytest_asyncio.fixture(loop_scope="session")
async def write(hub) -> AsyncIterator[Callable[..., Any]]:
    """A real analog variable of 0 to 200, and how it is written."""
    objects = hub.server._server.get_objects_node()
    folder = await objects.add_folder(ua.NodeId(77_000, 1), ua.QualifiedName("Probes", 1))
    probe = await folder.add_variable(_PROBE, ua.QualifiedName("Probe", 1), 0.0)
    await probe.add_property(_RANGE, ua.QualifiedName("EURange", 0), ua.Range(0.0, 200.0))

    async def written(value: Any, status: int = 0) -> None:
        variant = ua.Variant(value) if value is not None else ua.Variant()
        await hub.server.aspace.write_attribute_value(
            _PROBE, ua.AttributeIds.Value, ua.DataValue(variant, ua.StatusCode(status))
        )

    yield written
    for node in (_RANGE, _PROBE, ua.NodeId(77_000, 1)):
        del hub.server.aspace[node]
    held = hub.server.aspace[objects.nodeid]
    held.references = [one for one in held.references if one.NodeId != ua.NodeId(77_000, 1)]


async def test_a_percent_deadband_on_a_node_is_taken_of_its_range(client, write) -> None:
    stream = await Stream(client).create()
    (made,) = await stream.monitor(_PROBE, queue=20, filter=deadband(ua.DeadbandType.Percent, 5.0))
    assert made.StatusCode.is_good()
    for value in (9.0, 11.0, 20.0, 22.0):
        await write(value)
    assert await stream.values() == [0.0, 11.0, 22.0]


async def test_a_subscription_that_ends_leaves_no_logger_behind(client) -> None:
    before = len(logging.root.manager.loggerDict)
    for _ in range(5):
        stream = await Stream(client).create()
        await stream.monitor(_ARRAY)
        await client.uaclient.delete_subscriptions([stream.id])
    assert len(logging.root.manager.loggerDict) == before


async def test_an_absolute_deadband_on_a_node_compares_with_the_last_report(client, write) -> None:
    await write(0.0)
    stream = await Stream(client).create()
    await stream.monitor(_PROBE, queue=20, filter=deadband(ua.DeadbandType.Absolute, 2.5))
    for step in range(1, 8):
        await write(float(step))
    await write(6.1, _STATUS.UncertainLastUsableValue)
    assert await stream.values() == [0.0, 3.0, 6.0, 6.1]


@pytest.mark.parametrize(
    ("node", "kind", "value", "code"),
    [
        (_PROBE, ua.DeadbandType.Percent, 100.5, _STATUS.BadDeadbandFilterInvalid),
        (_PROBE, ua.DeadbandType.Percent, -0.5, _STATUS.BadDeadbandFilterInvalid),
        (_PROBE, ua.DeadbandType.Absolute, float("nan"), _STATUS.BadDeadbandFilterInvalid),
        (_PROBE, 7, 1.0, _STATUS.BadDeadbandFilterInvalid),
        (ua.NodeId(ua.ObjectIds.Server_ServiceLevel), ua.DeadbandType.Percent, 5.0, _UNSUPPORTED),
        (_ARRAY, ua.DeadbandType.Absolute, 1.0, _STATUS.BadFilterNotAllowed),
        (ua.NodeId(ua.ObjectIds.Server_Auditing), ua.DeadbandType.Absolute, 1.0, _STATUS.BadFilterNotAllowed),
    ],
)
async def test_deadbands_that_a_node_cannot_have_are_refused(client, write, node, kind: int, value, code: int) -> None:
    stream = await Stream(client).create()
    (made,) = await stream.monitor(node, filter=deadband(kind, value))
    assert made.StatusCode.value == code
    (plain,) = await stream.monitor(node)
    request = ua.ModifyMonitoredItemsRequest()
    request.Parameters.SubscriptionId = stream.id
    request.Parameters.ItemsToModify = [
        ua.MonitoredItemModifyRequest(plain.MonitoredItemId, parameters(1, {"filter": deadband(kind, value)}))
    ]
    (changed,) = (await stream.send(request, ua.ModifyMonitoredItemsResponse)).Results
    assert changed.StatusCode.value == code


async def test_a_filter_on_another_attribute_than_the_value_is_not_allowed(client, point) -> None:
    stream = await Stream(client).create()
    for node in (point, _ARRAY):
        (made,) = await stream.monitor(node, attribute=ua.AttributeIds.DisplayName, filter=deadband(0, 0.0))
        assert made.StatusCode.value == _STATUS.BadFilterNotAllowed


@pytest.mark.parametrize("node", [ua.NodeId("m00.ActivePower", 2), ua.NodeId("m00", 2), _ARRAY])
async def test_other_attributes_report_once(client, node) -> None:
    stream = await Stream(client).create(keep_alive=1)
    (made,) = await stream.monitor(node, attribute=ua.AttributeIds.BrowseName)
    assert made.StatusCode.is_good()
    ((_, value),) = await stream.notified()
    assert value.Value.VariantType == ua.VariantType.QualifiedName
    assert not (await stream.publish()).NotificationMessage.NotificationData


async def test_attributes_that_a_node_has_not_are_refused(client, point) -> None:
    stream = await Stream(client).create()
    for node, attribute in ((point, ua.AttributeIds.Executable), (_ARRAY, ua.AttributeIds.IsAbstract), (point, 99)):
        (made,) = await stream.monitor(node, attribute=attribute)
        assert made.StatusCode.value == _STATUS.BadAttributeIdInvalid


async def test_an_index_range_is_cut_out_of_what_is_reported(client) -> None:
    stream = await Stream(client).create()
    await stream.monitor(_ARRAY, part="2:3")
    ((_, value),) = await stream.notified()
    assert value.Value.Value == ["urn:joulehub:plant", "urn:joulehub:types"]


async def test_a_change_outside_the_index_range_is_no_change(client, write) -> None:
    await write([1.0, 2.0, 3.0])
    stream = await Stream(client).create(keep_alive=1)
    await stream.monitor(_PROBE, part="0:1")
    assert await stream.values() == [[1.0, 2.0]]
    await write([1.0, 2.0, 4.0])
    assert not (await stream.publish()).NotificationMessage.NotificationData
    await write([7.0])
    ((_, value),) = await stream.notified()
    assert value.Value.Value == [7.0]
    await write(0.0)


@pytest.mark.parametrize(
    ("node", "part", "code"),
    [
        ("m00.ActivePower", "0", _STATUS.BadIndexRangeNoData),
        ("m00.ActivePower", "3:1", _STATUS.BadIndexRangeInvalid),
        ("m00.ActivePower", "a", _STATUS.BadIndexRangeInvalid),
        ("m00.Communication.LastError", "0:3", _STATUS.Good),
    ],
)
async def test_index_ranges_on_points_that_cannot_be_are_refused(client, node: str, part: str, code: int) -> None:
    stream = await Stream(client).create()
    (made,) = await stream.monitor(ua.NodeId(node, 2), part=part)
    assert made.StatusCode.value == code


async def test_timestamps_are_reported_as_asked_and_a_kind_that_is_none_is_a_fault(client, point) -> None:
    for wanted, source, server in ((0, True, False), (1, False, True), (2, True, True), (3, False, False)):
        stream = await Stream(client).create()
        await stream.monitor(point, _ARRAY, stamps=ua.TimestampsToReturn(wanted))
        for _, value in await stream.notified():
            assert (value.SourceTimestamp is not None, value.ServerTimestamp is not None) == (source, server)
    with pytest.raises(ua.uaerrors.BadTimestampsToReturnInvalid):
        await stream.monitor(point, stamps=ua.TimestampsToReturn.Invalid)


async def test_sampling_is_by_exception_at_zero_and_the_publishing_interval_below(client, point) -> None:
    stream = await Stream(client).create(interval=1_500)
    for asked, on_node, on_point in ((0.0, 0.0, 1_000.0), (-1.0, 1_500.0, 1_500.0), (250.0, 250.0, 1_000.0)):
        level, power = await stream.monitor(ua.NodeId(ua.ObjectIds.Server_ServiceLevel), point, sampling=asked)
        assert (level.RevisedSamplingInterval, power.RevisedSamplingInterval) == (on_node, on_point)


async def test_changes_within_the_sampling_interval_come_as_one(client, write) -> None:
    await write(0.0)
    stream = await Stream(client).create()
    await stream.monitor(_PROBE, sampling=2_000.0, queue=10)
    for value in (1.0, 2.0, 3.0):
        await write(value)
    assert await stream.values() == [0.0]
    assert await stream.values() == [3.0]


@pytest.mark.parametrize(("oldest", "kept", "marked"), [(True, [3.0, 4.0], 0), (False, [0.0, 4.0], 1)])
async def test_a_full_queue_gives_way_at_the_end_asked_for_and_marks_it(client, write, oldest, kept, marked) -> None:
    await write(0.0)
    stream = await Stream(client).create()
    await stream.monitor(_PROBE, queue=2, oldest=oldest)
    for value in (1.0, 2.0, 3.0, 4.0):
        await write(value)
    found = [value for _, value in await stream.notified()]
    assert [value.Value.Value for value in found] == kept
    flags = [value.StatusCode.value if value.StatusCode else 0 for value in found]
    assert flags[marked] & _OVERFLOW == _OVERFLOW
    assert not flags[1 - marked] & _OVERFLOW


async def test_a_queue_of_one_holds_the_newest_without_a_mark(client, write) -> None:
    await write(0.0)
    stream = await Stream(client).create()
    await stream.monitor(_PROBE, queue=1, oldest=False)
    await write(1.0)
    await write(2.0)
    ((_, value),) = await stream.notified()
    assert value.Value.Value == 2.0
    assert value.StatusCode.is_good()
    assert not value.StatusCode.value & _OVERFLOW


async def test_modes_that_do_not_exist_are_refused(client, point) -> None:
    stream = await Stream(client).create()
    made = await stream.monitor(point, _ARRAY)
    with pytest.raises(ua.uaerrors.BadMonitoringModeInvalid):
        await stream.mode(9, *(one.MonitoredItemId for one in made))


async def test_a_sampling_node_keeps_quiet_and_reports_its_queue_when_switched(client, write) -> None:
    await write(0.0)
    stream = await Stream(client).create(keep_alive=1)
    (made,) = await stream.monitor(_PROBE, queue=5, mode=ua.MonitoringMode.Sampling)
    await write(1.0)
    assert not (await stream.publish()).NotificationMessage.NotificationData
    await stream.mode(ua.MonitoringMode.Reporting, made.MonitoredItemId)
    assert await stream.values() == [0.0, 1.0]

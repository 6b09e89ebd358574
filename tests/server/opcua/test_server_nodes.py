"""The nodes under Server, the self-check, and the life of the server."""

from __future__ import annotations

import asyncio
import time

import pytest
from asyncua import ua

from server.opcua import Limits
from server.opcua.errors import SeamMoved
from server.opcua.selfcheck import SEAMS, Seam, check
from server.opcua.server_nodes import below, refresh
from tests.server.opcua.stream import Stream

_SERVER = ua.NodeId(ua.ObjectIds.Server)
QUICK_S = 20.0
"""A stop that waited for a client would take a minute: as long as a publishing interval, or a session."""


@pytest.mark.asyncio(loop_scope="session")
class TestNodes:
    async def test_no_variable_below_server_is_null(self, hub, client) -> None:
        nodes = [node for node in below(hub.server.aspace, _SERVER) if _is_variable(hub, node)]
        assert len(nodes) > 60
        params = ua.ReadParameters(0, ua.TimestampsToReturn.Both, [])
        params.NodesToRead = [ua.ReadValueId(node, ua.AttributeIds.Value) for node in nodes]
        values = await client.uaclient.read(params)
        null = [
            node.Identifier
            for node, value in zip(nodes, values, strict=True)
            if value.Value.VariantType == ua.VariantType.Null or not value.StatusCode.is_good()
        ]
        assert null == []

    async def test_status_runs_and_its_clock_moves(self, hub, client) -> None:
        status = await client.get_node(ua.NodeId(ua.ObjectIds.Server_ServerStatus)).read_value()
        assert status.State == ua.ServerState.Running
        assert status.BuildInfo.ProductName == "JouleHub"
        ticks = _Ticks()
        subscription = await client.create_subscription(100, ticks)
        await subscription.subscribe_data_change(
            client.get_node(ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime))
        )
        await asyncio.wait_for(ticks.moved.wait(), 60)
        await subscription.delete()

    async def test_diagnostics_count_what_there_is(self, hub, client) -> None:
        before = hub.server.session_count
        async with hub.client() as other:
            assert hub.server.session_count == before + 1
            subscription = await other.create_subscription(500, _Silent())
            assert hub.server.subscription_count >= 1
            summary = client.get_node(ua.NodeId(ua.ObjectIds.Server_ServerDiagnostics_ServerDiagnosticsSummary))
            await refresh(hub.server._iserver, hub.clock.now_ns())
            told = await summary.read_value()
            assert told.CurrentSessionCount == before + 1
            assert told.CurrentSubscriptionCount == hub.server.subscription_count
            await subscription.delete()

    async def test_the_service_level_is_told(self, hub, client) -> None:
        node = client.get_node(ua.NodeId(ua.ObjectIds.Server_ServiceLevel))
        await hub.server.set_service_level(180)
        assert await node.read_value() == 180
        await hub.server.set_service_level(999)
        assert await node.read_value() == 255

    async def test_namespaces_stand_in_their_order_with_their_metadata(self, client, hub) -> None:
        assert await client.get_namespace_array() == [
            "http://opcfoundation.org/UA/",
            hub.options.application_uri,
            "urn:joulehub:plant",
            "urn:joulehub:types",
        ]
        children = await client.get_node(ua.NodeId(ua.ObjectIds.Server_Namespaces)).get_children()
        names = {(await child.read_browse_name()).Name for child in children}
        assert {"urn:joulehub:plant", "urn:joulehub:types"} <= names

    async def test_a_change_of_the_counts_is_told_to_who_monitors_them(self, hub, client) -> None:
        stream = await Stream(client).create()
        count = ua.ObjectIds.Server_ServerDiagnostics_ServerDiagnosticsSummary_CurrentSessionCount
        await stream.monitor(ua.NodeId(count))
        await refresh(hub.server._iserver, hub.clock.now_ns())
        (before,) = await stream.values()
        async with hub.client():
            await refresh(hub.server._iserver, hub.clock.now_ns())
            assert (await stream.values())[-1] == before + 1
        await refresh(hub.server._iserver, hub.clock.now_ns())

    async def test_refusals_are_counted(self, hub, client) -> None:
        rejections = hub.server._iserver.rejections
        before = rejections.requests
        with pytest.raises(ua.UaStatusCodeError):
            await client.uaclient.browse(ua.BrowseParameters())
        assert rejections.requests == before + 1
        assert rejections.security <= rejections.requests

    async def test_diagnostics_of_subscriptions_are_true_when_read(self, hub, client, point) -> None:
        stream = await Stream(client).create(interval=200, keep_alive=7, priority=9)
        (made, _) = await stream.monitor(point, ua.NodeId(ua.ObjectIds.Server_ServiceLevel))
        await stream.mode(ua.MonitoringMode.Disabled, made.MonitoredItemId)
        await stream.publish()
        array = client.get_node(ua.NodeId(ua.ObjectIds.Server_ServerDiagnostics_SubscriptionDiagnosticsArray))
        (told,) = [one for one in await array.read_value() if one.SubscriptionId == stream.id]
        assert (told.PublishingInterval, told.MaxKeepAliveCount, told.Priority) == (200.0, 7, 9)
        assert (told.MonitoredItemCount, told.DisabledMonitoredItemCount) == (2, 1)
        assert (told.PublishRequestCount, told.NotificationsCount, told.UnacknowledgedMessageCount) == (1, 1, 1)
        assert told.NextSequenceNumber == 2
        assert told.SessionId == hub.server._iserver.sessions()[-1].session_id

    async def test_what_is_not_kept_is_not_there(self, client) -> None:
        diagnostics = client.get_node(ua.NodeId(ua.ObjectIds.Server_ServerDiagnostics))
        names = {(await child.read_browse_name()).Name for child in await diagnostics.get_children()}
        # Part 5 6.3.3: these are mandatory, also where they stay empty
        mandatory = {
            "ServerDiagnosticsSummary",
            "SubscriptionDiagnosticsArray",
            "SessionsDiagnosticsSummary",
            "EnabledFlag",
        }
        assert names == mandatory

    async def test_published_limits_are_those_enforced(self, hub, client) -> None:
        limits = hub.options.limits
        operation = "Server_ServerCapabilities_OperationLimits_"
        for name, value in (
            (operation + "MaxNodesPerRead", limits.nodes_per_read),
            (operation + "MaxNodesPerWrite", limits.nodes_per_write),
            (operation + "MaxNodesPerBrowse", limits.nodes_per_browse),
            (operation + "MaxNodesPerMethodCall", limits.nodes_per_call),
            (operation + "MaxMonitoredItemsPerCall", limits.items_per_call),
            (operation + "MaxNodesPerRegisterNodes", limits.nodes_per_register),
            (operation + "MaxNodesPerTranslateBrowsePathsToNodeIds", limits.nodes_per_translate),
            ("Server_ServerCapabilities_MaxBrowseContinuationPoints", limits.browse_points),
            ("Server_ServerCapabilities_MaxSubscriptionsPerSession", limits.subscriptions_per_session),
            ("Server_ServerCapabilities_MaxMonitoredItemsQueueSize", limits.item_queue),
        ):
            assert await client.get_node(ua.NodeId(getattr(ua.ObjectIds, name))).read_value() == value
        support = client.get_node(ua.NodeId(ua.ObjectIds.Server_ServerRedundancy_RedundancySupport))
        assert await support.read_value() == ua.RedundancySupport.None_

    async def test_limits_on_subscriptions_and_items_are_enforced(self, make_hub, point) -> None:
        hub = make_hub(Limits(subscriptions_per_session=2, items_per_subscription=3))
        await hub.server.start()
        try:
            async with hub.client() as client:
                stream = await Stream(client).create()
                made = await stream.monitor(*[point] * 2, *[ua.NodeId(ua.ObjectIds.Server_ServiceLevel)] * 2)
                codes = [one.StatusCode.value for one in made]
                assert codes == [0, 0, 0, ua.StatusCodes.BadTooManyMonitoredItems]
                await Stream(client).create()
                with pytest.raises(ua.uaerrors.BadTooManySubscriptions):
                    await Stream(client).create()
        finally:
            await hub.server.stop()

    async def test_a_planned_stop_is_published_to_who_waits_for_it(self, make_hub) -> None:
        hub = make_hub()
        await hub.server.start()
        client = hub.client()
        await client.connect()
        stream = await Stream(client).create(interval=60_000)
        names = ("ServerStatus_State", "ServerStatus_ShutdownReason", "ServerStatus", "ServiceLevel")
        await stream.monitor(*[ua.NodeId(getattr(ua.ObjectIds, f"Server_{name}")) for name in names])
        waiting = asyncio.ensure_future(stream.publish())
        await client.get_node(ua.NodeId(2258)).read_value()
        begun = time.monotonic()
        await hub.server.stop("maintenance")
        assert time.monotonic() - begun < QUICK_S
        (data,) = (await waiting).NotificationMessage.NotificationData
        told = {one.ClientHandle: one.Value.Value.Value for one in data.MonitoredItems}
        assert told[1] == ua.ServerState.Shutdown
        assert told[2].Text == "maintenance"
        assert (told[3].State, told[3].ShutdownReason.Text) == (ua.ServerState.Shutdown, "maintenance")
        assert told[4] == 0
        client.disconnect_socket()

    async def test_stopping_is_quick_and_tells_clients(self, make_hub) -> None:
        hub = make_hub()
        await hub.server.start()
        client = hub.client()
        await client.connect()
        begun = time.monotonic()
        await hub.server.stop()
        assert time.monotonic() - begun < QUICK_S
        assert hub.server.session_count == 0
        client.disconnect_socket()
        await hub.server.stop()


class _Ticks:
    def __init__(self) -> None:
        self.seen: set[object] = set()
        self.moved = asyncio.Event()

    def datachange_notification(self, _: object, value: object, __: object) -> None:
        self.seen.add(value)
        if len(self.seen) > 1:
            self.moved.set()


class _Silent:
    def datachange_notification(self, *_: object) -> None:
        """Nothing to do."""


def _is_variable(hub: object, node: ua.NodeId) -> bool:
    value = hub.server.aspace.read_attribute_value(node, ua.AttributeIds.NodeClass).Value  # type: ignore[attr-defined]
    return bool(value.Value == ua.NodeClass.Variable)


def test_the_installed_asyncua_has_every_seam() -> None:
    check()
    assert len(SEAMS) > 20


def test_another_release_of_asyncua_is_refused_by_name() -> None:
    with pytest.raises(SeamMoved, match=r"2\.2\.0"):
        check(installed="2.2.0")


def test_a_moved_seam_is_named() -> None:
    def renamed(self: object, other: int) -> None:
        """A method whose parameters changed."""

    with pytest.raises(SeamMoved, match="renamed"):
        check((Seam(renamed, ("self", "one")),))

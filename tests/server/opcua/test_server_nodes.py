"""The nodes under Server, the self-check, and the life of the server."""

from __future__ import annotations

import asyncio
import time

import pytest
from asyncua import ua

from server.opcua.errors import SeamMoved
from server.opcua.selfcheck import SEAMS, Seam, check
from server.opcua.server_nodes import below, refresh

_SERVER = ua.NodeId(ua.ObjectIds.Server)


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
        await asyncio.wait_for(ticks.moved.wait(), 5)
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

    async def test_stopping_is_quick_and_tells_clients(self, make_hub) -> None:
        hub = make_hub()
        await hub.server.start()
        client = hub.client()
        await client.connect()
        begun = time.monotonic()
        await hub.server.stop()
        assert time.monotonic() - begun < 2.0
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

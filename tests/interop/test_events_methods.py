"""Events and methods as node-opcua subscribes to them and calls them, of a hub in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.crypto.permission_rules import UserRole

from foreign import ForeignClient, require_node
from server.opcua import CallContext, Event, HubServer, HubUser, Right, SessionPolicy
from tests.server.opcua.conftest import Hub

pytestmark = [pytest.mark.interop, pytest.mark.asyncio]

OFF_NORMAL, SYSTEM_EVENT = ua.NodeId(10637), ua.NodeId(2130)
UNIT = ua.NodeId("m07", 2)
OPERATOR = {"user": "operator", "password": "sesame"}
FIELDS = ["EventType", "SourceNode", "SourceName", "Message", "Severity", "AckedState.Id"]


class Staff:
    """One operator."""

    def authenticate(self, username: str, password: str) -> HubUser | None:
        if (username, password) != ("operator", "sesame"):
            return None
        return HubUser(role=UserRole.User, name=username, identity=(username,), rights=frozenset(Right))


async def sync_clock(owner: str, context: CallContext, reason: str) -> tuple[float]:
    assert (owner, context.user.name, context.encrypted) == ("m07", "operator", True)
    return (float(len(reason)),)


async def read_now(_owner: str, _context: CallContext) -> tuple[bool, datetime]:
    return True, datetime(2026, 5, 1, tzinfo=UTC)


@pytest_asyncio.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    require_node()
    made = Hub(tmp_path)
    policy = SessionPolicy(allow_anonymous=True, users=Staff())
    made.server = HubServer(made.plant, made.live, made.options, made.history, made.clock, policy)
    made.server.bind("SyncClock", sync_clock)
    made.server.bind("ReadNow", read_now)
    await made.server.start()
    yield made
    await made.server.stop()


class Foreign:
    """The foreign client, which blocks, beside a hub on this loop."""

    def __init__(self) -> None:
        self._client = ForeignClient()

    async def __call__(self, command: str, **arguments: Any) -> Any:
        return await asyncio.to_thread(self._client, command, **arguments)

    async def __aenter__(self) -> Foreign:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._client.close)


async def test_alarms_of_a_unit_reach_a_client_at_the_server_object_by_their_base_type(hub: Hub) -> None:
    async with Foreign() as client:
        await client("connect", url=hub.url)
        heard = await client("listen", nodeId="i=2253", fields=FIELDS, types="AlarmConditionType")
        assert heard["status"] == "Good"
        hub.server.events.post(Event(SYSTEM_EVENT, UNIT, "not asked for"))
        alarm = Event(OFF_NORMAL, UNIT, "silent", severity=700, fields={"AckedState/Id": False})
        hub.server.events.post(alarm)
        ((kind, source, name, message, severity, acked),) = (await client("notes", id=heard["id"], atLeast=1))["notes"]
    assert (kind, source, name) == ("ns=0;i=10637", "ns=2;s=m07", "Meter 7")
    assert (message["text"], severity, acked) == ("silent", 700, False)


async def test_methods_are_called_checked_and_refused(hub: Hub) -> None:
    secured = {"securityMode": "SignAndEncrypt", "securityPolicy": "Basic256Sha256"}
    unit, sync, read = "ns=2;s=m07", "ns=2;s=m07.SyncClock", "ns=3;i=7002"
    async with Foreign() as client:
        await client("connect", url=hub.url, **OPERATOR, **secured)
        done = await client("call", objectId=unit, methodId=sync, inputs=[["String", "drift"]])
        assert (done["status"], done["outputs"]) == ("Good", [["Double", 5.0]])
        assert (await client("call", objectId=unit, methodId=read))["outputs"][0] == ["Boolean", True]
        wrong = await client("call", objectId=unit, methodId=sync, inputs=[["Int32", 5]])
        assert (wrong["status"], wrong["arguments"]) == ("BadInvalidArgument", ["BadTypeMismatch"])
        assert (await client("call", objectId=unit, methodId=sync))["status"] == "BadArgumentsMissing"
        assert (await client("call", objectId="ns=2;s=m08", methodId=sync))["status"] == "BadMethodInvalid"
        assert (await client("call", objectId="i=2253", methodId="i=12873"))["status"] == "BadNotExecutable"

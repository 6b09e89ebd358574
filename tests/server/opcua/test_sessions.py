"""Sessions: tokens that cannot be guessed, taken over only by their owner; and who is let in at all."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from asyncua import Client, ua
from asyncua.crypto.permission_rules import UserRole
from asyncua.server.internal_session import InternalSession
from asyncua.ua.ua_binary import nodeid_to_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from server.opcua import HubUser, Right, SessionPolicy

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes


def _token(client: Client) -> ua.NodeId:
    token: ua.NodeId = client.uaclient.protocol.authentication_token
    return token


async def _raw(client: Client, request: Any, answer: type[Any]) -> Any:
    data = await client.uaclient.protocol.send_request(request)
    return ua.ua_binary.struct_from_binary(answer, data)


async def _code(awaitable: Any) -> int:
    with pytest.raises(UaStatusCodeError) as refused:
        await awaitable
    return int(refused.value.code)


def _activation() -> Any:
    request = ua.ActivateSessionRequest()
    request.Parameters.UserIdentityToken = ua.AnonymousIdentityToken("anonymous")
    return request


async def test_tokens_are_long_and_random(hub) -> None:
    async with hub.client() as first, hub.client() as second:
        tokens = [_token(one) for one in (first, second)]
    assert all(one.NodeIdType == ua.NodeIdType.ByteString and len(one.Identifier) >= 32 for one in tokens)
    assert tokens[0] != tokens[1]


@pytest.mark.parametrize("politely", [True, False])
async def test_sessions_that_ended_do_not_count_against_asyncuas_own_limit(
    make_hub, monkeypatch: pytest.MonkeyPatch, politely: bool
) -> None:
    monkeypatch.setattr(InternalSession, "max_connections", InternalSession._current_connections + 3)
    hub = make_hub()
    await hub.server.start()
    try:
        server = hub.server._iserver
        for _ in range(6):
            async with hub.client() as one:
                if not politely:
                    session = server.session_of(nodeid_to_binary(_token(one)))
                    assert session is not None
                    server.end(session, delete=True)
                    one.uaclient.protocol.transport.abort()
        assert server.sessions() == []
    finally:
        await hub.server.stop()


async def test_a_request_with_another_sessions_token_is_refused_on_this_connection(hub, client) -> None:
    async with hub.client() as other:
        stolen = _token(client)
        other.uaclient.protocol.authentication_token = stolen
        request = ua.ReadRequest()
        request.Parameters.NodesToRead = [ua.ReadValueId(ua.NodeId(2258), ua.AttributeIds.Value)]
        own = other.uaclient.protocol
        assert await _code(_raw(other, request, ua.ReadResponse)) == _STATUS.BadSessionIdInvalid
        assert own.authentication_token == stolen
    await client.get_node(ua.NodeId(2258)).read_value()


async def test_a_made_up_token_activates_nothing(hub) -> None:
    stranger = hub.client()
    await stranger.connect_socket()
    try:
        await stranger.send_hello()
        await stranger.open_secure_channel()
        for guess in (ua.NodeId(1001), ua.NodeId(1000), ua.NodeId(b"\0" * 32, 0, ua.NodeIdType.ByteString)):
            stranger.uaclient.protocol.authentication_token = guess
            assert await _code(_raw(stranger, _activation(), ua.ActivateSessionResponse)) == _STATUS.BadSessionIdInvalid
    finally:
        stranger.disconnect_socket()


async def test_requests_before_activation_are_refused_and_end_the_session(hub) -> None:
    stranger = hub.client()
    await stranger.connect_socket()
    try:
        await stranger.send_hello()
        await stranger.open_secure_channel()
        await stranger.create_session()
        request = ua.ReadRequest()
        request.Parameters.NodesToRead = [ua.ReadValueId(ua.NodeId(2258), ua.AttributeIds.Value)]
        assert await _code(_raw(stranger, request, ua.ReadResponse)) == _STATUS.BadSessionNotActivated
        assert await _code(_raw(stranger, request, ua.ReadResponse)) == _STATUS.BadSessionIdInvalid
    finally:
        stranger.disconnect_socket()


async def test_requests_without_a_session_are_refused(hub) -> None:
    stranger = hub.client()
    await stranger.connect_socket()
    try:
        await stranger.send_hello()
        await stranger.open_secure_channel()
        request = ua.ReadRequest()
        assert await _code(_raw(stranger, request, ua.ReadResponse)) == _STATUS.BadSessionIdInvalid
        endpoints = await stranger.get_endpoints()
        assert endpoints
    finally:
        stranger.disconnect_socket()


async def test_a_session_can_be_taken_over_by_its_owner_after_the_connection_broke(hub, point) -> None:
    first = hub.client()
    await first.connect()
    token = _token(first)
    first.uaclient.protocol.transport.abort()
    second = hub.client()
    await second.connect_socket()
    try:
        await second.send_hello()
        await second.open_secure_channel()
        second.uaclient.protocol.authentication_token = token
        await _raw(second, _activation(), ua.ActivateSessionResponse)
        hub.read("m00.ActivePower", 9.0)
        assert await second.get_node(point).read_value() == 9.0
    finally:
        second.disconnect_socket()
        with contextlib.suppress(OSError, ua.UaError, TimeoutError):
            await asyncio.wait_for(first.disconnect(), 2)


async def test_services_that_do_not_exist_answer_so_and_the_connection_lives(client) -> None:
    for request, answer in (
        (ua.QueryNextRequest(), ua.QueryNextResponse),
        (ua.QueryFirstRequest(), ua.QueryFirstResponse),
        (ua.AddNodesRequest(), ua.AddNodesResponse),
        (ua.DeleteNodesRequest(), ua.DeleteNodesResponse),
        (ua.RegisterServerRequest(), ua.RegisterServerResponse),
    ):
        assert await _code(_raw(client, request, answer)) == _STATUS.BadServiceUnsupported
    await client.get_node(ua.NodeId(2258)).read_value()


async def test_the_message_size_told_is_the_one_that_is_taken(hub) -> None:
    stranger = hub.client()
    await stranger.connect_socket()
    try:
        await stranger.send_hello()
        await stranger.open_secure_channel()
        created = await stranger.create_session()
        assert created.MaxRequestMessageSize == hub.options.limits.message_bytes
    finally:
        stranger.disconnect_socket()


class _Two:
    """Two users with passwords."""

    def authenticate(self, username: str, password: str) -> HubUser | None:
        if (username, password) not in (("ada", "lovelace"), ("bob", "builder")):
            return None
        return HubUser(UserRole.User, username, ("name", username), frozenset({Right.LOOK}))


@contextlib.asynccontextmanager
async def _with_users(make_hub: Any) -> Any:
    hub = make_hub(allow_anonymous=False)
    policy = SessionPolicy(allow_anonymous=False, users=_Two())
    hub.server = type(hub.server)(hub.plant, hub.live, hub.options, None, hub.clock, policy)
    await hub.server.start()
    try:
        yield hub
    finally:
        await hub.server.stop()


async def test_users_come_in_by_password_and_nobody_else_does(make_hub) -> None:
    async with _with_users(make_hub) as hub:
        ada = hub.client()
        ada.set_user("ada")
        ada.set_password("lovelace")
        await ada.connect()
        token = _token(ada)

        admin = hub.client()
        admin.set_user("admin")
        admin.set_password("admin")
        assert await _code(admin.connect()) == _STATUS.BadUserAccessDenied
        assert await _code(hub.client().connect()) == _STATUS.BadIdentityTokenRejected

        # bob knows ada's token, and is bob
        bob = hub.client()
        bob.set_user("bob")
        bob.set_password("builder")
        await bob.connect()
        bob.uaclient.protocol.authentication_token = token
        bob._server_nonce = hub.server._iserver.lookup_external_session(token).nonce
        assert await _code(bob.activate_session("bob", "builder")) == _STATUS.BadIdentityChangeNotSupported
        await ada.get_node(ua.NodeId(2258)).read_value()
        history = ua.HistoryReadParameters(
            ua.ReadRawModifiedDetails(), ua.TimestampsToReturn.Both, False, [ua.HistoryReadValueId(ua.NodeId(2258))]
        )
        assert await _code(ada.uaclient.history_read(history)) == _STATUS.BadUserAccessDenied
        await ada.disconnect()
        bob.disconnect_socket()


async def test_without_anonymous_and_without_users_nobody_gets_in(make_hub) -> None:
    hub = make_hub(allow_anonymous=False)
    assert hub.server._iserver.supported_tokens == ()
    assert hub.server.policy.get_user(None) is None
    assert hub.server.policy.get_user(None, "admin", "admin") is None


async def _admitted(hub: Any) -> Client | None:
    client: Client = hub.client()
    try:
        await client.connect()
    except UaStatusCodeError as refused:
        if refused.code != _STATUS.BadTooManySessions:
            raise
        return None
    return client


async def test_sessions_beyond_the_limit_are_refused_and_a_lost_one_makes_room(tight) -> None:
    held = [tight.client() for _ in range(tight.options.limits.sessions)]
    for one in held:
        await one.connect()
    assert await _code(tight.client().connect()) == _STATUS.BadTooManySessions
    lost, *kept = held
    lost.uaclient.protocol.transport.abort()
    async with asyncio.timeout(60):
        # until the server has noticed
        while (late := await _admitted(tight)) is None:
            pass
    for one in (late, *kept):
        await one.disconnect()
    with contextlib.suppress(OSError, ua.UaError, TimeoutError):
        await asyncio.wait_for(lost.disconnect(), 2)

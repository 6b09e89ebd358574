"""What asyncua's own server lets pass and the hub's does not: each attack is tried on both, so that none can rot."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, Server, ua
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.common.utils import Buffer
from asyncua.crypto import uacrypto
from asyncua.crypto.permission_rules import UserRole
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.server.internal_server import InternalServer
from asyncua.ua.ua_binary import struct_from_binary, variant_from_binary
from cryptography.hazmat.primitives.asymmetric import rsa

from server.opcua.bounds import inspect
from server.opcua.identity import credentials
from tests.server.opcua.wire import Wire, hello

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes
_BACKWARD = struct.pack("<i", -4)
"""A string length that makes asyncua's buffer step back onto itself."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stock() -> AsyncIterator[Server]:
    """asyncua's server as it comes."""
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0/stock")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    folder = await server.nodes.objects.add_folder(2, "Folder")
    hidden = await folder.add_variable(ua.NodeId("hidden", 2), "Hidden", 42.0)
    level = ua.DataValue(ua.Variant(0, ua.VariantType.Byte))
    await hidden.write_attribute(ua.AttributeIds.AccessLevel, level)
    await hidden.write_attribute(ua.AttributeIds.UserAccessLevel, level)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def ports(stock: Server, hub: Any) -> tuple[int, int]:
    """Where to attack: asyncua's server, the hub's."""
    return stock.bserver.port, hub.server.port


def _client(port: int) -> Client:
    return Client(f"opc.tcp://127.0.0.1:{port}/joulehub", timeout=60)


async def _both(attack: Any, ports: tuple[int, int]) -> tuple[Any, Any]:
    return await attack(ports[0]), await attack(ports[1])


async def test_a_guessed_token_gives_another_users_session(ports) -> None:
    async def attack(port: int) -> list[int]:
        async with Wire(port) as victim, Wire(port) as thief:
            await victim.enter()
            await thief.greet()
            await thief.open()
            mine = (await thief.create_session()).AuthenticationToken
            codes = set()
            for step in range(-3, 3):
                number = mine.Identifier if isinstance(mine.Identifier, int) else 1_001
                thief.auth = ua.NodeId(number + step, 0)
                if thief.auth == mine:
                    continue
                codes.add(await thief.code(thief.activation()))
            return sorted(codes)

    weak, strong = await _both(attack, ports)
    assert 0 in weak
    assert strong == [_STATUS.BadSessionIdInvalid]


async def test_admin_gets_in_with_any_password(stock, hub) -> None:
    asked = {"username": "admin", "password": "nonsense"}
    user = stock.iserver.user_manager.get_user(stock.iserver, **asked)
    assert user is not None
    assert user.role == UserRole.Admin
    assert hub.server.policy.get_user(hub.server._iserver, **asked) is None


async def test_a_header_that_promises_two_gigabytes_is_waited_for(stock, hub, ports) -> None:
    async def attack(port: int) -> bool:
        async with Wire(port) as wire:
            wire.say(b"MSGF" + struct.pack("<II", 0x7FFF_FFFF, 0))
            with contextlib.suppress(ConnectionError):
                for _ in range(16):
                    wire.say(b"\0" * 65_536)
                    await wire.writer.drain()
            with contextlib.suppress(TimeoutError, ConnectionError, asyncio.IncompleteReadError):
                return (await wire.message(timeout_s=0.3))[0] != b"ERR"
            held = [one._buffer for one in stock.bserver.clients if port == stock.bserver.port]
            return any(len(one) > 500_000 for one in held)

    assert await _both(attack, ports) == (True, False)


async def test_another_sessions_subscription_can_be_deleted(ports) -> None:
    async def attack(port: int) -> int:
        async with _client(port) as owner, _client(port) as thief:
            made = await owner.create_subscription(500, None)
            (result,) = await thief.uaclient.delete_subscriptions([made.subscription_id])
            return int(result.value)

    assert await _both(attack, ports) == (0, _STATUS.BadSubscriptionIdInvalid)


async def test_more_nodes_are_read_than_the_server_says(hub, ports) -> None:
    async def attack(port: int) -> int:
        async with Wire(port) as wire:
            await wire.enter()
            request = ua.ReadRequest()
            node = ua.ReadValueId(ua.NodeId(2258), ua.AttributeIds.NodeClass)
            request.Parameters.NodesToRead = [node] * (hub.options.limits.nodes_per_read + 1)
            body = wire.written(request)
            pieces = [body[at : at + 60_000] for at in range(0, len(body), 60_000)]
            for number, piece in enumerate(pieces):
                last = b"F" if number == len(pieces) - 1 else b"C"
                wire.say(wire.ask(piece, last=last, new=number == 0))
            return (await wire.answer())[1]

    assert await _both(attack, ports) == (0, _STATUS.BadTooManyOperations)


async def test_what_must_not_be_read_is_read(stock, hub) -> None:
    async with _client(stock.bserver.port) as client:
        assert await client.get_node(ua.NodeId("hidden", 2)).read_value() == 42.0
    node = ua.NodeId(ua.ObjectIds.Server_ServerStatus_BuildInfo_ProductName)
    level = ua.AttributeIds.AccessLevel
    before = hub.server.aspace.read_attribute_value(node, level)
    await hub.server.aspace.write_attribute_value(node, level, ua.DataValue(ua.Variant(0, ua.VariantType.Byte)))
    try:
        async with _client(hub.server.port) as client:
            with pytest.raises(ua.uaerrors.BadNotReadable):
                await client.get_node(node).read_value()
    finally:
        await hub.server.aspace.write_attribute_value(node, level, before)


async def test_parked_connections_keep_everyone_out(stock, tight) -> None:
    async def attack(port: int, limit: int) -> bool:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(limit + 2):
                await stack.enter_async_context(Wire(port))
            honest = await stack.enter_async_context(Wire(port))
            try:
                await honest.enter()
            except (AssertionError, ConnectionError, asyncio.IncompleteReadError):
                return True
            return False

    before, stock.iserver.max_connections = stock.iserver.max_connections, 5
    try:
        assert await attack(stock.bserver.port, 5)
    finally:
        stock.iserver.max_connections = before
    assert not await attack(tight.server.port, tight.options.limits.connections)


async def test_answers_that_nobody_reads_pile_up(stock, hub, ports) -> None:
    async def attack(port: int) -> int:
        async with Wire(port) as wire:
            await wire.enter()
            wire.writer.transport.pause_reading()
            request = ua.ReadRequest()
            request.Parameters.NodesToRead = [ua.ReadValueId(ua.NodeId(2256), ua.AttributeIds.Value)] * 1_000
            mine = wire.writer.get_extra_info("sockname")
            clients = stock.bserver.clients if port == stock.bserver.port else hub.server._binary.clients
            (protocol,) = [one for one in clients if one.peer_name == mine]
            most = 0
            for _ in range(60):
                wire.say(wire.ask(wire.written(request)))
                await asyncio.sleep(0)
                most = max(most, protocol.transport.get_write_buffer_size())
            async with asyncio.timeout(60):
                # asyncua goes on until all is answered
                while port == stock.bserver.port and not protocol.messages.empty() and most < 2_000_000:
                    await asyncio.sleep(0.01)
                    most = max(most, protocol.transport.get_write_buffer_size())
            return most

    weak, strong = await _both(attack, ports)
    assert weak >= 2_000_000
    assert strong < 1_000_000


async def test_hello_and_channel_are_taken_as_they_come(ports) -> None:
    async def attack(port: int) -> list[bool]:
        async with Wire(port) as wire:
            wire.say(hello(recv=64, url=b"a" * 6_000))
            small = (await wire.message())[0] == b"ACK"
        async with Wire(port) as wire:
            await wire.greet()
            for_ever = (await wire.open(lifetime_ms=2**32 - 1)).SecurityToken.RevisedLifetime == 2**32 - 1
            wire.say(wire.opening())
            again = (await wire.message())[0] == b"OPN"
        return [small, for_ever, again]

    assert await _both(attack, ports) == ([True] * 3, [False] * 3)


async def test_a_second_token_zero_takes_over_a_channel(ports) -> None:
    async def attack(port: int) -> bool:
        async with Wire(port) as wire:
            await wire.greet()
            await wire.open()
            wire.token = 0
            wire.say(wire.ask(wire.written(ua.FindServersRequest())))
            wire.channel = 0
            wire.say(wire.ask(wire.written(ua.FindServersRequest())))
            try:
                while True:
                    if (await wire.message(timeout_s=0.3))[0] == b"ERR":
                        return False
            except TimeoutError:
                # asyncua goes on with a channel that is number zero, without a lifetime
                return True

    assert await _both(attack, ports) == (True, False)


async def test_without_none_among_the_policies_none_is_taken_all_the_same() -> None:
    connection = SecureConnection(SecurityPolicyNone(), TransportLimits())
    connection.set_policy_factories([])
    connection.select_policy(SecurityPolicyNone.URI, None, ua.MessageSecurityMode.None_)
    # the hub's answer is in test_endpoints: discovery only


async def test_few_bytes_make_many_objects_before_any_session(hub) -> None:
    many = 100_000
    servers = struct.pack("<i", -1) + struct.pack("<i", -1) + struct.pack("<i", many) + _BACKWARD * 3
    assert len(struct_from_binary(ua.FindServersParameters, Buffer(servers)).ServerUris) == many
    nulls = b"\x80" + struct.pack("<i", many)
    assert len(variant_from_binary(Buffer(nulls)).Value) == many
    filled = b"\xc1" + struct.pack("<i", 1) + b"\1" + struct.pack("<ii", 1, many)
    assert len(variant_from_binary(Buffer(filled)).Value) == many
    async with Wire(hub.server.port) as wire:
        await wire.greet()
        await wire.open()
        # the request without its three empty parameters
        head = wire.written(ua.FindServersRequest())[:-12]
        for count, code in ((many, _STATUS.BadTooManyOperations), (500, _STATUS.BadDecodingError)):
            wire.say(wire.ask(head + servers[:8] + struct.pack("<i", count) + _BACKWARD * 3))
            assert (await wire.answer())[1] == code
    for bomb in (nulls, filled):
        with pytest.raises(ua.uaerrors.BadDecodingError):
            inspect(ua.LiteralOperand, bomb, 0, elements=1_000)


async def test_passwords_are_taken_in_the_open_and_again() -> None:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    old, new = b"o" * 32, b"n" * 32
    session = type("Session", (), {"nonce": new})()
    stock = InternalServer.__new__(InternalServer)
    stock.private_key = key
    open_token = ua.UserNameIdentityToken("username", "ada", b"lovelace")
    secret = struct.pack("<I", 8 + len(old)) + b"lovelace" + old
    encrypted = uacrypto.encrypt_rsa_oaep(key.public_key(), secret)
    replayed = ua.UserNameIdentityToken("username", "ada", encrypted, "http://www.w3.org/2001/04/xmlenc#rsa-oaep")
    for token, code in (
        (open_token, _STATUS.BadIdentityTokenRejected),
        (replayed, _STATUS.BadIdentityTokenInvalid),
    ):
        assert stock.decrypt_user_token(session, token) == ("ada", "lovelace")
        with pytest.raises(ua.UaStatusCodeError) as refused:
            credentials(token, new, key, ua.MessageSecurityMode.None_)
        assert refused.value.code == code
    assert credentials(replayed, old, key, ua.MessageSecurityMode.None_) == ("ada", "lovelace")

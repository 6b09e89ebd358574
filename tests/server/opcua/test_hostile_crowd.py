"""Many connections, slow ones, deaf ones: what one address takes is not taken from the others."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from asyncua import ua

from address_space.model.clock import NS
from tests.server.opcua.wire import Wire, hello

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes
_READ = ua.ReadValueId(ua.NodeId("m00.ActivePower", 2), ua.AttributeIds.Value)


def _read(count: int = 1) -> ua.ReadRequest:
    request = ua.ReadRequest()
    request.Parameters.NodesToRead = [_READ] * count
    return request


def _protocols(hub: object) -> list:
    return list(hub.server._binary.clients)  # type: ignore[attr-defined]


async def _settled(condition: object) -> None:
    async with asyncio.timeout(60):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110  # what is waited for says nothing
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def _empty(hub: object):
    """Begin without connections of other tests."""
    await _settled(lambda: not _protocols(hub))
    yield
    await _settled(lambda: not _protocols(hub))


async def test_parked_connections_give_way_and_a_working_client_does_not(tight) -> None:
    async with _empty(tight), contextlib.AsyncExitStack() as stack:
        working = await stack.enter_async_context(Wire(tight.server.port, "127.0.0.2"))
        await working.enter()
        for _ in range(300):
            await stack.enter_async_context(Wire(tight.server.port, "127.0.0.3"))
        honest = await stack.enter_async_context(Wire(tight.server.port, "127.0.0.4"))
        await honest.enter()
        assert await honest.code(_read()) == 0
        assert await working.code(_read()) == 0
        assert len(_protocols(tight)) <= tight.options.limits.connections
        await stack.aclose()


async def test_a_flood_from_one_address_does_not_push_out_anothers_handshake(tight) -> None:
    async with _empty(tight), contextlib.AsyncExitStack() as stack:
        honest = await stack.enter_async_context(Wire(tight.server.port, "127.0.0.2"))
        await honest.greet()
        for _ in range(50):
            await stack.enter_async_context(Wire(tight.server.port, "127.0.0.3"))
        await honest.open()
        for _ in range(50):
            flood = await stack.enter_async_context(Wire(tight.server.port, "127.0.0.3"))
            flood.say(hello())
        await honest.create_session()
        assert await honest.code(honest.activation()) == 0
        await stack.aclose()


async def test_one_address_has_its_own_bound(tight) -> None:
    async with _empty(tight), contextlib.AsyncExitStack() as stack:
        # sessions are few: the bound is reached by connections that are not in the way of others
        for _ in range(20):
            await stack.enter_async_context(Wire(tight.server.port, "127.0.0.3"))
        await _settled(lambda: len(_protocols(tight)) == tight.options.limits.connections_per_address)
        await stack.aclose()


async def test_sessions_that_were_never_activated_make_room(tight) -> None:
    async with _empty(tight), contextlib.AsyncExitStack() as stack:
        for _ in range(4):
            idle = await stack.enter_async_context(Wire(tight.server.port, "127.0.0.3"))
            await idle.greet()
            await idle.open()
            await idle.create_session()
        honest = await stack.enter_async_context(Wire(tight.server.port, "127.0.0.4"))
        await honest.enter()
        assert tight.server.session_count <= tight.options.limits.sessions
        await stack.aclose()


async def test_abandoned_subscriptions_of_lost_sessions_do_not_fill_the_server(tight) -> None:
    async with _empty(tight):
        for _ in range(8):
            async with Wire(tight.server.port) as wire:
                await wire.enter()
                for _ in range(2):
                    request = ua.CreateSubscriptionRequest()
                    request.Parameters.RequestedPublishingInterval = 3_600_000.0
                    request.Parameters.RequestedMaxKeepAliveCount = 10_000
                    assert await wire.code(request) == 0
            await _settled(lambda: not _protocols(tight))
        assert tight.server.subscription_count <= tight.options.limits.subscriptions
        assert tight.server.session_count <= tight.options.limits.sessions


async def test_slow_handshakes_slow_chunks_and_left_sessions_are_closed_in_time(hub) -> None:
    now = hub.clock.monotonic_ns()
    limits = hub.options.limits
    async with Wire(hub.server.port) as slow, Wire(hub.server.port) as trickle, Wire(hub.server.port) as left:
        slow.say(hello()[:20])
        await trickle.enter()
        trickle.say(trickle.ask(trickle.written(_read()))[:30])
        await left.enter()
        request = ua.CloseSessionRequest()
        assert await left.code(request) == 0
        mine = {one.peer_name[1]: one for one in _protocols(hub)}
        ports = [one.writer.get_extra_info("sockname")[1] for one in (slow, trickle, left)]
        await _settled(lambda: bool(mine[ports[1]]._received))
        for one in (mine[port] for port in ports):
            one.look_after(now + round(min(limits.stalled_s, limits.activation_s) * 0.9 * NS))
        assert not any(mine[port].transport.is_closing() for port in ports)
        # the trickling one is activated, and still has to finish what it began
        for one in (mine[port] for port in ports):
            one.look_after(now + round((max(limits.stalled_s, limits.activation_s) + 5) * 2 * NS))
        for wire in (slow, trickle, left):
            assert await wire.error() == _STATUS.BadTimeout


async def test_a_client_that_does_not_read_its_answers_waits_and_is_dropped(hub, client) -> None:
    async with Wire(hub.server.port) as deaf:
        await deaf.enter()
        port = deaf.writer.get_extra_info("sockname")[1]
        protocol = next(one for one in _protocols(hub) if one.peer_name[1] == port)
        deaf.writer.transport.pause_reading()
        asked = _read(1_500)
        sent = 0
        while protocol._writable.is_set() and sent < 2_000:
            deaf.say(deaf.ask(deaf.written(asked)))
            sent += 1
            await asyncio.sleep(0)
        for _ in range(100):
            deaf.say(deaf.ask(deaf.written(asked)))
        assert not protocol._writable.is_set()
        assert protocol.transport.get_write_buffer_size() < 1_000_000
        assert sum(len(buffer._data) for _, buffer in protocol.messages._queue) < 5_000_000
        # the others do not notice
        assert (await client.get_node(ua.NodeId(2258)).read_value()) is not None
        protocol.look_after(hub.clock.monotonic_ns() + round((hub.options.limits.stalled_s + 1) * NS))
        await _settled(lambda: protocol not in _protocols(hub))


async def test_a_burst_of_small_requests_is_answered_whole(hub) -> None:
    async with Wire(hub.server.port) as wire:
        await wire.enter()
        asked = b"".join(wire.ask(wire.written(_read())) for _ in range(3_000))
        wire.say(asked)
        for _ in range(3_000):
            assert (await wire.answer())[1] == 0


async def test_without_a_session_requests_are_counted(hub) -> None:
    async with Wire(hub.server.port) as wire:
        await wire.greet()
        await wire.open()
        allowed = hub.options.limits.unauthenticated_chunks
        for _ in range(allowed + 5):
            wire.say(wire.ask(wire.written(ua.FindServersRequest())))
        answered = 0
        with contextlib.suppress(AssertionError, asyncio.IncompleteReadError, ConnectionError):
            while True:
                await wire.answer()
                answered += 1
        assert answered <= allowed
        assert await wire.closed()

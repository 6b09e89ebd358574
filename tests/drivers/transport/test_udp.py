"""Datagrams to one peer over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from address_space.model.clock import SystemClock
from drivers.errors import ChannelDown
from drivers.transport import LineOptions, Lines, UdpLink


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        plug.bind(("127.0.0.1", 0))
        plug.setblocking(False)
        yield plug


async def got(plug: socket.socket) -> tuple[bytes, tuple[str, int]]:
    async with asyncio.timeout(60):
        while True:
            try:
                return plug.recvfrom(4096)
            except BlockingIOError:
                await asyncio.sleep(0)


def test_datagrams_go_to_the_peer_and_its_answers_come_back(run, peer):
    async def scenario():
        link = UdpLink("meter", "127.0.0.1", peer.getsockname()[1])
        await link.open()
        link.send(b"ask")
        data, hub = await got(peer)
        assert data == b"ask"
        peer.sendto(b"one", hub)
        peer.sendto(b"two", hub)
        heard = b""
        while len(heard) < 6:
            heard += await link.receive(60)
        assert heard == b"onetwo"
        assert await link.receive(0.01) == b""
        link.close()
        assert not link.connected

    run(scenario())


def test_datagrams_of_anybody_else_are_dropped(run, peer):
    async def scenario():
        link = UdpLink("meter", "127.0.0.1", peer.getsockname()[1])
        await link.open()
        link.send(b"ask")
        _, hub = await got(peer)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"lies", hub)
        assert await link.receive(0.05) == b""
        peer.sendto(b"truth", hub)
        assert await link.receive(60) == b"truth"
        link.close()

    run(scenario())


def test_the_hub_speaks_from_its_own_port_where_one_is_given(run, peer, free_port):
    async def scenario():
        own = free_port()
        options = LineOptions(transport="udp", host="localhost", port=peer.getsockname()[1], local_port=own)
        link = Lines(SystemClock()).link("meter", options)
        for _ in range(2):
            await link.open()
            link.send(b"ask")
            assert (await got(peer))[1] == ("127.0.0.1", own)
        link.close()

    run(scenario())


def test_a_port_where_nothing_listens_is_told_without_waiting(run, free_port):
    async def scenario():
        link = UdpLink("meter", "127.0.0.1", free_port())
        await link.open()
        link.send(b"ask")
        with pytest.raises(ChannelDown, match=r"meter \(udp 127\.0\.0\.1:\d+\): nothing listens there; check"):
            await link.receive(60)
        with pytest.raises(ChannelDown):
            link.send(b"ask")
        link.close()

    run(scenario())


async def test_a_name_without_address_and_a_taken_port_are_told(peer):
    with pytest.raises(ChannelDown, match="cannot open a port for datagrams"):
        await UdpLink("meter", "no-such-host.invalid", 1).open()
    taken = peer.getsockname()[1]
    with pytest.raises(ChannelDown, match="cannot open a port for datagrams"):
        await UdpLink("meter", "127.0.0.1", 1, local_port=taken).open()


async def test_a_closed_link_sends_nothing():
    with pytest.raises(ChannelDown, match="not open"):
        UdpLink("meter", "127.0.0.1", 1).send(b"x")

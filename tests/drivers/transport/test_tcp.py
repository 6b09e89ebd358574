"""TCP connections to gateways that hang up, vanish, or were never there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from drivers.errors import ChannelDown
from drivers.transport import SerialSettings, TcpLink


@dataclass
class Gateway:
    """A listening port and the connections made to it."""

    port: int
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    readers: list[asyncio.StreamReader] = field(default_factory=list)

    def link(self) -> TcpLink:
        return TcpLink("gw1", "127.0.0.1", self.port, 2.0)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = Gateway(0)

    def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.readers.append(reader)
        made.writers.append(writer)

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    for writer in made.writers:
        writer.transport.abort()
    server.close()


async def test_bytes_go_both_ways(gateway, until):
    link = gateway.link()
    await link.open()
    link.send(b"ask")
    await until(lambda: gateway.readers)
    assert await gateway.readers[0].readexactly(3) == b"ask"
    gateway.writers[0].write(b"answer")
    assert await link.receive(60) == b"answer"
    assert link.name == f"127.0.0.1:{gateway.port}"
    link.close()


async def test_a_gateway_that_hangs_up_in_the_middle_of_an_answer_leaves_what_it_said(gateway, until):
    link = gateway.link()
    await link.open()
    await until(lambda: gateway.writers)
    gateway.writers[0].write(b"ans")
    gateway.writers[0].close()
    assert await link.receive(60) == b"ans"
    with pytest.raises(ChannelDown, match=r"gw1 \(127\.0\.0\.1:\d+\): the connection was lost; check"):
        await link.receive(60)
    assert not link.connected
    with pytest.raises(ChannelDown):
        link.send(b"x")


async def test_nothing_of_the_connection_before_reaches_the_new_one(gateway, until):
    link = gateway.link()
    await link.open()
    await until(lambda: gateway.writers)
    gateway.writers[0].write(b"old")
    await until(lambda: link._arrivals._data)
    await link.open()
    await until(lambda: len(gateway.writers) == 2)
    assert await link.receive(0.02) == b""
    gateway.writers[1].write(b"new")
    assert await link.receive(60) == b"new"
    link.tune(SerialSettings(2400))
    assert link.character_s == 0.0
    link.close()


async def test_a_connection_is_watched_by_the_system(gateway):
    link = gateway.link()
    await link.open()
    assert link._connection is not None
    plug = link._connection._transport.get_extra_info("socket")
    assert plug.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    link.close()


async def test_a_port_where_nobody_listens_is_told(free_port):
    with pytest.raises(ChannelDown, match=r"gw1 .*cannot connect; check the address"):
        await TcpLink("gw1", "127.0.0.1", free_port(), 2.0).open()


async def test_a_gateway_that_never_accepts_is_given_up():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        queue = [socket.socket() for _ in range(4)]
        for plug in queue:
            plug.setblocking(False)
            plug.connect_ex(full.getsockname())
        with pytest.raises(ChannelDown, match="cannot connect"):
            await TcpLink("gw1", "127.0.0.1", full.getsockname()[1], 0.1).open()
        for plug in queue:
            plug.close()


async def test_a_closed_link_is_lost_for_whoever_waits(gateway):
    link = gateway.link()
    await link.open()
    waiting = asyncio.ensure_future(link.receive(60))
    await asyncio.sleep(0)
    link.close()
    with pytest.raises(ChannelDown, match="was closed"):
        await asyncio.wait_for(waiting, 60)
